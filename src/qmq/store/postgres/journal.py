"""The journal of a cluster: one statement and one commit for all who wait.

While PostgreSQL commits a batch, the event loop gathers the next one. Whoever waits is told
when the batch that holds its change is committed, on the standbys too where they are
synchronous.

A batch has a number, and its commit names it and the epoch of the leader (see `writing`). So
when a connection is lost in the middle of a commit, a new one tells whether it was made, and
it is made again if not; and a leader who was succeeded changes nothing.
"""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from qmq.durations import FineDurations
from qmq.errors import DatabaseAway, DataLoss, NotLeading, Unavailable
from qmq.model.changes import Changes
from qmq.model.index import seqs_of
from qmq.store.done import Done
from qmq.store.postgres.batch import Batch, Wanted
from qmq.store.postgres.connecting import asked
from qmq.store.postgres.figures import ClusterFigures
from qmq.store.postgres.term import Connect, Term
from qmq.store.postgres.tries import Tries
from qmq.store.postgres.trouble import is_passing
from qmq.store.postgres.writing import statement
from qmq.store.refusing import again, busy
from qmq.store.rows import DeliveryRow
from qmq.store.sql import load_statements
from qmq.store.together import LeaseRow
from qmq.values import Durability

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

_SQL = load_statements("qmq.store.postgres", "statements.sql")

#: Seconds that the database may take for a commit before the connection is given up: it may
#: have stopped, and another may be the primary by now.
_COMMIT_TIMEOUT_S: Final = 3.0

#: Seconds that it may take at most, of a batch that was given up for its time before: a large one,
#: on a slow way, would never get through in as long as most need.
_COMMIT_TIMEOUT_S_MAX: Final = 120.0

#: Seconds that callers are let wait for a database that is away, before they are told so.
PATIENCE_S: Final = 10.0

#: What may go wrong with a connection.
_TROUBLE: Final = (
    OSError,
    TimeoutError,
    DatabaseAway,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)

#: Messages of queues that were purged or deleted that a commit removes besides, at most.
_SWEPT_AT_ONCE: Final = 2_000

_T = TypeVar("_T")


