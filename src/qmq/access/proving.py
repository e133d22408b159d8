"""Who calls, by the headers of a call."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from qmq.access.policy import Identity, Policy, Unproven
from qmq.access.proofs import CERTIFICATE_HEADER, JWT_HEADER, certificate_of, claims_of
from qmq.access.tokens import bearer_of, presented

AUTHORIZATION: Final = b"authorization"
CERTIFICATE: Final = CERTIFICATE_HEADER.encode()
JWT: Final = JWT_HEADER.encode()


class Proven(NamedTuple):
    """A caller whose identity is proven."""

    identity: Identity
    #: By what, for the log; no secret.
    by: str
    #: Until when that holds, in seconds since the Unix epoch; None for as long as the policy does.
    expires_s: float | None
    #: Of the token that it was, if it was one.
    token_id: str = ""


def proof_of(headers: Mapping[bytes, bytes], *, takes_jwts: bool) -> bytes | None:
    """Return the name of the one header that tells who calls; None if there is none.

    A JWT that Envoy has verified comes in an Authorization header, too. Who sends one such is
    asked for nothing else: a token that does not hold is no reason to take a certificate.
    """
    for name in (JWT, AUTHORIZATION, CERTIFICATE) if takes_jwts else (AUTHORIZATION, CERTIFICATE):
        if name in headers:
            return name
    return None


def prove(policy: Policy, name: bytes, value: bytes, now_s: float) -> Proven:
    """Find out who calls.

    Args:
        policy: what holds.
        name: that of the header, as `proof_of` returns it.
        value: what stands in it.
        now_s: the present, in seconds since the Unix epoch.

    Raises:
        Unproven: it proves nothing.
    """
    if name == JWT:
        claims = claims_of(value)
        if claims is None:
            raise Unproven("malformed JWT payload")
        by = f"JWT of {claims.subject or 'no subject'} by {claims.issuer}"
        return Proven(policy.by_jwt(claims, now_s), by, claims.expires_s)
    if name == CERTIFICATE:
        certificate = certificate_of(value)
        if certificate is None or not certificate.names:
            raise Unproven("certificate without a name")
        identity = policy.by_certificate(certificate)
        return Proven(identity, f"certificate {certificate.names[0]}", None)
    bearer = bearer_of(value)
    if bearer is None:
        raise Unproven("authorization of another kind than Bearer")
    sent = presented(bearer)
    if sent is None:
        raise Unproven("malformed token")
    identity, token = policy.by_token(sent, now_s)
    expires_s = token.expires.timestamp() if token.expires else None
    return Proven(identity, f"token {token.id}", expires_s, token.id)
