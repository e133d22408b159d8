"""The gRPC protocol, as stock clients use all of it."""

import gzip
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google.rpc
import grpc
import grpc_tools
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_tools import protoc

from qmq.limits import MESSAGE_BYTES_MAX, REQUEST_OVERHEAD_BYTES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import GRPC, Http2Client, Reply, frame
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import Options, StockClient, refused

Code = grpc.StatusCode

ROOT = Path(__file__).parent.parent.parent

GENERATED_CLIENT = """
import sys
import grpc
import q_pb2 as pb
import q_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    q = q_pb2_grpc.QStub(channel)
    queue_id = q.NewQueue(pb.NewQueueRequest(store=pb.Queue.MEMORY)).queue.meta.id
    q.Add(pb.AddRequest(queue_id=queue_id, message=pb.NewMessage(payload=b"generated")))
    print(q.Pop(pb.PopRequest(queue_id=queue_id)).message.payload.decode())
"""


def test_generated_client_works(shared_q: RunningQ, tmp_path: Path) -> None:
    """A client that the stock compiler makes of proto/q.proto needs nothing else of ours."""
    includes = (
        ROOT / "proto",
        Path(grpc_tools.__file__).parent / "_proto",
        Path(next(iter(google.rpc.__path__))).parent.parent,
    )
    arguments = [
        "protoc",
        *(f"--proto_path={path}" for path in includes),
        f"--python_out={tmp_path}",
        f"--grpc_python_out={tmp_path}",
        "q.proto",
    ]
    assert protoc.main(arguments) == 0

    done = subprocess.run(
        [sys.executable, "-c", GENERATED_CLIENT, shared_q.address],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (b"generated\n", b"")


def test_compressed_request_is_answered_compressed(client: StockClient) -> None:
    """A client that compresses with gzip is understood, and gets gzip where it is worth it."""
    queue_id = client.made()
    options = Options(compression=grpc.Compression.Gzip)

    added = client.add(
        options, queue_id=queue_id, message=pb.NewMessage(payload=b"a" * 1_000_000)
    ).message

    assert added.payload == b"a" * 1_000_000
    assert client.peek(options, queue_id=queue_id).message == added
    assert client.pop(queue_id=queue_id).message == added


def test_reply_is_compressed_only_for_those_who_compress(
    shared_q: RunningQ, client: StockClient
) -> None:
    """A large reply takes few bytes if the request came with gzip, else it is as it is."""
    queue_id = client.made()
    client.put(queue_id, b"a" * 100_000)
    request = pb.PeekRequest(queue_id=queue_id).SerializeToString()

    def peek(body: bytes, *headers: tuple[str, str]) -> Reply:
        with Http2Client(shared_q.address) as raw:
            return raw.call("/proto.Q/Peek", body, [*GRPC, *headers])

    plain = peek(frame(request), ("grpc-accept-encoding", "gzip"))
    small = peek(frame(gzip.compress(request), flag=1), ("grpc-encoding", "gzip"))

    assert "grpc-encoding" not in plain.headers
    assert pb.PeekResponse.FromString(plain.messages[0]).message.payload == b"a" * 100_000
    assert small.headers["grpc-encoding"] == "gzip"
    assert small.body[0] == 1
    assert gzip.decompress(small.body[5:]) == plain.messages[0]
    assert len(small.body) < 1_000


def test_stream_is_compressed_both_ways(shared_q: RunningQ) -> None:
    """Streams know gzip as well: large replies are compressed, small ones are not."""
    services = ServerReflectionRequest(list_services="*").SerializeToString()
    proto = ServerReflectionRequest(file_containing_symbol="proto.Q").SerializeToString()
    body = b"".join(frame(gzip.compress(question), flag=1) for question in (services, proto))

    with Http2Client(shared_q.address) as raw:
        path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        reply = raw.call(path, body, [*GRPC, ("grpc-encoding", "gzip")])

    assert (reply.code, reply.headers["grpc-encoding"]) == (0, "gzip")
    small_end = 5 + int.from_bytes(reply.body[1:5], "big")
    assert (reply.body[0], reply.body[small_end]) == (0, 1)
    assert b"q.proto" in gzip.decompress(reply.body[small_end + 5 :])


def test_unknown_encoding_is_answered_with_the_known_ones(shared_q: RunningQ) -> None:
    """A client learns how it may compress."""
    with Http2Client(shared_q.address) as raw:
        headers = [*GRPC, ("grpc-encoding", "snappy")]
        reply = raw.call("/proto.Q/ListQueues", frame(b"x", flag=1), headers)

    assert reply.code == Code.UNIMPLEMENTED.value[0]
    assert reply.headers["grpc-accept-encoding"] == "identity,gzip"


def test_request_is_measured_without_compression(client: StockClient) -> None:
    """A few compressed bytes that would become many are refused, and q goes on."""
    queue_id = client.made()
    bomb = pb.NewMessage(payload=b"\0" * (64 * 1024 * 1024))

    refusal = refused(
        client.add,
        options=Options(compression=grpc.Compression.Gzip),
        queue_id=queue_id,
        message=bomb,
    )

    assert refusal.code == Code.RESOURCE_EXHAUSTED
    assert "request_bytes_max" in refusal.message
    assert client.drain(queue_id) == []


@pytest.mark.parametrize("size", [5 * 1024 * 1024, 64 * 1024 * 1024])
def test_oversized_request_is_refused(client: StockClient, size: int) -> None:
    """The refusal names the limit, nothing is stored, and the connection goes on."""
    queue_id = client.made()
    client.put(queue_id, b"known")
    bound = MESSAGE_BYTES_MAX + REQUEST_OVERHEAD_BYTES_MAX

    refusal = refused(client.add, queue_id=queue_id, message=pb.NewMessage(payload=bytes(size)))

    assert refusal.code == Code.RESOURCE_EXHAUSTED
    assert f"more than request_bytes_max of {bound}" in refusal.message
    assert refusal.info.metadata["limit"] == "request_bytes_max"
    assert [popped.payload for popped in client.drain(queue_id)] == [b"known"]


@pytest.mark.parametrize("timeout", ["1n", "0S", "0m"])
def test_call_past_its_deadline_does_nothing(
    shared_q: RunningQ, client: StockClient, timeout: str
) -> None:
    """A Pop that nobody waits for any more takes no message."""
    queue_id = client.made()
    client.put(queue_id, b"known")
    request = frame(pb.PopRequest(queue_id=queue_id).SerializeToString())

    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/proto.Q/Pop", request, [*GRPC, ("grpc-timeout", timeout)])

    assert reply.code == Code.DEADLINE_EXCEEDED.value[0]
    assert [popped.payload for popped in client.drain(queue_id)] == [b"known"]


@pytest.mark.parametrize("timeout", ["1H", "1M", "20S", "20000m", "20000000u", "99999999n"])
def test_deadline_is_read_in_each_unit(shared_q: RunningQ, timeout: str) -> None:
    """A call that is done in time is answered."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/proto.Q/ListQueues", headers=[*GRPC, ("grpc-timeout", timeout)])

    assert reply.code == 0


@pytest.mark.parametrize("timeout", ["bogus", "", "1", "S", "-1S", "1.5S", "123456789S", "1s"])
def test_bogus_deadline_is_refused(shared_q: RunningQ, timeout: str) -> None:
    """What is no grpc-timeout is INVALID_ARGUMENT: the original reset the stream."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/proto.Q/ListQueues", headers=[*GRPC, ("grpc-timeout", timeout)])

    assert reply.code == Code.INVALID_ARGUMENT.value[0]
    assert reply.message == (
        f"grpc-timeout: must be 1 to 8 digits and one of HMSmun; got {timeout!r}"
    )


