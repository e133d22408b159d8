"""Who calls is found out by a header, and holds until it does not any more."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from qmq.access.policy import Bounds, Identity, Policy
from qmq.access.quotas import Quotas
from qmq.errors import AccessChanged, AccessDenied, CallsExceeded, QError, Unauthenticated
from qmq.model.catalog import Catalog
from qmq.transport.asgi import Event, Scope
from qmq.transport.framing import frame
from qmq.transport.guarding import Counts, Guard, GuardedApp, Offer
from qmq.transport.in_hand import Bounds as InHandBounds
from qmq.transport.methods import Methods
from qmq.transport.status import Code
from tests.access.policies import NOW, identity, policy, token

TEXT, KEPT = token()
OTHER_TEXT, OTHER_KEPT = token(expires=NOW + timedelta(seconds=60))


def bearer(text: str) -> dict[bytes, bytes]:
    """Return the headers of one who sends a token."""
    return {b"authorization": f"Bearer {text}".encode()}


class World:
    """A guard, an app that it guards, and time in the test's hand."""

    def __init__(self, before: Policy) -> None:
        self.now_s = NOW.timestamp()
        self.offers: list[str] = []
        self.noted: list[tuple[str, str]] = []
        self.counts = Counts()
        self.guard = Guard(
            before,
            takes_jwts=False,
            offer=self._offer,
            quotas=Quotas((), Catalog(), lambda: 0.0),
            counts=self.counts,
            notes=self,
            now_s=lambda: self.now_s,
            steady_s=lambda: self.now_s,
        )
        self.app = GuardedApp(
            Methods({"/open": self._answer}),
            guard=self.guard,
            guarded=["/who", "/wait", "/deny"],
            noted=[],
            request_bytes_max=1000,
            fallback=_no_fallback,
            bounds=InHandBounds(),
        )

    def refused(self, scope: Scope, identity: str, by: str, error: QError) -> None:  # noqa: ARG002
        """Take note of a refusal."""
        self.noted.append((identity, by))

    def _offer(self, one: Identity) -> Offer:
        self.offers.append(one.name)

        async def who(_: bytes) -> bytes:
            return one.name.encode()

        async def deny(_: bytes) -> bytes:
            raise AccessDenied("no")

        async def wait(_: bytes, is_gone: Any, limit_s: float | None) -> bytes:  # noqa: ANN401, ARG001
            while not await is_gone():  # noqa: ASYNC110 - As the engine asks now and then.
                await asyncio.sleep(0)
            return b""

        return Offer(Methods({"/who": who, "/deny": deny}, {"/wait": wait}).of_one_reply, {})

    async def _answer(self, _: bytes) -> bytes:
        return b"anybody"

    async def call(self, path: str, headers: Mapping[bytes, bytes] = {}) -> tuple[Code, bytes]:
        """Call a method, and return how that ended and what was answered."""
        sent: list[Event] = []

        async def receive() -> Event:
            return {"type": "http.request", "body": frame(b""), "more_body": False}

        async def send(event: Event) -> None:
            sent.append(event)

        scope = {
            "type": "http",
            "path": path,
            "headers": [(b"content-type", b"application/grpc"), *headers.items()],
            "client": ("192.0.2.1", 7),
        }
        await self.app(scope, receive, send)
        found = {name: value for event in sent for name, value in event.get("headers", ())}
        body = b"".join(event.get("body", b"") for event in sent)
        return Code(int(found[b"grpc-status"])), body[5:]


async def _no_fallback(*_: object) -> None:
    raise AssertionError


@pytest.fixture
def world() -> World:
    """Return one with two identities, of which the second one's token holds for a minute."""
    return World(
        policy(identity("a", ("x", "produce"), tokens=[KEPT]), identity("b", tokens=[OTHER_KEPT]))
    )


async def test_each_is_served_what_is_its_own(world: World) -> None:
    """It is made once, however often one calls."""
    for _ in range(2):
        assert await world.call("/who", bearer(TEXT)) == (Code.OK, b"a")
        assert await world.call("/who", bearer(OTHER_TEXT)) == (Code.OK, b"b")

    assert world.offers == ["a", "b"]
    assert {name: tally.calls for name, tally in world.counts.by_identity.items()} == {
        "a": 2,
        "b": 2,
    }


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": TEXT.encode()},
        {b"authorization": b"Basic " + TEXT.encode()},
        bearer(TEXT[:-1]),
        bearer(TEXT[:-1] + ("A" if TEXT[-1] != "A" else "B")),
        bearer(TEXT.replace(KEPT.id, OTHER_KEPT.id)),
        bearer(""),
        {b"x-q-jwt": b"eyJpc3MiOiJpIn0"},
        {b"x-forwarded-client-cert": b'Subject="CN=a"'},
    ],
)
async def test_nobody_else_is_served(world: World, headers: dict[bytes, bytes]) -> None:
    """All are told the same; it is counted and noted, and nothing is remembered."""
    assert await world.call("/who", headers) == (Code.UNAUTHENTICATED, b"")
    assert world.offers == []
    assert [who for who, _ in world.noted] == [""]
    assert dict(world.counts.refused) == {"UNAUTHENTICATED": 1}


