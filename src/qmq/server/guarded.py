"""Applications that ask who calls: each identity has methods of its own."""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from qmq.access.granted import Granted, Rights
from qmq.access.policy import Identity
from qmq.access.quotas import Quotas
from qmq.access.rights import Right
from qmq.errors import AccessDenied, QError
from qmq.model.catalog import Catalog
from qmq.observe.audit import Audit
from qmq.server.access import Access
from qmq.transport.following import service_paths
from qmq.transport.guarding import CALL, Guard, Offer
from qmq.transport.methods import Methods, UnaryMethod
from qmq.transport.streams import Requests, StreamMethod
from qmq.wire import q_pb2

#: Methods that are noted whenever they are called: what they change stays changed.
MANAGING: Final = frozenset(
    f"/proto.Q/{name}"
    for name in (
        *("NewQueue", "UpdateQueue", "DeleteQueue", "AddQueueTag", "DeleteQueueTag"),
        *("Purge", "Pause", "Resume", "PauseGroup", "ResumeGroup", "SkipGroup"),
        *("StartRedrive", "StopRedrive", "PutSchedule", "DeleteSchedule"),
        *("MakeToken", "RevokeToken"),
        *("DeleteMessages", "MoveMessages"),
    )
)


#: Makes what callers of some rights are served.
Make = Callable[[Rights], Methods]


def guard_of(
    access: Access, catalog: Catalog, make: Make, reflection: Mapping[str, StreamMethod]
) -> Guard:
    """Make the guard that finds out who calls, and serves each caller its methods.

    Args:
        access: who there is.
        catalog: the queues.
        make: makes what is served to callers of some rights.
        reflection: streams for those who may browse all queues.
    """
    quotas = Quotas(access.policy.quotas, catalog, time.monotonic)

    def everybody() -> Iterable[Identity]:
        return guard.policy.identities.values()

    def offer(identity: Identity) -> Offer:
        rights = Granted(identity, catalog, quotas, everybody)
        unary, waiting, streams = make(rights)
        of_all = {path: _needing_browse(method, rights) for path, method in reflection.items()}
        return Offer(
            Methods(
                {
                    path: _audited(path, method, access.audit) if path in MANAGING else method
                    for path, method in unary.items()
                },
                waiting,
            ).of_one_reply,
            {path: _noted(method) for path, method in {**streams, **of_all}.items()},
            rights,
        )

    guard = Guard(
        access.policy,
        takes_jwts=access.takes_jwts,
        offer=offer,
        quotas=quotas,
        counts=access.counts,
        notes=access.audit,
        now_s=time.time,
        steady_s=time.monotonic,
    )
    access.join(guard)
    return guard


def guarded_paths(reflection: Mapping[str, StreamMethod]) -> frozenset[str]:
    """Return the methods that only known callers are served."""
    return frozenset((*service_paths(), *reflection))


def noted_paths(reflection: Mapping[str, StreamMethod]) -> frozenset[str]:
    """Return the guarded methods that need to know which call they are part of."""
    return frozenset(
        (*MANAGING, "/proto.Q/GetIdentity", *service_paths(are_streams=True), *reflection)
    )


def _audited(path: str, method: UnaryMethod, audit: Audit) -> UnaryMethod:
    name = path.rpartition("/")[2]

    async def audited(data: bytes) -> bytes:
        outcome, reply = "OK", b""
        try:
            reply = await method(data)
        except AccessDenied:
            # That is noted as a refusal.
            outcome = ""
            raise
        except QError as error:
            outcome = error.reason
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        else:
            return reply
        finally:
            call = CALL.get()
            if outcome and call:
                scope, caller = call
                audit.called(
                    scope,
                    identity=caller.name,
                    by=caller.by,
                    method=name,
                    queue=_subject(name, data),
                    outcome=outcome,
                    more=_token_of(name, data, reply),
                )

    return audited


def _subject(name: str, data: bytes) -> str:
    """Return what a request is about, as its caller says it."""
    kind: Any = getattr(q_pb2, f"{name}Request")
    try:
        request = kind.FromString(data)
    except ValueError:
        return ""
    for field in ("queue_id", "redrive_id", "name"):
        if field in kind.DESCRIPTOR.fields_by_name:
            return str(getattr(request, field))
    return ""


def _token_of(name: str, data: bytes, reply: bytes) -> dict[str, str]:
    """Return whose token was made or revoked, and its id; nothing of other calls."""
    with suppress(ValueError):
        if name == "MakeToken":
            made = q_pb2.MakeTokenResponse.FromString(reply)
            whose = q_pb2.MakeTokenRequest.FromString(data).identity
            return {"whose": whose, "token": made.token.id}
        if name == "RevokeToken":
            request = q_pb2.RevokeTokenRequest.FromString(data)
            return {"whose": request.identity, "token": request.token_id}
    return {}


def _needing_browse(method: StreamMethod, rights: Granted) -> StreamMethod:
    async def checked(requests: Requests) -> AsyncGenerator[list[bytes], None]:
        rights.check_all(Right.BROWSE)
        async with aclosing(method(requests)) as replies:
            async for each in replies:
                yield each

    return checked


def _noted(method: StreamMethod) -> StreamMethod:
    """Note when a stream is refused, or ends because its caller is not known any more."""

    async def noted(requests: Requests) -> AsyncGenerator[list[bytes], None]:
        try:
            async with aclosing(method(requests)) as replies:
                async for each in replies:
                    yield each
        except QError as error:
            if call := CALL.get():
                scope, caller = call
                caller.note_refusal(scope, error)
            raise

    return noted
