"""Messages on lease: what requests mean, which are refused, and the bytes of replies."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.engine.waiting import Gone
from qmq.errors import (
    AddsPaused,
    DeadlineExceeded,
    LeaseLost,
    QError,
    QueueFull,
    QueueNotFound,
    StoresDiffer,
)
from qmq.limits import BATCH_MESSAGES_MAX, WAIT_S_MAX
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Store
from qmq.wire import q_pb2 as pb
from tests.transport.service import Service, refusal_of

START_S = START_NS // NS_PER_S
DAY_S = 24 * 3600

Kind = pb.NackRequest

#: How a request about a lease ends where there is nothing to say.
FINE = pb.LeaseResult()


@pytest.fixture
async def service() -> Service:
    """Return a service with the MEMORY queues "jobs", "dead", which has its dead letters, "out"."""
    service = Service()
    for name in ("dead", "out"):
        await service.broker.new_queue(Store.MEMORY, name=name)
    settings = pb.QueueSettings(dead_letter_queue_id="dead", delivery_count_max=3)
    await service.call("NewQueue", store=pb.Queue.MEMORY, name="jobs", settings=settings)
    return service


async def lease(
    service: Service,
    messages_max: int = 1,
    queue_id: str = "jobs",
    **fields: Any,  # noqa: ANN401 - As the message has them.
) -> list[pb.LeasedMessage]:
    """Call Lease."""
    reply = await service.call("Lease", queue_id=queue_id, messages_max=messages_max, **fields)
    return list(reply.messages)


async def results(
    service: Service,
    name: str,
    lease_ids: Sequence[str],
    **fields: Any,  # noqa: ANN401 - As the message has them.
) -> list[pb.LeaseResult]:
    """Call a method about leases of the queue "jobs"."""
    reply = await service.call(name, queue_id="jobs", lease_ids=lease_ids, **fields)
    return list(reply.results)


def ids(leased: Sequence[pb.LeasedMessage]) -> list[str]:
    """Return the ids of leases."""
    return [each.lease_id for each in leased]


def payloads(leased: Sequence[pb.LeasedMessage]) -> list[bytes]:
    """Return what is in messages."""
    return [each.message.payload for each in leased]


async def test_lease_hands_out_messages_with_what_belongs_to_them(service: Service) -> None:
    """As they were added, and with a lease of the queue's length on each."""
    tags = [pb.Tag(key="k", value="v")]
    new = [pb.NewMessage(payload=b"1", tags=tags), pb.NewMessage(), pb.NewMessage(payload=b"3")]
    added = await service.call("AddBatch", queue_id="jobs", messages=new)

    leased = await lease(service, 2)

    assert [each.message.meta for each in leased] == list(added.messages)[:2]
    assert [list(each.message.meta.tags) for each in leased] == [tags, []]
    assert payloads(leased) == [b"1", b""]
    assert [each.lease_expires_at for each in leased] == [Timestamp(seconds=START_S + 30)] * 2
    assert [each.delivery_count for each in leased] == [1, 1]
    assert len({*ids(leased)}) == 2
    assert not any(each.message.HasField("dead_letter") for each in leased)
    assert not any(each.message.attempts for each in leased)


async def test_lease_of_no_number_hands_out_one(service: Service) -> None:
    """0 stands for 1, and an empty queue is no error."""
    await service.add(b"1", b"2")

    assert payloads(await lease(service, 0)) == [b"1"]
    assert payloads(await lease(service, BATCH_MESSAGES_MAX)) == [b"2"]
    assert await lease(service) == []


