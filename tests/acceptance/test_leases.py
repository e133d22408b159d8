"""Messages on lease, as grpcio's stock client sees them: at least once, and never forgotten."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.wire import q_pb2 as pb
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import Options, StockClient, connected, refused

Code = grpc.StatusCode
Kind = pb.NackRequest
FINE = pb.LeaseResult()

STORES = pytest.mark.parametrize("store", [pb.Queue.MEMORY, pb.Queue.DISK], ids=["memory", "disk"])

#: How long leases last here that are to end by themselves, and what is waited for that.
SHORT = Duration(nanos=200_000_000)
WAIT = Duration(seconds=10)


def new(*payloads: bytes) -> list[pb.NewMessage]:
    """Make messages to add."""
    return [pb.NewMessage(payload=payload) for payload in payloads]


def ids(leased: Sequence[pb.LeasedMessage]) -> list[str]:
    """Return the ids of leases."""
    return [each.lease_id for each in leased]


def payloads(leased: Sequence[pb.LeasedMessage]) -> list[bytes]:
    """Return what is in messages."""
    return [each.message.payload for each in leased]


@STORES
def test_life_of_a_message(client: StockClient, store: int) -> None:
    """Leased, extended, released, failed, expired, dead, done: it is told what was, and where."""
    dead_id = client.made(store)
    settings = pb.QueueSettings(
        dead_letter_queue_id=dead_id,
        delivery_count_max=3,
        back_off=pb.BackOff(base=Duration(nanos=50_000_000), jitter=0),
    )
    queue_id = client.made(store, settings=settings)
    tags = [pb.Tag(key="k", value="v")]
    added = client.add(queue_id=queue_id, message=pb.NewMessage(payload=b"work", tags=tags)).message

    def lease(consumer: str, **fields: Any) -> pb.LeasedMessage:  # noqa: ANN401
        (leased,) = client.lease(queue_id=queue_id, wait=WAIT, consumer=consumer, **fields).messages
        return leased

    released = lease("a")
    (extended,) = client.extend(
        queue_id=queue_id, lease_ids=[released.lease_id], lease_duration=Duration(seconds=60)
    ).results
    client.nack(queue_id=queue_id, lease_ids=[released.lease_id], kind=Kind.RELEASE)
    failed = lease("b")
    client.nack(queue_id=queue_id, lease_ids=[failed.lease_id], reason="no luck")
    expired = lease("c", lease_duration=SHORT)
    last = lease("d")
    (late,) = client.ack(queue_id=queue_id, lease_ids=[expired.lease_id]).results
    client.nack(queue_id=queue_id, lease_ids=[last.lease_id], kind=Kind.FAIL, reason="no use")
    (dead,) = client.lease(queue_id=dead_id, wait=WAIT).messages
    done = client.ack(queue_id=dead_id, lease_ids=[dead.lease_id]).results

    deliveries = [released, failed, expired, last]
    assert [each.message.meta for each in (*deliveries, dead)] == [added.meta] * 5
    assert {each.message.payload for each in (*deliveries, dead)} == {b"work"}
    assert [each.delivery_count for each in deliveries] == [1, 1, 2, 3]
    assert ids(deliveries) == sorted({*ids(deliveries)})
    moved_by_ns = (
        extended.lease_expires_at.ToNanoseconds() - released.lease_expires_at.ToNanoseconds()
    )
    assert 29 < moved_by_ns / 1e9 < 40
    assert late.code == Code.FAILED_PRECONDITION.value[0]
    assert "expired at" in late.message
    assert "leased to 'd' until" in late.message
    letter = dead.message.dead_letter
    assert (letter.reason, letter.text) == (pb.DeadLetter.DELIVERY_COUNT_MAX, "no use")
    assert (letter.source_queue_id, letter.delivery_count) == (queue_id, 3)
    assert [(each.consumer, each.outcome, each.reason) for each in dead.message.attempts] == [
        ("a", pb.Attempt.RELEASED, ""),
        ("b", pb.Attempt.FAILED, "no luck"),
        ("c", pb.Attempt.EXPIRED, ""),
        ("d", pb.Attempt.FAILED, "no use"),
    ]
    assert list(done) == [FINE]
    for each in (queue_id, dead_id):
        (counts,) = client.stats(queue_id=each).queues
        assert (counts.ready, counts.leased, counts.delayed) == (0, 0, 0)


@STORES
def test_message_comes_back_at_its_old_place(client: StockClient, store: int) -> None:
    """Before those that came after it, however its lease has ended; Pop takes it as well."""
    queue_id = client.made(store)
    client.add_batch(queue_id=queue_id, messages=new(b"1", b"2", b"3", b"4"))
    first, second = ids(client.lease(queue_id=queue_id, messages_max=2).messages)

    client.nack(queue_id=queue_id, lease_ids=[second], kind=Kind.RELEASE)
    leased = client.lease(queue_id=queue_id).messages
    client.nack(queue_id=queue_id, lease_ids=[first, *ids(leased)], kind=Kind.RELEASE)

    assert payloads(leased) == [b"2"]
    assert client.peek(queue_id=queue_id).message.payload == b"1"
    assert [popped.payload for popped in client.drain(queue_id)] == [b"1", b"2", b"3", b"4"]


def test_leased_messages_count_against_the_limit(client: StockClient) -> None:
    """As ready and delayed ones do; an ack makes room."""
    queue_id = client.made(limit=2)
    client.put(queue_id, b"1", b"2")
    first, second = ids(client.lease(queue_id=queue_id, messages_max=2).messages)
    client.nack(queue_id=queue_id, lease_ids=[second], delay=Duration(seconds=60))

    refusal = refused(client.add, queue_id=queue_id)
    client.ack(queue_id=queue_id, lease_ids=[first])

    assert refusal.info.reason == "QUEUE_FULL"
    client.put(queue_id, b"3")


def test_lease_waits_and_the_deadline_is_told(client: StockClient) -> None:
    """It ends with a message; or with none; or with DEADLINE_EXCEEDED, and none is taken."""
    queue_id = client.made()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.lease, queue_id=queue_id, wait=WAIT)
        while not client.stats(queue_id=queue_id).queues[0].waiting:
            time.sleep(0.01)
        client.put(queue_id, b"1")
        found = waiting.result().messages

    assert payloads(found) == [b"1"]
    assert not client.lease(queue_id=queue_id, wait=Duration(nanos=1_000_000)).messages
    hasty = refused(client.lease, queue_id=queue_id, wait=WAIT, options=Options(timeout=0.3))
    assert hasty.code == Code.DEADLINE_EXCEEDED


def test_two_consumers_get_different_messages(client: StockClient) -> None:
    """No message has two leases."""
    queue_id = client.made()
    client.add_batch(queue_id=queue_id, messages=new(*(b"%d" % n for n in range(1_000))))

    with ThreadPoolExecutor(8) as threads:
        batches = list(
            threads.map(
                lambda _: client.lease(queue_id=queue_id, messages_max=10).messages, range(100)
            )
        )

    found = [payload for batch in batches for payload in payloads(batch)]
    assert sorted(map(int, found)) == list(range(1_000))
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda batch: client.ack(queue_id=queue_id, lease_ids=ids(batch)), batches)
        )
    assert {result.code for answer in answers for result in answer.results} == {0}


@STORES
def test_complete_is_one_step(client: StockClient, store: int) -> None:
    """What is done leaves, what follows from it comes; or nothing happens."""
    source, target, full = client.made(store), client.made(store), client.made(store, limit=1)
    client.put(source, b"1")
    (leased,) = client.lease(queue_id=source).messages
    acks = [pb.CompleteRequest.Ack(queue_id=source, lease_ids=[leased.lease_id])]
    adds = [
        pb.CompleteRequest.Add(queue_id=target, messages=new(b"2", b"3")),
        pb.CompleteRequest.Add(queue_id=full, messages=new(b"4", b"5")),
    ]

    refusal = refused(client.complete, acks=acks, adds=adds)
    before = client.stats(queue_id=source).queues[0].leased
    metas = client.complete(acks=acks, adds=adds[:1]).messages
    again = refused(client.complete, acks=acks, adds=adds[:1])

    assert (refusal.info.reason, before) == ("QUEUE_FULL", 1)
    assert [message.meta for message in client.drain(target)] == list(metas)
    assert (again.code, again.info.reason) == (Code.FAILED_PRECONDITION, "LEASE_LOST")
    assert "its message was acked" in again.message
    assert client.drain(full) == []


def test_stores_are_not_mixed_in_a_step(client: StockClient) -> None:
    """No step is atomic across them."""
    adds = [
        pb.CompleteRequest.Add(queue_id=client.made(store), messages=new(b"1"))
        for store in (pb.Queue.MEMORY, pb.Queue.DISK)
    ]

    refusal = refused(client.complete, adds=adds)

    assert (refusal.code, refusal.info.reason) == (Code.FAILED_PRECONDITION, "STORES_DIFFER")
    assert [client.drain(add.queue_id) for add in adds] == [[], []]


def test_leases_of_a_disk_queue_outlive_the_server(q_server: RunningQ) -> None:
    """Killed and started again, q knows who has what until when, and what was before."""
    minute = Duration(seconds=60)
    with connected(q_server.address) as client:
        dead_id = client.made(pb.Queue.DISK, name="dead")
        settings = pb.QueueSettings(dead_letter_queue_id="dead", delivery_count_max=9)
        queue_id = client.made(pb.Queue.DISK, limit=7, settings=settings)
        queue = client.get_queue(queue_id=queue_id).queue
        client.add_batch(queue_id=queue_id, messages=new(b"1", b"2", b"3", b"4", b"5", b"6", b"7"))
        acked, delayed, rejected, released, held, extended = client.lease(
            queue_id=queue_id, messages_max=6, consumer="worker", lease_duration=minute
        ).messages

        def nack(leased: pb.LeasedMessage, **fields: Any) -> None:  # noqa: ANN401
            reply = client.nack(queue_id=queue_id, lease_ids=[leased.lease_id], **fields)
            assert list(reply.results) == [FINE]

        client.ack(queue_id=queue_id, lease_ids=[acked.lease_id])
        nack(delayed, delay=minute, reason="later")
        nack(rejected, kind=Kind.REJECT, reason="never")
        nack(released, kind=Kind.RELEASE)
        (longer,) = client.extend(
            queue_id=queue_id, lease_ids=[extended.lease_id], lease_duration=Duration(seconds=120)
        ).results
    q_server.kill()
    q_server.start()

    with connected(q_server.address) as client:
        (counts,) = client.stats(queue_id=queue_id).queues
        ready = client.lease(queue_id=queue_id, messages_max=9).messages
        browsed = client.browse(queue_id=queue_id).messages
        results = client.ack(queue_id=queue_id, lease_ids=ids([held, extended, delayed])).results
        (letter,) = client.lease(queue_id=dead_id).messages

    assert counts.queue == queue
    assert (counts.ready, counts.leased, counts.delayed) == (2, 2, 1)
    assert [(each.consumer, each.leased) for each in counts.consumers] == [("worker", 2)]
    assert payloads(ready) == [b"4", b"7"]
    assert [each.delivery_count for each in ready] == [1, 1]
    assert ready[0].lease_id > released.lease_id
    assert [(each.consumer, each.outcome) for each in ready[0].message.attempts] == [
        ("worker", pb.Attempt.RELEASED)
    ]
    by_payload = {each.message.payload: each for each in browsed}
    assert by_payload[b"5"].until == held.lease_expires_at
    assert by_payload[b"6"].until == longer.lease_expires_at
    assert by_payload[b"2"].message.attempts[0].reason == "later"
    assert [result.code for result in results] == [0, 0, 9]
    assert (letter.message.payload, letter.message.dead_letter.text) == (b"3", "never")


class Workers:
    """Threads that lease, and ack or fail, until a queue holds nothing or q is gone."""

    def __init__(self, queue_id: str) -> None:
        self._queue_id = queue_id
        #: Numbers in messages whose ack was answered, and of those whose ack was sent.
        self.done: set[int] = set()
        self.sent: set[int] = set()
        #: Lease id and delivery count of each delivery, by number.
        self.seen: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)

    def work(self, client: StockClient, *, fails: bool) -> None:
        """Do what one thread does."""
        try:
            while leased := self._lease(client):
                numbers = [int(each.message.payload) for each in leased]
                for number, each in zip(numbers, leased, strict=True):
                    self.seen[number].append((each.lease_id, each.delivery_count))
                if fails:
                    client.nack(queue_id=self._queue_id, lease_ids=ids(leased))
                    continue
                self.sent.update(numbers)
                results = client.ack(queue_id=self._queue_id, lease_ids=ids(leased)).results
                answered = zip(numbers, results, strict=True)
                self.done.update(number for number, result in answered if not result.code)
        except grpc.RpcError as error:
            assert error.code() == Code.UNAVAILABLE  # noqa: PT017 - q was killed.

    def _lease(self, client: StockClient) -> Sequence[pb.LeasedMessage]:
        """Lease messages as long as there are any, be it on somebody else's lease."""
        while True:
            leased = client.lease(
                queue_id=self._queue_id,
                messages_max=5,
                lease_duration=Duration(seconds=1),
                wait=SHORT,
            ).messages
            if leased or not is_any_left(client, self._queue_id):
                return leased


