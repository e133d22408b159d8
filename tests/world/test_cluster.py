"""Worlds of clusters: they follow from their seeds, and what clients are told in them is right."""

from collections.abc import Sequence
from typing import Final

import pytest

from tests.world.cluster import ClusterWorld

#: Seconds of a world that is not played for what it shows of q.
_SHORT_S: Final = 12.0

#: In the first one commits meet with trouble, and nobody else notices; the second one has two
#: databases, as all have whose seed is odd.
_SEEDS: Final = (4, 23)


def test_same_seed_plays_the_same(addresses: Sequence[tuple[int, str]]) -> None:
    """As far as PostgreSQL's answers are the same, which they are."""
    played = []
    for _ in range(2):
        world = ClusterWorld(addresses, 3, _SHORT_S)
        world.play()
        played.append((world.history.digest(), len(world.history.ops), +world.faults))

    assert played[0] == played[1]
    assert played[0][1] > 50


@pytest.mark.parametrize("seed", _SEEDS, ids=lambda seed: f"seed {seed}")
def test_what_clients_are_told_is_right(addresses: Sequence[tuple[int, str]], seed: int) -> None:
    """Whatever befalls q, its databases and what is between them; `make simulate` plays more."""
    world = ClusterWorld(addresses, seed)
    world.play()

    assert world.problems() == []
    assert world.faults["boot"]
