"""What leaves a cluster is told in runs where numbers follow each other, and one by one else."""

import pytest

from qmq.model.changes import Changes
from qmq.model.index import entry
from qmq.store.postgres.writing import divided
from qmq.testing import START_NS
from tests.store.clusters import Clusters
from tests.store.conformance import make_queue


@pytest.mark.parametrize(
    ("seqs", "singles", "runs"),
    [
        ([], (), ()),
        ([7], [[7]], ()),
        ([3, 1, 2], [[1, 2, 3]], ()),
        ([4, 3, 2, 1], (), [[1], [4]]),
        ([*range(10, 20), 30, *range(40, 50)], [[30]], [[10, 40], [19, 49]]),
        ([*range(10, 20), 21, 22], [[21, 22]], [[10], [19]]),
        ([1, 3, 5, 6, 7, 8], [[1, 3, 5, 6, 7, 8]], ()),
    ],
)
def test_numbers_are_divided(seqs: list[int], singles: object, runs: object) -> None:
    """Whatever their order; where hardly any follow each other, nobody looks for those."""
    assert divided(set(seqs)) == (singles, runs)


async def test_nothing_but_what_has_left_is_removed(clusters: Clusters) -> None:
    """Of runs that are interrupted by what stays, at their ends and in their midst."""
    store = await clusters.open()
    queue = make_queue(1)
    await store.new_queue(queue)
    await store.add_batch(queue, [b"x"] * 40, START_NS)
    leaving = [*range(10), 12, *range(14, 20), *range(25, 28), 39]
    changes = Changes()
    changes.removed += (entry(START_NS + each, 1) for each in leaving)

    await store.commit(changes)

    rows = await clusters.fetch("select seq from q.message order by seq")
    assert [seq - START_NS for (seq,) in rows] == sorted({*range(40)} - {*leaving})
