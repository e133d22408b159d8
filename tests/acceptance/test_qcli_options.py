"""When messages are handed out, and how often they are added: options of `qcli add` and `new`."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.command_line import Qcli, made, put, stats
from tests.acceptance.warm import Done


def told(done: Done) -> dict[str, Any]:
    """The reply of a command that succeeded."""
    assert (done.returncode, done.stderr) == (0, b"")
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply


def browsed(qcli: Qcli, queue: str) -> list[dict[str, Any]]:
    """The messages of a queue."""
    done = qcli("browse", queue)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_message_has_options(qcli: Qcli, queue: str) -> None:
    """The reply tells of them, and so does who has the message or looks at it."""
    day = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    moments = ["--at", f"{day}T08:00Z", "--expires-at", f"{day}T10:00:00.5+01:00"]
    added = told(qcli("add", queue, *moments))
    urgent = told(qcli("add", queue, "--priority", "9", "--dedup-id", "17", payload=b"x"))
    qcli("add", queue, "--delay", "1h", "--ttl", "2h")
    qcli("add", queue, payload=b"plain")

    table = qcli("browse", queue, "-o", "table").stdout.decode().splitlines()
    explained = qcli("explain", queue, urgent["message"]["meta"]["id"], "-o", "table").stdout

    assert added["message"]["options"] == {
        "available_at": f"{day}T08:00:00Z",
        "expires_at": f"{day}T09:00:00.500Z",
    }
    assert urgent["message"]["options"] == {"priority": 9, "dedup_id": "17"}
    by_state = {(each["state"], each.get("dedup_id", "")): each for each in browsed(qcli, queue)}
    assert by_state["READY", "17"]["options"] == {"priority": 9}
    assert by_state["READY", ""].keys() & {"options", "dedup_id"} == set()
    assert [*by_state["DELAYED", ""]["options"]] == ["available_at", "expires_at"]
    assert table[0].split()[4:] == ["PRIORITY", "EXPIRES", "DEDUP-ID", "PAYLOAD"]
    assert any(f"{day} 09:00:00Z" in line for line in table)
    assert b"priority     9\n" in explained
    assert b"dedup id     17\n" in explained
    assert json.loads(qcli("pop", queue, "--jsonl").stdout)["options"] == {"priority": 9}
    assert qcli("pop", queue, "--all", "--raw").stdout == b"plain\n"


def test_a_message_is_added_once(qcli: Qcli, queue: str) -> None:
    """The reply says so, and is about the first one."""
    first = told(qcli("add", queue, "--dedup-id", "17", "-tk=v", payload=b"a"))
    again = told(qcli("add", queue, "--dedup-id", "17", payload=b"b"))

    assert "deduplicated" not in first
    assert again == {"message": {"meta": first["message"]["meta"]}, "deduplicated": True}
    counts = stats(qcli, queue)
    assert [counts[name] for name in ("ready", "deduplicated_total", "dedup_ids")] == [1, 1, 1]


@pytest.mark.parametrize("how", ["--lines", "--jsonl"])
def test_every_line_has_the_options_that_are_given(qcli: Qcli, queue: str, how: str) -> None:
    """In front of a message without."""
    put(qcli, queue, b"plain")
    text = b"a\nb\n" if how == "--lines" else b'{"payload":"a"}\n{"payload":"b"}\n'

    done = qcli("add", queue, how, "--priority", "9", "--ttl", "1h", payload=text)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert qcli("pop", queue, "--all", "--raw").stdout == b"a\nb\nplain\n"


def test_a_line_may_have_options_of_its_own(qcli: Qcli, queue: str) -> None:
    """They go before those of all lines; how many were there already is said."""
    lines = [
        {"payload": "low"},
        {"payload": "high", "options": {"priority": 9}},
        {"payload": "later", "options": {"delay": "3600s"}},
        {"payload": "once", "options": {"dedup_id": "1"}},
        {"payload": "again", "options": {"dedup_id": "1"}},
    ]
    text = "\n".join(map(json.dumps, lines)).encode()

    done = qcli(
        "add", queue, "--jsonl", "--priority", "3", "--at", "2001-01-01T00:00Z", payload=text
    )
    once_more = qcli("add", queue, "--jsonl", payload=text.splitlines()[3])

    note = "not added, since the queue knows the dedup_id\n"
    assert (done.returncode, done.stdout) == (once_more.returncode, once_more.stdout) == (0, b"")
    assert done.stderr.decode() == once_more.stderr.decode() == f"qcli: 1 line was {note}"
    assert [
        (each["payload"], each["state"], each["options"]["priority"])
        for each in sorted(browsed(qcli, queue), key=lambda each: each["created"])
    ] == [
        ("low", "READY", 3),
        ("high", "READY", 9),
        ("later", "DELAYED", 3),
        ("once", "READY", 3),
    ]


def test_a_bad_option_is_named(qcli: Qcli, queue: str) -> None:
    """By the line, where there are several; those before it are stored."""
    good, bad = b'{"payload":"a"}\n', b'{"payload":"b","options":{"priority":256}}\n'

    alone = qcli("add", queue, "--expires-at", "2001-01-01T00:00Z")
    among = qcli("add", queue, "--jsonl", payload=good + bad + good)

    assert b"INVALID_ARGUMENT: message.options.expires_at: must be later than now" in alone.stderr
    assert b"cannot add line 2 to queue: INVALID_ARGUMENT: options.priority: " in among.stderr
    assert stats(qcli, queue)["ready"] == 1


def test_messages_are_moved_with_their_options(qcli: Qcli, queue: str) -> None:
    """But for the dedup_id, so that they can be put back where they came from."""
    qcli("add", queue, "--priority", "9", "--ttl", "1h", "--dedup-id", "17", payload=b"x")

    taken = qcli("pop", queue, "--jsonl").stdout
    done = qcli("add", queue, "--jsonl", payload=taken)
    (back,) = browsed(qcli, queue)

    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(taken)["dedup_id"] == "17"
    assert back["options"]["priority"] == 9
    # To the nanosecond but for what passes between two looks at one clock.
    assert back["options"]["expires_at"][:22] == json.loads(taken)["options"]["expires_at"][:22]
    assert "dedup_id" not in back


def test_a_queue_has_settings_for_all_of_its_messages(qcli: Qcli) -> None:
    """Those that somebody chose are shown, one a column in a table; they can be put back."""
    dead = made(qcli)
    chosen = [
        *("--dead-letter-queue", dead, "--delay", "5m", "--ttl", "1d", "--dead-letter-expired"),
        *("--dedup-window", "1h", "--priority-ageing", "10ms", "--bytes-limit", "1000000"),
        *("--overflow", "dead-letter-oldest", "--leased-max", "20", "--rate", "100"),
        *("--burst", "7"),
    ]
    default = [
        *("--delay", "0", "--ttl", "0", "--no-dead-letter-expired", "--dedup-window", "5m"),
        *("--priority-ageing", "0", "--bytes-limit", "0", "--overflow", "reject"),
        *("--leased-max", "0", "--rate", "0", "--burst", "0", "--dead-letter-queue", ""),
    ]

    queue = told(qcli("new", "MEMORY", "-1", *chosen))["queue"]
    table = qcli("get", queue["meta"]["id"], "-o", "table").stdout.decode()
    record = json.loads(qcli("update", queue["meta"]["id"], *default).stdout)

    assert queue["settings"] == {
        "dead_letter_queue_id": dead,
        "delay": "300s",
        "ttl": "86400s",
        "dead_letter_expired": True,
        "dedup_window": "3600s",
        "priority_ageing": "0.010s",
        "bytes_limit": "1000000",
        "overflow": "DEAD_LETTER_OLDEST",
        "leased_max": 20,
        "rate": {"messages_per_second": 100.0, "burst": 7},
    }
    for title in ("DELAY", "TTL", "DEDUP-WINDOW", "AGEING", "BYTES-LIMIT", "OVERFLOW", "RATE"):
        assert f" {title} " in table
    assert "settings" not in told(qcli("get", queue["meta"]["id"]))["queue"]
    assert (record["delay_s"], record["overflow"], record["messages_per_second"]) == (
        0.0,
        "REJECT",
        0.0,
    )


def test_what_has_to_go_is_counted(qcli: Qcli) -> None:
    """In a table, where there is any."""
    queue = made(qcli)
    plain = qcli("stats", queue, "-o", "table").stdout.decode()
    qcli("update", queue, "--limit", "1", "--overflow", "drop-oldest")

    for text in (b"a", b"b"):
        qcli("add", queue, "--dedup-id", text.decode(), payload=text)
    table = qcli("stats", queue, "-o", "table").stdout.decode()

    assert plain.splitlines()[0].split()[-1] == "DEAD"
    assert table.splitlines()[0].split()[-2:] == ["OVERFLOWED", "DEDUP-IDS"]
    assert table.splitlines()[1].split()[-2:] == ["1", "2"]
    assert json.loads(qcli("stats", queue).stdout)["overflowed_total"] == 1
