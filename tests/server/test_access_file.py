"""Tokens that are made and revoked by calls, while q runs."""

import asyncio
import fcntl
import json
import os
import resource
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qmq.access.policy import Policy
from qmq.access.proving import JWT
from qmq.access.quotas import Quotas
from qmq.errors import (
    AccessDenied,
    AccessFixed,
    IdentityNotFound,
    InvalidArgument,
    LastAdmin,
    QError,
    Unauthenticated,
)
from qmq.observe.audit import Audit
from qmq.server import token_file
from qmq.server.access import Access
from qmq.server.access_file import read_policy
from qmq.server.guarded import guard_of
from qmq.transport.api import api_methods
from qmq.transport.guarding import CALL, Guard, Offer
from qmq.transport.methods import Methods
from qmq.wire import q_pb2 as pb
from tests.transport.service import Service

WRITTEN = """\
# Ours.
[[identity]]
name = "root"  # of all evil
rights = [{ queues = "*", may = ["admin"] }]

[[identity]]
name = "worker"
rights = [
  { queues = "x.*", may = ["produce", "consume"] },
  { selector = "b=2, a", may = ["browse"] },
]
certificates = ["CN=worker"]
calls_max = 7
"""


class Running:
    """A q that asks who calls, as far as that is its access file and its service."""

    def __init__(self, path: Path, *, in_cluster: bool = False) -> None:
        self.path = path
        self.root = token_file.make(path, "root", expires=None, note="first", grants=[]).text
        self.noted: list[dict[str, Any]] = []
        audit = Audit(lambda fields: self.noted.append(dict(fields)))
        self.access = Access(path, audit, in_cluster=in_cluster)
        self.broker = Service().broker
        self.guard: Guard = guard_of(self.access, self.broker.catalog, self._made, {})

    def _made(self, rights: Any) -> Methods:  # noqa: ANN401 - As guard_of has it.
        return api_methods(self.broker, rights, self.access)

    async def call(self, text: str, name: str, **fields: Any) -> Any:  # noqa: ANN401 - Any message.
        """Call a method with a token."""
        headers = {b"authorization": f"Bearer {text}".encode()}
        caller = self.guard.find(headers)
        CALL.set(({"headers": [], "client": ("192.0.2.1", 7)}, caller))
        method, _ = caller.unary[f"/proto.Q/{name}"]
        data = getattr(pb, f"{name}Request")(**fields).SerializeToString()
        return getattr(pb, f"{name}Response").FromString(await method(data))

    async def make(self, **fields: Any) -> Any:  # noqa: ANN401 - As above.
        """Make a token for the worker, as root."""
        return await self.call(self.root, "MakeToken", **{"identity": "worker", **fields})


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """One whose file people have written, and in which root has a token."""
    path = tmp_path / "access.toml"
    path.write_text(WRITTEN)
    running = Running(path)
    yield running
    await running.broker.close()


async def test_a_token_is_taken_from_the_answer_on(running: Running) -> None:
    """And it is in the file, whose other words stay."""
    made = await running.make(note="cron", ttl={"seconds": 3600})

    who = await running.call(made.text, "GetIdentity")
    assert who.identity.name == "worker"
    assert who.proof == f"token {made.token.id}"
    kept = read_policy(running.path).identities["worker"].tokens[0]
    assert (kept.id, kept.note) == (made.token.id, "cron")
    assert kept.expires is not None
    assert timedelta(minutes=59) < kept.expires - datetime.now(UTC) <= timedelta(hours=1)
    assert who.expires_at.seconds == made.token.expires_at.seconds == kept.expires.timestamp()
    text = running.path.read_text()
    assert "# Ours." in text
    assert "# of all evil" in text
    assert made.text.split("_", 2)[2] not in text


async def test_a_revoked_token_is_refused_from_the_answer_on(running: Running) -> None:
    """What waits by it is told so, and to revoke it once more is as good."""
    made = await running.make()
    caller = running.guard.find({b"authorization": f"Bearer {made.text}".encode()})
    of_it = {"identity": "worker", "token_id": made.token.id}

    await running.call(running.root, "RevokeToken", **of_it)

    with pytest.raises(Unauthenticated):
        await running.call(made.text, "GetIdentity")
    with pytest.raises(Unauthenticated):
        caller.check()
    await running.call(running.root, "RevokeToken", **of_it)
    with pytest.raises(InvalidArgument, match="is a token of root"):
        await running.call(
            running.root, "RevokeToken", identity="worker", token_id=_id(running.root)
        )


def _id(text: str) -> str:
    return text.split("_")[1]


async def test_what_one_may_is_told(running: Running) -> None:
    """To a queue, to one that there is not, and to every queue."""
    worker = (await running.make()).text

    who = await running.call(worker, "GetIdentity")
    assert who.asked
    assert not who.rights
    assert [(each.queues, each.selector) for each in who.identity.rights] == [
        ("x.*", ""),
        ("", "a,b=2"),
    ]
    assert who.identity.limits.calls_max == 7
    assert not who.identity.certificates
    on_queue = await running.call(worker, "GetIdentity", queue_id="x.1")
    assert list(on_queue.rights) == [pb.Right.PRODUCE, pb.Right.CONSUME]
    assert not (await running.call(worker, "GetIdentity", queue_id="y")).rights
    assert len((await running.call(running.root, "GetIdentity")).rights) == 5


