"""Histories of a server with a data directory, which also ends now and then.

It does so cleanly, or by a crash, and its clock may have been set back until it starts again.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmq.store.local.sweeping import Patience
from qmq.values import Store
from tests.store import drawing
from tests.store.calls import Call, anything, several
from tests.store.commands import command, first
from tests.store.disk import ALONG, AT_ONCE, Commits, Disks
from tests.store.histories_with_restarts import RestartingHistory


class DiskHistory(RestartingHistory):
    """A server with a data directory, which ends and starts again."""

    kept = Store.DISK

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

    async def open_store(self) -> Mapping[str, Any]:
        """Open the store on what the server before has left."""
        self.commits = Commits()
        disk = self.store = self.disks.open(
            self.data,
            self.commits,
            cache_bytes_max=self.cache_bytes_max,
            patience=self.patience,
        )
        return {"held": disk}

    @first(
        cache_bytes_max=drawing.sampled_from([0, 2_000, 1_000_000]),
        patience=drawing.sampled_from([Patience(), ALONG, AT_ONCE]),
    )
    def choose(self, cache_bytes_max: int, patience: Patience) -> None:
        """Keep nothing, little or everything in memory; sweep seldom, with each call, at once."""
        self.cache_bytes_max = cache_bytes_max
        self.patience = patience
        self.end_and_start_again()

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
