"""The simulation goes on for a while, plays the same again, and finds what goes wrong."""

import random

import pytest

from simulate import KINDS, simulate
from tests.store.histories import MemoryHistory
from tests.store.simulation import Simulation

#: Takes some seconds a store; `make simulate` goes on for longer.
_STEPS = 1_000

#: Another one each time: what the program prints tells which.
_ANY = random.SystemRandom().randrange(1_000_000)


class WithFault(MemoryHistory):
    """A server of which the model forgets a message now and then."""

    def new_payload(self, size: int) -> bytes:
        """Lose the first message of the first queue, once there have been a hundred."""
        if self.payloads > 100 and self.naive.queues[0].messages:
            del self.naive.queues[0].messages[0]
        return super().new_payload(size)


@pytest.mark.parametrize("seed", [1, _ANY], ids=["seed 1", "any seed"])
@pytest.mark.parametrize("store", KINDS)
def test_server_is_like_the_naive_model(store: str, seed: int) -> None:
    """Step by step."""
    assert simulate([store], seed, _STEPS) == 0


def test_same_seed_plays_the_same() -> None:
    """And another one something else."""
    played = []
    for seed in (1, 1, 2):
        simulation = Simulation(MemoryHistory, seed)
        simulation.run(100)
        played.append((list(simulation.last), simulation.messages))

    assert played[0] == played[1] != played[2]


def test_fault_ends_the_simulation_with_what_led_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The seed and the step come again; the last commands tell what happened."""
    told = []
    for _ in range(2):
        assert simulate(["MEMORY"], 1, _STEPS, {"MEMORY": WithFault}) == 1
        told.append(capsys.readouterr().out)

    assert told[0].splitlines()[-1] == told[1].splitlines()[-1]
    assert told[0].splitlines()[-1].startswith("MEMORY went wrong: seed 1, step ")
    assert "The last 30 commands:\nstate." in told[0]
    assert "AssertionError" in told[0]
