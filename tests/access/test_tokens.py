"""Tokens: how they are made, read and compared."""

import secrets
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.access.policy import Unproven
from qmq.access.tokens import bearer_of, hash_secret, is_id, is_same, make_token, presented
from tests.access.policies import NOW, identity, policy, token


def test_a_token_is_read_as_it_was_made() -> None:
    """Of its secret only the hash is kept."""
    text, kept = make_token(secrets.token_bytes, created=NOW)

    sent = presented(text.encode())

    assert sent is not None
    assert (sent.id, sent.sha256) == (kept.id, kept.sha256)
    assert is_same(kept, sent)
    assert text.split("_", 2)[2] not in repr(kept)
    assert is_id(kept.id)


def test_tokens_differ() -> None:
    """In their ids, and in their secrets."""
    made = [make_token(secrets.token_bytes, created=NOW) for _ in range(100)]

    assert len({kept.id for _, kept in made}) == len({kept.sha256 for _, kept in made}) == 100


@pytest.mark.parametrize(
    ("header", "bearer"),
    [
        (b"Bearer x", b"x"),
        (b"bearer x", b"x"),
        (b"BEARER   x  ", b"x"),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearerx", None),
        (b"Basic eDp5", None),
        (b"Bearer x y", None),
        (b"Bearer x,Bearer y", None),
        (b" Bearer x", None),
        (b"Bearer x\0", None),
        (b"Bearer \xff", None),
        (b"", None),
    ],
)
def test_only_the_scheme_bearer_carries_one(header: bytes, bearer: bytes | None) -> None:
    """In whatever case it is written, and nothing behind it."""
    assert bearer_of(header) == bearer


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"q_",
        b"q__" + b"a" * 43,
        b"q_x_" + b"a" * 42,
        b"q_x_" + b"a" * 44,
        b"q_X_" + b"a" * 43,
        b"Q_x_" + b"a" * 43,
        b"q_x_" + b"a" * 42 + b"\n",
        b"q_x_" + b"a" * 42 + b"+",
        b"q_" + b"x" * 33 + b"_" + b"a" * 43,
        b" q_x_" + b"a" * 43,
    ],
)
def test_what_is_no_token_is_none(text: bytes) -> None:
    """However near it comes."""
    assert presented(text) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_none(text: bytes) -> None:
    """Nothing else comes of them."""
    assert presented(text) is None or text.startswith(b"q_")


def test_whose_it_is_is_known_until_its_time_is_over() -> None:
    """To the second; and an unknown id, another's secret and the hash itself are nobody's."""
    text, kept = token(expires=NOW + timedelta(seconds=10))
    other_text, other = token()
    everybody = policy(identity("a", tokens=[kept]), identity("b", tokens=[other]))
    sent = presented(text.encode())
    assert sent is not None
    now_s = NOW.timestamp()

    found, found_token = everybody.by_token(sent, now_s + 9)

    assert (found.name, found_token) == ("a", kept)
    other_secret = hash_secret(other_text.split("_", 2)[2].encode())
    for wrong, at_s, why in (
        (sent, now_s + 10, "expired token"),
        (sent._replace(id="zzz"), now_s, "unknown token"),
        (sent._replace(sha256=other_secret), now_s, "wrong secret"),
        (sent._replace(sha256=hash_secret(kept.sha256.encode())), now_s, "wrong secret"),
        (sent._replace(id="zzz", sha256=hash_secret(b"")), now_s, "unknown token"),
    ):
        with pytest.raises(Unproven, match=why):
            everybody.by_token(wrong, at_s)
