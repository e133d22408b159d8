"""The line of messages of which some have a priority, beside a list that is sorted anew each time.

Those that were never handed out stand in a line for each priority; those that have come back, in a
heap.
"""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qmq.model import standing as module
from qmq.model.index import entry, priority_of, seq_of, size_of
from qmq.model.ready import Ready
from qmq.testing import START_NS
from qmq.values import NS_PER_S
from tests.model.queues import EVERYTHING

SIZE = 10

#: Whether those with a priority have come back, or were never handed out.
BACK = pytest.mark.parametrize("back", [False, True])

#: Numbers of messages come as fast as these: far enough from each other for ageing to be seen.
STEP_NS = 10


def at(place: int, priority: int = 0) -> int:
    """Return the entry of the message that came in a place."""
    return entry(START_NS + place * STEP_NS, SIZE, priority)


def come(ready: Ready, made: int) -> None:
    """Put a message into a line that was never handed out."""
    if priority_of(made):
        ready.append_ranked(made)
    else:
        ready.append(made)


def line(*priorities: int, back: bool = False) -> Ready:
    """Make a line of messages that came one after the other.

    Those with a priority have come back, if that is asked for, and the others are fresh.
    """
    ready = Ready()
    for place, priority in enumerate(priorities):
        made = at(place, priority)
        if priority and back:
            ready.put_back(made)
        else:
            come(ready, made)
    return ready