class Journal:
    """Makes changes durable, in the order in which they were handed in.

    See `qmq.store.journalled.Journal`. Its methods are called in the event loop and return at
    once. MEMORY is to wait for nothing but what has to be read, all else to wait for the commit.
    """

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        connect: Connect,
        connection: "Connection[Record]",
        term: Term,
        *,
        number: int,
        on_end: Callable[[Unavailable], None],
        pending_bytes_max: int,
        random: Random,
    ) -> None:
        """Begin to commit, in the event loop that runs.

        Args:
            connect: opens further connections to the primary.
            connection: to the primary; the journal's from now on.
            term: the leadership; every commit names its epoch.
            number: that of the latest commit.
            on_end: called once, with the reason, when nothing will be committed any more:
                another q leads, or the database said what cannot be tried again.
            pending_bytes_max: bytes of changes that wait for the database before `check`
                refuses.
            random: spreads tries to reach the database.
        """
        self._connect = connect
        self._connection: Connection[Record] | None = connection
        self._term = term
        self._number = number
        self._on_end = on_end
        self._pending_bytes_max = pending_bytes_max
        self._loop = asyncio.get_running_loop()
        self._gathering = Batch()
        #: The batch that is being committed.
        self._under_way: Batch | None = None
        #: Set when there is something to commit.
        self._wake = asyncio.Event()
        self._wake_is_scheduled = False
        self._is_closing = False
        #: The highest number that a message ever had, for the store to say.
        self.last_number = 0
        #: Messages of queues that are purged or gone, and still have rows.
        self._left = array("q")
        #: Why nothing is acknowledged any more, once that is so.
        self._failure: Unavailable | None = None
        #: Since when the database has not answered, and what came of the latest try.
        self._away_since_s: float | None = None
        self._away_reason = ""
        self._tries = Tries(random)
        self._commits = FineDurations()
        self._reconnects = 0
        self._writer = self._loop.create_task(self._commit_for_ever())

    @property
    def figures(self) -> ClusterFigures:
        """How the database does, at this moment."""
        away_since_s = self._away_since_s
        return ClusterFigures(
            commits=self._commits,
            pending_bytes=self._pending_bytes,
            reconnects=self._reconnects,
            away_s=0.0 if away_since_s is None else self._loop.time() - away_since_s,
            away_reason="" if away_since_s is None else self._away_reason,
            rows_left=len(self._left),
        )

    @property
    def _pending_bytes(self) -> int:
        under_way = self._under_way.bytes if self._under_way else 0
        return self._gathering.bytes + under_way

    def check(self, *, only_reads: bool = False) -> None:
        """Refuse work that could not be made durable.

        Raises:
            NotLeading: another q leads by now.
            DatabaseAway: the database does not answer, or has too few standbys for changes.
            Busy: too much waits for it already.
        """
        if self._failure:
            raise again(self._failure)
        if self._away_since_s is not None:
            away_s = self._loop.time() - self._away_since_s
            # The first moments are none of a caller's business: most are over then.
            if away_s > _COMMIT_TIMEOUT_S:
                raise self._away(effect="none")
        if not only_reads and (refusal := self._term.refusal):
            raise again(refusal)
        pending = self._gathering.bytes
        if pending > self._pending_bytes_max and not only_reads:
            raise busy("database", pending, self._pending_bytes_max)

    def insert(
        self, seq: int, queue_number: int, envelope: bytes, durability: Durability
    ) -> Awaitable[None]:
        """Keep a message."""
        batch = self._gathering
        batch.inserts[seq] = (seq, queue_number, envelope)
        batch.bytes += len(envelope)
        return self._wait_for(None, durability)

    def insert_batch(
        self, rows: Iterable[tuple[int, int, bytes]], size: int, durability: Durability
    ) -> Awaitable[None]:
        """Keep messages: number, number of the queue, envelope; `size` is that of all."""
        self._gathering.insert(rows, size)
        return self._wait_for(None, durability)

    def remove(self, entries: Sequence[int], result: _T, durability: Durability) -> Awaitable[_T]:
        """Forget messages, by their entries; give `result` back when that is durable."""
        self._gathering.remove(seqs_of(entries))
        return self._wait_for(result, durability)

    def take(self, entries: Sequence[int], durability: Durability) -> Awaitable[list[bytes]]:
        """Forget messages and return their envelopes."""
        taken = self.read(entries, durability)
        self._gathering.remove(seqs_of(entries))
        return taken

    def read(self, entries: Sequence[int], durability: Durability) -> Awaitable[list[bytes]]:  # noqa: ARG002 - A commit is durable.
        """Return the envelopes of messages; all that came before is durable then."""
        future: asyncio.Future[list[bytes]] = self._loop.create_future()
        self._gathering.reads.append((self._gathering.wanted(entries), future))
        self._schedule()
        return future

    def keep(self, changes: Changes, size: int) -> None:
        """Keep changes, all of them or none; `size` is that of the new envelopes."""
        self._gathering.join(changes, size)
        self._schedule()

    def keep_leases(self, together: Sequence[LeaseRow], deliveries: Sequence[DeliveryRow]) -> None:
        """Keep what was learned of messages; it belongs to what is kept next."""
        self._gathering.keep_leases(together, deliveries)

    def forget_leases(self, together: Iterable[int]) -> None:
        """Remove rows about messages that were leased together, by their keys."""
        self._gathering.forget_leases(together)

    def forget_groups(self, queue_number: int) -> None:
        """Forget which groups of a queue are held; that belongs to what is kept next."""
        self._gathering.forget_groups(queue_number)

    def change_queue(self, statement: str, parameters: Mapping[str, str | int]) -> Awaitable[None]:
        """Keep what a named statement says about a queue, and wait until that is durable."""
        number = int(parameters["number"])
        if statement == "delete_queue":
            self._gathering.queues[number] = None
        else:
            self._gathering.save_queue(number, parameters)
        return self._wait_for(None, Durability.FSYNC)

    def sweep(self, entries: Sequence[int], known: Iterable[int] = ()) -> None:
        """Remove messages, and dedup_ids, of which the database tells that they are gone."""
        batch = self._gathering
        batch.forget(known)
        seqs = seqs_of(entries)
        if unknown := batch.not_in_database():
            batch.remove([seq for seq in seqs if seq in unknown])
            seqs = [seq for seq in seqs if seq not in unknown]
        self._left.extend(seqs)
        self._schedule()

    def sweep_left(
        self, seqs: Iterable[int], *, known: Iterable[int], leases: Iterable[int]
    ) -> None:
        """Remove rows that are about nothing any more, as they were found at the beginning."""
        self._left.extend(seqs)
        self._gathering.forget(known)
        self._gathering.forget_leases(leases)
        self._schedule()

    def settled(self, result: _T, durability: Durability) -> Awaitable[_T] | None:
        """Return what gives `result` back when all that was handed in is so durable.

        None if it is already, and no other q can have changed it.

        Raises:
            Unavailable: not all of it is.
        """
        if self._failure:
            raise again(self._failure)
        if durability is Durability.MEMORY:
            return None
        if self._gathering.has_work():
            return self._wait_for(result, durability)
        if batch := self._under_way:
            future: asyncio.Future[_T] = self._loop.create_future()
            batch.waiters.append((future, result))
            return future
        return None if self._term.is_certain else self._when_certain(result)

    async def _when_certain(self, result: _T) -> _T:
        await self._term.make_certain()
        return result

    async def close(self) -> None:
        """Commit what is under way, if the database answers, and let go of the connection."""
        self._is_closing = True
        self._wake.set()
        await asyncio.wait((self._writer,), timeout=PATIENCE_S)
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        self._fail(NotLeading("this q has stopped leading the cluster"))
        await self._drop_connection()

    def _wait_for(self, result: _T, durability: Durability) -> Awaitable[_T]:
        self._schedule()
        if durability is Durability.MEMORY:
            return Done(result)
        # One future each, not one for all: a caller that is cancelled cancels its own.
        future: asyncio.Future[_T] = self._loop.create_future()
        self._gathering.waiters.append((future, result))
        return future

    def _schedule(self) -> None:
        # At the end of this turn of the loop, so that all that came in with it goes along.
        if not self._wake_is_scheduled:
            self._wake_is_scheduled = True
            self._loop.call_soon(self._wake.set)

    async def _commit_for_ever(self) -> None:
        """Commit what is gathered, batch by batch, until the end."""
        try:
            while not self._failure:
                if not self._is_closing:
                    await self._wake.wait()
                self._wake.clear()
                self._wake_is_scheduled = False
                batch = self._gathering
                self._sweep_with(batch)
                if batch.has_work():
                    await self._commit(batch)
                elif self._is_closing:
                    break
        except Unavailable as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - Whatever it is, memory is ahead of the database.
            self._fail(
                NotLeading(f"the database refused a commit ({type(error).__name__}: {error})")
            )

    def _sweep_with(self, batch: Batch) -> None:
        """Remove with a batch some of what has left."""
        if self._left and not self._is_closing:
            count = min(_SWEPT_AT_ONCE, len(self._left))
            batch.gone.update(self._left[-count:])
            del self._left[-count:]

    async def _commit(self, batch: Batch) -> None:
        """Commit a batch, however long it takes, and tell everyone."""
        batch.last_number = self.last_number
        self._under_way, self._gathering = batch, Batch()
        await self._make(batch)
        self._under_way = None
        for future, result in batch.waiters:
            if not future.done():
                future.set_result(result)
        for wanted, future in batch.reads:
            if not future.done():
                _answer(future, wanted, batch.found or {})
        if self._left or self._gathering.has_work():
            self._wake.set()

    async def _make(self, batch: Batch) -> None:
        """Read and write what a batch says, however long it takes.

        Raises:
            NotLeading: another q leads.
            PostgresError: the database will not have it.
        """
        number, timeout_s = self._number + 1, _COMMIT_TIMEOUT_S
        while True:
            start_s = self._loop.time()
            try:
                await self._try(batch, number, timeout_s)
                break
            except _TROUBLE as error:
                if not is_passing(error):
                    raise
                if self._loop.time() - start_s >= timeout_s:
                    timeout_s = min(2 * timeout_s, _COMMIT_TIMEOUT_S_MAX)
                await self._lose_connection(error)
        if batch.writes():
            self._number = number
        self._away_since_s = None
        self._tries.succeed()

    async def _try(self, batch: Batch, number: int, timeout_s: float) -> None:
        connection = self._connection
        if connection is None:
            connection = await self._reconnected(timeout_s)
            if await asked(connection, self._is_made(connection, number), timeout_s):
                return
        if batch.found is None:
            batch.found = await _read(connection, batch, timeout_s)
        if batch.writes():
            await self._write(connection, batch, number, timeout_s)
        elif not self._term.is_certain:
            # What was read is true only if nobody else can have changed it.
            await self._term.make_certain()

    async def _write(
        self, connection: "Connection[Record]", batch: Batch, number: int, timeout_s: float
    ) -> None:
        """Commit what a batch writes.

        Raises:
            NotLeading: another q leads.
        """
        start = perf_counter()
        text, parameters = statement(batch, self._term.epoch, number)
        done = connection.fetchval(text, *parameters)
        if not await asked(connection, done, timeout_s):
            raise NotLeading("another q leads the cluster by now; call again")
        self._commits.note(perf_counter() - start)

    async def _is_made(self, connection: "Connection[Record]", number: int) -> bool:
        """Tell, on a new connection, whether a commit was made that the last one was lost in.

        Raises:
            NotLeading: another q leads, or the database has lost commits.
        """
        async with connection.transaction():
            row = await connection.fetchrow(_SQL["select_journal"])
            if row is None or row["epoch"] != self._term.epoch:
                raise NotLeading("another q leads the cluster by now; call again")
            if row["batch"] not in (number - 1, number):
                raise NotLeading(
                    f"the database has commit {row['batch']} where {number - 1} was acknowledged:"
                    " it was put back, or a standby was promoted that had not all"
                )
            # On the standbys too, since it may have been made before they had it.
            await connection.execute(_SQL["touch_journal"], self._term.epoch)
        return bool(row["batch"] == number)

    async def _reconnected(self, timeout_s: float) -> "Connection[Record]":
        connection = self._connection = await self._connect()
        await asked(connection, prepare(connection), timeout_s)
        self._reconnects += 1
        return connection

    async def _lose_connection(self, error: Exception) -> None:
        """Take note that the database does not answer, and wait a moment."""
        await self._drop_connection()
        now_s = self._loop.time()
        if self._away_since_s is None:
            self._away_since_s = now_s
        self._away_reason = f"{type(error).__name__}: {error}"
        away_s = now_s - self._away_since_s
        if away_s > PATIENCE_S:
            self._let_go()
        if self._is_closing:
            raise self._away()
        self._tries.fail()
        await asyncio.sleep(self._tries.pause_s())

    def _let_go(self) -> None:
        """Tell all who wait that the database is away; what they asked for is still under way."""
        for batch in (self._under_way, self._gathering):
            if batch:
                for future in batch.everyone():
                    if not future.done():
                        future.set_exception(self._away())

    def _away(self, **effect: str) -> DatabaseAway:
        return DatabaseAway(
            f"the cluster's database does not answer ({self._away_reason}); q goes on by itself"
            " when it does",
            **effect,
        )

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.terminate()

    def _fail(self, error: Unavailable) -> None:
        """Stop acknowledging: what was decided since the last commit is not in the database."""
        if self._failure:
            return
        self._failure = error
        for batch in (self._under_way, self._gathering):
            for future in batch.everyone() if batch else ():
                if not future.done():
                    future.set_exception(again(error))
        self._under_way, self._gathering = None, Batch()
        if not self._is_closing:
            self._on_end(error)


