"""Addresses: what is one, and what a person is told of a text that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.server.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10002", "", 10002),
        (":0", "", 0),
        ("localhost:80", "localhost", 80),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        ("q-0.q.svc.cluster.local:10002", "q-0.q.svc.cluster.local", 10002),
        ("[::1]:10002", "::1", 10002),
        ("[::]:10002", "::", 10002),
    ],
)
def test_address_is_host_and_port(text: str, host: str, port: int) -> None:
    """An address is read as its host and port, and written as it was read."""
    address = Address.parse(text)

    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bogus", "'bogus' has no port; write host:port, or :port"),
        ("", "'' has no port; write host:port, or :port"),
        ("[::1]", "'[::1]' has no port; write host:port, or :port"),
        ("host:", "'host:' has no port after the colon; write host:port"),
        (":70000", "':70000': the port '70000' is not a number from 0 to 65535"),
        (":-1", "':-1': the port '-1' is not a number from 0 to 65535"),
        (":http", "':http': the port 'http' is not a number from 0 to 65535"),
        (":\u0661", "':\u0661': the port '\u0661' is not a number from 0 to 65535"),
        (f":{'9' * 5000}", "is not a number from 0 to 65535"),
        ("::1:80", "'::1:80' is ambiguous; write an IPv6 host in brackets: [::1]:10002"),
        ("[one]:80", "'[one]:80': '[one]' holds no IPv6 address"),
        ("a b:80", "'a b:80': 'a b' is neither an IP address nor a host name"),
        ("http://q:80", "is ambiguous"),
    ],
)
def test_other_text_is_refused_with_reason(text: str, told: str) -> None:
    """A text that is no address is quoted, with what is wrong and what to write."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  # the text is checked below
        Address.parse(text)

    assert told in str(refusal.value)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_ip_address_is_written_as_it_is_read(ip: object, port: int) -> None:
    """What an address is written as is read as the same address."""
    address = Address(str(ip), port)

    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (":1", ":1", True),
        (":1", "127.0.0.1:1", True),
        ("[::]:1", "127.0.0.1:1", True),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        (":1", ":2", False),
        (":0", ":0", False),
    ],
)
def test_addresses_overlap_when_they_share_a_port(one: str, other: str, *, overlap: bool) -> None:
    """Two addresses cannot both be listened on if they share a port and an interface."""
    first, second = Address.parse(one), Address.parse(other)

    assert first.overlaps(second) is overlap
    assert second.overlaps(first) is overlap
