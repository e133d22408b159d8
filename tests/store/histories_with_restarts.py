"""Histories of a server whose messages outlive it, which ends now and then and starts again."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from qmq.engine.broker import Broker
from qmq.store.base import QueueStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock
from qmq.values import Store
from tests.store.commands import command
from tests.store.histories import MemoryHistory


class RestartingHistory(MemoryHistory):
    """A server that ends and starts again, with its MEMORY queues gone."""

    #: Where the others live, and the store of the server that runs.
    kept: Store
    store: QueueStore

    @abstractmethod
    async def open_store(self) -> Mapping[str, Any]:
        """Open `store` on what the server before has left; return what a broker takes of that."""

    async def open(self) -> Broker:
        """Start a server on what the one before has left."""
        found = await self.open_store()
        broker = Broker(
            {Store.MEMORY: MemoryStore(), self.kept: self.store},
            clock=self.clock,
            timer=self.timer,
            chance=lambda: 0.0,
            new_id=self.new_id,
            **found,
        )
        broker.start()
        return broker

    async def open_and_look(self) -> Broker:
        """Start a server, and ask for all queues before any alarm rings."""
        broker = await self.open()
        await broker.stats("", 0, "")
        return broker

    def last_numbers(self) -> dict[tuple[Store, int], int]:
        """Return the highest numbers of the stores."""
        return {(Store.MEMORY, 0): 0, (self.kept, 0): self.store.number(0, 0) - 1}

    def default_store(self) -> Store:
        """Return where a queue lives when nobody says."""
        return self.kept

    @command(weight=2)
    def end_and_start_again(self) -> None:
        """End cleanly."""
        self.run(self.broker.close())
        self.start_again()

    def start_again(self) -> None:
        """Start on what there is; what measures time is right by the clock that was set."""
        self.timer = ManualClock(self.clock.now_ns())
        self.naive.restart(self.timer)
        self.broker = self.run(self.open_and_look())
        self.naive.last = self.last_numbers()
        self.ledger.pass_time(self.timer.now_ns())
        # With a clock that was set back, the number of a message that is gone may come again.
        self.known = {
            queue.info.id: [
                lease_id
                for lease_id in self.known.get(queue.info.id, ())
                if int(lease_id.partition("-")[0], 16) in {each.seq for each in queue.messages}
            ]
            for queue in self.naive.queues
        }
