"""Two q of one cluster, over a real PostgreSQL: whatever becomes of one, the other goes on."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import grpc
import pytest

import qmq
from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.test_metrics_port import only, samples
from tests.documents import page, section, spans
from tests.postgres.nodes import Node

#: Seconds in which another q leads, and has read what there is.
TAKEOVER_S = 10.0
#: Seconds that anything else may take, on a machine that does much else.
PATIENCE_S = 20.0

#: With dedup_ids, so that an add is repeated of which nobody knows whether it was done.
RETRY = qmq.Retry(duration=PATIENCE_S, adds=True)


class Pair:
    """Two q, of which one leads."""

    def __init__(self, directory: Path, *databases: str) -> None:
        self.databases = databases
        self.servers = []
        for name in ("one", "other"):
            (directory / name).mkdir(parents=True)
            self.servers.append(RunningQ(directory / name))

    def start(self) -> None:
        """Start those that do not run."""
        for each in self.servers:
            if not each.is_running:
                self.start_one(each)

    def start_one(self, q: RunningQ) -> None:
        """Start one of them."""
        databases = (f"--postgres={each}" for each in self.databases)
        q.start(*databases, "--postgres-unsynced", "--data=none")

    def leader(self) -> RunningQ:
        """Wait until one leads, and return it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for each in self.servers:
                if each.is_running and is_(each, "leader"):
                    return each
            assert time.monotonic() < deadline, [each.log for each in self.servers]
            time.sleep(0.05)

    def roles(self) -> tuple[RunningQ, RunningQ]:
        """Wait until one leads and the other knows; return the leader, and the follower."""
        leader = self.leader()
        [follower] = [each for each in self.servers if each is not leader]
        deadline = time.monotonic() + PATIENCE_S
        while not is_(follower, "led"):
            assert time.monotonic() < deadline, follower.log
            time.sleep(0.05)
        return leader, follower

    def close(self) -> None:
        """End those that run."""
        for each in self.servers:
            if each.is_running:
                each.kill()


@pytest.fixture(scope="module")
def shared_pair(tmp_path_factory: pytest.TempPathFactory, primary: Node) -> Iterator[Pair]:
    """Two q for all tests here, with a database of their own; each test may end one."""
    with primary.database() as name:
        pair = Pair(tmp_path_factory.mktemp("cluster"), primary.dsn(name))
        try:
            yield pair
        finally:
            pair.close()


@pytest.fixture
def pair(shared_pair: Pair) -> Pair:
    """Two q that serve."""
    shared_pair.start()
    return shared_pair


def client_of(q: RunningQ) -> qmq.Client:
    """Return a client that repeats what is safe, for as long as a takeover takes."""
    return qmq.Client(q.address, timeout=PATIENCE_S, retry=RETRY)


def test_every_q_serves_every_queue(pair: Pair) -> None:
    """Messages that were added through one are leased and acked through the other; REST too."""
    leader, follower = pair.roles()
    with client_of(follower) as one, client_of(leader) as other:
        jobs = one.new_queue(name="jobs")
        jobs.add("a")

        assert jobs.info().store is qmq.Store.CLUSTER
        [leased] = other.queue("jobs").lease(1)
        assert leased.payload == b"a"
        leased.ack()
        assert one.queue("jobs").stats().ready == 0
        # What the server refuses, it refuses with all details.
        with pytest.raises(qmq.QueueEmpty) as refusal:
            jobs.pop()
        assert refusal.value.reason == "QUEUE_EMPTY"
    found = rest(follower.address, "GET", "/v1/queues/jobs")
    assert found.status == 200
    missing = rest(follower.address, "GET", f"/v1/queues/{uuid4()}")
    assert (missing.status, missing.json["details"][0]["reason"]) == (404, "QUEUE_NOT_FOUND")
    # Whichever q a page of another site has its name stand for.
    for q in (leader, follower):
        headers = {"host": "evil.example"}
        assert rest(q.address, "GET", "/v1/queues/jobs", headers=headers).status == 403
    assert documented() <= {name for name, _ in samples(leader)}
    forwarded = ("envoy_cluster_upstream_rq_total", only(envoy_cluster_name="leader"))
    assert samples(follower)[forwarded] >= 5


