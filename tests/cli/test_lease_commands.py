"""What the commands about leases, settings and dead letters accept, and what they stand for."""

from dataclasses import replace
from typing import Any

import click
import pytest

from qmq.cli.actions import Browse, Call, Lease, Purge, Redrive, Settle, Take, Work
from qmq.values import Durability
from tests.cli.test_commands import action_of, call_of

LEASE = Lease(
    queue_id="ID", output="jsonl", end=b"\n", count=1, wait_s=0.0, lease_s=None, consumer="me"
)
ACK = Settle(method="Ack", queue_id="ID", lease_ids=("a-1",), fields={}, output="jsonl")
NACK = replace(ACK, method="Nack", fields={"kind": "FAIL", "reason": ""})
EXTEND = replace(ACK, method="Extend")
BROWSE = Browse(output="jsonl", count=None, fields={"queue_id": "ID", "states": [], "tags": []})
WORK = Work(
    queue_id="ID",
    command=("resize", "-q"),
    concurrency=1,
    lease_s=None,
    consumer="me",
)


def seconds(whole: int, nanos: int = 0) -> dict[str, int]:
    """A duration as fields."""
    return {"seconds": whole, "nanos": nanos}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("90", seconds(90)),
        ("90s", seconds(90)),
        ("1.5", seconds(1, 500_000_000)),
        (".25", seconds(0, 250_000_000)),
        ("100ms", seconds(0, 100_000_000)),
        ("5m", seconds(300)),
        ("1.5h", seconds(5_400)),
        ("7d", seconds(604_800)),
        ("0", seconds(0)),
    ],
)
def test_a_duration_has_a_unit(text: str, fields: dict[str, int]) -> None:
    """Seconds, unless it says otherwise."""
    assert call_of("update", "ID", "--lease-duration", text).fields["settings"] == {
        "lease_duration": fields
    }


@pytest.mark.parametrize("text", ["", "-1", "5 m", "1w", "m", "1e3", "inf", "nan", "9" * 400])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """It says how one is written."""
    with pytest.raises(click.UsageError) as refusal:
        call_of("update", "ID", "--lease-duration", text)

    assert "is no duration; write 90 or 90s, 100ms, 5m, 2h, 7d" in refusal.value.format_message()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--lease-duration", "1m"], {"lease_duration": seconds(60)}),
        (["--delivery-count-max", "0"], {"delivery_count_max": 0}),
        (["--dead-letter-queue", "dead"], {"dead_letter_queue_id": "dead"}),
        (["--dead-letter-queue", ""], {"dead_letter_queue_id": ""}),
        (["--back-off-base", "0"], {"back_off": {"base": seconds(0)}}),
        (
            ["--back-off-factor", "1.5", "--back-off-max", "1h", "--back-off-jitter", "0"],
            {"back_off": {"factor": 1.5, "max": seconds(3_600), "jitter": 0.0}},
        ),
        (["--durability-min", "fsync"], {"durability_min": "FSYNC"}),
        (["--durability-min", "replicated"], {"durability_min": "REPLICATED"}),
        (["--durability-min", "MEMORY"], {"durability_min": "MEMORY"}),
    ],
)
def test_settings_are_those_that_are_given(options: list[str], settings: dict[str, Any]) -> None:
    """Of a new queue and of one that is there; what is left out is left to the server."""
    new, update = call_of("new", "DISK", "-1", *options), call_of("update", "ID", *options)

    assert new.fields["settings"] == settings
    assert update.fields == {"queue_id": "ID", "settings": settings}
    assert (new.method, update.method) == ("NewQueue", "UpdateQueue")


@pytest.mark.parametrize(("text", "limit"), [("5", 5), ("-1", -1), ("0x10", 16)])
def test_a_limit_is_changed(text: str, limit: int) -> None:
    """It is written as that of a new queue is."""
    assert call_of("update", "ID", "--limit", text).fields == {"queue_id": "ID", "limit": limit}