async def test_lease_lasts_as_long_as_it_says(service: Service) -> None:
    """From a millisecond to half a day; then the message is handed out again."""
    await service.add(b"1", b"2")
    (short,) = await lease(service, lease_duration=Duration(nanos=1_000_000))
    (long,) = await lease(service, lease_duration=Duration(seconds=12 * 3600))
    service.clock.advance(0.001)
    (again,) = await lease(service, 2)
    service.clock.advance(12 * 3600 - 0.002)
    (late,) = await lease(service, 2)
    service.clock.advance(0.001)
    (last,) = await lease(service, 2)

    assert short.lease_expires_at == Timestamp(seconds=START_S, nanos=1_000_000)
    assert long.lease_expires_at == Timestamp(seconds=START_S + 12 * 3600)
    assert payloads([again, late, last]) == [b"1", b"1", b"2"]
    assert [each.delivery_count for each in (again, late, last)] == [2, 3, 2]


@pytest.mark.parametrize("messages_max", [-1, BATCH_MESSAGES_MAX + 1, 2**31 - 1])
async def test_number_of_messages_to_lease_is_bounded(service: Service, messages_max: int) -> None:
    """Nothing is handed out."""
    await service.add(b"1")

    refusal = await refusal_of(lease(service, messages_max))

    assert refusal.message == f"messages_max: must be 1 to 1000, or 0 for 1; got {messages_max}"
    assert len(await lease(service)) == 1


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (Duration(), "0"),
        (Duration(nanos=999_999), "0.000999999"),
        (Duration(seconds=-1), "-1"),
        (Duration(seconds=12 * 3600, nanos=1), "43200"),
        (Duration(seconds=315_576_000_000), "3.15576e+11"),
    ],
)
async def test_length_of_a_lease_is_bounded(
    service: Service, duration: Duration, shown: str
) -> None:
    """Of a new one as of one that is extended; neither has an effect then."""
    await service.add(b"1", b"2")
    held = ids(await lease(service))

    refusals = [
        await refusal_of(lease(service, lease_duration=duration)),
        await refusal_of(results(service, "Extend", held, lease_duration=duration)),
    ]

    assert {refusal.message for refusal in refusals} == {
        f"lease_duration: must be 1 millisecond to 12 hours; got {shown} seconds"
    }
    assert len(await lease(service, 2)) == 1


async def test_consumer_has_a_name_of_bounded_length(service: Service) -> None:
    """In bytes; it is shown to those who look."""
    await service.add(b"1")
    longest = "é" * 100

    refusal = await refusal_of(lease(service, consumer=longest + "x"))
    not_kept = await refusal_of(lease(service, consumer="a\0b"))
    (leased,) = await lease(service, consumer=longest)
    await results(service, "Nack", [leased.lease_id], kind=Kind.RELEASE)
    (again,) = await lease(service)

    assert refusal.message == "consumer: takes 201 bytes, more than 200"
    assert not_kept.message == "consumer: must not have the character U+0000; it is at 1"
    assert [attempt.consumer for attempt in again.message.attempts] == [longest]


@pytest.mark.parametrize(
    "wait",
    [Duration(seconds=WAIT_S_MAX, nanos=1), Duration(seconds=-1), Duration(nanos=-1)],
    ids=repr,
)
async def test_time_to_wait_is_bounded(service: Service, wait: Duration) -> None:
    """As that of a Pop."""
    await service.add(b"1")

    refusal = await refusal_of(lease(service, wait=wait))

    assert refusal.message.startswith("wait: must be 0 to 60 seconds; got ")
    assert len(await lease(service)) == 1


async def test_lease_waits_for_a_message(service: Service) -> None:
    """One that is added, or that comes back from somebody else."""
    await service.add(b"1")
    (other,) = await lease(service)
    waiting = asyncio.ensure_future(lease(service, 9, wait=Duration(seconds=9)))
    await service.clock.until_waiting()

    await results(service, "Nack", [other.lease_id], kind=Kind.RELEASE)

    assert payloads(await waiting) == [b"1"]


async def test_lease_that_waits_in_vain_gets_nothing(service: Service) -> None:
    """Which is no error, unless the call's own deadline was nearer."""
    wait = Duration(seconds=5)
    patient = asyncio.ensure_future(lease(service, wait=wait, limit_s=6))
    hasty = asyncio.ensure_future(lease(service, wait=wait, limit_s=5))
    await service.clock.until_waiting(2)
    service.clock.advance(5)
    await asyncio.wait((patient, hasty))

    assert patient.result() == []
    assert isinstance(hasty.exception(), DeadlineExceeded)


