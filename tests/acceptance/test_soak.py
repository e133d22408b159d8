"""Slices of soaks, which `make soak-leases`, `soak-kills` and `soak-rotation` run in full."""

import subprocess
import sys
from pathlib import Path

from tests.acceptance.running import environment, free_ports

ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_while_consumers_and_server_are_killed() -> None:
    """Four consumers, killed all the time, and a server that is killed twice."""
    command = [
        *(sys.executable, str(ROOT / "soak/killing.py"), "--messages", "4000", "--consumers", "4"),
        *("--consumer-kills", "8", "--server-kills", "2", "--seed", "1"),
        *("--ports", *map(str, free_ports(2))),
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "messages acknowledged by Add          4,000" in done.stdout
    assert "server killed: 2\n" in done.stdout


def test_nothing_is_lost_doubled_or_made_up_by_rounds_of_kill_9(tmp_path: Path) -> None:
    """Two rounds; some clients lease, some pop, some only add."""
    command = [
        *(sys.executable, str(ROOT / "soak/kills.py"), "--rounds", "2"),
        *("--plot", str(tmp_path / "plot.svg"), "--ports", *map(str, free_ports(2))),
    ]

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=environment(PYTHONPATH=str(ROOT)),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nfaults 0\n" in done.stdout
    assert (tmp_path / "plot.svg").stat().st_size > 0


def test_no_call_fails_while_certificates_and_tokens_are_replaced() -> None:
    """A few times, under load: on open connections, on new ones, and while it is waited."""
    command = [sys.executable, str(ROOT / "soak/rotation.py"), "--seconds", "3"]

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env=environment(PYTHONPATH=str(ROOT)),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nfailures 0\n" in done.stdout
