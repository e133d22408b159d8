"""docs/ordering.md can be pasted, and does what it says."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

from tests.acceptance.running import RunningQ, environment
from tests.documents import blocks, page

#: What the examples call the server.
ADDRESS = "localhost:10002"

_PATIENCE_S = 60.0

#: What a command of the page prints: the comment behind it, with a comma for each line break.
PRINTS = re.compile(r"^(qcli pop .*?) +# (.*)$", re.MULTILINE)

#: What a line of Python prints: the comment behind it.
_PYTHON_PRINTS = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


def in_shell(q: RunningQ, text: str) -> str:
    """Paste commands; each must succeed. Return what they print."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace(ADDRESS, q.address)],
        env=environment(QCLI_SERVER=q.address, PATH=path),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def in_python(q: RunningQ, text: str, namespace: dict[str, object]) -> str:
    """Paste Python, which goes on where it was. Return what it prints."""
    output = io.StringIO()
    code = compile(text.replace(ADDRESS, q.address), "ordering.md", "exec", dont_inherit=True)
    with redirect_stdout(output):
        exec(code, namespace)  # noqa: S102 - That is what it is for.
    return output.getvalue()


def test_page_can_be_pasted(bare_q: RunningQ) -> None:
    """From the top to the bottom, on one server; what prints something prints what is said."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    told = 0
    for block in blocks(page("docs/ordering.md")):
        if block.language == "python":
            printed = in_python(bare_q, block.text, namespace)
            assert printed.splitlines() == _PYTHON_PRINTS.findall(block.text), block.text
            continue
        assert block.language == "sh"
        printed = in_shell(bare_q, block.text)
        assert '"code"' not in printed
        for command, expected in PRINTS.findall(block.text):
            told += 1
            lines = "\n".join(expected.split(", "))
            assert f"{lines}\n" in printed, command

    assert told >= 6
    assert '"deduplicated":true' in in_shell(
        bare_q,
        f"""curl -s {ADDRESS}/v1/queues/orders -d '{{"options": {{"dedup_id": "order-1"}}}}'""",
    )
