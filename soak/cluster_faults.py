"""A cluster's parts are killed and paused in turn; nothing may be lost, and service has to go on.

    make soak-cluster ROUNDS=20
    PYTHONPATH=. python soak/cluster_faults.py --rounds 20 --messages 50000

Clients add, lease and ack through Envoy all the time. In each round one fault happens: kill -9
of the primary database, of a standby, of the q that leads, of one that follows; or the primary is
stopped (SIGSTOP) until another one is primary, and goes on then without knowing. What was killed
is started again. In the end the queue must be empty, and what clients were told is checked: no
message is lost whose Add was answered, none is stored twice, none is delivered after its ack or
while another one has a lease on it. No client may be without an answer for ten seconds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import qmq
from cluster import Cluster
from cluster_load import DEDUP_WINDOW_S, LEASE_S, Client, Consumer, Producer
from history import Report, check, stored_twice
from patroni import TTL_S
from tests.postgres.installation import Failed

_BATCH: Final = 10

#: Seconds that a client may be without an answer.
PAUSE_S_MAX: Final = 10.0

#: Seconds for which what was killed stays away, and a paused primary is paused.
ABSENCE_S: Final = 2 * TTL_S + 2.0
#: What a round takes at least, the load is spread over that.
ROUND_S: Final = ABSENCE_S + 3
DRAINED_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one fault."""

    fault: str
    #: Which part it was.
    whom: str
    #: The longest time without an answer, of any producer and of any consumer.
    adds_s: float
    leases_s: float
    #: From the fault until everything was as before it.
    whole_s: float

    @property
    def pause_s(self) -> float:
        """The longest time that any client was without an answer."""
        return max(self.adds_s, self.leases_s)


class Load:
    """All clients of a queue."""

    def __init__(  # noqa: PLR0913 - What differs from one soak to another, each by name.
        self,
        address: str,
        messages: int,
        seconds: float,
        *,
        queue: str = "faults",
        tags: Mapping[str, str] = MappingProxyType({}),
        clients: int = 4,
    ) -> None:
        """Make the queue, and let them begin.

        Args:
            address: of the server.
            messages: how many to add at least.
            seconds: over which these are spread.
            queue: its name.
            tags: its tags.
            clients: how many add, and how many lease and ack.
        """
        settings = qmq.QueueSettings(lease_duration=LEASE_S, dedup_window=DEDUP_WINDOW_S)
        with qmq.Client(address) as client:
            client.new_queue(queue, settings=settings, tags=tags)
        self._address, self._messages, self._queue = address, messages, queue
        between_s = seconds * clients * _BATCH / messages
        names = [f"{number}-{queue}" for number in range(clients)]
        self.producers = [Producer(f"p{name}", address, queue, _BATCH, between_s) for name in names]
        self.consumers = [Consumer(f"c{name}", address, queue) for name in names]
        for each in self.clients:
            each.start()

    @property
    def clients(self) -> Sequence[Client]:
        """Producers and consumers."""
        return (*self.producers, *self.consumers)

    @property
    def added(self) -> int:
        """How many messages were added so far."""
        return sum(len(each.added) for each in self.producers)

    def finish(self) -> Report:
        """Add what is left, let the queue run empty, and judge what clients were told.

        Raises:
            Failed: it does not run empty.
        """
        for producer in self.producers:
            producer.between_s = 0
        while self.added < self._messages and any(each.is_alive() for each in self.producers):
            time.sleep(0.1)
        _end(self.producers)
        self._await_empty()
        _end(self.consumers)
        return self._judge()

    def _await_empty(self) -> None:
        deadline = time.monotonic() + DRAINED_S_MAX
        with qmq.Client(self._address, retry=qmq.Retry(duration=30)) as client:
            while (stats := client.queue(self._queue).stats()).ready + stats.leased:
                if time.monotonic() > deadline:
                    raise Failed(f"the queue is not empty in time: {stats}")
                time.sleep(0.2)

    def _judge(self) -> Report:
        added = {message: name for each in self.producers for message, name in each.added.items()}
        deliveries = [delivery for each in self.consumers for delivery in each.deliveries]
        report = check(set(added), 0, deliveries)
        seen = {message: name for each in self.consumers for message, name in each.numbers.items()}
        report.faults += stored_twice({**added, **seen})
        report.faults += [
            f"{each.name} failed: {each.fault!r}" for each in self.clients if each.fault
        ]
        return report


