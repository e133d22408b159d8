"""Where q listens as long as it asks nobody who they are."""

import pytest

from qmq.server import exposure
from qmq.server.address import Address
from qmq.server.config import Config

DSN = "postgresql://q@db/q"
CERTIFICATE = {"tls_cert": "cert.pem", "tls_key": "key.pem"}


def refusal(**texts: str) -> str:
    """Return why q does not serve with these options."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - The text is checked by the caller.
        Config.from_texts(texts)
    return str(refused.value)


@pytest.mark.parametrize("name", ["listen", "metrics"])
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "q.example"])  # noqa: S104
def test_nobody_is_asked_so_only_this_machine_may_call(name: str, host: str) -> None:
    """Also a name that might be one of loopback today is none that can be relied on."""
    told = refusal(**{name: f"{host}:1"})

    assert told == (
        f"--{name} {host}:1 would let everyone who reaches it do everything: give"
        " --access FILE to ask callers who they are, --insecure if that is as it should be,"
        " or the address localhost:1"
    )


@pytest.mark.parametrize(
    "texts",
    [
        {"listen": "127.0.0.2:1", "metrics": "[::1]:2"},
        {"listen": "localhost:1", "metrics": "LOCALHOST:2"},
        {"listen": ":1", "metrics": ":2"},
        {"listen": "0.0.0.0:1", "insecure": "true"},
        {"listen": "0.0.0.0:1", "tls_client_ca": "ca.pem", **CERTIFICATE},
        {"postgres": DSN, "listen": "127.0.0.1:1"},
        {"postgres": DSN, "insecure": "true"},
    ],
)
def test_loopback_or_callers_that_are_asked_or_nobody_minds(texts: dict[str, str]) -> None:
    """These serve."""
    Config.from_texts(texts)


def test_certificates_that_nobody_has_to_show_ask_nobody() -> None:
    """Whoever shows none would be let in and do everything."""
    told = refusal(
        listen="0.0.0.0:1",
        tls_client_ca="ca.pem",
        tls_client_cert="optional",
        **CERTIFICATE,
    )

    assert "would let everyone" in told


def test_a_cluster_is_not_left_on_loopback_unnoticed() -> None:
    """The others would be told an address where they find nobody."""
    told = refusal(postgres=DSN)

    assert "the other q of the cluster do not reach this one" in told
    assert "--insecure" in told
    assert "--listen localhost:10002 if all q run on this machine" in told


def test_no_host_is_loopback_unless_q_is_open() -> None:
    """What was told stays as it is."""
    assert exposure.narrowed(Address("", 1), is_open=False) == Address("localhost", 1)
    assert exposure.narrowed(Address("", 1), is_open=True) == Address("", 1)
    assert exposure.narrowed(Address("::1", 1), is_open=False) == Address("::1", 1)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"tls_cert": "c"}, "--tls-cert and --tls-key go together"),
        ({"tls_key": "k"}, "--tls-cert and --tls-key go together"),
        ({"tls_client_ca": "a"}, "--tls-client-ca needs TLS"),
        ({"tls_client_cert": "optional"}, "says nothing without --tls-client-ca"),
        ({"tls_peer_ca": "a", **CERTIFICATE}, "there is none without --postgres"),
        ({"postgres": DSN, "insecure": "true", **CERTIFICATE}, "needs --tls-peer-ca"),
        (
            {"postgres": DSN, "tls_peer_ca": "a", "tls_client_ca": "a", **CERTIFICATE},
            "--postgres and --tls-client-ca exclude each other",
        ),
    ],
)
def test_options_of_tls_that_make_no_sense_are_refused(texts: dict[str, str], told: str) -> None:
    """Who gives one means to be protected by it."""
    with pytest.raises(ValueError, match=told):
        Config.from_texts(texts)