def places(entries: list[int]) -> list[int]:
    """Return in which places messages came."""
    return [(seq_of(each) - START_NS) // STEP_NS for each in entries]


def taken(ready: Ready) -> list[int]:
    """Take all, one by one, and return in which places they came."""
    return places([ready.take() for _ in range(len(ready))])


@BACK
def test_higher_priority_goes_first_and_within_it_who_came_first(*, back: bool) -> None:
    """Those without one go last."""
    assert taken(line(0, 1, 255, 0, 1, 255, 2, back=back)) == [2, 5, 6, 1, 4, 0, 3]


@BACK
def test_batch_is_taken_in_the_same_order(*, back: bool) -> None:
    """From one line after the other."""
    ready = line(0, 1, 255, 0, 1, back=back)

    batch = ready.take_batch(4, EVERYTHING, size_of)

    assert places(batch) == [2, 1, 4, 0]
    assert (len(ready), ready.bytes) == (1, SIZE)


@pytest.mark.parametrize(
    ("bytes_max", "places_taken"),
    [
        (0, [2]),
        (3 * SIZE - 1, [2]),
        (4 * SIZE, [2, 1]),
        (6 * SIZE - 1, [2, 1]),
        (6 * SIZE, [2, 1, 4]),
    ],
)
@BACK
def test_batch_holds_what_fits_into_a_reply(
    bytes_max: int, places_taken: list[int], *, back: bool
) -> None:
    """Each message takes its size twice here; one is taken in any case."""
    ready = line(0, 1, 255, 0, 1, back=back)

    batch = ready.take_batch(9, bytes_max, lambda each: SIZE + size_of(each))

    assert places(batch) == places_taken
    assert ready.bytes == (5 - len(batch)) * SIZE


def test_message_that_comes_back_has_its_old_place_among_those_of_its_priority() -> None:
    """Before those of a lower one, however long they wait."""
    ready = line(3, 0, 3, 1, 3)
    first, second = ready.take(), ready.take()

    ready.put_back(second)
    ready.put_back(first)

    assert taken(ready) == [0, 2, 4, 3, 1]


def test_message_with_a_priority_leaves_from_anywhere() -> None:
    """It is not handed out, nor counted."""
    ready = line(1, 2, 1, 0, back=True)

    ready.withdraw(at(2, 1))
    ready.withdraw(at(1, 2))

    assert (len(ready), ready.bytes) == (2, 2 * SIZE)
    assert taken(ready) == [0, 3]


def test_those_never_handed_out_leave_from_anywhere() -> None:
    """Of all priorities at once, and the last one of its priority."""
    ready = line(1, 2, 1, 0, 1)

    ready.remove([at(1, 2), at(2, 1), at(3)])

    assert (len(ready), ready.bytes) == (2, 2 * SIZE)
    assert taken(ready) == [0, 4]


def test_oldest_of_those_never_handed_out_is_found_whatever_its_priority() -> None:
    """Again and again, as when a ttl passes: what was a head before takes no memory for long."""
    ready = line(*[1, 2, 0, 3] * 1_000)

    old = [ready.take_fresh() for _ in range(3_998)]

    assert places(old) == list(range(3_998))
    assert ready._ranks  # noqa: SLF001 - What it takes.
    assert len(ready._ranks._others) < 1_000  # noqa: SLF001
    assert places([ready.take(), ready.take_fresh()]) == [3_999, 3_998]
    assert (ready.oldest_fresh(), len(ready), ready.bytes) == (None, 0, 0)


@pytest.mark.parametrize(
    ("ageing", "order"),
    [
        (0, [1, 4, 3, 0, 2]),
        # Each step of priority is worth two places.
        (2, [1, 0, 4, 3, 2]),
        (1_000, [1, 4, 3, 0, 2]),
    ],
)
@BACK
def test_ageing_puts_a_message_forward_by_its_priority(
    ageing: int, order: list[int], *, back: bool
) -> None:
    """Arrival - priority * ageing decides; 0 is for ever."""
    ready = line(0, 2, 0, 1, 2, back=back)

    ready.set_ageing(ageing * STEP_NS)

    assert places(list(ready)) == order
    assert places(ready.take_batch(3, EVERYTHING, size_of)) == order[:3]
    assert taken(ready) == order[3:]


def test_ageing_can_begin_and_end_while_messages_wait() -> None:
    """Those that are withdrawn stay so."""
    ready = line(0, 1, 0, 2, 1, back=True)
    ready.withdraw(at(4, 1))

    ready.set_ageing(NS_PER_S)
    ready.set_ageing(STEP_NS)
    by_age = places(list(ready))
    ready.set_ageing(0)

    assert by_age == [0, 1, 3, 2]
    assert (len(ready), ready.bytes) == (4, 4 * SIZE)
    assert taken(ready) == [3, 1, 0, 2]


def test_low_priority_is_not_put_off_for_ever_by_ageing() -> None:
    """Those that come late enough stand behind it."""
    ready = line(0)
    ready.set_ageing(4 * STEP_NS)

    for place in range(1, 100):
        come(ready, at(place, 5))

    assert places(list(ready)).index(0) == 19


@pytest.mark.parametrize("priority", [0, 1])
def test_what_is_withdrawn_behind_the_head_takes_no_memory_for_long(priority: int) -> None:
    """As when many messages end by themselves while the head is never taken."""
    ready = Ready()
    ready.put_back(at(0, 2))

    for place in range(1, 20_000):
        ready.put_back(at(place, priority))
        ready.withdraw(at(place, priority))

    heap = ready._returned  # noqa: SLF001 - What it takes.
    assert len(heap.keys) < 10_000
    assert taken(ready) == [0]


class Lines(RuleBasedStateMachine):
    """A line beside the list of what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = Ready()
        self.ageing_ns = 0
        self.next_seq = START_NS
        self.fresh: list[int] = []
        self.known: list[int] = []
        self.out: list[int] = []

    def place(self, each: int) -> tuple[int, int]:
        """Return by what a message is ordered."""
        priority = priority_of(each)
        if self.ageing_ns:
            return seq_of(each) - priority * self.ageing_ns, each
        return -priority, each

    @property
    def line(self) -> list[int]:
        """What should be in the line."""
        return sorted(self.known + self.fresh, key=self.place)

    @property
    def by_age(self) -> list[int]:
        """The same in order of arrival."""
        return sorted(self.known + self.fresh)

    def leave(self, leaving: list[int]) -> list[int]:
        """Let messages leave."""
        self.known = [each for each in self.known if each not in leaving]
        self.fresh = [each for each in self.fresh if each not in leaving]
        self.out += leaving
        return leaving

    @rule(priority=st.sampled_from([0, 0, 0, 1, 2, 255]), step=st.integers(1, 3))
    def come(self, priority: int, step: int) -> None:
        """Put a message into the line."""
        self.next_seq += step * STEP_NS
        made = entry(self.next_seq, step, priority)
        come(self.ready, made)
        self.fresh.append(made)

    @precondition(lambda self: self.line)
    @rule()
    def take(self) -> None:
        """Take one."""
        assert [self.ready.take()] == self.leave(self.line[:1])

    @rule(count=st.integers(1, 5), bytes_max=st.sampled_from([EVERYTHING, 7]))
    def take_batch(self, count: int, bytes_max: int) -> None:
        """Take several, as far as they fit."""
        some = self.line[:count]
        while len(some) > 1 and sum(map(size_of, some)) > bytes_max:
            some.pop()

        assert self.ready.take_batch(count, bytes_max, size_of) == self.leave(some)

    @rule(ago=st.integers(0, 30), count=st.integers(1, 3))
    def take_fresh_until(self, ago: int, count: int) -> None:
        """Take those that nothing is known of, up to some moment."""
        last_seq = self.next_seq - ago * STEP_NS
        right = [each for each in self.fresh if seq_of(each) <= last_seq][:count]

        assert self.ready.take_fresh_until(last_seq, count) == self.leave(right)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        """Put one back."""
        each = data.draw(st.sampled_from(self.out))
        self.out.remove(each)
        self.ready.put_back(each)
        self.known.append(each)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Let one leave from wherever it stands; it may come back."""
        each = data.draw(st.sampled_from(self.known))
        self.ready.withdraw(each)
        self.leave([each])

    @precondition(lambda self: self.fresh)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Let some leave that were never handed out."""
        some = sorted(data.draw(st.sets(st.sampled_from(self.fresh))))
        self.ready.remove(some)
        self.leave(some)

    @rule(ageing=st.sampled_from([0, 0, 1, 3, 1_000]))
    def set_ageing(self, ageing: int) -> None:
        """Order them anew."""
        self.ageing_ns = ageing * STEP_NS
        self.ready.set_ageing(self.ageing_ns)

    @rule()
    def clear(self) -> None:
        """Take all."""
        assert self.ready.clear() == self.line
        self.leave(self.line)

    @invariant()
    def line_is_what_it_should_be(self) -> None:
        """Its order, its length, its size and its head."""
        line = self.line
        assert list(self.ready) == line
        assert len(self.ready) == len(line)
        assert self.ready.bytes == sum(map(size_of, line))
        assert self.ready.head() == (line[0] if line else None)
        assert list(self.ready.fresh) == self.fresh
        assert self.ready.oldest_fresh() == (self.fresh[0] if self.fresh else None)

    @invariant()
    def looks_are_right(self) -> None:
        """Ranges are in order of arrival; what is ahead is in the order of the line."""
        by_age = self.by_age
        first, last = START_NS + 4 * STEP_NS, self.next_seq - 2 * STEP_NS
        wanted = [each for each in by_age if first <= seq_of(each) <= last]
        assert self.ready.between(first, last) == wanted
        assert self.ready.between(first, last, 2) == wanted[:2]
        assert self.ready.count_between(first, last) == len(wanted)
        for ahead, each in enumerate(self.line):
            assert self.ready.count_before(each) == ahead


@pytest.mark.parametrize("withdrawn_max", [1_024, 0])
def test_line_is_a_sorted_list(monkeypatch: pytest.MonkeyPatch, withdrawn_max: int) -> None:
    """Whatever comes, leaves, comes back and is withdrawn, however soon that is tidied up."""
    monkeypatch.setattr(module, "_WITHDRAWN_MAX", withdrawn_max)
    run_state_machine_as_test(Lines)
