"""A program in a fork does what one does that is started anew."""

import subprocess

import pytest

from tests.acceptance.running import RunningQ, environment, program
from tests.acceptance.warm import run_warm

#: More than a pipe holds.
LARGE = b"0123456789abcdef" * 8_192


@pytest.mark.parametrize(
    ("name", "arguments", "payload"),
    [
        ("qcli", [], b""),
        ("qcli", ["--version"], b"not read" * 100_000),
        ("qcli", ["add", "nowhere"], LARGE),
        ("qcli", ["list", "-o", "nonsense"], b""),
        ("qcli", ["stats", "é", "\udcff"], b""),
        ("qcli", ["config"], b""),
        ("q", ["--help"], b""),
        ("q", ["--listen", "nonsense"], b""),
        ("q", ["--listen=127.0.0.1:0", "--metrics=127.0.0.1:0", "--data=/dev/null/data"], b""),
    ],
)
def test_fork_is_as_good_as_the_program(
    shared_q: RunningQ, name: str, arguments: list[str], payload: bytes
) -> None:
    """What it prints, what it says, and how it ends."""
    variables = environment(QCLI_SERVER=shared_q.address, QCLI_TOKEN="secret")  # noqa: S106
    started = subprocess.run(
        [program(name), *arguments],
        input=payload,
        capture_output=True,
        env=variables,
        check=False,
    )

    forked = run_warm(arguments, payload, variables, name)

    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )


def test_fork_reads_and_writes_more_than_a_pipe_holds(shared_q: RunningQ) -> None:
    """At the same time as the other end does."""
    variables = environment(QCLI_SERVER=shared_q.address)
    run_warm(["new", "MEMORY", "-1", "--name", "warm"], b"", variables)

    added = run_warm(["add", "warm"], LARGE, variables)
    popped = run_warm(["pop", "warm", "--raw"], b"", variables)

    assert (added.returncode, added.stderr) == (0, b"")
    assert popped.stdout.rstrip(b"\n") == LARGE
    run_warm(["delete", "warm"], b"", variables)
