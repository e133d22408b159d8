"""What a command changes about messages, for a store to keep."""

from typing import NamedTuple

from qmq.model.dedup import Known
from qmq.model.deliveries import HandedOut
from qmq.model.delivery import Delivery
from qmq.model.queue import Queue


class Move(NamedTuple):
    """A message that goes to another queue of the same store."""

    #: Its entry there, see `index`.
    new_entry: int
    #: The number of the queue that it goes to.
    queue_number: int
    #: Put at the end of its envelope.
    suffix: bytes
    #: Its entry where it comes from.
    old_entry: int


class Changes:
    """Changes that belong together: a store keeps all of them or none.

    They apply in the order of the attributes.
    """

    __slots__ = (
        "added",
        "ended_lots",
        "forgotten",
        "groups",
        "known",
        "leased",
        "moved",
        "redrives",
        "removed",
        "saved",
        "schedules",
    )

    def __init__(self) -> None:
        #: New messages: entry, number of the queue, envelope.
        self.added: list[tuple[int, int, bytes]] = []
        #: Messages that were just handed out, those of a call together.
        self.leased: list[HandedOut] = []
        #: Messages of which something was learned since they were handed out.
        self.saved: list[Delivery] = []
        self.moved: list[Move] = []
        #: Entries of messages that are gone for good.
        self.removed: list[int] = []
        #: Lots of which nothing is left since some of these are gone, by `first_seq`.
        self.ended_lots: list[int] = []
        #: Messages whose dedup_id is remembered from now on: number of the queue, and what is.
        self.known: list[tuple[int, Known]] = []
        #: Sequence numbers of those whose dedup_id is forgotten.
        self.forgotten: list[int] = []
        #: Groups whose pause or parking has changed: number of the queue, id, and since when
        #: they are paused and parked, or 0.
        self.groups: list[tuple[int, str, int, int]] = []
        #: Redrives, by their ids, as text; empty for one that is to be forgotten.
        self.redrives: list[tuple[str, str]] = []
        #: Schedules, by their ids, as text; empty for one that is deleted.
        self.schedules: list[tuple[str, str]] = []

    def note_groups(self, queue: Queue) -> None:
        """Write down which groups of a queue are paused or parked, or not any more, and by what."""
        if queue.lines.is_active:
            changed = queue.lines.groups.take_changed()
            self.groups += ((queue.number, *each) for each in changed)
            self.saved += queue.lines.groups.take_failed()
