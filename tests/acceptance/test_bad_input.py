"""Whatever comes in, q answers with a clear error, loses nothing and goes on."""

import gzip
import re
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import apsw
import grpc
import pytest

from qmq.limits import TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX
from qmq.store.local.checksums import database_vfs
from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import GRPC, Http2Client, Reply, frame
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ, environment, free_ports, program
from tests.acceptance.stock import StockClient, refused

Code = grpc.StatusCode
INVALID, UNIMPLEMENTED, TOO_LARGE = 3, 12, 8

LIST = "/proto.Q/ListQueues"
GZIP = ("grpc-encoding", "gzip")
#: A tag whose key is no UTF-8, as field 3 of NewQueueRequest and field 1 of NewMessage.
BAD_KEY = b"\x0a\x02\xff\xfe"


@pytest.fixture(autouse=True)
def known_message(client: StockClient) -> Iterator[None]:
    """After each test a message that was there before is still there, and q hands it out."""
    queue_id = client.made(pb.Queue.DISK, name="known")
    client.put(queue_id, b"known")
    yield
    assert [popped.payload for popped in client.drain("known")] == [b"known"]
    client.delete_queue(queue_id="known")


def call(q: RunningQ, path: str, body: bytes, *headers: tuple[str, str]) -> Reply:
    """Send a whole gRPC request on a connection of its own."""
    with Http2Client(q.address) as raw:
        return raw.call(path, body, [*GRPC, *headers])


@pytest.mark.parametrize(
    ("body", "headers", "code", "message"),
    [
        pytest.param(b"", (), INVALID, "request: has 0 gRPC messages, must have one", id="nothing"),
        pytest.param(
            frame(b"") * 2, (), INVALID, "request: has 2 gRPC messages, must have one", id="two"
        ),
        pytest.param(b"\0\0\0", (), INVALID, "request: ends inside a gRPC frame", id="short head"),
        pytest.param(
            frame(b"abc", size=10), (), INVALID, "request: ends inside a gRPC frame", id="truncated"
        ),
        pytest.param(
            frame(b"") + b"\0",
            (),
            INVALID,
            "request: ends inside a gRPC frame",
            id="a byte too many",
        ),
        pytest.param(
            frame(b"", flag=2),
            (),
            INVALID,
            "request: has a frame with the flag byte 2, not 0 or 1",
            id="flag",
        ),
        pytest.param(
            frame(b"", flag=1),
            (),
            INVALID,
            "request: has a compressed frame but names no grpc-encoding",
            id="no encoding",
        ),
        pytest.param(
            frame(b"x", flag=1),
            (("grpc-encoding", "snappy"),),
            UNIMPLEMENTED,
            "grpc-encoding 'snappy' is not supported; use gzip or identity",
            id="unknown encoding",
        ),
        pytest.param(
            frame(b"x", flag=1), (GZIP,), INVALID, "request: is not valid gzip", id="no gzip"
        ),
        pytest.param(
            frame(gzip.compress(b"")[:-4], flag=1),
            (GZIP,),
            INVALID,
            "request: is not valid gzip: it ends too early",
            id="half gzip",
        ),
        pytest.param(
            frame(b"", size=2**32 - 1),
            (),
            TOO_LARGE,
            "the request message takes 4294967295 bytes or more, more than request_bytes_max",
            id="size of 4 GiB",
        ),
        pytest.param(
            frame(b"\xff\xff\xff"),
            (),
            INVALID,
            "request: is not a valid protobuf proto.ListQueuesRequest: ",
            id="no protobuf",
        ),
    ],
)
def test_malformed_frame_is_refused(
    shared_q: RunningQ, body: bytes, headers: tuple[tuple[str, str], ...], code: int, message: str
) -> None:
    """A body that is not one whole gRPC message gets a status that says why."""
    reply = call(shared_q, LIST, body, *headers)

    assert (reply.http_status, reply.code) == (200, code)
    assert reply.message.startswith(message)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [LIST, "/proto.Q/Pop", "/grpc.health.v1.Health/Check"])
def test_request_without_body_is_refused_at_once(
    shared_q: RunningQ, method: str, path: str
) -> None:
    """The original hung for ever."""
    with Http2Client(shared_q.address) as raw:
        reply = raw.reply(raw.open(path, method=method, end=True))

    assert (reply.code, reply.message) == (INVALID, "request: has 0 gRPC messages, must have one")


