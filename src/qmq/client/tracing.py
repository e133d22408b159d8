"""Spans of OpenTelemetry, for programs that have any: of calls, and of work on messages.

This needs no package, and takes no time where the program has not imported OpenTelemetry's: then
nobody can have begun a span. In a span of the program's, each call is one inside of it, and each
message that is added gets a tag that names it; whoever gets the message is linked to that.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from qmq.client.endings import Release
from qmq.client.errors import QmqError
from qmq.client.values import TagPairs
from qmq.values import Tag
from qmq.wire.tracing import (
    TEXT_TOLD_MAX,
    TRACEPARENT,
    Origin,
    asked,
    operation_kind,
    operation_name,
    origin_in,
    span_name,
    told,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span

#: OpenTelemetry's way of saying that nothing is to be traced for a time.
_SUPPRESSED: Final = "suppress_instrumentation"

#: Whether a call is being traced: one that is made of others is one span.
_IN_CALL: Final = "qmq-call"

Metadata = tuple[tuple[str, str], ...]


class _Call:
    """A call that is being traced."""

    def __init__(self, span: "Span", method: str) -> None:
        self._span = span
        self._method = method

    def note_reply(self, reply: bytes) -> None:
        """Tell of the messages that a reply has."""
        messages = told(self._method, reply)
        if operation_kind(self._method) == "receive":
            self._span.set_attribute("messaging.batch.message_count", messages.number)
            for origin in messages.origins:
                self._span.add_link(_context_of(origin))
        if len(messages.message_ids) == 1:
            self._span.set_attribute("messaging.message.id", messages.message_ids[0])


_NO_CALL: Final[AbstractContextManager[_Call | None]] = nullcontext()
_NO_TAGS: Final[AbstractContextManager[TagPairs]] = nullcontext(())
_NO_WORK: Final[AbstractContextManager[None]] = nullcontext()


def calling(method: str, request: bytes) -> AbstractContextManager[_Call | None]:
    """Make what is done in the block a span, if the program is in one of its own.

    Args:
        method: of the service, such as `Lease`.
        request: encoded.
    """
    trace = _trace()
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        return _NO_CALL
    return _calling(trace, method, request)


def adding(method: str, queue_id: str) -> AbstractContextManager[TagPairs]:
    """Make the block a span, likewise; return the tags that name it, for messages."""
    trace = _trace()
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        return _NO_TAGS
    return _adding(trace, method, queue_id)


def tags_here() -> TagPairs:
    """Return the tags that name the span which the program is in; none if it is in none."""
    trace = _trace()
    return () if trace is None else _tags_of(trace.get_current_span())


def joined(tags: TagPairs, own: TagPairs) -> TagPairs:
    """Return the tags of a message, with those that name its span unless it names one itself."""
    if not own or any(key == TRACEPARENT for key, _ in tags):
        return tags
    return (*tags, *own)


def working(queue_id: str, message_id: str, tags: Iterable[Tag]) -> AbstractContextManager[None]:
    """Make the work on a message a span, linked to where it was added."""
    trace = _trace()
    return _NO_WORK if trace is None else _working(trace, queue_id, message_id, tags)


def with_context(metadata: Metadata) -> Metadata:
    """Return the metadata of a call, with the span that it is made in, if any."""
    if _trace() is None:
        return metadata
    from opentelemetry import propagate  # noqa: PLC0415 - It is there if a part of it is.

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return (*metadata, *carrier.items())


def _trace() -> Any:  # noqa: ANN401 - A module, or None.
    """Return OpenTelemetry, if somebody may have begun a span."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import context, trace  # noqa: PLC0415 - As above.

    return None if context.get_value(_SUPPRESSED) else trace


@contextmanager
def _calling(trace: Any, method: str, request: bytes) -> Iterator[_Call | None]:  # noqa: ANN401 - The module.
    from opentelemetry import context  # noqa: PLC0415

    if span := context.get_value(_IN_CALL):
        # What is told of its messages was told, or is told of its reply.
        yield _Call(trace.get_current_span(), method) if span == method else None
        return
    what = asked(method, request)
    with _span(trace, method, what.queue_id or what.selector) as span:
        if what.messages.number:
            span.set_attribute("messaging.batch.message_count", what.messages.number)
        for origin in what.messages.origins:
            span.add_link(_context_of(origin))
        yield _Call(span, method)


@contextmanager
def _adding(trace: Any, method: str, queue_id: str) -> Iterator[TagPairs]:  # noqa: ANN401 - As above.
    from opentelemetry import context  # noqa: PLC0415

    with _span(trace, method, queue_id) as span:
        token = context.attach(context.set_value(_IN_CALL, method))
        try:
            yield _tags_of(span)
        finally:
            context.detach(token)


@contextmanager
def _span(trace: Any, method: str, queue: str) -> Iterator["Span"]:  # noqa: ANN401 - As above.
    kind = trace.SpanKind.PRODUCER if operation_kind(method) == "send" else trace.SpanKind.CLIENT
    attributes = {
        "messaging.system": "q",
        "messaging.operation.name": operation_name(method),
        "rpc.system": "grpc",
        "rpc.service": "proto.Q",
        "rpc.method": method,
    }
    if operation_kind(method):
        attributes["messaging.operation.type"] = operation_kind(method)
    if queue:
        attributes["messaging.destination.name"] = queue[:TEXT_TOLD_MAX]
    with _tracer(trace).start_as_current_span(
        span_name(method, queue),
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except QmqError as error:
            _note_error(trace, span, error.reason or type(error).__name__, error.message)
            raise
        except BaseException as error:
            _note_error(trace, span, type(error).__name__)
            raise


@contextmanager
def _working(
    trace: Any,  # noqa: ANN401 - As above.
    queue_id: str,
    message_id: str,
    tags: Iterable[Tag],
) -> Iterator[None]:
    origin = origin_in((tag.key, tag.value) for tag in tags)
    with _tracer(trace).start_as_current_span(
        span_name("Process", queue_id),
        kind=trace.SpanKind.CONSUMER,
        attributes={
            "messaging.system": "q",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": queue_id[:TEXT_TOLD_MAX],
            "messaging.message.id": message_id,
        },
        links=[trace.Link(_context_of(origin))] if origin else [],
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Release:
            raise
        except BaseException as error:
            _note_error(trace, span, type(error).__name__)
            raise


def _tracer(trace: Any) -> Any:  # noqa: ANN401 - As above.
    return trace.get_tracer("qmq.client")


def _note_error(trace: Any, span: "Span", kind: str, message: str = "") -> None:  # noqa: ANN401 - As above.
    span.set_attribute("error.type", kind)
    span.set_status(trace.StatusCode.ERROR, message[:TEXT_TOLD_MAX] or None)


def _tags_of(span: "Span") -> TagPairs:
    context = span.get_span_context()
    if not context.is_valid:
        return ()
    text = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return ((TRACEPARENT, text),)


def _context_of(origin: Origin) -> Any:  # noqa: ANN401 - A SpanContext.
    from opentelemetry import trace  # noqa: PLC0415 - As above.

    flags = trace.TraceFlags(origin.flags)
    return trace.SpanContext(origin.trace_id, origin.span_id, is_remote=True, trace_flags=flags)
