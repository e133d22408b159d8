"""A log that is damaged is told from one whose last commits were never finished."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from qmq.errors import DataDirectoryError
from qmq.store.local.broken_log import problem_of
from qmq.store.local.directory import LOG, DataDirectory
from qmq.store.local.transaction import Batch, commit
from tests.store.damage import files_of, put_back

_HEADER_BYTES = 32
_FRAME_BYTES = 24 + 4096


def log_of(data: Path, levels: Sequence[bool], size: int = 3_000) -> list[int]:
    """Make a log of commits, synced or not as `levels` says; return how many frames there are.

    The numbers are those after each commit, of a message of `size` bytes. The directory is as a
    crash leaves it.
    """
    directory = DataDirectory(data)
    connection = directory.open_database()
    frames: list[int] = []
    is_synced = True
    for number, needs_sync in enumerate(levels, 1):
        batch = Batch()
        batch.inserts.append((number, 1, bytes([number]) * size))
        batch.needs_sync = needs_sync
        commit(connection, batch, is_synced=is_synced)
        is_synced = needs_sync
        frames.append(connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0])
    files = files_of(data)
    connection.close()
    directory.close()
    put_back(data, files)
    return frames


def lose(data: Path, frame: int) -> None:
    """Make zeros of a frame: they count from 1."""
    content = bytearray((data / LOG).read_bytes())
    start = _HEADER_BYTES + (frame - 1) * _FRAME_BYTES
    content[start : start + _FRAME_BYTES] = bytes(_FRAME_BYTES)
    (data / LOG).write_bytes(content)


def refusal_of(data: Path) -> str:
    """Return why a directory is refused; empty if it is not."""
    try:
        with closing(DataDirectory(data)) as directory:
            directory.open_database().close()
    except DataDirectoryError as error:
        return error.message
    return ""


def test_frame_that_is_lost_before_later_commits_is_damage(tmp_path: Path) -> None:
    """Each was on disk before the next was written; the error says how to go on without it."""
    frames = log_of(tmp_path, [True] * 5)
    lose(tmp_path, frames[0])

    message = refusal_of(tmp_path)

    start = _HEADER_BYTES + (frames[0] - 1) * _FRAME_BYTES
    assert f"{LOG} is damaged in frame {frames[0]} of " in message
    assert f"truncate -s {start} " in message


@pytest.mark.parametrize("lost", [-1, -2])
def test_frame_of_the_last_commits_may_never_have_been_written(tmp_path: Path, lost: int) -> None:
    """A power cut loses the last one; what is lost of the one before is not told from that."""
    frames = log_of(tmp_path, [True] * 5)
    lose(tmp_path, frames[lost])

    assert refusal_of(tmp_path) == ""


@pytest.mark.parametrize("lost", range(1, 5))
def test_commits_that_were_not_synced_may_be_lost_in_any_order(tmp_path: Path, lost: int) -> None:
    """The disk chooses what it writes first."""
    frames = log_of(tmp_path, [True, False, False, False, False])
    lose(tmp_path, frames[lost])

    assert refusal_of(tmp_path) == ""


def test_sync_covers_the_commits_before_it(tmp_path: Path) -> None:
    """So what is lost of them is damage, if more was written after it."""
    frames = log_of(tmp_path, [True, False, False, True, True, True])
    lose(tmp_path, frames[1])

    assert "is damaged in frame" in refusal_of(tmp_path)


def test_changed_byte_before_the_last_commit_is_damage(tmp_path: Path) -> None:
    """Also in the highest bits of a word, where sums of 32 bits do not tell which word it was."""
    frames = log_of(tmp_path, [True] * 3, size=10)
    assert frames[2] == frames[1] + 1
    content = (tmp_path / LOG).read_bytes()
    begin, end = (_HEADER_BYTES + number * _FRAME_BYTES for number in (frames[1] - 1, frames[1]))

    for at in range(begin + 3, end, 4 * 17):
        changed = bytearray(content)
        changed[at] ^= 0x80
        (tmp_path / LOG).write_bytes(changed)
        assert problem_of(tmp_path / LOG, frames[0]), at


def test_log_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    """Wherever: it is as long as it was written."""
    log_of(tmp_path, [True] * 3)
    files = files_of(tmp_path)

    for length in range(0, len(files[LOG]), 997):
        put_back(tmp_path, {**files, LOG: files[LOG][:length]})
        assert refusal_of(tmp_path) == "", length
