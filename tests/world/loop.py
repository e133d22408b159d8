"""An event loop with time of its own: nothing waits, and the same seed does the same again.

Time stands still while anything can be done, and jumps to the next timer then. What asyncio
promises nothing about is up to chance: timers ring a little late, so that those of one moment
ring in any order, and what works beside the loop does so whenever it likes, for as long as it
likes. What asyncio does promise, the order of `call_soon`, stays.
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from contextvars import Context
from functools import partial
from random import Random
from typing import Any, Final, TypeVarTuple

#: Seconds by which a timer rings too late, at most.
_LATE_S: Final = 1e-4

#: Seconds after which a worker looks that was called, on average.
_LOOKS_AFTER_S: Final = 2e-4

#: Seconds between two messages to the loop from beside it, at least: they keep their order.
_BETWEEN_S: Final = 1e-9

_Ts = TypeVarTuple("_Ts")


class Stuck(AssertionError):
    """Nothing will ever happen again, and yet somebody waits."""


class _NoFiles(selectors.SelectSelector):
    """Looks at no file; time passes where others would wait for one."""

    now_s: float = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let so much time pass."""
        if timeout is None:
            raise Stuck("no timer is set, and nothing is to be done")
        # A little in any case: a timer of this moment rings only when that is over.
        self.now_s = max(self.now_s + timeout, math.nextafter(self.now_s, math.inf))
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a simulation, in seconds from 0 on."""

    def __init__(self, chance: Random) -> None:
        """Make one; `chance` decides what asyncio does not."""
        self._files = _NoFiles()
        self._chance = chance
        self._told_s = 0.0
        #: By how many seconds what works beside the loop is ahead of it: a turn of it is taken
        #: at once, and what it tells the loop comes when the turn would have been over.
        self.ahead_s = 0.0
        super().__init__(self._files)

    def time(self) -> float:
        """Return the time of the simulation."""
        return self._files.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Ring at a moment, or a little later."""
        late_s = self._chance.random() * _LATE_S
        return super().call_at(when + late_s, callback, *args, context=context)

    def call_exactly_at(
        self, when: float, callback: Callable[[], object], context: Context
    ) -> asyncio.TimerHandle:
        """Ring at a moment, which is no other one's that has to come before or after."""
        return super().call_at(when, callback, context=context)

    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call back when what works beside the loop is as far as that."""
        self._told_s = max(self.time() + self.ahead_s, self._told_s + _BETWEEN_S)
        return super().call_at(self._told_s, callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]  # It runs nothing elsewhere.
        self,
        executor: object,  # noqa: ARG002 - There are no threads.
        func: Callable[..., Any],
        *args: Any,  # noqa: ANN401 - As asyncio has it.
    ) -> asyncio.Future[Any]:
        """Do it at once, and tell when a thread would have done it."""
        done: asyncio.Future[Any] = self.create_future()
        before_s, self.ahead_s = self.ahead_s, 0.0
        try:
            tell = partial(_tell, done, func(*args), None)
        except Exception as error:  # noqa: BLE001 - Whoever waits for it gets it.
            tell = partial(_tell, done, None, error)
        took_s = self.ahead_s + self._chance.expovariate(1 / _LOOKS_AFTER_S)
        self.ahead_s = before_s
        self.call_at(self.time() + took_s, tell)
        return done


def _tell(done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    """Give whoever waits what has come of it, if somebody still does."""
    if done.done():
        return
    if error:
        done.set_exception(error)
    else:
        done.set_result(result)


class SimulatedWorker:
    """A worker that takes its turns in the loop, when chance says. See `Worker` of the store."""

    def __init__(self, loop: SimulatedLoop, chance: Random, turn: Callable[[], bool]) -> None:
        """Begin; `turn` does what there is to do, and returns whether there may be another."""
        self._loop = loop
        self._chance = chance
        self._turn = turn
        self._calls = 0
        self._timer: asyncio.TimerHandle | None = None
        self._busy_until_s = 0.0
        self._has_ended = False

    def call(self) -> None:
        """Take a turn soon."""
        self._calls += 1
        self._plan()

    def end(self) -> None:
        """Take no turns but those that were called for."""

    def join(self) -> None:
        """Take them now."""
        while self._calls and not self._has_ended:
            self._take_turn()
        self.kill()

    def kill(self) -> None:
        """Take no turn any more."""
        self._has_ended = True
        if self._timer:
            self._timer.cancel()

    def _plan(self) -> None:
        if self._calls and not self._timer and not self._has_ended:
            begin_s = max(self._loop.time(), self._busy_until_s)
            after_s = self._chance.expovariate(1 / _LOOKS_AFTER_S)
            self._timer = self._loop.call_at(begin_s + after_s, self._take_turn)

    def _take_turn(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._calls -= 1
        self._loop.ahead_s = 0.0
        self._has_ended = not self._turn() or self._has_ended
        self._busy_until_s = self._loop.time() + self._loop.ahead_s
        self._loop.ahead_s = 0.0
        self._plan()
