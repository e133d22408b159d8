"""A transaction writes what is in its batch, however much that is."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from qmq.model.index import entry
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


@pytest.mark.parametrize(
    "asked",
    [[2], [1, 2, 3, 4, 5], [5, 1, 4], [3, 3], [4, 2]],
    ids=["one", "all", "mixed", "twice", "pair"],
)
async def test_envelopes_are_read_in_the_order_asked_for(data: Path, asked: list[int]) -> None:
    """Whatever bytes they are, and though all are read in one step."""
    envelopes = [b"a", b"", b"\0\0\xff\xfe", "\u00e4".encode("latin-1"), bytes(range(256)) * 100]
    rows = [(seq, 1, envelope) for seq, envelope in enumerate(envelopes, 1)]
    writing, reading = Batch(), Batch()
    writing.inserts += rows
    reader = asyncio.get_running_loop().create_future()
    reading.reads.append(([entry(seq, len(envelopes[seq - 1])) for seq in asked], reader))

    with closing(DataDirectory(data)) as directory, closing(directory.open_database()) as found:
        commit(found, writing, is_synced=True)
        answers = commit(found, reading, is_synced=True)

    assert answers == [(reader, [envelopes[seq - 1] for seq in asked])]


@pytest.mark.parametrize("asked", [[9], [1, 9], [9, 1, 1]])
async def test_message_that_is_missing_is_told_of(data: Path, asked: list[int]) -> None:
    """What the index knows is in the database, or the database is damaged."""
    writing, reading = Batch(), Batch()
    writing.inserts.append((1, 1, b"a"))
    reading.reads.append(
        ([entry(seq, 1) for seq in asked], asyncio.get_running_loop().create_future())
    )

    with closing(DataDirectory(data)) as directory, closing(directory.open_database()) as found:
        commit(found, writing, is_synced=True)
        with pytest.raises(LookupError, match="message 9 is in the index but not in the database"):
            commit(found, reading, is_synced=True)

        assert not found.in_transaction
