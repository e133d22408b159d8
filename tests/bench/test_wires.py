"""Each protocol knows when an operation is done, however its answers are cut into pieces."""

import socket
import struct
from collections.abc import Iterator

import hpack
import pytest

from suite.wires.amqp import Amqp
from suite.wires.beanstalk import Beanstalk
from suite.wires.grpc_frames import Grpc, frame
from suite.wires.nats import Nats
from suite.wires.resp import Resp
from suite.wires.wire import Load, Wire, WireError


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the end of the generator and that of the server."""
    here, there = socket.socketpair()
    here.settimeout(10)
    with here, there:
        yield here, there


def load(*kinds: str, batch: int = 1) -> Load:
    """Make a load of payloads of 4 bytes for one queue."""
    return Load(["a"], batch, payload_bytes=4, streams=2, kinds=list(kinds))


def sent(wire: Wire) -> bytes:
    """Take what a wire wants to send."""
    out = bytes(wire.out)
    wire.out.clear()
    return out


def fed(wire: Wire, answers: bytes) -> list[int]:
    """Feed answers byte by byte; return the operations that are done, in order."""
    return [number for byte in answers for number in wire.feed(bytes([byte]))]


def test_redis_answers_come_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    """An add is a number, a batch one command, and a pop has its values."""
    wire = Resp(ends[0], load("add", "pop", batch=2))
    wire.start("add", 0, 0)
    wire.start("pop", 1, 0)

    assert sent(wire).endswith(b"*3\r\n$4\r\nRPOP\r\n$1\r\na\r\n$1\r\n2\r\n")
    assert fed(wire, b":2\r\n*2\r\n$4\r\nxxxx\r\n") == [0]
    assert fed(wire, b"$4\r\nxxxx\r\n") == [1]


def test_redis_lease_is_done_with_its_acks(ends: tuple[socket.socket, socket.socket]) -> None:
    """Its entries are acked and deleted by their ids, and both answers are waited for."""
    wire = Resp(ends[0], load("lease", batch=2))
    wire.start("lease", 7, 0)
    sent(wire)
    entries = b"".join(
        b"*2\r\n$5\r\n100-%d\r\n*2\r\n$1\r\nm\r\n$4\r\nxxxx\r\n" % number for number in range(2)
    )

    assert fed(wire, b"*1\r\n*2\r\n$3\r\ns:a\r\n*2\r\n" + entries) == []
    assert sent(wire).count(b"100-1") == 2
    assert fed(wire, b":2\r\n") == []
    assert fed(wire, b":2\r\n") == [7]


@pytest.mark.parametrize("answer", [b"-ERR no\r\n", b"$-1\r\n"])
def test_redis_error_and_nothing_end_the_run(
    answer: bytes, ends: tuple[socket.socket, socket.socket]
) -> None:
    """A pop that finds nothing would be faster than one that does."""
    wire = Resp(ends[0], load("pop"))
    wire.start("pop", 0, 0)

    with pytest.raises(WireError, match="Redis says"):
        wire.feed(answer)


def test_beanstalkd_lease_is_done_with_its_deletes(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Deletes are sent when all of a batch is there."""
    wire = Beanstalk(ends[0], load("put", batch=2))
    wire.start("put", 0, 0)
    wire.start("lease", 1, 0)
    assert sent(wire).startswith(b"use a\r\nput 0 0 3600 4\r\nxxxx\r\nput")

    assert fed(wire, b"USING a\r\nINSERTED 1\r\nINSERTED 2\r\n") == [0]
    assert fed(wire, b"RESERVED 1 4\r\nxxxx\r\n") == []
    assert sent(wire) == b""
    assert fed(wire, b"RESERVED 2 4\r\nxxxx\r\n") == []
    assert sent(wire) == b"delete 1\r\ndelete 2\r\n"
    assert fed(wire, b"DELETED\r\nDELETED\r\n") == [1]


def test_beanstalkd_time_out_ends_the_run(ends: tuple[socket.socket, socket.socket]) -> None:
    """So does every other answer than the one that is wanted."""
    wire = Beanstalk(ends[0], load("put"))
    wire.start("lease", 0, 0)

    with pytest.raises(WireError, match="TIMED_OUT"):
        wire.feed(b"TIMED_OUT\r\n")


