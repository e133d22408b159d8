"""Standard health and reflection, as stock tools use them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc_requests  # type: ignore[import-untyped]
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import GRPC, Http2Client, Reply, frame
from tests.acceptance.running import DRAIN_S, RunningQ, environment, program
from tests.acceptance.stock import StockClient

Code = grpc.StatusCode

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING

WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
LIST_SERVICES = frame(reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString())


def health(channel: grpc.Channel) -> Any:  # noqa: ANN401
    """The standard client, whose methods have no types."""
    return health_pb2_grpc.HealthStub(channel)


def statuses(reply: Reply) -> list[int]:
    """The statuses in the messages of a Watch."""
    return [HealthCheckResponse.FromString(message).status for message in reply.messages]


@pytest.mark.parametrize("service", ["", "proto.Q", "grpc.health.v1.Health"])
def test_health_of_a_service_is_told(client: StockClient, service: str) -> None:
    """The standard client finds the server and each of its services in health."""
    assert (
        health(client.channel).Check(health_pb2.HealthCheckRequest(service=service)).status
        == SERVING
    )


def test_health_of_an_unknown_service_is_not_known(client: StockClient) -> None:
    """Check is NOT_FOUND; Watch says so and stays, since the service might come."""
    stub = health(client.channel)
    request = health_pb2.HealthCheckRequest(service="nope")

    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(request)
    watch = stub.Watch(request)
    seen = next(watch).status
    watch.cancel()

    assert caught.value.code() == Code.NOT_FOUND
    assert seen == HealthCheckResponse.SERVICE_UNKNOWN


def test_watcher_sees_q_stop_serving(q_server: RunningQ) -> None:
    """Watch says SERVING, then NOT_SERVING when q is told to end, and does not hold it up."""
    with grpc.insecure_channel(q_server.address) as channel:
        watch = health(channel).Watch(health_pb2.HealthCheckRequest())
        seen = [next(watch).status]
        start = time.monotonic()
        q_server.stop()
        took_s = time.monotonic() - start
        seen.append(next(watch).status)
        with pytest.raises(grpc.RpcError) as caught:
            next(watch)

    assert caught.value.code() == Code.UNAVAILABLE
    assert seen == [SERVING, NOT_SERVING]
    assert took_s < DRAIN_S


def ended_by_data(raw: Http2Client, stream: int) -> None:
    """End the request with an empty frame."""
    raw.send(stream, b"", end=True)


def ended_by_trailers(raw: Http2Client, stream: int) -> None:
    """End the request with trailers."""
    raw.end(stream, [("x", "y")])


def not_ended(_: Http2Client, __: int) -> None:
    """Leave the request open."""


Ending = Callable[[Http2Client, int], None]
ENDINGS = pytest.mark.parametrize("ending", [ended_by_data, ended_by_trailers, not_ended])


@ENDINGS
def test_watching_costs_nothing(shared_q: RunningQ, ending: Ending) -> None:
    """20 watchers that wait take next to no processor time, however they ended their side."""
    with Http2Client(shared_q.address) as raw:
        for _ in range(20):
            stream = raw.open(WATCH)
            raw.send(stream, frame(b""))
            ending(raw, stream)
            raw.messages(stream, 1)
        before_s = shared_q.cpu_s
        time.sleep(1.0)

        assert shared_q.cpu_s - before_s < 0.3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_watch_without_request_is_of_the_server(shared_q: RunningQ, method: str) -> None:
    """A request of headers alone is an empty one, and holds up nobody."""
    with Http2Client(shared_q.address) as raw:
        stream = raw.open(WATCH, method=method, end=True)
        raw.messages(stream, 1)

        assert statuses(raw.replies[stream]) == [SERVING]
        assert raw.call("/proto.Q/ListQueues").code == 0


@ENDINGS
def test_watcher_that_leaves_is_noticed(q_server: RunningQ, ending: Ending) -> None:
    """A stream that its client has cancelled, or whose client is gone, does not hold up the end."""
    with Http2Client(q_server.address) as stays:
        with Http2Client(q_server.address) as goes:
            for raw in (stays, goes):
                stream = raw.open(WATCH)
                raw.send(stream, frame(b""))
                ending(raw, stream)
                raw.messages(stream, 1)
        stays.reset(1)
        stays.ping()
        start = time.monotonic()
        q_server.stop()

    assert time.monotonic() - start < DRAIN_S
    assert "cut off" not in q_server.log
    assert '"error"' not in q_server.log


def test_signal_reaches_watchers_before_the_end(q_server: RunningQ) -> None:
    """While a call is still in flight, watchers know already that q stops serving."""
    with Http2Client(q_server.address) as raw:
        watch, slow = raw.open(WATCH), raw.open("/proto.Q/ListQueues")
        raw.send(watch, frame(b""), end=True)
        raw.send(slow, frame(b"")[:2])
        raw.messages(watch, 1)
        os.kill(q_server.pid, signal.SIGTERM)
        raw.messages(watch, 2)
        raw.send(slow, frame(b"")[2:], end=True)

        assert statuses(raw.reply(watch)) == [SERVING, NOT_SERVING]
        assert raw.reply(slow).code == 0
    assert q_server.wait() == 0


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_services_are_listed(shared_q: RunningQ, version: str) -> None:
    """Both versions of reflection answer question by question on one stream."""
    with Http2Client(shared_q.address) as raw:
        stream = raw.open(REFLECT.format(version))
        for count in (1, 2, 3):
            raw.send(stream, LIST_SERVICES)
            raw.messages(stream, count)
        raw.send(stream, b"", end=True)
        reply = raw.reply(stream)

    answer = reflection_pb2.ServerReflectionResponse.FromString(reply.messages[-1])
    names = {service.name for service in answer.list_services_response.service}
    assert (reply.code, len(reply.messages)) == (0, 3)
    assert names >= {"proto.Q", "grpc.health.v1.Health"}


def test_questions_may_come_all_at_once(shared_q: RunningQ) -> None:
    """More questions than q holds at a time are all answered, in order."""
    count = 200
    with Http2Client(shared_q.address) as raw:
        reply = raw.call(REFLECT.format("v1"), LIST_SERVICES * count, GRPC)

    assert (reply.code, len(reply.messages)) == (0, count)


def test_streams_take_turns(shared_q: RunningQ) -> None:
    """Two streams of one connection and unary calls are answered as they come, interleaved."""
    with Http2Client(shared_q.address) as raw:
        first, second = (raw.open(REFLECT.format("v1")) for _ in range(2))
        for count in range(1, 6):
            raw.send(first, LIST_SERVICES)
            raw.send(second, LIST_SERVICES)
            raw.messages(second, count)
            raw.messages(first, count)
            assert raw.call("/proto.Q/ListQueues").code == 0
        raw.reset(first)
        raw.send(second, b"", end=True)

        assert raw.reply(second).code == 0


def test_malformed_question_ends_the_stream(shared_q: RunningQ) -> None:
    """What is answered already stays answered."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.call(REFLECT.format("v1"), LIST_SERVICES + frame(b"\xff\xff"))

    assert (len(reply.messages), reply.code) == (1, Code.INVALID_ARGUMENT.value[0])


