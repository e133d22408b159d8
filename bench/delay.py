"""How late a delayed message comes, under load: the time between its moment and its arrival.

    make bench-delay

A process adds messages with random delays at a steady rate, while plain messages go through another
queue as fast as they can; consumers wait for the delayed ones. All clocks are the same machine's.
"""

import argparse
import random
import statistics
import threading
import time
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration

from leases import Call, Stub
from qmq.wire import q_pb2 as pb
from servers import running_q, scratch_directory

_WAIT = Duration(seconds=1)
_ADDED_TOGETHER = 10
_LOAD_BATCH = 100


class Measurement:
    """What consumers note, and when all are to end."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.loaded = 0
        self.ended = threading.Event()


def main() -> None:
    """Measure, and print what was found for each store."""
    parser = argparse.ArgumentParser(description="How late delayed messages come.")
    parser.add_argument("--rate", type=int, default=1_000, help="delayed messages a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    for store in (pb.Queue.MEMORY, pb.Queue.DISK):
        found = measure(store, arguments.rate, arguments.seconds)
        late = sorted(found.late_ms)
        print(
            f"{pb.Queue.Store.Name(store)}: {len(late):,} messages, beside"
            f" {found.loaded / arguments.seconds:,.0f} plain ones a second: late by"
            f" {statistics.median(late):.1f} ms (median), {late[len(late) * 99 // 100]:.1f} ms"
            f" (99 %), {late[-1]:.1f} ms at most; earliest {late[0]:+.1f} ms",
            flush=True,
        )


def measure(store: int, rate: int, seconds: float) -> Measurement:
    """Add delayed messages for so long, and take them when they come."""
    found = Measurement()
    with scratch_directory() as scratch, running_q(Path(scratch)) as q:
        address = q.url.removeprefix("http://")
        with grpc.insecure_channel(address) as channel:
            server = Stub(channel)
            delayed, plain = server.new_queue(store), server.new_queue(store)
            threads = [
                threading.Thread(target=take, args=(address, delayed, found)),
                threading.Thread(target=load, args=(address, plain, found)),
            ]
            for thread in threads:
                thread.start()
            add(server, delayed, rate, seconds)
            # The last ones are due by then.
            time.sleep(2)
            found.ended.set()
            for thread in threads:
                thread.join()
    return found


def add(server: Stub, queue: str, rate: int, seconds: float) -> None:
    """Add messages with delays of 0.1 to 1.5 seconds, some at a time."""
    end = time.monotonic() + seconds
    due = time.monotonic()
    while due < end:
        due += _ADDED_TOGETHER / rate
        time.sleep(max(0.0, due - time.monotonic()))
        server.add(
            queue,
            [
                pb.NewMessage(options=pb.MessageOptions(delay=_some_delay()))
                for _ in range(_ADDED_TOGETHER)
            ],
        )


def _some_delay() -> Duration:
    duration = Duration()
    duration.FromMilliseconds(random.randint(100, 1_500))  # noqa: S311 - It spreads load.
    return duration


def take(address: str, queue: str, found: Measurement) -> None:
    """Take delayed messages as they come."""
    request = pb.PopBatchRequest(queue_id=queue, messages_max=100, wait=_WAIT)
    with grpc.insecure_channel(address) as channel:
        pop: Call = channel.unary_unary(
            "/proto.Q/PopBatch",
            pb.PopBatchRequest.SerializeToString,
            pb.PopBatchResponse.FromString,
        )
        while not found.ended.is_set():
            messages = pop(request).messages
            now_ns = time.time_ns()
            found.late_ms += (
                (now_ns - message.options.available_at.ToNanoseconds()) / 1e6
                for message in messages
            )


def load(address: str, queue: str, found: Measurement) -> None:
    """Add and pop plain messages, one call after the other."""
    adds = pb.AddBatchRequest(queue_id=queue, messages=[pb.NewMessage(payload=b"x")] * _LOAD_BATCH)
    pops = pb.PopBatchRequest(queue_id=queue, messages_max=_LOAD_BATCH)
    with grpc.insecure_channel(address) as channel:
        add_batch: Call = channel.unary_unary(
            "/proto.Q/AddBatch", pb.AddBatchRequest.SerializeToString
        )
        pop_batch: Call = channel.unary_unary(
            "/proto.Q/PopBatch", pb.PopBatchRequest.SerializeToString
        )
        while not found.ended.is_set():
            add_batch(adds)
            pop_batch(pops)
            found.loaded += _LOAD_BATCH


if __name__ == "__main__":
    main()