def test_nats_batch_is_done_with_its_last_answer(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Of adds, all are answered; of acks, the last one."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, socket.create_connection(listener.getsockname()) as here:
        there, _ = listener.accept()
        with there:
            there.sendall(b"INFO {}\r\nPONG\r\n")
            wire = Nats(here, load("put", "lease", batch=2))
            inbox = b"_I.127-0-0-1.%d." % here.getsockname()[1]
    del ends
    wire.start("put", 0, 0)
    wire.start("lease", 1, 0)

    answer = b"MSG %b0 1 2\r\n{}\r\n" % inbox
    assert fed(wire, answer + b"PING\r\n") == []
    assert fed(wire, answer) == [0]
    assert sent(wire).endswith(b"PONG\r\n")
    assert fed(wire, b"MSG q.a 2 $JS.ACK.a.c.1.1.1.1.0 4\r\nxxxx\r\n") == []
    assert fed(wire, b"MSG q.a 2 $JS.ACK.a.c.1.2.2.1.0 4\r\nxxxx\r\n") == []
    assert sent(wire) == (
        b"PUB $JS.ACK.a.c.1.1.1.1.0 4\r\n+ACK\r\n"
        b"PUB $JS.ACK.a.c.1.2.2.1.0 %b1 4\r\n+ACK\r\n" % inbox
    )
    assert fed(wire, b"MSG %b1 1 0\r\n\r\n" % inbox) == [1]


def method(name: tuple[int, int], arguments: bytes = b"") -> bytes:
    """Encode a method of AMQP on channel 1."""
    payload = struct.pack(">HH", *name) + arguments
    return struct.pack(">BHI", 1, 1, len(payload)) + payload + b"\xce"


@pytest.fixture
def rabbit(ends: tuple[socket.socket, socket.socket]) -> Amqp:
    """A connection whose server has said yes to everything."""
    here, there = ends
    there.sendall(b"".join(map(method, [(10, 10), (10, 30), (10, 41), (20, 11), (85, 11)])))
    return Amqp(here, load("put", "lease", batch=2))


def test_rabbitmq_batch_is_done_with_its_last_confirm(rabbit: Amqp) -> None:
    """Confirms come one by one, in any order, or for all up to one."""
    for number in range(3):
        rabbit.start("put", number, 0)

    def confirm(tag: int, *, multiple: bool = False) -> list[int]:
        return fed(rabbit, method((60, 80), struct.pack(">QB", tag, multiple)))

    assert confirm(2) == []
    assert confirm(1) == [0]
    assert confirm(6) == []
    assert confirm(5, multiple=True) == [1, 2]


def test_rabbitmq_lease_acks_its_batch_at_once(rabbit: Amqp) -> None:
    """When the last message of the batch is there as a whole."""
    rabbit.start("lease", 5, 0)
    sent(rabbit)

    def message(tag: int) -> bytes:
        header = struct.pack(">HHQH", 60, 0, 4, 0)
        return (
            method((60, 71), struct.pack(">QB", tag, 0) + b"\0\1a" + struct.pack(">I", 0))
            + struct.pack(">BHI", 2, 1, len(header))
            + header
            + b"\xce"
            + struct.pack(">BHI", 3, 1, 4)
            + b"xxxx\xce"
        )

    assert fed(rabbit, message(1)) == []
    assert fed(rabbit, message(2)) == [5]
    assert sent(rabbit) == method((60, 80), struct.pack(">QB", 2, 1))


def test_rabbitmq_nack_ends_the_run(rabbit: Amqp) -> None:
    """A message that was not stored is no add."""
    rabbit.start("put", 0, 0)

    with pytest.raises(WireError, match="RabbitMQ says"):
        rabbit.feed(method((60, 120), struct.pack(">QB", 1, 0)))


def trailers(status: str) -> bytes:
    """Encode the trailers of gRPC, without a table."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return bytes(encoder.encode([("grpc-status", status)]))


@pytest.fixture
def grpc_wire(ends: tuple[socket.socket, socket.socket]) -> Grpc:
    """A connection to a q whose windows have room for 100 bytes a stream."""
    here, there = ends
    there.sendall(frame(4, 0, 0, struct.pack(">HI", 4, 100)))
    return Grpc(here, load("add", "lease"))


def test_grpc_call_is_done_with_its_trailers(grpc_wire: Grpc) -> None:
    """Other frames tell nothing of it, and answers may come in any order."""
    grpc_wire.start("add", 0, 0)
    grpc_wire.start("add", 1, 0)

    assert fed(grpc_wire, frame(1, 4, 3, b"\x88") + frame(0, 0, 3, b"\0\0\0\0\0")) == []
    assert fed(grpc_wire, frame(1, 5, 3, trailers("0"))) == [1]
    assert fed(grpc_wire, frame(1, 5, 1, trailers("0"))) == [0]


def test_grpc_error_ends_the_run(grpc_wire: Grpc) -> None:
    """Every status but 0 is one."""
    grpc_wire.start("add", 0, 0)

    with pytest.raises(WireError, match="'grpc-status': '5'"):
        grpc_wire.feed(frame(1, 5, 1, trailers("5")))


def test_grpc_lease_is_done_with_its_ack(grpc_wire: Grpc) -> None:
    """The ids that came are acked, and each has to be."""
    lease_id = b"\x12\x190123456789abcdef-01234567"
    grpc_wire.start("lease", 3, 0)
    sent(grpc_wire)

    grpc_wire.feed(frame(0, 0, 1, b"\0\0\0\0\x20" + lease_id + b"\x1a\0"))
    assert fed(grpc_wire, frame(1, 5, 1, trailers("0"))) == []
    assert sent(grpc_wire).endswith(b"\n\x01a" + lease_id)
    grpc_wire.feed(frame(0, 0, 3, b"\0\0\0\0\x02\n\0"))
    assert fed(grpc_wire, frame(1, 5, 3, trailers("0"))) == [3]


def test_grpc_body_waits_for_the_window(ends: tuple[socket.socket, socket.socket]) -> None:
    """What is larger than a window is sent as room is made."""
    here, there = ends
    there.sendall(frame(4, 0, 0, struct.pack(">HI", 4, 100)))
    wire = Grpc(here, Load(["a"], 1, payload_bytes=250, streams=1, kinds=["add"]))
    sent(wire)

    wire.start("add", 0, 0)
    first = sent(wire)
    wire.feed(frame(8, 0, 1, struct.pack(">I", 1_000)))
    rest = sent(wire)

    assert first.count(b"x") == 100 - len(b"\0\0\0\0\0" + b"\n\1a" + b"\x12\xfd\1" + b"\x0a\xfa\1")
    assert first.count(b"x") + rest.count(b"x") == 250
    assert frame(0, 1, 1, rest[9:]) == rest
