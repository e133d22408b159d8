"""Traces of a real q and a real client, as a collector of OpenTelemetry's gets them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import qmq
from qmq.wire import q_pb2 as pb
from tests.acceptance.running import RunningQ, environment
from tests.acceptance.stock import connected
from tests.observe.collector import Collector, Seen, collecting

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
ERROR = 2

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningQ, Collector, str]]:
    """A q that traces every call, the collector that it sends spans to, and its URL."""
    with collecting() as (collector, url):
        q = RunningQ(tmp_path_factory.mktemp("traced"))
        # Spans are sent at once, rather than every five seconds.
        q.start(f"--traces-to={url}", "--traces-sample=1", OTEL_BSP_SCHEDULE_DELAY="50")
        yield q, collector, url
        q.stop()


def named(spans: list[Seen], name: str, service: str = "q") -> list[Seen]:
    """Return the spans of a name."""
    return [span for span in spans if (span.name, span.service) == (name, service)]


def call(q: RunningQ, method: str, request: Any, *metadata: tuple[str, str]) -> bytes:  # noqa: ANN401 - One of several messages.
    """Make a gRPC call with more metadata."""
    with grpc.insecure_channel(q.address) as channel:
        unary: Any = channel.unary_unary(f"/proto.Q/{method}")
        reply: bytes = unary(request.SerializeToString(), metadata=metadata, timeout=20)
        return reply


def run_example(q: RunningQ, url: str, queue: str) -> None:
    """Run examples/traced.py."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "QCLI_SERVER": q.address}
    example = Path(__file__).parent.parent.parent / "examples" / "traced.py"
    subprocess.run(
        [sys.executable, example, queue], env=environment(**variables), check=True, timeout=60
    )


def test_a_message_is_followed_from_add_to_ack(traced: tuple[RunningQ, Collector, str]) -> None:
    """Client and server are in one trace; who gets the message is linked to who added it."""
    q, collector, url = traced
    with qmq.Client(q.address) as client:
        client.ensure_queue("orders")

    run_example(q, url, "orders")

    spans = collector.wait_for(lambda spans: len(named(spans, "ack orders")) >= 2)
    adds, server_adds = (named(spans, "add orders", service) for service in ("shop", "q"))
    [lease], [ack] = (named(spans, f"{name} orders", "shop") for name in ("lease", "ack"))
    [process] = named(spans, "process orders", "shop")
    check_outs, [pack] = named(spans, "check out", "shop"), named(spans, "pack", "shop")
    assert [add.parent_id for add in adds] == [each.span_id for each in check_outs]
    assert [add.parent_id for add in server_adds] == [each.span_id for each in adds]
    assert {add.trace_id for add in server_adds} == {each.trace_id for each in check_outs}
    assert lease.parent_id == ack.parent_id == pack.span_id
    [server_lease] = [each for each in named(spans, "lease orders") if each.parent_id]
    assert server_lease.parent_id == lease.span_id
    assert lease.links == server_lease.links == [adds[0].link]
    assert process.links == [adds[1].link]
    assert [each.name for each in spans if each.parent_id == process.span_id] == [
        "pack two umbrellas"
    ]
    kinds = [each.kind for each in (adds[0], server_adds[0], lease, ack, process)]
    assert kinds == [PRODUCER, SERVER, CLIENT, CLIENT, CONSUMER]
    assert (
        server_adds[0].attributes["messaging.message.id"]
        == (server_lease.attributes["messaging.message.id"])
    )


