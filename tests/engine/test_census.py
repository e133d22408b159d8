"""What all queues hold together."""

from qmq.condition import Contents
from qmq.engine.census import Census
from qmq.testing import ManualClock
from qmq.values import NS_PER_S
from tests.engine.servers import Server


async def test_queues_are_counted_by_where_they_live(server: Server) -> None:
    """Whatever has come or gone since the last time."""
    broker = server.broker
    census = Census(broker.catalog, ManualClock().now_ns)

    assert await census.count() == {(server.kind, 0): Contents(queues=2)}
    await broker.add("jobs", b"payload")
    size = broker.catalog.find("jobs").bytes
    assert await census.count() == {(server.kind, 0): Contents(2, 1, size)}
    await broker.pop("jobs")
    assert await census.count() == {(server.kind, 0): Contents(queues=2)}


async def test_a_count_that_took_long_counts_for_long(server: Server) -> None:
    """Fifty times as long, so that very many queues are not gone through again and again."""
    # It begins, and has gone through all a second later.
    moments_s = iter([0, 1, 50, 52, 52, 52])
    census = Census(server.broker.catalog, lambda: next(moments_s) * NS_PER_S)
    before = await census.count()
    await server.broker.new_queue(server.kind)

    assert await census.count() == before
    assert sum(each.queues for each in (await census.count()).values()) == 3
