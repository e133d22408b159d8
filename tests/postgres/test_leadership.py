"""One q at a time leads; who is silent is succeeded, and no two are certain at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import asyncpg
import pytest

from qmq.clock import SystemClock, passed_ns
from qmq.engine.waiting import SteadyTimer
from qmq.errors import DatabaseAway, NotLeading
from qmq.store.postgres.connecting import Connector
from qmq.store.postgres.dsn import Dsn
from qmq.store.postgres.leadership import LeaderTerm, Pace, Setting, Sight, Watch, campaign
from qmq.store.postgres.migrating import make_ready
from qmq.testing import ManualClock
from qmq.values import NS_PER_S, Durability
from tests.postgres.installation import query
from tests.postgres.nodes import Node, Trio

#: Ten times as fast as q is, for tests in which time passes.
FAST = Pace(ttl_s=0.5, renew_s=0.1, margin_s=0.05, poll_s=0.1, vacuum_s=0.1)


def setting(  # noqa: PLR0913  # what differs from test to test, by name
    dsn: str,
    address: str = "q1:10002",
    *,
    pace: Pace = FAST,
    passed: Callable[[], int] = passed_ns,
    replicas_min: int = 0,
    notices: list[str] | None = None,
) -> Setting:
    """Describe a q of a cluster."""
    return Setting(
        connect=Connector(Dsn.parse(dsn), takes_unsynced=True),
        address=address,
        clock=SystemClock(),
        passed_ns=passed,
        random=Random(7),
        make_ready=make_ready,
        replicas_min=replicas_min,
        on_notice=(notices if notices is not None else []).append,
        pace=pace,
    )


@asynccontextmanager
async def watching(of: Setting) -> AsyncIterator[Watch]:
    """Look who leads, until the end of the block."""
    watch = Watch(of)
    try:
        yield watch
    finally:
        await watch.close()


async def vacant(watch: Watch) -> Sight:
    """Wait until another q may take over."""
    async with asyncio.timeout(20):
        while not (sight := await watch.next()).is_vacant:
            pass
    return sight


@asynccontextmanager
async def leading(of: Setting, sight: Sight | None = None) -> AsyncIterator[LeaderTerm]:
    """Win the leadership when it is vacant, and release it at the end; it is not started."""
    if sight is None:
        async with watching(of) as watch:
            sight = await vacant(watch)
    term = await campaign(of, sight)
    try:
        yield term
    finally:
        await term.release()


def certain(term: LeaderTerm) -> bool:
    """Tell whether a leader is certain now, which may be another answer than before."""
    return term.is_certain


async def still_certain(term: LeaderTerm) -> None:
    """Return as soon as it is certain no more, as who asks for it in vain."""
    while True:
        await term.make_certain()
        await asyncio.sleep(0.02)


def refused(term: LeaderTerm) -> str:
    """Tell why a leader may change nothing now; empty if it may."""
    return term.refusal.message if term.refusal else ""


async def commit(dsn: str, epoch: int) -> bool:
    """Commit as the leader of an epoch does, and tell whether anything was changed."""
    connection = await asyncpg.connect(dsn)
    try:
        done = await connection.execute(
            "update q.journal set batch = batch + 1 where epoch = $1", epoch
        )
    finally:
        await connection.close()
    return bool(done == "UPDATE 1")


async def test_first_q_leads_an_empty_database(database: str) -> None:
    """Its commits count from then on, and the others see where it is reached."""
    async with leading(setting(database)) as term, watching(setting(database, "q2:1")) as watch:
        sight = await watch.next()

        assert (sight.epoch, sight.address, sight.is_vacant) == (term.epoch, "q1:10002", False)
        assert certain(term)
        assert term.durability_max is Durability.FSYNC
        assert term.refusal is None
        assert await commit(database, term.epoch)
        assert not await commit(database, term.epoch - 1)


async def test_clock_that_is_put_forward_takes_nothing_from_the_leader(database: str) -> None:
    """By the server's, it was due long ago; by those that nobody sets, it was just renewed."""
    async with leading(setting(database)) as term, watching(setting(database, "q2:1")) as watch:
        query(database, "update q.leader set expires_at = expires_at - interval '1 day'")

        assert not (await watch.next()).is_vacant
        assert certain(term)


