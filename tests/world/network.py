"""The network between clients and a server: slow, and it loses requests and replies."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final, Protocol

from qmq.clock import Clock
from qmq.engine.broker import Broker
from qmq.engine.waiting import Gone
from tests.world.calls import Calls
from tests.world.history import Op
from tests.world.loop import SimulatedLoop
from tests.world.queues import QueueKind

#: Seconds that a request or reply is on its way, on average.
_TRAVELS_S: Final = 2e-3

#: Seconds after which nothing is left of a call that a client has given up.
LINGERS_S: Final = 10.0


class Serves(Protocol):
    """A server that is there."""

    @property
    def broker(self) -> Broker:
        """What it serves."""
        ...

    @property
    def wall(self) -> Clock:
        """The clock of its machine."""
        ...

    @property
    def ended(self) -> asyncio.Future[None]:
        """Done when it is not there any more."""
        ...

    def run(self, work: Coroutine[Any, Any, Any], /) -> asyncio.Task[Any]:
        """Do something that ends with it."""
        ...


class NobodyThere(Exception):
    """No server has got the call."""


class Broken(Exception):
    """The connection broke while the server had the call."""


@dataclass
class Weather:
    """What the network does to calls."""

    #: The share of requests that are lost, and that of replies.
    lost: float = 0.005
    slowness: float = 1.0


class Network:
    """Carries calls to whichever server there is."""

    def __init__(
        self,
        loop: SimulatedLoop,
        chance: Random,
        kinds: Mapping[str, QueueKind],
        server: Callable[[], Serves | None],
    ) -> None:
        self.loop = loop
        self.chance = chance
        self._kinds = kinds
        #: The server that is there.
        self.server = server
        self.weather = Weather()
        #: Seconds after which nothing is left of a call that a client has given up.
        self.lingers_s = LINGERS_S
        #: Told of each call that a server is to answer, and of what will be its answer.
        self.on_call: Callable[[Serves, Op, asyncio.Task[Any]], object] = lambda *_: None

    async def call(self, op: Op) -> Any:  # noqa: ANN401 - As the broker returns it.
        """Make a call; whoever is cancelled does not know what becomes of it.

        Raises:
            NobodyThere: there is no server.
            Broken: it ended while it had the call.
            QError: it has refused the call.
        """
        reply: asyncio.Future[Any] = self.loop.create_future()
        way = self.loop.create_task(self._carry(op, reply))
        try:
            return await reply
        finally:
            if not way.done():
                self._leave(way)

    def _leave(self, way: asyncio.Task[None]) -> None:
        """Give a call up: a server is told, or asks, or hears nothing of it."""
        if self.chance.random() < 0.5:
            way.cancel()
        else:
            self.loop.call_later(self.lingers_s, way.cancel)

    async def _carry(self, op: Op, reply: asyncio.Future[Any]) -> None:
        if not await self.travel():
            return
        server = self.server()
        if server is None:
            await self.travel()
            _answer(reply, NobodyThere())
            return
        asks = self.chance.random() < 0.5
        calls = self.calls(server)
        answer = server.run(calls.carry_out(op, partial(_has_left, reply, asks=asks)))
        self.on_call(server, op, answer)
        try:
            await asyncio.wait((answer, server.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
        if not answer.done() or answer.cancelled():
            _answer(reply, Broken())
            return
        error = answer.exception()
        if isinstance(error, Gone) or not await self.travel():
            return
        _answer(reply, error or answer.result())

    def calls(self, server: Serves) -> Calls:
        """Return what carries out calls on a server."""
        return Calls(server.broker, self._kinds, server.wall.now_ns)

    async def travel(self) -> bool:
        """Be on the way; return whether that leads anywhere."""
        await asyncio.sleep(self.chance.expovariate(1 / _TRAVELS_S) * self.weather.slowness)
        return self.chance.random() >= self.weather.lost


async def _has_left(reply: asyncio.Future[Any], *, asks: bool) -> bool:
    """Tell whether a client has given its call up, as far as that can be known."""
    return asks and reply.done()


def _answer(reply: asyncio.Future[Any], answer: object) -> None:
    if reply.done():
        return
    if isinstance(answer, BaseException):
        reply.set_exception(answer)
    else:
        reply.set_result(answer)
