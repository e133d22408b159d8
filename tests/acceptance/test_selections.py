"""Lease, PopBatch and Consume on all queues that a selector matches, by gRPC, REST and qcli."""

import json
import signal
import uuid
from base64 import b64decode
from typing import Any

import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.command_line import Qcli, running_qcli, until
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, refused
from tests.acceptance.test_consume import consuming, payloads


@pytest.fixture
def team() -> str:
    """A tag's value that no other queue has."""
    return f"team-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=[pb.Queue.MEMORY, pb.Queue.DISK], ids=["memory", "disk"])
def queues(client: StockClient, team: str, request: pytest.FixtureRequest) -> list[str]:
    """The ids of two queues with that tag, and of three messages in each."""
    found = []
    for name in "ab":
        queue_id = client.made(request.param, tags=[pb.Tag(key="team", value=team)])
        client.put(queue_id, *(f"{name}{n}".encode() for n in range(3)))
        found.append(queue_id)
    return found


def acked(client: StockClient, queues: list[str]) -> list[int]:
    """How many messages of each queue were acked."""
    return [client.stats(queue_id=each).queues[0].acked_total for each in queues]


def test_by_grpc(client: StockClient, team: str, queues: list[str]) -> None:
    """Messages of all queues, each with its queue, by which it is acked."""
    leased = client.lease(selector=f"team={team}", messages_max=4, consumer="me").messages
    popped = client.pop_batch(selector=f"team = {team}", messages_max=1)
    for message in leased:
        results = client.ack(queue_id=message.queue_id, lease_ids=[message.lease_id]).results
        assert [result.code for result in results] == [0]

    assert [each.message.payload for each in leased] == [b"a0", b"a1", b"a2", b"b0"]
    assert [each.queue_id for each in leased] == [queues[0]] * 3 + [queues[1]]
    assert [each.payload for each in popped.messages] == [b"b1"]
    assert list(popped.queue_ids) == [queues[1]]
    assert acked(client, queues) == [3, 1]


def test_by_rest(shared_q: RunningQ, client: StockClient, team: str, queues: list[str]) -> None:
    """At paths without a queue."""
    selector = {"selector": f"team in ({team}),!old"}

    def post(path: str, **fields: Any) -> Any:  # noqa: ANN401 - JSON
        reply = rest(shared_q.address, "POST", path, fields)
        assert reply.status == 200, reply
        return reply.json

    leased = post("/v1/messages:lease", **selector, messages_max=4, wait="1s")["messages"]
    popped = post("/v1/messages:pop", **selector, messages_max=9)
    for message in leased:
        path = f"/v1/queues/{message['queue_id']}/leases:ack"
        assert post(path, lease_ids=[message["lease_id"]])["results"] == [{}]

    payloads = [b64decode(each["message"]["payload"]) for each in leased]
    assert payloads == [b"a0", b"a1", b"a2", b"b0"]
    assert [b64decode(each["payload"]) for each in popped["messages"]] == [b"b1", b"b2"]
    assert popped["queue_ids"] == [queues[1]] * 2
    assert post("/v1/messages:lease", **selector) == {}
    assert acked(client, queues) == [3, 1]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/messages:lease", {}, "queue_id: must be the id or name of a queue, unless there is"),
        ("/v1/messages:pop", {"messages_max": 1}, "queue_id: must be the id or name of a queue,"),
        (
            "/v1/messages:lease",
            {"selector": "a", "queue_id": "b"},
            "selector: must be left out where there is a queue_id",
        ),
        (
            "/v1/queues/some-queue/messages:lease",
            {"selector": "a"},
            "selector: must be left out where there is a queue_id",
        ),
        ("/v1/messages:lease", {"selector": "a b"}, "selector: at character 3: expected =,"),
        ("/v1/messages:lease", {"tags": "a"}, 'unknown field "tags" in proto.LeaseRequest'),
        ("/v1/messages:pop", {"select": "a"}, 'unknown field "select" in proto.PopBatchRequest'),
        ("/v1/messages:pop", b"", "the body is empty; send a JSON object, a proto.PopBatchRequest"),
    ],
)
def test_what_breaks_a_rule_is_refused(
    shared_q: RunningQ, path: str, body: object, words: str
) -> None:
    """By the name of the field."""
    status, code, message = rest(shared_q.address, "POST", path, body).refusal

    assert (status, code) == (400, 3)
    assert message.startswith(words)


