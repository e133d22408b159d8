"""docs/selectors.md can be pasted, and does what it says."""

import json
import re

import pytest

from qmq.errors import InvalidArgument
from qmq.model.selector import parse
from tests.acceptance.running import RunningQ
from tests.acceptance.test_ordering_page import in_python, in_shell
from tests.documents import blocks, page, section

#: What a command of the page prints: the comment behind it, with a comma for each line break.
_PRINTS = re.compile(r"^(?:qcli|curl) .*? {4}# (.*)$")

#: What a line of Python prints: the comment behind it.
_PYTHON_PRINTS = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)

#: A term of the table, and the example beside it.
_TERM = re.compile(r"^\| `([^`]+)` \|[^|]*\| `([^`]+)` \|$", re.MULTILINE)


def told(printed: str) -> list[str]:
    """Return the names of queues in a reply or in a table, or else the lines."""
    if printed.startswith("{"):
        return [queue["name"] for queue in json.loads(printed)["queues"]]
    if printed.startswith(("NAME ", "QUEUE ")):
        return [line.split()[0] for line in printed.splitlines()[1:]]
    return printed.splitlines()


def test_page_can_be_pasted(bare_q: RunningQ) -> None:
    """From the top to the bottom, on one server; what prints something prints what is said."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    count = 0
    for block in blocks(page("docs/selectors.md")):
        if block.language == "python":
            printed = in_python(bare_q, block.text, namespace)
            assert printed.splitlines() == _PYTHON_PRINTS.findall(block.text), block.text
            count += printed.count("\n")
            continue
        assert block.language == "sh"
        for line in block.text.splitlines():
            printed = in_shell(bare_q, line)
            assert '"code"' not in printed
            if expected := _PRINTS.match(line):
                count += 1
                assert told(printed) == expected[1].split(", "), line

    assert count >= 10


def test_terms_of_the_page_are_terms() -> None:
    """Those of the table, in general and by example; and the error is told as it is."""
    terms = section(page("docs/selectors.md"), "Terms")
    found = _TERM.findall(terms)

    assert len(found) == 6
    for term, example in found:
        assert str(parse(term))
        assert str(parse(example))
    with pytest.raises(InvalidArgument) as refusal:
        parse("team=mail room")
    assert f"`{refusal.value.message}`" in terms
