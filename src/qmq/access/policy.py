"""What stands in the access file: who there is, how they prove it, and what they may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qmq.access.proofs import Certificate, Claims, claim_holds
from qmq.access.rights import Grants, Right, rights_on_all
from qmq.access.tokens import Presented, Token, is_same


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtRule:
    """Which JWTs are an identity's: those of an issuer that say all of this."""

    issuer: str
    #: Empty: whatever their subject is.
    subject: str = ""
    #: Names and values of claims.
    claims: tuple[tuple[str, str], ...] = ()

    def matches(self, claims: Claims) -> bool:
        """Tell whether a JWT is such a one."""
        return (
            claims.issuer == self.issuer
            and (not self.subject or claims.subject == self.subject)
            and all(claim_holds(claims, name, value) for name, value in self.claims)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one identity may do at a time; 0 is no bound."""

    calls_per_second: int = 0
    #: Under way at a time, those that wait and streams included.
    calls_max: int = 0
    #: On which calls are under way.
    connections_max: int = 0

    @property
    def are_set(self) -> bool:
        """Whether there is any bound."""
        return bool(self.calls_per_second or self.calls_max or self.connections_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One who may call."""

    name: str
    tokens: tuple[Token, ...] = ()
    #: Subjects of client certificates, or URIs among their alternative names.
    certificates: tuple[str, ...] = ()
    jwts: tuple[JwtRule, ...] = ()
    grants: Grants = ()
    bounds: Bounds = Bounds()

    def may_on_all(self, right: Right) -> bool:
        """Tell whether it has a right to every queue."""
        return bool(rights_on_all(self.grants) & right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much the queues of a name may hold together; 0 is no bound."""

    pattern: str
    queues_max: int = 0
    messages_max: int = 0
    bytes_max: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose JWTs are taken."""

    issuer: str
    audiences: tuple[str, ...]
    #: One of the two: where its keys are.
    jwks_file: str = ""
    jwks_url: str = ""
    #: A file of certificates that the server of that URL is known by; empty for the system's.
    jwks_ca: str = ""


class Unproven(Exception):
    """A proof is none that holds; `args[0]` says why, for the log."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All that the access file says."""

    #: By their names.
    identities: Mapping[str, Identity]
    quotas: tuple[Quota, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    _tokens: Mapping[str, tuple[Token, Identity]] = field(init=False, repr=False, compare=False)
    _certificates: Mapping[str, Identity] = field(init=False, repr=False, compare=False)
    _jwts: Sequence[tuple[JwtRule, Identity]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare to look up proofs."""
        every = self.identities.values()
        tokens = {token.id: (token, each) for each in every for token in each.tokens}
        certificates = {name: each for each in every for name in each.certificates}
        # That is how a frozen value gets what is computed from it.
        object.__setattr__(self, "_tokens", tokens)
        object.__setattr__(self, "_certificates", certificates)
        object.__setattr__(self, "_jwts", [(rule, each) for each in every for rule in each.jwts])

    def admits(self, right: Right, now_s: float) -> bool:
        """Tell whether anybody can show a right to every queue.

        A token counts while it holds, and certificates and JWTs as if somebody had them.

        Args:
            right: which one.
            now_s: the present, in seconds since the Unix epoch.
        """
        return any(
            identity.may_on_all(right)
            and (
                identity.certificates
                or identity.jwts
                or not all(token.has_expired(now_s) for token in identity.tokens)
            )
            for identity in self.identities.values()
        )

    def by_token(self, sent: Presented, now_s: float) -> tuple[Identity, Token]:
        """Return whose token it is.

        Args:
            sent: as the caller sends it.
            now_s: the present, in seconds since the Unix epoch.

        Raises:
            Unproven: it is nobody's, or its time is over.
        """
        token, identity = self._tokens.get(sent.id, (None, None))
        # Unknown ones are compared as well, so that time does not tell which there are.
        if not is_same(token, sent) or token is None or identity is None:
            raise Unproven("unknown token" if token is None else "wrong secret")
        if token.has_expired(now_s):
            raise Unproven("expired token")
        return identity, token

    def by_certificate(self, certificate: Certificate) -> Identity:
        """Return whose certificate it is.

        Raises:
            Unproven: it is nobody's.
        """
        for name in certificate.names:
            if identity := self._certificates.get(name):
                return identity
        raise Unproven("unknown certificate")

    def by_jwt(self, claims: Claims, now_s: float) -> Identity:
        """Return whose JWT it is: the first identity's one of whose rules it fits.

        Raises:
            Unproven: it is nobody's, or its time is over.
        """
        if claims.expires_s is not None and claims.expires_s <= now_s:
            raise Unproven("expired JWT")
        if not any(each.issuer == claims.issuer for each in self.issuers):
            raise Unproven("JWT of an unknown issuer")
        for rule, identity in self._jwts:
            if rule.matches(claims):
                return identity
        raise Unproven("JWT of nobody")
