"""Histories of a server with a data directory, which also ends now and then.

It does so cleanly, or by a crash, and its clock may have been set back until it starts again.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

from qmq.engine.broker import Broker
from qmq.store.local.memory import MemoryStore
from qmq.store.local.sweeping import Patience
from qmq.testing import ManualClock
from qmq.values import Store
from tests.store import drawing
from tests.store.calls import Call, anything, several
from tests.store.commands import command, first
from tests.store.disk import ALONG, AT_ONCE, Commits, Disks
from tests.store.histories import MemoryHistory


class DiskHistory(MemoryHistory):
    """A server with a data directory, which ends and starts again."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="q-histories-"))
        self.images = 0
        self.cache_bytes_max = 0
        self.patience = Patience()
        self.disks = Disks()
        super().__init__()

    @property
    def data(self) -> Path:
        """The data directory: each crash makes the next one."""
        return self.root / str(self.images)

    async def open(self) -> Broker:
        """Start a server on what the one before has left."""
        self.commits = Commits()
        disk = self.disk = self.disks.open(
            self.data,
            self.commits,
            cache_bytes_max=self.cache_bytes_max,
            patience=self.patience,
        )
        broker = Broker(
            {Store.MEMORY: MemoryStore(), Store.DISK: disk},
            clock=self.clock,
            timer=self.timer,
            chance=lambda: 0.0,
            new_id=self.new_id,
            queues=disk.queues,
            last_queue_number=disk.last_queue_number,
        )
        broker.start()
        return broker

    async def open_and_look(self) -> Broker:
        """Start a server, and ask for all queues before any alarm rings."""
        broker = await self.open()
        await broker.stats("", 0, "")
        return broker

    def last_numbers(self) -> dict[Store, int]:
        """Return the highest numbers of the stores."""
        return {Store.MEMORY: 0, Store.DISK: self.disk.number(0, 0) - 1}

    def default_store(self) -> Store:
        """Return where a queue lives when nobody says."""
        return Store.DISK

    @first(
        cache_bytes_max=drawing.sampled_from([0, 2_000, 1_000_000]),
        patience=drawing.sampled_from([Patience(), ALONG, AT_ONCE]),
    )
    def choose(self, cache_bytes_max: int, patience: Patience) -> None:
        """Keep nothing, little or everything in memory; sweep seldom, with each call, at once."""
        self.cache_bytes_max = cache_bytes_max
        self.patience = patience
        self.end_and_start_again()

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

    @command(weight=2, in_flight=several(5, **anything))
    def crash(self, in_flight: list[Call]) -> None:
        """Go on with what was on disk when a transaction with unanswered calls came to commit."""
        image = self.root / str(self.images + 1)
        self.commits.copy_next(image)
        made = self.made_ready(in_flight)

        async def make() -> None:
            await asyncio.gather(
                *(each.to(self.broker) for each in made),
                self.broker.new_queue(Store.DISK, name="unanswered"),
                return_exceptions=True,
            )
            await self.broker.close()

        self.run(make())
        assert (image / "q.db").exists()
        shutil.rmtree(self.data)
        self.images += 1
        self.start_again()

    async def close(self) -> None:
        """Leave nothing open, whichever server went wrong."""
        await self.broker.close()
        await self.disks.close()

    def abandon(self) -> None:
        """Remove the directories as well."""
        try:
            super().abandon()
        finally:
            shutil.rmtree(self.root)
