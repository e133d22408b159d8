"""What the Tab key offers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.running import environment, program


def offered(*words: str) -> list[str]:
    """What bash offers for the last of `words`, having loaded qcli's completion."""
    script = """
        eval "$(_QCLI_COMPLETE=bash_source qcli)"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _qcli_completion qcli
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    bash = shutil.which("bash")
    assert bash is not None
    path = f"{Path(program('qcli')).parent}:{environment()['PATH']}"
    done = subprocess.run(
        [bash, "-c", script, "bash", *words],
        check=True,
        stdout=subprocess.PIPE,
        env=environment(PATH=path, QCLI_SERVER="127.0.0.1:1"),
    )
    return done.stdout.decode().split()


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["qcli", "pe"], ["peek"]),
        (["qcli", "new", ""], ["MEMORY", "DISK", "CLUSTER", "BOLTDB"]),
        (["qcli", "new", "d"], ["DISK"]),
        (["qcli", "new", "MEMORY", "-1", "--na"], ["--name"]),
        (["qcli", "help", "un"], ["untag"]),
        (["qcli", "ta"], ["tail", "tag"]),
        (["qcli", "pop", "jobs", "--co"], ["--count"]),
        (["qcli", "top", "--sort", "r"], ["ready", "rate"]),
        (["qcli", "redrive", "st"], ["start", "stop"]),
        (["qcli", "group", "list", "jobs", "--state", "pa"], ["paused", "parked"]),
        (["qcli", "nack", "jobs", "--kind", "re"], ["release", "reject"]),
        (["qcli", "list", "-o", ""], ["json", "jsonl", "table"]),
        (["qcli", "pop", ""], []),
    ],
)
def test_bash_completes(words: list[str], completions: list[str]) -> None:
    """Commands, stores and options; a server that is not there offers no queues."""
    assert offered(*words) == completions


@pytest.mark.parametrize(
    ("shell", "registration"),
    [
        ("bash", "complete -o nosort -F _qcli_completion qcli"),
        ("zsh", "#compdef qcli"),
        ("fish", "complete --no-files --command qcli"),
    ],
)
def test_each_shell_has_its_script(shell: str, registration: str) -> None:
    """`_QCLI_COMPLETE=<shell>_source qcli` prints what the shell evaluates."""
    done = subprocess.run(
        [program("qcli")],
        check=True,
        stdout=subprocess.PIPE,
        env=environment(_QCLI_COMPLETE=f"{shell}_source"),
    )

    assert registration in done.stdout.decode()