def is_any_left(client: StockClient, queue_id: str) -> bool:
    """Tell whether a queue holds messages, in whatever state."""
    (counts,) = client.stats(queue_id=queue_id).queues
    return bool(counts.ready or counts.leased or counts.delayed)


def test_killed_server_loses_no_message_and_lowers_no_count(q_server: RunningQ) -> None:
    """Again and again: all is acked once or more, and each delivery is told from the others."""
    count, kills, threads = 600, 3, 6
    with connected(q_server.address) as client:
        no_delay = pb.QueueSettings(back_off=pb.BackOff(base=Duration()))
        queue_id = client.made(pb.Queue.DISK, settings=no_delay)
        client.add_batch(queue_id=queue_id, messages=new(*(b"%d" % n for n in range(count))))
    workers = Workers(queue_id)

    for life in range(kills + 1):
        with connected(q_server.address) as client, ThreadPoolExecutor(threads) as pool:
            running = [pool.submit(workers.work, client, fails=not at) for at in range(threads)]
            if life < kills:
                while len(workers.done) < (life + 1) * count // (kills + 2):
                    time.sleep(0.002)
                q_server.kill()
            for future in running:
                future.result()
        if life < kills:
            q_server.start()

    with connected(q_server.address) as client:
        assert not is_any_left(client, queue_id)
    # What was acked as q was killed may have been kept without an answer.
    assert workers.sent == set(range(count))
    assert count - len(workers.done) <= kills * threads * 5
    for deliveries in workers.seen.values():
        assert len({lease_id for lease_id, _ in deliveries}) == len(deliveries)
        counts = [at for _, at in sorted(deliveries)]
        assert counts == sorted(counts)


