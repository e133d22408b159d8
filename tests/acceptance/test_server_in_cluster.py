"""What GetServer tells of a cluster: two q over two databases, of which one has standbys."""

import time
from collections.abc import Callable
from pathlib import Path

import qmq
from tests.acceptance.rest import rest
from tests.acceptance.running import free_ports
from tests.acceptance.test_cluster import PATIENCE_S, Pair, client_of
from tests.postgres.installation import ROLE
from tests.postgres.nodes import Node, Trio


def test_a_cluster_as_it_is_and_as_it_breaks(tmp_path: Path, trio: Trio, primary: Node) -> None:
    """Whichever q is asked, the leader tells of all q, databases and standbys; no passwords."""
    with primary.database() as name, trio.primary.database() as first:
        further = primary.dsn(name).replace("://q@", "://q:s3cret@")
        pair = Pair(tmp_path, trio.dsn(first), f"two={further}")
        try:
            pair.start()
            _story(pair, trio)
        finally:
            pair.close()


def _story(pair: Pair, trio: Trio) -> None:
    leader, follower = pair.roles()
    with client_of(follower) as client:
        queue = client.new_queue(name="new", tags={"shard": "two"})
        queue.add("a message")

        info = _until(client, lambda info: len(_nodes(info)) == len(pair.servers))
        first, two = _databases(info)
        assert (info.role, info.address) == (qmq.ServerRole.LEADER, leader.address)
        assert [each.address for each in _nodes(info)] == [
            leader.address,
            follower.address,
        ]
        assert [each.role for each in _nodes(info)] == [
            qmq.ServerRole.LEADER,
            qmq.ServerRole.FOLLOWER,
        ]
        assert all(each.since and each.heard for each in _nodes(info))
        assert (first.name, first.is_replicated, first.primary) == ("first", True, first.hosts[0])
        assert len(first.hosts) == len(trio.nodes)
        assert [(each.name, each.state) for each in first.standbys] == [("n2", ""), ("n3", "")]
        assert (two.name, two.is_replicated, two.standbys) == ("two", False, ())
        assert (two.contents.queues, two.contents.messages) == (1, 1)
        assert info.contents == two.contents
        assert _reasons(info) == {("NOT_REPLICATED", "two"), ("STANDBYS_UNSEEN", "first")}
        assert b"s3cret" not in rest(follower.address, "GET", "/v1/server").body

        # Once q may see them, it tells how they do; and when one of them goes.
        trio.primary.query(f"GRANT pg_read_all_stats TO {ROLE}")
        info = _until(client, lambda info: bool(_databases(info)[0].standbys[0].state))
        assert [(each.name, each.state) for each in _databases(info)[0].standbys] == [
            ("n2", "streaming"),
            ("n3", "streaming"),
        ]
        assert all(each.is_synchronous for each in _databases(info)[0].standbys)
        trio.standbys[1].kill()
        info = _until(client, lambda info: len(_databases(info)[0].standbys) == 1)
        assert _databases(info)[0].is_replicated

        # The leader goes: another one tells, with a higher number, and that it is alone now.
        epoch = info.cluster.epoch if info.cluster else 0
        leader.stop()
        info = _until(client, lambda info: info.address == follower.address)
        assert info.cluster
        assert info.cluster.epoch > epoch
        info = _until(client, lambda info: len(_nodes(info)) == 1)
        assert ("NO_SUCCESSOR", "") in _reasons(info)


def test_a_q_says_why_nobody_leads(tmp_path: Path) -> None:
    """At once, where the first database is away and nothing else is known."""
    [port] = free_ports(1)
    pair = Pair(tmp_path, f"postgresql://q@127.0.0.1:{port}/q")
    [q, _] = pair.servers
    try:
        pair.start_one(q)
        with client_of(q) as client:
            info = client.server()
            # Until it has found out, it says that it has not.
            while f"127.0.0.1:{port}" not in info.warnings[0].message:
                info = client.server()
    finally:
        pair.close()

    assert (info.role, info.address) == (qmq.ServerRole.FOLLOWER, q.address)
    [warning] = info.warnings
    assert (warning.reason, warning.level) == ("NO_LEADER", qmq.WarningLevel.CRITICAL)
    assert info.cluster is None


def test_a_database_that_is_away(tmp_path: Path, database: str) -> None:
    """It is named, with since when and why, and what is known of the other one stays."""
    with Node.new("second") as second:
        second.start()
        with second.database() as name:
            pair = Pair(tmp_path, database, f"two={second.dsn(name)}")
            [q, _] = pair.servers
            try:
                pair.start_one(q)
                assert pair.leader() is q
                with client_of(q) as client:
                    second.kill()
                    info = _until(client, lambda info: _databases(info)[1].away_since is not None)
                    assert ("DATABASE_AWAY", "two") in _reasons(info)
                    assert info.warnings[0].level is qmq.WarningLevel.CRITICAL
                    assert info.warnings[0].since == _databases(info)[1].away_since
                    assert _databases(info)[1].refusal in info.warnings[0].message
                    assert _databases(info)[0].refusal == ""

                    second.start()
                    info = _until(client, lambda info: _databases(info)[1].away_since is None)
                    assert ("DATABASE_AWAY", "two") not in _reasons(info)
            finally:
                pair.close()


def _until(client: qmq.Client, is_so: Callable[[qmq.ServerInfo], bool]) -> qmq.ServerInfo:
    """Ask until it is as it should be."""
    deadline = time.monotonic() + PATIENCE_S
    while (info := client.server()).role is not qmq.ServerRole.LEADER or not is_so(info):
        assert time.monotonic() < deadline, info
        time.sleep(0.1)
    return info


def _nodes(info: qmq.ServerInfo) -> tuple[qmq.NodeInfo, ...]:
    assert info.cluster
    return info.cluster.nodes


def _databases(info: qmq.ServerInfo) -> tuple[qmq.DatabaseInfo, ...]:
    assert info.cluster
    return info.cluster.databases


def _reasons(info: qmq.ServerInfo) -> set[tuple[str, str]]:
    return {(each.reason, each.subject) for each in info.warnings}
