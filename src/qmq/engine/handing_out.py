"""What every Lease does with a queue that has a message for it, and what is said of it then."""

from collections.abc import Sequence

from qmq.engine.queues import Queues
from qmq.envelope import (
    FirstLeases,
    encode_attempts,
    encode_first_leased,
    encode_leased,
    encode_leases,
)
from qmq.model.deliveries import HandedOut
from qmq.model.delivery import FIRST_LEASE, Delivery, lease_id_starts, lease_ids_of
from qmq.model.index import size_of
from qmq.model.leases import Holder
from qmq.model.queue import Queue


def hand_out(  # noqa: PLR0913 - What to lease, to whom, and for how long.
    queues: Queues,
    queue: Queue,
    count_max: int,
    bytes_max: int,
    *,
    now_ns: int,
    duration_ns: int | None,
    consumer: str,
    holder: Holder | None,
) -> HandedOut:
    """Put messages at the head of a queue on lease, for one whose turn it is.

    Args:
        queues: those of the server.
        queue: where from.
        count_max: how many at most.
        bytes_max: what they may take in a reply; one is handed out in any case.
        now_ns: the moment.
        duration_ns: how long the leases last; None leaves that to the queue.
        consumer: who asks.
        holder: knows of its leases from then on, whatever becomes of the call.
    """
    if duration_ns is None:
        duration_ns = queue.info.settings.lease_duration_ns
    count_max = queues.waiting.share(queue, count_max)
    handed_out = queue.lease(now_ns, duration_ns, count_max, bytes_max, consumer)
    queues.set_alarm(queue)
    if holder:
        queue.leases.hold(handed_out, holder)
    if queue.lines.is_active:
        # More may be free than was known: others of a key, or of another one.
        queues.waiting.serve(queue)
    return handed_out


class Encoded:
    """What a reply says of messages besides themselves.

    It is true when they are handed out, and may not be any more when that is durable.
    """

    __slots__ = ("_attempts", "_first_leases", "_leases")

    def __init__(self, handed_out: HandedOut, envelope_bytes_max: int, rest: bytes = b"") -> None:
        """Encode it.

        Args:
            handed_out: what `hand_out` returned.
            envelope_bytes_max: what each message may take in a reply.
            rest: as in `encode_leases`.
        """
        seqs, until_ns = handed_out.seqs, handed_out.until_ns
        self._first_leases: FirstLeases | None = None
        if handed_out.lot and not handed_out.deliveries:
            # As nearly always.
            self._first_leases = FirstLeases(lease_id_starts(seqs), FIRST_LEASE, until_ns, rest)
            return
        each_known: Sequence[Delivery | None] = handed_out.deliveries
        if handed_out.lot:
            known = {delivery.seq: delivery for delivery in handed_out.deliveries}
            each_known = [known.get(seq) for seq in seqs]
        self._attempts = [
            encode_attempts(each.attempts, envelope_bytes_max - size_of(each.entry))
            if each and each.attempts
            else b""
            for each in each_known
        ]
        fences = [each.fence if each else 1 for each in each_known]
        counts = [each.count if each else 1 for each in each_known]
        self._leases = encode_leases(lease_ids_of(seqs, fences), until_ns, counts, rest)

    def with_envelopes(self, envelopes: Sequence[bytes]) -> bytes:
        """Return each `proto.LeasedMessage` as it stands in a reply: the repeated field 1."""
        if self._first_leases:
            return encode_first_leased(envelopes, self._first_leases)
        return b"".join(encode_leased(envelopes, self._attempts, self._leases))
