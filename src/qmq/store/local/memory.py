"""The MEMORY store: messages live and end with the process."""

from qmq.model.queue import Queue


class MemoryStore:
    """Keeps envelopes in a dict. See `qmq.store.base.QueueStore`."""

    def __init__(self) -> None:
        self._envelopes: dict[int, bytes] = {}
        self._seq = 0

    def check(self) -> None:
        """Take every call."""

    async def new_queue(self, queue: Queue) -> None:
        """Nothing to keep: the catalog holds the queue."""

    async def delete_queue(self, queue: Queue) -> None:
        """Drop the queue's messages."""
        for seq in queue.ready:
            del self._envelopes[seq]
        queue.ready.clear()

    async def save_info(self, queue: Queue) -> None:
        """Nothing to keep: the queue holds its info."""

    async def add(self, queue: Queue, envelope: bytes, created_ns: int) -> None:
        """Put a message at the end of a queue."""
        seq = max(self._seq + 1, created_ns)
        queue.add(seq)
        self._seq = seq
        self._envelopes[seq] = envelope

    async def pop(self, queue: Queue) -> bytes:
        """Take the message at the head of a queue."""
        return self._envelopes.pop(queue.pop())

    async def peek(self, queue: Queue) -> bytes:
        """Return the message at the head of a queue."""
        return self._envelopes[queue.peek()]

    async def settle(self) -> None:
        """Nothing to wait for."""

    async def close(self) -> None:
        """Nothing to let go of."""
