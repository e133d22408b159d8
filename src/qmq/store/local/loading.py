"""What a DISK store finds in its database when it starts: the queues, rebuilt from the rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import apsw

from qmq.descriptions import QueueInfo
from qmq.model.dedup import Known
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.store.local.rows import delivery_of, settings_of, tags_of
from qmq.store.local.together import Together
from qmq.store.sql import load_statements
from qmq.values import Store

_SQL = load_statements("qmq.store.local", "statements.sql")


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
    #: Messages that are nobody's.
    orphans: list[int] = field(default_factory=list[int])
    #: Rows of leases that are about nobody any more.
    leases: list[int] = field(default_factory=list[int])
    #: Messages whose dedup_ids are remembered for queues that are gone.
    strangers: list[int] = field(default_factory=list[int])


def load(connection: apsw.Connection, together: Together) -> Found:
    """Rebuild the queues from the rows.

    Args:
        connection: an open database of the newest format.
        together: takes over the rows of leases that began together.
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
    _load_messages(connection, by_number, together, found)
    for number, *held in connection.execute(_SQL["select_groups"]):
        if home := by_number.get(number):
            home.hold_group(*held)
    _load_known(connection, by_number, found)
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


def _load_messages(
    connection: apsw.Connection, by_number: Mapping[int, Queue], together: Together, found: Found
) -> None:
    """Put the messages into their queues."""
    deliveries = {row[0]: row for row in connection.execute(_SQL["select_deliveries"])}
    loading = together.load(connection.execute(_SQL["select_leases"]))
    for seq, number, size in connection.execute(_SQL["select_messages"]):
        row = deliveries.pop(seq, None) if deliveries else None
        home = by_number.get(number)
        if home is None or seq <= home.purged_seq:
            found.orphans.append(seq)
            found.last_queue_number = max(found.last_queue_number, number)
        elif row:
            known = delivery_of(row, size)
            loading.take_own(known)
            home.restore(known)
        elif leased := loading.take(seq, size):
            home.restore(leased)
        else:
            home.take_in(entry(seq, size))
        found.last_number = max(found.last_number, seq)
    # What is left of these is about messages that are gone.
    found.orphans += deliveries
    found.leases = loading.left_over()


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
        connection.execute(_SQL["save_clock_offset"], {"offset_ns": 0})
        return 0
    return offset_ns
