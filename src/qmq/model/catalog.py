"""The rules of the set of queues: unique ids, unique names, order of creation."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import takewhile

from qmq.descriptions import QueueInfo
from qmq.errors import InvalidArgument, LimitReached, NameTaken, QueueNotFound
from qmq.limits import PAGE_SIZE_MAX, QUEUE_NAME_CHARS_MAX, QUEUES_MAX
from qmq.model.queue import Queue

_UUID = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE | re.ASCII
)
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{QUEUE_NAME_CHARS_MAX - 1}}}", re.ASCII)


def parse_uuid(text: str) -> str | None:
    """Return a UUID in its canonical form, or None if the text is none.

    Any case is accepted, and `urn:uuid:` in front, as the original did.
    """
    match = _UUID.fullmatch(text)
    return match[1].lower() if match else None


def is_name(text: str) -> bool:
    """Tell whether a text can be a name: it is one segment of a URL path."""
    return bool(_NAME.fullmatch(text))


def check_name(name: str) -> None:
    """Refuse a name that could not stand wherever a queue's id can.

    Raises:
        InvalidArgument: the name breaks the rule.
    """
    if not is_name(name) or parse_uuid(name):
        raise InvalidArgument(
            "name",
            f"must be 1 to {QUEUE_NAME_CHARS_MAX} of A-Z a-z 0-9 . _ - starting with a letter"
            f" or digit, and not a UUID; got {name[: 2 * QUEUE_NAME_CHARS_MAX]!r}",
        )


def check_page_size(size: int) -> None:
    """Refuse pages of so many queues.

    Raises:
        InvalidArgument: the size is out of range.
    """
    if not 0 <= size <= PAGE_SIZE_MAX:
        raise InvalidArgument("page_size", f"must be 0 (all) to {PAGE_SIZE_MAX}; got {size}")


class Catalog:
    """All queues of one server."""

    def __init__(self, queues_max: int = QUEUES_MAX) -> None:
        #: How many queues there may be; with more, none is added.
        self.queues_max = queues_max
        #: In order of creation, which is the order of `number`s as well.
        self._by_id: dict[str, Queue] = {}
        self._by_name: dict[str, Queue] = {}
        self._last_number = 0
        #: How often a queue came that was made before others, as when some are read from disk
        #: anew: who remembers which there were up to a number has to begin anew.
        self.rearranged = 0
        #: The ids of those whose dead letters go to a queue, by the id of that.
        self._sources: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """Count the queues."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Queue]:
        """Go through the queues in order of creation."""
        return iter(self._by_id.values())

    def after(self, number: int) -> Iterator[Queue]:
        """Go through the queues that were made after the one of a number, the newest first."""
        newest_first = reversed(self._by_id.values())
        return takewhile(lambda queue: queue.number > number, newest_first)

    def get(self, reference: str) -> Queue | None:
        """Return the queue that has the id or the name, if any."""
        # Nearly every call names a queue by its canonical id.
        queue = self._by_id.get(reference) or self._by_name.get(reference)
        return queue or self._by_id.get(parse_uuid(reference) or "")

    def find(self, reference: str) -> Queue:
        """Return the queue that has the id or the name.

        Raises:
            QueueNotFound: no queue has the id.
            InvalidArgument: it is neither a UUID nor the name of a queue.
        """
        queue = self.get(reference)
        if queue is not None:
            return queue
        queue_id = parse_uuid(reference)
        if queue_id is None:
            raise InvalidArgument(
                "queue_id", f"{reference[:120]!r} is neither a UUID nor the name of a queue"
            )
        raise QueueNotFound(queue_id)

    def check_room(self, name: str) -> None:
        """Refuse a further queue that could not be added.

        Raises:
            InvalidArgument: the name breaks the rule of names.
            NameTaken: another queue has the name.
            LimitReached: the server holds as many queues as it may.
        """
        if name:
            check_name(name)
            if name in self._by_name:
                raise NameTaken(name, self._by_name[name].info.id)
        if len(self._by_id) >= self.queues_max:
            raise LimitReached(
                f"the server has reached queues_max of {self.queues_max} queues; delete some,"
                " or start q with a higher --queues-max",
                "queues_max",
                self.queues_max,
                len(self._by_id),
            )

    def add(self, queue: Queue) -> None:
        """Add a queue that `check_room` found room for, or that a store already holds."""
        self._by_id[queue.info.id] = queue
        if queue.number > self._last_number:
            self._last_number = queue.number
        else:
            self.rearranged += 1
        if queue.info.name:
            self._by_name[queue.info.name] = queue
        self._add_source(queue)

    def change(self, queue: Queue, info: QueueInfo) -> None:
        """Make a queue what `info` says."""
        self._remove_source(queue)
        queue.set_info(info)
        self._add_source(queue)

    def source_of(self, queue: Queue) -> str | None:
        """Return the id of a queue whose dead letters go to this one, if any."""
        return min(self._sources.get(queue.info.id, ()), default=None)

    def sources_of(self, reference: str) -> list[str]:
        """List the ids of the queues whose dead letters go to a queue, if there is one."""
        queue = self.get(reference)
        return sorted(self._sources.get(queue.info.id, ())) if queue else []

    def _add_source(self, queue: Queue) -> None:
        if target := queue.info.settings.dead_letter_queue_id:
            self._sources.setdefault(target, set()).add(queue.info.id)

    def _remove_source(self, queue: Queue) -> None:
        if target := queue.info.settings.dead_letter_queue_id:
            self._sources[target].remove(queue.info.id)
            if not self._sources[target]:
                del self._sources[target]

    def remove(self, queue: Queue) -> None:
        """Forget a queue, unless that was done before: its name may be another's by now."""
        if self._by_id.pop(queue.info.id, None):
            self._remove_source(queue)
            if queue.info.name:
                del self._by_name[queue.info.name]

    def page(self, size: int, after_number: int) -> tuple[list[Queue], int | None]:
        """Return queues in order of creation.

        Args:
            size: how many at most; 0 for all.
            after_number: only queues with a higher number.

        Returns:
            The queues, and the number to go on after, or None when there are no more.

        Raises:
            InvalidArgument: the size is out of range.
        """
        check_page_size(size)
        queues = list(self._by_id.values())
        start = bisect_right(queues, after_number, key=lambda queue: queue.number)
        if not size or start + size >= len(queues):
            return queues[start:], None
        page = queues[start : start + size]
        return page, page[-1].number
