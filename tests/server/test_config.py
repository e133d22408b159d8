"""The configuration: its table, its text form, and what is refused."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from socket import gethostname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq import limits
from qmq.server.address import Address
from qmq.server.available import available_bytes
from qmq.server.config import Config

addresses = st.builds(Address, st.sampled_from(["", "localhost", "::1"]), st.integers(0, 65535))
configs = st.builds(
    Config,
    listen=addresses,
    metrics=st.just(Address("", 0)),
    debug=st.booleans(),
    data=st.none() | st.sampled_from(["/data", "data", "none", "a b", "é"]).map(Path),
    quit_from=st.sampled_from(["loopback", "any"]),
    drain_timeout=st.floats(0, 3600),
    message_bytes_max=st.integers(1, limits.JOURNAL_PENDING_BYTES_MAX),
    queues_max=st.integers(1, 10_000_000),
    cache_bytes_max=st.none() | st.integers(0, 1 << 40),
    memory_max=st.integers(0, 1 << 50),
    request_log=st.sampled_from(["none", "stdout"]),
    traces_to=st.sampled_from([None, "env", "https://collector:4317"]),
    traces_sample=st.floats(0, 1),
)


def test_defaults_serve_the_ports_and_limits_of_the_contract() -> None:
    """Without options q serves :10002 and :10003, with the bounds of qmq.limits."""
    config = Config()

    assert str(config.listen) == ":10002"
    assert str(config.metrics) == ":10003"
    assert config.debug is False
    assert config.quit_from == "loopback"
    assert config.drain_timeout == 10
    assert config.message_bytes_max == limits.MESSAGE_BYTES_MAX
    assert config.queues_max == limits.QUEUES_MAX
    assert config.cache_bytes_max is None
    assert config.memory_max == available_bytes() * 60 // 100


@pytest.mark.parametrize(
    ("memory_max", "cache_bytes"),
    [(1, 64 << 20), (1 << 30, 64 << 20), (4 << 30, 256 << 20), (1 << 40, 512 << 20)],
)
def test_cache_is_a_sixteenth_of_what_messages_may_take(memory_max: int, cache_bytes: int) -> None:
    """So a machine that has more uses it, and a small one is left as it is."""
    assert Config(memory_max=memory_max).cache_bytes == cache_bytes


def test_cache_follows_the_machine_where_messages_may_take_all_of_it() -> None:
    """No limit is no reason for the smallest cache."""
    unlimited = Config(memory_max=0).cache_bytes

    assert unlimited == Config().cache_bytes


def test_cache_that_is_told_is_what_it_says() -> None:
    """Also where that is nothing, or more than it would be."""
    assert Config(cache_bytes_max=0, memory_max=1 << 40).cache_bytes == 0
    assert Config.from_texts({"cache_bytes_max": str(1 << 31)}).cache_bytes == 1 << 31


def test_data_is_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --data, DISK queues live in q's own directory below $XDG_STATE_HOME."""
    monkeypatch.setenv("XDG_STATE_HOME", "/home/user/state")

    assert Config().data == Path("/home/user/state/q")


DSN = "postgresql://q:hush@db1,db2/q"
CLUSTER = {"postgres": DSN, "insecure": "true"}


def test_cluster_has_no_data_directory() -> None:
    """DISK belongs to one machine: by default there is none beside CLUSTER, and one is refused."""
    assert Config.from_texts(CLUSTER).data is None
    assert Config.from_texts({**CLUSTER, "data": "none"}).data is None
    with pytest.raises(ValueError, match="--data /d and --postgres exclude each other"):
        Config.from_texts({**CLUSTER, "data": "/d"})


