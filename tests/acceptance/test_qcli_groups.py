"""Groups and fair keys on the command line."""

import json
from typing import Any

import pytest

from tests.acceptance.command_line import Qcli, made
from tests.acceptance.warm import Done


def records(done: Done) -> list[dict[str, Any]]:
    """The lines of a command that succeeded."""
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(done: Done) -> list[list[str]]:
    """The words of each line of a table."""
    assert (done.returncode, done.stderr) == (0, b"")
    return [line.split() for line in done.stdout.decode().splitlines()]


def test_a_message_has_a_group_and_a_fair_key(qcli: Qcli, queue: str) -> None:
    """Also one of many; what one queue printed, another one reads."""
    other = made(qcli)
    qcli("add", queue, "--group", "g 1", "--fair-key", "k", payload=b"a")
    line = b'{"payload": "b", "options": {"group_id": "own"}}'
    qcli("add", queue, "--jsonl", "--group", "g 2", "--fair-key", "k", payload=line)

    shown = table(qcli("browse", queue, "-o", "table"))
    popped = qcli("pop", queue, "--all", "--jsonl").stdout
    qcli("add", other, "--jsonl", payload=popped)
    moved = records(qcli("pop", other, "--all", "--jsonl"))

    assert shown[0][4:] == ["GROUP", "FAIR-KEY", "PAYLOAD"]
    assert [each["options"] for each in moved] == [
        {"group_id": "g 1", "fair_key": "k"},
        {"group_id": "own", "fair_key": "k"},
    ]


def test_groups_are_looked_after(qcli: Qcli, queue: str, dead: str) -> None:
    """Listed, paused, skipped, and let go on."""
    qcli("update", queue, "--dead-letter-queue", dead, "--park-after", "1")
    qcli("add", queue, "--lines", "--group", "stuck", payload=b"1\n2\n3\n")
    (lease,) = records(qcli("lease", queue))
    qcli("add", queue, "--group", "fine", payload=b"4")
    qcli("nack", queue, lease["lease_id"], "--delay", "0")
    (paused,) = records(qcli("group", "pause", queue, "fine"))

    listed = table(qcli("group", "list", queue, "-o", "table"))
    parked = records(qcli("group", "list", queue, "--state", "parked"))
    skipped = records(qcli("group", "skip", queue, "stuck", "-n", "2"))
    (resumed,) = records(qcli("group", "resume", queue, "fine"))
    counts = table(qcli("stats", queue, "-o", "table"))

    assert (paused["group_id"], paused["state"], paused["waiting"]) == ("fine", "PAUSED", 1)
    assert listed[0] == ["GROUP", "STATE", "WAITING", "LEASED", "SINCE"]
    assert [row[:4] for row in listed[1:]] == [
        ["fine", "paused", "1", "0"],
        ["stuck", "parked", "3", "0"],
    ]
    assert [group["group_id"] for group in parked] == ["stuck"]
    assert skipped == [
        {
            "skipped": 2,
            "group_id": "stuck",
            "state": "READY",
            "waiting": 1,
            "leased": 0,
            "since": None,
        }
    ]
    assert resumed["since"] is None
    assert counts[0][-1] == "GROUPS"
    assert sorted(qcli("pop", queue, "--all", "--raw").stdout.split()) == [b"3", b"4"]
    assert qcli("pop", dead, "--all", "--raw").stdout == b"1\n2\n"


@pytest.mark.parametrize("output", ["jsonl", "json", "table"])
def test_any_number_of_groups_is_listed(qcli: Qcli, queue: str, output: str) -> None:
    """More than a page has."""
    lines = "\n".join(
        json.dumps({"payload": "", "options": {"group_id": f"g{number:04}"}})
        for number in range(1_100)
    )
    qcli("add", queue, "--jsonl", payload=lines.encode())

    done = qcli("group", "list", queue, "-o", output)

    names = [word for word in done.stdout.decode().replace('"', " ").split() if word[:2] == "g1"]
    assert names == [f"g{number:04}" for number in range(1_000, 1_100)]
    assert done.returncode == 0


def test_fair_keys_share_a_queue(qcli: Qcli, queue: str) -> None:
    """As its settings say, which are shown; and so is who has how many messages."""
    qcli("update", queue, "--fair-weight", "a=2", "--fair-leased-max", "9", "--fair-rate", "1000")
    qcli("add", queue, "--lines", "--fair-key", "a", payload=b"a1\na2\na3\n")
    qcli("add", queue, "--lines", "--fair-key", "b", payload=b"b1\nb2\n")

    counts = table(qcli("stats", queue, "-o", "table"))
    (record,) = records(qcli("stats", queue))
    settings = table(qcli("get", queue, "-o", "table"))
    plain = json.loads(qcli("get", queue).stdout)["queue"]["settings"]

    assert counts[0][-1] == "FAIR-KEYS"
    assert counts[2:] == [
        [],
        ["FAIR-KEY", "WEIGHT", "WAITING", "LEASED"],
        ["a", "2", "3", "0"],
        ["b", "1", "2", "0"],
    ]
    assert record["top_fair_keys"][0] == {
        "fair_key": "a",
        "weight": 2,
        "waiting": 3,
        "leased": 0,
    }
    assert {"FAIR-LEASED-MAX", "FAIR-RATE", "FAIR-WEIGHTS"} < {*settings[0]}
    assert plain == {
        "fairness": {
            "leased_max": 9,
            "rate": {"messages_per_second": 1000.0},
            "weights": {"a": 2},
        }
    }
    assert qcli("pop", queue, "--all", "--raw").stdout == b"a1\nb1\na2\nb2\na3\n"


def test_what_breaks_a_rule_is_named(qcli: Qcli, queue: str) -> None:
    """By the server, as everywhere."""
    done = qcli("group", "pause", queue, "x" * 129)
    unknown = qcli("group", "list", "nobody")

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == (
        b"qcli: error: cannot pause group: INVALID_ARGUMENT: group_id: takes 129 bytes,"
        b" more than 128\n"
    )
    assert unknown.stderr.startswith(b"qcli: error: cannot list groups: INVALID_ARGUMENT: ")