#: A call that breaks a rule, by a field of its request, and what the rule is.
BAD_FIELDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("lease", {"messages_max": -1}, "messages_max", "must be 1 to 1000, or 0 for 1; got -1"),
    ("lease", {"messages_max": 1_001}, "messages_max", "must be 1 to 1000, or 0 for 1; got 1001"),
    ("lease", {"wait": Duration(seconds=61)}, "wait", "must be 0 to 60 seconds; got 61"),
    (
        *("lease", {"lease_duration": Duration()}, "lease_duration"),
        "must be 1 millisecond to 12 hours; got 0 seconds",
    ),
    ("lease", {"consumer": "x" * 201}, "consumer", "takes 201 bytes, more than 200"),
    ("ack", {"lease_ids": []}, "lease_ids", "must be 1 to 1000 lease ids; got 0"),
    ("ack", {"lease_ids": ["x"] * 1_001}, "lease_ids", "must be 1 to 1000 lease ids; got 1001"),
    ("nack", {"lease_ids": []}, "lease_ids", "must be 1 to 1000 lease ids; got 0"),
    (
        *("nack", {"lease_ids": ["x"], "kind": 4}, "kind"),
        "must be RELEASE (1), FAIL (2) or REJECT (3); got 4",
    ),
    (
        *("nack", {"lease_ids": ["x"], "delay": Duration(nanos=-1)}, "delay"),
        "must be 0 to 7 days; got -1e-09 seconds",
    ),
    ("extend", {"lease_ids": []}, "lease_ids", "must be 1 to 1000 lease ids; got 0"),
    (
        *("extend", {"lease_ids": ["x"], "lease_duration": Duration(seconds=43_201)}),
        *("lease_duration", "must be 1 millisecond to 12 hours; got 43201 seconds"),
    ),
    ("update_queue", {"limit": -2}, "limit", "must be -1 or 0 (no limit) or more; got -2"),
    (
        *("update_queue", {"settings": pb.QueueSettings(delivery_count_max=1_001)}),
        "settings.delivery_count_max",
        "must be 1 to 1000, or 0 for no maximum; got 1001",
    ),
]


