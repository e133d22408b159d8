"""Histories of a cluster: its leader ends cleanly, or is succeeded in the middle of calls."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from qmq.engine.shards import Shards
from qmq.store.base import Held
from qmq.values import Store
from tests.held import MadeUp
from tests.store import drawing
from tests.store.calls import Call, anything, several
from tests.store.clusters import Clusters
from tests.store.commands import command, first
from tests.store.histories_with_restarts import RestartingHistory
from tests.store.proxy import Lose, Proxy


class ClusterHistory(RestartingHistory):
    """A leader of a cluster whose database is reached by a line that fails now and then."""

    kept = Store.CLUSTER
    #: The database, of which all is removed at the beginning. To be set before.
    dsn: ClassVar[str]

    def __init__(self) -> None:
        self.cache_bytes_max = 0
        self.clusters: Clusters | None = None
        super().__init__()

    async def open_store(self) -> Mapping[str, Any]:
        """Lead the cluster."""
        clusters = self.clusters
        if clusters is None:
            clusters = self.clusters = Clusters(self.dsn)
            await clusters.reset()
            self.proxy = await Proxy(self.dsn).__aenter__()
            clusters.dsn = self.proxy.dsn
        # What was to be lost is not to be what a leader begins with: that is tried elsewhere.
        self.proxy.lose = Lose.NOTHING
        store = self.store = await clusters.open(cache_bytes_max=self.cache_bytes_max)
        return {"held": store}

    @first(cache_bytes_max=drawing.sampled_from([0, 2_000, 1_000_000]))
    def choose(self, cache_bytes_max: int) -> None:
        """Keep nothing, little or everything in memory."""
        self.cache_bytes_max = cache_bytes_max
        self.end_and_start_again()

    @command(weight=2, lost=drawing.sampled_from([Lose.REQUEST, Lose.ANSWER]))
    def lose(self, lost: Lose) -> None:
        """Lose the connection at the next exchange, which nobody is to notice."""
        self.proxy.lose = lost

    @command(weight=2, in_flight=several(5, **anything))
    def be_succeeded(self, in_flight: list[Call]) -> None:
        """Go on as the successor of a leader whose calls are unanswered."""
        made = self.made_ready(in_flight)
        clusters = self.clusters
        assert clusters

        async def make() -> None:
            self.proxy.lose = Lose.NOTHING
            await self.take_over()
            await asyncio.gather(
                *(each.to(self.broker) for each in made),
                self.broker.new_queue(Store.CLUSTER, name="unanswered"),
                return_exceptions=True,
            )
            await self.broker.close()

        self.run(make())
        assert self.has_ended()
        clusters.ends.clear()
        self.start_again()

    def has_ended(self) -> bool:
        """Whether the leader has found out that it was succeeded."""
        return self.clusters is not None and len(self.clusters.ends) == 1

    async def take_over(self) -> None:
        """Let the leader be succeeded, who does not know yet."""
        assert self.clusters
        await self.clusters.lead()

    async def close(self) -> None:
        """Leave nothing open, whichever leader went wrong."""
        await self.broker.close()
        if self.clusters:
            assert not self.clusters.ends
            await self.clusters.close()
            await self.proxy.__aexit__()


class ShardedHistory(ClusterHistory):
    """The same, with every other queue in a second database, to which no line fails."""

    #: The second database, likewise.
    second_dsn: ClassVar[str]

    def __init__(self) -> None:
        self.second: Clusters | None = None
        super().__init__()

    async def open_store(self) -> Mapping[str, Any]:
        """Lead both."""
        found = await super().open_store()
        if self.second is None:
            self.second = Clusters(self.second_dsn)
            await self.second.reset()
        two = self.store_of_second = await self.second.open(cache_bytes_max=self.cache_bytes_max)
        shards = Shards({0: "first", 1: "two"})
        shards.stores = {0: self.store, 1: two}
        one: Held = found["held"]
        queues = sorted([*one.queues, *two.queues], key=lambda queue: queue.number)
        last_number = max(one.last_queue_number, two.last_queue_number)
        return {"held": MadeUp(queues, last_number), "shards": shards}

    def last_numbers(self) -> dict[tuple[Store, int], int]:
        """Return the highest numbers of the stores."""
        return {**super().last_numbers(), (self.kept, 1): self.store_of_second.number(0, 0) - 1}

    async def take_over(self) -> None:
        """Let the leader be succeeded in both, which it finds out where it commits."""
        await super().take_over()
        assert self.second
        await self.second.lead()

    def has_ended(self) -> bool:
        """Whether the leader has found out in one of them at least."""
        return super().has_ended() or bool(self.second and self.second.ends)

    def start_again(self) -> None:
        """Start on what there is."""
        if self.second:
            self.second.ends.clear()
        super().start_again()

    async def close(self) -> None:
        """Leave nothing open."""
        await super().close()
        if self.second:
            assert not self.second.ends
            await self.second.close()
