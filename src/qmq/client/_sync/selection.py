# Generated from _async by scripts/unasync.py; change it there.
"""All queues that a selector matches, as a client sees them."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from qmq.client._sync.connection import Connection
from qmq.client._sync.leasable import Leasable
from qmq.client._sync.lease import LeasedMessage, lease_of
from qmq.client._sync.leasing import Leasing
from qmq.client._sync.take import Taker
from qmq.client.codecs import Codec
from qmq.client.endings import Ending
from qmq.client.errors import QmqError, QueueNotFound
from qmq.client.options import Duration, duration_s_of, wait_s_of
from qmq.client.values import DurabilityName, Message, NackKindName, durability_level, member
from qmq.values import NackKind

T = TypeVar("T")
U = TypeVar("U")


class Selection(Leasable[T]):
    """The queues of a server whose tags a selector matches. Made by `Client.selection`.

    Which those are is found at each call, and while it waits: queues may come, go, and change.
    Those that have messages take turns, by the weight in their settings. Each message knows its
    queue, so that it is acked and given back as others are.

    It holds nothing but the selector, so making one asks the server nothing. `T` is what its
    codec encodes and decodes. That no queue matches is no error: there are no messages then.

    Each call raises InvalidArgument if the selector is none, and SelectionsFull if very many
    different ones are in use; it may raise Unavailable and its kin, DeadlineExceeded and
    ClientUnusable. One that has a `durability` raises DurabilityNotReached, and does nothing,
    if the queue whose turn it is cannot be as durable as that, and ValueError if there is no
    level of that name.
    """

    def __init__(self, connection: Connection, selector: str, codec: Codec[T]) -> None:
        self._connection = connection
        #: Which queues, as the caller wrote it.
        self.selector = selector
        self._codec = codec
        self._leasing = Leasing(connection, "", selector=selector)
        self._taker = Taker(connection, "", codec, selector=selector)

    def __repr__(self) -> str:
        return f"<Selection {self.selector!r} at {self._connection.channel.address}>"

    def with_codec(self, codec: Codec[U]) -> "Selection[U]":
        """Return the same queues with another codec."""
        return Selection(self._connection, self.selector, codec)

    def pop_batch(
        self,
        messages_max: int,
        *,
        wait: Duration | None = 0,
        durability: DurabilityName | None = None,
    ) -> list[Message[T]]:
        """Take messages out of the queues, as many as there are and fit a reply.

        At most once: if the answer is lost, so are they. Of each queue the oldest come first.

        Args:
            messages_max: how many at most, 1 to 1,000.
            wait: how many seconds to wait for the first one; None waits for ever.
            durability: as in `Queue.pop`.

        Returns:
            The messages, each with its `queue_id`; none if there are none, also after waiting.

        Raises:
            InvalidArgument: `messages_max` is out of range.
        """
        taker = self._taker.asking_for(durability_level(durability))
        return taker.pop_batch(messages_max, wait_s_of(wait))

    def ack(
        self,
        messages: Iterable[LeasedMessage[Any]],
        *,
        durability: DurabilityName | None = None,
    ) -> list[QmqError | None]:
        """Remove leased messages from their queues: their work is done. One call a queue.

        Args:
            messages: messages of any queues, up to 1,000 of each.
            durability: as in `Queue.ack`.

        Returns:
            For each, in order, None, or LeaseLost if it was handed out again meanwhile, or
            QueueNotFound if its queue was deleted.
        """
        return self._end(messages, Ending(durability=durability_level(durability)))

    def nack(
        self,
        messages: Iterable[LeasedMessage[Any]],
        kind: NackKindName = NackKind.FAIL,
        *,
        delay: Duration | None = None,
        reason: str = "",
        durability: DurabilityName | None = None,
    ) -> list[QmqError | None]:
        """Give leased messages back. One call a queue.

        Args:
            messages: messages of any queues, up to 1,000 of each.
            kind: as in `Queue.nack`, as are those that follow.
            delay: for how many seconds they are kept back.
            reason: why, for those who look.
            durability: how durable that is on return, at least.

        Returns:
            For each, in order, None, or LeaseLost, NoDeadLetterQueue or QueueNotFound.
        """
        kind = member(NackKind, kind, "kind")
        level = durability_level(durability)
        return self._end(messages, Ending(kind, duration_s_of(delay, "delay"), reason, level))

    def extend(
        self,
        messages: Iterable[LeasedMessage[Any]],
        lease_duration: Duration | None = None,
        *,
        durability: DurabilityName | None = None,
    ) -> list[QmqError | None]:
        """Make leases end a time from now. One call a queue.

        Args:
            messages: messages of any queues, up to 1,000 of each.
            lease_duration: in seconds; None leaves that to each queue.
            durability: as in `Queue.extend`.

        Returns:
            For each, in order, None, or LeaseLost or QueueNotFound.
        """
        messages = list(messages)
        duration_s = duration_s_of(lease_duration, "lease_duration")
        found: list[QmqError | None] = [None] * len(messages)
        for queue_id, places in _by_queue(messages).items():
            leasing = self._leasing.of(queue_id).asking_for(durability_level(durability))
            sent_at = time.monotonic()
            results: Sequence[int | QmqError]
            try:
                results = leasing.extend([messages[at].lease_id for at in places], duration_s)
            except QueueNotFound as error:
                results = [error] * len(places)
            for at, result in zip(places, results, strict=True):
                lease_of(messages[at]).note_extension(result, sent_at, duration_s)
                found[at] = result if isinstance(result, QmqError) else None
        return found

    def _end(self, messages: Iterable[LeasedMessage[Any]], ending: Ending) -> list[QmqError | None]:
        messages = list(messages)
        found: list[QmqError | None] = [None] * len(messages)
        for queue_id, places in _by_queue(messages).items():
            leasing = self._leasing.of(queue_id)
            errors: Sequence[QmqError | None]
            try:
                errors = leasing.end([messages[at].lease_id for at in places], ending)
            except QueueNotFound as error:
                errors = [error] * len(places)
            for at, error_ in zip(places, errors, strict=True):
                lease_of(messages[at]).note_end(error_)
                found[at] = error_
        return found


def _by_queue(messages: Sequence[LeasedMessage[Any]]) -> dict[str, list[int]]:
    """Return at which places the messages of each queue are."""
    places: dict[str, list[int]] = {}
    for at, message in enumerate(messages):
        places.setdefault(message.queue_id, []).append(at)
    return places