def test_password_is_shown_nowhere_but_in_what_the_server_process_reads() -> None:
    """A configuration may be logged, and an error be seen by anybody."""
    config = Config.from_texts(CLUSTER)

    assert "postgresql://q:***@db1:5432,db2:5432/q" in repr(config)
    assert "hush" not in repr(config)
    assert Config.from_json(config.to_json()) == config
    assert config.postgres
    assert config.postgres.first.password == "hush"  # noqa: S105  # nobody's password
    with pytest.raises(ValueError, match="names no database") as refusal:
        Config.from_texts({"postgres": "postgresql://q:hush@db"})
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("listen", "advertise", "advertised"),
    [
        (":10002", "auto", f"{gethostname()}:10002"),
        ("0.0.0.0:10002", "auto", f"{gethostname()}:10002"),
        ("127.0.0.1:10002", "auto", "127.0.0.1:10002"),
        (":10002", "q1.example:443", "q1.example:443"),
    ],
)
def test_others_reach_q_where_it_listens_unless_told(
    listen: str, advertise: str, advertised: str
) -> None:
    """All interfaces are no address; the machine's name is one."""
    texts = {**CLUSTER, "listen": listen, "advertise": advertise}

    assert str(Config.from_texts(texts).advertised) == advertised


@pytest.mark.parametrize(("name", "text"), [("advertise", "q1:10002"), ("require_replicas", "1")])
def test_options_of_a_cluster_need_one(name: str, text: str) -> None:
    """Who gives them means a cluster, and would not have one."""
    with pytest.raises(ValueError, match=r"there is none without --postgres"):
        Config.from_texts({name: text})


def test_config_is_frozen() -> None:
    """Nothing changes the configuration of a running server."""
    config = Config()

    with pytest.raises(FrozenInstanceError):
        config.debug = True  # type: ignore[misc]  # what must not be possible


@given(configs)
def test_json_carries_every_configuration(config: Config) -> None:
    """What the launcher writes, the server process reads."""
    assert Config.from_json(config.to_json()) == config


def test_directory_named_none_is_kept_apart_from_the_word() -> None:
    """The word none means no data directory; a directory of that name is ./none."""
    assert Config.from_texts({"data": "none"}).data is None
    assert Config.from_texts({"data": "./none"}).data == Path("none")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("debug", "bogus", "'bogus' is neither true (or 1) nor false (or 0)"),
        ("data", "", "'' names no directory; none stands for no data directory"),
        ("quit_from", "all", "'all' is neither loopback nor any"),
        ("request_log", "stderr", "'stderr' is neither none nor stdout"),
        ("traces_to", "localhost:4317", "'localhost:4317' is no address of a collector"),
        ("traces_to", "http://me:hush@there:4317", "is no address of a collector"),
        ("traces_sample", "10%", "'10%' is not a number from 0 to 1"),
        ("traces_sample", "1.5", "'1.5' is not a number from 0 to 1"),
        ("drain_timeout", "soon", "'soon' is not a number of seconds from 0 to 3600"),
        ("drain_timeout", "-1", "'-1' is not a number of seconds from 0 to 3600"),
        ("drain_timeout", "nan", "'nan' is not a number of seconds from 0 to 3600"),
        ("queues_max", "0", "'0' is not a whole number from 1 to 10000000"),
        ("queues_max", "1_000", "'1_000' is not a whole number from 1 to 10000000"),
        ("cache_bytes_max", "1.5", "'1.5' is not a whole number from 0 to 1099511627776"),
        ("memory_max", "60%", "'60%' is not a whole number from 0 to 1125899906842624"),
        ("message_bytes_max", "9" * 5000, "is not a whole number from 1 to 268435456"),
        ("listen", ":70000", "the port '70000' is not a number from 0 to 65535"),
        ("advertise", ":10002", "':10002' is nowhere that others can connect to"),
        ("advertise", "q1:0", "'q1:0' is nowhere that others can connect to"),
        ("metrics", ":10002", "--metrics :10002 overlaps --listen :10002; give them two ports"),
    ],
)
def test_value_that_breaks_its_rule_is_refused(name: str, text: str, told: str) -> None:
    """A refusal quotes the value and says the rule."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  # the text is checked below
        Config.from_texts({name: text})

    assert told in str(refusal.value)


def test_the_table_describes_each_field_once() -> None:
    """Each field has a row of its own: flag, variable, default and help."""
    assert [option.name for option in Config.options()] == [field.name for field in fields(Config)]
    for option in Config.options():
        assert option.flags[-1].startswith("--")
        assert option.variable == f"Q_{option.name.upper()}"
        assert option.help.endswith(".")
        # Where data lives by default is known only when it is known whether there is a cluster.
        assert option.name == "data" or option.default() == getattr(Config(), option.name)
