"""The program qcli as far as it goes without a server."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pytest

from tests.acceptance.running import environment, program
from tests.acceptance.warm import Done, run_warm

SECTIONS = {
    "Messages": ["add", "pop", "peek", "tail"],
    "Work, at least once": ["lease", "ack", "nack", "extend", "work"],
    "Queues": [
        *("list", "get", "new", "update", "delete", "tag", "untag", "pause", "resume", "purge"),
    ],
    "What there is": ["stats", "top", "browse", "explain", "server"],
    "Single messages": ["message"],
    "Dead letters": ["redrive"],
    "Schedules": ["schedule"],
    "Access": ["identity", "token"],
    "Itself": ["config", "help"],
}
COMMANDS = [
    *(name for names in SECTIONS.values() for name in names),
    *("redrive start", "redrive list", "redrive show", "redrive stop"),
    *("schedule put", "schedule list", "schedule show", "schedule delete"),
    *("schedule pause", "schedule resume"),
    *("token list", "token make", "token revoke"),
    *("message delete", "message move"),
]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def qcli(
    *arguments: str | bytes, payload: bytes = b"", variables: Mapping[str, str] = NOTHING
) -> Done:
    """Run qcli to its end."""
    return run_warm([os.fsdecode(each) for each in arguments], payload, environment(**variables))


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_help_lists_the_commands_and_shows_examples(arguments: list[str]) -> None:
    """Asking for nothing is asking for help, and no error."""
    done = qcli(*arguments)

    text = done.stdout.decode()
    titles = re.split(r"^(\w.*):\n", text, flags=re.MULTILINE)
    listed = dict(zip(titles[1::2], titles[2::2], strict=True))
    for title, names in SECTIONS.items():
        lines = listed[title].splitlines()
        assert [line.split()[0] for line in lines if line] == names
        assert not [line for line in lines if line.endswith("...")]
    assert "\n  echo hello | qcli add jobs -t kind=greeting\n" in text
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_examples(command: str) -> None:
    """`qcli help COMMAND` and `qcli COMMAND --help` are the same."""
    words = command.split()
    by_command, by_option = qcli("help", *words), qcli(*words, "--help")

    assert by_command.stdout.startswith(b"Usage: qcli " + command.encode())
    assert b"\nExamples:\n  " in by_command.stdout
    assert (by_command.returncode, by_command.stderr) == (0, b"")
    assert by_option.stdout == by_command.stdout


def test_help_loads_neither_grpc_nor_protobuf() -> None:
    """What needs no server answers without loading what talks to one."""
    script = (
        "import sys; from qmq.cli.run import run; run(['new', '--help']);"
        "print({'grpc', 'google.protobuf'} & {*sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)

    assert done.stderr.split() == [b"set()"]


def test_an_installation_without_the_extra_says_what_is_missing() -> None:
    """`pip install qmq` alone brings the program, but not what it needs."""
    script = "import sys; sys.modules['click'] = None; from qmq.bin.qcli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)

    assert done.stderr.decode() == (
        "qcli: error: click is missing; install it with: pip install 'qmq[cli]'\n"
    )
    assert done.returncode == 1


@pytest.mark.parametrize("program", ["q", "qrest"])
def test_servers_without_their_extra_say_what_is_missing(program: str) -> None:
    """The client alone brings these programs, too."""
    script = f"import sys; sys.modules['click'] = None; from qmq.bin.{program} import main; main()"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)

    assert done.stderr.decode() == (
        f"{program}: error: click is missing; install it with: pip install 'qmq[server]'\n"
    )
    assert done.returncode == 1


def test_the_version_is_one_line() -> None:
    """It is that of the distribution."""
    done = qcli("--version")

    name, version = done.stdout.decode().split()
    assert name == "qcli"
    assert version.split(".")[0].isdecimal()
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["peek"], "Missing argument 'ID'.", "Try 'qcli peek --help' for help."),
        (["-s", ":1", "peek"], "Missing argument 'ID'.", "Try 'qcli peek --help' for help."),
        (
            ["pop"],
            "Missing argument 'ID'; --selector takes its place.",
            "Try 'qcli pop --help' for help.",
        ),
        (["bogus"], "No such command 'bogus'.", "Try 'qcli --help' for help."),
        (["push"], "No such command 'push': it is add here.", "Try 'qcli --help' for help."),
        (["rm", "jobs"], "No such command 'rm': it is delete here.", "Try 'qcli --help' for help."),
        (
            ["add", "my jobs", "it's", "late"],
            """a payload comes from standard input: printf 'it'"'"'s late' | qcli add 'my jobs'""",
            "Try 'qcli add --help' for help.",
        ),
        (["help", "bogus"], "No such command 'bogus'.", "Try 'qcli --help' for help."),
        (["help", "redrive", "x"], "No such command 'x'.", "Try 'qcli redrive --help' for help."),
        (["help", "pop", "x"], "qcli pop has no commands", "Try 'qcli pop --help' for help."),
        (["redrive", "bogus"], "No such command 'bogus'.", "Try 'qcli redrive --help' for help."),
        (
            ["purge", "ID"],
            "there is no terminal to ask on: say --yes if you mean to remove all messages",
            "Try 'qcli --help' for help.",
        ),
        (["--bogus"], "No such option '--bogus'.", "Try 'qcli --help' for help."),
        (["get", b"\xff"], "argument '\\udcff' is not UTF-8", "Try 'qcli --help' for help."),
    ],
)
def test_a_usage_error_exits_with_2(arguments: list[str | bytes], error: str, hint: str) -> None:
    """It says what is wrong, and where to read more, on standard error."""
    done = qcli(*arguments)

    assert done.stderr.decode() == f"qcli: error: {error}\n{hint}\n"
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize(
    ("arguments", "payload", "failure"),
    [
        (["list"], b"", "cannot list queues"),
        (["get", "ID"], b"", "cannot get queue"),
        (["delete", "ID"], b"", "cannot delete queue"),
        (["new", "MEMORY", "-1"], b"", "cannot create new queue"),
        (["tag", "ID", "k", "v"], b"", "cannot tag queue"),
        (["untag", "ID", "k", "v"], b"", "cannot untag queue"),
        (["add", "ID"], b"hello", "cannot add message to queue"),
        (["pop", "ID"], b"", "cannot pop message from queue"),
        (["peek", "ID"], b"", "cannot peek at message in queue"),
    ],
)
def test_a_server_that_is_not_there_is_one_line(
    arguments: list[str], payload: bytes, failure: str
) -> None:
    """It names the address and says what to do; gRPC adds nothing of its own."""
    done = qcli(*arguments, payload=payload, variables={"QCLI_SERVER": "127.0.0.1:1"})

    assert done.stderr.decode() == (
        f"qcli: error: {failure}: UNAVAILABLE: no server at 127.0.0.1:1: Connection refused; "
        'start one with "q", or name another with --server or QCLI_SERVER\n'
    )
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "ID", "--lines"],
        ["add", "ID", "--jsonl"],
        ["pop", "ID", "--count", "2"],
        ["pop", "ID", "--wait", "60"],
        ["peek", "ID", "--raw"],
        ["tail", "ID", "--pop"],
        ["stats"],
        ["top", "--once"],
        ["update", "ID", "--limit", "1"],
        ["pause", "ID"],
        ["resume", "ID"],
        ["purge", "ID", "--yes"],
        ["lease", "ID"],
        ["ack", "ID", "a-1"],
        ["nack", "ID", "a-1"],
        ["extend", "ID", "a-1"],
        ["browse", "ID"],
        ["explain", "ID", "MESSAGE"],
        ["message", "delete", "ID", "MESSAGE"],
        ["message", "move", "ID", "MESSAGE", "--to", "ID"],
        ["work", "ID", "--", "true"],
        ["redrive", "start", "ID"],
        ["redrive", "start", "ID", "--dry-run"],
        ["redrive", "list"],
        ["redrive", "show", "ID", "--follow"],
        ["redrive", "stop", "ID"],
        ["schedule", "put", "ID", "NAME", "--every", "1m"],
        ["schedule", "list"],
        ["schedule", "show", "ID", "NAME"],
        ["schedule", "delete", "ID", "NAME"],
        ["schedule", "pause", "ID", "NAME"],
        ["schedule", "resume", "ID", "NAME"],
    ],
)
def test_a_server_that_is_not_there_has_its_own_status(arguments: list[str]) -> None:
    """But not in the original's commands: a script can tell that trying later may help."""
    done = qcli(*arguments, variables={"QCLI_SERVER": "127.0.0.1:1"})

    assert done.stderr.decode().endswith(
        ': UNAVAILABLE: no server at 127.0.0.1:1: Connection refused; start one with "q", or'
        " name another with --server or QCLI_SERVER\n"
    )
    assert done.stderr.count(b"\n") == 1
    assert (done.returncode, done.stdout) == (4, b"")


