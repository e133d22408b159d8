"""What messages take in memory, by the model, and how much they may."""

import pytest

from qmq.errors import MemoryFull
from qmq.model.delivery import Delivery
from qmq.model.footprint import KNOWN_BYTES, MESSAGE_BYTES, Footprint, freed_by
from qmq.model.index import entry
from qmq.testing import START_NS
from qmq.values import Store
from tests.model.queues import SIZE, filled, leased, queue

MEMORY_BYTES, DISK_BYTES = MESSAGE_BYTES[Store.MEMORY], MESSAGE_BYTES[Store.DISK]


def test_what_fits_exactly_is_taken() -> None:
    """And not a byte more."""
    footprint = Footprint(1_000)
    footprint.left -= 1_000 - 2 * (SIZE + MEMORY_BYTES)

    footprint.check(Store.MEMORY, 2, 2 * SIZE)
    with pytest.raises(MemoryFull):
        footprint.check(Store.MEMORY, 2, 2 * SIZE + 1)
    with pytest.raises(MemoryFull):
        footprint.check(Store.MEMORY, 1, SIZE, known=1)


def test_a_refusal_tells_the_limit_and_what_there_is() -> None:
    """And what would have to go."""
    footprint = Footprint(1_000)
    footprint.left -= 900

    with pytest.raises(MemoryFull) as refusal:
        footprint.check(Store.MEMORY, 1, SIZE)

    needed = SIZE + MEMORY_BYTES
    assert refusal.value.message.startswith(
        f"the server's messages take 900 bytes of memory, and {needed} more would pass memory_max"
        " of 1000; "
    )
    assert refusal.value.metadata == {"limit": "memory_max", "value": "1000", "current": "900"}
    assert refusal.value.retry_after_s == 1.0


def test_envelopes_on_disk_take_no_memory() -> None:
    """But their places in the line do; what is cached is counted by who caches it."""
    footprint = Footprint(3 * DISK_BYTES)

    footprint.check(Store.DISK, 3, 1_000_000)
    with pytest.raises(MemoryFull):
        footprint.check(Store.DISK, 4, 0)


def test_what_leaves_in_the_same_step_makes_room() -> None:
    """Also where more is taken than may be, as after a start with a lower limit."""
    footprint = Footprint(1_000)
    footprint.left -= 5_000
    leaving = freed_by(Store.MEMORY, Delivery(entry(START_NS, SIZE)))
    assert leaving == SIZE + MEMORY_BYTES + KNOWN_BYTES
    assert freed_by(Store.DISK, Delivery(entry(START_NS, SIZE))) == DISK_BYTES + KNOWN_BYTES

    footprint.check(Store.MEMORY, 1, SIZE, known=1, freed=leaving)
    with pytest.raises(MemoryFull):
        footprint.check(Store.MEMORY, 1, SIZE + 1, known=1, freed=leaving)


def test_without_a_limit_everything_is_taken() -> None:
    """What there is is counted all the same."""
    footprint = Footprint()
    footprint.left -= 1 << 50

    footprint.check(Store.MEMORY, 1_000, 1 << 40)

    assert (footprint.used, footprint.limit) == (1 << 50, 0)


def test_what_is_known_of_messages_is_counted_by_queue() -> None:
    """Once, however often it is counted; and no more when the queue is gone."""
    footprint = Footprint()
    one, other = (filled(queue(number), range(START_NS, START_NS + 9)) for number in (1, 2))
    leased(one, 3)
    held = leased(other, 4)

    for each in (one, other, one):
        footprint.recount(each)
    assert footprint.used == 7 * KNOWN_BYTES
    for delivery in held:
        other.ack(delivery)
    footprint.recount(other)
    footprint.recount(other)
    assert footprint.used == 3 * KNOWN_BYTES
    footprint.forget(one)
    footprint.forget(other)

    assert (footprint.used, footprint.known) == (0, {})
