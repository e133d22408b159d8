"""The event loop and the writer's thread, in each order in which they can come to the batches.

While the writer is held somewhere, the loop offers the next batch, takes it back, lets others
join it, asks whether all is settled, sweeps, fails and closes.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.errors import Busy, StoreFailed
from qmq.model.index import entry
from qmq.store.local.journal import Journal
from qmq.values import Durability
from tests.store.disk import AT_ONCE, WAIT_S
from tests.store.writer import (
    COMMITTED,
    TAKEN,
    WRITTEN,
    Bench,
    are_done,
    turns,
    unheard_errors,
)

MEMORY, OS, FSYNC = Durability.MEMORY, Durability.OS, Durability.FSYNC
PLACES = pytest.mark.parametrize("place", [TAKEN, WRITTEN, COMMITTED])
LEVELS = pytest.mark.parametrize("level", [OS, FSYNC, Durability.UNKNOWN])


def note(told: list[int], number: int, call: asyncio.Future[None]) -> None:
    """Write a number down when a call is answered, unless it is cancelled."""

    def write(done: asyncio.Future[None]) -> None:
        if not done.cancelled():
            told.append(number)

    call.add_done_callback(write)


@pytest.fixture
async def bench(data: Path) -> AsyncIterator[Bench]:
    """Return an idle journal."""
    bench = Bench(data)
    yield bench
    await bench.close()


async def held(bench: Bench, place: str, durability: Durability = FSYNC) -> asyncio.Future[None]:
    """Hold the writer in a place, with a message of which somebody waits to hear."""
    bench.writer.will_hold_at(place)
    first = bench.insert(durability)
    await bench.writer.has_come()
    return first


@PLACES
async def test_what_comes_while_the_writer_works_is_one_batch(bench: Bench, place: str) -> None:
    """However often it is offered meanwhile and taken back again."""
    first = await held(bench, place)

    later = []
    for _ in range(5):
        later.append(bench.insert())
        await turns()
    were_done = are_done([first, *later])
    bench.writer.let_go()
    await asyncio.gather(first, *later)

    assert not any(were_done)
    assert (bench.writer.commits, bench.seqs()) == (2, [1, 2, 3, 4, 5, 6])


@PLACES
async def test_what_comes_in_one_turn_with_the_taking_is_not_lost(bench: Bench, place: str) -> None:
    """The loop finds out that its batch is gone, and begins another one."""
    bench.writer.will_hold_at(place)
    first = bench.insert()
    # The loop does not come round until the writer has taken it.
    await bench.writer.has_come()
    second = bench.insert()
    bench.writer.let_go()

    await asyncio.gather(first, second)

    assert (bench.writer.commits, bench.seqs()) == (2, [1, 2])


async def test_batches_are_told_in_their_order(bench: Bench) -> None:
    """Also if two are done before the loop comes round."""
    told: list[int] = []
    first = await held(bench, WRITTEN)
    second = bench.insert()
    await turns()
    for number, call in enumerate((first, second), 1):
        note(told, number, call)
    bench.writer.let_go()
    bench.writer.block_until(commits=2)

    await asyncio.gather(first, second)

    assert told == [1, 2]


@PLACES
@LEVELS
async def test_question_joins_the_batch_under_way_if_that_is_enough(
    bench: Bench, place: str, level: Durability
) -> None:
    """No further transaction is made for it."""
    first = await held(bench, place)

    question = bench.settled(level)
    await turns()
    assert question is not None
    was_done = question.done()
    bench.writer.let_go()
    await asyncio.gather(first, question)

    assert (was_done, bench.writer.commits) == (False, 1)


@PLACES
async def test_question_about_a_sync_makes_one_behind_a_batch_without(
    bench: Bench, place: str
) -> None:
    """That is not on disk, though it is committed."""
    first = await held(bench, place, OS)

    cheap, dear = bench.settled(OS), bench.settled(FSYNC)
    assert cheap is not None
    assert dear is not None
    await turns()
    told: list[str] = []
    first.add_done_callback(lambda _: told.append("first"))
    dear.add_done_callback(lambda _: told.append("dear"))
    bench.writer.let_go()
    await asyncio.gather(first, cheap, dear)

    assert told == ["first", "dear"]
    assert bench.writer.commits == 2
    assert bench.settled(FSYNC) is None


async def test_question_joins_what_is_on_offer(bench: Bench) -> None:
    """And what is on offer waits for the disk if the question does."""
    first = await held(bench, WRITTEN)
    second = bench.insert(OS)
    await turns()

    question = bench.settled(FSYNC)
    await turns()
    bench.writer.let_go()
    assert question is not None
    await asyncio.gather(first, second, question)

    assert bench.writer.commits == 2
    assert bench.settled(FSYNC) is None


@pytest.mark.parametrize("level", [MEMORY, OS, FSYNC])
async def test_question_about_nothing_is_answered_at_once(bench: Bench, level: Durability) -> None:
    """And what is in memory is all that MEMORY asks for."""
    assert bench.settled(level) is None
    await bench.insert()
    assert bench.settled(level) is None
    first = await held(bench, WRITTEN)
    assert (bench.settled(level) is None) == (level is MEMORY)
    bench.writer.let_go()
    await first


async def test_what_nobody_waits_for_is_written_all_the_same(bench: Bench) -> None:
    """With what comes next, or by itself; a question waits for it."""
    first = await held(bench, WRITTEN)
    bench.keep()
    await turns()
    bench.keep()
    question = bench.settled(OS)
    bench.writer.let_go()
    assert question is not None
    await asyncio.gather(first, question)

    assert (bench.writer.commits, bench.seqs()) == (2, [1, 2, 3])


@pytest.fixture
async def sweeping(data: Path) -> AsyncIterator[Bench]:
    """Return a journal that sweeps whenever it has nothing else to do."""
    bench = Bench(data, AT_ONCE)
    yield bench
    await bench.close()


async def has_swept(bench: Bench) -> None:
    """Wait until nothing is left of what has gone."""
    async with asyncio.timeout(WAIT_S):
        while not bench.journal.is_swept:
            await turns()
    while (question := bench.settled(FSYNC)) is not None:
        await question


@PLACES
async def test_sweep_waits_for_its_turn(sweeping: Bench, place: str) -> None:
    """While a batch is worked on, and another one is on offer."""
    bench = sweeping
    await asyncio.gather(*(bench.insert() for _ in range(3)))
    first = await held(bench, place)
    second = bench.insert()
    await turns()

    bench.journal.sweep([entry(1, 1), entry(2, 1)])
    await turns()
    bench.writer.let_go()
    await asyncio.gather(first, second)
    await has_swept(bench)

    assert bench.seqs() == [3, 4, 5]


@pytest.mark.parametrize("count", [1, 2_000, 2_001, 4_500])
async def test_sweep_goes_on_by_itself(sweeping: Bench, count: int) -> None:
    """Until all is gone, some at a time; others come in between."""
    bench = sweeping
    rows = ((seq, 1, b"") for seq in range(1, count + 1))
    await bench.journal.insert_batch(rows, 0, FSYNC)
    bench.seq = count
    before = bench.writer.commits

    bench.journal.sweep([entry(seq, 0) for seq in range(1, count + 1)])
    await bench.insert()
    between = bench.writer.commits - before
    await has_swept(bench)

    # It waits for one of them.
    assert between <= 2
    assert bench.writer.commits - before >= 1 + count / 2_000
    assert bench.seqs() == [count + 1]


@PLACES
async def test_failure_is_told_to_all_who_wait(bench: Bench, place: str) -> None:
    """In the batch that failed, in the one on offer, and whoever asks about either."""
    with unheard_errors() as unheard:
        first = await held(bench, place)
        question = bench.settled(FSYNC)
        second = bench.insert()
        await turns()
        third, other = bench.insert(), bench.settled(FSYNC)
        bench.writer.fail_at(place)
        bench.writer.let_go()
        assert question
        assert other
        results = await asyncio.gather(
            first, question, second, third, other, return_exceptions=True
        )
        fourth = bench.insert()
        with pytest.raises(StoreFailed):
            await fourth
        with pytest.raises(StoreFailed):
            bench.journal.check()
        for level in (MEMORY, OS, FSYNC):
            with pytest.raises(StoreFailed):
                bench.settled(level)
        del first, second, third, fourth, question, other
        gc.collect()

    assert {str(result) for result in results} == {bench.failures[0]}
    assert (len(bench.failures), unheard) == (1, [])
    assert "OSError: the disk is gone" in bench.failures[0]


async def test_failure_of_a_batch_says_nothing_of_those_before(bench: Bench) -> None:
    """Their waiters were told, or will be, that they are on disk."""
    first = await held(bench, WRITTEN)
    second = bench.insert()
    await turns()
    bench.writer.fail_at(TAKEN)
    bench.writer.let_go()
    # It ends when it fails; the loop does not come round before that.
    bench.journal._writer.join()  # noqa: SLF001 - Nothing else tells.

    results = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(result) for result in results] == [type(None), StoreFailed]
    assert bench.seqs() == [1]


@pytest.mark.parametrize("failing", [False, True])
@PLACES
async def test_end_waits_for_what_is_under_way(data: Path, place: str, *, failing: bool) -> None:
    """In the writer's hands, and on offer; what nobody waits for too. A failure is an end."""
    bench = Bench(data)
    await asyncio.gather(*(bench.insert() for _ in range(5)))
    calls = [await held(bench, place)]
    calls.append(bench.insert(OS))
    await turns()
    bench.keep()
    bench.journal.sweep([entry(1, 1)], [2])

    closing = asyncio.ensure_future(bench.journal.close())
    await turns()
    was_closed = closing.done()
    if failing:
        bench.writer.fail_at(place)
    bench.writer.let_go()
    await closing
    results = await asyncio.gather(*calls, return_exceptions=True)

    kept = [type(result) for result in results if result is None]
    assert (was_closed, len(kept)) == (False, 0 if failing else 2)
    # What could not be swept is found when the database is opened again.
    expected = [1, 2, 3, 4, 5] if failing else [1, 2, 3, 4, 5, 6, 7, 8]
    assert bench.seqs() == expected + ([6] if failing and place == COMMITTED else [])
    bench.let_go()


