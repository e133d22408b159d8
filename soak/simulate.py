"""Random histories, drawn from a seed, of a server and of the naive model beside it.

    make simulate SEED=7 STEPS=100000
    python -m soak.simulate --seed 7 --steps 100000 --store DISK
    python -m soak.simulate --concurrent --store CLUSTER

Each step is a command, or several calls at once: messages are added with all options, leased,
acked and nacked, queues and their settings change, groups are paused and skipped, time passes,
and a server with a data directory ends, also by a crash, and starts again; the leader of a
cluster is succeeded by another, and loses its connection to a real PostgreSQL. After each step all
that the server holds is compared with the naive model (tests/store/naive.py). What differs ends
the program with status 1, and it tells the seed and the step, which come again from the same
seed, and the last commands. SHARDS is a cluster with two databases.

With `--concurrent` it plays worlds instead (tests/world/). A world is some hundred calls and
streams of clients that know nothing of each other, on queues that have anything that goes
together, to a server that is killed, or loses its power and with it the last bytes that it wrote,
and whose disk is full for a time, slow or broken; requests and replies are lost, and clocks are
set. Worlds of a CLUSTER have two q, of which one leads, and one database or two: what is on its
way to a real PostgreSQL is lost or late, commits are refused, databases go away, and q are killed,
stand still or are cut off. All that clients were told is judged then. What is wrong ends the
program likewise, with the end of the history and the seed that plays the same one again.
"""

import argparse
import logging
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from tests.postgres.nodes import Node
from tests.store.histories import MemoryHistory
from tests.store.histories_in_cluster import ClusterHistory, ShardedHistory
from tests.store.histories_on_disk import DiskHistory
from tests.store.simulation import Simulation, WentWrong
from tests.world.cluster import ClusterWorld
from tests.world.play import Play
from tests.world.world import World

#: What is simulated, by the store that a queue lives in if nobody says.
KINDS: Final[Mapping[str, type[MemoryHistory]]] = {
    "MEMORY": MemoryHistory,
    "DISK": DiskHistory,
    "CLUSTER": ClusterHistory,
    "SHARDS": ShardedHistory,
}

_BETWEEN_LINES_S: Final = 10.0

#: Lines of a world's history that are shown, and characters of each.
_LINES: Final = 60
_LINE_CHARS: Final = 300


def _teller(store: str, simulation: Simulation, total: int) -> Callable[[int], None]:
    """Return what tells now and then how far a simulation is."""
    started_s = told_s = time.monotonic()

    def tell(steps: int) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if steps == total or now_s - told_s >= _BETWEEN_LINES_S:
            told_s = now_s
            pace = steps / (now_s - started_s)
            print(
                f"{store}: {steps:,} of {total:,} steps, {simulation.histories:,} histories, "
                f"{pace:,.0f} steps/s",
                flush=True,
            )

    return tell


def simulate(
    stores: Sequence[str],
    seed: int,
    steps: int,
    kinds: Mapping[str, type[MemoryHistory]] = KINDS,
) -> int:
    """Simulate one store after the other.

    Args:
        stores: which ones.
        seed: decides what happens.
        steps: how many, of each store.
        kinds: what is simulated, by store.

    Returns:
        The status to exit with: 1 if something went wrong.
    """
    print(f"seed {seed}", flush=True)
    for store in stores:
        simulation = Simulation(kinds[store], seed)
        try:
            simulation.run(steps, _teller(store, simulation, steps))
        except WentWrong as error:
            traceback.print_exception(error.__cause__, file=sys.stdout)
            print(f"The last {len(simulation.last)} commands:")
            print("\n".join(simulation.last))
            again = f"make simulate SEED={seed} STEPS={steps} ARGS='--store {store}'"
            print(f"{store} went wrong: seed {seed}, {error}; again: {again}", flush=True)
            return 1
        print(f"{store}: all {steps:,} steps were right, {simulation.messages:,} messages")
    return 0


def play_worlds(
    seed: int, steps: int, make: Callable[[int], Play] = World, store: str = "DISK"
) -> int:
    """Play worlds, each with a seed by one higher than that of the one before.

    Args:
        seed: that of the first one.
        steps: how many calls there are in all of them, at least.
        make: makes a world of a seed.
        store: where they keep their queues, as the command has it.

    Returns:
        The status to exit with: 1 if something went wrong.
    """
    print(f"seed {seed}", flush=True)
    faults: Counter[str] = Counter()
    calls, first, told_s = 0, seed, time.monotonic()
    while calls < steps:
        world = make(seed)
        problems: list[str]
        try:
            world.play()
            problems = world.problems()
        except Exception:  # noqa: BLE001 - Whatever it is, the seed tells how to find it again.
            problems = [traceback.format_exc()]
        if problems:
            print(f"The last {_LINES} lines of the history:")
            print("\n".join(line[:_LINE_CHARS] for line in world.history.last(_LINES)))
            print("\n".join(problems))
            arguments = f"ARGS='--concurrent --store {store}'"
            print(f"went wrong; again: make simulate {arguments} SEED={seed} STEPS=1")
            return 1
        calls += len(world.history.ops)
        faults += world.faults
        seed += 1
        if time.monotonic() - told_s >= _BETWEEN_LINES_S:
            told_s = time.monotonic()
            print(f"{store}: {calls:,} of {steps:,} calls, {seed - first:,} worlds", flush=True)
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(faults.items()))
    print(f"{store}: all {calls:,} calls in {seed - first:,} worlds were right; {told}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, and simulate."""
    parser = argparse.ArgumentParser(description="Compare q with the naive model, step by step.")
    parser.add_argument("--seed", type=int, help="decides what happens; by default, any")
    parser.add_argument("--steps", type=int, default=100_000, help="of each store")
    parser.add_argument("--store", choices=KINDS, action="append", help="by default, all")
    parser.add_argument(
        "--concurrent", action="store_true", help="play clients and faults, and judge what they saw"
    )
    asked = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if asked.seed is None else asked.seed
    stores = asked.store or list(KINDS)
    with ExitStack() as stack:
        # What is wrong is told by the worlds and histories.
        logging.disable(logging.WARNING)
        stack.callback(logging.disable, logging.NOTSET)
        addresses: list[tuple[int, str]] = []
        if {"CLUSTER", "SHARDS"} & set(stores):
            node = stack.enter_context(Node.new())
            node.start()
            addresses = [(node.port, stack.enter_context(node.database())) for _ in range(2)]
            ClusterHistory.dsn, ShardedHistory.second_dsn = (
                node.dsn(name) for _, name in addresses
            )
        if not asked.concurrent:
            return simulate(stores, seed, asked.steps)
        status = 0
        if {"MEMORY", "DISK"} & set(stores):
            status = play_worlds(seed, asked.steps)
        if addresses and not status:
            status = play_worlds(
                seed, asked.steps, partial(ClusterWorld, addresses), store="CLUSTER"
            )
        return status


if __name__ == "__main__":
    sys.exit(main())
