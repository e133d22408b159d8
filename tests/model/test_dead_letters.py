"""The rules of dead letters."""

from collections.abc import Sequence

import pytest

from qmq.descriptions import QueueInfo, QueueSettings
from qmq.envelope import HANDED_OUT_OVERHEAD_BYTES, Sealer
from qmq.errors import InvalidArgument
from qmq.limits import ATTEMPTS_MAX, CONSUMER_BYTES_MAX, REASON_BYTES_MAX
from qmq.model.changes import Move
from qmq.model.dead_letters import bury, check_dead_letter_queue
from qmq.model.delivery import Delivery
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.model.stats import stats_of
from qmq.testing import START_NS
from qmq.values import NS_PER_S, DeadLetterReason, NackKind, Outcome, Store
from qmq.wire import q_pb2 as pb
from tests.model.queues import SIZE, filled, leased, queue, queue_id, seqs_in

REJECTED = DeadLetterReason.REJECTED
MAX = DeadLetterReason.DELIVERY_COUNT_MAX


def buried(
    source: Queue,
    delivery: Delivery,
    target: Queue,
    *,
    reason: DeadLetterReason = REJECTED,
    envelope_bytes_max: int = 10_000,
) -> Move:
    """Move a message to a dead-letter queue, where its number is 900."""
    return bury(
        source,
        delivery,
        target,
        new_seq=900,
        now_ns=START_NS + NS_PER_S,
        reason=reason,
        envelope_bytes_max=envelope_bytes_max,
    )


def told(move: Move) -> pb.Message:
    """Return what is put at the end of a dead letter's envelope, as a client reads it."""
    return pb.Message.FromString(move.suffix)


def test_dead_letter_goes_to_the_end_of_its_new_queue() -> None:
    """Under a new number; its old queue knows it no more."""
    source, target = filled(queue(1), [5, 6]), filled(queue(2), [7])
    (delivery,) = leased(source)
    delivery.end(Outcome.REJECTED, START_NS, "broken")

    move = buried(source, delivery, target)

    size = SIZE + len(move.suffix)
    assert (move.old_entry, move.new_entry) == (entry(5, SIZE), entry(900, size))
    assert move.queue_number == 2
    assert (seqs_in(source), len(source.leases.by_seq), source.leases.leased) == ([6], 0, 0)
    assert seqs_in(target) == [7, 900]
    assert target.ready.bytes == 2 * SIZE + len(move.suffix)
    assert target.leases.by_seq == {}


@pytest.mark.parametrize("reason", list(DeadLetterReason))
def test_dead_letters_are_counted_by_reason(reason: DeadLetterReason) -> None:
    """By the queue that they leave, and by no other."""
    source, target = filled(queue(1), [5]), queue(2)
    (delivery,) = leased(source)
    delivery.end(Outcome.FAILED, START_NS)

    buried(source, delivery, target, reason=reason)

    assert source.dead_lettered == {each: int(each is reason) for each in DeadLetterReason}
    assert stats_of(source, START_NS).dead_lettered_total == 1
    assert stats_of(target, START_NS).dead_lettered_total == 0


def test_limit_of_the_new_queue_does_not_count() -> None:
    """A message that must go somewhere is never thrown away."""
    source, target = filled(queue(1), [5]), filled(queue(2, limit=1), [7])
    (delivery,) = leased(source)
    delivery.end(Outcome.REJECTED, START_NS)

    buried(source, delivery, target)

    assert seqs_in(target) == [7, 900]
    assert target.full_total == 0


def failed(source: Queue, text: str, consumer: str = "") -> Delivery:
    """Deliver the message at the head to a consumer that cannot do the work."""
    (delivery,) = leased(source, consumer=consumer)
    source.leases.give_back(delivery, NackKind.FAIL, START_NS, 0, text)
    return delivery


@pytest.mark.parametrize("reason", list(DeadLetterReason))
def test_dead_letter_tells_why_and_from_where(reason: DeadLetterReason) -> None:
    """The queue, the moment, and how often it was delivered.

    And what the last consumer said, where that is why.
    """
    source = filled(queue(1), [5])
    delivery = [failed(source, text) for text in ("first", "second")][-1]

    move = buried(source, delivery, queue(2), reason=reason)

    dead = told(move).dead_letter
    assert dead.reason == reason.value
    assert dead.text == ("second" if reason in (REJECTED, MAX) else "")
    assert dead.source_queue_id == queue_id(1)
    assert dead.moved.ToNanoseconds() == START_NS + NS_PER_S
    assert dead.delivery_count == 2


def test_dead_letter_has_its_flight_recorder() -> None:
    """Each attempt: who, from when to when, how it ended and why, oldest first."""
    source = filled(queue(1), [5])
    (delivery,) = leased(source, consumer="w1")
    source.leases.pass_time(delivery.until_ns, 0)
    (delivery,) = leased(source, now_ns=START_NS + 40 * NS_PER_S, consumer="w2")
    delivery.end(Outcome.REJECTED, START_NS + 41 * NS_PER_S, "broken")

    first, second = told(buried(source, delivery, queue(2))).attempts

    assert (first.consumer, first.outcome, first.reason) == ("w1", pb.Attempt.EXPIRED, "")
    assert first.leased.ToNanoseconds() == START_NS
    assert first.ended.ToNanoseconds() == START_NS + 30 * NS_PER_S
    assert (second.consumer, second.outcome, second.reason) == (
        "w2",
        pb.Attempt.REJECTED,
        "broken",
    )


