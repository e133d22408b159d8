"""A loop in which processes may stand still, as by SIGSTOP, and that connects them to databases."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Protocol, TypeVarTuple, Unpack

from tests.world.loop import SimulatedLoop
from tests.world.owning import OWNER

_Ts = TypeVarTuple("_Ts")

#: Opens a connection to a Unix socket; see `asyncio.AbstractEventLoop.create_unix_connection`.
Connect = Callable[
    [Callable[[], asyncio.Protocol], str],
    Coroutine[Any, Any, tuple[asyncio.Transport, asyncio.Protocol]],
]


class Freezer(Protocol):
    """A process that may stand still."""

    #: Whether it does.
    is_frozen: bool
    #: What is to happen in it as soon as it does not any more, in order.
    deferred: list[Callable[[], object]]


class FreezingLoop(SimulatedLoop):
    """A simulated loop in which nothing happens in a process while that is frozen."""

    #: What opens connections.
    connect: Connect

    async def create_unix_connection(  # type: ignore[override]  # As far as somebody uses it.
        self, make: Callable[[], asyncio.Protocol], path: str, **_: object
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to a database of the world."""
        return await self.connect(make, path)

    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call back soon, or when the process that it belongs to stands still no more."""
        process: Any = context.get(OWNER) if context else OWNER.get()
        if process is None or not process.is_frozen:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        process.deferred.append(partial(self._go_on, handle))
        return handle

    def _go_on(self, handle: asyncio.Handle) -> None:
        if not handle.cancelled():
            # It has a context of its own.
            super().call_soon(handle._run)  # noqa: SLF001

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Ring, or as soon after that as the process that has set the timer goes on."""
        process: Any = context.get(OWNER) if context else OWNER.get()
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        ring = _Ring(self, process, partial(callback, *args), context or copy_context())
        ring.timer = super().call_at(when, ring, context=context)
        return ring.timer

    def call_exactly_at(
        self, when: float, callback: Callable[[], object], context: Context
    ) -> asyncio.TimerHandle:
        """Ring at a moment, or as soon after that as the process goes on to which it belongs."""
        process: Any = context.get(OWNER)
        if process is None:
            return super().call_exactly_at(when, callback, context)
        ring = _Ring(self, process, callback, context)
        ring.timer = super().call_exactly_at(when, ring, context)
        return ring.timer


class _Ring:
    """What a timer does that belongs to a process."""

    timer: asyncio.TimerHandle

    def __init__(
        self,
        loop: FreezingLoop,
        process: Freezer,
        callback: Callable[[], object],
        context: Context,
    ) -> None:
        self._loop = loop
        self._process = process
        self._callback = callback
        self._context = context

    def __call__(self) -> None:
        if self._process.is_frozen:
            self._process.deferred.append(self._go_on)
        else:
            self._callback()

    def _go_on(self) -> None:
        if not self.timer.cancelled():
            self._loop.call_soon(self._callback, context=self._context)
