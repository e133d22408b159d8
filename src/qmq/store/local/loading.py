"""What a DISK store finds in its database when it starts: the queues, rebuilt from the rows."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import apsw

from qmq.model.line import PACK_ENTRIES
from qmq.model.queue import Queue
from qmq.store.rebuilding import Found, MessageRow, Rebuilding
from qmq.store.rows import queue_of
from qmq.store.sql import load_statements
from qmq.store.together import Together, unpacked
from qmq.values import Store

_SQL = load_statements("qmq.store.local", "statements.sql")


#: Messages that are read at a time.
_STEP_MESSAGES: Final = 4 * PACK_ENTRIES

#: Seconds from one word about the progress to the next.
_TOLD_EVERY_S: Final = 1.0


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
    queues = [queue_of(row, Store.DISK) for row in connection.execute(_SQL["select_queues"])]
    [(last_number,)] = connection.execute(_SQL["select_last_number"])
    found = Found(
        queues=queues,
        redrives=list(connection.execute(_SQL["select_redrives"])),
        schedules=list(connection.execute(_SQL["select_schedules"])),
        last_queue_number=max((queue.number for queue in queues), default=0),
        last_number=last_number,
    )
    found.gone_numbers, left = _left(connection)
    messages = Rebuilding(
        found,
        deliveries=connection.execute(_SQL["select_deliveries"]),
        leased=together.load(connection.execute(_SQL["select_leases"])),
        left=left,
    )
    for rows in _in_steps(connection, on_progress):
        messages.load(rows)
    messages.end()
    messages.hold_groups(connection.execute(_SQL["select_groups"]))
    messages.remember(connection.execute(_SQL["select_known"]))
    if not keeps_clock:
        found.clock_offset_ns = _clock_offset(connection, found.queues)
    return found


def _in_steps(
    connection: apsw.Connection, on_progress: Callable[[int, int], None]
) -> Iterator[Sequence[MessageRow]]:
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


def _left(connection: apsw.Connection) -> tuple[tuple[int, int], set[int]]:
    """Return the numbers of the oldest and newest row of the table gone; all that is in it."""
    numbers: list[int] = []
    left: set[int] = set()
    for number, seqs in connection.execute(_SQL["select_gone"]):
        numbers.append(number)
        left.update(unpacked(seqs))
    return (numbers[0], numbers[-1]) if numbers else (1, 0), left


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
