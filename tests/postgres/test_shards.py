"""Queues are divided among the databases of a cluster; what spans two is refused, and said so."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import asyncpg
import pytest
from click.testing import CliRunner

from qmq.bin.q_program import program
from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import (
    ConfigError,
    DatabaseAway,
    InvalidArgument,
    NameTaken,
    NotLeading,
    QueueNotFound,
    StoresDiffer,
    Unavailable,
)
from qmq.ids import on_shard, shard_of
from qmq.model.redrive import RedriveRequest
from qmq.store.postgres.migrating import make_ready
from qmq.store.postgres.shards import check_first, check_further
from qmq.values import Store, Tag
from tests.postgres.installation import query
from tests.postgres.nodes import Node
from tests.postgres.sharded import Leader, Line, Lines, sharded

#: Seconds in which what is away is to be found out, or what is back.
PATIENCE_S = 20.0

ON_TWO = [Tag("shard", "two")]
ON_FIRST = [Tag("shard", "first")]


@pytest.fixture
def lines(primary: Node) -> Iterator[Lines]:
    """Two empty databases."""
    with ExitStack() as stack:
        names = [stack.enter_context(primary.database()) for _ in range(2)]
        dsns = dict(zip(("first", "two"), map(primary.dsn, names), strict=True))
        yield Lines(dsns)


async def make(broker: Broker, name: str = "", *tags: Tag) -> str:
    """Make a queue, and return its id."""
    return (await broker.new_queue(Store.CLUSTER, name=name, tags=tags)).id


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # What changes it tells nobody.
            await asyncio.sleep(0.05)


async def comes_true(leader: Leader, name: str, *, is_there: bool) -> None:
    """Wait until it is known whether a database answers."""
    await until(lambda: leader.there.get(name) is is_there)


async def checked(dsn: str, *names: str, further: str = "") -> None:
    """Check a database as a q does that starts."""
    connection = await asyncpg.connect(dsn)
    try:
        await make_ready(connection)
        await (check_further(connection, further) if further else check_first(connection, names))
    finally:
        await connection.close()


@pytest.mark.parametrize("shard", [1, 255, 4095])
def test_id_tells_the_shard(shard: int) -> None:
    """It is a UUID of version 8 then; those of version 4 are the first shard's, as ever."""
    id_ = "01234567-89ab-4cde-8f01-23456789abcd"

    moved = on_shard(id_, shard)

    assert (shard_of(id_), on_shard(id_, 0), shard_of(moved)) == (0, id_, shard)
    assert (moved[:14], moved[14], moved[18:]) == (id_[:14], "8", id_[18:])


async def test_new_queue_goes_where_the_messages_take_the_fewest_bytes(lines: Lines) -> None:
    """Of those that hold as much, where there are fewer queues."""
    async with sharded(lines) as leader:
        ids = [await make(leader.broker) for _ in range(4)]
        await leader.broker.add(ids[0], b"x" * 1000)
        await asyncio.sleep(1.1)
        heavy_first = [await make(leader.broker) for _ in range(2)]

    assert [shard_of(each) for each in (*ids, *heavy_first)] == [0, 1, 0, 1, 1, 1]


async def test_tag_says_where_a_queue_lives(lines: Lines) -> None:
    """Else its dead-letter queue does; a name that no shard has is refused."""
    async with sharded(lines) as leader:
        dead = await make(leader.broker, "dead", *ON_TWO)
        settings = QueueSettings(dead_letter_queue_id="dead", delivery_count_max=3)
        live = await leader.broker.new_queue(Store.CLUSTER, settings=settings)
        with pytest.raises(InvalidArgument, match=r"databases a queue is to live: first, two; got"):
            await make(leader.broker, "", Tag("shard", "three"))
        with pytest.raises(InvalidArgument, match=r"lives on another shard .* same tag shard"):
            await leader.broker.new_queue(Store.CLUSTER, settings=settings, tags=ON_FIRST)

    assert [shard_of(dead), live.shard] == [1, 1]


async def test_successor_finds_the_queues_of_all(lines: Lines) -> None:
    """With their messages, in order of creation, and with names that are unique."""
    async with sharded(lines) as leader:
        ids = [await make(leader.broker, f"queue-{n}") for n in range(5)]
        await asyncio.gather(*(leader.broker.add(each, each.encode()) for each in ids))

    async with sharded(lines) as leader:
        found, _ = await leader.broker.list_queues(0, "")
        page, token = await leader.broker.list_queues(3, "")
        rest, _ = await leader.broker.list_queues(3, token)
        popped = [await leader.broker.pop(each) for each in ids]
        with pytest.raises(NameTaken):
            await make(leader.broker, "queue-1", *ON_FIRST)

    assert [each.id for each in found] == [each.id for each in (*page, *rest)] == ids
    assert all(each.encode() in message for each, message in zip(ids, popped, strict=True))