def test_a_queue_is_paused_and_resumed() -> None:
    """With or without adds."""
    assert call_of("pause", "ID").fields == {"queue_id": "ID", "adds": False}
    assert call_of("pause", "ID", "--adds").fields == {"queue_id": "ID", "adds": True}
    assert call_of("resume", "ID") == Call(
        failure="cannot resume queue",
        method="Resume",
        fields={"queue_id": "ID"},
        output="jsonl",
        is_original=False,
    )


def test_a_purge_may_be_meant() -> None:
    """Or has to be asked about."""
    assert action_of("purge", "ID") == Purge(queue_id="ID", is_sure=False, output="jsonl")
    assert action_of("purge", "ID", "--yes") == Purge(queue_id="ID", is_sure=True, output="jsonl")


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ([], LEASE),
        (["-n", "5", "--wait", "1.5"], replace(LEASE, count=5, wait_s=1.5)),
        (["--wait", "inf"], replace(LEASE, wait_s=float("inf"))),
        (["--wait", "1m"], replace(LEASE, wait_s=60.0)),
        (["--lease-duration", "5m"], replace(LEASE, lease_s=300.0)),
        (["--raw", "-0"], replace(LEASE, output="raw", end=b"\0")),
        (["-o", "json"], replace(LEASE, output="json")),
        (["--durability", "fsync"], replace(LEASE, durability=Durability.FSYNC)),
    ],
)
def test_messages_are_leased(options: list[str], action: Lease) -> None:
    """One unless told otherwise, as JSON lines unless told otherwise."""
    assert action_of("lease", "ID", "--consumer", "me", *options) == action


def test_a_consumer_has_a_name() -> None:
    """Which tells where it is, unless told otherwise."""
    action = action_of("lease", "ID")

    assert isinstance(action, Lease)
    assert action.consumer.startswith("qcli@")


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["ack", "ID", "a-1"], ACK),
        (["ack", "ID", "a-1", "b-1"], replace(ACK, lease_ids=("a-1", "b-1"))),
        (["ack", "ID", "-"], replace(ACK, lease_ids=None)),
        (["nack", "ID", "a-1"], NACK),
        (
            ["nack", "ID", "a-1", "--kind", "release", "--delay", "5m"],
            replace(NACK, fields={"kind": "RELEASE", "reason": "", "delay": seconds(300)}),
        ),
        (
            ["nack", "ID", "-", "--kind", "reject", "--reason", "no such user"],
            replace(NACK, lease_ids=None, fields={"kind": "REJECT", "reason": "no such user"}),
        ),
        (["extend", "ID", "a-1"], EXTEND),
        (
            ["extend", "ID", "a-1", "--lease-duration", "1m", "-o", "table"],
            replace(EXTEND, fields={"lease_duration": seconds(60)}, output="table"),
        ),
        (
            ["ack", "ID", "a-1", "--durability", "memory"],
            replace(ACK, fields={"durability": Durability.MEMORY}),
        ),
        (
            ["nack", "ID", "a-1", "--durability", "OS"],
            replace(NACK, fields={**NACK.fields, "durability": Durability.OS}),
        ),
        (
            ["extend", "ID", "a-1", "--durability", "fsync"],
            replace(EXTEND, fields={"durability": Durability.FSYNC}),
        ),
    ],
)
def test_leases_are_settled(arguments: list[str], action: Settle) -> None:
    """By their ids, or by what standard input holds."""
    assert action_of(*arguments) == action


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ([], BROWSE),
        (["-o", "table", "-n", "5"], replace(BROWSE, output="table", count=5)),
        (["-o", "raw"], replace(BROWSE, output="raw")),
        (
            ["--state", "leased", "--state", "delayed", "-t", "k=v"],
            replace(
                BROWSE,
                fields={
                    "queue_id": "ID",
                    "states": ["LEASED", "DELAYED"],
                    "tags": [{"key": "k", "value": "v"}],
                },
            ),
        ),
        (
            ["--selector", "k in (v,w),!old", "--group", "order-17", "--fair-key", "ann"],
            replace(
                BROWSE,
                fields={
                    **BROWSE.fields,
                    "selector": "k in (v,w),!old",
                    "group_id": "order-17",
                    "fair_key": "ann",
                },
            ),
        ),
        (
            ["--older-than", "1h", "--newer-than", "2h"],
            replace(
                BROWSE,
                fields={**BROWSE.fields, "age_min": seconds(3_600), "age_max": seconds(7_200)},
            ),
        ),
    ],
)
def test_messages_are_browsed(options: list[str], action: Browse) -> None:
    """All of them, unless told otherwise."""
    assert action_of("browse", "ID", *options) == action


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T13:56:22.008101953Z", {"seconds": 1_795_528_582, "nanos": 8_101_953}),
        ("2026-11-24T13:56:22Z", {"seconds": 1_795_528_582, "nanos": 0}),
        ("2026-11-24T14:56:22.5+01:00", {"seconds": 1_795_528_582, "nanos": 500_000_000}),
    ],
)
def test_a_moment_is_read_to_the_nanosecond(text: str, moment: dict[str, int]) -> None:
    """As qcli prints it."""
    assert call_of("explain", "ID", "M", "--created", text).fields == {
        "queue_id": "ID",
        "message_id": "M",
        "created": moment,
    }


