"""Commands that are run for messages, with the real programs of this machine."""

import hashlib
import os
import sys
import threading
import time

import pytest

from qmq.cli.command_process import Commands, Ended, UnfitPayload, filled, variables_of
from qmq.values import Tag

#: Larger than what a pipe holds.
LARGE = bytes(range(256)) * 4_096


def run(script: str, payload: bytes = b"", **variables: str) -> Ended:
    """Run a shell script for a payload."""
    return Commands(["sh", "-c", script]).run(payload, {**os.environ, **variables})


def python(script: str) -> Commands:
    """Commands that run a script of Python."""
    return Commands([sys.executable, "-c", script])


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        ("exit 0", 0, "exit status 0"),
        ("exit 3", 3, "exit status 3"),
        ("echo no >&2; exit 65", 65, "exit status 65: no"),
        ("echo first >&2; echo last >&2; exit 1", 1, "exit status 1: last"),
        ("printf 'last\\n\\n  \\n' >&2; exit 1", 1, "exit status 1: last"),
        ("printf 'no end' >&2; exit 1", 1, "exit status 1: no end"),
        ("printf '\\377' >&2; exit 1", 1, "exit status 1: \N{REPLACEMENT CHARACTER}"),
        ("kill -9 $$", -9, "killed by SIGKILL"),
        ("echo bye >&2; kill -15 $$", -15, "killed by SIGTERM: bye"),
        ("kill -40 $$", -40, "killed by signal 40"),
    ],
)
def test_a_command_ends_with_a_reason(script: str, status: int, reason: str) -> None:
    """What it said last is a part of it."""
    ended = run(script)

    assert (ended.status, ended.reason) == (status, reason)


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\n", LARGE])
def test_the_payload_is_standard_input(payload: bytes) -> None:
    """To the last byte, and nothing else."""
    script = "import hashlib, sys; sys.exit(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"

    ended = python(script).run(payload, os.environ)

    assert ended.last_line == hashlib.sha256(payload).hexdigest()


@pytest.mark.parametrize("script", ["exit 0", "exec 0<&-; sleep 0.1", "head -c 10 > /dev/null"])
def test_a_command_need_not_read(script: str) -> None:
    """It has read as much as it wanted."""
    assert run(script, LARGE).status == 0


def test_a_command_may_write_before_it_reads() -> None:
    """However much: nobody waits for the other for ever."""
    script = "import sys; sys.stderr.write('x' * 1_000_000 + '\\nend\\n'); sys.stdin.read()"

    assert python(script).run(b"y" * 1_000_000, os.environ) == Ended(0, "end")


def test_a_long_line_is_cut() -> None:
    """A reason holds as much, and no more."""
    assert run("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1").last_line == "x" * 1_024


def test_what_a_command_leaves_behind_is_not_waited_for() -> None:
    """Though it holds standard error open."""
    started = time.monotonic()

    assert run("sleep 60 & echo done >&2; exit 7") == Ended(7, "done")
    assert time.monotonic() - started < 30


def test_what_a_command_says_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Its standard error line by line, its standard output as it is."""
    run("echo one >&2; printf two; printf three >&2")

    out, err = capfd.readouterr()
    assert (out, err) == ("two", "one\nthree\n")


def test_commands_are_killed_with_what_they_started() -> None:
    """At once, and so are those that begin later."""
    commands = Commands(["sh", "-c", "echo ready >&2; sleep 60; true"])
    ended: list[Ended] = []

    def run_one() -> None:
        ended.append(commands.run(b"", os.environ))

    threads = [threading.Thread(target=run_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    commands.kill()
    for thread in threads:
        thread.join(30)

    assert commands.are_killed
    assert [each.status for each in ended] == [-9, -9, -9]
    assert commands.run(b"", os.environ).status == -9


def test_a_command_that_is_not_there_is_an_error() -> None:
    """Of its own, not of the payload."""
    with pytest.raises(FileNotFoundError):
        Commands(["/nowhere/at-all"]).run(b"", os.environ)


@pytest.mark.parametrize(
    ("arguments", "payload", "made"),
    [
        ([], b"x", []),
        ([b"a", b"{}", b"b"], b"x", [b"a", b"x", b"b"]),
        ([b"--name={}.png", b"{}{}"], b"x", [b"--name=x.png", b"xx"]),
        ([b"{}"], b"", [b""]),
        ([b"{}"], b"a b\nc\n\n", [b"a b\nc"]),
        ([b"{}"], b"\xff{}", [b"\xff{}"]),
        ([b"{", b"}"], b"x", [b"{", b"}"]),
        ([b"a"], b"\0", [b"a"]),
    ],
)
def test_the_payload_stands_in_arguments(
    arguments: list[bytes], payload: bytes, made: list[bytes]
) -> None:
    """As a whole, whatever is in it, but for line breaks at its end."""
    assert filled(arguments, payload) == made


def test_a_zero_byte_stands_in_no_argument() -> None:
    """It would end it."""
    with pytest.raises(UnfitPayload, match="the payload has a zero byte"):
        filled([b"{}"], b"a\0b")


def test_a_payload_may_be_too_large_for_an_argument() -> None:
    """Which the system says."""
    with pytest.raises(OSError, match="Argument list too long"):
        Commands(["echo", "{}"]).run(b"x" * 4_000_000, os.environ)


def test_a_command_knows_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """By variables; those of another message are not there."""
    monkeypatch.setenv("Q_TAG_OLD", "x")
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    monkeypatch.setenv("OTHER", "stays")
    tags = [
        Tag("kind", "a b"),
        Tag("kind", "c"),
        Tag("x-y.é", ""),
        Tag("bad", "a\0b"),
        Tag("", "e"),
    ]

    variables = variables_of("jobs", "an id", 3, tags)

    assert {name: text for name, text in variables.items() if name.startswith("Q_")} == {
        "Q_QUEUE": "jobs",
        "Q_MESSAGE_ID": "an id",
        "Q_DELIVERY_COUNT": "3",
        "Q_TAG_KIND": "a b",
        "Q_TAG_X_Y__": "",
        "Q_TAG_": "e",
    }
    assert variables["OTHER"] == "stays"
    assert "GRPC_VERBOSITY" not in variables
