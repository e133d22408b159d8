"""What Envoy tells of callers."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.access.policy import Identity, Issuer, JwtRule, Policy, Unproven
from qmq.access.proofs import Certificate, certificate_of, claims_of
from qmq.access.proving import AUTHORIZATION, CERTIFICATE, JWT, proof_of, prove


def jwt(**claims: Any) -> bytes:  # noqa: ANN401 - Claims are anything.
    """Write a payload as Envoy hands it on."""
    return urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")


@pytest.mark.parametrize(
    ("header", "certificate"),
    [
        (b'Hash=00ff;Subject="CN=a,O=Example"', Certificate("CN=a,O=Example")),
        (b'By=spiffe://q;Subject="";URI=spiffe://x/y', Certificate("", ("spiffe://x/y",))),
        (b'Subject="CN=\\"a\\"";DNS=a.example', Certificate('CN="a"')),
        (b'Subject="CN=a;O=b, c"', Certificate("CN=a;O=b, c")),
        (b'Subject="CN=a";Subject="CN=b"', None),
        (b'Subject="CN=a",Subject="CN=b"', None),
        (b'Hash=1,Subject="CN=b"', None),
        (b'Subject="CN=a', None),
        (b'Subject="CN=\xff"', None),
        (b"nonsense", None),
    ],
)
def test_a_certificate_is_that_of_one_element(
    header: bytes, certificate: Certificate | None
) -> None:
    """Of several nobody could say whose call it is."""
    assert certificate_of(header) == certificate


@given(st.binary(max_size=200))
def test_any_header_is_read_or_none(header: bytes) -> None:
    """Nothing else comes of it."""
    certificate_of(header)
    claims_of(header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"!!",
        b"bm9wZQ",
        urlsafe_b64encode(b"[1]"),
        jwt(sub="x"),
        jwt(iss=7),
        jwt(iss="i", exp="soon"),
        jwt(iss="i", exp=True),
        urlsafe_b64encode(b"[" * 100_000),
    ],
)
def test_what_is_no_payload_is_none(header: bytes) -> None:
    """It must be an object, with an issuer, and an end that is a number."""
    assert claims_of(header) is None


def everybody() -> Policy:
    """Return a policy of two who are known by JWTs, and one by a certificate."""
    issuer = Issuer(issuer="i", audiences=("q",), jwks_file="f")
    return Policy(
        identities={
            "subject": Identity(name="subject", jwts=(JwtRule(issuer="i", subject="s"),)),
            "group": Identity(name="group", jwts=(JwtRule(issuer="i", claims=(("group", "g"),)),)),
            "certified": Identity(name="certified", certificates=("CN=a", "spiffe://x/y")),
        },
        issuers=(issuer,),
    )


@pytest.mark.parametrize(
    ("name", "value", "who"),
    [
        (JWT, jwt(iss="i", sub="s", exp=11), "subject"),
        (JWT, jwt(iss="i", sub="t", group="g"), "group"),
        (JWT, jwt(iss="i", sub="t", group=["f", "g"]), "group"),
        (JWT, jwt(iss="i", sub="s", exp=10), "expired JWT"),
        (JWT, jwt(iss="other", sub="s"), "JWT of an unknown issuer"),
        (JWT, jwt(iss="i", sub="t", group="gg"), "JWT of nobody"),
        (JWT, jwt(iss="i", sub=["s"]), "JWT of nobody"),
        (JWT, b"nonsense", "malformed JWT payload"),
        (CERTIFICATE, b'Subject="CN=a"', "certified"),
        (CERTIFICATE, b'Subject="CN=b";URI=spiffe://x/y', "certified"),
        (CERTIFICATE, b'Subject="CN=b"', "unknown certificate"),
        (CERTIFICATE, b'Subject=""', "certificate without a name"),
        (AUTHORIZATION, b"Basic eDp5", "authorization of another kind than Bearer"),
        (AUTHORIZATION, b"Bearer eyJ.eyJ.x", "malformed token"),
    ],
)
def test_who_it_is(name: bytes, value: bytes, who: str) -> None:
    """The first one whose rule it fits, or nobody: the log says why."""
    if who in everybody().identities:
        assert prove(everybody(), name, value, 10).identity.name == who
    else:
        with pytest.raises(Unproven, match=who):
            prove(everybody(), name, value, 10)


def test_one_header_tells_who_calls() -> None:
    """A token that does not hold is no reason to look at a certificate."""
    both = {AUTHORIZATION: b"Bearer x", CERTIFICATE: b'Subject="CN=a"'}

    assert proof_of(both, takes_jwts=False) == AUTHORIZATION
    assert proof_of({**both, JWT: jwt(iss="i")}, takes_jwts=True) == JWT
    assert proof_of({JWT: jwt(iss="i")}, takes_jwts=False) is None
    assert proof_of({CERTIFICATE: b""}, takes_jwts=False) == CERTIFICATE
