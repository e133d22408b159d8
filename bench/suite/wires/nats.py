"""NATS JetStream: a work-queue stream with one durable consumer is a queue."""

import json
import re
import socket
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from suite.wires.wire import Load, WireError, connect

_CONNECT: Final = (
    b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n'
)
_MESSAGE: Final = re.compile(rb"(H?)MSG (\S+) (\d+)(?: (\S+))?(?: \d+)? (\d+)\r\n")
#: Subscriptions: answers by operation, and what was pulled.
_ANSWERS, _PULLED = b"1", b"2"
_CONSUMER: Final = "c"
_HOUR_NS: Final = 3_600_000_000_000


def prepare(address: tuple[str, int], names: Sequence[str]) -> list[str]:
    """Make streams and their consumers, one after the other."""
    with connect(address) as connection:
        reader = connection.makefile("rb")
        connection.sendall(_CONNECT + b"SUB _A 1\r\nPING\r\n")
        while reader.readline() != b"PONG\r\n":
            pass
        for name in names:
            stream = {
                "name": name,
                "subjects": [f"q.{name}"],
                "retention": "workqueue",
                "storage": "file",
                "num_replicas": 1,
            }
            consumer = {
                "stream_name": name,
                "config": {
                    "durable_name": _CONSUMER,
                    "ack_policy": "explicit",
                    "ack_wait": _HOUR_NS,
                    "max_ack_pending": 1_000_000,
                    "max_waiting": 100_000,
                },
            }
            for subject, body in (
                (f"$JS.API.STREAM.CREATE.{name}", stream),
                (f"$JS.API.CONSUMER.DURABLE.CREATE.{name}.{_CONSUMER}", consumer),
            ):
                text = json.dumps(body).encode()
                connection.sendall(b"PUB %b _A %d\r\n%b\r\n" % (subject.encode(), len(text), text))
                line = reader.readline()
                while not (head := _MESSAGE.fullmatch(line)):
                    line = reader.readline()
                answer = reader.read(int(head[5]) + 2)
                if b'"error"' in answer:
                    raise WireError(f"NATS says {answer!r}")
    return list(names)


class Nats:
    """A connection to NATS."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        self.out = bytearray()
        self._buffer = b""
        self._batch = load.batch
        self._names = [name.encode() for name in load.queues]
        self._payload = b"%d\r\n%b\r\n" % (load.payload_bytes, load.payload)
        asked = json.dumps({"batch": load.batch, "expires": 30_000_000_000}).encode()
        self._pull = b"%d\r\n%b\r\n" % (len(asked), asked)
        #: Answers that an operation waits for.
        self._left: dict[int, int] = {}
        #: By stream: who pulls, in order, how many messages are to come.
        self._pulls: defaultdict[bytes, deque[tuple[int, int]]] = defaultdict(deque)
        # Inboxes of this connection alone.
        host, port = connection.getsockname()
        self._inbox = b"_I.%b.%d." % (host.replace(".", "-").encode(), port)
        connection.sendall(
            b"%bSUB %b* %b\r\nSUB %bp.p %b\r\nPING\r\n"
            % (_CONNECT, self._inbox, _ANSWERS, self._inbox, _PULLED)
        )
        greeting = b""
        while not greeting.endswith(b"PONG\r\n"):
            greeting += connection.recv(4096)

    def start(self, kind: str, number: int, queue: int) -> None:
        """Write an operation."""
        name = self._names[queue]
        if kind == "lease":
            self.out += b"PUB $JS.API.CONSUMER.MSG.NEXT.%b.c %bp.p %b" % (
                name,
                self._inbox,
                self._pull,
            )
            self._pulls[name].append((number, self._batch))
            return
        self._left[number] = self._batch
        publish = b"PUB q.%b %b%d %b" % (name, self._inbox, number, self._payload)
        self.out += publish * self._batch

    def feed(self, data: bytes) -> list[int]:
        """Read messages: answers, and what was pulled."""
        buffer = self._buffer + data if self._buffer else data
        position, done = 0, []
        while (line_end := buffer.find(b"\r\n", position) + 2) >= 2:  # noqa: PLR2004
            head = _MESSAGE.match(buffer, position)
            if head is None:
                self._other(buffer[position:line_end])
                position = line_end
                continue
            end = head.end() + int(head[5]) + 2
            if end > len(buffer):
                break
            if head[1]:
                raise WireError(f"NATS says {buffer[head.end() : end]!r}")
            if head[3] == _PULLED:
                self._acknowledge(head[4])
            elif b'"error"' in buffer[head.end() : end]:
                raise WireError(f"NATS says {buffer[head.end() : end]!r}")
            else:
                number = int(head[2].rpartition(b".")[2])
                self._left[number] -= 1
                if not self._left[number]:
                    del self._left[number]
                    done.append(number)
            position = end
        self._buffer = buffer[position:]
        return done

    def _acknowledge(self, subject: bytes) -> None:
        """Ack a message; the last of a batch asks for an answer."""
        # $JS.ACK.STREAM.CONSUMER.…: pulls of a stream are served in their order.
        pulls = self._pulls[subject.split(b".", 3)[2]]
        number, left = pulls[0]
        if left > 1:
            pulls[0] = (number, left - 1)
            self.out += b"PUB %b 4\r\n+ACK\r\n" % subject
            return
        pulls.popleft()
        self._left[number] = 1
        self.out += b"PUB %b %b%d 4\r\n+ACK\r\n" % (subject, self._inbox, number)

    def _other(self, line: bytes) -> None:
        if line == b"PING\r\n":
            self.out += b"PONG\r\n"
        elif line.startswith(b"-ERR"):
            raise WireError(f"NATS says {line!r}")
