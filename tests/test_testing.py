"""What q offers to those who test with it."""

import uuid

from qmq.testing import START_NS, ManualClock, seeded_ids


def test_clock_stands_still_until_it_is_advanced() -> None:
    """Time passes when the test says so, to the nanosecond, and may be set back."""
    clock = ManualClock()

    times = [clock.now_ns(), clock.now_ns()]
    clock.advance(90)
    times.append(clock.now_ns())
    clock.advance(-89.999_999_999)
    times.append(clock.now_ns())

    assert [ns - START_NS for ns in times] == [0, 0, 90_000_000_000, 1]


def test_clock_starts_where_it_is_told_and_shows_it() -> None:
    """A failing test prints the time."""
    assert repr(ManualClock(5)) == "<ManualClock 5 ns>"


def test_seeded_ids_repeat_and_are_uuids() -> None:
    """The same seed gives the same ids, another seed others."""
    one, same, other = seeded_ids(1), seeded_ids(1), seeded_ids(2)

    ids = [one() for _ in range(1000)]

    assert ids == [same() for _ in range(1000)]
    assert len({*ids, other()}) == 1001
    assert all(uuid.UUID(id_.decode()).version == 4 for id_ in ids)
