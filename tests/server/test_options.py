"""The command line and the environment, as click reads them with the table's options."""

from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from qmq.server.config import Config
from qmq.server.options import Told, options_of
from qmq.store.postgres.dsn import Databases


@click.command()
@options_of(Config)
def print_config(told: Told[Config]) -> None:
    """Print what q would be told."""
    click.echo(told.config().to_json())


def run(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """Run the command with the arguments, and with these environment variables besides."""
    return CliRunner().invoke(print_config, arguments, env=env or {})


def config_of(*arguments: str, env: Mapping[str, str] | None = None) -> Config:
    """Return the configuration that the command makes of its arguments and environment."""
    result = run(*arguments, env=env)
    assert result.exit_code == 0, result.output
    return Config.from_json(result.stdout)


def test_no_options_make_the_default_configuration() -> None:
    """Without a flag or variable, the defaults hold."""
    assert config_of() == Config()


def test_every_option_is_a_flag() -> None:
    """Flags set what they name."""
    config = config_of(
        "--listen=127.0.0.1:1", "--metrics=[::1]:2", "-d", "--data=/d", "--quit-from=any",
        "--drain-timeout=1.5", "--message-bytes-max=3", "--queues-max=4", "--cache-bytes-max=5",
        "--memory-max=6", "--connections-max=7", "--calls-max=8", "--transfer-bytes-max=9",
        "--transfer-timeout=10", "--heap-max=11", "--postgres=none", "--advertise=auto",
        "--require-replicas=0", "--postgres-unsynced", "--request-log=stdout",
        "--traces-to=env", "--traces-sample=1", "--insecure", "--tls-cert=c", "--tls-key=k",
        "--tls-client-ca=a", "--tls-client-cert=optional", "--tls-peer-ca=none",
        "--allow-host=q.example", "--allow-host=*.Example.com",
    )  # fmt: skip

    assert config == Config.from_texts(
        {
            "listen": "127.0.0.1:1",
            "metrics": "[::1]:2",
            "debug": "true",
            "data": "/d",
            "quit_from": "any",
            "drain_timeout": "1.5",
            "message_bytes_max": "3",
            "queues_max": "4",
            "cache_bytes_max": "5",
            "memory_max": "6",
            "connections_max": "7",
            "calls_max": "8",
            "transfer_bytes_max": "9",
            "transfer_timeout": "10",
            "heap_max": "11",
            "postgres_unsynced": "true",
            "request_log": "stdout",
            "traces_to": "env",
            "traces_sample": "1",
            "insecure": "true",
            "tls_cert": "c",
            "tls_key": "k",
            "tls_client_ca": "a",
            "tls_client_cert": "optional",
            "tls_peer_ca": "none",
            "allow_host": "q.example *.example.com",
        }
    )


def test_every_option_is_an_environment_variable() -> None:
    """Variables set the same options as flags do."""
    texts = {
        "Q_LISTEN": ":1",
        "Q_METRICS": ":2",
        "Q_DEBUG": "true",
        "Q_ACCESS": "some.toml",
        "Q_AUDIT_LOG": "some.jsonl",
        "Q_DATA": "none",
        "Q_QUIT_FROM": "any",
        "Q_DRAIN_TIMEOUT": "0",
        "Q_MESSAGE_BYTES_MAX": "3",
        "Q_QUEUES_MAX": "4",
        "Q_CACHE_BYTES_MAX": "5",
        "Q_MEMORY_MAX": "6",
        "Q_CONNECTIONS_MAX": "7",
        "Q_CALLS_MAX": "8",
        "Q_TRANSFER_BYTES_MAX": "9",
        "Q_TRANSFER_TIMEOUT": "10",
        "Q_HEAP_MAX": "11",
        "Q_POSTGRES": "none",
        "Q_ADVERTISE": "auto",
        "Q_REQUIRE_REPLICAS": "0",
        "Q_POSTGRES_UNSYNCED": "true",
        "Q_REQUEST_LOG": "stdout",
        "Q_TRACES_TO": "http://collector:4317",
        "Q_TRACES_SAMPLE": "0.5",
        "Q_INSECURE": "true",
        "Q_TLS_CERT": "c",
        "Q_TLS_KEY": "k",
        "Q_TLS_CLIENT_CA": "a",
        "Q_TLS_CLIENT_CERT": "optional",
        "Q_TLS_PEER_CA": "none",
        "Q_ALLOW_HOST": "q.example",
    }

    config = config_of(env=texts)

    assert set(texts) == {option.variable for option in Config.options()}
    assert config == Config.from_texts(
        {name.removeprefix("Q_").lower(): text for name, text in texts.items()}
    )


@pytest.mark.parametrize(("text", "debug"), [("true", True), ("1", True), ("false", False)])
def test_debug_variable_is_a_boolean(text: str, *, debug: bool) -> None:
    """Q_DEBUG takes true, false, 1 and 0."""
    assert config_of(env={"Q_DEBUG": text}).debug is debug
    assert config_of("--no-debug", env={"Q_DEBUG": text}).debug is False


def test_flag_wins_over_variable() -> None:
    """What is said on the command line counts."""
    assert config_of("--data=/flag", env={"Q_DATA": "/variable"}).data == Path("/flag")


def test_empty_variable_counts_as_unset() -> None:
    """A variable set to nothing leaves the default."""
    assert config_of(env={"Q_LISTEN": "", "Q_DEBUG": ""}) == Config()


def test_options_of_a_cluster() -> None:
    """They come by flags and by variables, and leave no data directory by default."""
    dsn = "postgresql://q:hush@db/q"

    by_flags = config_of(
        f"--postgres={dsn}", "--advertise=q1:1", "--require-replicas=2", "--insecure"
    )
    by_variables = config_of(
        env={"Q_POSTGRES": dsn, "Q_ADVERTISE": "q1:1", "Q_REQUIRE_REPLICAS": "2", "Q_INSECURE": "1"}
    )

    assert by_flags == by_variables
    assert by_flags.postgres == Databases.parse(dsn)
    assert (str(by_flags.advertise), by_flags.require_replicas) == ("q1:1", 2)
    assert by_flags.data is None


def test_several_databases(tmp_path: Path) -> None:
    """They come by several flags, by one variable, or by a list in a file, in any order."""
    by_flags = config_of(
        "--postgres=two=postgresql://b/q", "--postgres=postgresql://a/q", "--insecure"
    )
    listed = {"Q_POSTGRES": "postgresql://a/q\n two=postgresql://b/q "}
    by_variable = config_of("--insecure", env=listed)

    file = tmp_path / "q.toml"
    file.write_text('postgres = ["two=postgresql://b/q", "postgresql://a/q"]')

    assert by_flags == by_variable == Config.from_json(by_flags.to_json())
    assert by_flags == config_of(f"--config={file}", "--insecure")
    assert str(by_flags.postgres) == "postgresql://a:5432/q two=postgresql://b:5432/q"


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (["--listen=bogus"], {}, ["--listen", "'bogus' has no port"]),
        ([], {"Q_LISTEN": "bogus"}, ["Q_LISTEN", "'bogus' has no port"]),
        ([], {"Q_DEBUG": "bogus"}, ["Q_DEBUG", "'bogus' is not a valid boolean"]),
        (["--quit-from=all"], {}, ["--quit-from", "'all' is neither loopback nor any"]),
        (["--postgres=postgresql://q@db"], {}, ["--postgres", "it names no database"]),
        (
            ["--postgres=postgresql://a/q", "--postgres=postgresql://b/q"],
            {},
            ["--postgres", "two databases are called first"],
        ),
        ([], {"Q_POSTGRES": "two=postgresql://b/q"}, ["Q_POSTGRES", "first database is missing"]),
        (["--listen=:1", "--metrics=:1"], {}, ["--metrics :1 overlaps --listen :1"]),
        (["--bogus"], {}, ["--bogus"]),
    ],
)
def test_bad_value_is_a_usage_error(
    arguments: list[str], env: Mapping[str, str], told: list[str]
) -> None:
    """A bad value names the option, the value and the rule; the exit status is 2."""
    result = run(*arguments, env=env)

    assert result.exit_code == 2
    assert result.stdout == ""
    for words in told:
        assert words in result.stderr


def test_help_lists_flag_variable_and_default_of_every_option() -> None:
    """--help is complete."""
    words = " ".join(run("--help").stdout.split())

    for option in Config.options():
        assert option.flags[-1] in words
        assert option.variable in words
        assert option.help in words
