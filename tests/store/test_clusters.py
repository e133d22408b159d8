"""A database that tests share is emptied as if its schema had been made anew."""

import pytest

from qmq.testing import START_NS
from tests.store.clusters import SCHEMA, Clusters
from tests.store.conformance import make_queue

TABLES = "select tablename from pg_tables where schemaname = 'q' and tablename <> 'migration'"


async def content(clusters: Clusters) -> dict[str, list[tuple[object, ...]]]:
    """Return what the schema is like, and all that it holds but the times of its migrations."""
    found = {"schema": await clusters.fetch(SCHEMA)}
    for (table,) in await clusters.fetch(TABLES):
        found[table] = await clusters.fetch(f"table q.{table}")
    return found


@pytest.mark.parametrize(
    "change",
    [
        "insert into q.shard (number, name, cluster) values (1, 'other', 'c')",
        "alter table q.message add column later text",
        "alter table q.message add check (octet_length(envelope) < 5)",
        "create index later on q.message (envelope)",
    ],
)
async def test_emptied_database_is_as_it_was_made(clusters: Clusters, change: str) -> None:
    """Whatever it held, and whatever was done to the schema."""
    await clusters.execute("drop schema q cascade")
    await clusters.reset()
    made = await content(clusters)
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add_batch(queue, [b"x"] * 3, START_NS)
    await clusters.close()
    await clusters.execute(change)

    await clusters.reset()

    assert await content(clusters) == made
