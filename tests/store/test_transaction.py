"""A transaction writes what is in its batch, however much that is."""

from contextlib import closing
from pathlib import Path

import pytest

from qmq.store.local.directory import DataDirectory
from qmq.store.local.transaction import Batch, commit


@pytest.mark.parametrize("count", [1, 2, 63, 64, 127, 1_000])
def test_all_messages_of_a_batch_are_inserted(data: Path, count: int) -> None:
    """Each with what is its own, though many are inserted in one step."""
    rows = [(seq, seq % 7, b"%d" % seq) for seq in range(1, count + 1)]
    batch = Batch()
    batch.inserts += rows

    with closing(DataDirectory(data)) as directory, closing(directory.open_database()) as found:
        commit(found, batch, is_synced=True)
        kept = list(found.execute("select seq, queue, envelope from message order by seq"))

    assert kept == rows
