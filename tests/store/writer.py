"""A hand on the journal's writer thread: it is held before or after the steps of a transaction.

SQLite tells of each statement before it runs it, and of each commit after that is done, in the
thread that does the work; so those are the seams.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from qmq.model.changes import Changes
from qmq.model.index import entry
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.directory import DataDirectory
from qmq.store.local.journal import Journal
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.sweeping import Patience, Sweeper
from qmq.store.together import unpacked
from qmq.values import Durability
from tests.store.disk import WAIT_S

#: Where the writer can be held: it has taken a batch, but done nothing of it; all is written, and
#: not committed; all is committed, and nobody was told.
TAKEN: Final = "begin"
WRITTEN: Final = "commit"
COMMITTED: Final = "committed"


class Writer:
    """The writer thread of a journal, held where a test says."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._hold_at = ""
        self._reached = asyncio.Event()
        self._may_go = threading.Semaphore(0)
        self._fail_at = ""
        #: How many transactions were committed.
        self.commits = 0
        self._has_committed = threading.Condition()
        connection.exec_trace = self._before_statement
        connection.set_wal_hook(self._after_commit)

    def will_hold_at(self, place: str) -> None:
        """Hold the writer when it comes to a place next."""
        self._reached.clear()
        self._hold_at = place

    async def has_come(self) -> None:
        """Wait until it is there."""
        async with asyncio.timeout(WAIT_S):
            await self._reached.wait()

    def let_go(self) -> None:
        """Let it go on."""
        self._hold_at = ""
        self._may_go.release()

    def block_until(self, commits: int) -> None:
        """Keep the event loop from coming round until so many transactions are committed."""
        with self._has_committed:
            assert self._has_committed.wait_for(lambda: self.commits >= commits, WAIT_S)

    def fail_at(self, place: str) -> None:
        """Let the next transaction fail in a place."""
        self._fail_at = place

    def _before_statement(self, _: apsw.Cursor, sql: str, bindings: Any) -> bool:  # noqa: ANN401, ARG002 - apsw's.
        self._come_to(sql.split(maxsplit=1)[0])
        return True

    def _after_commit(self, _: apsw.Connection, name: str, pages: int) -> int:  # noqa: ARG002 - apsw's.
        with self._has_committed:
            self.commits += 1
            self._has_committed.notify()
        self._come_to(COMMITTED)
        return apsw.SQLITE_OK

    def _come_to(self, place: str) -> None:
        """Run in the writer's thread."""
        if place == self._hold_at:
            self._loop.call_soon_threadsafe(self._reached.set)
            if not self._may_go.acquire(timeout=WAIT_S):
                raise TimeoutError
        if place == self._fail_at:
            self._fail_at = ""
            message = "the disk is gone"
            raise OSError(message)


class Bench:
    """A journal with a hand on its writer, and what was asked of it."""

    def __init__(self, data: Path, patience: Patience | None = None) -> None:
        self._directory = DataDirectory(data)
        self.connection = self._directory.open_database()
        self.writer = Writer(self.connection)
        self.failures: list[str] = []
        self.journal = Journal(
            self.connection,
            checkpointer=Checkpointer(self._directory.open_beside(), self._directory.sync_database),
            shrinker=Shrinker(self.connection, self._directory.database_file),
            sweeper=Sweeper(patience),
            on_failure=self.failures.append,
            pending_bytes_max=10_000,
        )
        self.seq = 0

    def insert(self, durability: Durability = Durability.FSYNC) -> asyncio.Future[None]:
        """Keep a message: its number, as text."""
        self.seq += 1
        self.journal.last_number = self.seq
        pending = self.journal.insert(self.seq, 1, b"%d" % self.seq, durability)
        return asyncio.ensure_future(_of(pending))

    def keep(self) -> None:
        """Keep a message for which nobody waits."""
        self.seq += 1
        self.journal.last_number = self.seq
        changes = Changes()
        changes.added.append((entry(self.seq, 1), 1, b"%d" % self.seq))
        self.journal.keep(changes, 1)

    def settled(self, durability: Durability) -> asyncio.Future[None] | None:
        """Ask whether all is so durable."""
        pending = self.journal.settled(None, durability)
        return None if pending is None else asyncio.ensure_future(_of(pending))

    def seqs(self) -> list[int]:
        """Return the numbers of the messages that are on disk. The writer must be idle."""
        rows = self.connection.execute("select seqs from gone")
        gone = {seq for (column,) in rows for seq in unpacked(column)}
        rows = self.connection.execute("select seq from message order by seq")
        return [seq for (seq,) in rows if seq not in gone]

    async def close(self) -> None:
        """Leave nothing open."""
        self.writer.let_go()
        async with asyncio.timeout(WAIT_S):
            await self.journal.close()
        self.let_go()

    def let_go(self) -> None:
        """Let go of the directory, once the journal is closed."""
        self.connection.close()
        self._directory.close()


async def _of(pending: Any) -> None:  # noqa: ANN401 - Whatever can be awaited.
    await pending


@contextmanager
def unheard_errors() -> Iterator[list[dict[str, Any]]]:
    """Return what the event loop is told of that nobody else was."""
    unheard: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    try:
        yield unheard
    finally:
        loop.set_exception_handler(None)


async def turns(count: int = 10) -> None:
    """Let the event loop come round."""
    for _ in range(count):
        await asyncio.sleep(0)


def are_done(calls: Sequence[asyncio.Future[Any] | None]) -> list[bool]:
    """Tell which calls are answered; what is None was answered at once."""
    return [call is None or call.done() for call in calls]