async def test_caller_who_left_gets_no_lease(service: Service) -> None:
    """The message stays ready."""
    waiting = asyncio.ensure_future(lease(service, wait=Duration(seconds=9)))
    await service.clock.until_waiting()

    service.is_gone = True
    await service.add(b"1")
    with pytest.raises(Gone):
        await waiting

    assert payloads(await lease(service)) == [b"1"]


async def test_ack_answers_each_lease(service: Service) -> None:
    """In the order of the request: fine, also once more, or lost, or none at all."""
    await service.add(b"1", b"2")
    (first, second) = await lease(service, 2)
    await results(service, "Nack", [second.lease_id], kind=Kind.RELEASE)
    asked = [first.lease_id, second.lease_id, "soup", first.lease_id]

    fine, lost, none, repeated = await results(service, "Ack", asked)

    assert [fine, repeated] == [FINE, FINE]
    assert lost == pb.LeaseResult(
        code=9,
        message=f"lease {second.lease_id} was released at 2023-11-14T22:13:20.000Z; its message is"
        " ready to be handed out again",
        reason="LEASE_LOST",
    )
    assert none == pb.LeaseResult(
        code=3,
        message="lease_ids: 'soup' is no lease_id as Lease hands them out",
        reason="INVALID_ARGUMENT",
    )
    assert await service.payloads() == [b"2"]


async def test_ack_of_many_is_answered_for_all(service: Service) -> None:
    """A thousand at once."""
    await service.add(*[b"x"] * BATCH_MESSAGES_MAX)
    leased = ids(await lease(service, BATCH_MESSAGES_MAX))

    assert await results(service, "Ack", leased) == [FINE] * BATCH_MESSAGES_MAX
    assert await lease(service) == []


@pytest.mark.parametrize("method", ["Ack", "Nack", "Extend"])
@pytest.mark.parametrize("count", [0, BATCH_MESSAGES_MAX + 1])
async def test_number_of_leases_is_bounded(service: Service, method: str, count: int) -> None:
    """It is no error of one lease, but of the request."""
    refusal = await refusal_of(results(service, method, ["soup"] * count))

    assert refusal.message == f"lease_ids: must be 1 to 1000 lease ids; got {count}"


async def test_lease_of_another_queue_is_lost_here(service: Service) -> None:
    """It is on a message that this queue does not hold; nothing happens to it."""
    await service.add(b"1", queue_id="out")
    (other,) = await lease(service, queue_id="out")

    for method in ("Ack", "Nack", "Extend"):
        (result,) = await results(service, method, [other.lease_id])
        assert result.code == 9
        assert "does not hold its message any more" in result.message
    reply = await service.call("Ack", queue_id="out", lease_ids=[other.lease_id])
    assert list(reply.results) == [FINE]


async def test_released_message_is_ready_at_once_and_does_not_count(service: Service) -> None:
    """It has its old place, but another lease, later in the order of texts."""
    await service.add(b"1", b"2")
    (first,) = await lease(service)

    assert await results(service, "Nack", [first.lease_id], kind=Kind.RELEASE) == [FINE]
    (again,) = await lease(service)

    assert (again.message.payload, again.delivery_count) == (b"1", 1)
    assert again.lease_id > first.lease_id


async def test_failed_message_comes_back_after_the_back_off(service: Service) -> None:
    """A second, then two; it counts, and who says nothing has failed."""
    await service.add(b"1")
    (first,) = await lease(service)

    assert await results(service, "Nack", [first.lease_id]) == [FINE]
    service.clock.advance(0.999)
    early = await lease(service)
    service.clock.advance(0.001)
    (second,) = await lease(service)
    await results(service, "Nack", [second.lease_id], kind=Kind.FAIL)
    service.clock.advance(1.999)
    still_early = await lease(service)
    service.clock.advance(0.001)
    (third,) = await lease(service)

    assert (early, still_early) == ([], [])
    assert [each.delivery_count for each in (first, second, third)] == [1, 2, 3]


