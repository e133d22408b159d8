"""Callers, rights and tokens, as qcli prints them."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from google.protobuf.message import Message

from qmq.cli.table import Column, printable, table, telling
from qmq.client.access import caller_of, identity_of, new_token_of
from qmq.client.access_values import Grant, Identity, Right, Token
from qmq.wire import q_pb2 as pb

#: A reply about who calls, and who may.
AccessReply: TypeAlias = pb.GetIdentityResponse | pb.ListIdentitiesResponse | pb.MakeTokenResponse

_NOBODY_ASKED: Final = "q asks nobody who they are: whoever reaches it may do everything"


def access_records(reply: AccessReply) -> list[Message]:
    """Return what a reply is made of."""
    return [*reply.identities] if isinstance(reply, pb.ListIdentitiesResponse) else [reply]


def access_table(reply: AccessReply) -> list[str]:
    """Return a reply for people."""
    match reply:
        case pb.GetIdentityResponse():
            return _identity_table(reply)
        case pb.ListIdentitiesResponse():
            return _identities_table(reply)
        case pb.MakeTokenResponse():
            return [*new_token_lines(reply)]


def _identity_table(reply: pb.GetIdentityResponse) -> list[str]:
    """Return the caller and its rights."""
    caller = caller_of(reply)
    identity = caller.identity
    if identity is None:
        return [_NOBODY_ASKED]
    return table(
        [
            Column("NAME", [printable(identity.name)]),
            Column("BY", [printable(caller.proof)]),
            Column("UNTIL", [_moment(caller.expires_at, "revoked")]),
            Column("MAY", [_rights(caller.rights) or "nothing"]),
            Column("RIGHTS", [_grants(identity)]),
            *telling(Column("LIMITS", [_limits(identity)])),
        ]
    )


class _Row(NamedTuple):
    """A token, or an identity without one."""

    identity: Identity
    token: Token | None
    #: Whether it is the first one of its identity.
    is_first: bool


def _identities_table(reply: pb.ListIdentitiesResponse) -> list[str]:
    """Return identities and their tokens, a line for each token."""
    rows = [row for each in reply.identities for row in _rows(identity_of(each))]
    tokens = [row.token for row in rows]
    return table(
        [
            Column("NAME", [printable(row.identity.name) if row.is_first else "" for row in rows]),
            Column("RIGHTS", [_grants(row.identity) if row.is_first else "" for row in rows]),
            Column("TOKEN", [row.token.id if row.token else _other(row.identity) for row in rows]),
            Column("CREATED", [_moment(each.created, "-") if each else "-" for each in tokens]),
            Column("EXPIRES", [_moment(each.expires_at, "no") if each else "-" for each in tokens]),
            Column("USED", [_moment(each.used, "-") if each else "-" for each in tokens]),
            Column("NOTE", [printable(each.note) if each else "" for each in tokens]),
        ]
    )


def _rows(identity: Identity) -> Iterator[_Row]:
    for at, each in enumerate(identity.tokens or (None,)):
        yield _Row(identity, each, at == 0)


def new_token_lines(reply: pb.MakeTokenResponse) -> tuple[str, str]:
    """Return a new token, and what a person has to know about it."""
    made = new_token_of(reply)
    until = f"until {made.token.expires_at:%Y-%m-%d %H:%M} UTC" if made.token.expires_at else ""
    return made.text, (
        f"Token {made.token.id} is valid {until or 'until it is revoked'}. It is kept nowhere: who"
        " loses it needs another one."
    )


def _other(identity: Identity) -> str:
    """Return how else an identity without tokens proves itself."""
    others = [
        *(["a certificate"] if identity.certificates else []),
        *(["a JWT"] if identity.jwts else []),
    ]
    return " or ".join(others) or "none"


def _grants(identity: Identity) -> str:
    return "; ".join(map(_grant, identity.rights)) or "none"


def _grant(grant: Grant) -> str:
    return printable(f"{_rights(grant.may)} on {grant.queues or grant.selector}")


def _rights(rights: Collection[Right]) -> str:
    if Right.ADMIN in rights:
        return "admin"
    return ", ".join(right.name.lower() for right in sorted(rights))


def _limits(identity: Identity) -> str:
    limits = identity.limits
    if limits is None:
        return "-"
    texts = (
        f"{limits.calls_per_second} calls a second" if limits.calls_per_second else "",
        f"{limits.calls_max} calls" if limits.calls_max else "",
        f"{limits.connections_max} connections" if limits.connections_max else "",
    )
    return ", ".join(filter(None, texts))


def _moment(moment: datetime | None, otherwise: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z" if moment else otherwise
