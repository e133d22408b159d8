"""The methods of the service Q that tell who may call, and make and revoke tokens."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.policy import Bounds, Identity, Policy
from qmq.access.rights import RIGHTS, Grant, Right
from qmq.access.tokens import Token
from qmq.errors import AccessFixed, InvalidArgument, Unauthenticated
from qmq.limits import AHEAD_S_MAX, NOTE_BYTES_MAX, TOKEN_S_MIN
from qmq.transport.decode import decode
from qmq.transport.guarding import CALL
from qmq.transport.methods import Methods
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from qmq.wire.ids import checked_id
from qmq.wire.times import Span, moment_message, moment_ns, optional_duration_ns

_NOTHING: Final = b""

_TTL: Final = Span(TOKEN_S_MIN * NS_PER_S, AHEAD_S_MAX * NS_PER_S, "1 minute to 10 years")

#: The last moment that replies can tell, which is that of the year 9999.
_MOMENT_S_MAX: Final = 253_402_300_799

#: What is said where there is no access file.
_NOBODY_ASKED: Final = (
    "q was started without --access, and asks nobody who they are: make an access file with"
    " `q tokens make`, and start q with --access FILE"
)


class NewToken(NamedTuple):
    """A token that was made."""

    #: As its owner is told it; it is kept nowhere.
    text: str
    token: Token


class AccessFile(Protocol):
    """The access file of a q that runs."""

    @property
    def policy(self) -> Policy:
        """What it says, as far as q has taken it over."""
        ...

    def used_s(self) -> Mapping[str, float]:
        """Return when tokens were last used, as far as known: seconds since the Unix epoch, by id.

        All callers that are known are looked at for it.
        """
        ...

    async def make_token(self, identity: str, *, expires: datetime | None, note: str) -> NewToken:
        """Make a token; q takes it when this returns.

        Raises:
            IdentityNotFound: there is nobody of the name.
            AccessFixed: the file cannot be changed.
        """
        ...

    async def revoke_token(self, identity: str, token_id: str) -> None:
        """Revoke a token if there is one; q takes it no more when this returns.

        Raises:
            InvalidArgument: it is somebody else's.
            LastAdmin: nobody could administer q any more.
            AccessFixed: the file cannot be changed.
        """
        ...


class AccessService:
    """Part of the service Q, on top of an access file if there is one."""

    def __init__(self, file: AccessFile | None, rights: Rights = EVERYTHING) -> None:
        self._file = file
        self._rights = rights

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            {
                "/proto.Q/GetIdentity": self.get_identity,
                "/proto.Q/ListIdentities": self.list_identities,
                "/proto.Q/MakeToken": self.make_token,
                "/proto.Q/RevokeToken": self.revoke_token,
            }
        )

    async def get_identity(self, data: bytes) -> bytes:
        """Tell the caller who it is, and what it may do."""
        request = decode(pb.GetIdentityRequest, data)
        reply = pb.GetIdentityResponse(rights=_kinds(self._rights.held(request.queue_id)))
        call = CALL.get()
        if self._file and call:
            _, caller = call
            identity = self._file.policy.identities.get(caller.name)
            if identity is None:
                # It was somebody when the call began.
                raise Unauthenticated("somebody no more")
            reply.asked = True
            reply.identity.CopyFrom(_described(identity))
            reply.proof = caller.by
            if caller.expires_s is not None:
                # Issuers say what they like, such as milliseconds.
                reply.expires_at.CopyFrom(_moment(min(caller.expires_s, _MOMENT_S_MAX)))
        return reply.SerializeToString()

    async def list_identities(self, data: bytes) -> bytes:
        """List who may call."""
        decode(pb.ListIdentitiesRequest, data)
        file = self._checked()
        used_s = file.used_s()
        return pb.ListIdentitiesResponse(
            identities=[_in_full(each, used_s) for each in file.policy.identities.values()]
        ).SerializeToString()

    async def make_token(self, data: bytes) -> bytes:
        """Make a token for somebody."""
        request = decode(pb.MakeTokenRequest, data)
        file = self._checked()
        note = checked_id(request.note, "note", NOTE_BYTES_MAX, "note")
        expires = self._expires(request)
        made = await file.make_token(request.identity, expires=expires, note=note)
        return pb.MakeTokenResponse(
            text=made.text, token=_token_message(made.token, None)
        ).SerializeToString()

    async def revoke_token(self, data: bytes) -> bytes:
        """Revoke a token; one that is gone already is as good."""
        request = decode(pb.RevokeTokenRequest, data)
        await self._checked().revoke_token(request.identity, request.token_id)
        return _NOTHING

    def _checked(self) -> AccessFile:
        """Return the file, if the caller may ask for what is in it.

        Raises:
            AccessDenied: it may not.
            AccessFixed: there is none.
        """
        self._rights.check_all(Right.ADMIN)
        if self._file is None:
            raise AccessFixed(_NOBODY_ASKED)
        return self._file

    def _expires(self, request: pb.MakeTokenRequest) -> datetime | None:
        """Return when a new token is to hold no more, to the second; None for never."""
        if request.HasField("ttl") and request.HasField("expires_at"):
            raise InvalidArgument("ttl", "cannot be given together with expires_at")
        now_s = time.time()
        ttl_ns = optional_duration_ns(request, "ttl", _TTL)
        if ttl_ns is not None:
            return datetime.fromtimestamp(int(now_s + ttl_ns / NS_PER_S), UTC)
        if not request.HasField("expires_at"):
            return None
        expires_s = moment_ns(request.expires_at, "expires_at") // NS_PER_S
        if not TOKEN_S_MIN <= expires_s - int(now_s) <= AHEAD_S_MAX:
            raise InvalidArgument("expires_at", f"must be {_TTL.text} from now")
        return datetime.fromtimestamp(expires_s, UTC)


def _kinds(rights: Right) -> list[str]:
    return [name.upper() for name, right in RIGHTS.items() if right & rights]


def _described(identity: Identity) -> pb.Identity:
    """Describe somebody, without the ways in which it may prove itself."""
    return pb.Identity(
        name=identity.name,
        rights=map(_grant_message, identity.grants),
        limits=_limits_message(identity.bounds) if identity.bounds.are_set else None,
    )


def _in_full(identity: Identity, used_s: Mapping[str, float]) -> pb.Identity:
    message = _described(identity)
    message.tokens.extend(_token_message(each, used_s.get(each.id)) for each in identity.tokens)
    message.certificates.extend(identity.certificates)
    message.jwts.extend(
        pb.JwtRule(issuer=rule.issuer, subject=rule.subject, claims=dict(rule.claims))
        for rule in identity.jwts
    )
    return message


def _grant_message(grant: Grant) -> pb.Grant:
    may = _kinds(grant.rights)
    if grant.selector is not None:
        return pb.Grant(selector=str(grant.selector), may=may)
    return pb.Grant(queues=grant.pattern, may=may)


def _limits_message(bounds: Bounds) -> pb.IdentityLimits:
    return pb.IdentityLimits(
        calls_per_second=bounds.calls_per_second,
        calls_max=bounds.calls_max,
        connections_max=bounds.connections_max,
    )


def _token_message(token: Token, used_s: float | None) -> pb.Token:
    """Describe a token; neither it nor its hash is told."""
    return pb.Token(
        id=token.id,
        created=token.created and _moment(token.created.timestamp()),
        expires_at=token.expires and _moment(token.expires.timestamp()),
        note=token.note,
        used=None if used_s is None else _moment(used_s),
    )


def _moment(seconds: float) -> Timestamp:
    """Return a moment to the second: no more is known of any of these."""
    return moment_message(int(seconds) * NS_PER_S)
