"""Clients that mean harm, or are broken: each kind in a process of its own.

    python soak/attacks.py slow-replies 127.0.0.1:23710 500 10

It does what its name says with so many connections or streams, for so many seconds, and prints
how many of its calls were answered with which gRPC status, as a JSON object.
"""

import json
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from hpack import Decoder
from hyperframe.frame import Frame, HeadersFrame

from frames import Connection, grpc_message
from qmq.wire import q_pb2 as pb

#: Queues that whoever runs this has made: with nothing in it, and with large messages.
EMPTY, LARGE = "empty", "large"

_MESSAGE_BYTES: Final = 4_000_000
_STREAMS: Final = 100
_FLOODERS: Final = 16

Attack = Callable[[str, int, float], Counter[str]]


def idle(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Connect so many times, and say nothing."""
    connections = [Connection(address) for _ in range(count)]
    time.sleep(lasts_s)
    return _close(connections)


def half_open(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Begin so many calls, and send no request."""
    connections = [Connection(address) for _ in range(-(-count // _STREAMS))]
    for connection in connections:
        connection.send(b"".join(connection.head("/proto.Q/Pop")[1] for _ in range(_STREAMS)))
    time.sleep(lasts_s)
    return _close(connections)


def stalled(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Begin so many large requests, and stop after a quarter of each."""
    connections = [Connection(address) for _ in range(-(-count // 10))]
    request = grpc_message(bytes(_MESSAGE_BYTES))[: _MESSAGE_BYTES // 4]
    for connection in connections:
        for _ in range(10):
            stream, head = connection.head("/proto.Q/Add")
            connection.send(head + connection.body(stream, request, end=False))
    time.sleep(lasts_s)
    return _close(connections)


def slow_replies(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Have so many connections ask for large messages twenty times each, and read nothing."""
    request = pb.PeekRequest(queue_id=LARGE).SerializeToString()
    return _unread(address, count, lasts_s, "/proto.Q/Peek", request, calls=20)


def slow_consumers(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Consume on so many connections, and read nothing."""
    opening = pb.ConsumeRequest(open=pb.ConsumeRequest.Open(queue_id=LARGE, credit=100))
    request = opening.SerializeToString()
    return _unread(address, count, lasts_s, "/proto.Q/Consume", request, calls=1)


def flood(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Send so many messages of 4 MB, whether they are taken or not, over a few connections."""
    request = pb.AddRequest(queue_id=EMPTY, message=pb.NewMessage(payload=bytes(_MESSAGE_BYTES)))
    data = request.SerializeToString()
    deadline = time.monotonic() + lasts_s
    answers: Counter[str] = Counter()

    def send(calls: int) -> None:
        connection = Connection(address)
        for _ in range(calls):
            if not connection.send(connection.call("/proto.Q/Add", data)):
                connection = Connection(address)
            if time.monotonic() > deadline:
                break
        answers.update(_close([connection]))

    threads = [threading.Thread(target=send, args=(count // _FLOODERS,)) for _ in range(_FLOODERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def rapid_reset(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Open so many streams and cancel each at once, with new connections as often as need be."""
    return _reset(address, count, lasts_s, behind=0)


def late_reset(address: str, count: int, lasts_s: float) -> Counter[str]:
    """Do the same, but cancel each stream when a hundred more were opened."""
    return _reset(address, count, lasts_s, behind=_STREAMS)


ATTACKS: Final[dict[str, Attack]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        *(idle, half_open, stalled, slow_replies, slow_consumers, flood),
        *(rapid_reset, late_reset),
    )
}


def _unread(  # noqa: PLR0913, PLR0917 - What is asked, by how many, how often.
    address: str, count: int, lasts_s: float, path: str, request: bytes, calls: int
) -> Counter[str]:
    connections = [Connection(address, window=0) for _ in range(count)]
    for connection in connections:
        for _ in range(calls):
            stream, head = connection.head(path)
            body = connection.body(stream, grpc_message(request), end=calls > 1)
            connection.send(head + body)
    time.sleep(lasts_s)
    return _close(connections)


def _reset(address: str, count: int, lasts_s: float, behind: int) -> Counter[str]:
    """Open so many streams, and cancel each when so many more were opened."""
    deadline = time.monotonic() + lasts_s
    connections, sent = 1, 0
    connection = Connection(address)
    begun: deque[int] = deque()
    while sent < count and time.monotonic() < deadline:
        stream, data = connection.head("/proto.Q/Pop")
        begun.append(stream)
        if len(begun) > behind:
            data += connection.cancel(begun.popleft())
        if connection.send(data):
            sent += 1
            continue
        connection.close()
        begun.clear()
        try:
            connection = Connection(address)
        except OSError:
            time.sleep(0.01)
        connections += 1
    connection.close()
    return Counter({"streams": sent, "connections": connections})


def _close(connections: Sequence[Connection]) -> Counter[str]:
    """Hang up, and return how many calls were answered with which status."""
    answers: Counter[str] = Counter()
    for connection in connections:
        answers.update(_statuses(connection.answered(0.01)))
        connection.close()
    return answers


def _statuses(frames: Sequence[Frame]) -> Counter[str]:
    decoder, found = Decoder(), Counter[str]()
    for each in frames:
        if isinstance(each, HeadersFrame):
            headers = {str(name): str(value) for name, value in decoder.decode(each.data)}
            if "grpc-status" in headers:
                found[headers["grpc-status"]] += 1
    return found


def main() -> None:
    """Attack, and print the answers."""
    kind, address, count, lasts_s = sys.argv[1:]
    # On a machine of its own it would take none of the processor time that q needs.
    os.nice(10)
    print(json.dumps(ATTACKS[kind](address, int(count), float(lasts_s))))


if __name__ == "__main__":
    main()
