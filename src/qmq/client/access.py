"""Who may call, from the messages of the wire to the values of the client."""

from collections.abc import Iterable

from google.protobuf.message import Message

from qmq.client.access_values import (
    Caller,
    Grant,
    Identity,
    IdentityLimits,
    JwtRule,
    NewToken,
    Right,
    Token,
)
from qmq.client.decode import moment_ns
from qmq.client.options import Duration
from qmq.client.values import span
from qmq.wire import q_pb2 as pb


def caller_of(wire: pb.GetIdentityResponse) -> Caller:
    """Convert what the server says of who calls."""
    return Caller(
        asked=wire.asked,
        identity=identity_of(wire.identity) if wire.HasField("identity") else None,
        proof=wire.proof,
        expires_ns=_moment_ns(wire, "expires_at"),
        rights=_rights(wire.rights),
    )


def identity_of(wire: pb.Identity) -> Identity:
    """Convert somebody whom the access file names."""
    limits = wire.limits
    return Identity(
        name=wire.name,
        rights=tuple(
            Grant(queues=each.queues, selector=each.selector, may=_rights(each.may))
            for each in wire.rights
        ),
        limits=IdentityLimits(
            calls_per_second=limits.calls_per_second,
            calls_max=limits.calls_max,
            connections_max=limits.connections_max,
        )
        if wire.HasField("limits")
        else None,
        tokens=tuple(map(token_of, wire.tokens)),
        certificates=tuple(wire.certificates),
        jwts=tuple(
            JwtRule(issuer=each.issuer, subject=each.subject, claims=dict(each.claims))
            for each in wire.jwts
        ),
    )


def token_of(wire: pb.Token) -> Token:
    """Convert what is known of a token."""
    return Token(
        id=wire.id,
        created_ns=_moment_ns(wire, "created"),
        expires_ns=_moment_ns(wire, "expires_at"),
        note=wire.note,
        used_ns=_moment_ns(wire, "used"),
    )


def new_token_of(wire: pb.MakeTokenResponse) -> NewToken:
    """Convert a token that was made."""
    return NewToken(text=wire.text, token=token_of(wire.token))


def make_token_request(identity: str, ttl: Duration | None, note: str) -> pb.MakeTokenRequest:
    """Encode what `Client.make_token` is told.

    Raises:
        ValueError: the ttl is negative or no number.
    """
    request = pb.MakeTokenRequest(identity=identity, note=note)
    if (lasts := span(ttl, "ttl")) is not None:
        request.ttl.FromTimedelta(lasts)
    return request


def _moment_ns(message: Message, field: str) -> int | None:
    return moment_ns(getattr(message, field)) if message.HasField(field) else None


def _rights(numbers: Iterable[int]) -> frozenset[Right]:
    known = {each.value for each in Right}
    return frozenset(Right(number if number in known else 0) for number in numbers)