@PLACES
async def test_who_leaves_takes_nobody_along(bench: Bench, place: str) -> None:
    """From the batch that the writer has, or from the one on offer; its message is kept."""
    first = await held(bench, place)
    beside = bench.settled(FSYNC)
    second, third = bench.insert(), bench.insert()
    await turns()
    assert beside

    first.cancel()
    second.cancel()
    await turns()
    bench.writer.let_go()
    await asyncio.gather(beside, third)

    assert [first.cancelled(), second.cancelled()] == [True, True]
    assert bench.seqs() == [1, 2, 3]


@PLACES
async def test_too_much_is_refused_until_the_writer_takes_it(bench: Bench, place: str) -> None:
    """What is on offer counts, since nobody has it yet; what the writer has does not."""
    large = bytes(20_000)
    bench.writer.will_hold_at(place)
    first = asyncio.ensure_future(_awaited(bench.journal, 101, large))
    await bench.writer.has_come()

    bench.journal.check()
    second = asyncio.ensure_future(_awaited(bench.journal, 102, large))
    await turns()
    with pytest.raises(Busy):
        bench.journal.check()
    await turns()
    with pytest.raises(Busy):
        bench.journal.check()
    bench.writer.let_go()
    await asyncio.gather(first, second)

    bench.journal.check()
    assert bench.seqs() == [101, 102]


