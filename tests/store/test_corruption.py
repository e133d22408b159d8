"""One byte that is not what was written is found, or does no harm: nothing wrong is ever served.

Some bytes of the files are tried, others each time; `make damage` tries all of them.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from qmq.errors import DataDirectoryError
from qmq.store.local.directory import DATABASE, LOG
from tests.store.damage import (
    FRAME_BYTES,
    REFUSED,
    RIGHT,
    TOLD,
    WITHOUT_LAST,
    Damage,
    files_of,
    fill,
    found_in,
    problems,
    put_back,
)

#: One of so many bytes is tried.
STEP = 1_500

#: Where heads are, which are tried more closely: of the database, and of the log and its frames.
_HEAD_BYTES = 100
_LOG_HEAD_BYTES = 32


def offsets(content: bytes, chance: random.Random, *, is_log: bool) -> list[int]:
    """Return which bytes of a file are tried."""
    tried = {start + chance.randrange(STEP) for start in range(0, len(content), STEP)}
    heads = range(_LOG_HEAD_BYTES + 24) if is_log else range(_HEAD_BYTES)
    tried.update(chance.sample(heads, 20))
    if is_log:
        for _ in range(40):
            frame = chance.randrange((len(content) - _LOG_HEAD_BYTES) // FRAME_BYTES)
            tried.add(_LOG_HEAD_BYTES + frame * FRAME_BYTES + chance.randrange(24))
    return sorted(each for each in tried if each < len(content))


async def outcomes_of(data: Path, file: str, files: dict[str, bytes], seed: int) -> Counter[str]:
    """Change one byte of a file at a time, and count what becomes of that."""
    damage = Damage(data, file, files)
    await damage.begin()
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    for offset in offsets(files[file], chance, is_log=file == LOG):
        flipped = chance.randrange(1, 256)
        which = await damage.outcome(offset, flipped)
        outcomes[which] += 1
        assert which in {RIGHT, TOLD, REFUSED, WITHOUT_LAST}, f"{file}: {offset} ^ {flipped}"
    return outcomes


async def test_changed_byte_of_the_database_is_never_served(tmp_path: Path, any_seed: int) -> None:
    """It is where nothing is kept, or q does not start, or the call that reads it is told."""
    data = tmp_path / "data"
    await fill(data, tmp_path / "killed")
    assert problems(data) == []

    outcomes = await outcomes_of(data, DATABASE, {DATABASE: files_of(data)[DATABASE]}, any_seed)

    assert set(outcomes) <= {RIGHT, TOLD, REFUSED}
    assert outcomes[REFUSED] > 0
    assert outcomes[TOLD] > 0


async def test_changed_byte_of_the_log_loses_the_last_commit_at_most(
    tmp_path: Path, any_seed: int
) -> None:
    """That one cannot be told from a write that the power was lost in."""
    killed = tmp_path / "killed"
    await fill(tmp_path / "data", killed)
    assert problems(killed) == []

    outcomes = await outcomes_of(killed, LOG, files_of(killed), any_seed)

    assert set(outcomes) <= {REFUSED, WITHOUT_LAST}
    assert outcomes[REFUSED] > 10 * outcomes[WITHOUT_LAST]


@pytest.mark.parametrize("size", [512, 4096, 20_000])
async def test_lost_piece_of_the_log_is_found(tmp_path: Path, size: int) -> None:
    """As when a block of the disk cannot be read any more, and is all zeros."""
    killed = tmp_path / "killed"
    await fill(tmp_path / "data", killed)
    files = files_of(killed)
    middle = len(files[LOG]) // 2
    content = files[LOG][:middle] + bytes(size) + files[LOG][middle + size :]
    put_back(killed, {**files, LOG: content})

    assert len(problems(killed)) == 1
    with pytest.raises(DataDirectoryError, match="damaged in frame"):
        await found_in(killed)
    assert files_of(killed) == {**files, LOG: content}