async def test_what_spans_two_shards_is_refused(lines: Lines) -> None:
    """As across stores: no step is atomic there. Each refusal says what to do."""
    async with sharded(lines) as leader:
        broker = leader.broker
        here, there = await make(broker, "", *ON_FIRST), await make(broker, "", *ON_TWO)
        with pytest.raises(StoresDiffer, match=r"same shard .* same tag shard"):
            await broker.leasing.complete([], [(here, [(b"", b"")]), (there, [(b"", b"")])])
        with pytest.raises(StoresDiffer, match=r"different shards .* by the tag shard"):
            await broker.redriving.start(RedriveRequest(queue_id=here, target_queue_id=there))


async def test_selector_spans_all_shards(lines: Lines) -> None:
    """One call takes from one of them, and the next one from the other."""
    async with sharded(lines) as leader:
        broker = leader.broker
        for tag in (*ON_FIRST, *ON_TWO):
            await broker.add(await make(broker, "", tag, Tag("kind", "a")), tag.value.encode())
        taken = [await broker.selecting.pop_batch("kind=a", 10, 5.0, None) for _ in range(2)]

    assert sorted(shard_of(each.queue_ids[0]) for each in taken) == [0, 1]


async def test_shard_that_is_away_holds_up_no_other(lines: Lines) -> None:
    """Its queues answer UNAVAILABLE, and what was under way is done when it is back."""
    async with sharded(lines) as leader:
        broker = leader.broker
        here = await make(broker, "here", Tag("kind", "a"), *ON_FIRST)
        there = await make(broker, "there", Tag("kind", "a"), *ON_TWO)
        await broker.add(there, b"there")
        lines.of["two"].cut()
        under_way = asyncio.ensure_future(broker.add(there, b"more"))
        await broker.add(here, b"here")
        await comes_true(leader, "two", is_there=False)
        await until(lambda: not leader.shards.shards.is_there(leader.shards.shards.stores[1]))
        with pytest.raises(DatabaseAway):
            await broker.peek(there)
        taken = await broker.selecting.pop_batch("kind=a", 10, 0.0, None)
        empty = await broker.selecting.pop_batch("kind=a", 10, 0.0, None)
        placed = [shard_of(await make(broker)) for _ in range(2)]
        with pytest.raises(DatabaseAway):
            await broker.list_queues(0, "")
        with pytest.raises(QueueNotFound):
            await broker.get_queue("00000000-0000-4000-8000-000000000000")
        lines.of["two"].mend()
        await comes_true(leader, "two", is_there=True)
        await asyncio.wait([under_way])
        back = await broker.selecting.pop_batch("kind=a", 10, 5.0, None)

    assert (taken.queue_ids, empty.queue_ids, placed) == ([here], [], [0, 0])
    assert back.queue_ids == [there, there]


async def test_shard_that_is_away_at_a_takeover_is_read_when_it_is_back(lines: Lines) -> None:
    """Until then nobody is told that a queue is not there, and none is made twice."""
    async with sharded(lines) as leader:
        here = await make(leader.broker, "here", *ON_FIRST)
        there = await make(leader.broker, "there", *ON_TWO)
        await leader.broker.add(there, b"kept")

    lines.of["two"].cut()
    async with sharded(lines) as leader:
        broker = leader.broker
        await broker.add(here, b"served")
        for call in (
            broker.get_queue(there),
            broker.get_queue("there"),
            broker.get_queue("nobody"),
            broker.new_queue(Store.CLUSTER, name="there"),
            broker.new_queue(Store.CLUSTER),
            broker.list_queues(0, ""),
            broker.stats("", 0, ""),
            broker.redriving.get("00000000-0000-4000-8000-000000000000"),
            broker.update_queue(
                here, lambda _: QueueSettings(dead_letter_queue_id="there", delivery_count_max=1)
            ),
        ):
            with pytest.raises(DatabaseAway, match=r"shard two .* tries again by itself"):
                await call
        with pytest.raises(QueueNotFound):
            await broker.get_queue("00000000-0000-4000-8000-000000000000")
        lines.of["two"].mend()
        await comes_true(leader, "two", is_there=True)
        popped = await broker.pop("there")
        again = await make(broker, "again", *ON_TWO)
        listed, _ = await broker.list_queues(0, "")

    assert b"kept" in popped
    assert [each.id for each in listed] == [here, there, again]


async def test_shard_that_hangs_at_a_takeover_holds_up_nobody_else(lines: Lines) -> None:
    """It lets this q in, and says nothing more."""
    async with sharded(lines) as leader:
        await make(leader.broker, "here", *ON_FIRST)
        there = await make(leader.broker, "there", *ON_TWO)

    lines.of["two"].hangs = True
    async with asyncio.timeout(PATIENCE_S), sharded(lines) as leader:
        await leader.broker.add("here", b"x")
        with pytest.raises(DatabaseAway, match="has not answered within 2 seconds"):
            await leader.broker.add(there, b"x")
        lines.of["two"].hangs = False
        await comes_true(leader, "two", is_there=True)
        await leader.broker.add(there, b"x")


