"""The network between clients and a server: slow, and it loses requests and replies."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.world.calls import carry_out
from tests.world.history import Op
from tests.world.loop import SimulatedLoop
from tests.world.server import Server

#: Seconds that a request or reply is on its way, on average.
_TRAVELS_S: Final = 2e-3

#: Seconds after which nothing is left of a call that a client has given up.
LINGERS_S: Final = 3.0


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
        self, loop: SimulatedLoop, chance: Random, server: Callable[[], Server | None]
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._server = server
        self.weather = Weather()
        #: How many requests and replies were lost, and how many calls went on without a client.
        self.requests_lost = self.replies_lost = self.left_alone = 0

    async def call(self, op: Op) -> Any:  # noqa: ANN401 - As the broker returns it.
        """Make a call; whoever is cancelled does not know what becomes of it.

        Raises:
            NobodyThere: there is no server.
            Broken: it ended while it had the call.
            QError: it has refused the call.
        """
        reply: asyncio.Future[Any] = self._loop.create_future()
        way = self._loop.create_task(self._carry(op, reply))
        try:
            return await reply
        finally:
            if not way.done():
                # A server hears of a client that has left, or does not.
                if self._chance.random() < 0.5:
                    way.cancel()
                else:
                    self.left_alone += 1
                    self._loop.call_later(LINGERS_S, way.cancel)

    async def _carry(self, op: Op, reply: asyncio.Future[Any]) -> None:
        if not await self._travel():
            self.requests_lost += 1
            return
        server = self._server()
        if server is None:
            await self._travel()
            _answer(reply, NobodyThere())
            return
        answer = server.run(carry_out(server.broker, op))
        try:
            await asyncio.wait((answer, server.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
        if not answer.done() or answer.cancelled():
            _answer(reply, Broken())
            return
        error = answer.exception()
        if not await self._travel():
            self.replies_lost += 1
            return
        _answer(reply, error or answer.result())

    async def _travel(self) -> bool:
        """Be on the way; return whether that leads anywhere."""
        await asyncio.sleep(self._chance.expovariate(1 / _TRAVELS_S) * self.weather.slowness)
        return self._chance.random() >= self.weather.lost


def _answer(reply: asyncio.Future[Any], answer: object) -> None:
    if reply.done():
        return
    if isinstance(answer, BaseException):
        reply.set_exception(answer)
    else:
        reply.set_result(answer)
