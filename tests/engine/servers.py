"""Servers with a store of one kind, which may end and start again, with time in the test's hand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.adding import Added
from qmq.engine.broker import Broker
from qmq.engine.clock_offset import ClockOffset
from qmq.model.check import problems_of
from qmq.model.footprint import KNOWN_BYTES, MESSAGE_BYTES, Footprint
from qmq.store.base import QueueStore
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.store.postgres.store import PostgresStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import NS_PER_S, Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.store.clusters import Clusters

#: Names of options that are lengths of time, and moments: tests give them in seconds, moments
#: since the start.
_LENGTHS: Final = {"delay": "delay_ns", "ttl": "ttl_ns"}
_MOMENTS: Final = {"available_at": "available_ns", "expires_at": "expires_ns"}


def options(**given: Any) -> MessageOptions:  # noqa: ANN401 - As the options are.
    """Make options: delay, ttl, available_at and expires_at in seconds, and others."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name in _LENGTHS:
            made[_LENGTHS[name]] = round(value * NS_PER_S)
        elif name in _MOMENTS:
            made[_MOMENTS[name]] = START_NS + round(value * NS_PER_S)
        else:
            made[name] = value
    return MessageOptions(**made)


def settings(**given: Any) -> QueueSettings:  # noqa: ANN401 - As the settings are.
    """Make settings: those that are lengths of time in seconds."""
    lengths = {"lease_duration", "delay", "ttl", "dedup_window", "priority_ageing"}
    return QueueSettings(
        **{
            f"{name}_ns" if name in lengths else name: (
                round(value * NS_PER_S) if name in lengths else value
            )
            for name, value in given.items()
        }
    )


class Server:
    """A server whose queues all live in one store."""

    broker: Broker

    def __init__(self, kind: Store, data: Path, clusters: Clusters | None = None) -> None:
        self.kind = kind
        #: What leads where it is a cluster.
        self.clusters = clusters
        #: Where it keeps what is on DISK.
        self.data = data
        #: What people set, and what nobody sets.
        self.clock, self.timer = ManualClock(), ManualClock()
        self._new_id = seeded_ids()
        self._clock_offset: ClockOffset | None = None
        #: What its messages take, and how much they may.
        self.footprint = Footprint()
        self.memory_max = 0
        self._store: DiskStore | PostgresStore | None = None

    async def start(self) -> None:
        """Start it, on what the one before has left."""
        self.footprint = Footprint(self.memory_max)
        store: QueueStore = MemoryStore(self.footprint)
        if self.kind is Store.DISK:
            store = disk = self._store = DiskStore.open(self.data, footprint=self.footprint)
            self.timer = ManualClock(self.clock.now_ns() + disk.clock_offset_ns)
            self._clock_offset = ClockOffset(
                self.clock, self.timer, disk.clock_offset_ns, disk.keep_clock_offset
            )
        elif self.clusters:
            store = self._store = await self.clusters.open(footprint=self.footprint)
        self.broker = Broker(
            {self.kind: store},
            clock=self.clock,
            timer=self.timer,
            new_id=self._new_id,
            chance=lambda: 0.0,
            message_bytes_max=100_000,
            footprint=self.footprint,
            held=self._store,
        )
        self.broker.start()

    async def end(self) -> None:
        """End it; every queue is in order then."""
        problems = [problem for queue in self.broker.catalog for problem in problems_of(queue)]
        # Of what was leased since it was counted, the next call tells.
        assert self.footprint.used <= self.counted()
        for queue in self.broker.catalog:
            self.footprint.recount(queue)
        assert self.footprint.used == self.counted()
        if self._clock_offset:
            await self._clock_offset.close()
        await self.broker.close()
        assert problems == []

    def counted(self) -> int:
        """Count what the messages take, by looking at all queues."""
        queues = list(self.broker.catalog)
        known = sum(len(queue.leases.by_seq) + len(queue.dedup) for queue in queues)
        taken = sum(queue.message_count for queue in queues) * MESSAGE_BYTES[self.kind]
        if self._store:
            taken += self._store.cached_bytes
        else:
            taken += sum(queue.bytes for queue in queues)
        return taken + known * KNOWN_BYTES

    async def start_again(self, *, after_s: float = 0.0) -> None:
        """End it, and start it after a time."""
        await self.end()
        self.clock.advance(after_s)
        self.timer = ManualClock(self.clock.now_ns())
        await self.start()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and all happen that happens by itself."""
        self.clock.advance(seconds)
        self.timer.advance(seconds)
        await turns()

    async def new_queue(self, name: str, *, limit: int = -1, **given: Any) -> str:  # noqa: ANN401
        """Make a queue with settings, and return its id."""
        info = await self.broker.new_queue(
            self.kind, name=name, limit=limit, settings=settings(**given)
        )
        return info.id

    async def change(self, name: str, *, limit: int | None = None, **given: Any) -> None:  # noqa: ANN401
        """Change settings of a queue, and leave the others as they are."""
        new = settings(**given)
        names = [each for each in QueueSettings.__slots__ if each.removesuffix("_ns") in given]

        def changed(known: QueueSettings) -> QueueSettings:
            values = {each: getattr(known, each) for each in QueueSettings.__slots__}
            return QueueSettings(**(values | {each: getattr(new, each) for each in names}))

        await self.broker.update_queue(name, changed, limit)

    async def put(self, payload: bytes, queue: str = "jobs", **given: Any) -> pb.Message:  # noqa: ANN401
        """Add a message with options, and return it; or its metadata, if it was there."""
        envelope, _ = await self.broker.add_with(queue, payload, b"", options(**given))
        return pb.Message.FromString(envelope)

    async def put_many(
        self,
        messages: Sequence[tuple[bytes, dict[str, Any]]],
        queue: str = "jobs",
        *,
        partial: bool = False,
    ) -> Added:
        """Add messages with options at once."""
        return await self.broker.add_batch_with(
            queue,
            [(b"", payload) for payload, _ in messages],
            {at: options(**given) for at, (_, given) in enumerate(messages) if given},
            partial=partial,
        )

    async def dead(self) -> list[tuple[bytes, int]]:
        """Pop all of the queue "dead": payload and reason."""
        popped = await self.broker.pop_batch("dead", 1_000)
        messages = map(pb.Message.FromString, popped)
        return [(each.payload, each.dead_letter.reason) for each in messages]


@asynccontextmanager
async def started(server: Server) -> AsyncIterator[Server]:
    """Run a server with the queue "jobs", whose dead letters go to the queue "dead"."""
    await server.start()
    dead = await server.new_queue("dead")
    await server.new_queue("jobs", dead_letter_queue_id=dead)
    yield server
    await server.end()
