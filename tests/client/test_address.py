"""The addresses that people write."""

import pytest

from qmq.client.address import parse_address
from qmq.client.errors import AddressError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10002", "localhost:10002"),
        ("127.0.0.1:10002", "127.0.0.1:10002"),
        ("q.example:1", "q.example:1"),
        ("my_queue:65535", "my_queue:65535"),
        ("[::1]:10002", "[::1]:10002"),
        ("[::ffff:127.0.0.1]:10002", "[::ffff:127.0.0.1]:10002"),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: str) -> None:
    """The host may be left out, and an IPv6 host stands in brackets."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("several", "addresses"),
    [
        ("10.0.0.1:1,10.0.0.2:2", "10.0.0.1:1,10.0.0.2:2"),
        (["10.0.0.1:1", ":2", "localhost:3"], "10.0.0.1:1,127.0.0.1:2,127.0.0.1:3"),
        ("[::1]:1, [::2]:2", "[::1]:1,[::2]:2"),
        (["q.example:1"], "q.example:1"),
    ],
)
def test_several_addresses_are_numbers(several: str | list[str], addresses: str) -> None:
    """One alone may be a name; gRPC looks up no more than one."""
    assert parse_address(several) == addresses


@pytest.mark.parametrize("several", [[], "", "10.0.0.1:1,", "10.0.0.1:1,[::1]:1", "a:1,b:2"])
def test_several_addresses_that_grpc_cannot_take_are_refused(several: str | list[str]) -> None:
    """Names, two kinds of numbers, and none at all."""
    with pytest.raises(AddressError):
        parse_address(several)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        ":",
        "nope:",
        ":0",
        ":65536",
        ":http",
        ":٣",
        "::1:10002",
        "[::1]",
        "[]:10002",
        "[nope]:10002",
        "http://localhost:10002",
        "unix:/tmp/q.sock",
        "a b:10002",
        ":10002\n",
    ],
)
def test_anything_else_is_refused_with_the_form_that_is_expected(text: str) -> None:
    """The message repeats what was written and shows how to write it."""
    with pytest.raises(AddressError) as refusal:
        parse_address(text)

    assert repr(text) in str(refusal.value)
    assert "write HOST:PORT, for example localhost:10002" in str(refusal.value)
