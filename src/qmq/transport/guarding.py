"""The service where callers have to show who they are: each is served what it may do.

A caller that sends the same header again is found by it, in one look. What a call costs besides is
the question whether the caller may do what it asks for.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from weakref import WeakSet

from qmq.access.granted import Granted
from qmq.access.limits import Use
from qmq.access.policy import Identity, Policy, Unproven
from qmq.access.proving import AUTHORIZATION, CERTIFICATE, JWT, proof_of, prove
from qmq.access.quotas import Quotas
from qmq.errors import AccessChanged, QError, Unauthenticated
from qmq.transport.asgi import Receive, Scope, Send
from qmq.transport.forwarded import connection
from qmq.transport.grpc import Caller, Fallback, GrpcApp, is_grpc
from qmq.transport.in_hand import Bounds
from qmq.transport.methods import Methods, UnaryMethods
from qmq.transport.sending import send_end
from qmq.transport.status import refusal_headers
from qmq.transport.streams import Requests, StreamMethod

#: Callers of a kind that are remembered: as many tokens are in use at a time, hardly ever more.
_REMEMBERED_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Offer:
    """What one identity is served."""

    unary: UnaryMethods
    streams: Mapping[str, StreamMethod]
    #: What it may do; None where it makes no difference.
    rights: Granted | None = None


@dataclass(slots=True)
class Tally:
    """The counts of one identity."""

    calls: int = 0


class Counts:
    """The counts of all callers, for as long as q runs."""

    def __init__(self) -> None:
        #: By an identity's name; there are no more than those that the access file ever named.
        self.by_identity: defaultdict[str, Tally] = defaultdict(Tally)
        #: Refused calls by the reason of their error.
        self.refused: defaultdict[str, int] = defaultdict(int)
        #: When tokens were last used, by their ids, in seconds since the Unix epoch.
        self.used_s: dict[str, float] = {}


class Notes(Protocol):
    """Takes note of refused calls."""

    def refused(self, scope: Scope, identity: str, by: str, error: QError) -> None:
        """Note a call that was refused.

        Args:
            scope: the call.
            identity: who called; empty if nobody knows.
            by: what told that.
            error: why.
        """
        ...


@dataclass(slots=True)
class _Principal:
    """One identity, and what it is served here."""

    identity: Identity
    offer: Offer
    use: Use | None
    tally: Tally


@dataclass(eq=False, weakref_slot=True, slots=True)
class KnownCaller:
    """A caller known by a token, a certificate or a JWT. It is a `qmq.transport.grpc.Caller`."""

    name: str
    #: What told who it is.
    by: str
    #: The header that did.
    proof: tuple[bytes, bytes]
    expires_s: float | None
    use: Use | None
    tally: Tally
    unary: UnaryMethods
    streams: Mapping[str, StreamMethod]
    notes: Notes
    counts: Counts
    #: Of the token, if it calls by one.
    token_id: str = ""
    #: Whether it has called since that was last noted.
    has_called: bool = False
    open_streams: set[Requests] = field(default_factory=set)
    #: Why it is served no more.
    error: QError | None = None

    def check(self) -> None:
        """Ask whether it may still wait.

        Raises:
            QError: it may not.
        """
        if self.error:
            raise self.error

    def end(self, error: QError) -> None:
        """Serve it no more: its streams end, and so do its calls that wait."""
        self.error = error
        for stream in list(self.open_streams):
            stream.end(error)

    def note_refusal(self, scope: Scope, error: QError) -> None:
        """Note that one of its calls was refused."""
        if error.reason in _REFUSALS:
            self.counts.refused[error.reason] += 1
            self.notes.refused(scope, self.name, self.by, error)


#: Reasons of errors that stand for a refusal of the caller, and for nothing else.
_REFUSALS: Final = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})


#: The call that is under way and its caller, for the audit log.
CALL: Final[ContextVar[tuple[Scope, KnownCaller] | None]] = ContextVar("CALL", default=None)


class Guard:
    """Finds out who calls, and whether that still holds. To be used in one event loop."""

    def __init__(  # noqa: PLR0913 - What it needs, each by name.
        self,
        policy: Policy,
        *,
        takes_jwts: bool,
        offer: Callable[[Identity], Offer],
        quotas: Quotas,
        counts: Counts,
        notes: Notes,
        now_s: Callable[[], float],
        steady_s: Callable[[], float],
    ) -> None:
        """Make one that knows nobody yet.

        Args:
            policy: who there is, and who may what.
            takes_jwts: whether Envoy verifies JWTs, and tells of them.
            offer: makes what an identity is served, once, when it is first needed.
            quotas: what queues may hold.
            counts: what is counted.
            notes: takes note of refused calls.
            now_s: tells the present, in seconds since the Unix epoch.
            steady_s: the same, by a clock that nobody sets.
        """
        self._policy = policy
        self._takes_jwts = takes_jwts
        self._offer = offer
        self._quotas = quotas
        self._counts = counts
        self._notes = notes
        self._now_s = now_s
        self._steady_s = steady_s
        self._principals: dict[str, _Principal] = {}
        #: Known callers, by the name of the header that proved them and by its value.
        self._known: dict[bytes, dict[bytes, KnownCaller]] = {
            name: {} for name in (AUTHORIZATION, CERTIFICATE, JWT)
        }
        #: Those of tokens, at hand.
        self._known_tokens = self._known[AUTHORIZATION]
        #: Those, and others who have calls under way.
        self._callers: WeakSet[KnownCaller] = WeakSet()

    @property
    def policy(self) -> Policy:
        """The identities that there are, and their rights."""
        return self._policy

    def find(self, headers: Mapping[bytes, bytes]) -> KnownCaller:
        """Find out who calls, by a call's headers.

        Raises:
            Unauthenticated: nobody knows.
        """
        name, known = AUTHORIZATION, self._known_tokens
        value = headers.get(AUTHORIZATION)
        if value is None or self._takes_jwts:
            proof = proof_of(headers, takes_jwts=self._takes_jwts)
            if proof is None:
                raise Unauthenticated("no token")
            name, known, value = proof, self._known[proof], headers[proof]
        caller = known.get(value)
        if caller is None:
            caller = self._prove(name, value)
            if len(known) >= _REMEMBERED_MAX:
                del known[next(iter(known))]
            known[value] = caller
        elif caller.expires_s is not None and caller.expires_s <= self._now_s():
            self._end(caller, Unauthenticated("expired"))
            raise Unauthenticated("expired")
        caller.tally.calls += 1
        caller.has_called = True
        return caller

    def _prove(self, name: bytes, value: bytes) -> KnownCaller:
        try:
            identity, by, expires_s, token_id = prove(self._policy, name, value, self._now_s())
        except Unproven as error:
            raise Unauthenticated(str(error)) from None
        principal = self._principals.get(identity.name)
        if principal is None:
            principal = self._principals[identity.name] = _Principal(
                identity,
                self._offer(identity),
                self._use_of(identity),
                self._counts.by_identity[identity.name],
            )
        caller = KnownCaller(
            name=identity.name,
            by=by,
            proof=(name, value),
            expires_s=expires_s,
            use=principal.use,
            tally=principal.tally,
            unary=principal.offer.unary,
            streams=principal.offer.streams,
            notes=self._notes,
            counts=self._counts,
            token_id=token_id,
        )
        self._callers.add(caller)
        return caller

    def _use_of(self, identity: Identity) -> Use | None:
        if not identity.bounds.are_set:
            return None
        return Use(identity.name, identity.bounds, self._steady_s)

    def replace(self, policy: Policy) -> None:
        """Let another policy hold from now on.

        The streams and waits of callers end who are unknown to it, or have other rights.
        """
        if policy.quotas != self._policy.quotas:
            self._quotas.replace(policy.quotas)
        self._policy = policy
        changed = self._replace_principals()
        for caller in list(self._callers):
            try:
                proven = prove(policy, *caller.proof, self._now_s())
            except Unproven as error:
                self._end(caller, Unauthenticated(str(error)))
                continue
            if proven.identity.name != caller.name:
                self._end(caller, Unauthenticated("somebody else's by now"))
            elif caller.name in changed:
                self._end(caller, AccessChanged(caller.name))
            else:
                caller.use = self._principals[caller.name].use
                caller.expires_s = proven.expires_s

    def _replace_principals(self) -> set[str]:
        """Take over what the policy says of identities; return those who may do other things."""
        policy, changed = self._policy, set[str]()
        for name, principal in list(self._principals.items()):
            identity = policy.identities.get(name)
            if identity is None:
                del self._principals[name]
                continue
            before, principal.identity = principal.identity, identity
            if identity.grants != before.grants:
                changed.add(name)
                if principal.offer.rights:
                    principal.offer.rights.replace(identity)
            if identity.bounds != before.bounds:
                principal.use = self._use_of(identity)
        return changed

    def offer_anew(self) -> None:
        """Make anew what identities are served, since the methods have changed."""
        for principal in self._principals.values():
            principal.offer = self._offer(principal.identity)
        for caller in self._callers:
            offer = self._principals[caller.name].offer
            caller.unary, caller.streams = offer.unary, offer.streams

    def end_expired(self) -> None:
        """End streams and waits of callers whose proof has expired. Call it about each second."""
        now_s = self._now_s()
        for caller in list(self._callers):
            if caller.expires_s is not None and caller.expires_s <= now_s:
                self._end(caller, Unauthenticated("expired"))

    def note_use(self) -> None:
        """Note which tokens were used since the last time, about a second ago.

        So no call has to ask what time it is.
        """
        now_s = self._now_s()
        for caller in list(self._callers):
            if caller.has_called:
                caller.has_called = False
                if caller.token_id:
                    self._counts.used_s[caller.token_id] = now_s

    def note_refusal(self, scope: Scope, error: QError) -> None:
        """Note that a call was refused before it began."""
        self._counts.refused[error.reason] += 1
        if isinstance(error, Unauthenticated):
            self._notes.refused(scope, "", error.why, error)

    def _end(self, caller: KnownCaller, error: QError) -> None:
        name, value = caller.proof
        if self._known[name].get(value) is caller:
            del self._known[name][value]
        self._callers.discard(caller)
        caller.end(error)


class GuardedApp(GrpcApp):
    """An app with methods that only known callers are served."""

    def __init__(  # noqa: PLR0913 - As its base, and what it asks.
        self,
        methods: Methods,
        *,
        guard: Guard,
        guarded: Collection[str],
        noted: Collection[str],
        request_bytes_max: int,
        fallback: Fallback,
        bounds: Bounds,
    ) -> None:
        """Make an app.

        Args:
            methods: those that are served to anybody.
            guard: finds out who calls, and what that one is served.
            guarded: the methods that are served so only, by path.
            noted: those of them in which `CALL` is to be known.
            request_bytes_max: as in `GrpcApp`.
            fallback: likewise.
            bounds: likewise.
        """
        super().__init__(
            methods, request_bytes_max=request_bytes_max, fallback=fallback, bounds=bounds
        )
        self.guard = guard
        #: The methods that are only served so, by path, and whether `CALL` is to be known in them.
        self._guarded = dict.fromkeys(guarded, False) | dict.fromkeys(noted, True)

    def __call__(
        self, scope: Scope, receive: Receive, send: Send, caller: Caller | None = None
    ) -> Coroutine[Any, Any, None]:
        """Serve one request; what is returned does it when it is awaited.

        There is no coroutine around that of the base: each step of a call would go through it.
        """
        is_noted = self._guarded.get(scope["path"])
        headers = dict(scope["headers"])
        if is_noted is None or not is_grpc(headers):
            return self._serve(scope, headers, receive, send, caller)
        try:
            found = self.guard.find(headers)
        except QError as error:
            return self._refuse(scope, send, error)
        if is_noted:
            CALL.set((scope, found))
        if found.use is not None:
            return self._serve_within(found.use, scope, headers, receive, send, found)
        return self._serve(scope, headers, receive, send, found)

    async def _refuse(self, scope: Scope, send: Send, error: QError) -> None:
        self.guard.note_refusal(scope, error)
        await send_end(send, refusal_headers(error))

    async def _serve_within(  # noqa: PLR0913, PLR0917 - As `_serve`, and what it is within.
        self,
        use: Use,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        caller: KnownCaller,
    ) -> None:
        """Serve a request of a caller with limits."""
        client = connection(scope)
        try:
            use.begin(client)
        except QError as error:
            await self._refuse(scope, send, error)
            return
        try:
            await self._serve(scope, headers, receive, send, caller)
        finally:
            use.end(client)
