"""Slices of the soaks that `make soak-overload` and `make soak-mixed` run in full."""

import subprocess
import sys
from pathlib import Path

from tests.acceptance.running import free_ports

SOAK = Path(__file__).parents[2] / "soak"


def test_nobody_is_hurt_while_q_is_overloaded() -> None:
    """A fiftieth of each attack, without a look at the clock."""
    command = [
        *(sys.executable, str(SOAK / "overload.py"), "--share", "0.02", "--factor", "0"),
        *("--only", "idle", "half-open", "slow-replies", "slow-consumers", "flood", "rapid-reset"),
        *("--ports", *map(str, free_ports(2))),
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("no faults\n")


def test_nothing_grows_under_mixed_load(tmp_path: Path) -> None:
    """For a few seconds; each kind of call has done something."""
    command = [
        *(sys.executable, str(SOAK / "mixed.py"), "--minutes", "0.06"),
        *("--plot", str(tmp_path / "mixed.svg"), "--ports", *map(str, free_ports(2))),
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("add", "pop", "lease", "consume", "browse"):
        assert f"{kind} memory" in done.stdout
        assert f"{kind} disk" in done.stdout
    assert (tmp_path / "mixed.svg").read_text().startswith("<svg")
