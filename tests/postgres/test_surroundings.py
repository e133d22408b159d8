"""Who is connected to a cluster's database."""

import asyncpg
import pytest

from qmq.clock import passed_ns
from qmq.store.postgres.surroundings import NAME_SESSION, Surroundings, named, session_name


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("q1.example.com:10002", "q1.example.com:10002"),
        ("[fd00::1]:10002", "[fd00::1]:10002"),
        (
            "q-0.q.a-name-space-that-is-long.svc.cluster.example:10002",
            "q-0...:10002",
        ),
        (f"{'q' * 60}.example.com:10002", f"{'q' * 46}...:10002"),
    ],
)
def test_a_session_says_which_q_it_is_of(address: str, shown: str) -> None:
    """Within what PostgreSQL takes as a name; the port is always there."""
    name = session_name("0.1.0", address)

    assert len(name) <= 63
    assert named(name) == ("0.1.0", shown)


@pytest.mark.parametrize("name", ["", "q", "psql", "q 1", "q 1 a:1 x"])
def test_other_sessions_are_of_no_q(name: str) -> None:
    """A q of a version that does not say so calls all of its own q."""
    assert named(name) is None


async def test_sessions_of_q_are_seen_as_long_as_they_last(database: str) -> None:
    """By whoever looks, itself included, with how long they are there and silent."""
    dsn = database.partition("?")[0]
    surroundings = Surroundings(passed_ns)
    one, other, stranger = [await asyncpg.connect(dsn) for _ in range(3)]
    await one.execute(NAME_SESSION, session_name("1", "one:1"))
    await other.execute(NAME_SESSION, session_name("2", "other:2"))
    try:
        await surroundings.look(one)
        assert [(each.version, each.address) for each in surroundings.peers] == [
            ("1", "one:1"),
            ("2", "other:2"),
        ]
        assert all(
            each.connected_s is not None and each.silent_s is not None
            for each in surroundings.peers
        )
        assert surroundings.standbys == ()

        await other.close()
        while len(surroundings.peers) > 1:
            await surroundings.look(one)
    finally:
        for each in (one, other, stranger):
            await each.close()