def test_spans_tell_what_is_done_and_never_payloads(
    traced: tuple[RunningQ, Collector, str],
) -> None:
    """The names are those of OpenTelemetry's conventions."""
    q, collector, _ = traced
    with qmq.Client(q.address) as client:
        client.ensure_queue("told").add("not for others")
    pop = pb.PopRequest(queue_id="told")
    call(q, "Pop", pop, ("traceparent", TRACEPARENT), ("x-request-id", "mine"))
    with pytest.raises(grpc.RpcError):
        call(q, "Pop", pop)

    spans = collector.wait_for(lambda spans: len(named(spans, "pop told")) == 2)
    popped, empty = named(spans, "pop told")
    assert (popped.trace_id, popped.parent_id) == (TRACE, SPAN)
    assert popped.attributes.pop("messaging.message.id")
    assert popped.attributes == {
        "messaging.system": "q",
        "messaging.operation.name": "pop",
        "messaging.operation.type": "receive",
        "messaging.destination.name": "told",
        "messaging.batch.message_count": 1,
        "rpc.system": "grpc",
        "rpc.service": "proto.Q",
        "rpc.method": "Pop",
        "rpc.grpc.status_code": 0,
        "q.request.id": "mine",
    }
    assert not empty.parent_id
    assert (empty.status, empty.attributes["error.type"]) == (ERROR, "QUEUE_EMPTY")
    assert empty.attributes["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert "not for others" not in str(spans)


def test_tags_come_back_as_they_were_given(traced: tuple[RunningQ, Collector, str]) -> None:
    """The server adds none, whatever the caller's metadata; a tag of anybody's is a link."""
    q, collector, _ = traced
    with connected(q.address) as client:
        queue_id = client.made(name="verbatim")
    plain = pb.AddRequest(queue_id=queue_id, message=pb.NewMessage(payload=b"x"))
    tagged = pb.AddRequest(
        queue_id=queue_id,
        message=pb.NewMessage(tags=[pb.Tag(key="traceparent", value=TRACEPARENT)]),
    )
    call(q, "Add", plain, ("traceparent", TRACEPARENT))
    call(q, "Add", tagged)
    request = pb.PopBatchRequest(queue_id=queue_id, messages_max=2)
    reply = pb.PopBatchResponse.FromString(call(q, "PopBatch", request))

    assert [[(t.key, t.value) for t in each.meta.tags] for each in reply.messages] == [
        [],
        [("traceparent", TRACEPARENT)],
    ]
    spans = collector.wait_for(lambda spans: bool(named(spans, "pop_batch verbatim")))
    [popped] = named(spans, "pop_batch verbatim")
    assert popped.links == [(TRACE, SPAN)]
    assert len(popped.attributes["q.message.ids"]) == 2


def test_callers_that_are_not_sampled_are_not_traced(
    traced: tuple[RunningQ, Collector, str],
) -> None:
    """They have decided, for all who take part."""
    q, collector, _ = traced
    with connected(q.address) as client:
        client.made(name="sampled")
    peek = pb.StatsRequest(queue_id="sampled")
    call(q, "Stats", peek, ("traceparent", TRACEPARENT[:-1] + "0"))
    call(q, "Stats", peek, ("traceparent", TRACEPARENT))

    spans = collector.wait_for(lambda spans: bool(named(spans, "stats sampled")))
    assert len(named(spans, "stats sampled")) == 1


def test_stream_is_a_span_with_one_for_each_batch(
    traced: tuple[RunningQ, Collector, str],
) -> None:
    """Those are linked to where the messages were added."""
    q, collector, _ = traced
    with connected(q.address) as client:
        queue_id = client.made()
    tags = [pb.Tag(key="traceparent", value=TRACEPARENT)]
    call(q, "Add", pb.AddRequest(queue_id=queue_id, message=pb.NewMessage(tags=tags)))
    first = pb.ConsumeRequest(open=pb.ConsumeRequest.Open(queue_id=queue_id, credit=1))
    done = threading.Event()

    def requests() -> Iterator[bytes]:
        yield first.SerializeToString()
        done.wait()

    with grpc.insecure_channel(q.address) as channel:
        consume: Any = channel.stream_stream("/proto.Q/Consume")
        stream = consume(requests(), timeout=20)
        next(stream)
        done.set()
        assert not [*stream]

    def both(spans: list[Seen]) -> bool:
        return len(named(spans, "consume")) == 2

    whole, batch = named(collector.wait_for(both), "consume")
    assert batch.parent_id == whole.span_id
    assert batch.links == [(TRACE, SPAN)]


def test_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    """Calls are answered, and q ends, soon."""
    q = RunningQ(tmp_path)
    q.start("--traces-to=http://127.0.0.1:1", "--traces-sample=1")
    with qmq.Client(q.address) as client:
        client.ensure_queue("orders").add("x")

    q.stop()

    assert '"msg": "stopped"' in q.log
