"""A cluster over two databases, whose parts are killed, stopped and lost in turn.

    make soak-cluster SHARDS=2 ROUNDS=16
    PYTHONPATH=. python soak/shard_faults.py --rounds 16 --messages 30000

Each database is a primary with two standbys of its own, and has queues of its own: one that is
filled and emptied all the time, and a pipeline (see `cluster_pipeline`). What befalls one database
must hold up its own queues only; what befalls a q may hold up all of them, for ten seconds at most.
In the end all queues must be empty, and what clients were told is checked, see `cluster_faults`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from cluster import Cluster
from cluster_faults import ABSENCE_S, DRAINED_S_MAX, PAUSE_S_MAX, ROUND_S, Load
from cluster_load import Client
from cluster_pipeline import Pipeline
from history import Report
from patroni import Node
from qmq.store.postgres.dsn import FIRST
from tests.postgres.installation import Failed

_OTHER: Final = "two"
_SHARDS: Final = (FIRST, _OTHER)

#: Seconds that a client may be without an answer whose database is not the one that is lost: a busy
#: machine needs no more, and one that waits for the other one does.
_OTHERS_S_MAX: Final = 3.0

_CLIENTS: Final = 2
#: Seconds between what a pipeline is fed.
_FED_S: Final = 0.5

#: Undoes what was done.
_End = Callable[[], None]


class Fault(NamedTuple):
    """What is done to the cluster."""

    name: str
    #: Does it, and returns whom to, and what undoes it.
    act: Callable[[], tuple[str, _End]]
    #: Seconds that clients of each shard may be without an answer; None if there is no bound.
    bounds_s: Mapping[str, float | None]


class Round(NamedTuple):
    """What came of a fault."""

    fault: Fault
    whom: str
    #: The longest time that a client was without an answer, by shard.
    pauses_s: Mapping[str, float]
    #: From the fault until everything was as before it.
    whole_s: float

    def faults(self) -> list[str]:
        """Tell which clients were without an answer for too long."""
        return [
            f"{self.fault.name}: a client of the shard {shard} had no answer for"
            f" {self.pauses_s[shard]:.1f} s"
            for shard, bound_s in self.fault.bounds_s.items()
            if bound_s is not None and self.pauses_s[shard] > bound_s
        ]


class Work:
    """All clients, by shard."""

    def __init__(self, address: str, messages: int, seconds: float) -> None:
        """Make the queues, and begin; the arguments are those of `Load`, for all shards."""
        self.loads = {
            shard: Load(
                address,
                messages // len(_SHARDS),
                seconds,
                queue=f"faults-{shard}",
                tags={"shard": shard},
                clients=_CLIENTS,
            )
            for shard in _SHARDS
        }
        self.pipelines = {shard: Pipeline(shard, address, _FED_S) for shard in _SHARDS}

    def clients(self, shard: str) -> Sequence[Client]:
        """Those who work on a shard all the time."""
        return (*self.loads[shard].clients, *self.pipelines[shard].busy)

    def finish(self) -> dict[str, Report]:
        """Let all queues run empty, and judge what clients were told, by queue.

        Raises:
            Failed: one does not run empty.
        """
        reports = {f"faults-{shard}": load.finish() for shard, load in self.loads.items()}
        for shard, pipeline in self.pipelines.items():
            reports[f"pipeline of {shard}"] = pipeline.finish(DRAINED_S_MAX)
        return reports


class Torment:
    """The faults."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        own = {shard: self._bounds(shard) for shard in _SHARDS}
        everyone: dict[str, float | None] = dict.fromkeys(_SHARDS, PAUSE_S_MAX)
        self.faults = [
            Fault("primary of two killed", lambda: self._kill_primary(_OTHER), own[_OTHER]),
            Fault("q that leads killed", self._kill_leader, everyone),
            Fault("primary of first killed", lambda: self._kill_primary(FIRST), own[FIRST]),
            Fault("two lost", lambda: self._lose(_OTHER), {**own[_OTHER], _OTHER: None}),
            Fault(
                "primary of two stopped, and let go on",
                lambda: self._pause_primary(_OTHER),
                own[_OTHER],
            ),
            Fault("first lost", lambda: self._lose(FIRST), {**own[FIRST], FIRST: None}),
            Fault("standby of two killed", lambda: self._kill_standby(_OTHER), own[_OTHER]),
            Fault(
                "q that leads killed, and two lost",
                self._kill_leader_and_lose,
                {**everyone, _OTHER: None},
            ),
        ]

    @staticmethod
    def _bounds(shard: str) -> dict[str, float | None]:
        return {each: PAUSE_S_MAX if each == shard else _OTHERS_S_MAX for each in _SHARDS}

    def _primary(self, shard: str) -> Node:
        node = self._cluster.shards[shard].leader()
        assert node is not None
        return node

    def _kill_primary(self, shard: str) -> tuple[str, _End]:
        node = self._primary(shard)
        node.kill()
        return node.name, node.start

    def _pause_primary(self, shard: str) -> tuple[str, _End]:
        node = self._primary(shard)
        node.pause()
        return node.name, node.resume

    def _kill_standby(self, shard: str) -> tuple[str, _End]:
        node = self._cluster.shards[shard].standby()
        assert node is not None
        node.kill()
        return node.name, node.start

    def _lose(self, shard: str) -> tuple[str, _End]:
        """Stop all of a database's servers: connections stay, and nothing answers."""
        nodes = self._cluster.shards[shard].nodes
        for node in nodes:
            node.pause()

        def find() -> None:
            for node in nodes:
                node.resume()

        return ", ".join(node.name for node in nodes), find

    def _kill_leader(self) -> tuple[str, _End]:
        server = self._cluster.leading_server()
        assert server is not None
        server.kill()
        return server.name, server.start

    def _kill_leader_and_lose(self) -> tuple[str, _End]:
        server, start = self._kill_leader()
        nodes, find = self._lose(_OTHER)

        def end() -> None:
            find()
            start()

        return f"{server}, {nodes}", end


