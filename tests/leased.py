"""What a Lease hands out, as a client reads it in the reply."""

from collections.abc import Sequence

from qmq.wire import q_pb2 as pb


def leased_messages(leased: Sequence[bytes]) -> list[pb.LeasedMessage]:
    """Return the messages in parts of a LeaseResponse, of which each has one of them."""
    found: list[pb.LeasedMessage] = []
    for part in leased:
        (message,) = pb.LeaseResponse.FromString(part).messages
        found.append(message)
    return found
