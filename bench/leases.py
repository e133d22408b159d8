"""Lease and Ack in batches of 100: how fast, how fast at depth, and what memory it takes.

    make bench-leases

Four processes lease and ack, on the same cores as the server; each has up to two leases and
three acks in flight, as a consumer has that leases ahead.
They know the encoding of the replies well enough to find the lease ids without decoding
the messages, so that it is the server that is measured. A queue is measured alone, and then
at depth: one that holds
1,000,000 leased and 1,000,000 ready messages takes turns with one that never holds
more than some thousands. Memory is that of the server's process with and without a million
messages, less their payloads.
"""

import argparse
import os
import platform
import re
import statistics
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration

from qmq.wire import q_pb2 as pb
from servers import Running, running_q, scratch_directory
from together import run_together

#: Takes a request and returns the reply.
Call: TypeAlias = Callable[..., Any]
#: The same with bytes, at once or later.
Method: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"

_BATCH = 100
_CLIENTS = 4
#: Leases and acks of one client that are on their way while it works on others.
_LEASES_AHEAD = 2
_ACKS_MAX = 2
_PAYLOAD = b"x" * 64
#: The lease id of a LeasedMessage, as it stands in a LeaseResponse, and in an AckRequest as well.
_LEASE_ID = re.compile(rb"\x12\x19[0-9a-f]{16}-[0-9a-f]{8}(?=\x1a)")
#: The queue_id of one that was leased by a selector.
_QUEUE_ID = re.compile(rb"\x2a\x24([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_LONG = Duration(seconds=12 * 3600)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description="Lease and Ack in batches.")
    parser.add_argument("--messages", type=int, default=200_000, help="in each run")
    parser.add_argument("--depth", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--work", nargs=3, metavar=("ADDRESS", "QUEUE", "COUNT"))
    parser.add_argument("--by-selector", action="store_true", help="QUEUE is a selector")
    arguments = parser.parse_args()
    if arguments.work:
        address, queue, count = arguments.work
        work(address, queue, int(count), by_selector=arguments.by_selector)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with scratch_directory() as scratch:
        for store in (pb.Queue.MEMORY, pb.Queue.DISK):
            with running_q(Path(scratch) / str(store)) as q:
                measure_store(q, store, arguments)


def measure_store(q: Running, store: int, arguments: argparse.Namespace) -> None:
    """Measure one store on a server of its own."""
    name = pb.Queue.Store.Name(store)
    with grpc.insecure_channel(q.url.removeprefix("http://")) as channel:
        server = Stub(channel)
        small, deep = server.new_queue(store), server.new_queue(store)
        alone = [filled(q, server, small, arguments) for _ in range(arguments.repetitions)]
        tell(name, "a queue alone", alone)
        # The first ones also make room for what every call needs.
        server.fill(deep, arguments.depth)
        before_mib = q.resident_mib()
        server.fill(deep, arguments.depth)
        per_message = (q.resident_mib() - before_mib) * 2**20 / arguments.depth
        own = per_message - (len(_PAYLOAD) if name == "MEMORY" else 0)
        print(f"{name}: {own:.0f} bytes a ready message, payload apart")
        before_mib = q.resident_mib()
        server.lease_all(deep, arguments.depth)
        leased = (q.resident_mib() - before_mib) * 2**20 / arguments.depth
        print(f"{name}: {leased:.0f} bytes more a leased message")
        rates: dict[str, list[float]] = {small: [], deep: []}
        for _ in range(arguments.repetitions):
            for queue in (small, deep):
                rates[queue].append(filled(q, server, queue, arguments))
        for title, queue in (("small queue beside it", small), ("deep queue", deep)):
            tell(name, title, rates[queue])
        ratio = statistics.median(rates[deep]) / statistics.median(rates[small])
        print(f"{name}: deep : small = {ratio:.2f}", flush=True)


def filled(q: Running, server: "Stub", queue: str, arguments: argparse.Namespace) -> float:
    """Fill a queue and measure it."""
    server.fill(queue, arguments.messages)
    return measure(q, queue, arguments.messages)


def tell(name: str, title: str, rates: list[float]) -> None:
    """Print what was measured."""
    print(
        f"{name}, {title}: {statistics.median(rates):,.0f} messages/s leased and acked"
        f" ({min(rates):,.0f} to {max(rates):,.0f})",
        flush=True,
    )


def measure(q: Running, queue: str, messages: int, *, by_selector: bool = False) -> float:
    """Let clients lease and ack so many messages; return how many a second.

    Args:
        q: the server.
        queue: a queue, or a selector.
        messages: how many.
        by_selector: whether it is a selector, and messages are acked queue by queue.
    """
    address = q.url.removeprefix("http://")
    share = messages // _CLIENTS
    command = [sys.executable, __file__, "--work", address, queue, str(share)]
    if by_selector:
        command.append("--by-selector")
    cpu_s = q.cpu_s()
    took_s = run_together(command, _CLIENTS)
    done = share * _CLIENTS
    print(f"  {done / took_s:,.0f} messages/s, {(q.cpu_s() - cpu_s) / done * 1e6:.1f} µs of q each")
    return done / took_s


def work(address: str, queue: str, count: int, *, by_selector: bool) -> None:
    """Be one client: lease ahead, and ack what came."""
    request = pb.LeaseRequest(
        messages_max=_BATCH,
        queue_id="" if by_selector else queue,
        selector=queue if by_selector else "",
    ).SerializeToString()
    with grpc.insecure_channel(address) as channel:
        lease: Method = channel.unary_unary("/proto.Q/Lease")
        ack: Method = channel.unary_unary("/proto.Q/Ack")
        grpc.channel_ready_future(channel).result(timeout=10)
        print(flush=True)
        sys.stdin.readline()
        acks: deque[Any] = deque()
        batches = count // _BATCH
        leases = deque(lease.future(request) for _ in range(min(_LEASES_AHEAD, batches)))
        for left in reversed(range(batches)):
            reply = leases.popleft().result()
            if left >= _LEASES_AHEAD:
                leases.append(lease.future(request))
            for queue_id, ids in ids_by_queue(reply, "" if by_selector else queue).items():
                head = pb.AckRequest(queue_id=queue_id).SerializeToString()
                acks.append((ack.future(head + b"".join(ids)), len(ids)))
            while len(acks) > _ACKS_MAX:
                check(*acks.popleft())
        for each in acks:
            check(*each)


def ids_by_queue(reply: bytes, queue: str) -> dict[str, list[bytes]]:
    """Return the leases in a reply; it tells the queue of each if that is not given."""
    ids: list[bytes] = _LEASE_ID.findall(reply)
    if queue:
        return {queue: ids}
    by_queue: dict[str, list[bytes]] = {}
    for lease_id, queue_id in zip(ids, _QUEUE_ID.findall(reply), strict=True):
        by_queue.setdefault(queue_id.decode(), []).append(lease_id)
    return by_queue


def check(ack: Any, count: int) -> None:  # noqa: ANN401 - grpcio has no type for it.
    """See to it that so many messages were acked."""
    reply = ack.result()
    if not reply.startswith(b"\n\0" * count):
        raise RuntimeError(f"the ack says {reply!r}")


class Stub:
    """The calls that prepare a measurement."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._new_queue: Call = channel.unary_unary(
            "/proto.Q/NewQueue",
            pb.NewQueueRequest.SerializeToString,
            pb.NewQueueResponse.FromString,
        )
        self._add_batch: Call = channel.unary_unary(
            "/proto.Q/AddBatch", pb.AddBatchRequest.SerializeToString
        )
        self._lease: Call = channel.unary_unary("/proto.Q/Lease", pb.LeaseRequest.SerializeToString)
        self._pause_group: Call = channel.unary_unary(
            "/proto.Q/PauseGroup", pb.PauseGroupRequest.SerializeToString
        )

    def new_queue(self, store: int, tags: Sequence[pb.Tag] = ()) -> str:
        """Create a queue and return its id."""
        request = pb.NewQueueRequest(store=pb.Queue.Store.Name(store), tags=tags)
        return str(self._new_queue(request).queue.meta.id)

    def pause_group(self, queue: str, group_id: str) -> None:
        """Let a group hand out nothing."""
        self._pause_group(pb.PauseGroupRequest(queue_id=queue, group_id=group_id))

    def fill(self, queue: str, count: int) -> None:
        """Add messages."""
        for _ in range(count // 1_000):
            self.add(queue, [pb.NewMessage(payload=_PAYLOAD)] * 1_000)

    def add(self, queue: str, messages: Sequence[pb.NewMessage]) -> None:
        """Add messages, up to 1,000."""
        self._add_batch(pb.AddBatchRequest(queue_id=queue, messages=messages))

    def lease_all(self, queue: str, count: int) -> None:
        """Take messages on lease and keep them."""
        request = pb.LeaseRequest(queue_id=queue, messages_max=1_000, lease_duration=_LONG)
        for _ in range(count // 1_000):
            self._lease(request)


if __name__ == "__main__":
    main()