@pytest.mark.parametrize("trailers", [[], [("x", "y")]], ids=["data", "trailers"])
def test_request_may_end_in_each_way(shared_q: RunningQ, trailers: list[tuple[str, str]]) -> None:
    """A body in pieces of a byte, ended by an empty frame or by trailers, is a body."""
    with Http2Client(shared_q.address) as raw:
        stream = raw.open(LIST)
        for byte in frame(b""):
            raw.send(stream, bytes([byte]))
        raw.end(stream, trailers)
        reply = raw.reply(stream)

    assert (reply.code, len(reply.messages)) == (0, 1)


@pytest.mark.parametrize(
    ("path", "message", "refusal"),
    [
        ("GetQueue", b"\x0a\x05ab", "request: is not a valid protobuf proto.GetQueueRequest"),
        ("Add", b"\x12\x02\x12\x09", "message: is not a valid protobuf proto.NewMessage"),
        ("NewQueue", b"\x1a\x04" + BAD_KEY, "tags[0].key: is not valid UTF-8"),
        ("NewQueue", b"\x1a\x00\x1a\x04\x12\x02\xff\xfe", "tags[1].value: is not valid UTF-8"),
        ("NewQueue", b"\x22\x01\xff", "name: is not valid UTF-8"),
        ("Add", b"\x12\x06\x0a\x04" + BAD_KEY, "message.tags[0].key: is not valid UTF-8"),
        ("AddQueueTag", b"\x12\x04" + BAD_KEY, "tag.key: is not valid UTF-8"),
        ("Pop", b"\x0a\x01\xff", "queue_id: is not valid UTF-8"),
        ("Lease", b"\x2a\x01\xff", "consumer: is not valid UTF-8"),
        ("Lease", b"\x1a\x02\x08", "request: is not a valid protobuf proto.LeaseRequest"),
        ("Ack", b"\x12\x01a\x12\x01\xff", "lease_ids[1]: is not valid UTF-8"),
        ("Nack", b"\x2a\x02a\xff", "reason: is not valid UTF-8"),
        ("UpdateQueue", b"\x12\x03\x1a\x01\xff", "settings.dead_letter_queue_id: is not valid UTF"),
        ("Complete", b"\x0a\x00\x0a\x03\x12\x01\xff", "acks[1].lease_ids[0]: is not valid UTF-8"),
        (
            *("Complete", b"\x12\x08\x12\x06\x0a\x04" + BAD_KEY),
            "adds[0].messages[0].tags[0].key: is not valid UTF-8",
        ),
    ],
)
def test_malformed_message_is_refused(
    shared_q: RunningQ, path: str, message: bytes, refusal: str
) -> None:
    """Bytes that are no protobuf, or text that is no UTF-8, are refused by the field's name."""
    reply = call(shared_q, f"/proto.Q/{path}", frame(message))

    assert reply.code == INVALID
    assert reply.message.startswith(refusal)


@pytest.mark.parametrize("extra", [b"\x98\x06\x01", b"\x9a\x06\x02hi"], ids=["number", "bytes"])
def test_unknown_field_is_ignored(shared_q: RunningQ, extra: bytes) -> None:
    """As protobuf has it, so that newer clients can speak to older servers."""
    assert call(shared_q, LIST, frame(extra)).code == 0


def test_too_many_tags_are_refused(client: StockClient) -> None:
    """100,000 tags on a queue or a message are refused, the most there may be are kept."""
    tags = [pb.Tag(key=f"k{number}", value="v") for number in range(100_000)]
    queue_id = client.made(tags=tags[:TAGS_MAX])
    client.add(queue_id=queue_id, message=pb.NewMessage(tags=tags[:TAGS_MAX]))

    on_queue = refused(client.new_queue, tags=tags)
    on_message = refused(client.add, queue_id=queue_id, message=pb.NewMessage(tags=tags))
    one_more = refused(client.add_queue_tag, queue_id=queue_id, tag=tags[TAGS_MAX])

    rule = f"has 100000 tags, more than tags_max of {TAGS_MAX}"
    assert (on_queue.code, on_queue.violations) == (Code.INVALID_ARGUMENT, {"tags": rule})
    assert (on_message.code, on_message.violations) == (
        Code.INVALID_ARGUMENT,
        {"message.tags": rule},
    )
    assert one_more.code == Code.INVALID_ARGUMENT
    assert list(client.get_queue(queue_id=queue_id).queue.meta.tags) == tags[:TAGS_MAX]
    assert [list(kept.meta.tags) for kept in client.drain(queue_id)] == [tags[:TAGS_MAX]]


