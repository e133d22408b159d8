"""One byte that is not what was written is found, or does no harm: nothing wrong is ever served.

By default some bytes of the files are tried, and others with another DAMAGE_SEED; all of them with
DAMAGE_STEP=1 and a longer --timeout, which takes an hour.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from qmq.errors import DataDirectoryError, DataLoss
from qmq.store.local.checking import check_directory
from qmq.store.local.directory import DATABASE, LOG
from tests.store.damage import files_of, fill, found_in, put_back

#: One of so many bytes is tried.
STEP = int(os.environ.get("DAMAGE_STEP", "1500"))
SEED = int(os.environ.get("DAMAGE_SEED", "1"))

#: Where heads are, which are tried more closely: of the database, and of the log and its frames.
_HEAD_BYTES = 100
_LOG_HEAD_BYTES = 32
_FRAME_BYTES = 24 + 4096


def problems(data: Path) -> list[str]:
    """Return what a check finds, which changes nothing; or why there is none."""
    before = files_of(data)
    try:
        found = check_directory(data).problems
    except DataDirectoryError as error:
        found = [error.message]
    assert files_of(data) == before
    return found


def offsets(content: bytes, *, is_log: bool) -> list[int]:
    """Return which bytes of a file are tried."""
    chance = random.Random(SEED)
    tried = {start + chance.randrange(STEP) for start in range(0, len(content), STEP)}
    heads = range(_LOG_HEAD_BYTES + 24) if is_log else range(_HEAD_BYTES)
    tried.update(chance.sample(heads, 20))
    if is_log:
        for _ in range(40):
            frame = chance.randrange((len(content) - _LOG_HEAD_BYTES) // _FRAME_BYTES)
            tried.add(_LOG_HEAD_BYTES + frame * _FRAME_BYTES + chance.randrange(24))
    return sorted(each for each in tried if each < len(content))


async def outcome(data: Path, right: object) -> str:
    """Return what becomes of a directory: refused, one message refused, right, or wrong."""
    try:
        found = await found_in(data)
    except DataDirectoryError:
        return "refused"
    if found == right:
        return "right"
    return "wrong" if repr(DataLoss) not in repr(found) else "told"


async def try_each(data: Path, file: str, right: object, before: object) -> Counter[str]:
    """Change one byte at a time; `before` is what there was before the last commit."""
    files = files_of(data)
    chance = random.Random(SEED)
    outcomes: Counter[str] = Counter()
    for offset in offsets(files[file], is_log=file == LOG):
        changed = bytearray(files[file])
        changed[offset] ^= chance.randrange(1, 256)
        put_back(data, {**files, file: bytes(changed)})
        found = problems(data)

        which = await outcome(data, right)
        if which == "wrong" and await outcome(data, before) == "right":
            which = "without the last commit"

        assert which != "wrong", f"{file}: byte {offset}"
        # What is damaged is found by a check, also where that is all that finds it.
        assert found or which not in {"refused", "told"}, f"{file}: byte {offset}"
        outcomes[which] += 1
    put_back(data, files)
    return outcomes


async def test_changed_byte_of_the_database_is_never_served(tmp_path: Path) -> None:
    """It is where nothing is kept, or q does not start, or the call that reads it is told."""
    data = tmp_path / "data"
    await fill(data, tmp_path / "killed")
    assert problems(data) == []
    right = await found_in(data)
    (data / LOG).unlink(missing_ok=True)

    outcomes = await try_each(data, DATABASE, right, None)

    assert set(outcomes) <= {"right", "refused", "told"}
    assert outcomes["refused"] > 0
    assert outcomes["told"] > 0


async def test_changed_byte_of_the_log_loses_the_last_commit_at_most(tmp_path: Path) -> None:
    """That one cannot be told from a write that the power was lost in."""
    killed = tmp_path / "killed"
    await fill(tmp_path / "data", killed)
    files = files_of(killed)
    assert problems(killed) == []
    right = await found_in(killed)
    put_back(killed, {**files, LOG: files[LOG][:-_FRAME_BYTES]})
    before = await found_in(killed)
    put_back(killed, files)

    outcomes = await try_each(killed, LOG, right, before)

    assert set(outcomes) <= {"refused", "without the last commit"}
    assert outcomes["refused"] > 10 * outcomes["without the last commit"]


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
