"""Dead letters and redrives, as REST and gRPC clients of the real program see them."""

import base64
import json
import subprocess
import time
from typing import Any

import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, connected
from tests.documents import blocks, page

STORES = pytest.mark.parametrize("store", ["MEMORY", "DISK"])

#: Seconds that a redrive may take.
_PATIENCE_S = 60.0

_BATCH = 1_000

PAGE = page("docs/dead-letters.md")


def asked(q: RunningQ, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
    """Return the JSON of an answer that is none of an error."""
    reply = rest(q.address, method, path, body)
    assert reply.status == 200, reply
    return reply.json


def refused(q: RunningQ, method: str, path: str, body: object = None) -> RestReply:
    """Return the answer to a request that fails."""
    reply = rest(q.address, method, path, body)
    assert reply.status >= 400, reply
    return reply


def made(q: RunningQ, store: str) -> tuple[str, str]:
    """Make a queue and its dead-letter queue, by REST; return the ids of both."""
    dead = asked(q, "POST", "/v1/queues", {"store": store})["queue"]["meta"]["id"]
    settings = {"dead_letter_queue_id": dead, "delivery_count_max": 2, "back_off": {"base": "0s"}}
    jobs = asked(q, "POST", "/v1/queues", {"store": store, "settings": settings})
    return jobs["queue"]["meta"]["id"], dead


def rest_ended(q: RunningQ, redrive_id: str) -> dict[str, Any]:
    """Wait until a redrive has ended, and return it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        redrive: dict[str, Any] = asked(q, "GET", f"/v1/redrives/{redrive_id}")["redrive"]
        if redrive["state"] != "RUNNING":
            return redrive
        assert time.monotonic() < deadline, redrive
        time.sleep(0.01)


@STORES
def test_life_of_a_dead_letter(shared_q: RunningQ, store: str) -> None:
    """It dies, tells of it, is counted, goes back, and is worked on: all of it by REST."""
    q = shared_q
    jobs, dead = made(q, store)
    payload = base64.b64encode(b"work").decode()
    tags = [{"key": "kind", "value": "mail"}]
    asked(q, "POST", f"/v1/queues/{jobs}", {"payload": payload, "tags": tags})
    for consumer in ("one", "two"):
        leases = asked(q, "POST", f"/v1/queues/{jobs}/messages:lease", {"consumer": consumer})
        [leased] = leases["messages"]
        nack = {"lease_ids": [leased["lease_id"]], "kind": "FAIL", "reason": f"{consumer} is down"}
        asked(q, "POST", f"/v1/queues/{jobs}/leases:nack", nack)

    [letter] = asked(q, "GET", f"/v1/queues/{dead}/messages")["messages"]
    other = asked(q, "POST", f"/v1/queues/{dead}/redrives", {"text": "one", "dry_run": True})
    counted = asked(
        q,
        "POST",
        f"/v1/queues/{dead}/redrives",
        {"reasons": ["DELIVERY_COUNT_MAX"], "text": "two", "tags": tags, "dry_run": True},
    )
    counts = [
        rest_ended(q, started["redrive"]["id"]).get("matched", "0") for started in (other, counted)
    ]
    started = asked(q, "POST", f"/v1/queues/{dead}/redrives", {})
    redrive = rest_ended(q, started["redrive"]["id"])
    [back] = asked(q, "POST", f"/v1/queues/{jobs}/messages:lease", {})["messages"]
    listed = asked(q, "GET", "/v1/redrives")["redrives"]

    death = letter["message"]["dead_letter"]
    assert (death["reason"], death["text"]) == ("DELIVERY_COUNT_MAX", "two is down")
    assert (death["source_queue_id"], death["delivery_count"]) == (jobs, 2)
    history = [
        (each["consumer"], each["outcome"], each["reason"])
        for each in letter["message"]["attempts"]
    ]
    assert history == [("one", "FAILED", "one is down"), ("two", "FAILED", "two is down")]
    assert counts == ["0", "1"]
    assert (redrive["state"], redrive["matched"], redrive["moved"]) == ("DONE", "1", "1")
    assert back["delivery_count"] == 1
    assert "dead_letter" not in back["message"]
    assert back["message"]["attempts"] == letter["message"]["attempts"]
    assert back["message"]["meta"] == letter["message"]["meta"]
    assert listed[0] == redrive


def test_redrive_is_stopped_by_rest(shared_q: RunningQ) -> None:
    """It says so, and asks for nothing but its id."""
    q = shared_q
    jobs, dead = made(q, "MEMORY")
    asked(q, "POST", f"/v1/queues/{dead}/messages:batch", {"messages": [{}] * 50})
    body = {"target_queue_id": jobs, "messages_per_second": 0.5}
    started = asked(q, "POST", f"/v1/queues/{dead}/redrives", body)["redrive"]

    stopped = asked(q, "POST", f"/v1/redrives/{started['id']}/stop", {})["redrive"]

    assert (started["state"], started["total"]) == ("RUNNING", "50")
    assert started["request"]["messages_per_second"] == 0.5
    assert (stopped["state"], int(stopped.get("moved", 0)) <= 1) == ("STOPPED", True)
    assert stopped["ended"] >= stopped["started"]


def test_refusals_by_rest(shared_q: RunningQ) -> None:
    """Each by its status: what is not there, what cannot be, what cannot be from here."""
    jobs, dead = made(shared_q, "MEMORY")
    _, other = made(shared_q, "DISK")
    nobody = "00000000-0000-0000-0000-000000000000"
    start = f"/v1/queues/{dead}/redrives"

    found = [
        refused(shared_q, method, path, body).refusal
        for method, path, body in (
            ("GET", f"/v1/redrives/{nobody}", None),
            ("POST", f"/v1/redrives/{nobody}/stop", {}),
            ("GET", "/v1/redrives/x", None),
            ("POST", f"/v1/queues/{nobody}/redrives", {}),
            ("POST", start, {"failed_again_max": 2}),
            ("POST", start, {"target_queue_id": dead}),
            ("POST", start, {"target_queue_id": other}),
        )
    ]

    assert [status[:2] for status in found] == [
        *[(404, 5)] * 2,
        (400, 3),
        (404, 5),
        *[(400, 3)] * 2,
        (400, 9),
    ]
    assert found[0][2] == f"cannot find redrive with id {nobody}"
    assert found[4][2] == "failed_again_max: must be 0 to 1; got 2.0"
    assert "lives in MEMORY" in found[6][2]
    assert jobs not in str(found)


def bury(client: StockClient, jobs: str, count: int) -> None:
    """Make so many dead letters, numbered from 0."""
    for first in range(0, count, _BATCH):
        messages = [pb.NewMessage(payload=b"%d" % n) for n in range(first, first + _BATCH)]
        client.add_batch(queue_id=jobs, messages=messages)
        leased = client.lease(queue_id=jobs, messages_max=_BATCH).messages
        lease_ids = [each.lease_id for each in leased]
        client.nack(queue_id=jobs, lease_ids=lease_ids, kind=pb.NackRequest.REJECT, reason="no")


def moved(client: StockClient, redrive_id: str, count: int) -> pb.Redrive:
    """Wait until a redrive has moved so many, and tell how far it is."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        redrive = client.get_redrive(redrive_id=redrive_id).redrive
        if redrive.moved >= count:
            return redrive
        assert redrive.state == pb.Redrive.RUNNING, redrive
        assert time.monotonic() < deadline, redrive
        time.sleep(0.005)


def test_killed_redrive_goes_on_and_neither_loses_nor_doubles(q_server: RunningQ) -> None:
    """By kill -9 in the middle, again and again: each dead letter comes back once, in its order."""
    count, kills = 12_000, 3
    dead, jobs = made(q_server, "DISK")[::-1]
    with connected(q_server.address) as client:
        bury(client, jobs, count)
        started = client.start_redrive(queue_id=dead, messages_per_second=4_000).redrive
        before = moved(client, started.id, 1_000)
    went_on_from = []

    for kill in range(1, kills + 1):
        q_server.kill()
        q_server.start()
        with connected(q_server.address) as client:
            stats = {each.queue.meta.id: each.ready for each in client.stats().queues}
            redrive = client.get_redrive(redrive_id=started.id).redrive
            assert stats[dead] + stats[jobs] == count
            assert before.moved <= stats[jobs] <= redrive.moved
            went_on_from.append((redrive.state, redrive.moved))
            before = moved(client, started.id, min(count, redrive.moved + kill * 500))
    with connected(q_server.address) as client:
        done = moved(client, started.id, count)
        payloads = drained(client, jobs)
        left = drained(client, dead)

    assert went_on_from[0][0] == pb.Redrive.RUNNING
    assert went_on_from[0][1] < count
    assert (done.state, done.moved, done.matched) == (pb.Redrive.DONE, count, count)
    assert done.started == started.started
    assert payloads == [b"%d" % n for n in range(count)]
    assert left == []
    lines = [json.loads(line) for line in q_server.log.splitlines()]
    told = [line["msg"] for line in lines if line.get("redrive") == started.id]
    assert told == [*["redrive runs"] * len(told[:-1]), "redrive ended"]
    assert len(told) >= 3


def drained(client: StockClient, queue_id: str) -> list[bytes]:
    """Pop all messages of a queue."""
    found: list[bytes] = []
    while messages := client.pop_batch(queue_id=queue_id, messages_max=_BATCH).messages:
        found += [message.payload for message in messages]
    return found


def test_redrive_that_does_harm_stops_by_itself(q_server: RunningQ) -> None:
    """A consumer that rejects everything gets no more than some of it."""
    jobs, dead = made(q_server, "DISK")
    with connected(q_server.address) as client:
        bury(client, jobs, _BATCH)
        started = client.start_redrive(queue_id=dead, messages_per_second=200).redrive
        deadline = time.monotonic() + _PATIENCE_S

        while (redrive := client.get_redrive(redrive_id=started.id).redrive).state == (
            pb.Redrive.RUNNING
        ):
            assert time.monotonic() < deadline, redrive
            leased = client.lease(queue_id=jobs, messages_max=100).messages
            if leased:
                lease_ids = [each.lease_id for each in leased]
                client.nack(queue_id=jobs, lease_ids=lease_ids, kind=pb.NackRequest.REJECT)

    assert redrive.state == pb.Redrive.GAVE_UP
    assert 20 <= redrive.moved < 200
    assert redrive.failed_again >= redrive.moved / 2
    assert redrive.message.endswith(
        "moved messages are dead letters again: failed_again_max is 0.5"
    )


def keys_of(value: object) -> object:
    """Return the names in a JSON value, without what is told of them."""
    if isinstance(value, dict):
        return {key: keys_of(each) for key, each in value.items()}
    return [keys_of(each) for each in value] if isinstance(value, list) else None


def json_values(text: str) -> list[Any]:
    """Read the JSON values that commands have printed one after the other."""
    decoder = json.JSONDecoder()
    found = []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def test_page_can_be_pasted(q_server: RunningQ) -> None:
    """Every command of the page on dead letters works, and its example is what q answers."""
    commands = [block for block in blocks(PAGE) if block.language == "sh"]
    [example] = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    script = "\necho\n".join(
        block.text.replace("localhost:10002", q_server.address) for block in commands
    )

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=True,
    )

    replies = json_values(done.stdout)
    [letter] = next(reply["messages"] for reply in replies if "messages" in reply)
    counted, redriven, stopped = (reply["redrive"] for reply in replies if "redrive" in reply)
    assert not [reply for reply in replies if "code" in reply]
    assert keys_of(letter) == keys_of(example)
    assert letter["message"]["dead_letter"]["text"] == example["message"]["dead_letter"]["text"]
    assert (counted["matched"], counted.get("moved")) == ("1", None)
    assert (redriven["matched"], redriven["moved"]) == ("1", "1")
    assert stopped == redriven