def play(cluster: Cluster, work: Work, fault: Fault) -> Round:
    """Play one round: a fault, its end, and what clients saw until all was as before."""
    start = time.monotonic()
    whom, end_it = fault.act()
    time.sleep(ABSENCE_S)
    end_it()
    cluster.wait_until(lambda: not cluster.broken(), "mend itself")
    whole = time.monotonic()
    # A client that is in the middle of a pause has to see its end.
    time.sleep(max(1.0, start + ROUND_S - whole))
    end = time.monotonic()
    pauses_s = {
        shard: max(each.longest_pause_s(start, end) for each in work.clients(shard))
        for shard in _SHARDS
    }
    return Round(fault, whom, pauses_s, whole - start)


def table(rounds: Sequence[Round]) -> str:
    """Write what came of the faults as a table, in Markdown."""
    heads = " | ".join(f"pause on {shard}, median and worst" for shard in _SHARDS)
    lines = [f"| fault | rounds | {heads} |", f"| --- | ---: |{' ---: |' * len(_SHARDS)}"]
    for name in dict.fromkeys(each.fault.name for each in rounds):
        those = [each.pauses_s for each in rounds if each.fault.name == name]
        cells = (
            f"{statistics.median(values):.1f} s, {max(values):.1f} s"
            for values in ([pauses_s[shard] for pauses_s in those] for shard in _SHARDS)
        )
        lines.append(f"| {name} | {len(those)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run, check, print the report, and exit with 1 if there are faults."""
    parser = argparse.ArgumentParser(description="Kill a sharded cluster's parts; lose nothing.")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--messages", type=int, default=30_000)
    arguments = parser.parse_args()
    rounds: list[Round] = []
    try:
        with Cluster(tell=lambda what: print(what, flush=True), further=(_OTHER,)) as cluster:
            cluster.wait_until(lambda: not cluster.broken(), "begin")
            work = Work(cluster.address, arguments.messages, arguments.rounds * ROUND_S)
            torment = Torment(cluster)
            for number in range(arguments.rounds):
                fault = torment.faults[number % len(torment.faults)]
                rounds.append(play(cluster, work, fault))
                print(_line(number, rounds[-1]), flush=True)
            reports = work.finish()
    except Failed as error:
        sys.exit(f"soak-cluster: {error}")
    slow = [fault for each in rounds for fault in each.faults()]
    print(f"\n{table(rounds)}\n")
    print("\n".join([f"{name}:\n{report}\n" for name, report in reports.items()] + slow))
    sys.exit(bool(slow or any(report.faults for report in reports.values())))


def _line(number: int, done: Round) -> str:
    pauses = ", ".join(f"{pause_s:.1f} s on {shard}" for shard, pause_s in done.pauses_s.items())
    return (
        f"{number + 1:>3}. {done.fault.name} ({done.whom}): no answer for {pauses};"
        f" whole after {done.whole_s:.0f} s"
    )


if __name__ == "__main__":
    main()
