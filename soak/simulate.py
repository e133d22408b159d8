"""Random histories, drawn from a seed, of a server and of the naive model beside it.

    make simulate SEED=7 STEPS=100000
    python -m soak.simulate --seed 7 --steps 100000 --store DISK

Each step is a command, or several calls at once: messages are added with all options, leased,
acked and nacked, queues and their settings change, groups are paused and skipped, time passes,
and a server with a data directory ends, also by a crash, and starts again. After each step all
that the server holds is compared with the naive model (tests/store/naive.py). What differs ends
the program with status 1, and it tells the seed and the step, which come again from the same
seed, and the last commands.
"""

import argparse
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.store.histories import MemoryHistory
from tests.store.histories_on_disk import DiskHistory
from tests.store.simulation import Simulation, WentWrong

#: What is simulated, by the store that a queue lives in if nobody says.
KINDS: Final[Mapping[str, type[MemoryHistory]]] = {"MEMORY": MemoryHistory, "DISK": DiskHistory}

_BETWEEN_LINES_S: Final = 10.0


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
            print(f"{store} went wrong: seed {seed}, {error}", flush=True)
            return 1
        print(f"{store}: all {steps:,} steps were right, {simulation.messages:,} messages")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, and simulate."""
    parser = argparse.ArgumentParser(description="Compare q with the naive model, step by step.")
    parser.add_argument("--seed", type=int, help="decides what happens; by default, any")
    parser.add_argument("--steps", type=int, default=100_000, help="of each store")
    parser.add_argument("--store", choices=KINDS, action="append", help="by default, both")
    asked = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if asked.seed is None else asked.seed
    return simulate(asked.store or list(KINDS), seed, asked.steps)


if __name__ == "__main__":
    sys.exit(main())
