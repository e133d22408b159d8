"""docs/schedules.md can be pasted, and does what it says."""

import re

from tests.acceptance.running import RunningQ
from tests.acceptance.test_ordering_page import in_python, in_shell
from tests.documents import blocks, page

#: What a command of the page prints: the comment behind it.
_PRINTS = re.compile(r"^(qcli pop .*?) +# (.*)$", re.MULTILINE)

#: What a line of Python prints: likewise.
_PYTHON_PRINTS = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


def test_page_can_be_pasted(bare_q: RunningQ) -> None:
    """From the top to the bottom, on one server; what prints something prints what is said."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    told = 0
    last = ""
    for block in blocks(page("docs/schedules.md")):
        if block.language == "python":
            printed = in_python(bare_q, block.text, namespace)
            assert printed.splitlines() == _PYTHON_PRINTS.findall(block.text), block.text
            told += printed.count("\n")
            continue
        assert block.language == "sh"
        last = in_shell(bare_q, block.text)
        assert '"code"' not in last
        for command, expected in _PRINTS.findall(block.text):
            told += 1
            assert last.endswith(f"{expected}\n"), command

    assert told >= 4
    assert '"name":"hourly"' in last