def test_descriptors_are_those_of_the_wire(client: StockClient) -> None:
    """What reflection describes is the .proto that q was made from."""
    database = ProtoReflectionDescriptorDatabase(client.channel)
    proto = database.FindFileContainingSymbol("proto.Q")

    assert {"proto.Q", "grpc.health.v1.Health"} <= set(database.get_services())
    assert proto.name == pb.DESCRIPTOR.name
    assert proto.SerializeToString() == pb.DESCRIPTOR.serialized_pb


def test_client_without_a_proto_file_works(shared_q: RunningQ) -> None:
    """grpc-requests calls by reflection alone."""
    q = grpc_requests.Client.get_by_endpoint(shared_q.address)

    made = q.request("proto.Q", "NewQueue", {"store": "MEMORY"})
    queue_id = made["queue"]["meta"]["id"]
    q.request("proto.Q", "Add", {"queue_id": queue_id, "message": {"payload": "aGVsbG8="}})
    popped = q.service("proto.Q").Pop({"queue_id": queue_id})

    assert made["queue"]["store"] == "MEMORY"
    assert popped["message"]["payload"] == "aGVsbG8="


def buf_curl(q: RunningQ, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `buf curl` against q, with reflection."""
    *options, path = arguments
    return subprocess.run(
        [
            program("buf"),
            "curl",
            "--http2-prior-knowledge",
            "--protocol=grpc",
            *options,
            f"http://{q.address}{path}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(),
        check=False,
    )


def test_buf_curl_works(shared_q: RunningQ) -> None:
    """The tool lists the methods, calls them and shows the details of an error."""
    methods = buf_curl(shared_q, "--list-methods", "/").stdout.split()
    made = buf_curl(shared_q, '--data={"store":"DISK"}', "/proto.Q/NewQueue")
    queue_id = json.loads(made.stdout)["queue"]["meta"]["id"]
    add = json.dumps({"queue_id": queue_id, "message": {"payload": "aGVsbG8="}})
    pop = f'--data={{"queue_id":"{queue_id}"}}'
    added = json.loads(buf_curl(shared_q, f"--data={add}", "/proto.Q/Add").stdout)
    popped = json.loads(buf_curl(shared_q, pop, "/proto.Q/Pop").stdout)
    empty = json.loads(buf_curl(shared_q, pop, "/proto.Q/Pop").stderr)

    assert {f"proto.Q/{method.name}" for method in pb.DESCRIPTOR.services_by_name["Q"].methods} <= {
        *methods
    }
    assert popped == added
    assert (empty["code"], empty["message"]) == ("not_found", f"queue {queue_id} is empty")
    assert [detail["type"] for detail in empty["details"]] == ["google.rpc.ErrorInfo"]


def test_health_by_buf_curl(shared_q: RunningQ) -> None:
    """A health probe needs no client of ours."""
    done = buf_curl(shared_q, "--data={}", "/grpc.health.v1.Health/Check")

    assert json.loads(done.stdout) == {"status": "SERVING"}


def test_open_reflection_stream_does_not_hold_up_the_end(q_server: RunningQ) -> None:
    """It waits for its client's next question, which may never come: it is ended instead."""
    ask = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with Http2Client(q_server.address) as raw:
        stream = raw.open(path)
        raw.send(stream, frame(ask))
        raw.messages(stream, 1)
        start = time.monotonic()
        q_server.stop()

    assert time.monotonic() - start < DRAIN_S
    assert "cut off" not in q_server.log
