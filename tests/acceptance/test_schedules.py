"""Schedules, as REST clients and qcli see them: of the real program, whatever ends it."""

import base64
import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.command_line import Qcli
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.test_redrive import asked

#: Seconds that anything may take that is waited for.
_PATIENCE_S = 60.0

YEARLY = "0 0 1 1 *"


def made(q: RunningQ, store: str = "MEMORY", **fields: object) -> str:
    """Make a queue, and return its id."""
    queue = asked(q, "POST", "/v1/queues", {"store": store, **fields})
    return str(queue["queue"]["meta"]["id"])


def put(q: RunningQ, queue: str, called: str, /, **fields: object) -> dict[str, Any]:
    """Make or change a schedule."""
    path = f"/v1/queues/{queue}/schedules/{called}"
    schedule: dict[str, Any] = asked(q, "PUT", path, fields)["schedule"]
    return schedule


def got(q: RunningQ, queue: str, name: str) -> dict[str, Any]:
    """Return a schedule."""
    path = f"/v1/queues/{queue}/schedules/{name}"
    schedule: dict[str, Any] = asked(q, "GET", path)["schedule"]
    return schedule


def added(q: RunningQ, queue: str, name: str, count: int) -> dict[str, Any]:
    """Wait until a schedule has added so many messages, and return it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        schedule = got(q, queue, name)
        if int(schedule.get("added", 0)) >= count:
            return schedule
        assert time.monotonic() < deadline, schedule
        time.sleep(0.02)


def popped(q: RunningQ, queue: str) -> list[dict[str, Any]]:
    """Take all messages of a queue."""
    body = {"messages_max": 1_000}
    reply = asked(q, "POST", f"/v1/queues/{queue}/messages:pop", body)
    messages: list[dict[str, Any]] = reply.get("messages", [])
    return messages


def at(text: str) -> datetime:
    """Read a moment as REST writes it, to the microsecond."""
    return datetime.fromisoformat(f"{text[:26]}Z" if len(text) > 27 else text)


@pytest.mark.parametrize("store", ["MEMORY", "DISK"])
def test_life_of_a_schedule(shared_q: RunningQ, store: str) -> None:
    """It is made, adds messages, is changed, paused, listed and deleted: all of it by REST."""
    q, queue = shared_q, made(shared_q, store)
    payload = base64.b64encode(b"tick").decode()
    tags = [{"key": "kind", "value": "greeting"}]
    message = {"payload": payload, "tags": tags, "options": {"ttl": "60s", "priority": 3}}

    first = put(q, queue, "tick", interval="1s", message=message)
    ticked = added(q, queue, "tick", 2)
    paused = put(q, queue, "tick", **{**ticked, "paused": True})
    listed = asked(q, "GET", f"/v1/queues/{queue}/schedules")["schedules"]
    everywhere = asked(q, "GET", "/v1/schedules")["schedules"]
    messages = popped(q, queue)
    asked(q, "DELETE", f"/v1/queues/{queue}/schedules/tick")

    assert (first["queue_id"], first["name"], first["missed"]) == (queue, "tick", "ONE")
    assert first["message"] == message
    assert at(first["next"]) == at(first["created"]) + timedelta(seconds=1)
    assert "added" not in first
    assert "next" not in paused
    assert listed == [paused]
    assert paused in everywhere
    assert len(messages) == int(paused["added"])
    assert {each["payload"] for each in messages} == {payload}
    assert [each["meta"]["tags"] for each in messages[:2]] == [tags, tags]
    # Each came at its tick, and not before.
    for number, each in enumerate(messages[:2], 1):
        late = at(each["meta"]["created"]) - at(first["created"]) - timedelta(seconds=number)
        assert timedelta() <= late < timedelta(seconds=5), late
    assert "schedules" not in asked(q, "GET", f"/v1/queues/{queue}/schedules")


def test_refusals_by_rest(shared_q: RunningQ) -> None:
    """Each by its status: what breaks a rule, what is unknown, what is not there."""
    queue = made(shared_q)
    path = f"/v1/queues/{queue}/schedules"

    found = [
        rest(shared_q.address, method, f"{path}/{name}", body).refusal
        for method, name, body in (
            ("PUT", "a", {"cron": "61 * * * *"}),
            ("PUT", "a", {"cron": YEARLY, "interval": "5s"}),
            ("PUT", "a", {"cron": YEARLY, "missed": "TWICE"}),
            ("PUT", "a", {"crom": YEARLY}),
            ("PUT", "a%20b", {"cron": YEARLY}),
            ("GET", "a", None),
            ("DELETE", "a", None),
            ("POST", "a", {"cron": YEARLY}),
        )
    ]

    nothing = f"queue {queue} has no schedule named 'a'"
    assert [(status, code) for status, code, _ in found] == [
        *[(400, 3)] * 5,
        *[(404, 5)] * 2,
        (405, 12),
    ]
    texts = [text for _, _, text in found]
    assert texts[0] == "schedule.cron: '61 * * * *': bad minute"
    assert texts[1] == "schedule: must have either cron or interval, and not both"
    assert texts[3] == 'unknown field "crom" in proto.Schedule'
    assert texts[4].startswith("name: must be 1 to 80 of ")
    assert texts[5:7] == [nothing, nothing]
    assert texts[7].endswith("use DELETE or GET or PUT")


def test_schedules_outlive_the_server(q_server: RunningQ) -> None:
    """Those of DISK queues, with all they are; those of MEMORY queues end with it."""
    q = q_server
    disk, memory = made(q, "DISK", name="kept"), made(q, "MEMORY")
    for queue in (disk, memory):
        put(q, queue, "yearly", cron=YEARLY, time_zone="Asia/Tokyo", message={"payload": "eA=="})
    before = got(q, "kept", "yearly")
    gone = made(q, "DISK")
    put(q, gone, "yearly", cron=YEARLY)
    asked(q, "DELETE", f"/v1/queues/{gone}")

    q.stop()
    q.start()

    assert asked(q, "GET", "/v1/schedules") == {"schedules": [before]}
    assert asked(q, "GET", f"/v1/queues/{disk}/schedules")["schedules"] == [before]


def test_kill_neither_loses_nor_doubles_a_tick(q_server: RunningQ) -> None:
    """After several times of kill -9 there is one message for each second that has passed."""
    q, queue = q_server, made(q_server, "DISK")
    first = put(q, queue, "tick", interval="1s", missed="ALL", message={"payload": "eA=="})
    for pause_s in (0.1, 0.45, 0.7, 1.4):
        added(q, queue, "tick", int(got(q, queue, "tick").get("added", 0)) + 1)
        time.sleep(pause_s)
        q.kill()
        q.start()
    added(q, queue, "tick", int(got(q, queue, "tick").get("added", 0)) + 1)

    last = put(q, queue, "tick", **{**got(q, queue, "tick"), "paused": True})
    messages = popped(q, queue)

    passed = at(last["last"]) - at(first["created"])
    assert int(last["added"]) == len(messages) == passed // timedelta(seconds=1)
    assert len({each["meta"]["id"] for each in messages}) == len(messages)
    assert {"missed_ticks", "refused", "deduplicated", "obstacle"}.isdisjoint(last)


def test_what_was_missed_is_told(q_server: RunningQ) -> None:
    """One message for all ticks while q was down, and none of those that are to be skipped."""
    q, queue = q_server, made(q_server, "DISK", name="jobs")
    put(q, queue, "one", interval="1s", message={"payload": "eA=="})
    put(q, queue, "skip", interval="1s", missed="SKIP", message={"payload": "eQ=="})
    q.stop()
    time.sleep(3.2)
    q.start()

    one, skip = (got(q, queue, name) for name in ("one", "skip"))

    missed, skipped = int(one["missed_ticks"]), int(skip["missed_ticks"])
    passed = (at(one["last"]) - at(one["created"])) // timedelta(seconds=1)
    assert missed >= 2
    assert int(one["added"]) == passed - missed
    # Their seconds do not begin at the same moment.
    assert skipped - missed in (0, 1, 2)
    metrics = rest(q.metrics_address, "GET", "/metrics").body.decode()
    assert f'queue_schedules{{queue="{queue}"}} 2.0' in metrics
    ticks = f'queue_schedule_ticks_total{{outcome="missed",queue="{queue}"}}'
    assert f"{ticks} {missed + skipped}.0" in metrics


def test_qcli_makes_pauses_and_deletes(bare_q: RunningQ) -> None:
    """And lists what there is, in lines, as JSON and as a table."""
    qcli, queue = Qcli(bare_q.address), made(bare_q, "DISK", name="reports")

    def said(*arguments: str, payload: bytes = b"") -> str:
        done = qcli("schedule", *arguments, payload=payload)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout.decode()

    made_one = json.loads(
        said("put", "reports", "nightly", "--cron", YEARLY, "-t", "a=b", payload=b"hello")
    )
    said("put", "reports", "check", "--every", "1h", "--missed", "skip", payload=b"")
    paused = json.loads(said("pause", "reports", "nightly"))
    shown = json.loads(said("show", "reports", "nightly", "-o", "json"))["schedule"]
    lines = [json.loads(line) for line in said("list").splitlines()]
    title, *table = said("list", "reports", "-o", "table").splitlines()
    resumed = json.loads(said("resume", "reports", "nightly"))
    deleted = said("delete", "reports", "check")
    missing = qcli("schedule", "delete", "reports", "check")

    assert (made_one["payload"], made_one["tags"], made_one["queue_id"]) == (
        "hello",
        {"a": "b"},
        queue,
    )
    assert (paused["paused"], paused["next"], shown["paused"]) == (True, None, True)
    assert resumed == made_one
    assert [each["name"] for each in lines] == ["check", "nightly"]
    assert title.split()[:4] == ["QUEUE", "NAME", "WHEN", "NEXT"]
    assert [line.split()[:2] for line in table] == [["reports", "check"], ["reports", "nightly"]]
    assert deleted == ""
    assert missing.returncode == 1
    assert missing.stderr.decode() == (
        "qcli: error: cannot delete schedule: NOT_FOUND:"
        f" queue {queue} has no schedule named 'check'\n"
    )


def test_qcli_lists_more_than_a_reply_carries(bare_q: RunningQ) -> None:
    """Page by page, as one list."""
    q, qcli = bare_q, Qcli(bare_q.address)
    large = base64.b64encode(bytes(60_000)).decode()
    queue = made(q, "MEMORY")
    for number in range(80):
        put(q, queue, f"n{number:02}", cron=YEARLY, message={"payload": large})

    first = asked(q, "GET", "/v1/schedules")
    done = qcli("schedule", "list")

    assert len(first["schedules"]) < 80
    assert first["next_page_token"]
    names = [json.loads(line)["name"] for line in done.stdout.splitlines()]
    assert names == [f"n{number:02}" for number in range(80)]
