"""What consumers were told by a server, and what may never be told after that.

It knows nothing of what the server should do, only what no consumer may ever see.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qmq.errors import QError
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.store.calls import Ready


@dataclass
class _Lease:
    """A lease that a consumer was given."""

    lease_id: str
    payload: bytes
    #: When it ends; None if the consumer does not know whether it has ended already.
    until_ns: int | None


@dataclass
class Ledger:
    """All that was told. Payloads are unique, so that each stands for its message."""

    #: By queue, and by the name of the lease.
    leases: dict[tuple[str, str], _Lease] = field(default_factory=dict)
    #: The latest lease on each message.
    latest: dict[bytes, _Lease] = field(default_factory=dict)
    #: Messages that were popped, or whose ack was answered.
    gone: set[bytes] = field(default_factory=set)

    def note(self, call: Ready, result: object, now_ns: int) -> None:  # noqa: C901 - A table.
        """Take note of what was told, and see whether it may be."""
        match call.call.verb, result:
            case "pop" | "pop_batch", bytes() | list():
                for payload in _payloads(result):
                    self.is_not_elsewhere(payload, now_ns)
                    self.gone.add(payload)
            case "peek", bytes():
                for payload in _payloads(result):
                    self.is_not_elsewhere(payload, now_ns)
            case "lease", bytes():
                for each in leased_messages(result):
                    self.note_lease(call.queue_id, each, now_ns)
            case "complete", list():
                for lease_id in call.lease_ids:
                    self.note_result(call, lease_id, None)
            case "ack" | "nack" | "extend", list():
                for lease_id, each in zip(call.lease_ids, result, strict=True):
                    if not isinstance(each, QError):
                        self.note_result(call, lease_id, each)

    def note_lease(self, queue_id: str, leased: pb.LeasedMessage, now_ns: int) -> None:
        """Take note of a lease that was given."""
        payload = leased.message.payload
        self.is_not_elsewhere(payload, now_ns)
        before = self.latest.get(payload)
        assert before is None or before.lease_id < leased.lease_id
        lease = _Lease(leased.lease_id, payload, leased.lease_expires_at.ToNanoseconds())
        self.latest[payload] = self.leases[queue_id, leased.lease_id] = lease

    def note_result(self, call: Ready, lease_id: str, until_ns: int | None) -> None:
        """Take note that something about a lease was done, if its consumer was told of it."""
        if lease := self.leases.get((call.queue_id, lease_id)):
            lease.until_ns = until_ns
            if call.call.verb in {"ack", "complete"}:
                self.gone.add(lease.payload)

    def note_picked(self, payloads: Sequence[bytes], results: Sequence[object]) -> None:
        """Take note of messages that were deleted or moved: whoever had them has them no more."""
        for payload, result in zip(payloads, results, strict=True):
            if isinstance(result, QError):
                continue
            if result is None:
                self.gone.add(payload)
            if lease := self.latest.get(payload):
                lease.until_ns = None

    def pass_time(self, now_ns: int) -> None:
        """Let leases end, and not go on again when the clock is set back after that."""
        for lease in self.latest.values():
            if lease.until_ns is not None and lease.until_ns <= now_ns:
                lease.until_ns = None

    def note_unanswered(self, call: Ready) -> None:
        """Take note that a consumer does not know what has become of its call."""
        for lease_id in call.lease_ids:
            if lease := self.leases.get((call.queue_id, lease_id)):
                lease.until_ns = None

    def is_not_elsewhere(self, payload: bytes, now_ns: int) -> None:
        """See to it that a message may be shown: nobody has it, and its work is not done."""
        assert payload not in self.gone, f"{payload!r} was shown after its ack or Pop"
        lease = self.latest.get(payload)
        is_free = lease is None or lease.until_ns is None or lease.until_ns <= now_ns
        assert is_free, f"{payload!r} was shown while somebody had it on lease"


def _payloads(result: bytes | list[bytes]) -> list[bytes]:
    envelopes = [result] if isinstance(result, bytes) else result
    return [pb.Message.FromString(envelope).payload for envelope in envelopes]
