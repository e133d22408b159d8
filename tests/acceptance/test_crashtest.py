"""q crashtest tells what a disk does, and finds what is lost on it."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.acceptance.running import environment, program


def crashtest(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run q crashtest, with something on its standard input."""
    return subprocess.run(
        [program("q"), "crashtest", *arguments],
        input=said,
        capture_output=True,
        text=True,
        timeout=100,
        env=environment(),
        check=False,
    )


def acknowledged(disk: Path) -> str:
    """Kill a q crashtest --write after it has acknowledged some messages; return what it wrote."""
    command = [program("q"), "crashtest", str(disk), "--write"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as writer:
        assert writer.stdout
        first = [writer.stdout.readline() for _ in range(100)]
        writer.kill()
        return "".join(first) + writer.stdout.read()


def test_a_disk_is_measured_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """What is found is a line each, and nothing is left there."""
    tried = crashtest(str(tmp_path))

    assert tried.returncode == 0, tried.stderr
    where, syncs, commits, kills, *power = tried.stdout.splitlines()
    assert where.startswith(f"{tmp_path} is on ")
    assert syncs.startswith("fsync of 4 KiB: p50 ")
    assert commits.startswith("q's commits, synced: ")
    assert kills.startswith("kill -9, 5 rounds: all of ")
    assert power[0].startswith("kill -9 leaves the system running")
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_until_a_kill_is_verified_and_removed(tmp_path: Path) -> None:
    """A line that was cut off counts for nothing: it may be of any number."""
    numbers = acknowledged(tmp_path)

    found = crashtest(str(tmp_path), "--verify", "-", said=f"{numbers}99999")

    assert found.returncode == 0, found.stdout
    count = numbers.count("\n")
    assert found.stdout == f"all of {count:,} acknowledged messages are there\n"
    assert list(tmp_path.iterdir()) == []


def test_what_is_lost_is_named(tmp_path: Path) -> None:
    """And what is there stays, to be looked at; to write again waits for that."""
    numbers = acknowledged(tmp_path)

    found = crashtest(str(tmp_path), "--verify", "-", said=f"{numbers}99999999\n")
    again = crashtest(str(tmp_path), "--write")

    count = numbers.count("\n") + 1
    assert found.returncode == 1
    assert f"lost: 1 of {count:,} acknowledged messages: 99999999." in found.stdout
    assert again.returncode == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["q-crashtest"]


def test_all_is_lost_where_nothing_is_left(tmp_path: Path) -> None:
    """Also where the database can be read no more."""
    numbers = acknowledged(tmp_path)
    database = tmp_path / "q-crashtest" / "q.db"
    database.write_bytes(bytes(8192))

    damaged = crashtest(str(tmp_path), "--verify", "-", said=numbers)
    shutil.rmtree(database.parent)
    gone = crashtest(str(tmp_path), "--verify", "-", said=numbers)

    assert damaged.returncode == gone.returncode == 1
    assert "lost: all " in damaged.stdout
    assert "lost: all " in gone.stdout


def test_what_cannot_be_tried_is_told_from_what_is_lost(tmp_path: Path) -> None:
    """With an exit status of its own, and a line that says why."""
    for arguments, said, why in (
        ([str(tmp_path / "none")], "", "cannot write to"),
        ([str(tmp_path / "none"), "--write"], "", "is no directory"),
        ([str(tmp_path), "--verify", "-"], "", "there is no number"),
        ([str(tmp_path), "--verify", "-"], "x\n", "line 1 is no number"),
    ):
        tried = crashtest(*arguments, said=said)

        assert tried.returncode == 2
        assert tried.stderr.startswith("q: error: ")
        assert why in tried.stderr


def test_an_interrupted_trial_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of it removes what was written."""
    with subprocess.Popen(
        [program("q"), "crashtest", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as trial:
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob("*/syncs")) and not any(tmp_path.glob(".*/syncs")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        trial.send_signal(signal.SIGINT)
        trial.wait(60)

    assert trial.returncode != 0
    assert list(tmp_path.iterdir()) == []
