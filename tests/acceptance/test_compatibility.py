"""Clients of earlier versions work with this server, without a change."""

import subprocess
import sys

import pytest

from tests.acceptance.running import RunningQ, environment
from tests.documents import ROOT

COMPATIBILITY = ROOT / "tests/compatibility"

#: Each kept by scripts/freeze_client.py, and of what age it is.
CLIENTS = {"client_53918e8.zip": "before there were clusters, TLS and access files"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_program_with_an_earlier_client_works_as_ever(client: str, shared_q: RunningQ) -> None:
    """Its calls and what it makes of the answers, errors included."""
    done = subprocess.run(
        [sys.executable, "old_program.py", COMPATIBILITY / client, shared_q.address],
        cwd=COMPATIBILITY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("as ever\n", "")


@pytest.mark.parametrize("client", CLIENTS)
def test_an_earlier_qcli_works_as_ever(client: str, shared_q: RunningQ) -> None:
    """What scripts do: make a queue, put lines in, take them out."""

    def qcli(*arguments: str, told: str = "") -> str:
        start = f"import sys; sys.path.insert(0, {str(COMPATIBILITY / client)!r})"
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"{start}; from qmq.bin.qcli import main; main()",
                f"--server={shared_q.address}",
                *arguments,
            ],
            env=environment(),
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    qcli("new", "DISK", "-1", "--name=old-qcli")
    qcli("add", "old-qcli", "--lines", told="a\nb\n")
    popped = qcli("pop", "old-qcli", "--all", "--raw")
    qcli("delete", "old-qcli")

    assert popped == "a\nb\n"
