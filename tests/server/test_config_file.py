"""Configuration files: what is read, and that everything wrong with one is told at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from qmq.bin.q_program import program
from qmq.server.config import Config
from qmq.server.config_file import Fault, FaultyFile, check_config_file, read_config_file
from qmq.server.config_pages import example_file
from qmq.server.gateway_config import GatewayConfig
from qmq.server.option_table import Table

TABLES = pytest.mark.parametrize(
    ("program", "table"), [("q", Config), ("qrest", GatewayConfig)], ids=["q", "qrest"]
)

FAULTY = """\
listn = ":1"
debug = "true"
x y
queues_max = 1.5
drain-timeout = 3
data = "/x"
memory_max = -1
postgres = "postgresql://q:hush@db/q"
listen = 10002
metrics = \"\"\"
debug = 3\"\"\"
insecure = true
[tls]
data = "/y"
"""

EXCLUDED = (
    "--data /x and --postgres exclude each other: DISK queues belong to one machine, and every q of"
    " a cluster answers for all queues; leave one out"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a configuration file is to be."""
    return tmp_path / "q.toml"


def faults(path: Path, text: str, table: type[Table] = Config) -> list[str]:
    """Return what is wrong with a file, each as `line: what`."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FaultyFile) as caught:
        check_config_file(path, table)
    return [line.removeprefix(f"{path}:") for line in caught.value.message.splitlines()]


def test_a_file_says_what_flags_would_say(path: Path) -> None:
    """Each value as TOML has it; where it stands is known."""
    path.write_text(
        '# About it.\nlisten = "127.0.0.1:1"\ndebug = true\n\ndrain_timeout = 1.5\n'
        "cache_bytes_max = 5\n'queues_max' = 1_000\n",
        encoding="utf-8",
    )

    file = read_config_file(path, Config)

    assert Config.from_texts(file.texts) == Config.from_texts(
        {
            "listen": "127.0.0.1:1",
            "debug": "true",
            "drain_timeout": "1.5",
            "cache_bytes_max": "5",
            "queues_max": "1000",
        }
    )
    assert file.lines["drain_timeout"] == 5
    assert file.lines["queues_max"] == 7


def test_everything_wrong_is_told_at_once_with_its_line(path: Path) -> None:
    """Unknown options with the nearest that there is, values, TOML, and contradictions."""
    assert faults(path, FAULTY) == [
        "1: listn: there is no such option; did you mean listen?",
        "2: debug: write true|false without quotes",
        "3: this is not valid TOML: expected '=' after a key in a key/value pair",
        "4: queues_max: '1.5' is not a whole number from 1 to 10000000",
        "5: drain-timeout: there is no such option; did you mean drain_timeout?",
        f"6: {EXCLUDED}",
        "7: memory_max: '-1' is not a whole number from 0 to 1125899906842624",
        "9: listen: write [HOST]:PORT in quotes",
        "10: metrics: 'debug = 3' has no port; write host:port, or :port",
        "13: tls: there are no tables here; options stand alone, as in debug = true",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('debug = true\nlisten = """:1\n', "2: this is not valid TOML: unterminated string"),
        ("debug = true\ndebug = true\n", "2: this is not valid TOML: cannot overwrite a value"),
        (
            "listen = :1\n",
            (
                "1: this is not valid TOML: invalid value;"
                " anything but numbers, true and false is in quotes"
            ),
        ),
        ("\n\n]\n", "3: this is not valid TOML: invalid statement"),
    ],
)
def test_what_is_no_toml_is_told_by_its_line(path: Path, text: str, told: str) -> None:
    """Also a text that never ends: by the line in which it begins."""
    assert faults(path, text) == [told]


@pytest.mark.parametrize("value", ["[" * 10_000, "9" * 5_000], ids=["brackets", "digits"])
def test_what_python_cannot_read_is_a_fault(path: Path, value: str) -> None:
    """And nothing that ends whoever reads the file."""
    path.write_text(f"calls_max = {value}\n")

    with pytest.raises(FaultyFile, match="this is not valid TOML"):
        read_config_file(path, Config)


def test_a_file_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    """And one that is no text."""
    (tmp_path / "latin").write_bytes(b"# \xe4\n")

    with pytest.raises(FaultyFile, match=r"nothing: no such file or directory$"):
        read_config_file(tmp_path / "nothing", Config)
    with pytest.raises(FaultyFile, match="latin: it is no UTF-8"):
        read_config_file(tmp_path / "latin", Config)


