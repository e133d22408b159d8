"""Histories of a cluster: its leader ends cleanly, or is succeeded in the middle of calls."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from qmq.values import Store
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
        return {"queues": store.queues, "last_queue_number": store.last_queue_number}

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
            await clusters.lead()
            await asyncio.gather(
                *(each.to(self.broker) for each in made),
                self.broker.new_queue(Store.CLUSTER, name="unanswered"),
                return_exceptions=True,
            )
            await self.broker.close()

        self.run(make())
        assert len(clusters.ends) == 1
        clusters.ends.clear()
        self.start_again()

    async def close(self) -> None:
        """Leave nothing open, whichever leader went wrong."""
        await self.broker.close()
        if self.clusters:
            assert not self.clusters.ends
            await self.clusters.close()
            await self.proxy.__aexit__()
