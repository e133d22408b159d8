"""The rows on disk are what the queues in memory are, after any history.

Calls of one step are made at once, so that they meet in transactions; now and then the
process ends, cleanly or by a crash. Hypothesis prints the shortest history that goes wrong.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.model.check import problems_of
from qmq.model.index import seq_of, size_of
from qmq.store.journalled import CACHED_OVERHEAD_BYTES
from qmq.store.local.disk import DiskStore
from qmq.store.local.sweeping import Patience
from qmq.store.together import unpacked
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Durability, NackKind, Store
from tests.leased import leased_messages
from tests.store.disk import ALONG, AT_ONCE, Commits, Disks, has_swept
from tests.store.durability_conformance import not_gone

#: Where calls find their queue: one with a dead-letter queue, and that one.
NAMES = ("jobs", "failed")


class Call(NamedTuple):
    """One call, about one of the queues."""

    verb: str
    name: str
    durability: Durability


calls = st.builds(
    Call,
    verb=st.sampled_from(
        [
            *("add", "add_batch", "add_batch", "pop", "pop_batch", "lease", "lease", "ack"),
            *("release", "fail", "fail", "delay", "reject", "extend", "complete", "purge"),
            *("delete", "wait"),
        ]
    ),
    name=st.sampled_from(NAMES),
    durability=st.sampled_from([Durability.UNKNOWN, Durability.MEMORY, Durability.OS]),
)

#: Calls that are made at once, and how the process ends after them, if it does.
steps = st.tuples(st.lists(calls, max_size=6), st.sampled_from(["", "", "", "close", "crash"]))


class Server:
    """A server with a data directory."""

    def __init__(self, root: Path, cache_bytes_max: int, patience: Patience | None) -> None:
        self.root = root
        self.patience = patience
        self.image = 0
        self.cache_bytes_max = cache_bytes_max
        self.clock = ManualClock()
        self.new_id = seeded_ids()
        self.disks = Disks()
        #: The leases that were handed out last, by the queue's name.
        self.leases: dict[str, list[str]] = {name: [] for name in NAMES}
        self.open()

    @property
    def data(self) -> Path:
        """The data directory: each crash makes the next one."""
        return self.root / str(self.image)

    def open(self) -> None:
        """Start on what was left."""
        self.commits = Commits()
        self.disk: DiskStore = self.disks.open(
            self.data,
            self.commits,
            cache_bytes_max=self.cache_bytes_max,
            patience=self.patience,
        )
        self.broker = Broker(
            {Store.DISK: self.disk},
            clock=self.clock,
            timer=self.clock,
            new_id=self.new_id,
            held=self.disk,
        )
        self.broker.start()

    async def make_queues(self) -> None:
        """Make those that are missing."""
        settings = QueueSettings(delivery_count_max=2, dead_letter_queue_id="failed")
        names = [queue.info.name for queue in self.broker.catalog]
        if "failed" not in names:
            await self.broker.new_queue(Store.DISK, name="failed")
        if "jobs" not in names:
            await self.broker.new_queue(Store.DISK, name="jobs", settings=settings)

    def call(self, call: Call) -> Awaitable[object]:
        """Make a call."""
        broker, name, level = self.broker, call.name, call.durability
        leasing, held = broker.leasing, self.leases[name]

        def nack(kind: NackKind, delay_ns: int | None = None) -> Awaitable[object]:
            return leasing.nack(name, held, kind, delay_ns=delay_ns, reason="no", durability=level)

        makers: dict[str, Callable[[], Awaitable[object]]] = {
            "add": lambda: broker.add(name, bytes(200), durability=level),
            "add_batch": lambda: broker.add_batch(name, [(b"", b"x")] * 3, durability=level),
            "pop": lambda: broker.pop(name, durability=level),
            "pop_batch": lambda: broker.pop_batch(name, 2, durability=level),
            "lease": lambda: self._lease(name, level),
            "ack": lambda: leasing.ack(name, held[:2], durability=level),
            "release": lambda: nack(NackKind.RELEASE),
            "fail": lambda: nack(NackKind.FAIL, 0),
            "delay": lambda: nack(NackKind.FAIL),
            "reject": lambda: nack(NackKind.REJECT),
            "extend": lambda: leasing.extend(name, held, durability=level),
            "complete": lambda: leasing.complete(
                [(name, held[:1])], [("jobs", [(b"", b"y")])], durability=level
            ),
            "purge": lambda: broker.purge(name),
            "delete": lambda: broker.delete_queue(name),
            "wait": self._wait,
        }
        return makers[call.verb]()

    async def _lease(self, name: str, durability: Durability) -> None:
        leased = await self.broker.leasing.lease(
            name, 2, wait_s=0, is_gone=not_gone, consumer="c", durability=durability
        )
        self.leases[name] = [each.lease_id for each in leased_messages(leased)]

    async def _wait(self) -> None:
        """Let all leases and delays end."""
        self.clock.advance(40)

    async def end(self, how: str) -> None:
        """End in some way, and start again."""
        if how == "crash":
            shutil.copytree(self.data, self.root / str(self.image + 1))
            await self.broker.close()
            self.image += 1
        else:
            await self.broker.close()
        self.open()

    async def check(self) -> None:
        """Compare what is on disk with what is in memory."""
        if self.patience is AT_ONCE:
            await has_swept(self.disk)
        await self.disk.settle()
        connection = self.commits.connection
        queues = list(self.broker.catalog)
        for queue in queues:
            assert problems_of(queue) == []
        messages: dict[int, tuple[int, int]] = {}
        for queue in queues:
            known = queue.leases.by_seq.values()
            for entry in (*queue.ready, *(each.entry for each in known)):
                messages[seq_of(entry)] = queue.number, size_of(entry)
        rows = _table(connection, "seq, queue, length(envelope) from message")
        unswept = {
            seq for column in _column(connection, "seqs from gone") for seq in unpacked(column)
        }
        purged = {queue.number: queue.purged_seq for queue in queues}
        unswept |= {seq for seq, number, _ in rows if seq <= purged.get(number, seq)}
        assert {row for row in rows if row[0] not in unswept} == {
            (seq, *where) for seq, where in messages.items()
        }
        fences = dict(_table(connection, "seq, fence from delivery"))
        fences = {seq: fence for seq, fence in fences.items() if seq not in unswept}
        leases = _column(connection, "seqs from lease")
        if self.patience is AT_ONCE:
            assert not unswept
            # Each is about messages that are there and have no row of their own.
            assert all(messages.keys() & unpacked(column) - fences.keys() for column in leases)
        for column in leases:
            fences = dict.fromkeys(messages.keys() & unpacked(column), 1) | fences
        assert fences == {
            seq: each.fence for queue in queues for seq, each in queue.leases.by_seq.items()
        }


def _column(connection: apsw.Connection, column: str) -> list[Any]:
    return [value for (value,) in connection.execute(f"select {column}").fetchall()]


def _table(connection: apsw.Connection, columns: str) -> set[Any]:
    return set(connection.execute(f"select {columns}").fetchall())


@given(
    history=st.lists(steps, max_size=12),
    cache_bytes_max=st.sampled_from([0, 3 * CACHED_OVERHEAD_BYTES, 1_000_000]),
    patience=st.sampled_from([None, ALONG, AT_ONCE]),
)
def test_rows_are_what_the_queues_are(
    history: list[tuple[list[Call], str]], cache_bytes_max: int, patience: Patience | None
) -> None:
    """No row is left over and none is missing: of messages, and of how they were handed out.

    Whenever rows of what has left are removed: by and by, by the next transaction, at once.
    """

    async def run(root: Path) -> None:
        server = Server(root, cache_bytes_max, patience)
        try:
            for some, ending in history:
                await server.make_queues()
                for result in await asyncio.gather(*map(server.call, some), return_exceptions=True):
                    if isinstance(result, BaseException) and not isinstance(result, QError):
                        raise result
                await server.check()
                if ending:
                    await server.end(ending)
                    await server.check()
            server.patience = AT_ONCE
            await server.end("close")
            await server.check()
        finally:
            await server.broker.close()
            await server.disks.close()

    with tempfile.TemporaryDirectory(prefix="q-rows-") as root:
        asyncio.run(run(Path(root)))
