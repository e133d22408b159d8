"""What a DISK store finds in its database when it starts: the queues, rebuilt from the rows."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import apsw

from qmq.descriptions import QueueInfo
from qmq.model.dedup import Known
from qmq.model.index import SEQ_SHIFT, entry
from qmq.model.line import PACK_ENTRIES
from qmq.model.queue import Queue
from qmq.store.local.rows import delivery_of, settings_of, tags_of
from qmq.store.local.together import Together, unpacked
from qmq.store.sql import load_statements
from qmq.values import Store

_SQL = load_statements("qmq.store.local", "statements.sql")


#: Messages that are read at a time.
_STEP_MESSAGES: Final = 4 * PACK_ENTRIES

#: Seconds from one word about the progress to the next.
_TOLD_EVERY_S: Final = 1.0

#: Sequence number, number of the queue, and size in bytes of a message.
_Row = tuple[int, int, int]


@dataclass(slots=True)
class Found:
    """What a database holds."""

    #: In order of creation, with their messages.
    queues: list[Queue]
    #: In order of their starts: id, and what was kept.
    redrives: list[tuple[str, str]]
    #: In order of their creation: id, and what was kept.
    schedules: list[tuple[str, str]]
    #: The highest number that a queue, or what is left over of one, ever had.
    last_queue_number: int
    #: The highest number that a message ever had.
    last_number: int
    #: How far ahead of the machine's clock the one is by which moments were written.
    clock_offset_ns: int = 0
    #: How many messages are in queues.
    live: int = 0
    #: The numbers of the oldest and the newest row of the table gone.
    gone_numbers: tuple[int, int] = (1, 0)
    #: Entries of messages that have left, or are nobody's, and of which there are rows.
    gone: list[int] = field(default_factory=list[int])
    #: Rows of leases that are about nobody any more.
    leases: list[int] = field(default_factory=list[int])
    #: Messages whose dedup_ids are remembered for queues that are gone.
    strangers: list[int] = field(default_factory=list[int])


def load(
    connection: apsw.Connection,
    together: Together,
    on_progress: Callable[[int, int], None],
    *,
    keeps_clock: bool = False,
) -> Found:
    """Rebuild the queues from the rows.

    Args:
        connection: an open database of the newest format.
        together: takes over the rows of leases that began together.
        on_progress: called once a second, with the number of messages that were read by then,
            and about how many there are.
        keeps_clock: the clock by which moments were written goes on, and nothing is written.
    """
    by_number = _queues(connection)
    [(last_number,)] = connection.execute(_SQL["select_last_number"])
    found = Found(
        queues=list(by_number.values()),
        redrives=list(connection.execute(_SQL["select_redrives"])),
        schedules=list(connection.execute(_SQL["select_schedules"])),
        last_queue_number=max(by_number, default=0),
        last_number=last_number,
    )
    messages = _Messages(connection, by_number, together, found)
    for rows in _in_steps(connection, on_progress):
        messages.load(rows)
    messages.end()
    found.live = sum(queue.message_count for queue in found.queues)
    for number, *held in connection.execute(_SQL["select_groups"]):
        if home := by_number.get(number):
            home.hold_group(*held)
    _load_known(connection, by_number, found)
    if not keeps_clock:
        found.clock_offset_ns = _clock_offset(connection, found.queues)
    return found


def _queues(connection: apsw.Connection) -> dict[int, Queue]:
    """Return the queues by their numbers, without messages."""
    by_number: dict[int, Queue] = {}
    for number, id_, name, limit, created_ns, tags, settings in connection.execute(
        _SQL["select_queues"]
    ):
        how, pause, purged_seq = settings_of(settings)
        queue = by_number[number] = Queue(
            number,
            QueueInfo(
                id=id_,
                name=name,
                limit=limit,
                created_ns=created_ns,
                store=Store.DISK,
                tags=tags_of(tags),
                settings=how,
                pause=pause,
            ),
        )
        queue.purged_seq = purged_seq
    return by_number


def _in_steps(
    connection: apsw.Connection, on_progress: Callable[[int, int], None]
) -> Iterator[Sequence[_Row]]:
    """Read the numbers of all messages, and tell now and then how many were read."""
    rows = connection.execute(_SQL["select_messages"])
    count, told_s = 0, time.monotonic()
    while some := list(islice(rows, _STEP_MESSAGES)):
        yield some
        count += len(some)
        if (now_s := time.monotonic()) - told_s >= _TOLD_EVERY_S:
            told_s = now_s
            on_progress(count, max(count, _estimated(connection, count)))


def _estimated(connection: apsw.Connection, count: int) -> int:
    """Return about how many messages there are, after so many were read.

    To count them would be to read the database twice; so it goes by how many of its pages the
    ones that were read took.
    """
    read, _ = connection.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)
    pages = connection.pragma("page_count") - connection.pragma("freelist_count")
    return count * pages // read if read else 0


class _Messages:
    """Puts the messages of a database into their queues, many at a time."""

    def __init__(
        self,
        connection: apsw.Connection,
        by_number: Mapping[int, Queue],
        together: Together,
        found: Found,
    ) -> None:
        self._by_number = by_number
        self._found = found
        #: Rows about messages of which something is known, by their numbers.
        self._deliveries = {row[0]: row for row in connection.execute(_SQL["select_deliveries"])}
        self._leased = together.load(connection.execute(_SQL["select_leases"]))
        found.gone_numbers, self._left = _left(connection)
        #: Up to this number, a message may be one that was purged.
        self._purged_seq = max((each.purged_seq for each in by_number.values()), default=0)

    def load(self, rows: Sequence[_Row]) -> None:
        """Take in messages, in order."""
        seqs, numbers, sizes = zip(*rows, strict=True)
        self._found.last_number = max(self._found.last_number, seqs[-1])
        by_number, number = self._by_number, numbers[0]
        if not self._are_plain(seqs):
            for row in rows:
                self._load_one(*row)
        elif number in by_number and numbers.count(number) == len(numbers):
            by_number[number].take_in_run(seqs, sizes)
        else:
            for seq, number, size in rows:
                if home := by_number.get(number):
                    home.take_in(seq << SEQ_SHIFT | size)
                else:
                    self._load_one(seq, number, size)

    def _are_plain(self, seqs: Sequence[int]) -> bool:
        """Whether messages wait in line, and nothing else is known of any, as for nearly all."""
        deliveries = self._deliveries
        return (
            seqs[0] > self._purged_seq
            and not (deliveries and not deliveries.keys().isdisjoint(seqs))
            and not (self._left and not self._left.isdisjoint(seqs))
            and self._leased.knows_none(seqs)
        )

    def _load_one(self, seq: int, number: int, size: int) -> None:
        found, row = self._found, self._deliveries.pop(seq, None)
        home = self._by_number.get(number)
        if home is None or seq <= home.purged_seq or seq in self._left:
            found.gone.append(entry(seq, size))
            found.last_queue_number = max(found.last_queue_number, number)
        elif row:
            known = delivery_of(row, size)
            self._leased.take_own(known)
            if known.is_ranked_only:
                home.take_in_ranked(known.entry)
            else:
                home.restore(known)
        elif leased := self._leased.take(seq, size):
            home.restore(leased)
        else:
            home.take_in(entry(seq, size))

    def end(self) -> None:
        """Take note of rows that turned out to be about messages that are gone."""
        self._found.gone += (entry(seq, 0) for seq in self._deliveries)
        self._found.leases = self._leased.left_over()


def _left(connection: apsw.Connection) -> tuple[tuple[int, int], set[int]]:
    """Return the numbers of the oldest and newest row of the table gone; all that is in it."""
    numbers: list[int] = []
    left: set[int] = set()
    for number, seqs in connection.execute(_SQL["select_gone"]):
        numbers.append(number)
        left.update(unpacked(seqs))
    return (numbers[0], numbers[-1]) if numbers else (1, 0), left


def _load_known(connection: apsw.Connection, by_number: Mapping[int, Queue], found: Found) -> None:
    """Rebuild what queues remember."""
    for number, *known in connection.execute(_SQL["select_known"]):
        if home := by_number.get(number):
            home.dedup.add(Known(*known))
        else:
            found.strangers.append(known[0])
            found.last_queue_number = max(found.last_queue_number, number)


def _clock_offset(connection: apsw.Connection, queues: Iterable[Queue]) -> int:
    """Read by which clock moments were written; forget it if none is there any more.

    Then the machine's clock is the better one: moments are shown as people know them.
    """
    offset_ns = int(connection.execute(_SQL["select_clock_offset"]).get or 0)
    if offset_ns and not any(
        queue.leases.by_seq or len(queue.dedup) or queue.info.settings.ttl_ns for queue in queues
    ):
        if not (connection.pragma("query_only") or connection.readonly("main")):
            connection.execute(_SQL["save_clock_offset"], {"offset_ns": 0})
        return 0
    return offset_ns
