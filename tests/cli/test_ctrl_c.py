"""Ctrl-C while a program is still being loaded."""

import signal
import subprocess
import sys
from typing import Final

import pytest

#: Sends the signal in a moment in which importlib drops what is raised, or as a module is loaded.
_RUN: Final = """
import os, signal, sys

class Interrupts:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            sys.meta_path.remove(self)

sys.argv = ["{program}", "--version"]
sys.meta_path.insert(0, Interrupts())
from qmq.bin.{program} import main
main()
"""


@pytest.mark.parametrize("program", ["q", "qcli", "qrest"])
def test_a_program_that_is_being_loaded_ends_without_a_word(program: str) -> None:
    """By the signal itself, as the shell that sent it likes to see."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(program=program, module="click.core")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_who_ignores_it_goes_on() -> None:
    """As a shell has it of what runs in the background, and nohup."""
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    script += _RUN.format(program="q", module="click.core")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("q, version ")
