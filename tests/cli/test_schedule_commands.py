"""What the commands about schedules accept, and what they stand for."""

import os
from collections.abc import Iterator

import click
import pytest

from qmq.cli.actions import ListSchedules, PauseSchedule
from tests.cli.test_commands import action_of, call_of


@pytest.fixture(autouse=True)
def _payload(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard input holds a payload."""
    reader, writer = os.pipe()
    os.write(writer, b"hello\n")
    os.close(writer)
    with os.fdopen(reader) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        yield


def test_a_schedule_is_put() -> None:
    """With what is given, and no more."""
    put = call_of("schedule", "put", "jobs", "nightly", "--cron", "0 3 * * *")

    assert (put.failure, put.method, put.is_original) == (
        "cannot put schedule",
        "PutSchedule",
        False,
    )
    assert put.fields == {
        "queue_id": "jobs",
        "name": "nightly",
        "schedule": {
            "cron": "0 3 * * *",
            "time_zone": "",
            "message": {"tags": [], "payload": b"hello\n"},
            "missed": "ONE",
            "paused": False,
        },
    }


def test_a_schedule_has_options() -> None:
    """Those of the schedule, and those of its messages."""
    put = call_of(
        *("schedule", "put", "jobs", "check", "--every", "90s", "--missed", "skip", "--paused"),
        *("-t", "k=v", "--delay", "5s", "--ttl", "1m", "--priority", "9", "--dedup-id", "x"),
        *("--group", "g", "--fair-key", "f"),
    )
    zone = call_of(
        *("schedule", "put", "jobs", "a", "--cron", "0 9 * * 1", "--time-zone", "Asia/Tokyo"),
    )

    assert put.fields["schedule"] == {
        "cron": "",
        "time_zone": "",
        "interval": {"seconds": 90, "nanos": 0},
        "message": {
            "tags": [{"key": "k", "value": "v"}],
            "payload": b"hello\n",
            "options": {
                "delay": {"seconds": 5, "nanos": 0},
                "ttl": {"seconds": 60, "nanos": 0},
                "priority": 9,
                "dedup_id": "x",
                "group_id": "g",
                "fair_key": "f",
            },
        },
        "missed": "SKIP",
        "paused": True,
    }
    assert zone.fields["schedule"]["time_zone"] == "Asia/Tokyo"


def test_a_schedule_is_looked_at_and_deleted() -> None:
    """By its queue and its name."""
    show = call_of("schedule", "show", "jobs", "nightly")
    delete = call_of("schedule", "delete", "jobs", "nightly")

    named = {"queue_id": "jobs", "name": "nightly"}
    assert (show.method, show.fields, show.prints_reply) == ("GetSchedule", named, True)
    assert (delete.method, delete.fields, delete.prints_reply) == ("DeleteSchedule", named, False)


def test_schedules_are_listed() -> None:
    """Those of a queue, or of all."""
    assert action_of("schedule", "list") == ListSchedules(queue_id="", output="jsonl")
    assert action_of("schedule", "list", "jobs", "-o", "table") == ListSchedules(
        queue_id="jobs", output="table"
    )


@pytest.mark.parametrize(("command", "is_paused"), [("pause", True), ("resume", False)])
def test_a_schedule_stands_still_and_goes_on(command: str, *, is_paused: bool) -> None:
    """By its queue and its name."""
    assert action_of("schedule", command, "jobs", "nightly") == PauseSchedule(
        queue_id="jobs", name="nightly", is_paused=is_paused, output="jsonl"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["put", "jobs", "a"], "say when: by --cron or --every"),
        (["put", "jobs", "a", "--cron", "", "--time-zone", "UTC"], "say when: by --cron or"),
        (["put", "jobs", "a", "--cron", "x", "--every", "0"], "--cron and --every exclude each"),
        (["put", "jobs", "a", "--every", "1", "--time-zone", "UTC"], "--time-zone needs --cron"),
        (["put", "jobs", "a", "--every", "soon"], "'soon' is no duration"),
        (["put", "jobs", "a", "--every", "1", "--missed", "two"], "'two' is not one of 'skip', 'o"),
        (["put", "jobs", "a", "--every", "1", "--priority", "256"], "256 is not in the range"),
        (["put", "jobs"], "Missing argument 'NAME'"),
        (["pause", "jobs"], "Missing argument 'NAME'"),
        (["bogus"], "No such command 'bogus'"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(arguments: list[str], message: str) -> None:
    """The message says what is wrong with which argument."""
    with pytest.raises(click.UsageError) as refusal:
        action_of("schedule", *arguments)

    assert message in refusal.value.format_message()
