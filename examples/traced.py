"""Add a message, lease it and ack it, and let a worker do the same: all of it traced.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 python examples/traced.py QUEUE

Needs opentelemetry-sdk and opentelemetry-exporter-otlp-proto-grpc. QUEUE is a queue's id or name.
The server is the one at QCLI_SERVER, or on this machine; to see its spans as well, it is started
with `q --traces-to http://localhost:4317`.
"""

import os
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import qmq

tracer = trace.get_tracer("shop")


def check_out(orders: qmq.Queue[bytes | str]) -> None:
    """Add an order: part of the trace of whoever has bought something."""
    with tracer.start_as_current_span("check out"):
        orders.add("two umbrellas")


def pack(orders: qmq.Queue[bytes | str]) -> None:
    """Lease an order and ack it: a trace of its own, that is linked to the other."""
    with tracer.start_as_current_span("pack"):
        for order in orders.lease(1):
            order.ack()


def pack_by_worker(orders: qmq.Queue[bytes | str]) -> None:
    """Have a worker call a function with one order: it is in a span already, with such a link."""

    @orders.worker()
    def work(order: qmq.LeasedMessage[bytes | str]) -> None:
        with tracer.start_as_current_span(f"pack {order.text}"):
            work.stop()

    work.run(handle_signals=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - The program and the queue.
        sys.exit(__doc__)
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    with qmq.Client(os.environ.get("QCLI_SERVER", ":10002")) as client:
        queue = client.queue(sys.argv[1])
        # Connects, so that no trace has to.
        queue.info()
        check_out(queue)
        pack(queue)
        check_out(queue)
        pack_by_worker(queue)
    provider.shutdown()
