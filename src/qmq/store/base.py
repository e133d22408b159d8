"""What the engine asks of a store."""

from typing import Protocol

from qmq.model.queue import Queue


class QueueStore(Protocol):
    """Keeps queues and their messages.

    A method decides by the rules of the model at once, before it first awaits, so that
    calls take effect in the order in which they were made; and it returns, or raises an
    error of the family, only when everything that it decided upon is as durable as the
    store promises. A cancelled call may have taken effect.

    When a write fails, every call that waits raises StoreFailed.
    """

    def check(self) -> None:
        """Refuse calls that the store could not carry out now.

        To be called before a rule changes anything, so that a refusal changes nothing.

        Raises:
            Unavailable: the store has failed or is too busy.
        """
        ...

    async def new_queue(self, queue: Queue) -> None:
        """Keep a new, empty queue."""
        ...

    async def delete_queue(self, queue: Queue) -> None:
        """Drop a queue and all its messages."""
        ...

    async def save_info(self, queue: Queue) -> None:
        """Keep what has changed in a queue's info."""
        ...

    async def add(self, queue: Queue, envelope: bytes, created_ns: int) -> None:
        """Put a message at the end of a queue.

        Args:
            queue: where to.
            envelope: the message.
            created_ns: when it was accepted. Its sequence number is this moment, or the
                next free one, so that the numbers alone tell how old a message is and
                are never used again.

        Raises:
            QueueFull: it holds as many messages as its limit allows.
        """
        ...

    async def pop(self, queue: Queue) -> bytes:
        """Take the message at the head of a queue and return its envelope.

        Raises:
            QueueEmpty: there is none.
        """
        ...

    async def peek(self, queue: Queue) -> bytes:
        """Return the envelope at the head of a queue and leave it there.

        Raises:
            QueueEmpty: there is none.
        """
        ...

    async def settle(self) -> None:
        """Wait until all that was decided upon so far is as durable as the store promises.

        For answers that rest on changes which others wait for: they must not be taken back.

        Raises:
            StoreFailed: it never will be.
        """
        ...

    async def close(self) -> None:
        """Make durable what is under way, and let go of every resource.

        To do so again does nothing.
        """
        ...
