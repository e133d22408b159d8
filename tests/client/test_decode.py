"""What the client makes of what the wire says."""

import pytest

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
