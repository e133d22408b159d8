"""The Python examples of the documentation run, and print what they say they print."""

import io
import re
from contextlib import redirect_stdout

import pytest

from tests.acceptance.running import RunningQ
from tests.documents import blocks, page

#: What the examples call the server.
ADDRESS = "localhost:10002"

#: What a line of an example prints: the comment behind it, or a comment line of its own
#: after those.
PRINTS = re.compile(r"^(?: *(?:print|asyncio\.run)\(.*\)  )?# (.*)$", re.MULTILINE)

PAGES = ["README.md", "docs/client.md", "docs/testing.md"]


def examples(path: str) -> list[str]:
    """The Python blocks of a page, in order."""
    return [block.text for block in blocks(page(path)) if block.language == "python"]


@pytest.mark.parametrize("path", PAGES)
def test_examples_do_what_they_say(path: str, bare_q: RunningQ) -> None:
    """Each block goes on where the one before has ended, as a reader would paste them."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    found = examples(path)

    assert found
    for text in found:
        output = io.StringIO()
        code = compile(text.replace(ADDRESS, bare_q.address), path, "exec", dont_inherit=True)
        with redirect_stdout(output):
            exec(code, namespace)  # noqa: S102 - That is what they are for.
        assert output.getvalue().splitlines() == PRINTS.findall(text), text
