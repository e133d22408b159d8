"""Looks how this q does every few seconds, and tells whoever asks.

So the answer is there already, and a call only writes it down; and it is known since when something
is so, although nobody has asked.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

from qmq.condition import ServerCondition, ServerWarning
from qmq.engine.overseeing import Overseeing
from qmq.observe.access import AccessFigures
from qmq.observe.certificates import Expiries
from qmq.server import exposure
from qmq.server.config import Config
from qmq.server.findings import (
    found_in,
    found_in_access,
    found_in_certificates,
    found_in_config,
    worst_first,
)
from qmq.values import NS_PER_S

#: Seconds from one look to the next.
LOOK_AGAIN_S: Final = 5.0

_log = logging.getLogger(__name__)


class Part(Protocol):
    """What is to be looked at besides the broker: the disk, or a cluster."""

    async def look(self) -> None:
        """Find out how it does; called every `LOOK_AGAIN_S`."""
        ...

    def want(self) -> None:
        """Look more closely for some seconds, since somebody asks."""
        ...

    def add_to(
        self, condition: ServerCondition, overseeing: Overseeing, now_ns: int
    ) -> ServerCondition:
        """Return how the server does, with what is known of this.

        Args:
            condition: what is known without it.
            overseeing: the broker's part, which counts messages.
            now_ns: the machine's time.
        """
        ...


class Watched(Protocol):
    """What is known of the process."""

    @property
    def config(self) -> Config:
        """What holds now."""
        ...

    @property
    def started_ns(self) -> int:
        """When it was started, in nanoseconds since the Unix epoch."""
        ...

    @property
    def expiries(self) -> Expiries:
        """Tells when the certificates in use expire."""
        ...


class Overseer:
    """Knows how a q does, for as long as it serves."""

    def __init__(
        self,
        process: Watched,
        overseeing: Overseeing,
        part: Part | None,
        *,
        access: Callable[[], AccessFigures] | None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Make one that does not look by itself yet.

        Args:
            process: what is known of it.
            overseeing: the broker's part.
            part: the disk or the cluster; None if there is neither.
            access: tells of the access file; None if there is none.
            now_ns: the machine's time.
        """
        self._process = process
        self._overseeing = overseeing
        self._part = part
        self._access = access
        self._now_ns = now_ns
        self._since_ns: dict[tuple[str, str], int] = {}
        self._has_looked = False
        self._looking: asyncio.Task[None] | None = None
        #: What is worth a look, as it was seen last; any thread may ask.
        self.warnings: tuple[ServerWarning, ...] = ()

    def start(self) -> None:
        """Look from now on, in the event loop that runs."""
        self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    async def close(self) -> None:
        """Look no more."""
        if self._looking:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def condition(self) -> ServerCondition:
        """Return how the server does."""
        if self._part:
            self._part.want()
            if not self._has_looked:
                await self._part.look()
        return self._judged(await self._overseeing.condition())

    async def look(self) -> None:
        """Look at everything once."""
        if self._part:
            await self._part.look()
        self._has_looked = True
        self._judged(self._overseeing.glance())

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - Whatever it is, the next look may go well.
                # Nobody is worse off than before for a look that failed.
                _log.exception("cannot look how the server does")
            await asyncio.sleep(LOOK_AGAIN_S)

    def _judged(self, known: ServerCondition) -> ServerCondition:
        """Return what the broker knows with all else, warnings included."""
        now_ns, process = self._now_ns(), self._process
        config = process.config
        listen = exposure.narrowed(config.listen, is_open=config.is_open)
        own = replace(known, started_ns=process.started_ns, address=str(listen))
        condition = self._part.add_to(own, self._overseeing, now_ns) if self._part else own
        self.warnings = worst_first(self._dated(self._found(condition, now_ns), now_ns))
        return replace(condition, warnings=self.warnings)

    def _found(self, condition: ServerCondition, now_ns: int) -> Iterator[ServerWarning]:
        process = self._process
        yield from found_in(condition, now_ns, before=self._since_ns)
        for each in found_in_config(process.config):
            yield replace(each, since_ns=process.started_ns)
        if self._access:
            yield from found_in_access(is_faulty=self._access().is_faulty)
        now = datetime.fromtimestamp(now_ns / NS_PER_S, UTC)
        yield from found_in_certificates(process.expiries(), now)

    def _dated(self, found: Iterator[ServerWarning], now_ns: int) -> list[ServerWarning]:
        """Return warnings with the moments at which they were first seen."""
        dated = [
            replace(each, since_ns=each.since_ns or self._since_ns.get(_key(each), now_ns))
            for each in found
        ]
        self._since_ns = {_key(each): each.since_ns for each in dated}
        return dated


def _key(warning: ServerWarning) -> tuple[str, str]:
    """Return what tells one warning from another."""
    return warning.reason, warning.subject
