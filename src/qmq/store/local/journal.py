"""The journal: one writer thread, one transaction and one sync for all who wait.

While the thread commits a batch, the event loop gathers the next one, and offers it at the
end of each of its turns; the thread takes what is on offer the moment it has done the one
before, without waiting for the loop. Whoever waits is told when the batch that holds its
change is committed. A batch is synced if one of those who wait for it needs that; a later
sync is one of all that was committed before.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Self, TypeVar

import apsw

from qmq.errors import DataLoss, DiskFull, StoreFailed
from qmq.model.changes import Changes
from qmq.model.index import entry, seq_of, seqs_of
from qmq.store.done import Done
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.failing import failed, full
from qmq.store.local.figures import DiskFigures
from qmq.store.local.room import is_for_want_of_room
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.sweeping import Piece, Sweeper
from qmq.store.local.transaction import Batch
from qmq.store.local.workers import Hire, WorkerThread
from qmq.store.local.writing import Found, Writer
from qmq.store.refusing import again, busy
from qmq.store.rows import DeliveryRow
from qmq.store.sql import load_statements
from qmq.store.together import LeaseRow
from qmq.values import Durability

#: Bytes of memory that a delivery takes at least while it waits for the disk: nobody has to
#: wait for it, and a lease can be extended without end.
_DELIVERY_BYTES: Final = 500

_T = TypeVar("_T")

_SQL = load_statements("qmq.store.local", "statements.sql")


def _ignore(_: str) -> None:
    """Tell nobody else of damage than those who ask for what is damaged."""


class Journal:
    """Makes changes durable, in the order in which they were handed in.

    Its methods are called in the event loop's thread and return at once. What they return
    is to be awaited; it is done when the change is as durable as the caller wants, or
    fails with StoreFailed or DiskFull. MEMORY is to wait for nothing but what has to be read, OS to
    wait for the commit, and all else to wait for a sync.
    """

    #: How many messages turned out to be damaged on disk.
    _damaged = 0

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        connection: apsw.Connection,
        *,
        checkpointer: Checkpointer,
        shrinker: Shrinker,
        sweeper: Sweeper,
        on_failure: Callable[[str], None],
        on_damage: Callable[[str], None] = _ignore,
        pending_bytes_max: int,
        only_reads: DiskFull | None = None,
        hire: Hire = WorkerThread,
    ) -> None:
        """Start the writer thread, to which the connection belongs until `close` returns.

        Args:
            connection: an open database of the newest format, which syncs its commits.
            checkpointer: of the same database; the journal starts and closes it.
            shrinker: of the same database.
            sweeper: knows what of that database has left and still has a row; the journal's
                from now on.
            on_failure: called once, with the reason, when a commit fails; `failure` tells more.
            on_damage: called, with a sentence, when messages turn out to be damaged on disk.
            pending_bytes_max: bytes of envelopes that wait for the disk before `check`
                refuses.
            only_reads: why nothing but reads is taken until `take_changes`; None if all is.
            hire: makes the writer thread, or what takes its place.
        """
        self._connection = connection
        self._page_bytes: int = connection.pragma("page_size")
        self._checkpointer = checkpointer
        self._on_failure = on_failure
        self._on_damage = on_damage
        self._pending_bytes_max = pending_bytes_max
        self._loop = asyncio.get_running_loop()
        #: What comes next joins this batch, unless it was offered and is taken: see `_open`.
        self._gathering = Batch()
        self._is_offered = False
        self._offer_is_scheduled = False
        #: Batches that were offered and whose waiters were not told yet, oldest first.
        self._under_way: deque[Batch] = deque()
        self._sweeper = sweeper
        #: Looks now and then whether there is time to sweep, as long as there is anything.
        self._idle_timer: asyncio.TimerHandle | None = None
        #: How many batches are committed, and how many were when the timer was set.
        self._committed = self._committed_then = 0
        #: Whether it sweeps since nothing else came for a time.
        self._is_idle = False
        self._only_reads = only_reads
        #: Whether it may sweep at all.
        self._sweeps = only_reads is None
        #: The highest number that a message ever had, for the store to say.
        self.last_number = 0
        #: The same, as far as the database tells it when what was offered is committed.
        self._last_kept = 0
        #: Why nothing is acknowledged any more, once that is so.
        self._failure: StoreFailed | DiskFull | None = None
        self._writer = Writer(
            connection,
            checkpointer=checkpointer,
            shrinker=shrinker,
            on_commit=self._release,
            on_failure=self._fail,
            hire=hire,
        )
        #: The batch on offer, if the writer has not taken it. Both threads take from it.
        self._offered = self._writer.offered
        if self._sweeps and not sweeper.is_empty():
            self._watch_for_idleness()

    def go_on_after(self, before: Self) -> None:
        """Go on with the numbers of a journal that has failed. To be called first of all."""
        self.last_number = max(self.last_number, before.last_number)
        self._writer.commits = before._writer.commits
        self._checkpointer.go_on_after(before._checkpointer)

    @property
    def refusal(self) -> StoreFailed | DiskFull | None:
        """Why nothing can be changed now, be it for good or not; None if all is well."""
        return self._failure or self._only_reads

    def take_changes(self) -> None:
        """Take all from now on, rather than only reads."""
        self._only_reads = None
        self._sweeps = True
        if not self._sweeper.is_empty():
            self._watch_for_idleness()

    @property
    def failure(self) -> StoreFailed | DiskFull | None:
        """Why nothing is acknowledged any more, if so.

        A DiskFull if nothing but what was refused is undone, and all before it is whole.
        """
        return self._failure

    @property
    def live(self) -> int:
        """How many messages there are, but for those that have left: committed or refused."""
        return self._sweeper.live

    @property
    def figures(self) -> DiskFigures:
        """How the disk does, at this moment."""
        checkpointer = self._checkpointer
        return DiskFigures(
            commits=self._writer.commits,
            log_bytes=checkpointer.log_pages * self._page_bytes,
            checkpoints=checkpointer.count,
            checkpoint_s=checkpointer.seconds,
            checkpoint_stop_s=checkpointer.writer_seconds,
            rows_left=self._sweeper.count,
            damaged=self._damaged,
            checkpoint_ns=checkpointer.ended_ns,
            under_way=len(self._under_way),
            pending_bytes=sum(each.bytes for each in (*self._under_way, self._gathering)),
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, be it to commit or to see to the files."""
        is_offering = self._offer_is_scheduled or self._under_way or self._gathering.has_work()
        return not (is_offering or self._writer.sees_to_files)

    @property
    def is_swept(self) -> bool:
        """Whether nothing that has left has rows any more, but for what is being removed."""
        return self._sweeper.is_empty()

    def check(self, *, only_reads: bool = False) -> None:
        """Refuse work that could not be made durable.

        Args:
            only_reads: nothing of it is to be written.

        Raises:
            StoreFailed: a write failed before; only a restart finds out what is on disk.
            DiskFull: nothing can be written for now, or only reads are taken.
            Busy: too much waits for the disk already.
        """
        if self._failure:
            raise again(self._failure)
        if self._only_reads and not only_reads:
            raise again(self._only_reads)
        if (
            self._gathering.bytes > self._pending_bytes_max
            and (pending := self._open().bytes) > self._pending_bytes_max
        ):
            raise busy("disk", pending, self._pending_bytes_max)

    def insert(
        self, seq: int, queue_number: int, envelope: bytes, durability: Durability
    ) -> Awaitable[None]:
        """Keep a message."""
        batch = self._open()
        batch.inserts.append((seq, queue_number, envelope))
        batch.bytes += len(envelope)
        return self._wait_for(batch, None, durability)

    def insert_batch(
        self, rows: Iterable[tuple[int, int, bytes]], size: int, durability: Durability
    ) -> Awaitable[None]:
        """Keep messages: number, number of the queue, envelope; `size` is that of all."""
        batch = self._open()
        batch.inserts += rows
        batch.bytes += size
        return self._wait_for(batch, None, durability)

    def remove(self, entries: Sequence[int], result: _T, durability: Durability) -> Awaitable[_T]:
        """Forget messages, by their entries; give `result` back when that is durable."""
        batch = self._open()
        self._leave(batch, entries)
        return self._wait_for(batch, result, durability)

    def take(self, entries: Sequence[int], durability: Durability) -> Awaitable[list[bytes]]:
        """Forget messages and return their envelopes."""
        batch = self._open()
        self._leave(batch, entries)
        return self._ask(batch, entries, durability)

    def read(self, entries: Sequence[int], durability: Durability) -> Awaitable[list[bytes]]:
        """Return the envelopes of messages; all that came before is so durable then."""
        return self._ask(self._open(), entries, durability)

    def keep(self, changes: Changes, size: int) -> None:
        """Keep new, moved and removed messages, redrives and schedules, all of them or none.

        `size` is that of the new envelopes.
        """
        batch = self._open()
        batch.join(changes, size)
        if changes.moved:
            # Their rows have other numbers then, but what was known of them has not.
            self._leave(batch, [entry(seq_of(move.old_entry), 0) for move in changes.moved])
        if changes.removed:
            self._leave(batch, changes.removed)
        self._schedule_offer()

    def keep_leases(self, together: Sequence[LeaseRow], deliveries: Sequence[DeliveryRow]) -> None:
        """Keep what was learned of messages; it belongs to what is kept next."""
        batch = self._open()
        batch.lease_inserts += together
        batch.bytes += sum(_DELIVERY_BYTES + len(row[-1]) for row in together)
        batch.delivery_saves += deliveries
        batch.bytes += _DELIVERY_BYTES * len(deliveries)

    def forget_leases(self, together: Iterable[int]) -> None:
        """Remove rows about messages that were leased together, by their keys, by and by."""
        self._sweeper.add_leases(together)

    def forget_groups(self, queue_number: int) -> None:
        """Forget which groups of a queue are held; that belongs to what is kept next."""
        self._open().queue_changes.append((_SQL["delete_groups"], {"number": queue_number}))

    def change_queue(self, statement: str, parameters: Mapping[str, str | int]) -> Awaitable[None]:
        """Run one of the named statements about a queue or the clock, and wait for a sync."""
        batch = self._open()
        batch.queue_changes.append((_SQL[statement], parameters))
        return self._wait_for(batch, None, Durability.FSYNC)

    def sweep(self, entries: Sequence[int], known: Iterable[int] = ()) -> None:
        """Remove messages, and dedup_ids, of which the database tells that they are gone."""
        self._sweeper.live -= len(entries)
        self._sweeper.add(entries)
        self._sweeper.add_known(known)

    def settled(self, result: _T, durability: Durability) -> Awaitable[_T] | None:
        """Return what gives `result` back when all that was handed in is so durable.

        None if it is already.

        Raises:
            Unavailable: not all of it is.
        """
        if self._failure:
            raise again(self._failure)
        if durability is Durability.MEMORY:
            return None
        batch = self._open()
        if batch.has_work():
            return self._wait_for(batch, result, durability)
        needs_sync = durability is not Durability.OS
        latest = self._under_way[-1] if self._under_way else None
        if latest and (latest.needs_sync or not needs_sync):
            future: asyncio.Future[_T] = self._loop.create_future()
            latest.waiters.append((future, result))
            return future
        if needs_sync and (latest or not self._writer.is_synced):
            return self._wait_for(batch, result, durability)
        return None

    async def hold_file(self) -> None:
        """Keep the database's file as it is, from the moment on at which this returns.

        It holds all that was handed in before the call then, and no commit that comes later;
        these stay in the log, which grows until `let_go_of_file`. Nobody holds it already.

        Raises:
            StoreFailed: a commit has failed.
            DiskFull: likewise, for want of room.
        """
        if pending := self.settled(None, Durability.OS):
            await pending
        await self._writer.file_hold.begin()

    def let_go_of_file(self) -> None:
        """Write the log back into the file as ever."""
        self._writer.file_hold.end()

    async def close(self) -> None:
        """Commit and sync what is under way and end the writer."""
        # What is left to sweep may take long; it is found again when the database is opened.
        self._stop_sweeping()
        while not self._failure and (pending := self.settled(None, Durability.FSYNC)):
            await asyncio.gather(pending, return_exceptions=True)
        self._writer.end()
        await self._loop.run_in_executor(None, self._end)
        hidden = self._checkpointer.failure
        if hidden and isinstance(self._failure, DiskFull) and not self._is_for_want_of_room(hidden):
            # The writer ended before it could learn of it.
            self.fail_for_good(hidden)

    def _end(self) -> None:
        """Wait for the writer thread, then end what works beside it."""
        self._writer.join()
        self._checkpointer.close()

    def _wait_for(self, batch: Batch, result: _T, durability: Durability) -> Awaitable[_T]:
        self._schedule_offer()
        if durability is Durability.MEMORY:
            return Done(result)
        if durability is not Durability.OS:
            batch.needs_sync = True
        # One future each, not one for all: a caller that is cancelled cancels its own.
        future: asyncio.Future[_T] = self._loop.create_future()
        batch.waiters.append((future, result))
        return future

    def _ask(
        self,
        batch: Batch,
        entries: Sequence[int],
        durability: Durability,
    ) -> asyncio.Future[list[bytes]]:
        """Have a batch read the envelopes of messages, and answer when it is committed."""
        future: asyncio.Future[list[bytes]] = self._loop.create_future()
        batch.reads.append((entries, future))
        if durability not in (Durability.MEMORY, Durability.OS):
            batch.needs_sync = True
        self._schedule_offer()
        return future

    def _open(self) -> Batch:
        """Return the batch that joins what comes now: the one on offer if that is still there."""
        if self._is_offered:
            self._is_offered = False
            try:
                self._offered.pop()
            except IndexError:
                self._gathering = Batch()
            else:
                self._under_way.pop()
                self._schedule_offer()
        return self._gathering

    def _schedule_offer(self) -> None:
        # At the end of this turn of the loop, so that all that came in with it goes along.
        if not self._offer_is_scheduled:
            self._offer_is_scheduled = True
            self._loop.call_soon(self._offer)

    def _offer(self) -> None:
        """Let the writer take what was gathered, if there is anything."""
        self._offer_is_scheduled = False
        if self._is_offered:
            # Nothing has joined since.
            return
        batch = self._gathering
        if self._failure:
            self._refuse(batch)
            self._gathering = Batch()
            return
        if batch.gone and not batch.gone_number:
            batch.gone_number = self._sweeper.next_number()
        if batch.piece is None:
            batch.piece = self._swept_with(batch)
        if batch.has_work():
            if not self._only_reads:
                self._keep_last_number(batch)
            self._is_offered = True
            self._under_way.append(batch)
            self._offered.append(batch)
            self._writer.call()

    def _keep_last_number(self, batch: Batch) -> None:
        """Have a batch keep the highest number, unless that is of a message that it writes."""
        last = batch.last_number = self.last_number
        if last > self._last_kept:
            self._last_kept = last
            is_inserted = batch.inserts and batch.inserts[-1][0] == last
            batch.saves_last_number = not is_inserted

    def _leave(self, batch: Batch, entries: Sequence[int]) -> None:
        batch.gone += seqs_of(entries)
        self._sweeper.leave(entries)

    def _swept_with(self, batch: Batch) -> Piece | None:
        """Return what a batch that is complete, or nearly so, removes besides."""
        if not self._sweeps:
            return None
        sweeper = self._sweeper
        # More may leave in this batch after that, which is in its row as well.
        through = batch.gone_number - 1 if batch.gone_number else sweeper.number
        if batch.has_work():
            self._is_idle = False
            return sweeper.beside(len(batch.inserts), batch.bytes, through)
        piece = sweeper.alone(through) if self._is_idle else None
        # Nobody waits for it, but others may be asked whether all is on disk.
        batch.needs_sync = piece is not None
        return piece

    def _watch_for_idleness(self) -> None:
        """Set the timer that looks whether there is time to sweep."""
        self._committed_then = self._committed
        self._idle_timer = self._loop.call_later(self._sweeper.patience.idle_s, self._sweep_if_idle)

    def _sweep_if_idle(self) -> None:
        self._idle_timer = None
        if self._committed != self._committed_then or self._under_way:
            self._watch_for_idleness()
        else:
            self._is_idle = True
            self._schedule_offer()

    def _stop_sweeping(self) -> None:
        self._sweeps = self._is_idle = False
        if self._idle_timer:
            self._idle_timer.cancel()

    def _release(self, batch: Batch, found: Found) -> None:
        """Tell everyone that a batch is committed."""
        self._under_way.popleft()
        if batch is self._gathering:
            self._is_offered = False
            self._gathering = Batch()
        if batch.damaged:
            self._tell_damage(batch)
        for waiters in (batch.waiters, found):
            for future, result in waiters:
                if not future.done():
                    future.set_result(result)
        sweeper = self._sweeper
        self._count(batch)
        self._committed += 1
        if sweeper.is_empty():
            self._is_idle = False
        elif self._is_idle:
            self._schedule_offer()
        elif self._sweeps and self._idle_timer is None:
            self._watch_for_idleness()

    def _tell_damage(self, batch: Batch) -> None:
        """Tell those whose messages are damaged on disk, and whoever watches."""
        self._damaged += len(batch.damaged)
        for future, error in batch.lost:
            if not future.done():
                future.set_exception(error)
        self._on_damage(DataLoss(batch.damaged).message)

    def fail_for_good(self, error: Exception) -> None:
        """Take note that what the disk holds could not be read after it was full."""
        self._failure = failed(error)
        self._on_failure(self._failure.message)

    def _fail(self, error: Exception) -> None:
        """Stop acknowledging: what was decided since the last commit is not on disk.

        For good, unless the disk was full and the error has undone nothing but its own
        transaction: after a failed sync only a restart finds the truth.
        """
        self._stop_sweeping()
        if self._is_for_want_of_room(error):
            self._failure = full(error)
        else:
            self._failure = failed(error)
        for batch in {id(batch): batch for batch in (*self._under_way, self._gathering)}.values():
            self._refuse(batch)
            self._count(batch)
        self._writer.file_hold.fail(again(self._failure))
        self._under_way.clear()
        self._offered.clear()
        self._is_offered = False
        self._gathering = Batch()
        self._on_failure(self._failure.message)

    def _is_for_want_of_room(self, error: Exception) -> bool:
        system_errnos = (self._connection.system_errno, self._checkpointer.system_errno)
        return is_for_want_of_room(error, *system_errnos)

    def _refuse(self, batch: Batch) -> None:
        """Tell everyone that a batch will not be committed."""
        assert self._failure
        for future in batch.everyone():
            if not future.done():
                future.set_exception(again(self._failure))

    def _count(self, batch: Batch) -> None:
        """Count messages that are there, and no more, by a batch."""
        self._sweeper.live += len(batch.inserts) + len(batch.moves) - len(batch.gone)
