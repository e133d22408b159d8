"""What all queues hold together, counted now and then."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, TypeAlias

from qmq.condition import Contents
from qmq.model.catalog import Catalog
from qmq.values import Store

#: Queues that are counted in one turn of the event loop, which takes less than a millisecond.
_AT_ONCE: Final = 250

#: A count counts for so many times as long as it took: so it takes a small part of the time,
#: however many queues there are and however often somebody asks.
_TIMES_AS_LONG: Final = 50

#: Where queues live: in which store, and on which shard of a cluster.
Home: TypeAlias = tuple[Store, int]


class Census:
    """Counts the queues of a catalog."""

    def __init__(self, catalog: Catalog, passed_ns: Callable[[], int]) -> None:
        """Begin without a count.

        Args:
            catalog: the queues.
            passed_ns: a clock that goes on by itself, in nanoseconds.
        """
        self._catalog = catalog
        self._passed_ns = passed_ns
        self._fresh_until_ns: int | None = None
        self._counting: asyncio.Task[None] | None = None
        #: What queues hold, by where they live, as it was counted last.
        self.latest: Mapping[Home, Contents] = {}

    async def count(self) -> Mapping[Home, Contents]:
        """Return what queues hold, by where they live, as it is or was a moment ago."""
        if self._fresh_until_ns is None or self._passed_ns() >= self._fresh_until_ns:
            if self._counting is None:
                # Who asks meanwhile waits for the same count, and whoever leaves does not end it.
                self._counting = asyncio.ensure_future(self._count())
            await asyncio.shield(self._counting)
        return self.latest

    async def _count(self) -> None:
        try:
            await self._go_through_all()
        finally:
            self._counting = None

    async def _go_through_all(self) -> None:
        began_ns = self._passed_ns()
        queues, messages, sizes = (defaultdict[Home, int](int) for _ in range(3))
        # A list, in one step, since queues come and go from here on.
        found = iter(list(self._catalog))
        while some := list(islice(found, _AT_ONCE)):
            for queue in some:
                home = queue.info.home
                queues[home] += 1
                messages[home] += queue.message_count
                sizes[home] += queue.bytes
            await asyncio.sleep(0)
        self.latest = {
            home: Contents(count, messages[home], sizes[home]) for home, count in queues.items()
        }
        now_ns = self._passed_ns()
        self._fresh_until_ns = now_ns + (now_ns - began_ns) * _TIMES_AS_LONG
