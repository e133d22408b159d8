"""What the client makes of what the wire says."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration

import qmq
from qmq.client import decode
from qmq.wire import q_pb2 as pb

#: A number that no server knows yet.
NEW = 99


def test_what_is_new_is_told_from_what_is_known() -> None:
    """A server may be newer than the client, and say more than that knows."""
    wire = pb.Message(dead_letter=pb.DeadLetter(), attempts=[pb.Attempt(), pb.Attempt()])
    wire.attempts[0].outcome = NEW  # type: ignore[assignment]
    wire.attempts[1].outcome = pb.Attempt.EXPIRED
    wire.dead_letter.reason = NEW  # type: ignore[assignment]
    queue = pb.Queue()
    queue.store = queue.settings.durability_min = NEW  # type: ignore[assignment]
    queue.settings.overflow = NEW  # type: ignore[assignment]
    redrive = pb.Redrive()
    redrive.state = NEW  # type: ignore[assignment]
    browsed = pb.BrowsedMessage()
    browsed.state = NEW  # type: ignore[assignment]

    message = decode.popped(wire, qmq.BytesCodec())
    info = decode.queue_info(queue)

    assert [attempt.outcome for attempt in message.attempts] == [None, qmq.Outcome.EXPIRED]
    assert message.dead_letter is not None
    assert message.dead_letter.reason is None
    assert info.store is qmq.Store.UNKNOWN
    assert info.settings.durability_min is qmq.Durability.UNKNOWN
    assert info.settings.overflow is None
    assert decode.redrive(redrive).state is qmq.RedriveState.UNKNOWN
    assert decode.browsed(browsed, qmq.BytesCodec()).state is None
    assert decode.durability_of(NEW) is qmq.Durability.UNKNOWN


@pytest.mark.parametrize(
    ("code", "message", "kind", "metadata"),
    [
        (9, "lease some-id expired at noon", qmq.LeaseLost, {"lease_id": "some-id"}),
        (9, "queue 1 has no dead-letter queue", qmq.NoDeadLetterQueue, {"lease_id": "some-id"}),
        (3, "lease_ids: 'some-id' is none", qmq.InvalidArgument, {"field": "lease_ids"}),
        (13, "oh dear", qmq.QmqError, {"lease_id": "some-id"}),
    ],
)
def test_each_result_about_a_lease_is_an_error_of_its_own(
    code: int, message: str, kind: type[qmq.QmqError], metadata: dict[str, str]
) -> None:
    """With the sentence that the server says, and the code and reason of its kind."""
    result = pb.LeaseResult(code=code, message=message, reason=kind.reason)

    error = decode.lease_error(result, "some-id")

    assert type(error) is kind
    assert (error.message, error.metadata) == (message, metadata)
    assert (error.code, error.reason) == (kind.code, kind.reason)


def test_a_result_that_is_well_is_no_error() -> None:
    """Whatever else it says."""
    assert decode.lease_error(pb.LeaseResult(), "some-id") is None


def test_a_message_says_what_it_was_added_with() -> None:
    """Wherever it is looked at; nothing, if that is nothing."""
    wire = pb.Message(payload=b"x")
    wire.options.available_at.FromNanoseconds(1_700_000_000_123_456_789)
    wire.options.expires_at.FromNanoseconds(1_800_000_000_000_000_000)
    wire.options.priority, wire.options.dedup_id = 9, "invoice 17"
    wire.options.group_id, wire.options.fair_key = "account 4", "customer 5"
    codec = qmq.BytesCodec()

    for message in (
        decode.popped(wire, codec),
        decode.browsed(pb.BrowsedMessage(message=wire), codec),
    ):
        assert (message.priority, message.dedup_id) == (9, "invoice 17")
        assert (message.group_id, message.fair_key) == ("account 4", "customer 5")
        assert message.available_ns == 1_700_000_000_123_456_789
        assert message.available_at == datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)
        assert message.expires_ns == 1_800_000_000_000_000_000
        assert message.expires_at == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
        assert (message.dead_letter, message.attempts) == (None, ())
    plain = decode.popped(pb.Message(payload=b"x"), codec)
    assert (plain.priority, plain.dedup_id, plain.group_id, plain.fair_key) == (0, "", "", "")
    assert (plain.available_ns, plain.available_at) == (plain.expires_ns, plain.expires_at)
    assert plain.expires_at is None


def test_what_is_known_of_a_queue_is_all_there() -> None:
    """Every setting and every count that there is."""
    queue = pb.Queue(
        settings=pb.QueueSettings(
            lease_duration=Duration(seconds=30),
            delivery_count_max=3,
            dead_letter_queue_id="dead",
            back_off=pb.BackOff(
                base=Duration(seconds=1), factor=2, max=Duration(seconds=300), jitter=0.2
            ),
            durability_min="OS",
            delay=Duration(seconds=1),
            ttl=Duration(seconds=2),
            dead_letter_expired=True,
            dedup_window=Duration(seconds=300),
            priority_ageing=Duration(nanos=5_000_000),
            bytes_limit=2**40,
            overflow="DEAD_LETTER_OLDEST",
            leased_max=7,
            rate=pb.Rate(messages_per_second=0.5, burst=4),
            park_after=8,
            fairness=pb.Fairness(
                leased_max=9,
                rate=pb.Rate(messages_per_second=0.25, burst=10),
                weights={"b": 11, "": 12},
            ),
            weight=13,
        )
    )
    wire = pb.QueueStats(queue=queue, bytes=1, expired_total=2, overflowed_total=3)
    wire.deduplicated_total, wire.dedup_ids = 4, 5
    wire.blocked, wire.groups, wire.groups_paused, wire.groups_parked = 6, 7, 8, 9
    wire.fair_keys = 10
    wire.top_fair_keys.add(fair_key="a", weight=11, waiting=12, leased=13)

    stats = decode.queue_stats(wire)

    assert {field.name for field in pb.QueueSettings.DESCRIPTOR.fields} == {
        field.name for field in fields(qmq.QueueSettings)
    }
    assert stats.info.settings == qmq.QueueSettings(
        lease_duration=30,
        delivery_count_max=3,
        dead_letter_queue_id="dead",
        back_off=qmq.BackOff(base=1, factor=2, max=300, jitter=0.2),
        durability_min="OS",
        delay=1,
        ttl=2,
        dead_letter_expired=True,
        dedup_window=300,
        priority_ageing=0.005,
        bytes_limit=2**40,
        overflow=qmq.Overflow.DEAD_LETTER_OLDEST,
        leased_max=7,
        rate=qmq.Rate(messages_per_second=0.5, burst=4),
        park_after=8,
        fairness=qmq.Fairness(
            leased_max=9,
            rate=qmq.Rate(messages_per_second=0.25, burst=10),
            weights={"b": 11, "": 12},
        ),
        weight=13,
    )
    assert (stats.bytes, stats.expired_total, stats.overflowed_total) == (1, 2, 3)
    assert (stats.deduplicated_total, stats.dedup_ids) == (4, 5)
    assert (stats.blocked, stats.groups) == (6, 7)
    assert (stats.groups_paused, stats.groups_parked, stats.fair_keys) == (8, 9, 10)
    assert stats.top_fair_keys == (qmq.FairKeyStats("a", 11, 12, 13),)


def test_a_group_says_what_it_is_and_holds() -> None:
    """Since when, if it is paused or parked; a state that the client does not know is None."""
    wire = pb.Group(group_id="a", state=pb.Group.PARKED, waiting=1, leased=2)
    wire.since.FromNanoseconds(1_800_000_000_000_000_001)

    parked = decode.group_info(wire)
    ready = decode.group_info(pb.Group(group_id="b", state=pb.Group.READY))
    unknown = decode.group_info(pb.Group(state=99))  # type: ignore[arg-type]

    assert (parked.id, parked.state) == ("a", qmq.GroupState.PARKED)
    assert (parked.waiting, parked.leased) == (1, 2)
    assert parked.since_ns == 1_800_000_000_000_000_001
    assert parked.since == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    assert ready == qmq.GroupInfo(id="b", state=qmq.GroupState.READY, waiting=0, leased=0)
    assert (ready.since, unknown.state) == (None, None)