def test_stream_ends_at_its_deadline(shared_q: RunningQ) -> None:
    """A stream that would go on is cut with DEADLINE_EXCEEDED."""
    headers = [*GRPC, ("grpc-timeout", "50m")]
    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/grpc.health.v1.Health/Watch", frame(b""), headers)

    assert (reply.code, len(reply.messages)) == (Code.DEADLINE_EXCEEDED.value[0], 1)


def test_message_of_an_error_survives_the_headers(client: StockClient) -> None:
    """Percent signs, line ends and letters beyond ASCII arrive as they were sent."""
    refusal = refused(client.get_queue, queue_id="é%\n☃")

    assert refusal.message == "queue_id: 'é%\\n☃' is neither a UUID nor the name of a queue"


def test_error_says_what_a_program_needs(client: StockClient) -> None:
    """Details hold the cause with its values, and the field that broke a rule."""
    queue_id = client.made(limit=1)
    client.put(queue_id, b"x")

    full = refused(client.add, queue_id=queue_id)
    wrong = refused(client.new_queue, limit=-2)

    assert (full.info.reason, full.info.domain) == ("QUEUE_FULL", "q")
    assert dict(full.info.metadata) == {"limit": "limit", "value": "1", "current": "1"}
    assert (wrong.info.reason, list(wrong.violations)) == ("INVALID_ARGUMENT", ["limit"])


