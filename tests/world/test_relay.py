"""What is between q and a database of a world, and what befalls that."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextvars import Context, copy_context
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.world.database import Database
from tests.world.freezing import FreezingLoop
from tests.world.owning import OWNER
from tests.world.relay import COMMIT, Relay, Trouble, What

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

_COMMIT = "with fence as (update q.journal set batch = batch + 1 returning 1) select 1 from fence"
_BATCH = "select batch from q.journal"


class Client:
    """A process that connects to a database."""

    def __init__(self) -> None:
        self.context: Context = copy_context()
        self.context.run(OWNER.set, self)
        self.is_frozen = False
        self.deferred: list[Callable[[], object]] = []

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Keep no account of what it does."""

    async def connect(self) -> "Connection[Record]":
        """Open a connection."""
        return await asyncpg.connect(host="/first", port=5432, user="q", database="q")


class Stage:
    """One database, and who uses it."""

    def __init__(self, database: Database) -> None:
        self.loop = FreezingLoop(Random(1))
        self.database = database
        self.client = Client()
        self.relay = Relay(self.loop, Random(2), [database], lambda: self.client)
        self.loop.connect = self.relay.connect

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - What comes of it.
        """Have the client do something to its end."""
        task = self.loop.create_task(work, context=self.client.context)
        return self.loop.run_until_complete(task)

    def befall(self, what: What, seconds: float = 0.0, state: str = "") -> None:
        """Have something befall the next commit."""
        self.relay.troubles.append(
            Trouble(what, "first", text=COMMIT, seconds=seconds, state=state)
        )


@pytest.fixture
def stage(addresses: Sequence[tuple[int, str]]) -> Iterator[Stage]:
    """Return a database that nothing befalls yet."""
    database = Database("first", *addresses[0])
    stage = Stage(database)
    yield stage
    stage.relay.close()
    stage.loop.close()
    database.close()


async def _outcome(commit: Awaitable[Any], timeout_s: float = 60.0) -> str:
    try:
        return repr(await asyncio.wait_for(commit, timeout_s))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("what", "state", "outcome", "batch"),
    [
        (What.LOSE_REQUEST, "", "ConnectionDoesNotExistError", 0),
        (What.LOSE_ANSWER, "", "ConnectionDoesNotExistError", 1),
        (What.TEAR_ANSWER, "", "ConnectionDoesNotExistError", 1),
        (What.REFUSE, "40001", "SerializationError", 0),
        (What.TERMINATE, "", "ConnectionDoesNotExistError", 0),
        (What.READ_ONLY, "", "ReadOnlySQLTransactionError", 0),
        (What.LATE_ANSWER, "", "TimeoutError", 1),
        (What.LATE_REQUEST, "", "TimeoutError", 0),
    ],
    ids=lambda value: value.name if isinstance(value, What) else "",
)
def test_commit_meets_with_trouble(
    stage: Stage, what: What, state: str, outcome: str, batch: int
) -> None:
    """It is done or not, and who has asked for it is told what PostgreSQL says, or nothing."""

    async def commit() -> tuple[str, int]:
        first, second = await stage.client.connect(), await stage.client.connect()
        stage.befall(what, seconds=9.0, state=state)
        found = await _outcome(first.fetchval(_COMMIT), timeout_s=5.0)
        batch = await second.fetchval(_BATCH)
        await second.close()
        first.terminate()
        return found, batch

    assert stage.run(commit()) == (outcome, batch)


def test_time_stands_still_while_postgresql_works(stage: Stage) -> None:
    """However long that takes."""

    async def work() -> float:
        connection = await stage.client.connect()
        start_s = stage.loop.time()
        await connection.execute("select pg_sleep(0.2)")
        took_s = stage.loop.time() - start_s
        await connection.close()
        return took_s

    assert stage.run(work()) < 0.1


def test_wait_for_a_lock_takes_time(stage: Stage) -> None:
    """Of the world alone; and it is over when the lock is free, or after two seconds."""

    async def wait() -> tuple[str, str, float]:
        connection = await stage.client.connect()
        start_s = stage.loop.time()
        with stage.database.locked():
            too_long = await _outcome(connection.fetchval(_COMMIT))
            took_s = stage.loop.time() - start_s
            waiting = asyncio.ensure_future(_outcome(connection.fetchval(_COMMIT)))
            await asyncio.sleep(1)
        stage.relay.look_at_locks(stage.database)
        got_it = await waiting
        await connection.close()
        return too_long, got_it, took_s

    began_s = time.monotonic()
    too_long, got_it, took_s = stage.run(wait())

    assert (too_long, got_it) == ("LockNotAvailableError", "1")
    assert 1.9 < took_s < 2.1
    assert time.monotonic() - began_s < 1.9


def test_clock_of_a_database_is_that_of_the_world(stage: Stage) -> None:
    """For all who ask as q does."""

    async def ask() -> float:
        connection = await stage.client.connect()
        before = await connection.fetchval("select clock_timestamp()")
        await asyncio.sleep(3_600)
        after = await connection.fetchval("select clock_timestamp()")
        await connection.close()
        took_s: float = (after - before).total_seconds()
        return took_s

    assert stage.run(ask()) == pytest.approx(3_600, abs=0.1)


def test_nothing_comes_through_to_who_is_cut_off(stage: Stage) -> None:
    """Until it does, all of it."""

    async def ask() -> tuple[str, str]:
        connection = await stage.client.connect()
        stage.relay.hush(stage.client, "first")
        asked = asyncio.ensure_future(_outcome(connection.fetchval("select 7")))
        await asyncio.sleep(50)
        before = "nothing" if not asked.done() else asked.result()
        stage.relay.mend(stage.client, "first")
        after = await asked
        await connection.close()
        return before, after

    assert stage.run(ask()) == ("nothing", "7")


def test_process_that_stands_still_does_nothing(stage: Stage) -> None:
    """When it goes on, it has missed nothing but time."""
    client = stage.client
    woken_s: list[float] = []

    async def wake() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            woken_s.append(stage.loop.time())

    async def freeze() -> None:
        task = stage.loop.create_task(wake(), context=client.context.copy())
        await asyncio.sleep(1.5)
        client.is_frozen = True
        await asyncio.sleep(10)
        client.is_frozen = False
        for act in client.deferred:
            act()
        await task

    stage.loop.run_until_complete(stage.loop.create_task(freeze(), context=Context()))

    assert [round(each, 1) for each in woken_s] == [1.0, 11.5, 12.5]
