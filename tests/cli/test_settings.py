"""Which server is asked and how: options, variables, file, defaults."""

import json
import subprocess
from pathlib import Path

import grpc
import pytest

from tests.acceptance.running import environment
from tests.acceptance.warm import run_warm
from tests.client.conftest import Peer, peer

__all__ = ["peer"]  # A fixture.

TOKEN = {"QCLI_TOKEN": "secret"}
NAMES = ["server", "token", "token_file", "tls", "ca_file", "cert_file", "key_file"]


class Home:
    """A directory with a configuration file, and qcli run with it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.file = directory / "q" / "qcli.toml"

    def write(self, text: str) -> None:
        """Write the file."""
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text, encoding="utf-8")

    def qcli(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run qcli to its end, with nothing to read."""
        variables = environment(XDG_CONFIG_HOME=str(self._directory), **variables)
        done = run_warm(arguments, b"", variables)
        told, failed = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(arguments, done.returncode, told, failed)

    def settings(self, *arguments: str, **variables: str) -> dict[str, tuple[object, str]]:
        """What `qcli config` shows: value and origin of each setting."""
        done = self.qcli(*arguments, "config", "-o", "jsonl", **variables)
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return {record["name"]: (record["value"], record["from"]) for record in records}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a file."""
    return Home(tmp_path)


def test_nothing_is_set_by_default(home: Home) -> None:
    """But the server, which is the one on this machine."""
    assert home.settings() == {
        name: (":10002" if name == "server" else None, "default") for name in NAMES
    }


def test_an_option_wins_over_a_variable_over_the_file(home: Home) -> None:
    """And each says so."""
    home.write('server = "file:1"\n')
    path = str(home.file)

    assert home.settings()["server"] == ("file:1", path)
    assert home.settings(QCLI_SERVER="")["server"] == ("file:1", path)
    assert home.settings(QCLI_SERVER="env:1")["server"] == ("env:1", "QCLI_SERVER")
    assert home.settings("-s", "flag:1", QCLI_SERVER="env:1")["server"] == ("flag:1", "--server")


def test_every_setting_is_read_from_each_place(home: Home) -> None:
    """A file that is named without the way there is beside the configuration."""
    home.write('token = "t"\ntls = true\nca_file = "ca.pem"\ncert_file = "/c.pem"\nkey_file="~/k"')
    beside = home.file.parent

    from_file = home.settings(HOME="/home/ann")
    from_environment = home.settings(
        **TOKEN, QCLI_TLS="false", QCLI_CA_FILE="a", QCLI_CERT_FILE="b", QCLI_KEY_FILE="c"
    )
    from_options = home.settings(
        *("--token", "v", "--no-tls", "--ca-file", "a", "--cert-file", "b", "--key-file", "c")
    )

    assert [from_file[name][0] for name in NAMES[1:]] == [
        "********",
        None,
        True,
        str(beside / "ca.pem"),
        "/c.pem",
        "/home/ann/k",
    ]
    assert from_environment["tls"] == (False, "QCLI_TLS")
    assert [from_environment[name][0] for name in NAMES[4:]] == ["a", "b", "c"]
    assert from_options["tls"] == (False, "--no-tls")
    assert [from_options[name][1] for name in NAMES[4:]] == [
        "--ca-file",
        "--cert-file",
        "--key-file",
    ]


@pytest.mark.parametrize("output", ["json", "jsonl", "table"])
def test_the_token_is_not_shown(home: Home, output: str) -> None:
    """Only that there is one, and where."""
    home.write('token = "secret"\n')

    done = home.qcli("config", "-o", output)

    assert "secret" not in done.stdout
    assert "********" in done.stdout
    assert str(home.file) in done.stdout


def test_the_table_says_where_the_file_would_be(home: Home) -> None:
    """A person who has none wants to know."""
    done = home.qcli("config", "-o", "table")

    assert done.stdout.splitlines()[:2] == [
        "NAME        VALUE   FROM",
        "server      :10002  default",
    ]
    assert done.stdout.endswith(f"The file is {home.file}, and missing.\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('sever = "x:1"', "unknown key 'sever'; did you mean 'server'?"),
        ("colour = true", "unknown key 'colour'; the keys are server, token, token_file, tls, "),
        ("server = 1", "server must be a text in quotes, not 1"),
        ('tls = "yes"', "tls must be true or false, not 'yes'"),
        ("server = x", "Invalid value (at line 1, column 10)"),
        ("[server]\nhost = 'x'", "server must be a text in quotes, not {'host': 'x'}"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(home: Home, text: str, message: str) -> None:
    """As a command line is that makes none: it names the file and what is wrong."""
    home.write(text)

    done = home.qcli("list")

    assert done.stderr.startswith(f"qcli: error: {home.file}: {message}")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_file_that_cannot_be_read_is_refused(home: Home) -> None:
    """It does not count as missing."""
    home.file.mkdir(parents=True)

    done = home.qcli("list")

    assert done.stderr.startswith(f"qcli: error: {home.file}: Is a directory\n")
    assert done.returncode == 2


def test_help_needs_no_file(home: Home) -> None:
    """A person whose file is wrong can read how to write it."""
    home.write("sever = 1")

    assert home.qcli("--help").returncode == home.qcli("help", "config").returncode == 0


def test_the_file_names_the_server(home: Home, peer: Peer) -> None:
    """Every kind of command asks it."""
    home.write(f'server = "{peer.address}"\n')

    assert home.qcli("list").stdout == "{}\n"
    assert home.qcli("stats").returncode == 0
    assert home.qcli("delete", "jobs", "-s", ":1").returncode == 1
    assert [method for method, _ in peer.asked] == ["/proto.Q/ListQueues", "/proto.Q/Stats"]


@pytest.mark.parametrize("command", [["list"], ["stats"], ["pop", "jobs", "--raw"]])
def test_the_token_is_shown_to_the_server(home: Home, peer: Peer, command: list[str]) -> None:
    """With each call, as a bearer token."""
    seen = []

    def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.append(dict(context.invocation_metadata()))
        return b""

    peer.answer = answer

    home.qcli("-s", peer.address, *command, **TOKEN)

    assert {metadata["authorization"] for metadata in seen} == {"Bearer secret"}


def test_a_token_is_not_sent_over_a_network_as_it_is(home: Home) -> None:
    """It says what to give."""
    done = home.qcli("-s", "q.example:1", "--token", "secret", "list")

    assert done.stderr == (
        "qcli: error: cannot list queues: a token is sent to q.example:1 with TLS only:"
        " give --tls or --ca\n"
    )
    assert done.returncode == 1


def test_a_token_comes_from_a_file_as_well(home: Home, peer: Peer, tmp_path: Path) -> None:
    """Of a token and its file, the one counts that was said closer to the command."""
    file = tmp_path / "token"
    file.write_text("from-file\n")
    seen: list[str | bytes] = []

    def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.append(dict(context.invocation_metadata())["authorization"])
        return b""

    peer.answer = answer
    for options, variables in (
        (("--token-file", str(file)), {}),
        ((), {"QCLI_TOKEN_FILE": str(file)}),
        (("--token-file", str(file)), TOKEN),
        (("--token", "secret"), {"QCLI_TOKEN_FILE": str(file)}),
    ):
        home.qcli("-s", peer.address, *options, "list", **variables)

    assert seen == ["Bearer from-file"] * 3 + ["Bearer secret"]


def test_short_names_of_files_are_the_same_options(home: Home) -> None:
    """As the documents write them."""
    short = home.settings("--ca", "a", "--cert", "b", "--key", "c")

    assert [short[name][0] for name in NAMES[4:]] == ["a", "b", "c"]
    assert home.settings(QCLI_CA="a")["ca_file"] == ("a", "QCLI_CA")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ca-file", "/nowhere.pem"], "/nowhere.pem: No such file or directory"),
        (["--cert-file", "c.pem"], "cert_file and key_file go together: give both, or neither"),
    ],
)
def test_files_of_tls_that_make_no_sense_are_refused(
    home: Home, options: list[str], message: str
) -> None:
    """Before anything is asked."""
    done = home.qcli(*options, "list")

    assert done.stderr == f"qcli: error: cannot list queues: {message}\n"
    assert done.returncode == 1