async def test_leader_that_cannot_even_try_to_renew_has_ended(database: str) -> None:
    """Whatever the reason: who waits to be certain is told, rather than let wait for ever."""
    of = setting(database)
    faults: list[Exception] = []

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        if faults:
            raise faults[0]
        return await of.connect()

    async with leading(of._replace(connect=connect)) as term:
        faults.append(RuntimeError("not foreseen"))
        query(
            database,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()",
        )
        term.start()

        with pytest.raises(NotLeading, match="RuntimeError: not foreseen"):
            await asyncio.wait_for(still_certain(term), 20)
        faults.clear()


async def test_who_shares_its_address_with_the_leader_is_told_so(database: str) -> None:
    """It would send calls on to itself for ever."""
    notices: list[str] = []
    alike = setting(database, notices=notices)
    async with leading(setting(database)) as term, watching(alike) as watch:
        await watch.next()
        assert not notices
        looking = asyncio.ensure_future(watch.next())
        async with asyncio.timeout(20):
            while not notices:
                await term.renew()
                await asyncio.sleep(0.02)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    [notice] = notices
    assert "another q leads the cluster" in notice
    assert "give each q an --advertise of its own" in notice


async def test_one_of_many_wins(database: str) -> None:
    """All of them saw that nobody leads; whoever comes second is refused."""
    settings = [setting(database, f"q{number}:1") for number in range(5)]
    async with watching(settings[0]) as watch:
        sight = await vacant(watch)

    results = await asyncio.gather(
        *(campaign(each, sight) for each in settings), return_exceptions=True
    )

    [won] = [each for each in results if isinstance(each, LeaderTerm)]
    assert sum(isinstance(each, NotLeading) for each in results) == 4
    await won.release()


async def test_leader_that_renews_is_not_succeeded(database: str) -> None:
    """However long that is; and it stays certain."""
    async with leading(setting(database)) as term, watching(setting(database, "q2:1")) as watch:
        term.start()
        await watch.next()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.next(), 4 * FAST.ttl_s)

        assert certain(term)
        assert not term.ended.done()


async def test_leader_that_is_paused_is_not_certain_before_another_leads(database: str) -> None:
    """It knows by its clock alone; then its commits change nothing, and it learns why."""
    async with leading(setting(database)) as paused:
        second = setting(database, "q2:1")
        async with watching(second) as watch:
            sight = await vacant(watch)
            assert not certain(paused)
            assert await commit(database, paused.epoch)

            async with leading(second, sight) as term:
                assert term.epoch > paused.epoch
                assert not await commit(database, paused.epoch)
                assert await commit(database, term.epoch)
                await paused.renew()

                assert (await paused.ended).reason == "NOT_LEADING"
                assert not certain(paused)
                with pytest.raises(NotLeading, match="another q leads"):
                    await paused.make_certain()
                assert certain(term)


async def test_leader_that_is_late_goes_on_if_nobody_has_succeeded(database: str) -> None:
    """Whoever had seen it silent, and comes after its renewal, is refused."""
    async with leading(setting(database)) as late:
        second = setting(database, "q2:1")
        async with watching(second) as watch:
            sight = await vacant(watch)
        await late.renew()

        assert certain(late)
        with pytest.raises(NotLeading):
            await campaign(second, sight)


async def test_certainty_ends_before_another_may_succeed() -> None:
    """By so much that clocks of two machines may differ in their pace."""
    pace = Pace()

    assert pace.margin_s >= pace.ttl_s / 20
    assert 4 * pace.renew_s < pace.ttl_s - pace.margin_s