async def prepare(connection: "Connection[Record]") -> None:
    """Make a connection fit for the journal's statements.

    Their plans are made once, and never go through a table: what the planner knows of its size
    may be of a time when it was empty.
    """
    await connection.execute(
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off"
    )


async def _read(
    connection: "Connection[Record]", batch: Batch, timeout_s: float
) -> dict[int, bytes]:
    """Read the envelopes that are asked for of a batch, before it changes anything."""
    seqs = {each.seq for wanted, _ in batch.reads for each in wanted if isinstance(each, Wanted)}
    if not seqs:
        return {}
    fetched = connection.fetch(_SQL["select_envelopes"], list(seqs))
    rows: list[Any] = await asked(connection, fetched, timeout_s)
    return {row[0]: row[1] for row in rows}


def _answer(
    future: asyncio.Future[list[bytes]],
    wanted: Sequence[bytes | Wanted],
    found: Mapping[int, bytes],
) -> None:
    """Tell who asked for envelopes, or that rows are missing which nobody but q may remove."""
    missing = [each.seq for each in wanted if isinstance(each, Wanted) and each.seq not in found]
    if missing:
        future.set_exception(DataLoss(missing))
        return
    future.set_result(
        [found[each.seq] + each.suffix if isinstance(each, Wanted) else each for each in wanted]
    )
