"""The standard health service: grpc.health.v1.Health.

See https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from qmq.errors import ServiceNotFound, Unavailable
from qmq.transport.decode import decode
from qmq.transport.methods import Methods


class HealthService:
    """Says whether q serves: yes from its start until it shuts down, but while its store fails."""

    def __init__(self, services: Collection[str]) -> None:
        """Make the service.

        Args:
            services: names of the services whose health may be asked for; the empty
                name, for the server as a whole, is always known.
        """
        #: Whether each of them is healthy.
        self._is_serving = dict.fromkeys(("", *services), True)
        #: Whether q has ended for good.
        self._is_stopped = False
        #: Replaced, and done, at each change.
        self._changed = asyncio.Event()

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            unary={"/grpc.health.v1.Health/Check": self.check},
            streams={"/grpc.health.v1.Health/Watch": self.watch},
        )

    def set_serving(self, *, is_serving: bool, service: str | None = None) -> None:
        """Say so from now on, unless q has stopped for good. To be called in the event loop.

        Args:
            is_serving: whether it is healthy.
            service: which one; None stands for all.
        """
        before = dict(self._is_serving)
        for each in self._is_serving if service is None else (service,):
            self._is_serving[each] = is_serving and not self._is_stopped
        if self._is_serving == before and not self._is_stopped:
            return
        self._changed.set()
        self._changed = asyncio.Event()

    def stop_serving(self) -> None:
        """Say NOT_SERVING for good. To be called in the event loop."""
        self._is_stopped = True
        self.set_serving(is_serving=False)

    def _status(self, service: str) -> str | None:
        is_serving = self._is_serving.get(service)
        if is_serving is None:
            return None
        return "SERVING" if is_serving else "NOT_SERVING"

    async def check(self, data: bytes) -> bytes:
        """Say whether a service is healthy."""
        service = decode(HealthCheckRequest, data).service
        status = self._status(service)
        if status is None:
            raise ServiceNotFound(f"unknown service {service[:200]!r}")
        return _response(status)

    async def watch(self, requests: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
        """Say whether a service is healthy, now and when that changes, until q stops serving."""
        request = decode(HealthCheckRequest, await anext(requests, b""))
        told = ""
        while True:
            changed = self._changed
            status = self._status(request.service) or "SERVICE_UNKNOWN"
            if status != told:
                told = status
                yield [_response(status)]
                # It may have changed while the reply was being sent.
                continue
            if self._is_stopped:
                break
            await changed.wait()
        # Nothing will change any more, and a stream left open would hold up a shutdown.
        raise Unavailable("q has stopped serving; ask again when it has been started anew")


def _response(status: str) -> bytes:
    return HealthCheckResponse(
        status=HealthCheckResponse.ServingStatus.Value(status)
    ).SerializeToString()