@pytest.mark.parametrize(
    ("arguments", "variables", "port"),
    [
        (["-s", ":1", "list"], {}, 1),
        (["--server=:1", "list"], {}, 1),
        (["list", "-s", ":1"], {}, 1),
        (["list", "--server", ":1"], {}, 1),
        (["-s", ":2", "list", "-s", ":1"], {}, 1),
        (["list"], {"QCLI_SERVER": ":1"}, 1),
        (["list", "-s", ":1"], {"QCLI_SERVER": ":2"}, 1),
        (["-s", ":1", "list"], {"QCLI_SERVER": ":2"}, 1),
    ],
)
def test_the_server_is_named_before_or_after_the_command_or_in_the_environment(
    arguments: list[str], variables: dict[str, str], port: int
) -> None:
    """What stands closest to the command counts."""
    done = qcli(*arguments, variables=variables)

    assert f"no server at localhost:{port}: " in done.stderr.decode()


def test_an_address_without_a_port_is_one_line() -> None:
    """It says how an address is written."""
    done = qcli("-s", "nope", "list")

    assert done.stderr.startswith(
        b"qcli: error: cannot list queues: 'nope' is no address of a server: write HOST:PORT"
    )
    assert done.stderr.count(b"\n") == 1
    assert done.returncode == 1


