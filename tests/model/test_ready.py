"""The line of messages that can be handed out."""

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qmq.model.index import entries, entry, seq_of, size_of
from qmq.model.ready import Ready
from tests.model.queues import EVERYTHING, SIZE


def line_of(count: int) -> tuple[Ready, list[int]]:
    """Make a line of so many messages, numbered from 1; return their entries too."""
    made = entries(1, [SIZE] * count)
    ready = Ready()
    ready.extend(made, SIZE * count)
    return ready, made


def seqs_of(ready: Ready) -> list[int]:
    """Return the sequence numbers of the messages in a line, in order."""
    return [seq_of(each) for each in ready]


def take_all(ready: Ready) -> list[int]:
    """Take everything from the head, and return the sequence numbers."""
    return [seq_of(ready.take()) for _ in range(len(ready))]


@pytest.mark.parametrize("out", [[1], [1, 2], [3, 1, 2], [2, 3, 1], [4, 3, 2, 1]])
def test_message_that_comes_back_has_its_old_place(out: Sequence[int]) -> None:
    """Whatever the order in which several come back: before all that were never handed out."""
    ready, made = line_of(5)
    for _ in out:
        ready.take()

    for seq in out:
        ready.put_back(made[seq - 1])

    assert seqs_of(ready) == [1, 2, 3, 4, 5]
    assert take_all(ready) == [1, 2, 3, 4, 5]


def test_message_that_comes_back_is_the_next_to_be_handed_out() -> None:
    """The head of the line is seen without taking it."""
    ready, made = line_of(3)
    ready.take()
    ready.take()
    before = ready.head()

    ready.put_back(made[1])
    ready.put_back(made[0])

    assert (before, ready.head()) == (made[2], made[0])


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_message_that_has_come_back_can_leave_from_anywhere(gone: int) -> None:
    """From the head, from the middle or from behind; the others stay in order."""
    ready, made = line_of(4)
    for _ in range(3):
        ready.take()
    for each in made[:3]:
        ready.put_back(each)

    ready.withdraw(made[gone - 1])

    left = [seq for seq in (1, 2, 3, 4) if seq != gone]
    assert (len(ready), ready.bytes) == (3, 3 * SIZE)
    assert seqs_of(ready) == left
    assert take_all(ready) == left


def test_line_may_lose_all_that_have_come_back() -> None:
    """From behind to the front, after which the head is one that was never handed out."""
    ready, made = line_of(4)
    for _ in range(3):
        ready.take()
    for each in made[:3]:
        ready.put_back(each)

    for each in reversed(made[:3]):
        ready.withdraw(each)

    assert (len(ready), ready.bytes, ready.head()) == (1, SIZE, made[3])


def test_empty_line_has_no_head() -> None:
    """Also after there were messages in it."""
    ready, _ = line_of(1)
    ready.take()

    assert (ready.head(), len(ready), ready.bytes, list(ready)) == (None, 0, 0, [])


def test_those_never_handed_out_are_known() -> None:
    """What has come back is none of them."""
    ready, made = line_of(3)

    ready.put_back(ready.take())

    assert list(ready.fresh) == made[1:]


def test_clear_takes_all_in_order() -> None:
    """Those that have come back and those that were never handed out; nothing is left behind."""
    ready, made = line_of(5)
    for _ in range(4):
        ready.take()
    for each in (made[2], made[0], made[1]):
        ready.put_back(each)
    ready.withdraw(made[1])

    assert ready.clear() == [made[0], made[2], made[4]]

    assert (len(ready), ready.bytes, ready.head()) == (0, 0, None)
    ready.append(entry(6, SIZE))
    assert take_all(ready) == [6]


def test_batch_mixes_those_that_came_back_with_the_others_in_order() -> None:
    """One step takes what single ones would."""
    ready, made = line_of(5)
    for _ in range(3):
        ready.take()
    ready.put_back(made[2])
    ready.put_back(made[0])

    taken = ready.take_batch(4, EVERYTHING, lambda _: 0)

    assert taken == [made[0], made[2], made[3], made[4]]
    assert (len(ready), ready.bytes) == (0, 0)


def test_batch_knows_what_one_takes_that_has_come_back() -> None:
    """Its history makes it larger; the bound is kept to the byte."""
    ready, made = line_of(4)
    for each in [ready.take(), ready.take()]:
        ready.put_back(each)

    def cost(entry: int) -> int:
        """Return what a message with a history takes; that of one without is its size."""
        return 0 if not entry else size_of(entry) + 50

    exactly = 2 * (SIZE + 50)

    assert ready.take_batch(9, exactly - 1, cost) == made[:1]
    ready.put_back(made[0])
    assert ready.take_batch(9, exactly, cost) == made[:2]
    assert ready.take_batch(9, 0, cost) == made[2:3]


class Lines(RuleBasedStateMachine):
    """A line beside sorted lists of what is in it, and what is out."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = Ready()
        self.fresh: list[int] = []
        self.returned: list[int] = []
        self.out: list[int] = []
        self.next_seq = 1

    def new(self, sizes: Sequence[int]) -> list[int]:
        """Make entries with the next numbers."""
        made = entries(self.next_seq, sizes)
        self.next_seq += len(sizes)
        return made

    @property
    def line(self) -> list[int]:
        """What should be in the line."""
        return sorted(self.returned + self.fresh)

    def leave(self, count: int) -> list[int]:
        """Let so many leave at the head."""
        leaving = self.line[:count]
        self.returned = [each for each in self.returned if each not in leaving]
        self.fresh = [each for each in self.fresh if each not in leaving]
        self.out += leaving
        return leaving

    @rule(size=st.integers(0, 99))
    def append(self, size: int) -> None:
        """Put one at the end."""
        (made,) = self.new([size])
        self.ready.append(made)
        self.fresh.append(made)

    @rule(sizes=st.lists(st.integers(0, 99), max_size=8))
    def extend(self, sizes: list[int]) -> None:
        """Put several at the end."""
        made = self.new(sizes)
        self.ready.extend(made, sum(sizes))
        self.fresh += made

    @precondition(lambda self: self.line)
    @rule()
    def take(self) -> None:
        """Take one."""
        assert [self.ready.take()] == self.leave(1)

    @rule(count=st.integers(1, 6))
    def take_batch(self, count: int) -> None:
        """Take several."""
        assert self.ready.take_batch(count, EVERYTHING, size_of) == self.leave(count)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        """Put one back, or let it be gone for good."""
        each = data.draw(st.sampled_from(self.out))
        self.out.remove(each)
        if data.draw(st.booleans()):
            self.ready.put_back(each)
            self.returned.append(each)

    @precondition(lambda self: self.returned)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Let one leave from wherever it stands."""
        each = data.draw(st.sampled_from(self.returned))
        self.ready.withdraw(each)
        self.returned.remove(each)

    @rule()
    def clear(self) -> None:
        """Take all."""
        assert self.ready.clear() == self.line
        self.fresh.clear()
        self.returned.clear()

    @invariant()
    def line_is_what_it_should_be(self) -> None:
        """Its order, its length, its size and its head."""
        line = self.line
        assert list(self.ready) == line
        assert len(self.ready) == len(line)
        assert self.ready.bytes == sum(map(size_of, line))
        assert self.ready.head() == (line[0] if line else None)
        assert list(self.ready.fresh) == self.fresh


def test_line_is_a_sorted_list() -> None:
    """Whatever comes, leaves, comes back and is withdrawn in whatever order."""
    run_state_machine_as_test(Lines)
