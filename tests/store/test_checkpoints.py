"""The log is written back beside the commits: nothing is lost by that, and the log stays small.

The checkpointer's thread does something in the file system only; so what it comes to there is
where it is held, where commits come between, and where it fails.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from qmq.errors import Unavailable
from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.directory import DataDirectory
from qmq.store.local.journal import Journal
from qmq.store.local.shrinking import Shrinker
from qmq.store.local.sweeping import Sweeper
from qmq.store.local.transaction import Batch, commit
from qmq.values import Durability
from tests.store.disk import WAIT_S
from tests.store.recorder import Recorder
from tests.store.watched import DATABASE, LOG, Step

_PAGE_BYTES = 4096


@pytest.fixture
def recorder(data: Path) -> Iterator[Recorder]:
    """Return the machine that the data is on."""
    recorder = Recorder(data)
    yield recorder
    recorder.unregister()


class Bench:
    """A database, commits to it, and its checkpointer."""

    def __init__(self, data: Path, pages: int = 8, pages_max: int = 1_000) -> None:
        self.directory = DataDirectory(data)
        self.connection = self.directory.open_database()
        #: Called in the checkpointer's thread before it has the database synced.
        self.before_sync: Callable[[], None] = lambda: None
        self.checkpointer = Checkpointer(
            self.directory.open_beside(), self._sync, pages=pages, pages_max=pages_max
        )
        self.is_woken = threading.Event()
        self.seq = 0

    def start(self) -> None:
        """Start the checkpointer's thread, with this one as the writer's."""
        self.checkpointer.start(self.connection, self.is_woken.set)

    def commit(self) -> None:
        """Commit a message of half a page."""
        self.seq += 1
        batch = Batch()
        batch.inserts.append((self.seq, 1, bytes(_PAGE_BYTES // 2)))
        batch.needs_sync = True
        commit(self.connection, batch, is_synced=False)
        self.checkpointer.has_committed()

    def fill_log(self) -> None:
        """Commit until the checkpointer begins."""
        while not self.checkpointer.is_asked:
            self.commit()
            self.checkpointer.proceed()

    def finish(self) -> None:
        """Wait for the checkpointer's thread, and do the writer's part."""
        wait_for(self.is_woken)
        self.is_woken.clear()
        self.checkpointer.proceed()

    def journal(self, on_failure: Callable[[str], None]) -> Journal:
        """Let a journal commit instead."""
        return Journal(
            self.connection,
            checkpointer=self.checkpointer,
            shrinker=Shrinker(self.connection, self.directory.database_file),
            sweeper=Sweeper(),
            on_failure=on_failure,
            pending_bytes_max=1_000_000,
        )

    def close(self) -> None:
        """Leave nothing open."""
        self.checkpointer.close()
        self.connection.close()
        self.directory.close()

    def _sync(self) -> None:
        self.before_sync()
        self.directory.sync_database()


def seqs(path: Path) -> list[int]:
    """Return the numbers of the messages in a data directory that nobody holds."""
    with closing(DataDirectory(path)) as directory, closing(directory.open_database()) as found:
        return [seq for (seq,) in found.execute("select seq from message order by seq")]


def wait_for(event: threading.Event) -> None:
    """Wait until something is so."""
    assert event.wait(WAIT_S)


def commit_many(bench: Bench) -> None:
    """Commit so much that the thread does not leave it to the writer."""
    for _ in range(60):
        bench.commit()


def test_log_begins_anew_though_commits_go_on(data: Path) -> None:
    """However many come while the thread is at work, and it lets the writer go on."""
    bench = Bench(data)
    bench.before_sync = lambda: commit_many(bench)
    bench.start()
    sizes = []

    for _ in range(5):
        bench.fill_log()
        bench.finish()
        sizes.append((data / LOG).stat().st_size)
    count, pages = bench.checkpointer.count, bench.checkpointer.log_pages
    bench.close()

    assert (count, pages) == (5, 0)
    # The log of each round is written over that of the one before.
    assert max(sizes) < 1.1 * min(sizes)
    assert seqs(data) == list(range(1, bench.seq + 1))


def test_lost_power_loses_no_acknowledged_commit(
    data: Path, tmp_path: Path, recorder: Recorder
) -> None:
    """Whatever the checkpointer and the writer were at, and whatever had reached the disk."""
    bench = Bench(data)
    bench.start()

    def commit_between(verb: str, file: str) -> None:  # noqa: ARG001 - Before both.
        if file == DATABASE and threading.current_thread().name == "checkpoints":
            acknowledge()

    def acknowledge() -> None:
        bench.commit()
        recorder.note(Step("acknowledge", offset=bench.seq))

    recorder.before = commit_between
    for _ in range(3):
        while not bench.checkpointer.is_asked:
            acknowledge()
            bench.checkpointer.proceed()
        bench.finish()
    count = bench.checkpointer.count
    bench.close()
    recorder.unregister()

    images = list(recorder.images())
    for number, (acknowledged, files) in enumerate(images):
        image = tmp_path / str(number)
        image.mkdir()
        (image / "q.lock").touch()
        for file, content in files.items():
            (image / file).write_bytes(content)
        found = seqs(image)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= acknowledged
    assert count == 3
    assert len(images) > 100


def test_writer_waits_rather_than_let_the_log_grow(data: Path) -> None:
    """Where the disk is too slow for the thread, it is too slow for more commits."""
    bench = Bench(data, pages=8, pages_max=64)
    may_sync = threading.Event()
    bench.before_sync = lambda: wait_for(may_sync)
    bench.start()
    has_reached_the_bound = threading.Event()
    pages = []

    def commit_on() -> None:
        for _ in range(200):
            bench.commit()
            pages.append(bench.checkpointer.log_pages)
            if pages[-1] >= 64:
                has_reached_the_bound.set()
            bench.checkpointer.proceed()

    writer = threading.Thread(target=commit_on)
    writer.start()
    wait_for(has_reached_the_bound)
    writer.join(0.1)
    is_waiting = writer.is_alive()
    may_sync.set()
    writer.join(WAIT_S)
    bench.close()

    assert is_waiting
    assert len(pages) == 200
    assert max(pages) < 64 + 5
    assert seqs(data) == list(range(1, 201))


def test_file_that_is_held_stays_as_it_is_and_holds_all_before(data: Path) -> None:
    """What is committed meanwhile is in the log, however long that gets; nobody waits for it."""
    bench = Bench(data, pages=8, pages_max=64)
    held: list[int] = []
    bench.start()
    bench.commit()
    bench.checkpointer.hold(lambda: held.append(bench.seq))
    bench.checkpointer.proceed()
    bench.finish()
    before = (data / DATABASE).read_bytes()

    for _ in range(200):
        bench.commit()
        bench.checkpointer.proceed()

    pages = bench.checkpointer.log_pages
    assert held == [1]
    assert (data / DATABASE).read_bytes() == before
    assert pages > 64
    bench.close()


def test_file_of_which_all_is_written_back_is_held_at_once(data: Path) -> None:
    """There is nothing to wait for."""
    bench = Bench(data)
    held: list[bool] = []
    bench.start()

    bench.checkpointer.hold(lambda: held.append(True))
    bench.checkpointer.proceed()

    assert held == [True]
    assert not bench.checkpointer.is_asked
    bench.close()


def test_log_is_written_back_after_the_file_was_let_go_of(data: Path) -> None:
    """The writer does not wait for the many pages that have gathered, but for what comes then."""
    bench = Bench(data, pages=8, pages_max=64)
    bench.start()
    bench.checkpointer.hold(lambda: None)
    bench.checkpointer.proceed()
    commit_many(bench)
    may_sync = threading.Event()
    bench.before_sync = lambda: wait_for(may_sync)

    bench.checkpointer.let_go()
    for _ in range(5):
        bench.commit()
        # This would not return before the thread is done if the bound were as ever.
        bench.checkpointer.proceed()
    may_sync.set()
    bench.finish()

    assert bench.checkpointer.count == 1
    assert bench.checkpointer.log_pages == 0
    bench.close()
    assert seqs(data) == list(range(1, bench.seq + 1))


def test_file_that_is_let_go_of_before_it_is_held_never_is(data: Path) -> None:
    """Who has asked has left."""
    bench = Bench(data)
    held: list[bool] = []
    bench.start()
    bench.commit()
    bench.checkpointer.hold(lambda: held.append(True))
    bench.checkpointer.proceed()

    bench.checkpointer.let_go()
    bench.finish()

    assert held == []
    assert not bench.checkpointer.is_held
    bench.close()


def test_clean_close_leaves_no_log(data: Path) -> None:
    """So that the database's file alone is all there is."""
    bench = Bench(data)
    bench.start()
    bench.fill_log()

    bench.close()

    assert sorted(file.name for file in data.iterdir()) == [DATABASE, "q.lock"]
    assert seqs(data) == list(range(1, bench.seq + 1))


