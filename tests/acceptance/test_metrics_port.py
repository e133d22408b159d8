"""The metrics port: what q shows to those who run it."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client.parser import text_string_to_metric_families

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import Http2Client, frame
from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient, connected, refused

#: The original's three, by name: help and labels.
ORIGINALS = {
    "queue_messages_enqueued": ("Number of queued messages.", {"queue"}),
    "queue_messages_consumed": ("Number of consumed messages.", {"queue"}),
    "queue_errors": (
        "Number of errors encountered while enqueuing or consuming messages.",
        {"queue", "type"},
    ),
}

STATES = ("ready", "leased", "delayed")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(q: RunningQ) -> RestReply:
    """Get /metrics."""
    reply = rest(q.metrics_address, "GET", "/metrics", headers={})
    assert reply.status == 200
    return reply


def samples(q: RunningQ, **labels: str) -> Samples:
    """The values whose labels include these, by name and the other labels."""
    return {
        (sample.name, frozenset(sample.labels.items() - labels.items())): sample.value
        for family in text_string_to_metric_families(scrape(q).body.decode())
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def only(**labels: str) -> frozenset[tuple[str, str]]:
    """Labels as keys of `samples` have them."""
    return frozenset(labels.items())


def test_metrics_are_prometheus_text(shared_q: RunningQ) -> None:
    """The content type is the original's."""
    content_type = scrape(shared_q).headers["content-type"]

    assert content_type.startswith("text/plain; version=0.0.4")


def test_originals_metrics_are_there(shared_q: RunningQ, client: StockClient) -> None:
    """Names, types, help and labels of the original's counters are as they were."""
    queue_id = client.made()
    client.put(queue_id, b"x")
    client.drain(queue_id)

    families = {
        family.name: family
        for family in text_string_to_metric_families(scrape(shared_q).body.decode())
    }

    for name, (text, labels) in ORIGINALS.items():
        family = families[name]
        assert (family.type, family.documentation) == ("counter", text)
        assert {sample.name for sample in family.samples} == {f"{name}_total"}
        assert all(set(sample.labels) == labels for sample in family.samples)


def test_process_is_measured(shared_q: RunningQ) -> None:
    """The process metrics that the original had are there; they are of q."""
    found = samples(shared_q)

    for name in (
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    ):
        assert found[name, only()] > 0
    assert 20e6 < found["process_resident_memory_bytes", only()] < 1e9


def test_calls_on_a_queue_are_counted(shared_q: RunningQ, client: StockClient) -> None:
    """Messages in and out and refusals are counted; how many there are is shown."""
    queue_id = client.made(limit=2)
    client.put(queue_id, b"1", b"2")
    refused(client.add, queue_id=queue_id)
    client.pop(queue_id=queue_id)
    client.peek(queue_id=queue_id)
    one_in = samples(shared_q, queue=queue_id)
    client.pop(queue_id=queue_id)
    refused(client.pop, queue_id=queue_id)
    refused(client.peek, queue_id=queue_id)
    empty = samples(shared_q, queue=queue_id)

    assert one_in["queue_messages", only(state="ready")] == 1
    assert 0 < one_in["queue_oldest_message_age_seconds", only()] < 20
    assert ("queue_errors_total", only(type="NotFound")) not in one_in
    assert empty["queue_messages_enqueued_total", only()] == 2
    assert empty["queue_messages_consumed_total", only()] == 2
    assert empty["queue_errors_total", only(type="Full")] == 1
    assert empty["queue_errors_total", only(type="NotFound")] == 2
    assert empty["queue_messages", only(state="ready")] == 0
    assert empty["queue_oldest_message_age_seconds", only()] == 0


def test_deliveries_are_measured(shared_q: RunningQ, client: StockClient) -> None:
    """Where messages on lease are, and what has become of them."""
    dead_id = client.made()
    queue_id = client.made(settings=pb.QueueSettings(dead_letter_queue_id=dead_id))
    client.put(queue_id, *[b"x"] * 6)
    before = samples(shared_q, queue=queue_id)

    def nack(lease_ids: list[str], **fields: Any) -> None:  # noqa: ANN401 - As the message has them.
        client.nack(queue_id=queue_id, lease_ids=lease_ids, **fields)

    held = [each.lease_id for each in client.lease(queue_id=queue_id, messages_max=5).messages]
    client.ack(queue_id=queue_id, lease_ids=held[:1])
    nack(held[1:2], kind=pb.NackRequest.REJECT)
    nack(held[2:3], kind=pb.NackRequest.FAIL, delay=Duration(seconds=600))
    nack(held[3:4], kind=pb.NackRequest.RELEASE)
    client.lease(queue_id=queue_id)
    client.pause(queue_id=queue_id)
    found = samples(shared_q, queue=queue_id)

    assert {state: found["queue_messages", only(state=state)] for state in STATES} == {
        "ready": 1,
        "leased": 2,
        "delayed": 1,
    }
    assert found["queue_messages_acked_total", only()] == 1
    assert found["queue_redeliveries_total", only()] == 1
    assert found["queue_dead_lettered_total", only(reason="rejected")] == 1
    assert found["queue_dead_lettered_total", only(reason="delivery_count_max")] == 0
    assert found["queue_paused", only()] == 1
    assert before["queue_dead_lettered_total", only(reason="rejected")] == 0
    assert {name for name, _ in found} - {name for name, _ in before} == {
        "queue_messages_acked_total",
        "queue_redeliveries_total",
        "queue_paused",
    }