async def test_what_is_open_is_served_to_anybody(world: World) -> None:
    """Whatever they send."""
    assert await world.call("/open") == (Code.OK, b"anybody")
    assert await world.call("/open", bearer("nonsense")) == (Code.OK, b"anybody")


async def test_a_refusal_of_one_who_is_known_is_noted(world: World) -> None:
    """With who it was, and by which token."""
    assert (await world.call("/deny", bearer(TEXT)))[0] is Code.PERMISSION_DENIED
    assert world.noted == [("a", f"token {KEPT.id}")]
    assert dict(world.counts.refused) == {"PERMISSION_DENIED": 1}


async def test_a_token_ends_when_its_time_is_over(world: World) -> None:
    """Though it was known a moment before."""
    await world.call("/who", bearer(OTHER_TEXT))
    world.now_s += 60

    assert (await world.call("/who", bearer(OTHER_TEXT)))[0] is Code.UNAUTHENTICATED
    assert (await world.call("/who", bearer(TEXT)))[0] is Code.OK


async def test_who_waits_is_told_when_its_time_is_over(world: World) -> None:
    """And others wait on."""
    waiting = asyncio.ensure_future(world.call("/wait", bearer(OTHER_TEXT)))
    other = asyncio.ensure_future(world.call("/wait", bearer(TEXT)))
    await asyncio.sleep(0)
    world.now_s += 60

    world.guard.end_expired()

    assert await waiting == (Code.UNAUTHENTICATED, b"")
    assert not other.done()
    other.cancel()


@pytest.mark.parametrize(
    ("after", "code", "error"),
    [
        (policy(), Code.UNAUTHENTICATED, Unauthenticated),
        (policy(identity("a", ("x", "produce"))), Code.UNAUTHENTICATED, Unauthenticated),
        (
            policy(identity("c", ("x", "produce"), tokens=[KEPT])),
            Code.UNAUTHENTICATED,
            Unauthenticated,
        ),
        (policy(identity("a", ("x", "browse"), tokens=[KEPT])), Code.UNAVAILABLE, AccessChanged),
    ],
)
async def test_who_waits_is_told_that_it_is_another_or_nobody(
    world: World, after: Policy, code: Code, error: type[QError]
) -> None:
    """By what the policy says from now on."""
    waiting = asyncio.ensure_future(world.call("/wait", bearer(TEXT)))
    await asyncio.sleep(0)
    caller = world.guard.find(bearer(TEXT))

    world.guard.replace(after)

    assert (await waiting)[0] is code
    with pytest.raises(error):
        caller.check()


async def test_who_stays_the_same_waits_on(world: World) -> None:
    """Also if others come and go."""
    waiting = asyncio.ensure_future(world.call("/wait", bearer(TEXT)))
    await asyncio.sleep(0)

    world.guard.replace(
        policy(identity("new"), identity("a", ("x", "produce"), tokens=[KEPT, OTHER_KEPT]))
    )

    await asyncio.sleep(0)
    assert not waiting.done()
    assert await world.call("/who", bearer(OTHER_TEXT)) == (Code.OK, b"a")
    waiting.cancel()


async def test_a_bound_is_that_of_all_tokens_of_one(world: World) -> None:
    """Whoever is over it is told which, and how long to wait."""
    bounds = Bounds(calls_max=1)
    world.guard.replace(policy(identity("a", tokens=[KEPT, OTHER_KEPT], bounds=bounds)))
    waiting = asyncio.ensure_future(world.call("/wait", bearer(TEXT)))
    await asyncio.sleep(0)

    assert (await world.call("/who", bearer(OTHER_TEXT)))[0] is Code.RESOURCE_EXHAUSTED
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await world.call("/who", bearer(OTHER_TEXT)))[0] is Code.OK
    assert world.counts.refused == {CallsExceeded.reason: 1}
    assert world.noted == []


async def test_as_many_callers_are_remembered_as_it_makes_sense(world: World) -> None:
    """Whoever writes a token in many ways fills nothing."""
    for spaces in range(1, 5_000):
        world.guard.find({b"authorization": b"Bearer" + b" " * spaces + TEXT.encode()})

    assert sum(map(len, world.guard._known.values())) <= 4_096  # noqa: SLF001 - It is not shown.
