"""A slice of the soak, which `make soak-leases` runs in full."""

import subprocess
import sys
from pathlib import Path

from tests.acceptance.running import free_ports

SOAK = Path(__file__).parents[2] / "soak" / "killing.py"


def test_nothing_is_lost_while_consumers_and_server_are_killed() -> None:
    """Four consumers, killed all the time, and a server that is killed twice."""
    command = [
        *(sys.executable, str(SOAK), "--messages", "4000", "--consumers", "4"),
        *("--consumer-kills", "8", "--server-kills", "2", "--seed", "1"),
        *("--ports", *map(str, free_ports(2))),
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "messages acknowledged by Add          4,000" in done.stdout
    assert "server killed: 2\n" in done.stdout