def test_metrics_of_a_queue_go_with_it(shared_q: RunningQ, client: StockClient) -> None:
    """A deleted queue has no lines: the original kept them for ever."""
    queue_id = client.made(pb.Queue.DISK)
    client.put(queue_id, b"x")
    refused(client.get_queue, queue_id=UNKNOWN_ID)
    assert samples(shared_q, queue=queue_id)

    client.delete_queue(queue_id=queue_id)

    assert samples(shared_q, queue=queue_id) == {}


def test_counts_of_a_disk_queue_start_anew(q_server: RunningQ) -> None:
    """Counters begin at zero with the process, as counters do; what is stored is shown."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK, name="orders")
        client.put(queue_id, b"1", b"2")
    q_server.stop()
    q_server.start()

    found = samples(q_server, queue=queue_id)

    assert found["queue_messages_enqueued_total", only()] == 0
    assert found["queue_messages", only(state="ready")] == 2
    assert found["queue_oldest_message_age_seconds", only()] > 0
    assert found["queue_info", only(name="orders", store="DISK")] == 1


def test_calls_on_unknown_queues_are_counted(q_server: RunningQ) -> None:
    """The original counted them nowhere; here they have no queue's label, but a count."""
    with connected(q_server.address) as client:
        for _ in range(3):
            refused(client.pop, queue_id=UNKNOWN_ID)

    found = samples(q_server)

    labels = only(method="Pop", reason="QUEUE_NOT_FOUND")
    assert found["q_call_failures_total", labels] == 3
    assert found["q_call_duration_seconds_count", only(method="Pop")] == 3
    assert not any(name.startswith("queue_errors") for name, _ in found)


def test_network_is_measured(q_server: RunningQ) -> None:
    """Connections and requests, in total and at this moment, come from Envoy."""
    with connected(q_server.address) as client:
        for _ in range(5):
            client.list_queues()
        found = samples(q_server, envoy_http_conn_manager_prefix="q")

    assert found["envoy_http_downstream_rq_total", only()] == 5
    assert found["envoy_http_downstream_cx_active", only()] == 1
    assert found["envoy_http_downstream_rq_active", only()] == 0


def test_cancelled_stream_leaves_the_count(q_server: RunningQ) -> None:
    """A request whose client has gone is soon no longer in flight."""
    with Http2Client(q_server.address) as raw:
        stream = raw.open("/grpc.health.v1.Health/Watch")
        raw.send(stream, frame(b""), end=True)
        raw.messages(stream, 1)
        watching = samples(q_server, envoy_http_conn_manager_prefix="q")
        raw.reset(stream)
        deadline = time.monotonic() + 60
        while samples(q_server, envoy_http_conn_manager_prefix="q")[
            "envoy_http_downstream_rq_active", only()
        ]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert watching["envoy_http_downstream_rq_active", only()] == 1


def test_two_thousand_queues_are_scraped_at_once(q_server: RunningQ) -> None:
    """By q's processor: a scrape stays quick however many queues there are."""
    with connected(q_server.address) as client, ThreadPoolExecutor(16) as threads:
        made = set(threads.map(lambda _: client.made(), range(2_000)))
    scrape(q_server)

    before_s = q_server.cpu_s
    body = scrape(q_server).body
    took_s = q_server.cpu_s - before_s

    assert body.count(b"queue_messages_enqueued_total{") == len(made) == 2_000
    assert took_s < 0.3


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/metrics/", 404, None),
        ("GET", "/v1/queues", 404, None),
        ("POST", "/metrics", 405, "GET"),
        ("GET", "/quitquitquit", 405, "POST"),
        ("PUT", "/quitquitquit", 405, "POST"),
    ],
)
def test_other_requests_are_refused(
    shared_q: RunningQ, method: str, path: str, status: int, allow: str | None
) -> None:
    """An unknown path is 404, a wrong method 405; no GET ends the process."""
    reply = rest(shared_q.metrics_address, method, path, headers={})

    assert (reply.status, reply.headers.get("allow")) == (status, allow)
    assert reply.headers["content-type"].startswith("text/plain")
