"""Simulations go on for a while, play the same again, and find what goes wrong."""

import pytest

from simulate import main, play_worlds, simulate
from tests.store.histories import MemoryHistory
from tests.store.histories_in_cluster import ClusterHistory
from tests.store.simulation import Simulation
from tests.world.world import World

#: Takes a second or two a store; `make simulate` goes on for longer.
_STEPS = 600


class WithFault(MemoryHistory):
    """A server of which the model forgets a message now and then."""

    def new_payload(self, size: int) -> bytes:
        """Lose the first message of the first queue, once there have been a hundred."""
        if self.payloads > 100 and self.naive.queues[0].messages:
            del self.naive.queues[0].messages[0]
        return super().new_payload(size)


class WithLoss(World):
    """A world in which a message vanishes in the end."""

    def play(self) -> None:
        """Play, and forget the last message that was taken."""
        super().play()
        last = max((op for op in self.history.ops if op.taken), key=lambda op: op.begin)
        last.taken = last.taken[:-1]


@pytest.mark.parametrize("seed", [1, None], ids=["seed 1", "any seed"])
@pytest.mark.parametrize("store", ["MEMORY", "DISK"])
def test_server_is_like_the_naive_model(store: str, seed: int | None, any_seed: int) -> None:
    """Step by step."""
    assert simulate([store], seed or any_seed, _STEPS) == 0


def test_cluster_is_like_the_naive_model(
    monkeypatch: pytest.MonkeyPatch, shared_database: str, any_seed: int
) -> None:
    """Step by step, of which there are fewer, since each waits for PostgreSQL."""
    monkeypatch.setattr(ClusterHistory, "dsn", shared_database, raising=False)

    assert simulate(["CLUSTER"], any_seed, _STEPS // 6) == 0


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
    again = f"again: make simulate SEED=1 STEPS={_STEPS} ARGS='--store MEMORY'"
    assert told[0].splitlines()[-1].endswith(again)
    assert "The last 30 commands:\nstate." in told[0]
    assert "AssertionError" in told[0]


@pytest.mark.parametrize("seed", [1, 2, None], ids=["1", "2", "any seed"])
def test_what_clients_of_a_world_are_told_is_right(seed: int | None, any_seed: int) -> None:
    """Whatever befalls the server, its disk, its clock and the network."""
    assert play_worlds(seed or any_seed, 1) == 0


def test_worlds_are_played_until_there_were_so_many_calls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And it is told what has befallen the servers."""
    assert main(["--concurrent", "--store", "DISK", "--seed", "1", "--steps", "1"]) == 0

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "seed 1"
    assert "calls in 1 worlds were right" in told[-1]
    assert " boot" in told[-1]


def test_wrong_world_is_told_with_the_command_that_plays_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And with the end of its history, byte for byte the same."""
    told = []
    for _ in range(2):
        assert play_worlds(3, 1, WithLoss) == 1
        told.append(capsys.readouterr().out)

    assert told[0] == told[1]
    assert "counts_add_up: " in told[0]
    assert " ok" in told[0]
    again = "make simulate ARGS='--concurrent --store DISK' SEED=3 STEPS=1"
    assert told[0].splitlines()[-1].endswith(again)
