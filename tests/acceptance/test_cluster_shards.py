"""Two q over two databases: whichever q or database is lost, what the others have is served."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.test_cluster import TAKEOVER_S, Pair, client_of, is_, until
from tests.acceptance.test_metrics_port import only, samples
from tests.postgres.nodes import Node


@pytest.fixture
def second() -> Iterator[Node]:
    """A PostgreSQL beside the one that tests share."""
    with Node.new("second") as node:
        node.start()
        yield node


def test_database_that_is_added_and_lost(tmp_path: Path, second: Node, database: str) -> None:
    """Its queues outlive a leader; while it is gone, they are away, and they alone."""
    with second.database() as name:
        pair = Pair(tmp_path, database)
        try:
            _story(pair, second, f"two={second.dsn(name)}")
        finally:
            pair.close()


def test_many_that_start_at_once_on_new_databases(tmp_path: Path, primary: Node) -> None:
    """One makes all that is needed, in each; none finds half of it, and one leads."""
    with primary.database() as one, primary.database() as two:
        databases = (primary.dsn(one), f"two={primary.dsn(two)}")
        pairs = [Pair(tmp_path / name, *databases) for name in ("a", "b")]
        servers = [each for pair in pairs for each in pair.servers]
        try:
            with ThreadPoolExecutor(len(servers)) as pool:
                list(pool.map(pairs[0].start_one, servers))
            until(lambda: [is_(each, "leader") for each in servers].count(True) == 1)
            until(lambda: all(is_(each, "led") for each in servers))
            assert "critical" not in "".join(each.log for each in servers)
        finally:
            for pair in pairs:
                pair.close()


def _story(pair: Pair, second: Node, further: str) -> None:
    one, other = pair.servers
    pair.start_one(one)
    assert pair.leader() is one
    with client_of(one) as client:
        client.new_queue(name="old").add("old")

    # A rolling restart with one database more.
    pair.databases = (*pair.databases, further)
    pair.start_one(other)
    one.stop()
    pair.start_one(one)
    assert pair.leader() is other
    with client_of(one) as client:
        new = client.new_queue(name="new", tags={"shard": "two"})
        assert new.info().id[14] == "8"
        for number in range(20):
            new.add(f"{number}")

        other.kill()
        start = time.monotonic()
        new.add("20")
        assert time.monotonic() - start < TAKEOVER_S

        second.kill()
        _until_away(one)
        client.queue("old").add("served")
        answer = rest(one.address, "GET", "/v1/queues/new/pop")
        assert (answer.status, answer.json["details"][0]["reason"]) == (503, "DATABASE_AWAY")

    # A q that takes over without it serves the rest, and says of no name that nobody has it.
    pair.start_one(other)
    pair.roles()
    one.kill()
    assert pair.leader() is other
    with client_of(other) as client:
        assert [each.payload for each in client.queue("old").pop_batch(10)] == [b"old", b"served"]
        for path in ("new", "nobody"):
            found = rest(other.address, "GET", f"/v1/queues/{path}")
            assert (found.status, found.json["details"][0]["reason"]) == (503, "DATABASE_AWAY")
        second.start()
        got = client.queue("new").pop_batch(100)
        assert [each.payload.decode() for each in got] == [f"{number}" for number in range(21)]


def _until_away(q: RunningQ) -> None:
    there = ("q_cluster_shard_is_there", only(shard="two"))
    deadline = time.monotonic() + TAKEOVER_S
    while samples(q)[there] == 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
