"""What a new leader finds in the cluster's database: the queues, rebuilt from the rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qmq.model.index import seqs_of
from qmq.model.line import PACK_ENTRIES
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

#: Seconds that one of the statements may take: a table of deliveries is read in whole.
_TIMEOUT_S: Final = 60.0


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
    """

    async def rows(name: str, *parameters: object) -> list[Any]:
        return [
            tuple(row)
            for row in await connection.fetch(_SQL[name], *parameters, timeout=_TIMEOUT_S)
        ]

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
        deliveries=await rows("select_deliveries"),
        leased=together.load(await rows("select_leases")),
    )
    [(about,)] = await rows("count_messages")
    read, last_seq = 0, -1
    while some := await rows("select_messages", last_seq, _STEP_MESSAGES):
        messages.load(some)
        read, last_seq = read + len(some), some[-1][0]
        on_progress(read, max(read, about))
    messages.end()
    messages.hold_groups(await rows("select_groups"))
    messages.remember(await rows("select_known"))
    return Loaded(found, batch, seqs_of(found.gone))
