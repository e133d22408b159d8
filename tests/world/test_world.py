"""Worlds follow from their seeds, and what clients are told in them is right."""

import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from tests.world.world import World

#: Some, and another one each time: the name of the test that fails tells which.
_SEEDS = [1, 2, 3, 4, random.SystemRandom().randrange(1_000_000)]

#: Plays a world, and prints what its history is.
_PLAY = "from tests.world.world import World; w = World(5); w.play(); print(w.history.digest())"


@pytest.mark.parametrize("place", range(len(_SEEDS)))
def test_what_clients_are_told_is_right(place: int) -> None:
    """Whatever befalls the server, its disk, its clock and the network."""
    world = World(_SEEDS[place])
    world.play()

    assert world.problems() == [], f"make simulate ARGS=--concurrent SEED={_SEEDS[place]} STEPS=1"


def test_same_seed_plays_the_same_byte_for_byte() -> None:
    """In another process as well, whose sets have another order."""
    world = World(5)
    world.play()
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": "."}
    played = subprocess.run(
        [sys.executable, "-c", _PLAY], env=environment, capture_output=True, text=True, check=True
    )

    assert played.stdout.strip() == world.history.digest()


def test_other_seeds_play_other_worlds() -> None:
    """All that may befall a server does, before long; and clients do get something done."""
    faults: Counter[str] = Counter()
    digests = set()
    verbs: Counter[str] = Counter()
    for seed in range(11, 15):
        world = World(seed)
        world.play()
        faults += world.faults
        digests.add(world.history.digest())
        verbs.update(op.verb for op in world.history.ops if op.is_ok)

    assert len(digests) == 4
    assert {
        *("kill", "power", "stop", "broken", "boot", "set"),
        *("while writing", "no space", "no sync", "slow disk", "bad network"),
    } <= set(faults)
    assert {
        *("add", "add_batch", "pop", "pop_batch", "lease", "ack", "nack", "extend", "complete"),
        *("purge", "delete_queue", "redrive", "stats"),
    } <= {verb for verb, count in verbs.items() if count > 3}
