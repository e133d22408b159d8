"""A byte of a data directory is changed, and what became of that is told."""

import pytest

from damage import Table, main
from qmq.store.local.directory import DATABASE, LOG
from tests.store.damage import REFUSED, WRONG


def test_changed_byte_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """In the head of the log, without which nothing of it counts."""
    status = main(["--file", LOG, "--offset", "20"])

    assert status == 0
    assert "| 1 | 0 | 0 | 1 | 0 | 0 | 0 |" in capsys.readouterr().out


def test_what_is_served_wrong_is_told_with_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    """And the program fails."""
    table = Table({DATABASE: {DATABASE: bytes(10)}})

    table.note(DATABASE, [(7, 4, WRONG), (8, 4, REFUSED)])

    assert table.wrong == 1
    assert "make damage ARGS='--file q.db --offset 7 --flipped 4'" in capsys.readouterr().out
    assert "| `q.db` | 10 | 2 | 0 | 0 | 1 | 0 | 1 | 0 |" in str(table)