@pytest.mark.parametrize(
    ("rpc", "fields", "field", "rule"),
    BAD_FIELDS,
    ids=[f"{rpc} {field} {rule[-6:]}" for rpc, _, field, rule in BAD_FIELDS],
)
def test_field_that_breaks_a_rule_is_named(
    client: StockClient, rpc: str, fields: dict[str, Any], field: str, rule: str
) -> None:
    """With the rule; and the message stays ready."""
    queue_id = client.made()
    client.put(queue_id, b"1")
    call: Callable[..., object] = getattr(client, rpc)

    refusal = refused(call, queue_id=queue_id, **fields)

    assert (refusal.code, refusal.violations) == (Code.INVALID_ARGUMENT, {field: rule})
    assert [popped.payload for popped in client.drain(queue_id)] == [b"1"]


def test_lease_id_that_is_none_is_no_error_of_the_call(client: StockClient) -> None:
    """Nor is it by the others: each lease has its own answer."""
    queue_id = client.made()
    client.put(queue_id, b"1")
    (leased,) = client.lease(queue_id=queue_id).messages
    odd = ["", "soup", "0" * 10_000, "\0", leased.lease_id.upper() + "é"]

    for call in (client.extend, client.nack, client.ack):
        results = call(queue_id=queue_id, lease_ids=odd).results
        assert [result.code for result in results] == [Code.INVALID_ARGUMENT.value[0]] * len(odd)
        assert all("is no lease_id" in result.message for result in results)
        assert max(len(result.message) for result in results) < 500
    assert list(client.ack(queue_id=queue_id, lease_ids=[leased.lease_id]).results) == [FINE]