def test_a_queue_that_is_made_later_serves_who_waits(
    client: StockClient, shared_q: RunningQ, qcli: Qcli, team: str
) -> None:
    """Here qcli, which prints what it got and from where."""
    with running_qcli(
        shared_q.address, "lease", "-l", f"team={team}", "--wait", "60", "--raw"
    ) as running:
        queue_id = client.made(tags=[pb.Tag(key="team", value=team)])
        client.put(queue_id, b"late")
        printed = running.stdout.readline().decode()

    got_id, lease_id, payload = printed.rstrip("\n").split("\t")
    assert (got_id, payload) == (queue_id, "late")
    assert qcli("ack", queue_id, lease_id).returncode == 0


def test_by_qcli(
    client: StockClient, shared_q: RunningQ, qcli: Qcli, team: str, queues: list[str]
) -> None:
    """It pops, leases and works."""
    selector = f"team={team}"
    popped = [json.loads(line) for line in qcli("pop", "-l", selector, "--jsonl").stdout.split()]
    plain = json.loads(qcli("pop", "--selector", selector).stdout)
    leased = json.loads(qcli("lease", "-l", selector).stdout)
    released = qcli("nack", leased["queue_id"], leased["lease_id"], "--kind", "release")
    with running_qcli(
        shared_q.address, "work", "-l", selector, "--", "sh", "-c", 'echo "$Q_QUEUE $(cat)"'
    ) as running:
        until(lambda: sum(acked(client, queues)) == 4)
        running.end(signal.SIGINT)
        worked = running.stdout.read().decode().splitlines()
    empty = qcli("lease", "-l", selector)
    refused_ = qcli("lease", "-l", "team mail")

    assert [(each["queue_id"], each["payload"]) for each in popped] == [(queues[0], "a0")]
    assert plain["queue_ids"] == [queues[1]]
    assert leased["queue_id"] == queues[0]
    assert released.returncode == 0
    assert sorted(worked) == sorted(
        [f"{queues[0]} a1", f"{queues[0]} a2", f"{queues[1]} b1", f"{queues[1]} b2"]
    )
    assert (empty.returncode, empty.stdout) == (3, b"")
    assert empty.stderr.decode().endswith(
        f"no queue that team={team} matches has one to hand out now\n"
    )
    assert "selector: at character 6" in refused_.stderr.decode()


def test_consume(client: StockClient, team: str, queues: list[str]) -> None:
    """A stream on which messages of all of them come; acks name the queue."""
    with consuming(client, "", selector=f"team={team}", credit=6) as stream:
        found = stream.messages(6)
        for message in found[:2]:
            stream.send(
                pb.ConsumeRequest(
                    ack=pb.AckRequest(queue_id=message.queue_id, lease_ids=[message.lease_id])
                )
            )
            assert [result.code for result in stream.next().ack.results] == [0]
        stream.end()

    assert sorted(payloads(found)) == [b"a0", b"a1", b"a2", b"b0", b"b1", b"b2"]
    assert {each.queue_id for each in found} == set(queues)
    assert sum(acked(client, queues)) == 2
    assert [client.stats(queue_id=each).queues[0].leased for each in queues] == [0, 0]


def test_durability_is_refused_that_a_queue_does_not_reach(client: StockClient, team: str) -> None:
    """As it is for the queue itself."""
    client.put(client.made(tags=[pb.Tag(key="team", value=team)]), b"x")

    refusal = refused(lambda: client.lease(selector=f"team={team}", durability=pb.Durability.FSYNC))

    assert refusal.info.reason == "DURABILITY_NOT_REACHED"