@pytest.mark.parametrize("kind", [Kind.RELEASE, Kind.FAIL])
@pytest.mark.parametrize("delay_s", [0, 9, 7 * DAY_S])
async def test_delay_is_as_long_as_it_says(
    service: Service, kind: pb.NackRequest.Kind, delay_s: int
) -> None:
    """Of a released message as of a failed one; of 0, it is none."""
    await service.add(b"1")
    (first,) = await lease(service)

    await results(service, "Nack", [first.lease_id], kind=kind, delay=Duration(seconds=delay_s))
    service.clock.advance(delay_s - 0.001)
    early = await lease(service) if delay_s else []
    service.clock.advance(0.001)

    assert early == []
    assert payloads(await lease(service)) == [b"1"]


@pytest.mark.parametrize(
    ("delay", "shown"),
    [(Duration(nanos=-1), "-1e-09"), (Duration(seconds=7 * DAY_S + 1), "604801")],
)
async def test_delay_is_bounded(service: Service, delay: Duration, shown: str) -> None:
    """The lease goes on."""
    await service.add(b"1")
    held = ids(await lease(service))

    refusal = await refusal_of(results(service, "Nack", held, delay=delay))

    assert refusal.message == f"delay: must be 0 to 7 days; got {shown} seconds"
    assert await results(service, "Ack", held) == [FINE]


async def test_kind_of_a_nack_is_one_of_three(service: Service) -> None:
    """The numbers of others are none."""
    refusal = await refusal_of(results(service, "Nack", ["soup"], kind=7))

    assert refusal.message == "kind: must be RELEASE (1), FAIL (2) or REJECT (3); got 7"


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("x" * 1_024, "x" * 1_024),
        ("x" * 1_025, "x" * 1_024),
        ("é" * 513, "é" * 512),
        ("x" + "é" * 512, "x" + "é" * 511),
        ("xx" + "\U0001f600" * 256, "xx" + "\U0001f600" * 255),
    ],
)
async def test_reason_is_kept_up_to_a_length(service: Service, reason: str, kept: str) -> None:
    """In bytes, but no character is cut in two."""
    await service.add(b"1")
    (leased,) = await lease(service, consumer="worker")

    await results(service, "Nack", [leased.lease_id], kind=Kind.RELEASE, reason=reason)
    (again,) = await lease(service)

    (attempt,) = again.message.attempts
    assert attempt == pb.Attempt(
        consumer="worker",
        leased=Timestamp(seconds=START_S),
        ended=Timestamp(seconds=START_S),
        outcome=pb.Attempt.RELEASED,
        reason=kept,
    )


async def test_rejected_message_becomes_a_dead_letter(service: Service) -> None:
    """At once, with what is known of it."""
    await service.add(b"1")
    (leased,) = await lease(service, consumer="worker")
    source_queue_id = (await service.broker.get_queue("jobs")).id

    service.clock.advance(2)
    await results(service, "Nack", [leased.lease_id], kind=Kind.REJECT, reason="no JSON")
    dead = (await service.call("Pop", queue_id="dead")).message

    assert (dead.meta, dead.payload) == (leased.message.meta, b"1")
    assert dead.dead_letter == pb.DeadLetter(
        reason=pb.DeadLetter.REJECTED,
        text="no JSON",
        source_queue_id=source_queue_id,
        moved=Timestamp(seconds=START_S + 2),
        delivery_count=1,
    )
    assert [attempt.outcome for attempt in dead.attempts] == [pb.Attempt.REJECTED]
    assert await lease(service) == []


