"""What q should do, in the simplest way there is: lists, and no thought of speed."""

from dataclasses import dataclass, field, replace

from qmq.errors import (
    InvalidArgument,
    NameTaken,
    QError,
    QueueEmpty,
    QueueFull,
    QueueNotFound,
)
from qmq.values import QueueInfo, Store, Tag


@dataclass
class NaiveQueue:
    """A queue and the payloads in it."""

    info: QueueInfo
    payloads: list[bytes] = field(default_factory=list)


@dataclass
class NaiveBroker:
    """All queues, in order of creation; its methods return what q answers, or the error."""

    queues: list[NaiveQueue] = field(default_factory=list)

    def infos(self) -> list[QueueInfo]:
        """Describe all queues."""
        return [queue.info for queue in self.queues]

    def restart(self) -> None:
        """Lose what was in memory only."""
        self.queues = [queue for queue in self.queues if queue.info.store is Store.DISK]

    def find(self, reference: str) -> NaiveQueue | QError:
        """Find a queue by its id or its name."""
        for queue in self.queues:
            if reference in (queue.info.id, queue.info.name):
                return queue
        if len(reference) == len("00000000-0000-0000-0000-000000000000"):
            return QueueNotFound(reference)
        return InvalidArgument(
            "queue_id", f"{reference!r} is neither a UUID nor the name of a queue"
        )

    def name_error(self, name: str) -> QError | None:
        """Say why a new queue cannot have a name, if so."""
        for queue in self.queues:
            if name and queue.info.name == name:
                return NameTaken(name, queue.info.id)
        return None

    def new_queue(self, info: QueueInfo) -> None:
        """Create a queue, which `name_error` had nothing against."""
        self.queues.append(NaiveQueue(info))

    def delete_queue(self, reference: str) -> QError | None:
        """Delete a queue and its messages."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        self.queues.remove(queue)
        return None

    def add_queue_tag(self, reference: str, tag: Tag) -> QError | None:
        """Add a tag at the end."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        if tag not in queue.info.tags:
            queue.info = replace(queue.info, tags=(*queue.info.tags, tag))
        return None

    def delete_queue_tag(self, reference: str, tag: Tag) -> QError | None:
        """Remove a tag."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        queue.info = replace(queue.info, tags=tuple(t for t in queue.info.tags if t != tag))
        return None

    def add(self, reference: str, payload: bytes) -> bytes | QError:
        """Put a payload at the end."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        if len(queue.payloads) == queue.info.limit:
            return QueueFull(queue.info.id, queue.info.limit, len(queue.payloads))
        queue.payloads.append(payload)
        return payload

    def peek(self, reference: str) -> bytes | QError:
        """Return the payload at the head."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        return queue.payloads[0] if queue.payloads else QueueEmpty(queue.info.id)

    def pop(self, reference: str) -> bytes | QError:
        """Take the payload at the head."""
        payload = self.peek(reference)
        queue = self.find(reference)
        if isinstance(payload, bytes) and isinstance(queue, NaiveQueue):
            queue.payloads.pop(0)
        return payload

    def add_batch(
        self, reference: str, payloads: list[bytes], *, partial: bool
    ) -> list[bytes] | QError:
        """Put payloads at the end: all of them or none, or the first ones that fit."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        added: list[bytes] = []
        for payload in payloads:
            error = self.add(reference, payload)
            if isinstance(error, QError):
                if partial and added:
                    return added
                del queue.payloads[len(queue.payloads) - len(added) :]
                return QueueFull(queue.info.id, queue.info.limit, len(queue.payloads))
            added.append(payload)
        return added

    def pop_batch(self, reference: str, messages_max: int) -> list[bytes] | QError:
        """Take the payloads at the head."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        popped = queue.payloads[:messages_max]
        del queue.payloads[:messages_max]
        return popped
