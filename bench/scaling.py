"""What more q and more databases cost and bring, by turns, as the tables of docs/scaling.md.

    make bench-scaling                         # some minutes; prints the tables
    make bench-scaling ARGS=--write            # puts them into docs/scaling.md
    make bench-scaling ARGS='--messages 6400 --repetitions 1'

All of it and four clients share one machine and its disk. So this tells what more of them cost
rather than what they bring where each has a machine of its own.

First, one to three q over one and two databases, each on a PostgreSQL that syncs and has no
standby: each client has a queue, each on the next shard, and calls the next q. Then a client adds
single messages to a queue on the first shard: while all is quiet, and while the PostgreSQL of the
other one is stopped (SIGSTOP) in the midst of a commit. Then a primary with two synchronous
standbys: clients call the q that leads, or one that follows it, and processor time and bytes of all
of them are told; and a second cluster has a database beside that of the first.

The rounds end with the last one that began within `--seconds`.
"""

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import grpc

import in_cluster
from in_cluster import address_of, cpu_s, log_bytes, q_in_cluster
from leases import Stub
from qmq.wire import q_pb2 as pb
from servers import Running
from tests.postgres.nodes import Node, Trio
from together import Together

_CLIENTS: Final = 4
_SERVERS: Final = 3
_SHARDS: Final = 2
_SINGLES: Final = 300
_BATCH: Final = 64

_PAGE: Final = Path(__file__).parents[1] / "docs/scaling.md"
_BEGIN: Final = "<!-- scaling:begin -->"
_END: Final = "<!-- scaling:end -->"

#: What clients do, and how it is called.
_WORK: Final = {"add": "AddBatch", "lease": "Lease + Ack"}


class Cost(NamedTuple):
    """What some messages took."""

    rate: float
    #: Processor time of each q, in seconds.
    servers_s: tuple[float, ...]
    clients_s: float


class Cluster(NamedTuple):
    """Some q over some databases."""

    servers: Sequence[Running]
    queues: Sequence[str]