async def test_a_jwt_that_never_ends_has_an_end_that_can_be_told(tmp_path: Path) -> None:
    """Issuers write milliseconds where they should write seconds."""
    path = tmp_path / "access.toml"
    rule = 'jwt = [{ issuer = "https://idp.example", subject = "w" }]\n'
    issuer = '[[issuer]]\nissuer = "https://idp.example"\naudiences = ["q"]\njwks_file = "k"\n'
    path.write_text(WRITTEN + rule + issuer)
    running = Running(path)
    claims = json.dumps(
        {"iss": "https://idp.example", "sub": "w", "exp": 1_796_064_526_000}
    ).encode()
    caller = running.guard.find({JWT: urlsafe_b64encode(claims)})
    CALL.set(({"headers": [], "client": ("192.0.2.1", 7)}, caller))

    method, _ = caller.unary["/proto.Q/GetIdentity"]
    who = pb.GetIdentityResponse.FromString(await method(b""))
    await running.broker.close()

    assert who.identity.name == "worker"
    assert who.expires_at.ToJsonString() == "9999-12-31T23:59:59Z"


async def test_the_list_has_no_secrets(running: Running) -> None:
    """It tells when a token was used, and of those that were not, nothing."""
    made = await running.make(note="cron")

    reply = await running.call(running.root, "ListIdentities")

    root, worker = reply.identities
    assert (root.name, worker.name) == ("root", "worker")
    assert (worker.tokens[0].id, worker.tokens[0].note) == (made.token.id, "cron")
    assert list(worker.certificates) == ["CN=worker"]
    assert root.tokens[0].HasField("used")
    assert not worker.tokens[0].HasField("used")
    policy = running.access.policy
    hashes = [token.sha256 for each in policy.identities.values() for token in each.tokens]
    assert not any(each.encode() in reply.SerializeToString() for each in hashes)


class Counting(Guard):
    """A guard that knows nobody, and how often it was asked who has called."""

    asked = 0

    def note_use(self) -> None:
        """Count it."""
        self.asked += 1


async def test_who_has_called_is_asked_once_for_all_tokens(running: Running) -> None:
    """There may be thousands of both."""
    access = running.access
    guard = Counting(
        access.policy,
        takes_jwts=False,
        offer=lambda _: Offer({}, {}),
        quotas=Quotas((), running.broker.catalog, lambda: 0.0),
        counts=access.counts,
        notes=access.audit,
        now_s=lambda: 0.0,
        steady_s=lambda: 0.0,
    )
    access.join(guard)
    for _ in range(3):
        await running.make()

    assert len((await running.call(running.root, "ListIdentities")).identities) == 2
    assert guard.asked == 1


async def test_the_audit_log_says_whose_token_it_was(running: Running) -> None:
    """With its id, and without its text."""
    made = await running.make()
    await running.call(running.root, "RevokeToken", identity="worker", token_id=made.token.id)

    wanted = {"identity": "root", "whose": "worker", "token": made.token.id, "outcome": "OK"}
    assert [{name: each[name] for name in wanted} for each in running.noted] == [wanted] * 2
    assert [each["method"] for each in running.noted] == ["MakeToken", "RevokeToken"]
    assert made.text not in str(running.noted)


async def test_who_may_not_admin_everything_sees_nobody(running: Running) -> None:
    """Nor makes a token, nor revokes its own."""
    worker = await running.make()

    for name, fields in (
        ("ListIdentities", {}),
        ("MakeToken", {"identity": "worker"}),
        ("RevokeToken", {"identity": "worker", "token_id": worker.token.id}),
    ):
        with pytest.raises(AccessDenied):
            await running.call(worker.text, name, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"ttl": {"seconds": 59}},
        {"expires_at": {"seconds": 1}},
        {"ttl": {"seconds": 60}, "expires_at": {"seconds": 9_999_999_999}},
        {"expires_at": {"seconds": 9_999_999_999}},
        {"note": "two\nlines"},
        {"note": "x" * 201},
    ],
)
async def test_what_breaks_a_rule_makes_nothing(running: Running, fields: dict[str, Any]) -> None:
    """The file stays as it was."""
    before = running.path.read_text()

    with pytest.raises(InvalidArgument):
        await running.make(**fields)

    assert running.path.read_text() == before


async def test_nobody_gets_a_token_whom_the_file_does_not_name(running: Running) -> None:
    """What somebody new may do is for the file to say."""
    with pytest.raises(IdentityNotFound):
        await running.make(identity="nobody")


