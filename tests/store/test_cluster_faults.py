"""What a CLUSTER store does when its database, or its leadership, is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qmq.descriptions import MessageOptions, QueueSettings, QueueStats
from qmq.engine.broker import Broker
from qmq.errors import Busy, DatabaseAway, NotLeading, Unavailable
from qmq.ids import RandomIds
from qmq.store.postgres import journal, loading
from qmq.store.postgres.migrating import MIGRATIONS, migrate
from qmq.store.postgres.store import PostgresStore
from qmq.store.sql import Migration
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S, Durability, NackKind, Store
from tests.leased import leased_messages
from tests.store.clusters import Clusters
from tests.store.conformance import make_queue
from tests.store.proxy import Lose, Proxy

HOUR = 3600 * NS_PER_S

pytestmark = pytest.mark.usefixtures("postgres")


@pytest.fixture
async def proxy(clusters: Clusters) -> AsyncIterator[Proxy]:
    """Return what the stores of `clusters` connect through."""
    async with Proxy(clusters.dsn) as proxy:
        direct, clusters.dsn = clusters.dsn, proxy.dsn
        yield proxy
        clusters.dsn = direct
        await clusters.close()


def broker_of(store: PostgresStore) -> Broker:
    """Return a broker that has the store alone, with all that it has found."""
    clock = ManualClock()
    return Broker(
        {Store.CLUSTER: store},
        clock=clock,
        timer=clock,
        new_id=RandomIds(),
        held=store,
    )


async def envelopes(clusters: Clusters) -> list[bytes]:
    """Return what the database holds, in order."""
    return [row[0] for row in await clusters.fetch("select envelope from q.message order by seq")]


@pytest.mark.parametrize("lose", [Lose.REQUEST, Lose.ANSWER])
async def test_commit_whose_connection_is_lost_is_made_once(
    clusters: Clusters, proxy: Proxy, lose: Lose
) -> None:
    """Whether the database heard of it or not; and nobody is told anything but that it is kept."""
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)

    for n in range(3):
        proxy.lose = lose
        await store.add(queue, b"%d" % n, START_NS)

    assert proxy.lost == 3
    assert await envelopes(clusters) == [b"0", b"1", b"2"]
    assert store.figures().reconnects == 3
    assert store.figures().away_s == 0


@pytest.mark.parametrize("lose", [Lose.REQUEST, Lose.ANSWER])
async def test_message_is_popped_once_though_the_connection_is_lost(
    clusters: Clusters, proxy: Proxy, lose: Lose
) -> None:
    """What is read before a commit is still at hand when the commit is found to have been made."""
    store = await clusters.open(cache_bytes_max=0)
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add_batch(queue, [b"0", b"1", b"2"], START_NS)
    popped = []

    for _ in range(3):
        # The first exchange reads; the second one is the commit.
        pending = asyncio.ensure_future(store.pop(queue))
        while not (proxy.lost or pending.done()):
            await asyncio.sleep(0)
            proxy.lose = lose
        popped.append(await pending)
        proxy.lose, proxy.lost = Lose.NOTHING, 0

    assert popped == [b"0", b"1", b"2"]
    assert await envelopes(clusters) == []


async def test_leader_who_was_succeeded_changes_nothing(clusters: Clusters) -> None:
    """Who waits is told, what comes later is refused, and the end is said once."""
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add(queue, b"before", START_NS)
    successor = await clusters.open()

    with pytest.raises(NotLeading, match="another q leads"):
        await asyncio.gather(store.add(queue, b"late", START_NS), store.pop(queue))
    with pytest.raises(NotLeading):
        store.check()
    with pytest.raises(NotLeading):
        await store.settle()

    assert [type(end) for end in clusters.ends] == [NotLeading]
    [found] = successor.queues
    assert await successor.pop(found) == b"before"
    assert await envelopes(clusters) == []
    clusters.ends.clear()


async def test_what_is_told_without_a_commit_waits_until_the_leadership_is_certain(
    clusters: Clusters,
) -> None:
    """A Peek from memory, and a Peek that has to read, may be of the past otherwise."""
    for cache_bytes_max in (1024, 0):
        term = await clusters.lead()
        store = await clusters.open(term=term, cache_bytes_max=cache_bytes_max)
        queue = make_queue(cache_bytes_max + 1)
        await store.new_queue(queue)
        await store.add(queue, b"x", START_NS)

        assert await store.peek(queue) == b"x"
        assert term.asked == 0
        term.is_certain = False
        assert await store.peek(queue) == b"x"
        assert term.asked == 1
        term.is_certain, term.doubt = False, NotLeading("another one does")
        with pytest.raises(NotLeading):
            await store.peek(queue)


async def test_nothing_is_changed_while_there_are_too_few_standbys(clusters: Clusters) -> None:
    """What is there can be looked at."""
    term = await clusters.lead()
    store = await clusters.open(term=term)
    term.refusal = DatabaseAway("too few standbys")

    with pytest.raises(DatabaseAway, match="too few standbys"):
        store.check()
    store.check(only_reads=True)
    term.refusal = None
    store.check()


async def test_database_that_was_put_back_is_not_written_to(clusters: Clusters) -> None:
    """Memory is ahead of it then; the next leader reads what is there."""
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add(queue, b"lost by a standby", START_NS)
    await clusters.execute("delete from q.message; ")
    await clusters.execute("update q.journal set batch = batch - 1")

    with pytest.raises(NotLeading):
        await store.add(queue, b"x", START_NS)

    assert await envelopes(clusters) == []
    assert len(clusters.ends) == 1


async def test_database_that_lost_commits_is_noticed_on_a_new_connection(
    clusters: Clusters,
) -> None:
    """Also by who only reads."""
    store = await clusters.open(cache_bytes_max=0)
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add(queue, b"x", START_NS)
    await clusters.execute("update q.journal set batch = batch - 1")
    clusters.connections[-1].terminate()

    with pytest.raises(NotLeading, match="put back, or a standby was promoted"):
        await store.peek(queue)


async def test_callers_are_told_when_the_database_is_away_for_long(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait hear so in the end, new ones at once; what was decided is kept then."""
    monkeypatch.setattr(journal, "PATIENCE_S", 0.2)
    monkeypatch.setattr(journal, "_COMMIT_TIMEOUT_S", 0.1)
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    clusters.is_away = True
    clusters.connections[-1].terminate()

    with pytest.raises(DatabaseAway, match="says the test"):
        await store.add(queue, b"x", START_NS)
    with pytest.raises(DatabaseAway):
        store.check()
    assert store.figures().away_s > 0.2

    monkeypatch.undo()
    clusters.is_away = False
    await store.settle()
    store.check()
    assert await envelopes(clusters) == [b"x"]
    assert not clusters.ends


