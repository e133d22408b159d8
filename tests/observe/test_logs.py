"""What q writes to standard output."""

import json
import logging
from collections.abc import Iterator

import pytest

from qmq.observe.logs import configure_logs

log = logging.getLogger("qmq.any.room")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    loggers = (logging.getLogger(), logging.getLogger("asyncio"))
    before = [(logger.handlers, logger.level) for logger in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers = handlers
        logger.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return the lines of standard output as objects; nothing goes to standard error."""
    out, err = capsys.readouterr()
    assert err == ""
    return [json.loads(line) for line in out.splitlines()]


def test_line_is_json_that_begins_as_the_originals(capsys: pytest.CaptureFixture[str]) -> None:
    """With level, time in seconds since the epoch, and message; then the fields."""
    configure_logs(debug=False)

    log.info("serving %s", "queues", extra={"queues": 3, "data": "/d\u00e4ta"})

    (line,) = written(capsys)
    assert list(line) == ["level", "ts", "msg", "queues", "data"]
    ts = line.pop("ts")
    assert isinstance(ts, float)
    assert ts > 1.7e9
    assert line == {"level": "info", "msg": "serving queues", "queues": 3, "data": "/d\u00e4ta"}


def test_text_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """UTF-8, and no line break inside a line."""
    configure_logs(debug=False)

    log.warning("\u4e16\n\u754c")

    out, _ = capsys.readouterr()
    assert "\u4e16\\n\u754c" in out
    assert out.count("\n") == 1


def test_traceback_is_one_field_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A line stays a line, whatever went wrong."""
    configure_logs(debug=False)

    try:
        _ = 1 // 0
    except ZeroDivisionError:
        log.exception("call failed", extra={"path": "/proto.Q/Pop"})

    (line,) = written(capsys)
    assert list(line)[:3] == ["level", "ts", "msg"]
    assert (line["level"], line["msg"], line["path"]) == ("error", "call failed", "/proto.Q/Pop")
    assert [text for text in line.values() if "ZeroDivisionError" in str(text)]


def test_debug_lines_are_not_written_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """From info on, that is the rule."""
    configure_logs(debug=False)

    log.debug("hidden")

    assert written(capsys) == []


def test_debug_log_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of text with the time, the level, the message and the fields."""
    configure_logs(debug=True)

    log.debug("shown", extra={"queue": "jobs", "depth": 3})

    out, _ = capsys.readouterr()
    date, time, *rest = out.split()
    assert len(date) == len("2026-11-24")
    assert len(time) == len("13:48:46,944")
    assert rest == ["DEBUG", "shown", "queue=jobs", "depth=3"]


def test_configuring_again_writes_no_line_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """The last configuration counts."""
    configure_logs(debug=True)
    configure_logs(debug=False)

    log.info("once")

    assert len(written(capsys)) == 1
