"""The standard reflection service, so that stock tools need no .proto file.

See https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. Versions v1 and
v1alpha have the same messages under different names; the wire does not show names.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import cast

from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from qmq.transport.decode import decode
from qmq.transport.streams import StreamMethod

_Answer = Callable[[Iterator[ServerReflectionRequest], None], Iterator[ServerReflectionResponse]]


class ReflectionService:
    """Describes services by their descriptors."""

    def __init__(self, services: Sequence[str]) -> None:
        """Make the service.

        Args:
            services: full names of the services to list.
        """
        self._services = (*services, "grpc.reflection.v1alpha.ServerReflection")
        self._answer: _Answer | None = None

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return the method by its gRPC paths."""
        return {
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": self.info
            for version in ("v1", "v1alpha")
        }

    async def info(self, requests: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
        """Answer each question in turn."""
        if self._answer is None:
            self._answer = await asyncio.to_thread(self._load)
        async for data in requests:
            request = decode(ServerReflectionRequest, data)
            yield [each.SerializeToString() for each in self._answer(iter((request,)), None)]

    def _load(self) -> _Answer:
        # It brings all of grpcio along, which nothing else in the server needs.
        from grpc_reflection.v1alpha.reflection import ReflectionServicer  # noqa: PLC0415

        # It makes no use of the context, so there need not be one.
        return cast("_Answer", ReflectionServicer(self._services).ServerReflectionInfo)
