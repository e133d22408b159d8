"""The standard health service: grpc.health.v1.Health.

See https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from qmq.errors import ServiceNotFound, Unavailable
from qmq.transport.decode import decode
from qmq.transport.grpc import StreamMethod, UnaryMethod


class HealthService:
    """Says whether q serves: yes from its start until it shuts down or its store fails."""

    def __init__(self, services: Collection[str]) -> None:
        """Make the service.

        Args:
            services: names of the services whose health may be asked for; the empty
                name, for the server as a whole, is always known.
        """
        self._services = {"", *services}
        self._stopped = asyncio.Event()

    def unary_methods(self) -> dict[str, UnaryMethod]:
        """Return the method of one reply by its gRPC path."""
        return {"/grpc.health.v1.Health/Check": self.check}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return the streaming method by its gRPC path."""
        return {"/grpc.health.v1.Health/Watch": self.watch}

    def stop_serving(self) -> None:
        """Say NOT_SERVING from now on. To be called in the event loop."""
        self._stopped.set()

    async def check(self, data: bytes) -> bytes:
        """Say whether a service is healthy."""
        service = decode(HealthCheckRequest, data).service
        if service not in self._services:
            raise ServiceNotFound(f"unknown service {service[:200]!r}")
        return _response("NOT_SERVING" if self._stopped.is_set() else "SERVING")

    async def watch(self, requests: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
        """Say whether a service is healthy, now and when that changes, until q stops serving."""
        request = decode(HealthCheckRequest, await anext(requests, b""))
        if request.service not in self._services:
            yield [_response("SERVICE_UNKNOWN")]
            await self._stopped.wait()
        else:
            if not self._stopped.is_set():
                yield [_response("SERVING")]
                await self._stopped.wait()
            yield [_response("NOT_SERVING")]
        # Nothing will change any more, and a stream left open would hold up a shutdown.
        raise Unavailable("q has stopped serving; ask again when it has been started anew")


def _response(status: str) -> bytes:
    return HealthCheckResponse(
        status=HealthCheckResponse.ServingStatus.Value(status)
    ).SerializeToString()