def _end(clients: Sequence[Client]) -> None:
    for each in clients:
        each.stop()
    for each in clients:
        each.join(DRAINED_S_MAX)


class Torment:
    """The faults, each of which does something and returns whom it was done to and how it ends."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.faults: dict[str, Callable[[], tuple[str, Callable[[], None]]]] = {
            "primary killed": self._kill_primary,
            "q that leads killed": self._kill_leader,
            "standby killed": self._kill_standby,
            "primary stopped, and let go on": self._pause_primary,
            "q that follows killed": self._kill_follower,
        }

    def _kill_primary(self) -> tuple[str, Callable[[], None]]:
        node = self._cluster.databases.leader()
        assert node is not None
        node.kill()
        return node.name, node.start

    def _pause_primary(self) -> tuple[str, Callable[[], None]]:
        node = self._cluster.databases.leader()
        assert node is not None
        node.pause()
        return node.name, node.resume

    def _kill_standby(self) -> tuple[str, Callable[[], None]]:
        """Kill the one without which the primary acknowledges nothing."""
        node = self._cluster.databases.standby()
        assert node is not None
        node.kill()
        return node.name, node.start

    def _kill_leader(self) -> tuple[str, Callable[[], None]]:
        server = self._cluster.leading_server()
        assert server is not None
        server.kill()
        return server.name, server.start

    def _kill_follower(self) -> tuple[str, Callable[[], None]]:
        leading = self._cluster.leading_server()
        server = next(each for each in self._cluster.servers if each is not leading)
        server.kill()
        return server.name, server.start


def play(cluster: Cluster, load: Load, fault: str, torment: Torment) -> Round:
    """Play one round: a fault, its end, and what clients saw until all was as before."""
    start = time.monotonic()
    whom, end_it = torment.faults[fault]()
    time.sleep(ABSENCE_S)
    end_it()
    cluster.wait_until(lambda: not cluster.broken(), "mend itself")
    whole = time.monotonic()
    # A client that is in the middle of a pause has to see its end.
    time.sleep(max(1.0, start + ROUND_S - whole))
    end = time.monotonic()
    return Round(
        fault,
        whom,
        max(each.longest_pause_s(start, end) for each in load.producers),
        max(each.longest_pause_s(start, end) for each in load.consumers),
        whole - start,
    )


def table(rounds: Sequence[Round]) -> str:
    """Write what came of the faults as a table, in Markdown."""
    lines = [
        "| fault | rounds | longest pause of an Add, median and worst | of a Lease or Ack |",
        "| --- | ---: | ---: | ---: |",
    ]
    for fault in dict.fromkeys(each.fault for each in rounds):
        those = [each for each in rounds if each.fault == fault]
        adds, leases = (
            f"{statistics.median(values):.1f} s, {max(values):.1f} s"
            for values in ([each.adds_s for each in those], [each.leases_s for each in those])
        )
        lines.append(f"| {fault} | {len(those)} | {adds} | {leases} |")
    return "\n".join(lines)


def main() -> None:
    """Run, check, print the report, and exit with 1 if there are faults."""
    parser = argparse.ArgumentParser(description="Kill a cluster's parts; lose nothing.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--messages", type=int, default=50_000)
    arguments = parser.parse_args()
    rounds: list[Round] = []
    try:
        with Cluster(tell=lambda what: print(what, flush=True)) as cluster:
            cluster.wait_until(lambda: not cluster.broken(), "begin")
            load = Load(cluster.address, arguments.messages, arguments.rounds * ROUND_S)
            torment = Torment(cluster)
            names = list(torment.faults)
            for number in range(arguments.rounds):
                rounds.append(play(cluster, load, names[number % len(names)], torment))
                print(_line(number, rounds[-1], load), flush=True)
            report = load.finish()
    except Failed as error:
        sys.exit(f"soak-cluster: {error}")
    report.faults += [
        f"{each.fault}: a client had no answer for {each.pause_s:.1f} s"
        for each in rounds
        if each.pause_s > PAUSE_S_MAX
    ]
    print(f"\n{table(rounds)}\n\n{report}")
    sys.exit(bool(report.faults))


def _line(number: int, done: Round, load: Load) -> str:
    return (
        f"{number + 1:>3}. {done.fault} ({done.whom}): no Add for {done.adds_s:.1f} s, no Lease or"
        f" Ack for {done.leases_s:.1f} s, whole after {done.whole_s:.0f} s; {load.added:,} added"
    )


if __name__ == "__main__":
    main()
