"""A bounded slice of the soak of a backlog: memory, disk and time stay within what is promised."""

from pathlib import Path

import pytest

import backlog


def test_backlog_of_some_messages_is_within_its_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are filled in, are there after a kill, and leave; the file is small again after that."""
    arguments = ["--messages", "100000", "--payload-bytes", "1000", "--queues", "0"]
    # How long it takes is up to what else the machine does.
    arguments += ["--factor", "0"]

    status = backlog.main([*arguments, "--data", str(tmp_path), "--stages", "fill", "restart"])
    status += backlog.main([*arguments, "--data", str(tmp_path), "--stages", "drain"])

    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    assert "start until a message was handed out" in told.out


def test_nothing_grows_while_messages_go_through(tmp_path: Path) -> None:
    """Neither memory nor files, once q is warm."""
    assert backlog.main(["--messages", "40000", "--data", str(tmp_path), "--stages", "flow"]) == 0


def test_bound_that_is_broken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the soak has failed."""
    monkeypatch.setattr(backlog, "_RESIDENT_BYTES_MAX", 0)

    status = backlog.main(["--messages", "2000", "--data", str(tmp_path), "--stages", "fill"])

    assert status == 1
    assert "resident, filled, MiB" in capsys.readouterr().err