def test_a_redrive_is_started() -> None:
    """With what is given, and no more."""
    start = call_of("redrive", "start", "dead")

    assert start.fields == {
        "queue_id": "dead",
        "target_queue_id": "",
        "tags": [],
        "reasons": [],
        "text": "",
        "dry_run": False,
    }
    assert call_of(
        *("redrive", "start", "dead", "--to", "jobs", "-tk=v", "--reason", "rejected"),
        *("--reason", "delivery-count-max", "--text", "disk", "--older-than", "1m"),
        *("--newer-than", "1h", "--rate", "2.5", "--max", "10", "--failed-again-max", "1"),
    ).fields == {
        "queue_id": "dead",
        "target_queue_id": "jobs",
        "tags": [{"key": "k", "value": "v"}],
        "reasons": ["REJECTED", "DELIVERY_COUNT_MAX"],
        "text": "disk",
        "dry_run": False,
        "age_min": seconds(60),
        "age_max": seconds(3_600),
        "messages_per_second": 2.5,
        "messages_max": 10,
        "failed_again_max": 1.0,
    }


@pytest.mark.parametrize("option", ["--follow", "--dry-run"])
def test_a_redrive_is_followed(option: str) -> None:
    """A dry run in any case: it is its end that says something."""
    action = action_of("redrive", "start", "dead", option)

    assert isinstance(action, Redrive)
    assert action.start is not None
    assert action.start.fields["dry_run"] == (option == "--dry-run")


