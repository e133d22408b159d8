"""Traces: a span of each call, sent to a collector in OpenTelemetry's protocol.

Nothing here is made unless q was told to trace. A call is a child of its caller's span, if the
caller names one, and is traced if that span is; of other calls, a part is traced. A span that hands
out messages is linked to the spans in which they were added, named by their tags.
"""

import importlib.util
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from threading import Thread
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from qmq.errors import ConfigError, QError
from qmq.wire.tracing import (
    TEXT_TOLD_MAX,
    TRACEPARENT,
    Asked,
    Origin,
    Told,
    asked,
    operation_kind,
    operation_name,
    origin_of,
    span_name,
    told,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_Rest = ParamSpec("_Rest")
_Stream = TypeVar("_Stream")

#: What stands for the address in OpenTelemetry's own environment variables.
BY_ENVIRONMENT: Final = "env"

#: Seconds that a shutdown waits for the collector.
_FLUSH_S: Final = 2.0

_TRACEPARENT: Final = TRACEPARENT.encode()
_REQUEST_ID: Final = b"x-request-id"
_HEADERS: Final = frozenset({_TRACEPARENT, b"tracestate", _REQUEST_ID})

#: The flag of a caller's span that says that it is traced.
_SAMPLED: Final = 1


class _Caller(NamedTuple):
    """Who makes a call that is traced."""

    #: With the caller's span, if it has one.
    context: "Context"
    request_id: str


#: Who makes the call that is answered; None if that is not traced.
_CALLER: Final[ContextVar[_Caller | None]] = ContextVar("_CALLER", default=None)


def check_installed() -> None:
    """Refuse to trace without what that takes.

    Raises:
        ConfigError: it is not installed.
    """
    for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc"):
        try:
            is_there = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            is_there = False
        if not is_there:
            raise ConfigError(
                "--traces-to needs more than is installed: pip install qmq[telemetry]"
            )


class Traces:
    """Makes spans of calls, and sends them on, in a thread of its own."""

    def __init__(
        self, provider: "TracerProvider", sample: float, *, code_of: Callable[[QError], int]
    ) -> None:
        """Trace to where a provider sends spans.

        Args:
            provider: of spans, as `provider_to` makes it.
            sample: which part of the calls is traced whose callers do not say, 0 to 1.
            code_of: returns the gRPC status code of an error.
        """
        from importlib.metadata import version  # noqa: PLC0415 - It takes time, and few need it.

        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415

        self._provider = provider
        self._sample = sample
        self._tracer = provider.get_tracer("qmq", version("qmq"))
        self._code_of = code_of
        self._trace = trace
        self._no_caller = Context()
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    def close(self) -> None:
        """Send what is left, and wait for that for two seconds at most."""
        # Its own limits are longer, and it goes on trying to reach a collector that is away.
        ending = Thread(target=self._provider.shutdown, name="end of traces", daemon=True)
        ending.start()
        ending.join(_FLUSH_S)

    def app(self, serve: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Wrap an ASGI application, so that its calls are children of their callers' spans."""

        async def traced(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - As ASGI has it.
            caller = self._caller(scope.get("headers", ()))
            if caller is None:
                await serve(scope, receive, send)
                return
            token = _CALLER.set(caller)
            try:
                await serve(scope, receive, send)
            finally:
                _CALLER.reset(token)

        return traced

    def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> _Caller | None:
        """Return what is known of a caller; None if its call is not to be traced."""
        carrier = {key: value for key, value in headers if key in _HEADERS}
        origin = origin_of(carrier.get(_TRACEPARENT, b"").decode("latin-1"))
        is_sampled = (
            origin.flags & _SAMPLED if origin else random.random() < self._sample  # noqa: S311 - No secret.
        )
        if not is_sampled:
            return None
        context = self._no_caller
        if origin:
            text = {key.decode(): value.decode("latin-1") for key, value in carrier.items()}
            context = self._propagator.extract(text, context)
        return _Caller(context, carrier.get(_REQUEST_ID, b"").decode("latin-1"))

    def watch(
        self,
        methods: Mapping[str, Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]],
        name_of: Callable[[str], str],
    ) -> dict[str, Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]]:
        """Wrap methods, given by their gRPC path, so that each call is a span.

        Args:
            methods: those.
            name_of: returns the name of a queue that is called by name or id; empty if it has
                none, or is not there.
        """
        return {path: self._watched(path, method, name_of) for path, method in methods.items()}

    def watch_streams(
        self, methods: Mapping[str, Callable[[_Stream], AsyncGenerator[list[bytes], None]]]
    ) -> dict[str, Callable[[_Stream], AsyncGenerator[list[bytes], None]]]:
        """Wrap streams likewise; what each hands out is a span of its own, inside of that."""
        return {path: self._watched_stream(path, method) for path, method in methods.items()}

    def _watched(
        self,
        path: str,
        method: Callable[Concatenate[bytes, _Rest], Awaitable[bytes]],
        name_of: Callable[[str], str],
    ) -> Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]:
        name = path.rpartition("/")[2]

        async def traced(data: bytes, /, *args: _Rest.args, **kwargs: _Rest.kwargs) -> bytes:
            caller = _CALLER.get()
            if caller is None:
                return await method(data, *args, **kwargs)
            span = self._begun(name, caller)
            try:
                self._note_request(span, name, asked(name, data), name_of)
                reply = await method(data, *args, **kwargs)
                self._note_messages(span, name, told(name, reply))
            except BaseException as error:
                self._note_error(span, error)
                raise
            else:
                span.set_attribute("rpc.grpc.status_code", 0)
                return reply
            finally:
                span.end()

        return traced

    def _watched_stream(
        self, path: str, method: Callable[[_Stream], AsyncGenerator[list[bytes], None]]
    ) -> Callable[[_Stream], AsyncGenerator[list[bytes], None]]:
        name = path.rpartition("/")[2]

        async def followed(caller: _Caller, requests: _Stream) -> AsyncGenerator[list[bytes], None]:
            span = self._begun(name, caller)
            context = self._trace.set_span_in_context(span, self._no_caller)
            inside = caller._replace(context=context)
            try:
                async with aclosing(method(requests)) as replies:
                    async for together in replies:
                        messages = [told(name, reply) for reply in together]
                        if any(each.number for each in messages):
                            part = self._begun(name, inside)
                            for each in messages:
                                self._note_messages(part, name, each)
                            part.end()
                        yield together
            except GeneratorExit:
                # The client has left, or has ended it.
                raise
            except BaseException as error:
                self._note_error(span, error)
                raise
            finally:
                span.end()

        def traced(requests: _Stream) -> AsyncGenerator[list[bytes], None]:
            caller = _CALLER.get()
            return followed(caller, requests) if caller else method(requests)

        return traced

    def _begun(self, method: str, caller: _Caller) -> "Span":
        attributes = {
            "messaging.system": "q",
            "messaging.operation.name": operation_name(method),
            "rpc.system": "grpc",
            "rpc.service": "proto.Q",
            "rpc.method": method,
        }
        if caller.request_id:
            attributes["q.request.id"] = caller.request_id[:TEXT_TOLD_MAX]
        return self._tracer.start_span(
            operation_name(method),
            caller.context,
            self._trace.SpanKind.SERVER,
            attributes,
        )

    def _note_request(
        self, span: "Span", method: str, request: Asked, name_of: Callable[[str], str]
    ) -> None:
        queue = name_of(request.queue_id) if request.queue_id else ""
        span.update_name(span_name(method, queue))
        attributes: dict[str, str | int] = {}
        if kind := operation_kind(method):
            attributes["messaging.operation.type"] = kind
        if request.queue_id:
            attributes["messaging.destination.name"] = (queue or request.queue_id)[:TEXT_TOLD_MAX]
        if request.selector:
            attributes["q.selector"] = request.selector[:TEXT_TOLD_MAX]
        if request.messages.number:
            attributes["messaging.batch.message_count"] = request.messages.number
        span.set_attributes(attributes)
        parent = getattr(span, "parent", None)
        own = parent.trace_id if parent else 0
        # The caller's own span is its parent, and no link is needed.
        self._link(span, [each for each in request.messages.origins if each.trace_id != own])

    def _note_messages(self, span: "Span", method: str, messages: Told) -> None:
        kind = operation_kind(method)
        if kind == "receive":
            span.set_attribute("messaging.operation.type", kind)
            span.set_attribute("messaging.batch.message_count", messages.number)
            self._link(span, messages.origins)
        if len(messages.message_ids) == 1:
            span.set_attribute("messaging.message.id", messages.message_ids[0])
        elif messages.message_ids:
            span.set_attribute("q.message.ids", messages.message_ids)

    def _link(self, span: "Span", origins: Iterable[Origin]) -> None:
        trace = self._trace
        for each in origins:
            flags = trace.TraceFlags(each.flags)
            span.add_link(
                trace.SpanContext(each.trace_id, each.span_id, is_remote=True, trace_flags=flags)
            )

    def _note_error(self, span: "Span", error: BaseException) -> None:
        status = self._trace.StatusCode.ERROR
        if isinstance(error, QError):
            span.set_attribute("error.type", error.reason)
            span.set_attribute("rpc.grpc.status_code", self._code_of(error))
            span.set_status(status, error.message[:TEXT_TOLD_MAX])
        else:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(status)


def provider_to(url: str) -> "TracerProvider":
    """Make what sends spans to a collector, in batches.

    What OpenTelemetry's own environment variables say holds as well: headers, certificates, the
    name of the service, sizes of batches.

    Args:
        url: of the collector's gRPC port, such as http://localhost:4317; BY_ENVIRONMENT for
            what OTEL_EXPORTER_OTLP_ENDPOINT says.
    """
    from importlib.metadata import version  # noqa: PLC0415 - As above.

    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415

    resource = Resource.create({"service.version": version("qmq")})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "q"}))
    # Calls that are not to be traced do not come so far.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=None if url == BY_ENVIRONMENT else url)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