def test_message_that_waits_in_the_line_can_be_a_dead_letter() -> None:
    """Its last lease ran out, and it was ready for a moment."""
    source = filled(queue(1), [5, 6])
    (delivery,) = leased(source)
    assert source.leases.pass_time(delivery.until_ns, 1) == ([delivery], [])

    buried(source, delivery, queue(2), reason=MAX)

    assert (seqs_in(source), source.ready.bytes) == ([6], SIZE)


def longest_history(source: Queue) -> Delivery:
    """Deliver the message at the head as often as is remembered, with the longest texts."""
    texts = ["r" * REASON_BYTES_MAX] * ATTEMPTS_MAX
    return [failed(source, text, consumer="c" * CONSUMER_BYTES_MAX) for text in texts][-1]


@pytest.mark.parametrize(
    ("room", "attempts", "has_text"),
    [
        (30_000, ATTEMPTS_MAX, True),
        (15_000, 11, True),
        (3_000, 1, True),
        (1_200, 0, True),
        (1_000, 0, False),
        (HANDED_OUT_OVERHEAD_BYTES, 0, False),
        (0, 0, False),
    ],
)
def test_history_that_does_not_fit_is_left_out(room: int, attempts: int, *, has_text: bool) -> None:
    """The oldest attempts first, then the text; never why, from where, and when."""
    source, target = filled(queue(1), [5]), queue(2)
    delivery = longest_history(source)

    move = buried(source, delivery, target, envelope_bytes_max=SIZE + room)

    dead = told(move)
    assert len(move.suffix) <= max(room, HANDED_OUT_OVERHEAD_BYTES // 2)
    assert len(dead.attempts) == attempts
    assert bool(dead.dead_letter.text) == has_text
    assert dead.dead_letter.source_queue_id == queue_id(1)
    assert dead.dead_letter.delivery_count == ATTEMPTS_MAX


def test_dead_letter_that_dies_again_tells_about_the_last_time() -> None:
    """Nothing of the first time is left in it but the attempts."""
    envelope = Sealer().seal(b"0" * 36, START_NS, b"", b"payload")
    source, target, last = queue(1), queue(2), queue(3)
    source.add(entry(5, len(envelope)))
    (delivery,) = leased(source, consumer="w1")
    delivery.end(Outcome.REJECTED, START_NS, "broken")
    first = buried(source, delivery, target)
    (delivery,) = leased(target, consumer="w2")
    target.leases.pass_time(delivery.until_ns, 1)

    second = buried(target, delivery, last, reason=MAX)

    message = pb.Message.FromString(envelope + first.suffix + second.suffix)
    assert message.payload == b"payload"
    assert message.dead_letter == pb.DeadLetter(
        reason=pb.DeadLetter.DELIVERY_COUNT_MAX,
        source_queue_id=queue_id(2),
        moved=told(second).dead_letter.moved,
        delivery_count=1,
    )
    assert [each.consumer for each in message.attempts] == ["w1", "w2"]


def infos_of(targets: Sequence[int]) -> list[QueueInfo]:
    """Describe queues numbered from 1, each with the number of its dead-letter queue, or 0."""
    return [
        queue(
            number, settings=QueueSettings(dead_letter_queue_id=queue_id(target) if target else "")
        ).info
        for number, target in enumerate(targets, 1)
    ]


def check(targets: Sequence[int], source: int, target: int) -> None:
    """Give one of these queues another one as its dead-letter queue."""
    infos = infos_of(targets)
    by_id = {info.id: info for info in infos}
    check_dead_letter_queue(infos[source - 1], infos[target - 1], lambda id_: by_id[id_])


@pytest.mark.parametrize(
    ("targets", "source", "target"),
    [
        ([0, 0], 1, 2),
        ([3, 0, 0], 1, 2),
        ([0, 3, 4, 0], 1, 2),
        ([3, 3, 0], 1, 3),
        ([2, 3, 0], 1, 3),
        ([2, 0], 1, 2),
    ],
)
def test_chain_of_dead_letter_queues_is_fine(targets: list[int], source: int, target: int) -> None:
    """Several may share one, and a dead-letter queue may have one of its own."""
    check(targets, source, target)


@pytest.mark.parametrize(
    ("targets", "source", "target", "way"),
    [
        ([0], 1, 1, [1, 1]),
        ([0, 1], 1, 2, [1, 2, 1]),
        ([0, 3, 1], 1, 2, [1, 2, 3, 1]),
        ([3, 1, 0], 3, 2, [3, 2, 1, 3]),
    ],
)
def test_dead_letters_never_go_in_a_circle(
    targets: list[int], source: int, target: int, way: list[int]
) -> None:
    """The whole circle is told."""
    with pytest.raises(InvalidArgument) as refusal:
        check(targets, source, target)

    assert refusal.value.message == (
        "settings.dead_letter_queue_id: dead letters would go in a circle: "
        + " to ".join(map(queue_id, way))
    )


def test_dead_letters_stay_in_their_store() -> None:
    """Nothing could move between stores without a moment in which it might be lost."""
    memory, disk = queue(1, store=Store.MEMORY), queue(2, store=Store.DISK)

    with pytest.raises(InvalidArgument) as refusal:
        check_dead_letter_queue(memory.info, disk.info, lambda _: disk.info)

    assert refusal.value.message == (
        f"settings.dead_letter_queue_id: queue {queue_id(2)} lives in DISK, this one in MEMORY;"
        " dead letters stay in the store they are in, so that none is ever lost on its way"
    )
