"""A queue of one's own in SQL, as one writes it who has PostgreSQL and no q: see `in_cluster`.

A table with a row a message, which is leased by `for update skip locked` and deleted by its ack,
as well as we can write it: the only index is the one that finds the next messages; a lease changes
no column of it and finds room in the page (`fillfactor`), so that it writes no index; a lease has a
token that its ack must tell, so that one that came late deletes nothing; statements are prepared.
It has nothing of what q has beyond that: limits, dead letters, waiting for a message and the like.

Four processes with four connections each do as the clients of q do: messages in batches of 64.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import asyncpg

from together import Together

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

_BATCH: Final = 64
_CLIENTS: Final = 4
_CONNECTIONS: Final = 4
_PAYLOAD: Final = b"x" * 64
_QUEUE: Final = 1

_TABLE: Final = """
drop schema if exists own cascade;
create schema own;
create table own.message (
    id bigint generated always as identity,
    queue bigint not null,
    payload bytea not null,
    created_at timestamptz not null default now(),
    leased_until timestamptz not null default '-infinity',
    lease uuid,
    delivery_count integer not null default 0
) with (fillfactor = 50);
create unique index on own.message (queue, id);
"""

_ADD: Final = """
insert into own.message (queue, payload) select $1, unnest($2::bytea[])
returning id, created_at
"""

_LEASE: Final = """
with next as (
    select id from own.message
    where queue = $1 and leased_until <= now()
    order by id limit $2
    for update skip locked
)
update own.message as message
set leased_until = now() + interval '30 seconds', lease = $3,
    delivery_count = delivery_count + 1
from next
where message.queue = $1 and message.id = next.id
returning message.id, message.payload, message.created_at, message.delivery_count
"""

_ACK: Final = """
delete from own.message where queue = $1 and id = any($2::bigint[]) and lease = $3
"""


def own_sql(dsn: str, what: str, messages: int) -> tuple[float, float]:
    """Measure a queue of one's own in SQL.

    Args:
        dsn: the database.
        what: "add", which begins with an empty table, or "lease", which is to follow that.
        messages: how many.

    Returns:
        How many messages it does a second, and the seconds of processor time that its clients used.
    """
    if what == "add":
        asyncio.run(_make_table(dsn))
    share = messages // _CLIENTS // _BATCH * _BATCH
    together = Together([[sys.executable, __file__, what, dsn, str(share)]] * _CLIENTS)
    together.begin()
    took_s = together.end()
    return share * _CLIENTS / took_s, sum(map(float, together.outputs))


async def _make_table(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(_TABLE)
    await connection.close()


async def _work(what: str, dsn: str, count: int) -> None:
    """Be one client, with several connections."""
    connections = [await asyncpg.connect(dsn) for _ in range(_CONNECTIONS)]
    print(flush=True)
    sys.stdin.readline()
    start_s = time.process_time()
    if what == "add":
        each: Callable[[Connection[Record]], Awaitable[None]] = _adder(count // _BATCH)
    else:
        each = _consume
    await asyncio.gather(*map(each, connections))
    print(time.process_time() - start_s)


def _adder(batches: int) -> "Callable[[Connection[Record]], Awaitable[None]]":
    left = iter(range(batches))

    async def add(connection: "Connection[Record]") -> None:
        statement = await connection.prepare(_ADD)
        for _ in left:
            await statement.fetch(_QUEUE, [_PAYLOAD] * _BATCH)

    return add


async def _consume(connection: "Connection[Record]") -> None:
    """Lease and ack until nothing is left that nobody has on lease."""
    lease, ack = await connection.prepare(_LEASE), await connection.prepare(_ACK)
    number = 0
    while True:
        number += 1
        token = f"00000000-0000-4000-8000-{connection.get_server_pid():06x}{number:06x}"
        rows = await lease.fetch(_QUEUE, _BATCH, token)
        if not rows:
            return
        await ack.fetch(_QUEUE, [row["id"] for row in rows], token)
        assert ack.get_statusmsg() == f"DELETE {len(rows)}"


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
