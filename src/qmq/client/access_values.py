"""Who may call, as the client describes it: frozen values, of no connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from qmq.client.values import moment


class Right(IntEnum):
    """What somebody may do to a queue; the numbers are those of the wire."""

    #: The server is newer than the client.
    UNKNOWN = 0
    #: Add messages.
    PRODUCE = 1
    #: Take messages.
    CONSUME = 2
    #: Look at the queue and its messages.
    BROWSE = 3
    #: Make, change and delete queues and what belongs to them.
    MANAGE = 4
    #: All of these; of every queue, to make and revoke tokens as well.
    ADMIN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Rights to the queues of a name, or with tags, of some kind."""

    #: What the queues' names are like: `billing.*`, or `*` for every queue.
    queues: str
    #: Or what their tags are; one of the two is empty.
    selector: str
    may: frozenset[Right]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLimits:
    """How much somebody may do at a time; 0 is no limit."""

    calls_per_second: int
    #: Calls under way, those that wait and streams included.
    calls_max: int
    #: Connections on which calls are under way.
    connections_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtRule:
    """Stands for the JWTs of an issuer that say all of this."""

    issuer: str
    #: Empty: any subject.
    subject: str
    claims: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token; its text is not."""

    #: The part of its text after `q_`; no secret.
    id: str
    #: When it was made: nanoseconds since the Unix epoch; None if nobody has noted it.
    created_ns: int | None
    #: When it holds no more; None if it does until it is revoked.
    expires_ns: int | None
    #: What it is for.
    note: str
    #: When a call last came with it, to a second or two; None if the server has seen none since it
    #: was started.
    used_ns: int | None

    @property
    def created(self) -> datetime | None:
        """When it was made, in UTC; None if nobody has noted it."""
        return None if self.created_ns is None else moment(self.created_ns)

    @property
    def expires_at(self) -> datetime | None:
        """When it holds no more, in UTC; None if it does until it is revoked."""
        return None if self.expires_ns is None else moment(self.expires_ns)

    @property
    def used(self) -> datetime | None:
        """When a call last came with it, in UTC; None if none did since the server's start."""
        return None if self.used_ns is None else moment(self.used_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was made."""

    #: What its owner calls with. The server keeps it nowhere, and cannot tell it again.
    text: str = field(repr=False)
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody whom the server's access file names."""

    name: str
    #: What it may do, all together.
    rights: tuple[Grant, ...]
    #: None if there are none.
    limits: IdentityLimits | None
    tokens: tuple[Token, ...]
    #: Subjects of the certificates that it may show, or URIs among their alternative names.
    certificates: tuple[str, ...]
    #: Which JWTs are its own.
    jwts: tuple[JwtRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who the client is to the server, and what it may do."""

    #: Whether the server asks who calls; if not, everybody may do everything.
    asked: bool
    #: Without the ways in which it may prove itself; None if nobody is asked.
    identity: Identity | None
    #: What proved who it is, such as `token k3f9`; no secret. Empty if nobody is asked.
    proof: str
    #: When that holds no more: nanoseconds since the Unix epoch; None if it does as long as the
    #: access file says so.
    expires_ns: int | None
    #: To the queue that was asked about, or to every queue.
    rights: frozenset[Right]

    @property
    def expires_at(self) -> datetime | None:
        """When that proof holds no more, in UTC; None if it does as long as the file says so."""
        return None if self.expires_ns is None else moment(self.expires_ns)

    def may(self, right: Right) -> bool:
        """Tell whether it has a right to the queue that was asked about, or to every queue."""
        return right in self.rights