def test_long_tags_are_refused(client: StockClient) -> None:
    """A key, a value and all tags of a message together have their bounds, in bytes."""
    queue_id = client.made()
    value = "v" * TAG_VALUE_BYTES_MAX
    many = [pb.Tag(key=f"{number}", value=value) for number in range(5)]

    key = refused(client.new_queue, tags=[pb.Tag(key="é" * (TAG_KEY_BYTES_MAX // 2 + 1))])
    one = refused(client.add_queue_tag, queue_id=queue_id, tag=pb.Tag(key="k", value=value + "v"))
    together = refused(client.add, queue_id=queue_id, message=pb.NewMessage(tags=many))

    assert key.violations == {
        "tags[0].key": f"takes {TAG_KEY_BYTES_MAX + 2} bytes, more than {TAG_KEY_BYTES_MAX}"
    }
    assert list(one.violations) == ["tag.value"]
    assert f"more than tags_bytes_max of {TAGS_BYTES_MAX}" in together.violations["message.tags"]
    assert client.drain(queue_id) == []


@pytest.mark.parametrize("path", [LIST, "/%ff", "/proto.Q/%ff", "/v1/queues/%ff"])
def test_path_that_is_no_text_is_answered(shared_q: RunningQ, path: str) -> None:
    """Percent-encoded bytes that are no UTF-8 get an error, by gRPC and by HTTP, on both ports."""
    grpc_status = call(shared_q, path, frame(b"")).code
    status = rest(shared_q.address, "GET", path).status
    metrics_status = rest(shared_q.metrics_address, "GET", path).status

    assert grpc_status == (0 if path == LIST else UNIMPLEMENTED)
    assert (status, metrics_status) == (400 if path.startswith("/v1") else 404, 404)


NO_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "words": b"hello\r\n\r\n",
    "zeros": bytes(100),
    "bad HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "huge headers": b"GET / HTTP/1.1\r\nHost: q\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    "bad length": b"POST /v1/queues HTTP/1.1\r\nHost: q\r\nContent-Length: -1\r\n\r\n",
    "bad chunk": b"POST /v1/queues HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


def test_what_is_no_http_is_hung_up_on(shared_q: RunningQ) -> None:
    """A peer that speaks something else gets an error of its protocol or the line cut, at once."""
    host, _, port = shared_q.address.rpartition(":")

    def answer(request: bytes) -> bytes:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            found = b""
            with suppress(ConnectionError):
                connection.sendall(request)
                while data := connection.recv(65_536):
                    found += data
        return found

    with ThreadPoolExecutor(len(NO_HTTP)) as threads:
        answers = dict(zip(NO_HTTP, threads.map(answer, NO_HTTP.values()), strict=True))

    assert [name for name, text in answers.items() if text.startswith(b"HTTP/1.1 2")] == []


def test_connection_that_says_nothing_is_in_nobodys_way(
    shared_q: RunningQ, client: StockClient
) -> None:
    """Open connections without requests, or with half a request, leave q free for others."""
    host, _, port = shared_q.address.rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=10) for _ in range(50)]
    for connection in silent[::2]:
        connection.sendall(b"POST /v1/queues HTTP/1.1\r\nHost: q\r\nContent-Length: 10\r\n\r\n{")

    assert client.peek(queue_id="known").message.payload == b"known"
    for connection in silent:
        connection.close()


def q_says(*arguments: str, **variables: str) -> str:
    """What q says when it ends with status 1 and one line, because it cannot start."""
    done = subprocess.run(
        [program("q"), *arguments],
        capture_output=True,
        env=environment(**variables),
        timeout=80,
        check=False,
    )
    line, end, more = done.stderr.decode().partition("\n")
    assert (done.returncode, done.stdout, end, more) == (1, b"", "\n", ""), done
    assert line.startswith("q: error: ")
    return line.removeprefix("q: error: ")


def test_port_in_use_is_an_error(shared_q: RunningQ, tmp_path: Path) -> None:
    """Each of the two ports that another process has is named, with the way out."""
    free = f"127.0.0.1:{free_ports(1)[0]}"
    taken, data = shared_q.address, f"--data={tmp_path / 'data'}"

    says = [
        q_says(f"--listen={taken}", f"--metrics={free}", data),
        q_says(f"--listen={free}", f"--metrics={taken}", data),
        q_says(data, Q_LISTEN=taken, Q_METRICS=free),
    ]

    expected = (
        f"cannot listen on {taken}: address already in use; "
        "stop the process that listens there, or give another port by "
    )
    assert says == [expected + option for option in ("--listen", "--metrics", "--listen")]


@pytest.fixture
def data_error(tmp_path: Path) -> tuple[Path, list[str]]:
    """A data directory to spoil, and the arguments to start a q on it."""
    listen, metrics = free_ports(2)
    data = tmp_path / "data"
    data.mkdir()
    arguments = [f"--listen=127.0.0.1:{listen}", f"--metrics=127.0.0.1:{metrics}"]
    return data, [*arguments, f"--data={data}"]


DataError = tuple[Path, list[str]]


def test_second_q_on_a_data_directory_is_refused(q_server: RunningQ) -> None:
    """The process that has the directory is named, and goes on."""
    listen, metrics = (f"127.0.0.1:{port}" for port in free_ports(2))

    says = q_says(f"--listen={listen}", f"--metrics={metrics}", f"--data={q_server.data}")

    assert says == (
        f"data directory {q_server.data} is in use by process {q_server.pid}; "
        "stop that q first, or give another directory by --data DIR"
    )


def test_foreign_directory_is_refused(data_error: DataError) -> None:
    """A directory with somebody else's files is left as it is."""
    data, arguments = data_error
    (data / "thesis.txt").write_text("mine")

    assert "is not a data directory of q: it holds 'thesis.txt'" in q_says(*arguments)
    assert [entry.name for entry in data.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_file_for_a_directory_is_refused(data_error: DataError, below: str) -> None:
    """A path that is no directory and cannot become one is an error."""
    data, arguments = data_error
    data.rmdir()
    data.write_text("mine")
    path = data / below if below else data

    says = q_says(*arguments[:2], f"--data={path}")

    assert says.startswith(f"cannot use data directory {path}: ")
    assert says.endswith("give a directory that this user can write, by --data DIR")
    assert data.read_text() == "mine"


def test_directory_that_cannot_be_written_is_refused(data_error: DataError) -> None:
    """Where nobody may write, not even root, q says so."""
    _, arguments = data_error

    says = q_says(*arguments[:2], "--data=/proc/q")

    assert says.startswith("cannot use data directory /proc/q: ")


def test_data_of_a_newer_version_is_refused(q_server: RunningQ) -> None:
    """A database of a later format is not touched."""
    q_server.stop()
    database = q_server.data / "q.db"
    with closing(apsw.Connection(str(database), vfs=database_vfs())) as connection:
        connection.execute("pragma user_version = 99")
    before = database.read_bytes()

    says = q_says(
        f"--listen={q_server.address}",
        f"--metrics={q_server.metrics_address}",
        f"--data={q_server.data}",
    )

    assert re.search("has format 99, written by a newer q; this q reads up to format [0-9]+", says)
    assert database.read_bytes() == before


def test_database_of_another_program_is_refused(data_error: DataError) -> None:
    """A q.db that is SQLite but not q's is not touched."""
    data, arguments = data_error
    with closing(sqlite3.connect(data / "q.db")) as connection:
        connection.execute("create table recipes (name)")
    before = (data / "q.db").read_bytes()

    assert "is the database of another program" in q_says(*arguments)
    assert (data / "q.db").read_bytes() == before


def test_damaged_database_is_refused(data_error: DataError) -> None:
    """A q.db that is no database is not touched."""
    data, arguments = data_error
    (data / "q.db").write_bytes(b"\xa5" * 8192)

    assert "is no database, or its first page is damaged" in q_says(*arguments)
    assert (data / "q.db").read_bytes() == b"\xa5" * 8192


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen=bogus"], ["--listen", "'bogus'", "no port"]),
        (["--listen=:99999"], ["--listen", "99999"]),
        (["--metrics=:10002"], ["--metrics", ":10002"]),
        (["--bogus"], ["--bogus"]),
        (["extra"], ["extra"]),
        (["serve"], ["serve", "q serves without a command"]),
        (["status"], ["status", "qcli server"]),
        (["--port", "7000"], ["--port", "--listen :PORT"]),
        (["--message-bytes-max=0"], ["--message-bytes-max", "'0'"]),
        (["--quit-from=nobody"], ["--quit-from", "'nobody'"]),
    ],
)
def test_bad_option_is_a_usage_error(arguments: list[str], words: list[str]) -> None:
    """Status 2, and a message that names option and value; nothing is started."""
    done = subprocess.run(
        [program("q"), *arguments], capture_output=True, env=environment(), timeout=80, check=False
    )
    text = done.stderr.decode()

    assert (done.returncode, done.stdout) == (2, b"")
    assert "Traceback" not in text
    assert [word for word in words if word not in text] == []