class Clock:
    """Decides whether there is time for another round."""

    def __init__(self, seconds: float, repetitions: int) -> None:
        self._end_s = time.monotonic() + seconds
        self._repetitions = repetitions

    def rounds(self, share: float) -> Iterator[int]:
        """Yield the numbers of rounds, of which one is made in any case.

        Args:
            share: of the time that is left, at most.
        """
        end_s = time.monotonic() + max(0.0, self._end_s - time.monotonic()) * share
        for number in range(self._repetitions):
            if number and time.monotonic() > end_s:
                return
            yield number


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description="More q, and more databases.")
    parser.add_argument("--messages", type=int, default=64_000, help="in each run")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=420.0, help="after which no round begins")
    parser.add_argument("--write", action="store_true", help=f"the tables into {_PAGE.name}")
    arguments = parser.parse_args()
    clock = Clock(arguments.seconds, arguments.repetitions)
    about = (
        f"`make bench-scaling`, {arguments.messages:,} messages of 64 bytes in each run, on"
        f" {os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()})."
        " Medians, lowest and highest."
    )
    tables = [
        about,
        *compare_shards(clock, arguments.messages),
        *compare_with_standbys(clock, arguments.messages),
    ]
    text = "\n\n".join(tables)
    print(f"\n{text}")
    if arguments.write:
        _PAGE.write_text(written(_PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


def written(page: str, tables: str) -> str:
    """Return the page with these tables between its marks.

    Raises:
        ValueError: it does not have each of them once.
    """
    if page.count(_BEGIN) != 1 or page.count(_END) != 1:
        raise ValueError(f"{_PAGE.name} needs one {_BEGIN} and one {_END}")
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n{tables}\n{end}{after}"


def compare_shards(clock: Clock, messages: int) -> list[str]:
    """Measure one to several q over one and two databases, and return tables."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node.new(f"node{at}", durable=True)) for at in range(_SHARDS)]
        for node in nodes:
            node.start()
        clusters = {
            shards: stack.enter_context(_cluster(nodes[:shards]))
            for shards in range(1, _SHARDS + 1)
        }
        found: dict[tuple[int, int], dict[str, list[float]]] = {}
        for _ in clock.rounds(share=0.5):
            for (shards, cluster), servers in itertools.product(
                clusters.items(), range(1, _SERVERS + 1)
            ):
                for what in _WORK:
                    cost = _drive(cluster.servers[:servers], cluster.queues, what, messages)
                    rates = found.setdefault((servers, shards), {})
                    rates.setdefault(what, []).append(cost.rate)
                    _tell(f"{servers} q, {shards} databases, {what}", cost)
        return [_grid(found), _isolation(clusters[_SHARDS], nodes[-1])]


def compare_with_standbys(clock: Clock, messages: int) -> list[str]:
    """Measure calls to the leader and through another q, and two clusters; return tables."""
    with (
        Trio(durable=True) as trio,
        trio.primary.database() as one,
        trio.primary.database() as two,
        q_in_cluster(trio.dsn(one)) as leader,
        q_in_cluster(trio.dsn(one)) as follower,
        q_in_cluster(trio.dsn(two)) as other,
    ):
        connections = (
            "select string_agg(count::text, ', ' order by count desc) from (select count(*) from"
            " pg_stat_activity where application_name = 'q' group by datname) as each"
        )
        [counts] = trio.primary.query(connections)
        pair, third = Cluster([leader, follower], _queues(leader)), Cluster([other], _queues(other))
        found: dict[str, _Found] = {title: _Found() for title in _WORK.values()}
        for _ in clock.rounds(share=1.0):
            for what, title in _WORK.items():
                found[title].note_ways(trio, pair, what, messages)
                found[title].note_two(pair, third, what, messages)
        held = f"Connections of two q to their database, and of one to another: {counts}."
        return [_ways(found), _million(found), held]


class _Found:
    """What came of one kind of work, by what was measured; each of all rounds."""

    def __init__(self) -> None:
        #: Messages a second.
        self.rates: defaultdict[str, list[float]] = defaultdict(list)
        #: Of a million messages: seconds, or megabytes.
        self.costs: defaultdict[str, list[float]] = defaultdict(list)

    def note_ways(self, trio: Trio, pair: Cluster, what: str, messages: int) -> None:
        """Have it done by the q that leads, and through the one that follows."""
        million = 1e6 / messages
        leader, follower = pair.servers
        logged, database_s = log_bytes(trio), cpu_s(trio)
        cost = _drive([leader], pair.queues, what, messages)
        _tell(f"{what} to the leader", cost)
        self.rates["to the leader"].append(cost.rate)
        for about, found in (
            ("processor time of q", cost.servers_s[0]),
            ("processor time of the primary and two standbys", cpu_s(trio) - database_s),
            ("processor time of the clients", cost.clients_s),
            ("PostgreSQL's log, sent to each standby", (log_bytes(trio) - logged) / 1e6),
        ):
            self.costs[about].append(found * million)
        cost = _drive([follower], pair.queues, what, messages)
        _tell(f"{what} through a follower", cost)
        self.rates["through a q that follows"].append(cost.rate)
        self.costs["processor time of a q that sends them on"].append(cost.servers_s[0] * million)

    def note_two(self, one: Cluster, other: Cluster, what: str, messages: int) -> None:
        """Have it done by two clusters at once, half of it each."""

        def drive(cluster: Cluster) -> Cost:
            return _drive(cluster.servers[:1], cluster.queues, what, messages // 2)

        with ThreadPoolExecutor() as threads:
            both = list(threads.map(drive, (one, other)))
        self.rates["two clusters at once"].append(sum(cost.rate for cost in both))


@contextmanager
def _cluster(nodes: Sequence[Node]) -> Iterator[Cluster]:
    """Run q over a new database on each of some PostgreSQL, with a queue for each client."""
    with ExitStack() as stack:
        names = ["", *(f"shard{at}=" for at in range(2, len(nodes) + 1))]
        databases = [
            name + node.dsn(stack.enter_context(node.database()))
            for name, node in zip(names, nodes, strict=True)
        ]
        running = [stack.enter_context(q_in_cluster(*databases)) for _ in range(_SERVERS)]
        shards = ["first", *(name.rstrip("=") for name in names[1:])]
        yield Cluster(running, _queues(running[0], shards))


def _queues(q: Running, shards: Sequence[str] = ("first",)) -> list[str]:
    """Make a queue for each client, each on the next shard."""
    on = itertools.cycle(shards)
    with grpc.insecure_channel(address_of(q)) as channel:
        server = Stub(channel)
        return [
            server.new_queue(pb.Queue.CLUSTER, [pb.Tag(key="shard", value=next(on))])
            for _ in range(_CLIENTS)
        ]


def _drive(servers: Sequence[Running], queues: Sequence[str], what: str, messages: int) -> Cost:
    """Let each client do something with its share of the messages, each through the next q."""
    share = str(messages // _CLIENTS // _BATCH * _BATCH)
    addresses = itertools.cycle(map(address_of, servers))
    before_s = [q.cpu_s() for q in servers]
    together = Together([_command(what, next(addresses), queue, share) for queue in queues])
    together.begin()
    rate = int(share) * _CLIENTS / together.end()
    used_s = tuple(q.cpu_s() - before for q, before in zip(servers, before_s, strict=True))
    return Cost(rate, used_s, sum(map(float, together.outputs)))


def _command(what: str, address: str, queue: str, count: str) -> list[str]:
    return [sys.executable, str(Path(in_cluster.__file__)), "--work", what, address, queue, count]


def _isolation(cluster: Cluster, other: Node) -> str:
    """Tell how long Adds to the first shard take, also while another one does not answer."""
    address, (here, there) = address_of(cluster.servers[0]), cluster.queues[:2]
    quiet = _singles(address, here)
    other.pause()
    stuck = subprocess.Popen(
        _command("single", address, there, "1"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        assert stuck.stdin is not None
        stuck.stdin.write(b"\n")
        stuck.stdin.flush()
        lost = _singles(address, here)
    finally:
        stuck.kill()
        stuck.wait()
        other.resume()
    return (
        f"A single Add to a queue on the first of two shards: {quiet}. While the PostgreSQL of the"
        f" other one is stopped in the midst of a commit: {lost}."
    )


def _singles(address: str, queue: str) -> str:
    found = subprocess.run(
        _command("single", address, queue, str(_SINGLES)),
        input=b"\n",
        capture_output=True,
        check=True,
    )
    took_us = sorted(map(int, found.stdout.split()))
    median, high = took_us[len(took_us) // 2], took_us[-len(took_us) // 100]
    return f"{median / 1000:.1f} ms, p99 {high / 1000:.1f} ms"


def _tell(about: str, cost: Cost) -> None:
    print(f"  {about}: {cost.rate:,.0f} messages/s", flush=True)


def _grid(found: Mapping[tuple[int, int], Mapping[str, list[float]]]) -> str:
    """Write what some q over some databases did, and as ratios to one over one."""
    ones = found[1, 1]
    lines = [
        f"| | {' | '.join(f'{title}, messages/s | ratio' for title in _WORK.values())} |",
        f"|---|{'---:|' * 2 * len(_WORK)}",
    ]
    for (servers, shards), rates in sorted(found.items(), key=lambda each: each[0][::-1]):
        cells = []
        for what in _WORK:
            ratios = [one / other for one, other in zip(rates[what], ones[what], strict=True)]
            cells += [_spread(rates[what]), _spread(ratios, ".2f")]
        name = f"{servers} q, {shards} database{'s' if shards > 1 else ''}"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ways(found: Mapping[str, _Found]) -> str:
    """Write what came of calls to the leader, through another q, and to two clusters."""
    lines = [
        f"| two synchronous standbys | {' | '.join(f'{title}, messages/s' for title in found)} |",
        f"|---|{'---:|' * len(found)}",
    ]
    lines += (
        f"| {way} | {' | '.join(_spread(each.rates[way]) for each in found.values())} |"
        for way in next(iter(found.values())).rates
    )
    return "\n".join(lines)


def _million(found: Mapping[str, _Found]) -> str:
    """Write what a million messages cost, of each kind of work and of all together."""
    lines = [
        f"| a million messages | {' | '.join(found)} | together |",
        f"|---|{'---:|' * (len(found) + 1)}",
    ]
    for about in next(iter(found.values())).costs:
        costs = [statistics.median(each.costs[about]) for each in found.values()]
        unit = "s" if about.startswith("processor") else "MB"
        cells = " | ".join(f"{each:.0f} {unit}" for each in (*costs, sum(costs)))
        lines.append(f"| {about} | {cells} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], form: str = ",.0f") -> str:
    median, lowest, highest = statistics.median(values), min(values), max(values)
    return f"{median:{form}} ({lowest:{form}} to {highest:{form}})"


if __name__ == "__main__":
    main()
