"""Redis: lists for what is popped, streams with a consumer group for what is leased."""

import re
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

from suite.wires.wire import Load, WireError, connect, receive_exactly

#: Lists and streams of one queue have different keys.
_STREAM: Final = "s:"
_GROUP: Final = b"g"
_READ_HEAD: Final = re.compile(rb"\*1\r\n\*2\r\n\$\d+\r\n[^\r]+\r\n\*(\d+)\r\n")
_BULK_HEAD: Final = re.compile(rb"[$*](-?\d+)\r\n")


def command(*words: bytes) -> bytes:
    """Encode a command."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def prepare(address: tuple[str, int], names: Sequence[str]) -> list[str]:
    """Make streams; lists make themselves."""
    keys = [(_STREAM + name).encode() for name in names]
    made = b"+OK\r\n" * len(keys)
    with connect(address) as connection:
        connection.sendall(
            b"".join(command(b"XGROUP", b"CREATE", key, _GROUP, b"0", b"MKSTREAM") for key in keys)
        )
        if (answer := receive_exactly(connection, len(made))) != made:
            raise WireError(f"Redis says {answer[:200]!r}")
    return list(names)


class Resp:
    """A connection to Redis."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        del connection
        self.out = bytearray()
        self._buffer = b""
        #: What is to be answered, in order: a number, what it is, how many answers are to come.
        self._waiting: deque[tuple[int, str, int, int]] = deque()
        batch, payload = b"%d" % load.batch, load.payload
        self._batch = load.batch
        lists = [name.encode() for name in load.queues]
        self._streams = [(_STREAM + name).encode() for name in load.queues]
        self._requests = {
            "add": [command(b"LPUSH", key, *[payload] * load.batch) for key in lists],
            "put": [
                command(b"XADD", key, b"*", b"m", payload) * load.batch for key in self._streams
            ],
            "pop": [command(b"RPOP", key, *([batch] if load.batch > 1 else [])) for key in lists],
            "lease": [
                command(
                    *(b"XREADGROUP", b"GROUP", _GROUP, b"c", b"COUNT", batch),
                    *(b"STREAMS", key, b">"),
                )
                for key in self._streams
            ],
        }
        self._entry = re.compile(
            rb"\*2\r\n\$\d+\r\n(\d+-\d+)\r\n\*2\r\n\$1\r\nm\r\n\$%d\r\n.{%d}\r\n"
            % (load.payload_bytes, load.payload_bytes),
            re.DOTALL,
        )
        self._popped = len(b"$%d\r\n%b\r\n" % (load.payload_bytes, payload)) * load.batch

    def start(self, kind: str, number: int, queue: int) -> None:
        """Write an operation."""
        self.out += self._requests[kind][queue]
        self._waiting.append((number, kind, queue, self._batch if kind == "put" else 1))

    def feed(self, data: bytes) -> list[int]:
        """Read answers, which come in order."""
        buffer = self._buffer + data if self._buffer else data
        position, done = 0, []
        while self._waiting and position < len(buffer):
            number, kind, queue, left = self._waiting[0]
            end = self._answer_end(buffer, position, kind)
            if end < 0:
                break
            if kind == "lease":
                self._acknowledge(number, queue, buffer[position:end])
            position = end
            if left > 1:
                self._waiting[0] = (number, kind, queue, left - 1)
                continue
            self._waiting.popleft()
            if kind != "lease":
                done.append(number)
        self._buffer = buffer[position:]
        return done

    def _acknowledge(self, number: int, queue: int, reply: bytes) -> None:
        ids = self._entry.findall(reply)
        key = self._streams[queue]
        self.out += command(b"XACK", key, _GROUP, *ids) + command(b"XDEL", key, *ids)
        self._waiting.append((number, "acks", queue, 2))

    def _answer_end(self, buffer: bytes, position: int, kind: str) -> int:
        """Return where the answer at a position ends; -1 if it has not all come."""
        line_end = buffer.find(b"\r\n", position) + 2
        if line_end < 2:  # noqa: PLR2004 - Nothing was found.
            return -1
        if buffer[position] in b"-" or buffer.startswith((b"$-1", b"*-1"), position):
            raise WireError(f"Redis says {buffer[position:line_end]!r} to {kind}")
        if kind in {"add", "acks"}:
            return line_end
        if kind == "lease":
            return self._read_end(buffer, position)
        head = _BULK_HEAD.match(buffer, position)
        if head is None:
            raise WireError(f"Redis says {buffer[position:line_end]!r} to {kind}")
        if kind == "put":
            end = head.end() + int(head[1]) + 2
        else:
            if buffer[position] == b"*"[0] and int(head[1]) != self._batch:
                raise WireError(f"Redis has {int(head[1])} messages left of {self._batch}")
            end = (head.end() if self._batch > 1 else position) + self._popped
        return end if end <= len(buffer) else -1

    def _read_end(self, buffer: bytes, position: int) -> int:
        head = _READ_HEAD.match(buffer, position)
        if head is None:
            return -1
        if int(head[1]) != self._batch:
            raise WireError(f"Redis has {int(head[1])} messages left of {self._batch}")
        end = head.end()
        for _ in range(self._batch):
            entry = self._entry.match(buffer, end)
            if entry is None:
                return -1
            end = entry.end()
        return end