def test_what_was_acknowledged_outlives_the_leader(pair: Pair) -> None:
    """After kill -9, the other q has all of it within ten seconds, and once each."""
    leader, follower = pair.roles()
    with client_of(follower) as client:
        jobs = client.new_queue(name="kept")
        sent = [f"{number}" for number in range(50)]
        for each in sent:
            jobs.add(each)

        leader.kill()
        start = time.monotonic()

        jobs.add("after")
        assert time.monotonic() - start < TAKEOVER_S
        assert pair.leader() is follower
        got = [message.payload.decode() for message in jobs.pop_batch(1_000)]
        assert got == [*sent, "after"]


def test_a_leader_that_is_shut_down_hands_over_at_once(pair: Pair) -> None:
    """A call that waits at the other q, and calls that come meanwhile, notice hardly anything."""
    leader, follower = pair.roles()
    with client_of(follower) as client:
        jobs = client.new_queue(name="handed_over")
        popped: SimpleQueue[bytes] = SimpleQueue()
        waiting = threading.Thread(target=lambda: popped.put(jobs.pop(wait=PATIENCE_S).payload))
        waiting.start()
        until(lambda: jobs.stats().waiting == 1)

        os.kill(leader.pid, signal.SIGTERM)
        start = time.monotonic()
        jobs.add("x")

        assert popped.get(timeout=PATIENCE_S) == b"x"
        assert time.monotonic() - start < TAKEOVER_S / 2
        assert leader.wait() == 0
        waiting.join()


def test_messages_stream_through_a_follower(pair: Pair) -> None:
    """What a consumer acks on its stream is gone; who leaves gives back what it has not."""
    _, follower = pair.roles()
    with client_of(follower) as client, grpc.insecure_channel(follower.address) as channel:
        jobs = client.new_queue(name="streamed")
        consume = channel.stream_stream(
            "/proto.Q/Consume",
            request_serializer=pb.ConsumeRequest.SerializeToString,
            response_deserializer=pb.ConsumeResponse.FromString,
        )
        requests: SimpleQueue[pb.ConsumeRequest] = SimpleQueue()
        requests.put(pb.ConsumeRequest(open=pb.ConsumeRequest.Open(queue_id="streamed", credit=1)))
        stream = consume(iter(requests.get, None), timeout=PATIENCE_S)
        jobs.add("a")
        [first] = next(stream).messages.messages
        requests.put(pb.ConsumeRequest(ack=pb.AckRequest(lease_ids=[first.lease_id])))
        assert next(stream).HasField("ack")
        jobs.add("b")
        requests.put(pb.ConsumeRequest(credit=pb.ConsumeRequest.Credit(credit=1)))
        [second] = next(stream).messages.messages
        assert second.message.payload == b"b"

        stream.cancel()

        until(lambda: jobs.stats().leased == 0)
        assert jobs.stats().ready == 1


def test_a_leader_that_was_stopped_too_long_comes_back_as_a_follower(pair: Pair) -> None:
    """It has been succeeded, and nothing that it had in hand counts or is counted twice."""
    leader, follower = pair.roles()
    with client_of(leader) as stale, client_of(follower) as client:
        jobs = client.new_queue(name="stopped")
        jobs.add("before")

        os.kill(leader.pid, signal.SIGSTOP)
        try:
            jobs.add("meanwhile")
        finally:
            os.kill(leader.pid, signal.SIGCONT)

        until(lambda: not is_(leader, "leader"))
        assert pair.leader() is follower
        stale.queue("stopped").add("after")
        for q in (stale, client):
            assert q.queue("stopped").stats().ready == 3
        got = [message.payload for message in stale.queue("stopped").pop_batch(10)]
        assert got == [b"before", b"meanwhile", b"after"]


def documented() -> set[str]:
    """The metrics that docs/cluster-clients.md names, but for histograms and those of Envoy."""
    text = section(page("docs/cluster-clients.md"), "Metrics of a cluster")
    names = {span for span in spans(text) if re.fullmatch("q_cluster_[a-z_]+", span)}
    assert "q_cluster_epoch" in names
    return names - {"q_cluster_commit_seconds"}


def is_(q: RunningQ, what: str) -> bool:
    """Tell whether a q says of itself that it is the leader, or is led."""
    return samples(q)[f"q_cluster_is_{what}", frozenset()] == 1


def until(holds: Callable[[], Any]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
