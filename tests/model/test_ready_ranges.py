"""Parts of the line of messages that can be handed out: looking at them, and taking them out."""

from hypothesis import example, given
from hypothesis import strategies as st

from qmq.model.index import entry, seq_of, size_of
from qmq.model.ready import Ready

seqs = st.integers(1, 40)


def line(fresh: set[int], returned: set[int], withdrawn: set[int]) -> Ready:
    """Make a line of messages that came back, of which some left again, and of fresh ones.

    Those that are fresh have the higher numbers, and 1,000 is among them.
    """
    ready = Ready()
    for seq in sorted(returned):
        ready.put_back(entry(seq, seq))
    for seq in withdrawn & returned:
        ready.withdraw(entry(seq, seq))
    for seq in sorted(fresh):
        ready.append(entry(seq + 100, seq))
    ready.append(entry(1_000, 7))
    return ready


@given(st.sets(seqs), st.sets(seqs), st.sets(seqs), st.integers(0, 150), st.integers(0, 150))
@example(set(), set(), set(), 5, 3)
def test_range_is_what_is_in_it(
    fresh: set[int], returned: set[int], withdrawn: set[int], first: int, last: int
) -> None:
    """In order, its ends included, and the line stays as it is."""
    ready = line(fresh, returned, withdrawn)
    everything = list(ready)
    wanted = [each for each in everything if first <= seq_of(each) <= last]

    assert ready.between(first, last) == wanted
    assert ready.between(first, last, 3) == wanted[:3]
    assert ready.count_between(first, last) == len(wanted)
    wanted = [each for each in wanted if seq_of(each) > 100]
    assert ready.fresh_between(first, last) == wanted
    assert ready.fresh_between(first, last, 3) == wanted[:3]
    assert list(ready) == everything
    assert [ready.take() for _ in everything] == everything


@given(st.sets(seqs), st.sets(seqs), st.data())
@example({1, 2, 3}, {1}, None)
def test_those_in_the_middle_can_leave(
    fresh: set[int], returned: set[int], data: st.DataObject | None
) -> None:
    """What was never handed out leaves from anywhere; all others stay in their order."""
    ready = line(fresh, returned, set())
    everything = list(ready)
    leaving = [
        each
        for each in ready.fresh
        if (seq_of(each) != 102 if data is None else data.draw(st.booleans()))
    ]

    ready.remove(leaving)

    left = [each for each in everything if each not in leaving]
    assert list(ready) == left
    assert ready.bytes == sum(map(size_of, left))
    assert [ready.take() for _ in left] == left
