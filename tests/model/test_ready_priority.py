"""The line of messages of which some have a priority, beside a list that is sorted anew each time.

What is told of one message that comes back is true of all that have a priority: they stand in
the heap from their beginning.
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
from qmq.model.index import entry, seq_of, size_of
from qmq.model.ready import Ready
from qmq.testing import START_NS
from qmq.values import NS_PER_S
from tests.model.queues import EVERYTHING

SIZE = 10

#: Numbers of messages come as fast as these: far enough from each other for ageing to be seen.
STEP_NS = 10


def at(place: int) -> int:
    """Return the entry of the message that came in a place."""
    return entry(START_NS + place * STEP_NS, SIZE)


def line(*priorities: int) -> Ready:
    """Make a line of messages that came one after the other; those without a priority are fresh."""
    ready = Ready()
    for place, priority in enumerate(priorities):
        if priority:
            ready.put_back(at(place), priority)
        else:
            ready.append(at(place))
    return ready


def places(entries: list[int]) -> list[int]:
    """Return in which places messages came."""
    return [(seq_of(each) - START_NS) // STEP_NS for each in entries]


def taken(ready: Ready) -> list[int]:
    """Take all, one by one, and return in which places they came."""
    return places([ready.take() for _ in range(len(ready))])


def test_higher_priority_goes_first_and_within_it_who_came_first() -> None:
    """Those without one go last."""
    assert taken(line(0, 1, 255, 0, 1, 255, 2)) == [2, 5, 6, 1, 4, 0, 3]


def test_batch_is_taken_in_the_same_order() -> None:
    """Across what is in the heap and what is not."""
    ready = line(0, 1, 255, 0, 1)

    batch = ready.take_batch(4, EVERYTHING, size_of)

    assert places(batch) == [2, 1, 4, 0]
    assert (len(ready), ready.bytes) == (1, SIZE)


def test_message_that_comes_back_has_its_old_place_among_those_of_its_priority() -> None:
    """Before those of a lower one, however long they wait."""
    ready = line(3, 0, 3, 1, 3)
    first, second = ready.take(), ready.take()

    ready.put_back(second, 3)
    ready.put_back(first, 3)

    assert taken(ready) == [0, 2, 4, 3, 1]


def test_message_with_a_priority_leaves_from_anywhere() -> None:
    """It is not handed out, nor counted."""
    ready = line(1, 2, 1, 0)

    ready.withdraw(at(2), 1)
    ready.withdraw(at(1), 2)

    assert (len(ready), ready.bytes) == (2, 2 * SIZE)
    assert taken(ready) == [0, 3]


@pytest.mark.parametrize(
    ("ageing", "order"),
    [
        (0, [1, 4, 3, 0, 2]),
        # Each step of priority is worth two places.
        (2, [1, 0, 4, 3, 2]),
        (1_000, [1, 4, 3, 0, 2]),
    ],
)
def test_ageing_puts_a_message_forward_by_its_priority(ageing: int, order: list[int]) -> None:
    """Arrival - priority * ageing decides; 0 is for ever."""
    ready = line(0, 2, 0, 1, 2)

    ready.set_ageing(ageing * STEP_NS, {at(1): 2, at(3): 1, at(4): 2}.__getitem__)

    assert places(list(ready)) == order
    assert taken(ready) == order


def test_ageing_can_begin_and_end_while_messages_wait() -> None:
    """Those that are withdrawn stay so."""
    ready = line(0, 1, 0, 2, 1)
    priority_of = {at(1): 1, at(3): 2, at(4): 1}.__getitem__
    ready.withdraw(at(4), 1)

    ready.set_ageing(NS_PER_S, priority_of)
    ready.set_ageing(STEP_NS, priority_of)
    by_age = places(list(ready))
    ready.set_ageing(0, priority_of)

    assert by_age == [0, 1, 3, 2]
    assert (len(ready), ready.bytes) == (4, 4 * SIZE)
    assert taken(ready) == [3, 1, 0, 2]


def test_low_priority_is_not_put_off_for_ever_by_ageing() -> None:
    """Those that come late enough stand behind it."""
    ready = line(0)
    priority_of = dict.fromkeys(map(at, range(1, 100)), 5)
    ready.set_ageing(4 * STEP_NS, lambda each: priority_of.get(each, 0))

    for place in range(1, 100):
        ready.put_back(at(place), 5)

    assert places(list(ready)).index(0) == 19


@pytest.mark.parametrize("priority", [0, 1])
def test_what_is_withdrawn_behind_the_head_takes_no_memory_for_long(priority: int) -> None:
    """As when many messages end by themselves while the head is never taken."""
    ready = Ready()
    ready.put_back(at(0), 2)

    for place in range(1, 20_000):
        ready.put_back(at(place), priority)
        ready.withdraw(at(place), priority)

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
        #: The priority of each message that ever was.
        self.priorities: dict[int, int] = {}
        self.fresh: list[int] = []
        self.known: list[int] = []
        self.out: list[int] = []

    def place(self, each: int) -> tuple[int, int]:
        """Return by what a message is ordered."""
        priority = self.priorities[each]
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
        made = entry(self.next_seq, step)
        self.priorities[made] = priority
        if priority:
            self.ready.put_back(made, priority)
            self.known.append(made)
        else:
            self.ready.append(made)
            self.fresh.append(made)

    @precondition(lambda self: self.line)
    @rule()
    def take(self) -> None:
        """Take one."""
        assert [self.ready.take()] == self.leave(self.line[:1])

    @rule(count=st.integers(1, 5))
    def take_batch(self, count: int) -> None:
        """Take several."""
        assert self.ready.take_batch(count, EVERYTHING, size_of) == self.leave(self.line[:count])

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
        self.ready.put_back(each, self.priorities[each])
        self.known.append(each)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Let one leave from wherever it stands; it may come back."""
        each = data.draw(st.sampled_from(self.known))
        self.ready.withdraw(each, self.priorities[each])
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
        self.ready.set_ageing(self.ageing_ns, self.priorities.__getitem__)

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
            assert self.ready.count_before(each, self.priorities[each]) == ahead


@pytest.mark.parametrize("withdrawn_max", [1_024, 0])
def test_line_is_a_sorted_list(monkeypatch: pytest.MonkeyPatch, withdrawn_max: int) -> None:
    """Whatever comes, leaves, comes back and is withdrawn, however soon that is tidied up."""
    monkeypatch.setattr(module, "_WITHDRAWN_MAX", withdrawn_max)
    run_state_machine_as_test(Lines)