async def test_former_leader_changes_nothing_on_any_shard(lines: Lines) -> None:
    """Each database takes the commits of the latest leader only."""
    ends: list[Unavailable] = []
    async with sharded(lines, ends) as before:
        there = await make(before.broker, "there", *ON_TWO)
        await before.term.release()
        async with sharded(lines) as leader:
            with pytest.raises(NotLeading):
                await before.broker.add(there, b"too late")
            stats, _ = await leader.broker.stats("there", 0, "")

    assert [type(each) for each in ends] == [NotLeading]
    assert stats[0].ready == 0


async def test_first_database_that_is_away_leaves_the_others_certain(lines: Lines) -> None:
    """A commit of nothing in their own tells that nobody has succeeded."""
    async with sharded(lines) as leader:
        there = await make(leader.broker, "there", *ON_TWO)
        await leader.broker.add(there, b"one")
        lines.of["first"].cut()
        await until(lambda: not leader.term.is_certain)
        peeked = await leader.broker.peek(there)
        query(lines.of["two"].dsn, "update q.journal set epoch = epoch + 1")
        with pytest.raises(NotLeading):
            await leader.broker.peek(there)
        lines.of["first"].mend()

    assert b"one" in peeked


async def test_databases_that_were_exchanged_are_refused(lines: Lines) -> None:
    """Each knows its own name, in whichever order they are given, and which cluster it is of."""
    first, two = (line.dsn for line in lines.of.values())
    async with sharded(lines):
        pass

    await checked(first, "first", "two")
    await checked(two, further="two")
    with pytest.raises(ConfigError, match="without a name is shard two"):
        await checked(two, "first", "two")
    with pytest.raises(ConfigError, match="that --postgres calls two is shard first"):
        await checked(first, further="two")
    with pytest.raises(ConfigError, match="calls three is shard two"):
        await checked(two, further="three")
    with pytest.raises(ConfigError, match="has a database two that this q was not given"):
        await checked(first, "first")


async def test_database_of_another_cluster_is_not_served(lines: Lines, database: str) -> None:
    """Whatever its name is, nor one that was a cluster of its own; the first one's queues are."""
    async with sharded(lines) as leader:
        here = await make(leader.broker, "", *ON_FIRST)
    async with sharded(Lines({"first": database})):
        pass

    strange = Lines({"first": database, "two": lines.of["two"].dsn})
    async with sharded(strange) as leader:
        with pytest.raises(DatabaseAway, match="two is of another cluster"):
            await make(leader.broker)
    lines.of["three"] = Line(database)
    async with sharded(lines) as leader:
        await leader.broker.add(here, b"served")
        with pytest.raises(InvalidArgument, match="to live: first, two; got 'three'"):
            await make(leader.broker, "", Tag("shard", "three"))


async def test_new_database_that_does_not_answer_keeps_nobody_waiting(lines: Lines) -> None:
    """It is of the cluster from the first takeover on at which it does."""
    lines.of["two"].cut()
    async with sharded(lines) as leader:
        names = leader.shards.shards.names
        await make(leader.broker)
    lines.of["two"].mend()
    async with sharded(lines) as leader:
        placed = await make(leader.broker, "", *ON_TWO)

    assert names == {0: "first"}
    assert shard_of(placed) == 1


async def test_shard_is_removed_when_it_is_empty(lines: Lines) -> None:
    """While q run; then they may start without it, and it is taken for none any more."""
    first, two = (line.dsn for line in lines.of.values())
    both = ["migrate", "--postgres", first, "--postgres", f"two={two}"]

    async with sharded(lines) as leader:
        there = await make(leader.broker, "", *ON_TWO)
        full = await asyncio.to_thread(CliRunner().invoke, program, [*both, "--remove-shard=two"])
        await leader.broker.delete_queue(there)
        removed = await asyncio.to_thread(
            CliRunner().invoke, program, [*both, "--remove-shard=two"]
        )
        with pytest.raises(NotLeading):
            await make(leader.broker, "", *ON_TWO)
    await checked(first, "first")
    async with sharded(lines) as leader:
        after = await make(leader.broker)

    assert (full.exit_code, removed.exit_code) == (1, 0), (full.output, removed.output)
    assert "shard two has queues" in full.output
    assert "two: removed" in removed.output
    assert shard_of(after) == 0


def test_first_database_is_not_removed() -> None:
    """It decides who leads."""
    result = CliRunner().invoke(
        program, ["migrate", "--postgres=postgresql://a/q", "--remove-shard=first"]
    )

    assert result.exit_code == 2
    assert "the first database stays" in result.output