def test_a_payload_from_a_terminal_is_asked_for() -> None:
    """A person is told what is waited for; one Ctrl-D ends the payload."""
    keyboard, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            [program("qcli"), "add", "jobs", "-s", ":1"],
            stdin=terminal,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as running:
            assert running.stderr is not None
            hint = running.stderr.readline()
            os.write(keyboard, b"hello\n\x04")
            rest = running.stderr.read()
    finally:
        os.close(keyboard)
        os.close(terminal)

    assert hint == b"reading payload from standard input; end with Ctrl-D\n"
    assert rest.startswith(b"qcli: error: cannot add message to queue: UNAVAILABLE: ")


def test_interrupt_ends_without_a_traceback() -> None:
    """Ctrl-C is reported as shells do: 130."""
    keyboard, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            [program("qcli"), "add", "jobs"],
            stdin=terminal,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as running:
            assert running.stderr is not None
            running.stderr.readline()
            running.send_signal(signal.SIGINT)
            rest = running.stderr.read()
    finally:
        os.close(keyboard)
        os.close(terminal)

    assert (running.returncode, rest.strip()) == (130, b"")


@pytest.mark.parametrize(
    ("redirection", "error"),
    [
        ("<&-", "cannot read the payload: standard input is closed"),
        (">&-", "cannot add message to queue: standard output is closed"),
        ("0>/dev/null", "cannot read the payload: Bad file descriptor"),
    ],
)
def test_a_stream_that_is_closed_is_an_error(redirection: str, error: str) -> None:
    """Nothing is sent that could not be read, or whose reply could not be shown."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" add jobs -s :1 {redirection}', program("qcli")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        check=False,
    )

    assert done.stderr.decode() == f"qcli: error: {error}\n"
    assert (done.returncode, done.stdout) == (1, b"")
