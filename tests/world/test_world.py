"""Worlds follow from their seeds. That all is right in them is tested with `make simulate`."""

import os
import subprocess
import sys
from collections import Counter

from tests.world.history import Outcome
from tests.world.world import World

#: Plays a world, and prints what its history is.
_PLAY = "from tests.world.world import World; w = World(5); w.play(); print(w.history.digest())"

#: What clients do all the time; all else some of them do now and then.
_OFTEN = {
    *("add", "add_batch", "pop", "pop_batch", "lease", "lease any", "ack", "nack", "extend"),
    *("consume", "handed", "browse", "peek", "stats", "pause", "resume", "redrive"),
}


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
    # Whether each of them hears of what has become of its call.
    unknown: set[str] = set()
    for seed in (2, 12):
        world = World(seed)
        world.play()
        faults += world.faults
        digests.add(world.history.digest())
        verbs.update(op.verb + " any" * bool(op.selector) for op in world.history.ops if op.is_ok)
        unknown |= {op.verb for op in world.history.ops if op.outcome is Outcome.UNKNOWN}

    assert len(digests) == 2
    assert {
        *("kill", "power", "stop", "broken", "full", "room", "boot", "set"),
        *("while writing", "no space", "no sync", "slow disk", "bad network"),
    } <= set(faults)
    assert _OFTEN | {"put_schedule", "complete", "purge", "delete"} <= set(verbs)
    assert {verb for verb in _OFTEN if verbs[verb] < 2} == set()
    assert {"add", "pop", "lease", "ack", "consume", "browse"} <= unknown
