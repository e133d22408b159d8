"""What a broker knows of the server that it is: how much there is, and what that takes."""

from dataclasses import replace

from qmq.condition import Contents, ServerCondition
from qmq.engine.census import Census
from qmq.engine.queues import Queues
from qmq.values import Store


class Overseeing:
    """Part of a broker."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._census = Census(queues.catalog, queues.steady_ns)
        self._version = ""

    async def condition(self) -> ServerCondition:
        """Return how the server does, as far as its broker can tell."""
        await self._census.count()
        return self.glance()

    def glance(self) -> ServerCondition:
        """Return the same without counting anew what queues hold."""
        if not self._version:
            # Imported late: it takes time, which a start has not.
            from importlib.metadata import version  # noqa: PLC0415

            self._version = version("qmq")
        footprint, catalog = self._queues.footprint, self._queues.catalog
        return ServerCondition(
            version=self._version,
            # Queues are counted without going through them.
            contents=replace(sum(self._census.latest.values(), Contents()), queues=len(catalog)),
            in_memory=self.contents(Store.MEMORY),
            queues_max=catalog.queues_max,
            memory_bytes=footprint.used,
            memory_bytes_max=footprint.limit,
        )

    def contents(self, store: Store, shard: int = 0) -> Contents:
        """Return what the queues of a store hold, as it was counted last."""
        return self._census.latest.get((store, shard), Contents())
