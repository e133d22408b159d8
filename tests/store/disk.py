"""The DISK store with a hand on its commits.

The store is made of a data directory and a connection; a commit hook on the connection
is the seam: SQLite calls it in the writer's thread before it makes a transaction
durable, so it can tell, hold, refuse, or copy what is on disk at that moment.
"""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import apsw

from qmq.store.local.checksums import database_vfs
from qmq.store.local.directory import DataDirectory
from qmq.store.local.disk import DiskStore
from qmq.store.local.recovering import Wait, wait_for
from qmq.store.local.sweeping import Patience

#: Rows of what has left are removed whenever there is nothing else to do.
AT_ONCE = Patience(idle_s=0)

#: Each transaction removes some rows of what has left, if there are any.
ALONG = Patience(messages_min=1, messages_max=1)

#: A test that waits for this long waits for something that does not come.
WAIT_S = 10


class Commits:
    """The commits of one store: counted, and held, refused or copied if asked."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        #: How many transactions came to their commit.
        self.count = 0
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self._may_pass = threading.Semaphore(0)
        self._are_held = False
        self._image: Path | None = None
        self._images: Path | None = None
        #: How many transactions the writer's thread has brought to their commit.
        self._seen = 0
        #: The first one that fails; 0 if none does.
        self.fail_from = 0
        self._directory = Path()
        self._connection: apsw.Connection | None = None
        #: Whether commits fail from now on.
        self.fail = False

    def watch(self, connection: apsw.Connection, directory: Path) -> None:
        """Become the commit hook of a connection to the directory's database."""
        self._directory = directory
        self._connection = connection
        connection.set_commit_hook(self._before_commit)

    @property
    def connection(self) -> apsw.Connection:
        """The store's connection, to be used when no transaction is under way."""
        assert self._connection
        return self._connection

    def hold(self) -> None:
        """Let no transaction pass its commit until `release`."""
        self._are_held = True

    def release(self, count: int = 1) -> None:
        """Let a number of commits pass, those that are held first."""
        self._may_pass.release(count)

    def release_all(self) -> None:
        """Hold nothing any more."""
        self._are_held = False
        self._may_pass.release()

    def copy_next(self, image: Path) -> None:
        """At the next commit, copy the directory as a crash would leave it."""
        self._image = image

    def copy_each(self, images: Path) -> None:
        """At each commit, copy the directory as a crash would leave it, to a directory in order."""
        self._images = images

    async def reach(self, count: int) -> None:
        """Wait until so many transactions came to their commit."""
        if self.count < count:
            reached = asyncio.Event()
            self._waiting.append((count, reached))
            async with asyncio.timeout(WAIT_S):
                await reached.wait()

    def _before_commit(self) -> bool:
        """Run in the writer's thread; return whether the commit is to fail."""
        self._seen += 1
        if self._images:
            shutil.copytree(self._directory, self._images / f"{self._seen:04}")
        if self._image:
            shutil.copytree(self._directory, self._image)
            self._image = None
        self._loop.call_soon_threadsafe(self._tell)
        if self._are_held and not self._may_pass.acquire(timeout=WAIT_S):
            raise TimeoutError
        return self.fail or 0 < self.fail_from <= self._seen

    def _tell(self) -> None:
        self.count += 1
        for count, reached in self._waiting:
            if count <= self.count:
                reached.set()


class Disks:
    """The DISK stores of one test, so that none is left open whatever happens in it."""

    def __init__(self) -> None:
        self._opened: list[tuple[DiskStore, Commits]] = []

    def open(  # noqa: PLR0913 - What a test may choose, each by name.
        self,
        path: Path,
        commits: Commits | None = None,
        *,
        cache_bytes_max: int = 1024 * 1024,
        pending_bytes_max: int = 1024 * 1024,
        failures: list[str] | None = None,
        patience: Patience | None = None,
        wait: Wait = wait_for,
    ) -> DiskStore:
        """Open the store in a data directory.

        Args:
            path: the data directory.
            commits: watches the store's commits.
            cache_bytes_max: as the store's.
            pending_bytes_max: as the store's.
            failures: gets the reason when the store fails.
            patience: when rows of what has left are removed.
            wait: as the store's.
        """
        commits = commits or Commits()
        reasons: list[str] = [] if failures is None else failures
        directory = DataDirectory(path)
        connection = directory.open_database()
        commits.watch(connection, path)
        store = DiskStore(
            directory,
            connection,
            cache_bytes_max=cache_bytes_max,
            pending_bytes_max=pending_bytes_max,
            on_failure=reasons.append,
            patience=patience,
            wait=wait,
        )
        self._opened.append((store, commits))
        return store

    async def close(self) -> None:
        """Close every store, whatever the test had done with it."""
        for store, commits in self._opened:
            commits.release_all()
            async with asyncio.timeout(WAIT_S):
                await store.close()


async def sweep(path: Path) -> None:
    """Have all rows removed of what has left, in a data directory that no store holds."""
    directory = DataDirectory(path)
    store = DiskStore(directory, directory.open_database(), patience=AT_ONCE)
    await has_swept(store)
    await store.close()
    assert rows(path, "gone") == 0


async def has_swept(store: DiskStore) -> None:
    """Wait until a store has begun to remove the last row of what has left.

    Raises:
        StoreFailed: it never will.
    """
    async with asyncio.timeout(WAIT_S):
        while not store.is_swept:
            store.check()
            await asyncio.sleep(0)


def rows(path: Path, table: str) -> int:
    """Count the rows of a table in a data directory that no store holds."""
    return int(_answer(path, f"select count(*) from {table}"))  # noqa: S608 - Ours.


def orphans(path: Path) -> int:
    """Count the deliveries without a message in a data directory that no store holds."""
    return int(
        _answer(path, "select count(*) from delivery where seq not in (select seq from message)")
    )


def _answer(path: Path, question: str) -> Any:  # noqa: ANN401 - As SQLite has it.
    connection = apsw.Connection(
        str(path / "q.db"), flags=apsw.SQLITE_OPEN_READWRITE, vfs=database_vfs()
    )
    try:
        return connection.execute(question).get
    finally:
        connection.close()