async def test_message_that_nobody_can_do_becomes_a_dead_letter(service: Service) -> None:
    """After as many deliveries as its queue allows, however each has ended."""
    await service.add(b"1")
    await lease(service, consumer="a")
    service.clock.advance(30)
    for consumer in ("b", "c"):
        (leased,) = await lease(service, consumer=consumer)
        no_delay = Duration()
        await results(
            service, "Nack", [leased.lease_id], kind=Kind.FAIL, reason=consumer, delay=no_delay
        )
    (dead,) = await lease(service, queue_id="dead")

    assert dead.message.dead_letter.reason == pb.DeadLetter.DELIVERY_COUNT_MAX
    assert (dead.message.dead_letter.text, dead.message.dead_letter.delivery_count) == ("c", 3)
    assert [(each.consumer, each.outcome) for each in dead.message.attempts] == [
        ("a", pb.Attempt.EXPIRED),
        ("b", pb.Attempt.FAILED),
        ("c", pb.Attempt.FAILED),
    ]


async def test_message_without_a_dead_letter_queue_is_not_rejected(service: Service) -> None:
    """It is told, and the lease goes on."""
    await service.add(b"1", queue_id="out")
    held = ids(await lease(service, queue_id="out"))

    reply = await service.call("Nack", queue_id="out", lease_ids=held, kind=Kind.REJECT)

    (result,) = reply.results
    assert result.code == 9
    assert "has no dead-letter queue" in result.message
    assert list((await service.call("Ack", queue_id="out", lease_ids=held)).results) == [FINE]


async def test_extend_tells_when_the_lease_ends(service: Service) -> None:
    """From now: as long as the queue's leases last, or as it says, be it sooner."""
    await service.add(b"1")
    held = ids(await lease(service))
    service.clock.advance(20)

    (default,) = await results(service, "Extend", held)
    (longer,) = await results(service, "Extend", held, lease_duration=Duration(seconds=100))
    (sooner,) = await results(service, "Extend", held, lease_duration=Duration(nanos=500_000_000))
    service.clock.advance(0.499)
    held_to_the_end = await lease(service)
    service.clock.advance(0.001)
    (again,) = await lease(service)
    (late,) = await results(service, "Extend", held)

    assert default == pb.LeaseResult(lease_expires_at=Timestamp(seconds=START_S + 50))
    assert longer == pb.LeaseResult(lease_expires_at=Timestamp(seconds=START_S + 120))
    assert sooner == pb.LeaseResult(
        lease_expires_at=Timestamp(seconds=START_S + 20, nanos=500_000_000)
    )
    assert (held_to_the_end, payloads([again])) == ([], [b"1"])
    assert late.code == 9
    assert "expired at 2023-11-14T22:13:40.500Z; its message is leased" in late.message


async def complete(
    service: Service,
    acks: Sequence[tuple[str, Sequence[str]]] = (),
    adds: Sequence[tuple[str, Sequence[pb.NewMessage]]] = (),
) -> list[pb.Metadata]:
    """Call Complete."""
    reply = await service.call(
        "Complete",
        acks=[pb.CompleteRequest.Ack(queue_id=name, lease_ids=ids) for name, ids in acks],
        adds=[pb.CompleteRequest.Add(queue_id=name, messages=new) for name, new in adds],
    )
    return list(reply.messages)


async def test_complete_acks_and_adds(service: Service) -> None:
    """Of and to several queues; the reply has what was added, in order."""
    tags = [pb.Tag(key="k")]
    await service.add(b"1", b"2")
    await service.add(b"3", queue_id="dead")
    held = ids(await lease(service, 2))
    of_dead = ids(await lease(service, queue_id="dead"))

    metas = await complete(
        service,
        [("jobs", held), ("dead", of_dead)],
        [
            ("out", [pb.NewMessage(payload=b"4", tags=tags), pb.NewMessage()]),
            ("jobs", [pb.NewMessage(payload=b"5")]),
        ],
    )
    out = (await service.call("PopBatch", queue_id="out", messages_max=9)).messages

    assert [message.meta for message in out] == metas[:2]
    assert [list(meta.tags) for meta in metas] == [tags, [], []]
    assert [message.payload for message in out] == [b"4", b""]
    assert await service.payloads() == [b"5"]
    service.clock.advance(99)
    assert await service.payloads("dead") == []


