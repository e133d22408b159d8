"""The statements of q's journal, run by clients themselves: see `in_cluster`.

Four processes with four connections each do what the clients of q ask for: a commit adds 64
messages, leases 64, or removes 64 that were leased. Nobody gathers calls into a commit, as q does;
and since nobody could tell without q which messages are next, each connection has messages of its
own. So that nothing makes them wait for each other, each has a row of its own in place of the
one that fences q's commits.
"""

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final

import asyncpg

from qmq.store.postgres.batch import Batch
from qmq.store.postgres.journal import prepare
from qmq.store.postgres.writing import statement
from qmq.store.together import packed
from together import Together

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

_BATCH: Final = 64
_CLIENTS: Final = 4
_CONNECTIONS: Final = 4

#: As large as those of q are with a payload of 64 bytes.
_ENVELOPE: Final = b"e" * 130

#: The numbers of one connection's messages follow each other.
_NUMBERS_EACH: Final = 10**9


def same_sql(dsn: str, what: str, messages: int) -> float:
    """Return how many messages a second clients add, or lease and remove, by themselves.

    Args:
        dsn: q's database.
        what: "add", which begins with empty tables, or "lease", which is to follow that.
        messages: how many.
    """
    if what == "add":
        asyncio.run(_make_tables(dsn))
    share = messages // (_CLIENTS * _CONNECTIONS) // _BATCH * _BATCH
    together = Together(
        [[sys.executable, __file__, what, dsn, str(n), str(share)] for n in range(_CLIENTS)]
    )
    together.begin()
    return share * _CLIENTS * _CONNECTIONS / together.end()


async def _make_tables(dsn: str) -> None:
    """Make tables of the same kind, so that those of q are left alone."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("drop schema if exists q_same cascade; create schema q_same")
    for table in ("message", "delivery", "lease", "journal"):
        # What allows one row of the journal is left out.
        including = "including defaults including indexes including storage"
        await connection.execute(f"create table q_same.{table} (like q.{table} {including})")
    for number in range(1, _CLIENTS * _CONNECTIONS + 1):
        await connection.execute(
            "insert into q_same.journal (id, epoch, batch, last_number) values ($1, 1, 0, 0)",
            number,
        )
    await connection.close()


class _Caller:
    """One connection, and its messages."""

    def __init__(self, connection: "Connection[Record]", number: int) -> None:
        self._connection = connection
        self._number = number
        self._commits = 0

    async def commit(self, batch: Batch) -> None:
        self._commits += 1
        text, parameters = statement(batch, 1, self._commits)
        text = text.replace(" q.", " q_same.").replace("id = 1 ", f"id = {self._number} ")
        assert await self._connection.fetchval(text, *parameters)

    async def begin(self) -> None:
        """Go on where the last run has ended."""
        await prepare(self._connection)
        self._commits = await self._connection.fetchval(
            "select batch from q_same.journal where id = $1", self._number
        )

    async def add(self, count: int) -> None:
        for first in self._firsts(count):
            batch = Batch()
            batch.insert(((first + n, 1, _ENVELOPE) for n in range(_BATCH)), 0)
            await self.commit(batch)

    async def lease_and_ack(self, count: int) -> None:
        for first in self._firsts(count):
            seqs = range(first, first + _BATCH)
            batch = Batch()
            batch.keep_leases([(first, 1, 1, "", packed(seqs))], [])
            await self.commit(batch)
            batch = Batch()
            batch.remove(seqs)
            batch.forget_leases([first])
            await self.commit(batch)

    def _firsts(self, count: int) -> range:
        start = self._number * _NUMBERS_EACH
        return range(start, start + count, _BATCH)


async def _work(what: str, dsn: str, client: int, count: int) -> None:
    """Be one client, with several connections."""
    callers = []
    for n in range(1, _CONNECTIONS + 1):
        caller = _Caller(await asyncpg.connect(dsn), client * _CONNECTIONS + n)
        await caller.begin()
        callers.append(caller)
    print(flush=True)
    sys.stdin.readline()
    start_s = time.process_time()
    await asyncio.gather(
        *(each.add(count) if what == "add" else each.lease_and_ack(count) for each in callers)
    )
    print(time.process_time() - start_s)


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
