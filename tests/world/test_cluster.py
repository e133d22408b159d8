"""Worlds of clusters follow from their seeds; `make simulate` tests that all is right in them."""

from collections.abc import Sequence

from tests.world.cluster import ClusterWorld

#: Seconds of a world that is not played for what it shows of q.
_SHORT_S = 12.0


def test_same_seed_plays_the_same_in_a_cluster(addresses: Sequence[tuple[int, str]]) -> None:
    """As far as PostgreSQL's answers are the same, which they are."""
    played = []
    for seed in (3, 3):
        world = ClusterWorld(addresses, seed, _SHORT_S)
        world.play()
        played.append((world.history.digest(), len(world.history.ops), +world.faults))

    assert played[0] == played[1]
    assert played[0][1] > 50