async def test_certainty_is_counted_from_before_the_renewal_was_sent(database: str) -> None:
    """So it does not matter how long that was on its way."""
    clock = ManualClock()
    pace = Pace()
    async with leading(setting(database, pace=pace, passed=clock.now_ns)) as term:
        clock.advance(pace.ttl_s - pace.margin_s - 0.001)
        assert certain(term)
        clock.advance(0.002)
        assert not certain(term)

        waiting = asyncio.create_task(term.make_certain())
        await asyncio.sleep(0)
        assert not waiting.done()
        await term.renew()

        await waiting
        assert certain(term)


async def test_release_is_noticed_at_once(database: str) -> None:
    """By a notification, long before the next look."""
    slow = Pace(ttl_s=60, poll_s=60)
    async with watching(setting(database, "q2:1", pace=slow)) as watch:
        async with leading(setting(database, pace=slow)):
            assert (await watch.next()).address == "q1:10002"
            started_s = time.monotonic()

        sight = await vacant(watch)

        assert time.monotonic() - started_s < 5
        assert sight.address == ""
        async with leading(setting(database, "q2:1", pace=slow), sight):
            assert (await watch.next()).address == "q2:1"


async def test_commit_under_way_is_waited_for(database: str) -> None:
    """The next leader reads what it has left; if it takes too long, somebody tries again."""
    async with leading(setting(database)) as first:
        await first.release()
        connection = await asyncpg.connect(database)
        under_way = connection.transaction()
        await under_way.start()
        await connection.execute("update q.journal set batch = 7 where epoch = $1", first.epoch)
        second = setting(database, "q2:1")
        async with watching(second) as watch:
            sight = await vacant(watch)
        winning = asyncio.create_task(campaign(second, sight))
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        await asyncio.to_thread(_until, lambda: query(database, waits) == ["1"])

        await under_way.commit()
        term = await winning

        assert query(database, "select epoch, batch from q.journal") == [f"{term.epoch}|7"]
        await connection.close()
        await term.release()


async def test_commit_that_does_not_end_is_not_waited_for_for_ever(database: str) -> None:
    """Then nothing has changed: the next try begins anew."""
    async with leading(setting(database)) as first:
        await first.release()
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute("update q.journal set batch = 7")
            second = setting(database, "q2:1")
            async with watching(second) as watch:
                sight = await vacant(watch)

            with pytest.raises(DatabaseAway, match="lock timeout"):
                await campaign(second, sight)
        await connection.close()

        async with leading(second, sight) as term:
            assert term.epoch > first.epoch


async def test_clock_of_messages_goes_on_from_one_leader_to_the_next(database: str) -> None:
    """Also where the first one's was ahead of the database's, as after that was set back."""
    async with leading(setting(database)) as first:
        ahead_ns = time.time_ns() + 3600 * NS_PER_S
        query(database, f"update q.leader set clock_ns = {ahead_ns}")
        await first.renew()
        assert query(database, "select clock_ns from q.leader") == [str(ahead_ns)]

    async with leading(setting(database, "q2:1")) as second:
        timer = SteadyTimer(second.clock_offset_ns)
        assert 0 <= timer.now_ns() - ahead_ns < 20 * NS_PER_S
        await second.renew()
        [kept] = query(database, "select clock_ns from q.leader")
        assert ahead_ns < int(kept) <= timer.now_ns() + NS_PER_S // 100


async def test_clock_of_messages_begins_with_the_databases(database: str) -> None:
    """On one machine, that is its own."""
    async with leading(setting(database)) as term:
        assert -NS_PER_S < term.clock_offset_ns <= 0


async def test_clock_of_messages_is_not_set_with_the_machines(database: str) -> None:
    """Nor is that so between winning and serving, while all messages are read."""
    machine, steady = ManualClock(), ManualClock()
    of = setting(database, passed=steady.now_ns)._replace(clock=machine)
    async with leading(of) as term:
        told_ns = term.clock_offset_ns + machine.now_ns()
        machine.advance(60)
        steady.advance(1)

        assert term.clock_offset_ns + machine.now_ns() == told_ns + NS_PER_S