def test_passwords_are_in_no_fault(path: Path) -> None:
    """Faults are shown to people, and logged."""
    text = 'postgres = "postgresql://q:hush@db:x/q"\n'

    assert "hush" not in str(faults(path, text))


@given(
    st.lists(
        st.sampled_from(
            ["debug", " = ", "true", '"', '"""', "'''", "[", "]", "{", "\n", "#", ":1", ",", "."]
        )
    )
)
def test_any_file_is_sound_or_faulty(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    """Whatever is in it: each fault has a line of the file."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    text = "".join(parts)
    path.write_text(text, encoding="utf-8")

    faults: Sequence[Fault] = ()
    try:
        check_config_file(path, Config)
    except FaultyFile as error:
        faults = error.faults

    assert all(1 <= (fault.line or 0) <= text.count("\n") + 1 for fault in faults)


@TABLES
def test_the_example_is_sound_and_has_every_option(
    path: Path, program: str, table: type[Table]
) -> None:
    """As it is, and each option alone when its comment sign is taken away."""
    text = example_file(program, table)
    path.write_text(text, encoding="utf-8")

    assert check_config_file(path, table).texts == {}
    for row in table.options():
        (line,) = [each for each in text.splitlines() if each.startswith(f"#{row.name} = ")]
        path.write_text(line.removeprefix("#"), encoding="utf-8")
        assert read_config_file(path, table).texts.keys() == {row.name}


def test_flag_counts_before_variable_and_file_and_show_says_so(path: Path) -> None:
    """What is shown is a configuration file itself, but for passwords."""
    path.write_text(
        'queues_max = 1\ncalls_max = 2\n\nconnections_max = 3\npostgres = "none"\n', "utf-8"
    )
    env = {"Q_CALLS_MAX": "20", "Q_CONNECTIONS_MAX": "30", "Q_POSTGRES": "postgresql://q:hush@db/q"}
    env["Q_INSECURE"] = "true"

    result = CliRunner().invoke(
        program, [f"--config={path}", "--connections-max=300", "config", "show"], env=env
    )

    lines = [tuple(line.split("  # ")) for line in result.stdout.splitlines()]
    shown = {setting.rstrip(): source for setting, source in lines}
    assert shown["queues_max = 1"] == f"{path}:1"
    assert shown["calls_max = 20"] == "variable Q_CALLS_MAX"
    assert shown["connections_max = 300"] == "flag"
    assert shown["drain_timeout = 10.0"] == "default"
    assert shown['postgres = "postgresql://q:***@db:5432/q"'] == "variable Q_POSTGRES"
    path.write_text(result.stdout, "utf-8")
    assert check_config_file(path, Config).texts["calls_max"] == "20"


def test_a_faulty_file_stops_q_and_no_other_command(path: Path) -> None:
    """Its faults are a usage error; `q config check` tells them, whatever Q_CONFIG says."""
    path.write_text("a = 1\nb = 2\n", "utf-8")
    env = {"Q_CONFIG": str(path)}

    started = CliRunner().invoke(program, [], env=env)
    shown = CliRunner().invoke(program, ["config", "show"], env=env)
    checked = CliRunner().invoke(program, ["config", "check", str(path)], env=env)
    example = CliRunner().invoke(program, ["config", "example"], env=env)

    for result in (started, shown):
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{path}:1: a: " in result.stderr
        assert f"{path}:2: b: " in result.stderr
    assert checked.exit_code == 1
    assert [line.split(": ")[0] for line in checked.stdout.splitlines()] == [
        f"{path}:1",
        f"{path}:2",
    ]
    assert example.exit_code == 0


def test_the_database_to_migrate_is_that_of_the_file(path: Path) -> None:
    """Unless it is said; what is wrong with the file is told as for q itself."""
    path.write_text('postgres = "postgresql://q@127.0.0.1:1/q"\n', "utf-8")
    env = {"Q_CONFIG": str(path)}

    of_the_file = CliRunner().invoke(program, ["migrate", "--dry-run"], env=env)
    path.write_text("postgress = 1\n", "utf-8")
    faulty = CliRunner().invoke(program, ["migrate", "--dry-run"], env=env)
    of_nobody = CliRunner().invoke(program, ["migrate", "--dry-run"])

    assert "127.0.0.1:1 cannot be reached" in of_the_file.stderr
    assert (faulty.exit_code, "did you mean postgres?" in faulty.stderr) == (2, True)
    assert (of_nobody.exit_code, "no cluster to migrate" in of_nobody.stderr) == (2, True)
