"""One to several q over one to several databases, by turns, as ratios to one of each.

    make bench-cluster ARGS='--servers 3 --shards 2'

Each database is on a PostgreSQL of its own, which syncs, and has no standby. All of them, all q and
four clients share one machine and its disk: so this tells what more of them cost rather than what
they bring. Each client has a queue, each on the next shard, and calls the next q.

After that a client adds single messages to a queue on the first shard: while all is quiet, and
while the PostgreSQL of another shard is stopped (SIGSTOP) in the midst of a commit.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import grpc

import in_cluster
from in_cluster import address_of, q_in_cluster, spread
from leases import Stub
from qmq.wire import q_pb2 as pb
from servers import Running
from tests.postgres.nodes import Node
from together import Together

_CLIENTS: Final = 4
_SINGLES: Final = 300


class Cluster(NamedTuple):
    """Some q over some databases."""

    servers: list[Running]
    queues: list[str]


def compare_shards(arguments: argparse.Namespace) -> None:
    """Measure all combinations by turns, and print tables."""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(Node.new(f"node{at}", durable=True))
            for at in range(arguments.shards)
        ]
        for node in nodes:
            node.start()
        clusters = {
            shards: stack.enter_context(_cluster(nodes[:shards], arguments.servers))
            for shards in range(1, arguments.shards + 1)
        }
        rates: dict[tuple[str, int, int], list[float]] = {}
        for _ in range(arguments.repetitions):
            for shards, cluster in clusters.items():
                for servers in range(1, arguments.servers + 1):
                    for what in ("add", "lease"):
                        rate = _drive(cluster, servers, what, arguments.messages)
                        rates.setdefault((what, servers, shards), []).append(rate)
        for (what, servers, shards), found in rates.items():
            ones = rates[what, 1, 1]
            ratios = [one / other for one, other in zip(found, ones, strict=True)]
            print(
                f"{what}, {servers} q, {shards} databases: {spread(found)} messages/s; ratio"
                f" {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )
        if len(nodes) > 1:
            _tell_isolation(clusters[2], nodes[1])


@contextmanager
def _cluster(nodes: list[Node], servers: int) -> Iterator[Cluster]:
    """Run q over a new database on each of some PostgreSQL, with a queue for each client."""
    with ExitStack() as stack:
        names = ["", *(f"shard{at}=" for at in range(2, len(nodes) + 1))]
        databases = [
            name + node.dsn(stack.enter_context(node.database()))
            for name, node in zip(names, nodes, strict=True)
        ]
        running = [stack.enter_context(q_in_cluster(*databases)) for _ in range(servers)]
        channel = stack.enter_context(grpc.insecure_channel(address_of(running[0])))
        shards = itertools.cycle(["first", *(name.rstrip("=") for name in names[1:])])
        server = Stub(channel)
        queues = [
            server.new_queue(pb.Queue.CLUSTER, [pb.Tag(key="shard", value=next(shards))])
            for _ in range(_CLIENTS)
        ]
        yield Cluster(running, queues)


def _drive(cluster: Cluster, servers: int, what: str, messages: int) -> float:
    """Let each client do something with its share of the messages; return how many a second."""
    share = str(messages // _CLIENTS)
    addresses = itertools.cycle(map(address_of, cluster.servers[:servers]))
    together = Together([_command(what, next(addresses), queue, share) for queue in cluster.queues])
    together.begin()
    return messages / together.end()


def _command(what: str, address: str, queue: str, count: str) -> list[str]:
    return [sys.executable, str(Path(in_cluster.__file__)), "--work", what, address, queue, count]


def _tell_isolation(cluster: Cluster, other: Node) -> None:
    """Print how long Adds to the first shard take, also while another one does not answer."""
    address, (here, there) = address_of(cluster.servers[0]), cluster.queues[:2]
    print(f"single Adds on the first shard: {_singles(address, here)}", flush=True)
    other.pause()
    stuck = subprocess.Popen(
        _command("single", address, there, "1"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        assert stuck.stdin is not None
        stuck.stdin.write(b"\n")
        stuck.stdin.flush()
        print(f"while another one is stopped: {_singles(address, here)}", flush=True)
    finally:
        stuck.kill()
        stuck.wait()
        other.resume()


def _singles(address: str, queue: str) -> str:
    found = subprocess.run(
        _command("single", address, queue, str(_SINGLES)),
        input=b"\n",
        capture_output=True,
        check=True,
    )
    took_us = sorted(map(int, found.stdout.split()))
    return f"median {took_us[len(took_us) // 2]} µs, p99 {took_us[-len(took_us) // 100]} µs"
