"""What holds back vacuum is found, and named when it does so for too long."""

import asyncpg
import pytest

from qmq.store.postgres.vacuum import HELD_S_MAX, HeldVacuum, Holder
from qmq.testing import ManualClock
from tests.postgres.nodes import Node
from tests.postgres.test_leadership import leading, setting

SESSION = Holder("session", "7", "ann", "psql", "idle in transaction", "100", 0.0)


def test_warning_names_who_it_is_and_comes_again() -> None:
    """After a minute, and then every ten."""
    clock = ManualClock()
    held = HeldVacuum(clock.now_ns)

    assert held.note([SESSION]) == []
    clock.advance(HELD_S_MAX - 1)
    assert held.note([SESSION]) == []
    clock.advance(1)
    [warning] = held.note([SESSION])
    assert warning == (
        "vacuum of the cluster's database has been held back for 60 s by the session 7 of user ann,"
        " application psql (idle in transaction); q becomes slower until that ends"
    )
    assert held.held_s == HELD_S_MAX
    clock.advance(599)
    assert held.note([SESSION]) == []
    clock.advance(1)
    assert len(held.note([SESSION])) == 1


def test_who_lets_go_in_between_is_not_warned_of() -> None:
    """A session of many short transactions is there all the time, and holds nothing back."""
    clock = ManualClock()
    held = HeldVacuum(clock.now_ns)

    for xmin in range(100):
        assert held.note([SESSION._replace(xmin=str(xmin))]) == []
        clock.advance(10)
    assert held.held_s == 0
    held.note([])
    assert held.held_s == 0


def test_what_the_server_knows_of_its_age_counts() -> None:
    """A new leader need not wait for a minute to tell."""
    held = HeldVacuum(ManualClock().now_ns)

    [warning] = held.note([Holder("prepared transaction", "x", "ann", "", "prepared", "7", 90.0)])

    assert "for 90 s by the prepared transaction x of user ann (prepared)" in warning


@pytest.mark.parametrize(
    ("sees_all", "seen"),
    [
        (True, "of user postgres, application forgetful (idle in transaction)"),
        (False, "of user postgres, application forgetful (state unknown)"),
    ],
)
async def test_forgotten_transaction_is_found(primary: Node, seen: str, *, sees_all: bool) -> None:
    """Also one of another user, of whom the role of q may not see all."""
    clock = ManualClock()
    notices: list[str] = []
    with primary.database() as name:
        if sees_all:
            primary.query("GRANT pg_read_all_stats TO q")
        of = setting(primary.dsn(name), passed=clock.now_ns, notices=notices)
        forgotten = await asyncpg.connect(
            primary.dsn(name, "postgres"), server_settings={"application_name": "forgetful"}
        )
        await forgotten.execute("begin isolation level repeatable read; select 1")
        async with leading(of) as term:
            await term.look_at_vacuum()
            assert notices == []
            clock.advance(HELD_S_MAX)
            await term.look_at_vacuum()
            assert term.vacuum_held_s >= HELD_S_MAX
        pid = forgotten.get_server_pid()
        await forgotten.close()
        primary.query("REVOKE pg_read_all_stats FROM q")

    [notice] = notices
    assert f"session {pid} {seen}" in notice