async def test_the_last_admin_is_not_locked_out(running: Running) -> None:
    """With a second token, the first can go, also by itself."""
    own = {"identity": "root", "token_id": _id(running.root)}
    with pytest.raises(LastAdmin):
        await running.call(running.root, "RevokeToken", **own)

    second = await running.make(identity="root")
    await running.call(running.root, "RevokeToken", **own)

    assert (await running.call(second.text, "GetIdentity")).identity.name == "root"


async def _refused(running: Running) -> AccessFixed:
    before = running.path.read_text()
    with pytest.raises(AccessFixed) as refusal:
        await running.make()
    assert running.path.read_text() == before
    return refusal.value


async def test_a_file_that_cannot_be_written_stays(running: Running) -> None:
    """As on a disk without room; nothing is left beside it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        refusal = await _refused(running)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert "cannot write" in refusal.message
    assert [*running.path.parent.iterdir()] == [running.path]


async def test_a_faulty_file_stays(running: Running) -> None:
    """Whoever is at work on it is not disturbed."""
    running.path.write_text(running.path.read_text() + "\n[[identity]]\nnam = 1\n")

    assert "nam" in (await _refused(running)).message


async def test_no_file_is_so_faulty_that_the_next_one_is_not_read(running: Running) -> None:
    """Whoever is revoked by it would go on for ever."""
    whole = running.path.read_text()
    watching = asyncio.ensure_future(running.access.watch())

    running.path.write_text("identity = " + "[" * 10_000)
    running.access.look_soon()
    async with asyncio.timeout(10):
        while not running.access.figures().is_faulty:  # noqa: ASYNC110 - No event says so.
            await asyncio.sleep(0)
    running.path.write_text(whole.replace("worker", "other"))
    running.access.look_soon()
    async with asyncio.timeout(10):
        while "other" not in running.access.policy.identities:  # noqa: ASYNC110 - As above.
            await asyncio.sleep(0)

    assert not running.access.figures().is_faulty
    assert not watching.done()
    watching.cancel()


async def test_a_lock_that_somebody_keeps_is_no_reason_to_wait_for_ever(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told after a while."""
    monkeypatch.setattr(token_file, "_PATIENCE_S", 0.0)
    directory = os.open(running.path.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)

    assert "lock" in (await _refused(running)).message

    os.close(directory)
    await running.make()


async def test_what_expires_ends_while_the_file_is_being_changed(running: Running) -> None:
    """Which takes as long as somebody else does who changes it, or as the file is long."""
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    made = token_file.make(running.path, "worker", expires=soon, note="", grants=())
    watching = asyncio.ensure_future(running.access.watch())
    running.access.look_soon()
    async with asyncio.timeout(10):
        while not running.access.policy.identities["worker"].tokens:  # noqa: ASYNC110 - As above.
            await asyncio.sleep(0)
    caller = running.guard.find({b"authorization": f"Bearer {made.text}".encode()})
    directory = os.open(running.path.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    making = asyncio.ensure_future(running.make())

    async with asyncio.timeout(3):
        while caller.error is None:
            running.access.look_soon()
            await asyncio.sleep(0)

    assert not making.done()
    os.close(directory)
    await making
    watching.cancel()


async def test_in_a_cluster_no_q_changes_its_file_alone(tmp_path: Path) -> None:
    """Nothing that is revoked on one q would still be taken by another."""
    path = tmp_path / "access.toml"
    path.write_text(WRITTEN.replace('certificates = ["CN=worker"]\n', ""))
    running = Running(path, in_cluster=True)

    assert "q of a cluster" in (await _refused(running)).message
    with pytest.raises(AccessFixed):
        await running.call(running.root, "RevokeToken", identity="root", token_id=_id(running.root))
    assert (await running.call(running.root, "ListIdentities")).identities
    await running.broker.close()


async def test_a_change_goes_on_when_its_caller_leaves(running: Running) -> None:
    """A token that is in the file is taken, whoever waits for the answer."""
    making = asyncio.ensure_future(running.make(note="left"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making

    # It has its turn after that one.
    await running.make(note="stayed")

    assert _notes(running.access.policy) == ["left", "stayed"]


def _notes(policy: Policy) -> list[str]:
    return [token.note for token in policy.identities["worker"].tokens]


async def test_changes_at_one_time_are_all_there(running: Running) -> None:
    """One after the other, here and in the file."""
    notes = [f"n{at}" for at in range(5)]

    await asyncio.gather(*(running.make(note=each) for each in notes))

    assert sorted(_notes(running.access.policy)) == notes
    assert running.access.policy == read_policy(running.path)


async def test_without_a_file_nobody_is_asked() -> None:
    """Everybody may do everything, but for what needs a file."""
    service = Service()

    who = await service.call("GetIdentity")
    assert not who.asked
    assert not who.HasField("identity")
    assert len(who.rights) == 5
    for name in ("ListIdentities", "MakeToken", "RevokeToken"):
        with pytest.raises(QError) as refusal:
            await service.call(name)
        assert isinstance(refusal.value, AccessFixed)
        assert "--access" in refusal.value.message
    await service.broker.close()