async def test_complete_does_all_or_nothing(service: Service) -> None:
    """A lease that is lost, a queue that is full, paused, elsewhere or not there, stops all."""
    await service.call("NewQueue", store=pb.Queue.DISK, name="disk")
    await service.call("NewQueue", store=pb.Queue.MEMORY, name="full", limit=1)
    await service.call("NewQueue", store=pb.Queue.MEMORY, name="paused")
    await service.call("Pause", queue_id="paused", adds=True)
    await service.add(b"1", b"2")
    (held, lost) = ids(await lease(service, 2))
    await results(service, "Nack", [lost], kind=Kind.RELEASE)
    one = [pb.NewMessage(payload=b"x")]
    unknown = "00000000-0000-0000-0000-000000000000"

    for acks, adds, error in (
        ([("jobs", [held, lost])], [("out", one)], LeaseLost),
        ([("jobs", [held])], [("out", one), ("full", one * 2)], QueueFull),
        ([("jobs", [held])], [("out", one), ("paused", one)], AddsPaused),
        ([("jobs", [held])], [("out", one), ("disk", one)], StoresDiffer),
        ([("jobs", [held])], [("out", one), (unknown, one)], QueueNotFound),
    ):
        with pytest.raises(error):
            await complete(service, acks, adds)

    assert await service.payloads("out") == []
    assert await complete(service, [("jobs", [held])]) == []


async def test_complete_makes_room_by_its_acks(service: Service) -> None:
    """A full queue takes as many messages as leave it."""
    await service.call("UpdateQueue", queue_id="jobs", limit=2)
    await service.add(b"1", b"2")
    held = ids(await lease(service, 2))

    with pytest.raises(QueueFull):
        await complete(service, [("jobs", held[:1])], [("jobs", [pb.NewMessage()] * 2)])
    assert len(await complete(service, [("jobs", held)], [("jobs", [pb.NewMessage()] * 2)])) == 2


async def test_complete_of_nothing_or_too_much_is_refused(service: Service) -> None:
    """By field; so is what breaks the rules of one lease or message, by its place."""
    await service.add(b"1")
    (held,) = ids(await lease(service))
    no_queue = await refusal_of(complete(service))
    acks = await refusal_of(complete(service, [("jobs", ["x"] * 600), ("out", ["x"] * 401)]))
    adds = await refusal_of(complete(service, adds=[("jobs", [pb.NewMessage()] * 501)] * 2))
    no_lease = await refusal_of(complete(service, [("out", []), ("jobs", [held, "soup"])]))
    twice = await refusal_of(complete(service, [("jobs", [held, held])]))
    wrong = pb.NewMessage(tags=[pb.Tag(), pb.Tag(key="k" * 1_025)])
    tag = await refusal_of(complete(service, adds=[("out", []), ("out", [wrong])]))

    assert no_queue.field == "acks"
    assert acks.message == "acks: has 1001 lease ids together, more than batch_messages_max of 1000"
    assert adds.message == "adds: has 1002 messages together, more than batch_messages_max of 1000"
    assert no_lease.message == (
        "acks[1].lease_ids[1]: 'soup' is no lease_id as Lease hands them out"
    )
    assert twice.message == f"acks[0].lease_ids[1]: {held} is there twice"
    assert tag.field == "adds[1].messages[0].tags[1].key"
    assert await results(service, "Ack", [held]) == [FINE]


@pytest.mark.parametrize("reference", ["nobody", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("method", ["Lease", "Ack", "Nack", "Extend"])
async def test_call_about_no_queue_is_refused(
    service: Service, method: str, reference: str
) -> None:
    """By what was given."""
    fields: dict[str, Any] = {} if method == "Lease" else {"lease_ids": ["soup"]}

    with pytest.raises(QError, match=reference) as refusal:
        await service.call(method, queue_id=reference, **fields)

    assert refusal.value.reason in {"INVALID_ARGUMENT", "QUEUE_NOT_FOUND"}
