"""A long line whose middle is packed is the line that it would be otherwise."""

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import qmq.model.line
from qmq.model.index import entries, entry, seq_of, size_of
from qmq.model.line import PACK_ENTRIES, TAIL_ENTRIES_MAX, Line
from qmq.model.ready import Ready
from qmq.testing import START_NS
from tests.model import test_ready, test_ready_priority

#: So few are packed at a time, and stand at the end, that a short line has all that a long one has.
PACK, TAIL = 3, 5


@pytest.fixture
def short_packs() -> Iterator[None]:
    """Let lines pack what is beyond some messages."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("", "RANKED_"):
            patch.setattr(qmq.model.line, f"{kind}PACK_ENTRIES", PACK)
            patch.setattr(qmq.model.line, f"{kind}TAIL_ENTRIES_MAX", TAIL)
        # One alone is taken out of a pack by itself, two are not.
        patch.setattr(qmq.model.line, "_FEW", 1 / PACK)
        yield


class PackedLine(RuleBasedStateMachine):
    """Beside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.entries: list[int] = []
        self.next_seq = 1

    def _new(self, gaps: list[int]) -> list[int]:
        made = []
        for gap in gaps:
            self.next_seq += gap
            made.append(entry(self.next_seq, gap))
        self.entries += made
        return made

    @rule(gap=st.integers(1, 3))
    def append(self, gap: int) -> None:
        """One."""
        self.line.append(*self._new([gap]))

    @rule(gaps=st.lists(st.integers(1, 3), max_size=20))
    def extend(self, gaps: list[int]) -> None:
        """Some."""
        self.line.extend(self._new(gaps))

    @rule(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=20))
    def extend_packed(self, gaps: list[int]) -> None:
        """As when q starts."""
        made = self._new(gaps)
        self.line.extend_packed([*map(seq_of, made)], [*map(size_of, made)])

    @rule(count=st.integers(1, 12))
    def popleft(self, count: int) -> None:
        """From the head."""
        count = min(count, len(self.entries))
        assert [self.line.popleft() for _ in range(count)] == self.entries[:count]
        del self.entries[:count]

    @rule(count=st.integers(1, 12))
    def reach(self, count: int) -> None:
        """Where more than the head is asked for."""
        wanted = self.entries[:count]
        assert list(self.line.reach(count))[:count] == wanted

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """From anywhere."""
        if self.entries:
            start = data.draw(st.integers(0, len(self.entries) - 1))
            gone = [each for each in self.entries[start : start + 15] if data.draw(st.booleans())]
            far = data.draw(st.lists(st.sampled_from(self.entries), max_size=3))
            gone = sorted({*gone, *far})
            if gone:
                self.line.remove(gone)
                self.entries = [each for each in self.entries if each not in gone]

    @rule()
    def clear(self) -> None:
        """All leave."""
        self.line.clear()
        self.entries.clear()

    @rule(data=st.data(), count_max=st.none() | st.integers(0, 12))
    def look(self, data: st.DataObject, count_max: int | None) -> None:
        """At a part of it."""
        seqs = st.integers(0, self.next_seq + 1)
        start, end = (entry(data.draw(seqs), data.draw(st.integers(0, 4))) for _ in range(2))
        wanted = [each for each in self.entries if start <= each < end]
        assert self.line.between(start, end, count_max) == wanted[:count_max]
        assert self.line.count_before(end) == sum(each < end for each in self.entries)
        assert self.line.holds(start) == (start in self.entries)

    @invariant()
    def is_that_list(self) -> None:
        """All of it, in order."""
        assert list(self.line) == self.entries
        assert (len(self.line), bool(self.line)) == (len(self.entries), bool(self.entries))
        assert list(self.line.head)[:1] == self.entries[:1]
        # All but the ends is packed, and what `reach` was asked for.
        assert 0 <= len(self.entries) - self.line.packed_count <= TAIL + 2 * PACK + 12


@pytest.mark.usefixtures("short_packs")
def test_packed_line_is_a_list() -> None:
    """Whatever joins, leaves, or is looked at, from wherever."""
    run_state_machine_as_test(PackedLine)


@pytest.mark.usefixtures("short_packs")
@pytest.mark.parametrize(
    "machine", [test_ready.Lines, test_ready_priority.Lines], ids=["plain", "priority"]
)
def test_rules_of_a_line_hold_where_it_is_packed(machine: type[RuleBasedStateMachine]) -> None:
    """Those that come back, priorities and ageing included."""
    run_state_machine_as_test(machine)


def test_message_far_from_the_ends_takes_less_than_twenty_bytes() -> None:
    """And one that is added and taken is the same as before."""
    ready, count = Ready(), 200_000
    made = entries(START_NS, [100] * count)
    tracemalloc.start()
    try:
        for start in range(0, count, 1_000):
            ready.extend(entries(START_NS + start, [100] * 1_000), 100_000)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size < 20 * (count - TAIL_ENTRIES_MAX) + 80 * (TAIL_ENTRIES_MAX + 2 * PACK_ENTRIES)
    assert [ready.take() for _ in range(count)] == made


def test_what_stands_between_those_that_leave_is_left_alone() -> None:
    """Of a million messages, two go as fast as of ten thousand."""
    line, count = Line(), 100_000
    line.extend_packed(range(count), [1] * count)
    before = list(line._packs)  # noqa: SLF001 - What is left alone.

    line.remove([entry(seq, 1) for seq in (count // 3, count // 3 + 1, count // 2)])

    assert len(line) == count - 3
    assert [*map(id, line._packs)] == [*map(id, before)]  # noqa: SLF001
    assert sum(len(pack) < PACK_ENTRIES for pack in before[:-1]) == 2


def test_short_line_is_one_deque() -> None:
    """Nothing is packed, so it costs what a deque does."""
    line = Line()

    line.extend(entries(START_NS, [1] * TAIL_ENTRIES_MAX))

    assert (line.head is line.tail, line.packed_count) == (True, 0)
