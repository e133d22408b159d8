"""Lease and Ack in batches of 100, by what the messages of a queue ask for.

    make bench-shape

Each shape is measured at two depths, and takes turns with a plain queue of the same depth, so
that the ratio of the two says what the shape costs on any machine.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration

from leases import Stub, measure
from qmq.wire import q_pb2 as pb
from servers import Running, running_q, scratch_directory

_BATCH = 1_000
_PAYLOAD = b"x" * 64
#: Queues that a selector matches.
_QUEUES = 10_000
_LONG = Duration(seconds=24 * 3600)

#: Returns the options of the message with a number.
Options = Callable[[int], pb.MessageOptions]


def plain(_: int) -> pb.MessageOptions:
    """Ask for nothing."""
    return pb.MessageOptions()


def priorities(number: int) -> pb.MessageOptions:
    """Ask for each priority in turn."""
    return pb.MessageOptions(priority=number % 256)


def expiring(_: int) -> pb.MessageOptions:
    """Ask for a ttl that does not pass meanwhile."""
    return pb.MessageOptions(ttl=_LONG)


def delayed(_: int) -> pb.MessageOptions:
    """Ask to be kept back for longer than it is measured."""
    return pb.MessageOptions(delay=_LONG)


def grouped(number: int) -> pb.MessageOptions:
    """Ask for one of 100,000 groups in turn."""
    return pb.MessageOptions(group_id=f"group {number % 100_000}")


def fair(number: int) -> pb.MessageOptions:
    """Ask for one of 10,000 fair keys in turn."""
    return pb.MessageOptions(fair_key=f"key {number % 10_000}")


def of_one_group(_: int) -> pb.MessageOptions:
    """Ask for a group of which nothing is handed out."""
    return pb.MessageOptions(group_id="stuck")


def deduplicated(number: int) -> pb.MessageOptions:
    """Ask to be added once."""
    return pb.MessageOptions(dedup_id=f"{os.getpid()}-{number}")


#: What the messages that are leased ask for, and those that stand in the queue besides.
SHAPES: dict[str, tuple[Options, Options]] = {
    "256 priorities": (priorities, priorities),
    "a ttl each": (expiring, expiring),
    "all others are delayed": (plain, delayed),
    "a dedup_id each": (deduplicated, plain),
    "100,000 groups": (grouped, grouped),
    "all others are of one stuck group": (plain, of_one_group),
    "10,000 fair keys": (fair, fair),
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What messages ask for, and what it costs.")
    parser.add_argument("--messages", type=int, default=100_000, help="in each run")
    parser.add_argument("--depth", type=int, default=1_000_000, help="of the deep queues")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default="", help="shapes whose names hold one of these words")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for store in (pb.Queue.MEMORY, pb.Queue.DISK):
        for title in filter(partial(is_asked_for, arguments.only), SHAPES):
            rates = {
                depth: shape_rates(store, title, depth, arguments)
                for depth in (arguments.depth // 10, arguments.depth)
            }
            ratios = ", ".join(
                f"{shaped / bare:.2f} at {depth:,}" for depth, (shaped, bare) in rates.items()
            )
            shallow, deep = (shaped for shaped, _ in rates.values())
            name = pb.Queue.Store.Name(store)
            print(f"{name}, {title}: {deep:,.0f} messages/s; to plain {ratios};", end=" ")
            print(f"deep to shallow {deep / shallow:.2f}", flush=True)
        if is_asked_for(arguments.only, "a selector"):
            selected_rates(store, arguments)


def is_asked_for(words: str, title: str) -> bool:
    """Whether a shape is to be measured, given words with commas between them."""
    return not words or any(word in title for word in words.split(","))


def selected_rates(store: int, arguments: argparse.Namespace) -> None:
    """Lease from 10,000 queues by a selector, beside one plain queue that holds as much."""
    with (
        scratch_directory() as scratch,
        running_q(Path(scratch) / "data") as q,
        grpc.insecure_channel(q.url.removeprefix("http://")) as channel,
    ):
        server = Stub(channel)
        tag = pb.Tag(key="team", value="bench")
        queues = [server.new_queue(store, [tag]) for _ in range(_QUEUES)]
        bare = server.new_queue(store)
        messages = [pb.NewMessage(payload=_PAYLOAD)] * max(1, arguments.depth // _QUEUES)
        for queue in queues:
            server.add(queue, messages)
        fill(server, bare, arguments.depth, plain)
        rates: dict[str, list[float]] = {"selected": [], "bare": []}
        for _ in range(arguments.repetitions):
            rates["selected"].append(measure(q, "team=bench", arguments.messages, by_selector=True))
            rates["bare"].append(measure(q, bare, arguments.messages))
        selected, plainly = (statistics.median(each) for each in rates.values())
        name = pb.Queue.Store.Name(store)
        print(f"{name}, a selector over {_QUEUES:,} queues: {selected:,.0f} messages/s;", end=" ")
        print(f"to plain {selected / plainly:.2f}", flush=True)


def shape_rates(
    store: int, title: str, depth: int, arguments: argparse.Namespace
) -> tuple[float, float]:
    """Return how many messages a second a shaped and a plain queue of a depth lease and ack."""
    leased, standing = SHAPES[title]
    with two_queues(store) as (q, server, shaped, bare):
        if standing is of_one_group:
            server.pause_group(shaped, "stuck")
        fill(server, shaped, depth, standing)
        fill(server, bare, depth, plain)
        rates: dict[str, list[float]] = {shaped: [], bare: []}
        for round_ in range(arguments.repetitions):
            for queue, options in ((shaped, leased), (bare, plain)):
                fill(server, queue, arguments.messages, options, first=depth * (round_ + 1))
                rates[queue].append(measure(q, queue, arguments.messages))
        return statistics.median(rates[shaped]), statistics.median(rates[bare])


@contextmanager
def two_queues(store: int) -> Iterator[tuple[Running, Stub, str, str]]:
    """Run a server with two queues."""
    with (
        scratch_directory() as scratch,
        running_q(Path(scratch) / "data") as q,
        grpc.insecure_channel(q.url.removeprefix("http://")) as channel,
    ):
        server = Stub(channel)
        yield q, server, server.new_queue(store), server.new_queue(store)


def fill(server: Stub, queue: str, count: int, options: Options, first: int = 0) -> None:
    """Add messages, numbered from `first`."""
    for start in range(first, first + count, _BATCH):
        server.add(
            queue,
            [
                pb.NewMessage(payload=_PAYLOAD, options=options(number))
                if options is not plain
                else pb.NewMessage(payload=_PAYLOAD)
                for number in range(start, start + _BATCH)
            ],
        )


if __name__ == "__main__":
    main()
