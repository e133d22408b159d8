"""What a new leader finds in the cluster's database: the queues, rebuilt from the rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qmq.model.index import seqs_of
from qmq.model.line import PACK_ENTRIES
from qmq.store.postgres.connecting import asked
from qmq.store.rebuilding import Found, Rebuilding
from qmq.store.rows import queue_of
from qmq.store.sql import load_statements
from qmq.store.together import Together
from qmq.values import Durability, Store

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

_SQL = load_statements("qmq.store.postgres", "statements.sql")

#: Messages that are read at a time.
_STEP_MESSAGES: Final = 4 * PACK_ENTRIES

#: Other rows that are read at a time.
_STEP_ROWS: Final = 10_000

#: Seconds that one of the statements may take: none reads more than so many rows, and a database
#: that has stopped is to be noticed before others give up this q.
_TIMEOUT_S: Final = 10.0


class Loaded(NamedTuple):
    """What a database holds."""

    found: Found
    #: How many commits there were.
    batch: int
    #: Numbers of messages that have rows though their queues are purged or gone.
    left: list[int]


async def load(
    connection: "Connection[Record]",
    together: Together,
    durability_max: Durability,
    on_progress: Callable[[int, int], None],
) -> Loaded:
    """Rebuild the queues from the rows. Nobody may change them meanwhile.

    Args:
        connection: to a database of the newest schema.
        together: takes over the rows of leases that began together.
        durability_max: how durable a change is at most.
        on_progress: called for each some thousand messages with how many were read, and about
            how many there are.

    Raises:
        DatabaseAway: it does not answer.
    """

    async def rows(name: str, *parameters: object) -> list[Any]:
        fetched = connection.fetch(_SQL[name], *parameters)
        return [tuple(row) for row in await asked(connection, fetched, _TIMEOUT_S)]

    async def in_steps(name: str, *, key: int = 0) -> list[Any]:
        """Read a table however large it is; `key` is the column of its sequence numbers."""
        found: list[Any] = []
        while some := await rows(name, found[-1][key] if found else -1, _STEP_ROWS):
            found += some
        return found

    [(last_number, batch)] = await rows("select_last_number")
    queues = [queue_of(row, Store.CLUSTER) for row in await rows("select_queues")]
    for queue in queues:
        queue.durability_max = durability_max
    found = Found(
        queues=queues,
        redrives=await rows("select_redrives"),
        schedules=await rows("select_schedules"),
        last_queue_number=max((queue.number for queue in queues), default=0),
        last_number=last_number,
    )
    messages = Rebuilding(
        found,
        deliveries=await in_steps("select_deliveries"),
        leased=together.load(await in_steps("select_leases")),
    )
    [(about,)] = await rows("count_messages")
    read, last_seq = 0, -1
    while some := await rows("select_messages", last_seq, _STEP_MESSAGES):
        messages.load(some)
        read, last_seq = read + len(some), some[-1][0]
        on_progress(read, max(read, about))
    messages.end()
    messages.hold_groups(await rows("select_groups"))
    messages.remember(await in_steps("select_known", key=1))
    return Loaded(found, batch, seqs_of(found.gone))