def test_log_of_a_process_that_was_killed_is_written_back_at_the_start(
    data: Path, tmp_path: Path
) -> None:
    """What it held counts for nothing any more, so none of it is there in the next one's."""
    bench = Bench(data)
    bench.start()
    bench.commit()
    image = tmp_path / "image"
    image.mkdir()
    for file in (DATABASE, LOG, "q.lock"):
        (image / file).write_bytes((data / file).read_bytes())
    bench.close()

    with closing(DataDirectory(image)) as directory, closing(directory.open_database()) as found:
        in_log, written_back = found.wal_checkpoint()

    assert in_log == written_back
    assert seqs(image) == [1]


#: What may fail: the verb, the file, and the exception that SQLite gets.
FAILURES = [
    ("write", DATABASE, apsw.IOError("write")),
    ("write", DATABASE, apsw.FullError("full")),
    ("sync", DATABASE, apsw.IOError("sync")),
    ("sync", LOG, apsw.IOError("sync")),
]


@pytest.mark.parametrize(
    ("verb", "file", "error"), FAILURES, ids=["write", "full", "sync", "sync-of-log"]
)
async def test_failed_checkpoint_is_a_failed_store(
    data: Path, recorder: Recorder, verb: str, file: str, error: Exception
) -> None:
    """Nobody is told any more that a message is safe; whoever was told has it after a restart."""
    bench = Bench(data)
    failures: list[str] = []
    has_failed = asyncio.Event()

    def fail(reason: str) -> None:
        failures.append(reason)
        has_failed.set()

    def refuse(at_verb: str, at_file: str) -> None:
        if (at_verb, at_file) == (verb, file) and (
            file == DATABASE or threading.current_thread().name == "checkpoints"
        ):
            raise error

    recorder.before = refuse
    journal = bench.journal(fail)
    stored = 0
    try:
        while not failures:
            await journal.insert(stored + 1, 1, bytes(_PAGE_BYTES), Durability.FSYNC)
            stored += 1
            assert stored < 1_000
    except Unavailable:
        pass
    async with asyncio.timeout(WAIT_S):
        await has_failed.wait()
    with pytest.raises(Unavailable):
        journal.check()
    await journal.close()
    bench.close()
    recorder.unregister()

    assert len(failures) == 1
    assert type(error).__name__ in failures[0]
    assert stored > 1
    found = seqs(data)
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= stored


async def test_failed_sync_of_the_database_is_a_failed_store(data: Path) -> None:
    """Also that which SQLite knows nothing of, and also when no commit comes after it."""
    bench = Bench(data)

    def refuse() -> None:
        raise OSError(5, "Input/output error")

    bench.before_sync = refuse
    has_failed = asyncio.Event()
    failures: list[str] = []

    def fail(reason: str) -> None:
        failures.append(reason)
        has_failed.set()

    journal = bench.journal(fail)
    await journal.insert_batch(
        [(seq, 1, bytes(_PAGE_BYTES)) for seq in range(1, 100)], 0, Durability.FSYNC
    )
    async with asyncio.timeout(WAIT_S):
        await has_failed.wait()
    await journal.close()
    bench.close()

    assert "OSError" in failures[0]
    assert seqs(data) == list(range(1, 100))
