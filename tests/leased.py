"""What a Lease hands out, as a client reads it in the reply."""

from qmq.wire import q_pb2 as pb


def leased_messages(leased: bytes) -> list[pb.LeasedMessage]:
    """Return the messages of a LeaseResponse, of which they are the beginning."""
    return list(pb.LeaseResponse.FromString(leased).messages)
