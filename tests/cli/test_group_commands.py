"""What the commands about groups accept, and what they stand for."""

import click
import pytest

from qmq.cli.actions import ListGroups
from qmq.wire import q_pb2 as pb
from tests.cli.test_commands import action_of, call_of


def test_groups_are_listed() -> None:
    """All of a queue, or those in some states."""
    assert action_of("group", "list", "jobs") == ListGroups(
        queue_id="jobs", states=(), output="jsonl"
    )
    some = action_of(
        *("group", "list", "jobs", "--state", "parked", "--state", "delayed", "-o", "table")
    )
    assert some == ListGroups(queue_id="jobs", states=("PARKED", "DELAYED"), output="table")


@pytest.mark.parametrize(
    ("arguments", "method", "fields"),
    [
        (["pause"], "PauseGroup", {}),
        (["resume"], "ResumeGroup", {}),
        (["skip"], "SkipGroup", {}),
        (["skip", "-n", "1000"], "SkipGroup", {"messages_max": 1_000}),
    ],
)
def test_a_group_is_looked_after(
    arguments: list[str], method: str, fields: dict[str, object]
) -> None:
    """By its queue and its name, which may begin with a dash; what becomes of it is shown."""
    call = call_of("group", *arguments, "--", "jobs", "-a b")

    assert (call.method, call.is_original, call.output) == (method, False, "jsonl")
    assert call.failure == f"cannot {arguments[0]} group"
    assert call.fields == {"queue_id": "jobs", "group_id": "-a b", **fields}
    getattr(pb, f"{method}Request")(**call.fields)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list"], "Missing argument 'ID'"),
        (["list", "jobs", "--state", "busy"], "'busy' is not one of 'ready', 'leased', "),
        (["pause", "jobs"], "Missing argument 'GROUP'"),
        (["skip", "jobs", "a", "-n", "0"], "0 is not in the range 1<=x<=1000"),
        (["skip", "jobs", "a", "-n", "1001"], "1001 is not in the range 1<=x<=1000"),
        (["bogus"], "No such command 'bogus'"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(arguments: list[str], message: str) -> None:
    """The message says what is wrong with which argument."""
    with pytest.raises(click.UsageError) as refusal:
        action_of("group", *arguments)

    assert message in refusal.value.format_message()
