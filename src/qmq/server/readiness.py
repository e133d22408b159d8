"""Whether q is alive and ready to serve, and why not: the answers to probes."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Final, NamedTuple, Protocol

from qmq.errors import QError
from qmq.store.local.figures import DiskFigures

#: Says what is wrong with a part of q, in a sentence; empty if nothing is. Any thread may ask.
Look = Callable[[], str]

#: What is said of a part that is well.
_WELL: Final = "ok"

#: Seconds that the event loop may take to answer, and a disk to do a commit, before q is taken to
#: hang.
_ANSWER_S: Final = 5.0
_COMMIT_S: Final = 10.0


class Probe(NamedTuple):
    """What a probe is told."""

    is_well: bool
    body: bytes


class Probes:
    """Answers probes, from what each part of q says of itself."""

    def __init__(self, loop: Callable[[], asyncio.AbstractEventLoop | None]) -> None:
        """Begin with no parts.

        Args:
            loop: returns the event loop that serves calls; None where Envoy alone does, or
                as long as there is none.
        """
        self._loop = loop
        self._looks: dict[str, Look] = {}
        self._is_draining = False

    def watch(self, part: str, look: Look) -> None:
        """Have q be ready only while a part of it is well."""
        self._looks[part] = look

    def drain(self) -> None:
        """Say from now on that q is not ready, since it is shutting down."""
        self._is_draining = True

    async def alive(self) -> Probe:
        """Tell whether q does anything at all: 200 unless its event loop hangs."""
        return _probe("alive", {"event_loop": await self._loop_trouble()})

    async def ready(self) -> Probe:
        """Tell whether calls are of use: all parts are well, and q is not shutting down."""
        troubles = {"event_loop": await self._loop_trouble()}
        # Looked at in one step: a cluster adds parts while it runs.
        troubles |= {part: look() for part, look in list(self._looks.items())}
        troubles["shutdown"] = "q is shutting down" if self._is_draining else ""
        return _probe("ready", troubles)

    async def _loop_trouble(self) -> str:
        loop = self._loop()
        if loop is None or loop.is_closed():
            return ""
        answer: Awaitable[None] = asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(_answer(), loop)
        )
        try:
            async with asyncio.timeout(_ANSWER_S):
                await answer
        except TimeoutError:
            return f"the event loop has not answered for {_ANSWER_S:g} seconds"
        return ""


class Disk(Protocol):
    """What is known of the DISK store."""

    @property
    def refusal(self) -> QError | None:
        """Why nothing can be changed now; None if all is well."""
        ...

    def figures(self) -> DiskFigures:
        """How the disk does, at this moment."""
        ...


class DiskLook:
    """Tells whether the DISK store answers, and whether its last sync was sound."""

    def __init__(self, disk: Disk, now_s: Callable[[], float] = monotonic) -> None:
        self._disk = disk
        self._now_s = now_s
        #: How many commits there were when that last changed, or nothing was under way; and when.
        self._commits = -1
        self._since_s = now_s()

    def __call__(self) -> str:
        """Say what is wrong, if anything is."""
        refusal = self._disk.refusal
        if refusal:
            return refusal.message
        figures, now_s = self._disk.figures(), self._now_s()
        if figures.commits.count != self._commits or not figures.under_way:
            self._commits, self._since_s = figures.commits.count, now_s
        elif now_s - self._since_s >= _COMMIT_S:
            return (
                f"the disk has been at one commit for {now_s - self._since_s:.0f} seconds, and"
                " calls wait for it"
            )
        return ""


async def _answer() -> None:
    """Do nothing, which is enough of an answer."""


def _probe(name: str, troubles: Mapping[str, str]) -> Probe:
    is_well = not any(troubles.values())
    checks = {part: trouble or _WELL for part, trouble in troubles.items()}
    return Probe(is_well, json.dumps({name: is_well, "checks": checks}).encode() + b"\n")
