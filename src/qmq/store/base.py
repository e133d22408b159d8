"""What the engine asks of a store."""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from qmq.model.changes import Changes
from qmq.model.queue import Queue
from qmq.values import Durability


class Held(Protocol):
    """What a store has read when it was opened, or after a failure."""

    @property
    def queues(self) -> Sequence[Queue]:
        """The queues, in order of creation."""
        ...

    @property
    def last_queue_number(self) -> int:
        """The highest number that a queue ever had."""
        ...

    @property
    def redrives(self) -> Iterable[tuple[str, str]]:
        """The redrives, in order of their starts: id, and what was kept."""
        ...

    @property
    def schedules(self) -> Iterable[tuple[str, str]]:
        """The schedules, in order of their creation: id, and what was kept."""
        ...


class QueueStore(Protocol):
    """Keeps queues and their messages.

    A method decides when it is called, by the rules of the model, and raises their errors then.
    What it returns is to be awaited. It is done when all that was decided is as durable as the
    caller asks by `durability`, or else as the store can make it: never more than `durability_max`.
    So calls take effect in the order in which they were made. To stop waiting does not undo a call.

    The sequence number of a message is the moment in which it came to its queue, or the next free
    one, so that the numbers alone tell how old messages are. No two messages that a store has kept
    ever have the same number, even after a restart with the clock set back.

    When a write fails, everyone who waits for it gets StoreFailed. When messages turn out to be
    damaged, those who wait for them get DataLoss; a call for several messages gets the others.
    """

    @property
    def durability_max(self) -> Durability:
        """How durable it makes a change at most."""
        ...

    def check(self, *, only_reads: bool = False) -> None:
        """Refuse calls that the store could not carry out now.

        To be called before a rule changes anything, so that a refusal changes nothing.

        Args:
            only_reads: the call changes nothing that is to be kept.

        Raises:
            Unavailable: the store has failed or is too busy.
        """
        ...

    def new_queue(self, queue: Queue) -> Awaitable[None]:
        """Keep a new, empty queue."""
        ...

    def delete_queue(self, queue: Queue) -> Awaitable[None]:
        """Drop a queue and all its messages."""
        ...

    def save_info(self, queue: Queue) -> Awaitable[None]:
        """Keep what has changed in a queue's info."""
        ...

    def purge(self, queue: Queue) -> Awaitable[None]:
        """Drop all messages of a queue."""
        ...

    def add(
        self,
        queue: Queue,
        envelope: bytes,
        created_ns: int,
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[None]:
        """Put a message at the end of a queue.

        Args:
            queue: where to.
            envelope: the message.
            created_ns: when it was accepted.
            durability: what to wait for.

        Raises:
            QueueFull: it holds as many messages as its limit allows.
            AddsPaused: it takes none for now.
        """
        ...

    def add_batch(
        self,
        queue: Queue,
        envelopes: Sequence[bytes],
        created_ns: int,
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[None]:
        """Put messages at the end of a queue, as `Queue.room_for` found room for them.

        Args:
            queue: where to.
            envelopes: the messages, in order.
            created_ns: when they were accepted.
            durability: what to wait for.
        """
        ...

    def pop(self, queue: Queue, durability: Durability = Durability.UNKNOWN) -> Awaitable[bytes]:
        """Take the message at the head of a queue; its envelope is the result.

        Raises:
            QueueEmpty: there is none, or the queue is paused.
        """
        ...

    def pop_batch(
        self,
        queue: Queue,
        count_max: int,
        bytes_max: int,
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Take messages from the head of a queue; their envelopes are the result.

        Args:
            queue: where from.
            count_max: how many at most.
            bytes_max: what a reply that carries them may take; one is taken in any case.
            durability: what to wait for.
        """
        ...

    def set_aside(self, queue: Queue, entries: Sequence[int]) -> None:
        """Leave out of a queue messages that are damaged, and were handed out."""
        ...

    def peek(self, queue: Queue) -> Awaitable[bytes]:
        """Look at the message at the head of a queue; its envelope is the result.

        Raises:
            QueueEmpty: there is none.
        """
        ...

    def number(self, count: int, created_ns: int) -> int:
        """Return the first of so many sequence numbers in a row that no message ever had.

        Args:
            count: how many.
            created_ns: the moment, which the first number is, or the next free one.
        """
        ...

    def commit(
        self,
        changes: Changes,
        read: Sequence[int] = (),
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Keep changes, all of them or none.

        Args:
            changes: what was changed.
            read: entries (see `qmq.model.index`) of messages, still there when the changes
                are made, whose envelopes are the result.
            durability: what to wait for.
        """
        ...

    def settle(self, durability: Durability = Durability.UNKNOWN) -> Awaitable[None]:
        """Wait until all that was decided upon so far is so durable, whoever asked for less.

        For answers that rest on changes of others: they must not be taken back.

        Raises:
            StoreFailed: it never will be.
        """
        ...

    async def close(self) -> None:
        """Make durable what is under way, and let go of every resource."""
        ...
