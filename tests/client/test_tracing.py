"""What the client tells of traces, in programs that use OpenTelemetry, and in others."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace

import qmq
from qmq.client.tracing import with_context
from qmq.testing import running_broker, running_broker_in_thread

_SPAN = trace.SpanContext(
    trace_id=0x0AF7651916CD43DD8448EB211C80319C,
    span_id=0xB7AD6B7169203331,
    is_remote=False,
    trace_flags=trace.TraceFlags(1),
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"


@contextmanager
def in_a_span() -> Iterator[None]:
    """Be in a span of the program. No provider makes any, so that all others are this one."""
    with trace.use_span(trace.NonRecordingSpan(_SPAN)):
        yield


def named(message: qmq.Message[bytes | str]) -> list[str]:
    """Return what the tags of a message name as the span in which it was added."""
    return [tag.value for tag in message.tags if tag.key == "traceparent"]


def test_what_is_added_in_a_span_names_it() -> None:
    """By each way of adding; what names another span keeps that."""
    with running_broker_in_thread() as (client, _):
        jobs = client.new_queue(name="jobs")
        with in_a_span():
            jobs.add("a")
            jobs.add_batch(["b", qmq.NewMessage("c", tags=(("k", "v"),))])
            with jobs.producer() as producer:
                producer.submit("d")
            client.complete(adds=[(jobs, ["e"])])
            jobs.add("f", tags={"traceparent": OTHER})
        messages = jobs.pop_batch(10)

    assert [named(each) for each in messages] == [*[[TRACEPARENT]] * 5, [OTHER]]
    assert messages[2].tags[0] == qmq.Tag("k", "v")


async def test_what_is_added_in_no_span_is_as_it_was_given() -> None:
    """Also where the program asks not to be traced for a time."""
    async with running_broker() as (client, _):
        jobs = await client.new_queue(name="jobs")
        await jobs.add("a", tags={"k": "v"})
        with in_a_span():
            token = context.attach(context.set_value("suppress_instrumentation", value=True))
            await jobs.add("b", tags={"k": "v"})
            context.detach(token)
        messages = await jobs.pop_batch(2)

    assert [each.tags for each in messages] == [(qmq.Tag("k", "v"),)] * 2


def test_calls_tell_the_span_that_they_are_made_in() -> None:
    """Beside what else there is to tell."""
    token = (("authorization", "Bearer x"),)

    with in_a_span():
        assert with_context(token) == (*token, ("traceparent", TRACEPARENT))
    assert with_context(token) == token


def test_program_without_opentelemetry_does_not_load_it() -> None:
    """It costs nothing there, and need not be installed."""
    program = (
        "import sys, qmq.testing\n"
        "with qmq.testing.running_broker_in_thread() as (client, _):\n"
        "    client.new_queue(name='a').add('x')\n"
        "sys.exit('opentelemetry' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
