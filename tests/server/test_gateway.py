"""What qrest can be told."""

import pytest

from qmq.server.address import Address
from qmq.server.gateway_config import GatewayConfig, Server, parse_duration, parse_server


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m", 60.0),
        ("2m30s", 150.0),
        ("90s", 90.0),
        ("1.5h", 5400.0),
        ("1h0m1s", 3601.0),
        ("500ms", 0.5),
        ("0s", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """They are written as for the original."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "m", "1x", "-1m", "1m ", "1m2", "m1", "\u0661m", "1,5s"])
def test_texts_that_are_no_durations(text: str) -> None:
    """A number without a unit says nothing."""
    with pytest.raises(ValueError, match="is no duration; write it like 90s, 2m30s or 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("example.com:10002", Server(Address("example.com", 10002))),
        ("https://example.com:10002", Server(Address("example.com", 10002), is_tls=True)),
        ("http://example.com:10002", Server(Address("example.com", 10002))),
        (":10002", Server(Address("127.0.0.1", 10002))),
        ("[::1]:10002", Server(Address("::1", 10002))),
    ],
)
def test_servers(text: str, server: Server) -> None:
    """Without a host it is on this machine."""
    assert parse_server(text) == server


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"tls_cert": "c"}, "--tls-cert and --tls-key go together"),
        ({"server": "https://:1", "key": "k"}, "--cert and --key go together"),
        ({"tls_client_ca": "a"}, "--tls-client-ca needs TLS"),
        ({"server": "q:1", "ca": "a"}, "--ca is for a server that is asked by TLS: https://q:1"),
        ({"listen": "0.0.0.0:1"}, "--listen 0.0.0.0:1 would let everyone"),
    ],
)
def test_options_that_make_no_sense_are_refused(texts: dict[str, str], told: str) -> None:
    """Who gives one means to be protected by it."""
    with pytest.raises(ValueError, match=told):
        GatewayConfig.from_texts({"server": ":1", **texts})


def test_whoever_minds_nobody_or_asks_lets_others_in() -> None:
    """These serve on all interfaces."""
    asks = {"tls_cert": "c", "tls_key": "k", "tls_client_ca": "a"}

    for texts in ({"insecure": "true"}, asks):
        config = GatewayConfig.from_texts({"server": ":1", "listen": "0.0.0.0:1", **texts})
        assert config.is_open


@pytest.mark.parametrize("text", ["example.com", "example.com:0", "example.com:x", ""])
def test_texts_that_are_no_servers(text: str) -> None:
    """To connect one needs a port."""
    with pytest.raises(ValueError, match="port"):
        parse_server(text)


def test_settings_survive_their_way_through_the_environment() -> None:
    """The application reads what the program was told."""
    config = GatewayConfig(
        server=Server(Address("q.example", 10002), is_tls=True),
        debug=True,
        close_after=0.00001,
        kill_after=120.0,
    )

    assert GatewayConfig.from_json(config.to_json()) == config
