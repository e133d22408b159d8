"""Finding messages by their ids, which only the messages themselves tell.

The index knows them by their numbers, so that they are read one after the other until all are
found; that they were created after a moment tells from which number on.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from qmq.engine.queues import Queues
from qmq.envelope import id_of
from qmq.errors import DataLoss
from qmq.limits import BROWSED_MESSAGES_MAX
from qmq.model.browse import look
from qmq.model.changes import Changes
from qmq.model.index import seq_of, size_of
from qmq.model.queue import Queue
from qmq.store.base import QueueStore

#: Higher than the sequence number of any message.
SEQ_MAX: Final = (1 << 63) - 1

#: What two looks at the two clocks may differ by.
_CLOCKS_APART_NS: Final = 10_000_000

#: Messages to look at first behind the moment in which a message was created.
_NEAR_MESSAGES: Final = 16


async def find_messages(
    queues: Queues, queue: Queue, ids: Collection[str], created_ns: int | None
) -> dict[str, int]:
    """Find messages of a queue. They may have left when this returns, see `is_there`.

    Args:
        queues: all queues.
        queue: the one that they are in.
        ids: their UUIDs.
        created_ns: before when none of them was created, as their metadata says; None if that
            is not known. A message is not among those that came before it was created, and
            mostly among the first ones that came then.

    Returns:
        Their entries, by their ids; of those only that there are.

    Raises:
        QueueNotFound: the queue was deleted meanwhile.
        DataLoss: one is not among those that could be read, and others are damaged.
    """
    found: dict[str, int] = {}
    damaged: list[int] = []
    first_seq = 0
    if created_ns:
        # Its number is a moment by the clock that nobody sets; the other one may have been
        # set since it came, and then it is looked for everywhere.
        ahead_ns = queues.steady_ns() - queues.now_ns() - _CLOCKS_APART_NS
        first_seq = max(0, created_ns + ahead_ns)
        found = await _find(queues, queue, set(ids), (first_seq, SEQ_MAX), damaged)
    if left := set(ids) - found.keys():
        last_seq = first_seq - 1 if first_seq else SEQ_MAX
        found |= await _find(queues, queue, left, (0, last_seq), damaged)
    if damaged and not found.keys() >= set(ids):
        raise DataLoss(sorted(set(damaged)))
    return found


async def read_sound(store: QueueStore, entries: Sequence[int]) -> dict[int, bytes]:
    """Read messages, but for those that are damaged, which nobody takes out of their queue.

    Returns:
        Their envelopes, by their entries and in the same order.
    """
    sound = list(entries)
    while True:
        try:
            envelopes = await store.commit(Changes(), sound)
        except DataLoss as error:
            sound = [each for each in sound if seq_of(each) not in error.seqs]
        else:
            return dict(zip(sound, envelopes, strict=True))


def is_there(queue: Queue, entry: int) -> bool:
    """Tell whether a queue holds a message, given its entry."""
    delivery = queue.leases.by_seq.get(seq_of(entry))
    return delivery.entry == entry if delivery else queue.ready.holds_fresh(entry)


async def _find(
    queues: Queues, queue: Queue, wanted: set[str], seqs: tuple[int, int], damaged: list[int]
) -> dict[str, int]:
    """Find those that have numbers in a range; what is found is not wanted any more.

    The numbers of those that cannot be read are noted.
    """
    found: dict[str, int] = {}
    first_seq, last_seq = seqs
    count_max = _NEAR_MESSAGES if first_seq else BROWSED_MESSAGES_MAX
    while True:
        store = queues.store_to_read(queue)
        seen = look(queue, first_seq, last_seq, count_max)
        entries = first_of_size(seen.entries, queues.message_bytes_max)
        read = await read_sound(store, entries)
        damaged += (seq_of(entry) for entry in entries if entry not in read)
        for entry, envelope in read.items():
            if (id_ := id_of(envelope)) in wanted:
                wanted.remove(id_)
                found[id_] = entry
        if not wanted:
            return found
        if len(entries) < len(seen.entries):
            first_seq = seq_of(entries[-1]) + 1
        elif seen.has_more:
            first_seq = seen.last_seq + 1
        else:
            return found
        count_max = BROWSED_MESSAGES_MAX
        # Others have their turn, also where nothing has to be read from a disk.
        await asyncio.sleep(0)
        await queues.find(queue.info.id)


def first_of_size(entries: Sequence[int], bytes_max: int) -> Sequence[int]:
    """Return the first entries whose messages take no more than so much, at least one."""
    left = bytes_max
    for at, entry in enumerate(entries):
        left -= size_of(entry)
        if left < 0:
            return entries[: max(1, at)]
    return entries
