"""docs/operations.md names the metrics that a q shows, and no others."""

import re
import urllib.request
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client.parser import text_string_to_metric_families

from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.documents import page, section, spans

#: What a parser takes from the names of samples, and what it adds to them.
_SUFFIXES = re.compile("_(total|bucket|sum|count)$")


def documented() -> Iterator[tuple[str, set[str]]]:
    """List the metrics of the page, each with the labels that stand behind it."""
    for span in spans(section(page("docs/operations.md"), "Metrics")):
        if match := re.fullmatch(r"((?:envoy_http_d|python_|q_|queue_)\w+)(?:\{([\w,]+)\})?", span):
            yield match[1], set(filter(None, (match[2] or "").split(",")))


@pytest.fixture
def worried_q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q that warns, as soon as it has the four queues that it may have."""
    q = RunningQ(tmp_path)
    q.start("--queues-max=4")
    yield q
    q.stop()


def scraped(q: RunningQ) -> str:
    """Get /metrics."""
    with urllib.request.urlopen(f"http://{q.metrics_address}/metrics", timeout=10) as reply:
        text: str = reply.read().decode()
        return text


def shown(q: RunningQ) -> dict[str, set[str]]:
    """Return the metrics of a q that has answered and refused calls, with their labels."""
    settings = {"dead_letter_queue_id": "dead"}
    ending = {"ttl": "9s", "overflow": "DROP_OLDEST"}
    for path, body, status in (
        ("", {"name": "dead"}, 200),
        ("", {"name": "a", "limit": 1, "settings": settings}, 200),
        ("/a", {}, 200),
        ("/a", {}, 429),
        ("/a/messages:lease", {}, 200),
        ("", {"name": "c", "settings": {"bytes_limit": 1_000}}, 200),
        ("/a/pause", {}, 200),
        ("", {"name": "b", "settings": ending}, 200),
        ("/b", {"options": {"dedup_id": "x", "group_id": "g"}}, 200),
    ):
        assert rest(q.address, "POST", f"/v1/queues{path}", body).status == status
    picked = [rest(q.address, "POST", "/v1/queues/c", {}).json["message"]["meta"]["id"]]
    for path, target in (
        ("c/messages:move", {"target_queue_id": "dead"}),
        ("dead/messages:delete", {}),
    ):
        named = {"message_ids": picked, **target}
        assert rest(q.address, "POST", f"/v1/queues/{path}", named).status == 200
    schedule = "/v1/queues/a/schedules/hourly"
    assert rest(q.address, "PUT", schedule, {"interval": "3600s"}).status == 200
    # Whoever asks has it looked at.
    assert rest(q.address, "GET", "/v1/server").status == 200
    with grpc.insecure_channel(q.address) as channel:
        consume: Any = channel.stream_stream("/proto.Q/Consume")
        with pytest.raises(grpc.RpcError):
            next(consume(iter([b""]), timeout=20))
        pop: Any = channel.unary_unary("/proto.Q/Pop")
        request = pb.PopRequest(queue_id="dead", wait=Duration(seconds=60))
        waiting = pop.future(request.SerializeToString(), timeout=60)
        while "queue_waiting_calls{" not in (text := scraped(q)):
            assert not waiting.done()
        waiting.cancel()
    families = text_string_to_metric_families(text)
    found: dict[str, set[str]] = {}
    for sample in chain.from_iterable(family.samples for family in families):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_documented_metrics_are_shown(worried_q: RunningQ) -> None:
    """Each that the page names is there, with the labels that it names."""
    metrics = shown(worried_q)
    # A histogram is shown as its buckets, sum and count.
    metrics |= {_SUFFIXES.sub("", name): labels - {"le"} for name, labels in metrics.items()}

    wanted = [*documented()]
    assert ("queue_errors_total", {"queue", "type"}) in wanted
    for name, labels in wanted:
        assert name in metrics
        assert not labels or labels == metrics[name], name


def test_shown_metrics_are_documented(q_server: RunningQ) -> None:
    """All are on the page, but for each of those about the process."""
    names = {name for name, _ in documented()}

    others = {name for name in shown(q_server) if not name.startswith("process_")}
    assert {name for name in others if not {name, _SUFFIXES.sub("", name)} & names} == set()