async def test_epoch_is_never_used_twice(database: str) -> None:
    """Not even where the database was put back to before: the one that it forgot may still run."""
    async with leading(setting(database)) as forgotten:
        query(database, "update q.leader set epoch = 0, address = '', expires_at = '-infinity'")

        async with leading(setting(database, "q2:1")) as term:
            assert term.epoch > forgotten.epoch
            await forgotten.renew()
            assert forgotten.ended.done()


async def test_database_that_restarts_is_found_again() -> None:
    """Meanwhile nothing is certain, and it is told why; nobody takes over from who comes back."""
    notices: list[str] = []
    with Node.new() as node:
        await asyncio.to_thread(node.start)
        dsn = node.dsn()
        node.query("CREATE SCHEMA q AUTHORIZATION q")
        pace = FAST._replace(ttl_s=2, margin_s=0.2)
        of = setting(dsn, pace=pace, notices=notices)
        async with leading(of) as term, watching(setting(dsn, "q2:1", pace=pace)) as watch:
            term.start()
            assert (await watch.next()).away is None
            await asyncio.to_thread(node.stop)
            sight = await watch.next()
            assert isinstance(sight.away, DatabaseAway)
            assert sight.address == "q1:10002"
            await asyncio.to_thread(_until, lambda: not term.is_certain)
            with pytest.raises(DatabaseAway, match="cannot be reached"):
                await term.make_certain()

            await asyncio.to_thread(node.start)

            await term.make_certain()
            assert (await watch.next()).away is None
            assert not term.ended.done()
    assert [each.partition(":")[0] for each in notices] == ["the leadership cannot be renewed"]


async def test_q_follows_where_the_schema_is_newer_by_now(database: str) -> None:
    """It may not write what it does not know, and has no reason to end."""
    of = setting(database)
    async with watching(of) as watch:
        sight = await vacant(watch)
        query(database, "insert into q.migration (version) values (1000)")

        with pytest.raises(NotLeading, match=r"cannot lead any more: .* version 1000, of"):
            await campaign(of, sight)

        assert (await watch.next()).is_vacant


async def test_replicas_are_counted_where_some_are_asked_for(trio: Trio) -> None:
    """Too few of them refuse changes, and to lead; the durability follows what is configured."""
    trio.primary.query("CREATE SCHEMA q AUTHORIZATION q")
    of = setting(trio.dsn(), replicas_min=2, pace=FAST._replace(ttl_s=20, margin_s=1))
    async with watching(of) as watch:
        sight = await vacant(watch)
    with pytest.raises(DatabaseAway, match="grant it pg_read_all_stats"):
        await campaign(of, sight)
    trio.primary.query("GRANT pg_read_all_stats TO q")

    async with leading(of, sight) as term:
        assert term.durability_max is Durability.REPLICATED
        assert not refused(term)
        await asyncio.to_thread(trio.standbys[0].stop)
        await _until_renewed(term, lambda: bool(refused(term)))
        assert "has 1 synchronous standbys" in refused(term)
        assert certain(term)
        with pytest.raises(DatabaseAway, match="--require-replicas asks for 2"):
            await campaign(of, sight)
        trio.primary.query("ALTER SYSTEM SET synchronous_standby_names = ''")
        trio.primary.query("SELECT pg_reload_conf()")
        await _until_renewed(term, lambda: term.durability_max is Durability.FSYNC)
        async with watching(of) as watch:
            assert "--require-replicas asks for 2" in (await watch.next()).lacks_standbys


async def _until_renewed(term: LeaderTerm, holds: Callable[[], bool]) -> None:
    """Renew until something holds: how servers see each other takes a moment to change."""
    async with asyncio.timeout(10):
        while not holds():
            await term.renew()


def _until(holds: Callable[[], bool]) -> None:
    """Look until something holds."""
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s
