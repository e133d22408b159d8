"""What the README and the quickstart tell people to paste does what they say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.pasting import Clone
from tests.documents import blocks, page, section, spans

QUICKSTART = page("docs/quickstart.md")
TOUR = section(page("README.md"), "A minute's tour")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    """A clone of the repository, with no q running."""
    clone = Clone(tmp_path)
    yield clone
    clone.close()


def json_objects(text: str) -> list[dict[str, object]]:
    """Read the JSON objects that commands have printed one after the other."""
    decoder = json.JSONDecoder()
    found: list[dict[str, object]] = []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def stop_command(text: str) -> str:
    """Return the command with which a page says that q is stopped."""
    (command,) = {span for span in spans(text) if "quitquitquit" in span and "curl" in span}
    return command


def test_tour_of_the_readme(clone: Clone) -> None:
    """A message comes back, and so does every line of a file, kill -9 in between or not."""
    message, lines = blocks(TOUR)
    clone.make_run()

    printed, popped, _ = clone.paste(message.text).rpartition("hello, queue\n")
    made, added, peeked = json_objects(printed)
    printed = clone.paste(lines.text)

    assert "mail" in str(made)
    assert added == peeked
    assert popped
    before, after = (clone.directory / name for name in ("before.txt", "after.txt"))
    assert before.read_bytes() == after.read_bytes()
    count = after.read_bytes().count(b"\n")
    assert count > 1000
    assert printed.endswith(f"all {count} lines are back, in order, byte for byte\n")

    clone.paste(stop_command(TOUR))

    assert clone.is_stopped()


def test_quickstart(clone: Clone) -> None:
    """Its blocks work in the order in which they stand."""
    start, log_line, activate, by_qcli, by_curl, _, by_python, worked = blocks(QUICKSTART)
    assert start.text == "make run\n"

    log = clone.make_run()
    by_qcli_replies = json_objects(clone.paste(activate.text + by_qcli.text))
    by_curl_replies = json_objects(clone.paste(by_curl.text))
    by_python_output = clone.run_python(by_python.text)
    by_work = clone.paste(worked.text)

    (served,) = (json.loads(line) for line in log.splitlines() if '"serving"' in line)
    documented = json.loads(log_line.text)
    assert [*served] == [*documented]
    assert (served["msg"], served["data"]) == (documented["msg"], documented["data"])
    assert len({json.dumps(reply) for reply in by_qcli_replies[1:]}) == 1
    assert by_curl_replies[0] == by_curl_replies[1]
    assert by_python_output == "hello\n"
    assert by_work.splitlines()[-3:] == ["3", "3", "5"]

    clone.paste(stop_command(QUICKSTART))

    assert clone.is_stopped()


def test_quickstart_with_buf(clone: Clone) -> None:
    """A gRPC client that knows nothing of q learns from it what it needs."""
    (by_buf,) = (block for block in blocks(QUICKSTART) if block.text.startswith("buf "))
    clone.make_run()

    assert json.loads(clone.paste(by_buf.text)) == {}


def test_every_block_of_the_quickstart_is_run() -> None:
    """The tests above know its blocks by their order."""
    begin_with = [re.match(r"\S+", block.text) for block in blocks(QUICKSTART)]

    assert [match and match[0] for match in begin_with] == [
        "make",
        '{"level":',
        ".",
        "qcli",
        "curl",
        "buf",
        "import",
        "qcli",
    ]
