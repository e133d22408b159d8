"""A gRPC server of the stock library whose one answer the test decides."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


class Peer(grpc.GenericRpcHandler):
    """Answers every method with `answer`, and notes what was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _request, _context: b""
        self.asked: list[tuple[str, bytes]] = []
        self.address = ""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """The handler of one call."""

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.asked.append((details.method, request))
            return self.answer(request, context)

        return grpc.unary_unary_rpc_method_handler(handle)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server on a free port of 127.0.0.1."""
    peer = Peer()
    with ThreadPoolExecutor(max_workers=2) as threads:
        server = grpc.server(threads, handlers=[peer])
        peer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield peer
        server.stop(grace=None).wait()