async def _awaited(journal: Journal, seq: int, envelope: bytes) -> None:
    await journal.insert(seq, 1, envelope, FSYNC)


async def test_read_of_what_is_on_offer_is_answered_with_it(bench: Bench) -> None:
    """It is in the same batch, before what deletes it."""
    first = await held(bench, WRITTEN)
    second = bench.insert()
    await turns()
    reading = asyncio.ensure_future(_read(bench.journal, [1, 2]))
    await turns()
    deleting = asyncio.ensure_future(_deleted(bench.journal, [1, 2]))
    await turns()
    bench.writer.let_go()

    await asyncio.gather(first, second, deleting)

    assert await reading == [b"1", b"2"]
    assert (bench.writer.commits, bench.seqs()) == (2, [])


async def _read(journal: Journal, seqs: list[int]) -> list[bytes]:
    return await journal.read([entry(seq, 1) for seq in seqs], FSYNC)


async def _deleted(journal: Journal, seqs: list[int]) -> None:
    await journal.remove([entry(seq, 1) for seq in seqs], None, FSYNC)


class History:
    """Calls of all kinds, while the writer is held here and there."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.calls: list[asyncio.Future[None]] = []
        #: The messages of which it was told that they are kept.
        self.told: list[int] = []
        self._is_held = False

    async def insert(self, level: int) -> None:
        """Keep a message."""
        call = self.bench.insert(Durability(level))
        if level != MEMORY:
            note(self.told, self.bench.seq, call)
        self.calls.append(call)

    async def keep(self, _: int) -> None:
        """Keep one for which nobody waits."""
        self.bench.keep()

    async def ask(self, level: int) -> None:
        """Ask whether all is settled."""
        if question := self.bench.settled(Durability(level)):
            self.calls.append(question)

    async def hold(self, place: int) -> None:
        """Hold the writer when it comes to a place."""
        if not self._is_held:
            self.bench.writer.will_hold_at([TAKEN, WRITTEN, COMMITTED][place % 3])
            self._is_held = True

    async def let_go(self, _: int = 0) -> None:
        """Let it go on."""
        if self._is_held:
            self.bench.writer.let_go()
            self._is_held = False

    async def come_round(self, count: int) -> None:
        """Let the loop come round."""
        await turns(count)

    async def cancel(self, at: int) -> None:
        """Stop waiting for one of the answers."""
        if at < len(self.calls):
            self.calls[at].cancel()


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *[History.insert] * 3,
                    *(History.keep, History.ask, History.hold, History.let_go),
                    *[History.come_round] * 2,
                    History.cancel,
                ]
            ),
            st.integers(1, 3),
        ),
        max_size=40,
    )
)
def test_whatever_the_order_all_is_told_and_kept(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[Callable[[History, int], Awaitable[None]], int]],
) -> None:
    """Each call once, when what it waits for is so, in the order in which they were made."""

    async def go_through() -> None:
        bench = Bench(tmp_path_factory.mktemp("journal") / "data")
        history = History(bench)
        for step, argument in steps:
            await step(history, argument)
        await history.let_go()
        async with asyncio.timeout(WAIT_S):
            results = await asyncio.gather(*history.calls, return_exceptions=True)
        while question := bench.settled(FSYNC):
            await question

        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
        assert history.told == sorted(history.told)
        assert bench.seqs() == list(range(1, bench.seq + 1))
        await bench.close()

    asyncio.run(go_through())
