"""What a queue remembers of dedup_ids: each for its time, and no longer than that takes room."""

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from qmq.model.dedup import Dedup, Known
from qmq.testing import START_NS
from qmq.values import NS_PER_S


def known(seq: int, dedup_id: str, expires_s: int) -> Known:
    """Make what is remembered of a message until so many seconds after the start."""
    return Known(seq, dedup_id, b"meta %d" % seq, START_NS + expires_s * NS_PER_S)


def at(seconds: int) -> int:
    """Return the moment so many seconds after the start."""
    return START_NS + seconds * NS_PER_S


def test_id_is_known_until_its_time_is_over() -> None:
    """To the nanosecond."""
    dedup = Dedup()
    one = known(1, "a", 5)
    dedup.add(one)

    assert dedup.find("a", at(0)) is one
    assert dedup.find("a", at(5) - 1) is one
    assert dedup.find("a", at(5)) is None
    assert dedup.find("b", at(0)) is None


def test_ids_are_told_apart_by_every_character() -> None:
    """Case, and what looks alike."""
    dedup = Dedup()
    dedup.add(known(1, "a", 5))

    assert [dedup.find(id_, at(0)) for id_ in ("A", "a ", "а", "")] == [None] * 4  # noqa: RUF001


def test_oldest_are_forgotten_when_their_time_is_over() -> None:
    """Some at a time."""
    dedup = Dedup()
    for seq in range(1, 6):
        dedup.add(known(seq, str(seq), seq))

    assert dedup.forget(at(0), 9) == []
    assert dedup.forget(at(4), 3) == [1, 2, 3]
    assert dedup.forget(at(4), 3) == [4]
    assert len(dedup) == 1
    assert dedup.next_ns(at(4)) == at(5)
    assert dedup.forget(at(5), 3) == [5]
    assert (len(dedup), dedup.next_ns(at(5))) == (0, None)


def test_id_that_is_used_anew_is_that_of_the_later_message() -> None:
    """The first one is forgotten without it."""
    dedup = Dedup()
    second = known(2, "a", 9)
    dedup.add(known(1, "a", 1))
    dedup.add(second)

    assert dedup.find("a", at(2)) is second
    assert dedup.forget(at(2), 9) == [1]
    assert dedup.find("a", at(2)) is second
    assert dedup.forget(at(9), 9) == [2]
    assert dedup.find("a", at(2)) is None


def test_shorter_window_forgets_no_id_before_older_ones() -> None:
    """None is known beyond its own time all the same."""
    dedup = Dedup()
    dedup.add(known(1, "long", 100))
    dedup.add(known(2, "short", 5))

    assert dedup.find("short", at(5)) is None
    assert dedup.forget(at(50), 9) == []
    assert dedup.forget(at(100), 9) == [1, 2]


def test_count_of_what_could_be_forgotten_is_bounded() -> None:
    """So that to ask takes no time where there are a million."""
    dedup = Dedup()
    for seq in range(1, 6):
        dedup.add(known(seq, str(seq), seq))

    assert dedup.outdated(at(0), 9) == 0
    assert dedup.outdated(at(3), 9) == 3
    assert dedup.outdated(at(3), 2) == 2
    assert dedup.outdated(at(9), 9) == 5
    assert len(dedup) == 5


def test_all_can_be_forgotten_at_once() -> None:
    """As when the queue is deleted."""
    dedup = Dedup()
    dedup.add(known(1, "a", 1))
    dedup.add(known(2, "a", 9))
    dedup.add(known(3, "b", 9))

    assert dedup.drop_all() == [1, 2, 3]
    assert (len(dedup), dedup.find("a", at(0)), dedup.find("b", at(0))) == (0, None, None)


class Remembering(RuleBasedStateMachine):
    """The memory beside a list of all that was ever added."""

    def __init__(self) -> None:
        super().__init__()
        self.dedup = Dedup()
        self.now = 0
        self.seq = 0
        self.window = 10
        self.kept: list[Known] = []

    @rule(dedup_id=st.sampled_from("abc"))
    def add(self, dedup_id: str) -> None:
        """Add a message, unless its id is known."""
        right = [
            each
            for each in self.kept
            if each.dedup_id == dedup_id and each.expires_ns > at(self.now)
        ]
        found = self.dedup.find(dedup_id, at(self.now))
        assert found == (right[0] if right else None)
        if found is None:
            self.seq += 1
            made = known(self.seq, dedup_id, self.now + self.window)
            self.dedup.add(made)
            self.kept.append(made)

    @rule(seconds=st.integers(1, 6))
    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(window=st.sampled_from([1, 5, 10]))
    def change_window(self, window: int) -> None:
        """Remember what comes for another time."""
        self.window = window

    @rule(count=st.integers(0, 3))
    def forget(self, count: int) -> None:
        """Forget some whose time is over, the oldest first, up to the first one that is not."""
        over = 0
        while over < len(self.kept) and self.kept[over].expires_ns <= at(self.now):
            over += 1
        assert self.dedup.outdated(at(self.now), 99) == over
        right = [each.seq for each in self.kept[: min(count, over)]]
        assert self.dedup.forget(at(self.now), count) == right
        del self.kept[: len(right)]

    @invariant()
    def counts_are_right(self) -> None:
        """And when there is something to forget."""
        assert len(self.dedup) == len(self.kept)
        waiting = [each for each in self.kept if each.expires_ns > at(self.now)]
        assert self.dedup.next_ns(at(self.now)) == (waiting[0].expires_ns if waiting else None)


def test_memory_is_a_list() -> None:
    """Whatever is added and forgotten."""
    run_state_machine_as_test(Remembering)
