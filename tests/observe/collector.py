"""A collector of OpenTelemetry's, that keeps the spans which it is sent."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

#: Seconds that spans may take to come.
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Seen:
    """A span that has come."""

    #: Of the process that it is of.
    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    #: Trace and span.
    links: list[tuple[str, str]]
    #: 2 stands for an error.
    status: int = field(default=0)

    @property
    def link(self) -> tuple[str, str]:
        """What others say who link to it."""
        return self.trace_id, self.span_id


class Collector(TraceServiceServicer):
    """Takes spans by OTLP over gRPC, as the collectors do that people run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Seen] = []

    def Export(  # noqa: N802 - It is called so.
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        """Keep spans."""
        del context
        with self._lock:
            for group in request.resource_spans:
                resource = {each.key: _value(each.value) for each in group.resource.attributes}
                for scope in group.scope_spans:
                    self._spans += [_seen(str(resource["service.name"]), s) for s in scope.spans]
        return ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Seen]:
        """All that have come, in order of their beginning."""
        with self._lock:
            return sorted(self._spans, key=lambda span: span.start_ns)

    def wait_for(self, holds: Callable[[list[Seen]], bool]) -> list[Seen]:
        """Wait until something holds for the spans, and return them."""
        deadline = time.monotonic() + _PATIENCE_S
        while not holds(self.spans):
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.02)
        return self.spans


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """Run a collector; yield it with its URL."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _seen(service: str, span: Any) -> Seen:  # noqa: ANN401 - Generated without types.
    return Seen(
        service,
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        {each.key: _value(each.value) for each in span.attributes},
        [(each.trace_id.hex(), each.span_id.hex()) for each in span.links],
        span.status.code,
    )


def _value(value: Any) -> Any:  # noqa: ANN401 - Any of OpenTelemetry's.
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