@pytest.mark.parametrize(
    "path",
    [
        "/proto.Q/Nope",
        "/other.S/ListQueues",
        "/x",
        "/",
        "//proto.Q/ListQueues",
        "/proto.Q/",
        "/proto.Q/é",
        "/proto.Q/listqueues",
        "/v1/queues",
    ],
)
def test_unknown_method_is_unimplemented(shared_q: RunningQ, path: str) -> None:
    """Whatever the path looks like: the original answered a malformed one with status 8."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.call(path)

    assert (reply.http_status, reply.code) == (200, Code.UNIMPLEMENTED.value[0])
    assert reply.message.startswith("unknown method /")


def test_te_trailers_is_not_required(shared_q: RunningQ) -> None:
    """A client that does not announce that it understands trailers gets its status all the same."""
    headers = [("content-type", "application/grpc")]
    with Http2Client(shared_q.address) as raw:
        fine = raw.call("/proto.Q/ListQueues", headers=headers)
        wrong = raw.call("/proto.Q/GetQueue", headers=headers)

    assert (fine.code, len(fine.messages)) == (0, 1)
    assert wrong.code == Code.INVALID_ARGUMENT.value[0]


def test_long_path_is_told_in_short(shared_q: RunningQ) -> None:
    """A refusal fits into the headers that a client takes."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/proto.Q/" + "é" * 5_000)

    assert reply.code == Code.UNIMPLEMENTED.value[0]
    assert reply.message == "unknown method /proto.Q/" + "é" * 191


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
def test_content_type_may_name_the_encoding(shared_q: RunningQ, content_type: str) -> None:
    """Both names of gRPC with protobuf are gRPC."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.call("/proto.Q/ListQueues", headers=[("content-type", content_type), GRPC[1]])

    assert reply.code == 0


def test_two_hundred_calls_share_a_connection(client: StockClient) -> None:
    """All are under way at once, and each gets its own answer."""
    queue_id = client.made(pb.Queue.DISK)
    barrier = threading.Barrier(200)

    def add(number: int) -> bytes:
        barrier.wait(20)
        message = pb.NewMessage(payload=b"%d" % number)
        return bytes(client.add(queue_id=queue_id, message=message).message.payload)

    with ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(add, range(200)))

    sent = [b"%d" % number for number in range(200)]
    assert answers == sent
    assert sorted(popped.payload for popped in client.drain(queue_id)) == sorted(sent)


def test_streams_are_independent(shared_q: RunningQ) -> None:
    """200 requests that are begun and not ended hold up nobody, and are answered when they end."""
    with Http2Client(shared_q.address) as raw, Http2Client(shared_q.address) as other:
        begun = [raw.open("/proto.Q/GetIdentity") for _ in range(100)]
        begun += [other.open("/proto.Q/GetIdentity") for _ in range(100)]
        for stream in begun[:100]:
            raw.send(stream, frame(b"")[:2])
        assert raw.call("/proto.Q/GetIdentity").code == 0

        for stream in reversed(begun[:100]):
            raw.send(stream, frame(b"")[2:], end=True)

        assert [raw.reply(stream).code for stream in begun[:100]] == [0] * 100


def test_cancelled_call_leaves_the_connection_usable(shared_q: RunningQ) -> None:
    """A call that is reset before its request has ended takes nothing with it."""
    with Http2Client(shared_q.address) as raw:
        for _ in range(10):
            stream = raw.open("/proto.Q/ListQueues")
            raw.send(stream, frame(b"")[:3])
            raw.reset(stream)

        assert raw.call("/proto.Q/ListQueues").code == 0


def test_unavailable_names_when_to_try_again(q_server: RunningQ) -> None:
    """A refusal that passes holds a RetryInfo."""
    with Http2Client(q_server.address) as raw:
        stream = raw.open("/grpc.health.v1.Health/Watch")
        raw.send(stream, frame(b""), end=True)
        raw.messages(stream, 1)
        q_server.stop()
        reply = raw.reply(stream)

    assert reply.code == Code.UNAVAILABLE.value[0]
    retry = reply.detail(error_details_pb2.RetryInfo())
    assert retry.retry_delay == Duration(seconds=1)