def test_a_redrive_is_looked_at_and_stopped() -> None:
    """By its id."""
    assert call_of("redrive", "show", "ID").fields == {"redrive_id": "ID"}
    assert call_of("redrive", "stop", "ID").fields == {"redrive_id": "ID"}
    assert call_of("redrive", "list").fields == {}
    assert action_of("redrive", "show", "ID", "--follow") == Redrive(
        start=None, redrive_id="ID", output="jsonl"
    )


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["--", "resize", "-q"], WORK),
        (["-c", "4", "--", "resize", "-q"], replace(WORK, concurrency=4)),
        (["--lease-duration", "1m", "--", "resize", "-q"], replace(WORK, lease_s=60.0)),
        (["--", "sh", "-c", "--", "{}"], replace(WORK, command=("sh", "-c", "--", "{}"))),
        (["--durability", "os", "--", "resize", "-q"], replace(WORK, durability=Durability.OS)),
    ],
)
def test_a_command_is_run(arguments: list[str], action: Work) -> None:
    """What stands behind -- is left to it."""
    assert action_of("work", "ID", "--consumer", "me", *arguments) == action


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["update", "ID"], "nothing to change: give at least one setting, or --limit"),
        (["update", "ID", "--durability-min", "best"], "'best' is not one of 'memory', 'os', 'fs"),
        (["new", "DISK", "1", "--back-off-jitter", "x"], "'x' is not a valid float"),
        (["ack", "ID", "a-1", "--durability", ""], "'' is not one of 'memory', 'os', 'fsync'"),
        (["lease", "ID", "--count", "0"], "0 is not in the range x>=1"),
        (["lease", "ID", "--null"], "--null needs --raw"),
        (["lease", "ID", "--wait", "-1"], "-1 is no number of seconds, 0 or more"),
        (["ack", "ID"], "Missing argument 'LEASE_ID...'"),
        (["ack", "ID", "-", "a-1"], "- reads all lease ids from standard input; give it alone"),
        (["nack", "ID", "a-1", "--kind", "bury"], "'bury' is not one of 'release', 'fail', 're"),
        (["nack", "ID", "a-1", "--kind", "reject", "--delay", "1"], "--delay makes no sense with"),
        (["browse", "ID", "--state", "dead"], "'dead' is not one of 'ready', 'leased', 'delayed'"),
        (["explain", "ID"], "Missing argument 'MESSAGE_ID'"),
        (["explain", "ID", "M", "--created", "now"], "'now' is no moment; write it as 2026-11-24"),
        (["explain", "ID", "M", "--created", "2026-13-24T00:00:00Z"], "is no moment"),
        (["redrive", "start", "dead", "--rate", "0"], "0.0 is not in the range x>0"),
        (["redrive", "start", "dead", "--reason", "old"], "'old' is not one of 'rejected', 'deli"),
        (["redrive", "bogus"], "No such command 'bogus'"),
        (["work", "ID"], "Missing argument '-- COMMAND [ARGS]...'"),
        (["work", "ID", "--concurrency", "0", "--", "x"], "0 is not in the range 1<=x<=1000"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(arguments: list[str], message: str) -> None:
    """The message says what is wrong with which argument."""
    with pytest.raises(click.UsageError) as refusal:
        action_of(*arguments)

    assert message in refusal.value.format_message()


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["lease", "-l", "a=b"], replace(LEASE, queue_id="", selector="a=b")),
        (
            ["work", "-l", "a=b", "--", "resize", "-q"],
            replace(WORK, queue_id="", selector="a=b"),
        ),
        (
            ["work", "--selector", "a=b", "resize"],
            replace(WORK, queue_id="", selector="a=b", command=("resize",)),
        ),
        (
            ["pop", "-l", "a=b"],
            Take(queue_id="", selector="a=b", output="json", end=b"\n", count=1, wait_s=0.0),
        ),
    ],
)
def test_a_selector_takes_the_place_of_a_queue(arguments: list[str], action: object) -> None:
    """Where messages are leased or popped."""
    consumer = [] if arguments[0] == "pop" else ["--consumer", "me"]
    assert action_of(arguments[0], *consumer, *arguments[1:]) == action


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["lease"], "Missing argument 'ID'; --selector takes its place."),
        (["lease", "ID", "-l", "a"], "--selector takes the place of an ID, and there is 'ID'"),
        (["pop", "ID", "-l", "a"], "--selector takes the place of an ID, and there is 'ID'"),
        (["work"], "Missing argument 'ID'; --selector takes its place."),
        (["work", "ID"], "Missing argument '-- COMMAND [ARGS]...'."),
        (["work", "-l", "a"], "Missing argument '-- COMMAND [ARGS]...'."),
    ],
)
def test_a_command_needs_a_queue_or_a_selector(arguments: list[str], error: str) -> None:
    """One of them, and a command what to run."""
    with pytest.raises(click.UsageError) as refusal:
        action_of(*arguments)

    assert refusal.value.message == error