async def test_batch_gets_the_time_that_it_takes_on_a_slow_way(
    clusters: Clusters, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try gets longer, or a large batch would be given up for ever."""
    monkeypatch.setattr(journal, "_COMMIT_TIMEOUT_S", 0.1)
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    proxy.rate = 8 * 1024 * 1024

    await asyncio.wait_for(store.add_batch(queue, [b"x" * 500_000] * 6, START_NS), 20)

    assert len(await envelopes(clusters)) == 6
    assert store.figures().reconnects > 0
    assert not clusters.ends


async def test_too_much_that_waits_for_the_database_is_refused(clusters: Clusters) -> None:
    """With the limit, and what is there."""
    store = await clusters.open(pending_bytes_max=10)
    queue = make_queue(1)
    await store.new_queue(queue)

    pending = store.add(queue, b"x" * 11, START_NS)
    with pytest.raises(Busy, match="11 bytes wait for the database") as refusal:
        store.check()
    store.check(only_reads=True)
    await pending
    store.check()

    assert refusal.value.metadata["limit"] == "journal_pending_bytes_max"


async def test_refused_commit_ends_the_leadership(clusters: Clusters) -> None:
    """What the database will not have cannot be tried again; memory is ahead of it."""
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    await clusters.execute("alter table q.message add check (octet_length(envelope) < 5)")

    with pytest.raises(NotLeading, match="refused a commit"):
        await store.add(queue, b"too long", START_NS)

    assert len(clusters.ends) == 1
    assert await envelopes(clusters) == []


async def test_leader_goes_on_while_somebody_migrates(clusters: Clusters) -> None:
    """It is of the old version, and a step that locks its tables is over in a moment."""
    store = await clusters.open(cache_bytes_max=0)
    queue = make_queue(1)
    await store.new_queue(queue)
    later = tuple(
        Migration(len(MIGRATIONS) + number, f"alter table q.message add column later_{number} text")
        for number in (1, 2)
    )

    migrating = asyncio.create_task(
        migrate(clusters.connect, migrations=(*MIGRATIONS, *later)), name="q migrate"
    )
    count = 0
    while not migrating.done() or count < 20:
        await store.add(queue, b"%d" % count, START_NS)
        assert await store.pop(queue) == b"%d" % count
        count += 1

    assert await migrating == list(later)
    assert not clusters.ends


async def test_next_leader_finds_all_there_is(clusters: Clusters) -> None:
    """Messages, leases, delays, groups that are held, dedup_ids, and nothing that was purged."""
    first = broker_of(await clusters.open())
    await first.new_queue(Store.CLUSTER, name="jobs", limit=100)
    await first.new_queue(Store.CLUSTER, name="purged")
    for n in range(10):
        await first.add("jobs", b"%d" % n)
        await first.add("purged", b"%d" % n)
    leased = leased_messages(await first.leasing.lease("jobs", 3, wait_s=0, is_gone=None))
    await first.leasing.ack("jobs", [leased[0].lease_id])
    await first.leasing.nack("jobs", [leased[1].lease_id], NackKind.RELEASE)
    grouped = MessageOptions(delay_ns=NS_PER_S, group_id="g", dedup_id="once")
    await first.add_with("jobs", b"later", b"", grouped)
    await first.grouping.pause_group("jobs", "g")
    await first.purge("purged")
    before = await first.stats("", 0, "")

    second = broker_of(await clusters.open())

    after = await second.stats("", 0, "")
    assert [_lasting(each) for each in after[0]] == [_lasting(each) for each in before[0]]
    assert [(each.ready, each.leased, each.delayed) for each in after[0]] == [(8, 1, 1), (0, 0, 0)]
    assert (await second.add_with("jobs", b"again", b"", grouped))[1]
    assert await second.leasing.ack("jobs", [leased[2].lease_id]) == [None]
    assert (await second.stats("jobs", 0, ""))[0][0].leased == 0


def _lasting(stats: QueueStats) -> tuple[object, ...]:
    """Return what a queue's figures say that does not begin anew with each leader."""
    return (
        stats.info,
        stats.ready,
        stats.leased,
        stats.delayed,
        stats.bytes,
        stats.groups_paused,
        stats.dedup_ids,
    )


async def test_next_leader_reads_long_tables_in_steps(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the rows at the ends of two steps is left out, or read twice."""
    monkeypatch.setattr(loading, "_STEP_ROWS", 3)
    first = broker_of(await clusters.open())
    await first.new_queue(Store.CLUSTER, name="jobs", settings=QueueSettings(dedup_window_ns=HOUR))
    for n in range(10):
        await first.add_with("jobs", b"%d" % n, b"", MessageOptions(dedup_id=f"{n}"))
    for _ in range(7):
        await first.leasing.lease("jobs", 1, wait_s=0, is_gone=None)
    leased = leased_messages(await first.leasing.lease("jobs", 3, wait_s=0, is_gone=None))
    for each in leased:
        await first.leasing.nack("jobs", [each.lease_id], NackKind.RELEASE)

    second = broker_of(await clusters.open())

    [stats], _ = await second.stats("jobs", 0, "")
    assert (stats.ready, stats.leased, stats.dedup_ids) == (3, 7, 10)


async def test_rows_of_what_was_purged_go_by_and_by(clusters: Clusters) -> None:
    """Also those of queues that are gone, by the next leader, with all that was known of them."""
    store = await clusters.open()
    kept, purged, deleted = (make_queue(number) for number in (1, 2, 3))
    for queue in (kept, purged, deleted):
        await store.new_queue(queue)
        await store.add_batch(queue, [b"x"] * 3, START_NS)
    await store.purge(purged)
    await store.delete_queue(deleted)
    await store.close()

    again = await clusters.open()
    while again.figures().rows_left:
        await again.settle()
        await asyncio.sleep(0.01)
    await again.settle()

    assert [queue.number for queue in again.queues] == [1, 2]
    assert await clusters.fetch("select queue, count(*) from q.message group by queue") == [(1, 3)]


async def test_change_that_was_to_be_kept_in_memory_is_kept_all_the_same(
    clusters: Clusters,
) -> None:
    """Who asks for less only waits for less."""
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)

    await store.add(queue, b"x", START_NS, Durability.MEMORY)
    await store.close()

    assert await envelopes(clusters) == [b"x"]


async def test_store_that_is_closed_while_the_database_is_away_ends(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits is told that it is away, and nothing hangs."""
    monkeypatch.setattr(journal, "PATIENCE_S", 0.2)
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    clusters.is_away = True
    clusters.connections[-1].terminate()
    pending = asyncio.ensure_future(store.add(queue, b"x", START_NS))
    await asyncio.sleep(0)

    await asyncio.wait_for(store.close(), 5)

    with pytest.raises(Unavailable):
        await pending
