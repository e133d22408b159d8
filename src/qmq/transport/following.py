"""The service Q at a q that does not lead its cluster, for calls that reach it all the same.

Envoy sends calls on to the leader by itself, see `envoy.forwarding`. Calls that come here were sent
on by another q, or by this one while nobody leads. None of them has any effect. While nobody leads
they wait a moment, and are then sent anew to the new leader.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from qmq.engine.waiting import IsGone
from qmq.errors import NotLeading
from qmq.transport.methods import Methods, UnaryMethod
from qmq.transport.streams import Requests
from qmq.wire import q_pb2

#: Seconds for which a call waits for somebody to lead.
_PATIENCE_S: Final = 3.0

#: Calls that wait so at a time; more are answered at once.
_WAITING_MAX: Final = 10_000


class Following:
    """Answers all methods of the service Q: another q leads, or none does yet."""

    def __init__(self) -> None:
        self._is_led = False
        self._why = "this q has not found out yet who leads the cluster"
        self._count = 0
        #: Replaced, and set, when somebody leads.
        self._led = asyncio.Event()

    def tell(self, why: str, *, is_led: bool) -> None:
        """Say how things are. To be called in the event loop.

        Args:
            why: why this q does not answer, as a sentence without its end.
            is_led: whether a q leads and serves, this one or another, as far as this one knows.
        """
        self._why = why
        self._is_led = is_led
        if is_led:
            self._led.set()
        else:
            self._led.clear()

    def methods(self, tell: UnaryMethod) -> Methods:
        """Return the methods by their gRPC path.

        Args:
            tell: answers GetServer while nobody leads: then most of all people want to know why.
        """

        async def get_server(request: bytes, is_gone: IsGone, limit_s: float | None) -> bytes:
            return await (
                self._refuse(request, is_gone, limit_s) if self._is_led else tell(request)
            )

        refusing = dict.fromkeys(service_paths(are_streams=False), self._refuse)
        return Methods(
            waiting={**refusing, "/proto.Q/GetServer": get_server},
            streams=dict.fromkeys(service_paths(are_streams=True), self._refuse_stream),
        )

    async def _refuse(self, _request: bytes, _is_gone: IsGone, limit_s: float | None) -> bytes:
        patience_s = _PATIENCE_S if limit_s is None else min(limit_s, _PATIENCE_S)
        if not self._is_led and self._count < _WAITING_MAX:
            self._count += 1
            try:
                async with asyncio.timeout(patience_s):
                    await self._led.wait()
            except TimeoutError:
                pass
            finally:
                self._count -= 1
        raise NotLeading.of_idle(self._why, ask_again=self._is_led)

    async def _refuse_stream(self, _requests: Requests) -> AsyncGenerator[list[bytes], None]:
        await self._refuse(b"", _stays, None)
        yield []


async def _stays() -> bool:
    return False


def service_paths(*, are_streams: bool | None = None) -> list[str]:
    """List the methods of the service Q by their gRPC paths: all, streams only, or the others."""
    service = q_pb2.DESCRIPTOR.services_by_name["Q"]
    return [
        f"/{service.full_name}/{method.name}"
        for method in service.methods
        if are_streams is None or method.server_streaming is are_streams
    ]
