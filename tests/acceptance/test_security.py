"""What q refuses, and how, to those who try what they may not: one table, one q."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import grpc
import pytest

from qmq.access.tokens import Token, make_token
from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import frame
from tests.acceptance.rest import JSON, RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, connected
from tests.acceptance.test_shutdown import address_of_this_machine
from tests.access.policies import some_bytes
from tests.transport.test_envoy_identity import ISSUER, Signer

UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000000"

#: Who there is, and what that one may do, as the file has it.
RIGHTS: Final = {
    "root": '{ queues = "*", may = ["admin"] }',
    "worker": '{ queues = "billing.*", may = ["produce", "consume"] }',
    "reader": '{ queues = "billing.*", may = ["browse"] }',
    "team": '{ selector = "team=billing", may = ["manage", "consume"] }',
    "manager": '{ queues = "*", may = ["manage"] }, { selector = "team=x", may = ["consume"] }',
    "idle": "",
    "expired": '{ queues = "*", may = ["admin"] }',
    "revoked": '{ queues = "*", may = ["admin"] }',
    "federated": '{ queues = "billing.*", may = ["browse"] }',
    "slow": '{ queues = "billing.*", may = ["produce", "consume"] }',
}


_Unary: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"
_Stream: TypeAlias = "grpc.StreamStreamMultiCallable[bytes, bytes]"


class Fortress:
    """A q that asks who calls, and everybody's tokens."""

    def __init__(self, directory: Path, q: RunningQ) -> None:
        self.q = q
        self.path = directory / "access.toml"
        self.audit = directory / "audit.jsonl"
        self.signer = Signer()
        (directory / "keys.json").write_text(self.signer.jwks)
        now = datetime.now(UTC)
        made = {
            name: make_token(
                some_bytes,
                created=now,
                expires=now - timedelta(seconds=1) if name == "expired" else None,
            )
            for name in RIGHTS
        }
        self.tokens = {name: text for name, (text, _) in made.items()}
        self.kept = {name: kept for name, (_, kept) in made.items()}
        #: Ids of queues, by name.
        self.ids: dict[str, str] = {}
        self.write()

    def write(self, *, without: str = "", **more: str) -> None:
        """Write the access file: without somebody's token, and with more that somebody has."""
        parts = []
        for name, rights in RIGHTS.items():
            tokens = "" if name == without else _toml(self.kept[name])
            own = {
                "slow": "calls_per_second = 2\n",
                "federated": f'jwt = [{{ issuer = "{ISSUER}", claims = {{ group = "g" }} }}]\n',
            }.get(name, "")
            parts.append(
                f'[[identity]]\nname = "{name}"\ntokens = [{tokens}]\n'
                f"rights = [{more.get(name, rights)}]\n{own}"
            )
        parts.append('[[quota]]\nqueues = "billing.q*"\nqueues_max = 1\nmessages_max = 2\n')
        parts.append(
            f'[[issuer]]\nissuer = "{ISSUER}"\naudiences = ["q"]\njwks_file = "keys.json"\n'
        )
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(parts))
        new.chmod(0o600)
        new.rename(self.path)

    def headers(self, who: str) -> dict[str, str]:
        """Return the header by which one shows who that is; none for nobody."""
        return {"authorization": f"Bearer {self.tokens[who]}"} if who else {}

    def call(
        self, who: str, method: str, path: str, body: object = None, **headers: str
    ) -> RestReply:
        """Send a REST request as somebody."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        every = {**(JSON if body is not None else {}), **self.headers(who), **sent}
        return rest(self.q.address, method, path, body, every)


def _toml(kept: Token) -> str:
    expires = f", expires = {kept.expires:%Y-%m-%dT%H:%M:%SZ}" if kept.expires else ""
    return f'{{ id = "{kept.id}", sha256 = "{kept.sha256}"{expires} }}'


@pytest.fixture(scope="module")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    """One q for all cases: none of them may change anything in it."""
    directory = tmp_path_factory.mktemp("fortress")
    q = RunningQ(directory)
    fortress = Fortress(directory, q)
    port = q.metrics_address.rpartition(":")[2]
    q.start(
        f"--access={fortress.path}",
        f"--audit-log={fortress.audit}",
        f"--metrics=0.0.0.0:{port}",
    )
    for name, team in (("billing.a", "billing"), ("secret", "x"), ("billing.qq", "q")):
        body = {"store": "MEMORY", "name": name, "tags": [{"key": "team", "value": team}]}
        reply = fortress.call("root", "POST", "/v1/queues", body)
        assert reply.status == 200, reply
        fortress.ids[name] = reply.json["queue"]["meta"]["id"]
    for name in ("billing.a", "secret", "billing.qq"):
        added = fortress.call("root", "POST", f"/v1/queues/{name}", {"payload": "c2VjcmV0"})
        assert added.status == 200
    fortress.write(without="revoked")
    _until(lambda: fortress.call("revoked", "GET", "/v1/queues").status == 401)
    yield fortress
    if q.is_running:
        q.stop()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Case(NamedTuple):
    """One attempt by REST, and its end."""

    name: str
    status: int
    who: str
    method: str
    path: str
    body: object = None
    headers: dict[str, str] = {}  # noqa: RUF012 - Never changed.


ADD: Final = {"payload": "eA=="}
SECRET: Final = "/v1/queues/secret"
OURS: Final = "/v1/queues/billing.a"
TAG: Final = {"key": "team", "value": "x"}

CASES: Final = [
    # Who is nobody.
    Case("no token", 401, "", "GET", "/v1/queues"),
    Case("no token, a queue that is there", 401, "", "GET", SECRET),
    Case("no token, a queue that is not there", 401, "", "GET", "/v1/queues/none"),
    Case("no token, add", 401, "", "POST", OURS, ADD),
    Case("no token, new queue", 401, "", "POST", "/v1/queues", {"name": "mine"}),
    Case("no token, schedules of all", 401, "", "GET", "/v1/schedules"),
    Case("no token, counts of all", 401, "", "GET", "/v1/stats"),
    Case("no token, complete", 401, "", "POST", "/v1/complete", {}),
    Case("expired", 401, "expired", "GET", "/v1/queues"),
    Case("revoked", 401, "revoked", "GET", "/v1/queues"),
    Case("scheme Basic", 401, "", "GET", "/v1/queues", None, {"authorization": "Basic cm9vdDp4"}),
    Case("bare scheme", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer"}),
    Case("nonsense", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer nonsense"}),
    Case("no scheme", 401, "", "GET", "/v1/queues", None, {"authorization": "{root}"}),
    Case("token cut off", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {root:cut}"}),
    Case("token longer", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {root}A"}),
    Case("two tokens in one", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {root} {root}"}),
    Case("two schemes in one", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer x, Bearer {root}"}),
    Case("an id with another's secret", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {mixed}"}),
    Case("the hash in place of the secret", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer {hash}"}),
    Case("a JWT that nobody verified", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJpIn0."}),
    Case("token in another header", 401, "", "GET", "/v1/queues", None, {"x-authorization": "Bearer {root}"}),
    Case("token for a proxy", 401, "", "GET", "/v1/queues", None, {"proxy-authorization": "Bearer {root}"}),
    Case("token in a cookie", 401, "", "GET", "/v1/queues", None, {"cookie": "authorization=Bearer {root}"}),
    Case("token in the query", 400, "", "GET", "/v1/queues?access_token=x"),
    # Headers that only Envoy or another q may set.
    Case("forged JWT payload", 401, "", "GET", "/v1/queues", None, {"x-q-jwt": "eyJpc3MiOiJpIiwic3ViIjoicm9vdCJ9"}),
    Case("forged certificate", 401, "", "GET", "/v1/queues", None, {"x-forwarded-client-cert": 'Subject="CN=root"'}),
    Case("forged as of another q", 401, "", "GET", "/v1/queues", None, {"q-forwarded": "127.0.0.1:1"}),
    Case("forged address", 401, "", "GET", "/v1/queues", None, {"x-forwarded-for": "127.0.0.1"}),
    Case("forged path", 401, "", "GET", "/v1/queues", None, {"x-envoy-original-path": "/healthz"}),
    Case("forged method", 401, "", "GET", "/v1/queues", None, {"x-http-method-override": "OPTIONS"}),
    Case("forged certificate of one who is known", 403, "idle", "GET", SECRET, None, {"x-forwarded-client-cert": 'Subject="CN=root"'}),
    # Others' queues, by name and by id; those that are not there look the same.
    Case("another's queue by name", 403, "worker", "GET", f"{SECRET}/pop"),
    Case("another's queue by id", 403, "worker", "GET", "/v1/queues/{id:secret}/pop"),
    Case("by id in capitals", 403, "worker", "GET", "/v1/queues/{ID:secret}/pop"),
    Case("by urn", 403, "worker", "GET", "/v1/queues/urn:uuid:{id:secret}/pop"),
    Case("a name that is not there", 403, "worker", "GET", "/v1/queues/none/pop"),
    Case("an id that is not there", 403, "worker", "GET", f"/v1/queues/{UNKNOWN_ID}/pop"),
    Case("add to another's", 403, "worker", "POST", SECRET, ADD),
    Case("batch to another's", 403, "worker", "POST", f"{SECRET}/messages:batch", {"messages": [ADD]}),
    Case("peek without browse", 403, "worker", "GET", f"{OURS}/peek"),
    Case("browse without it", 403, "worker", "GET", f"{OURS}/messages"),
    Case("add with browse only", 403, "reader", "POST", OURS, ADD),
    Case("pop with browse only", 403, "reader", "GET", f"{OURS}/pop"),
    Case("lease with browse only", 403, "reader", "POST", f"{OURS}/messages:lease", {}),
    Case("purge without manage", 403, "worker", "POST", f"{OURS}/messages:purge", {}),
    Case("delete without manage", 403, "worker", "DELETE", OURS),
    Case("delete what is not there", 403, "worker", "DELETE", f"/v1/queues/{UNKNOWN_ID}"),
    Case("pause without manage", 403, "worker", "POST", f"{OURS}/pause", {}),
    Case("update without manage", 403, "worker", "PATCH", OURS, {"limit": "1"}),
    Case("schedule without produce", 403, "team", "PUT", f"{OURS}/schedules/s", {"cron": "0 0 * * *"}),
    Case("complete that adds to another's", 403, "worker", "POST", "/v1/complete", {"adds": [{"queue_id": "secret", "messages": [ADD]}]}),
    Case("complete that acks another's", 403, "worker", "POST", "/v1/complete", {"acks": [{"queue_id": "secret", "lease_ids": ["x"]}]}),
    Case("redrive to another's", 403, "team", "POST", f"{OURS}/redrives", {"target_queue_id": "secret"}),
    Case("redrive that is not there", 403, "team", "GET", f"/v1/redrives/{UNKNOWN_ID}"),
    Case("dead letters to another's", 403, "team", "PATCH", OURS, {"settings": {"dead_letter_queue_id": "secret"}}),
    # Names and tags.
    Case("new queue outside of the name", 403, "team", "POST", "/v1/queues", {"name": "mine"}),
    Case("new queue of a name like it", 403, "worker", "POST", "/v1/queues", {"name": "billing.x"}),
    Case("new queue with others' tags", 403, "team", "POST", "/v1/queues", {"name": "n", "tags": [TAG]}),
    Case("tag that gives oneself more", 403, "manager", "POST", f"{OURS}/tag", TAG),
    Case("tag of another's queue", 403, "team", "POST", f"{SECRET}/tag", {"key": "team", "value": "billing"}),
    Case("no tag any more", 403, "worker", "DELETE", f"{OURS}/tag", {"key": "team", "value": "billing"}),
    Case("a quota of queues", 429, "root", "POST", "/v1/queues", {"name": "billing.q2", "store": "MEMORY"}),
    Case("a quota of messages", 429, "root", "POST", "/v1/queues/billing.qq/messages:batch", {"messages": [ADD, ADD]}),
    # Tricks with paths: they are found nowhere, or lead to the same question.
    Case("dots", 404, "worker", "GET", "/v1/queues/billing.a/../secret/pop"),
    Case("encoded dots", 404, "worker", "GET", "/v1/queues/billing.a/%2e%2e/secret/pop"),
    Case("two slashes", 404, "worker", "GET", "//v1/queues/secret/pop"),
    Case("two slashes within", 404, "worker", "GET", "/v1/queues//secret/pop"),
    Case("an encoded slash", 403, "worker", "GET", "/v1/queues/billing.a%2f..%2fsecret/pop"),
    Case("encoded letters", 403, "worker", "GET", "/v1/queues/%73ecret/pop"),
    Case("twice encoded", 403, "worker", "GET", "/v1/queues/%2573ecret/pop"),
    Case("a slash at the end", 404, "worker", "GET", "/v1/queues/secret/pop/"),
    Case("capitals", 404, "worker", "GET", "/V1/queues/secret/pop"),
    Case("a name in capitals", 403, "worker", "GET", "/v1/queues/SECRET/pop"),
    Case("a zero byte", 403, "worker", "GET", "/v1/queues/billing.a%00secret/pop"),
    Case("not ASCII", 403, "worker", "GET", "/v1/queues/billing.%c3%a4/pop"),
    Case("a queue in the query as well", 400, "worker", "GET", f"{OURS}/pop?queue_id=secret"),
    Case("a queue in the body as well", 400, "worker", "POST", f"{OURS}/messages:lease", {"queue_id": "secret"}),
    Case("wrong verb", 405, "worker", "PUT", f"{OURS}/pop"),
    Case("wrong verb of nobody", 405, "", "PATCH", "/v1/queues"),
    Case("the metrics on the API's port", 404, "", "GET", "/metrics"),
    Case("quit on the API's port", 404, "root", "POST", "/quitquitquit"),
    # Too much of everything.
    Case("a long name", 403, "worker", "GET", f"/v1/queues/{'x' * 8_000}/pop"),
    Case("a long token", 401, "", "GET", "/v1/queues", None, {"authorization": "Bearer q_" + "x" * 8_000}),
    Case("a token larger than headers may be", 431, "", "GET", "/v1/queues", None, {"authorization": "Bearer q_" + "x" * 62_000}),
    Case("many tags", 403, "team", "POST", "/v1/queues", {"name": "n", "tags": [{"key": str(at), "value": ""} for at in range(60)]}),
    Case("a body that is none", 400, "", "POST", OURS, b"{"),
]  # fmt: skip


def _filled(fortress: Fortress, text: str) -> str:
    """Put in tokens and ids where a case names them."""
    root, worker = fortress.tokens["root"], fortress.tokens["worker"]
    kept = fortress.kept["root"]
    return (
        text.replace("{root}", root)
        .replace("{root:cut}", root[:-1])
        .replace("{mixed}", f"q_{kept.id}_{worker.split('_', 2)[2]}")
        .replace("{hash}", f"q_{kept.id}_{kept.sha256[:43]}")
        .replace("{id:secret}", fortress.ids["secret"])
        .replace("{ID:secret}", fortress.ids["secret"].upper())
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_one_may_not_is_refused(fortress: Fortress, case: Case) -> None:
    """With its status; nothing that is secret is in the answer."""
    headers = {name: _filled(fortress, value) for name, value in case.headers.items()}
    sent = {**(JSON if case.body is not None else {}), **fortress.headers(case.who), **headers}

    reply = rest(fortress.q.address, case.method, _filled(fortress, case.path), case.body, sent)

    assert reply.status == case.status, reply.body
    assert (reply.headers.get("www-authenticate") == "Bearer") is (case.status == 401)
    assert b"c2VjcmV0" not in reply.body
    assert not re.search(rb"q_[0-9a-z]{10}_", reply.body)


def test_nothing_has_come_of_it(fortress: Fortress) -> None:
    """Whatever was tried: queues, messages and tags are those that there were."""
    queues = fortress.call("root", "GET", "/v1/queues").json["queues"]
    stats = fortress.call("root", "GET", "/v1/stats").json["queues"]

    assert [queue["name"] for queue in queues] == ["billing.a", "secret", "billing.qq"]
    assert [queue["meta"]["tags"][0]["value"] for queue in queues] == ["billing", "x", "q"]
    assert [each["ready"] for each in stats] == ["1"] * 3


def test_strangers_are_told_one_thing(fortress: Fortress) -> None:
    """Whether a token is wrong, expired or revoked; and whether a queue is there or not."""
    nobody = [
        fortress.call(who, "GET", "/v1/queues", authorization=authorization).body
        if authorization
        else fortress.call(who, "GET", "/v1/queues").body
        for who, authorization in (
            ("", ""),
            ("expired", ""),
            ("revoked", ""),
            ("", "Bearer x"),
            ("", f"Bearer {fortress.tokens['root'][:-2]}zz"),
        )
    ]
    there, missing = (
        fortress.call("worker", "GET", f"/v1/queues/{name}/pop").body.decode()
        for name in ("secret", "nosuch")
    )

    assert len(set(nobody)) == 1
    assert there.replace("secret", "nosuch") == missing


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"group": "g"}, 200),
        ({"group": ["f", "g"], "sub": "anybody"}, 200),
        ({"group": "h"}, 401),
        ({}, 401),
        ({"group": "g", "aud": "other"}, 401),
        ({"group": "g", "iss": "https://other.example"}, 401),
        ({"group": "g", "exp": 1}, 401),
        ({"group": "g", "exp": None}, 401),
    ],
)
def test_a_jwt_is_that_of_who_it_fits(
    fortress: Fortress, claims: dict[str, Any], status: int
) -> None:
    """If its issuer has signed it, for q, and its time is not over."""
    forged = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwiZ3JvdXAiOiJnIiwiZXhwIjo5OTk5OTk5OTk5fQ"

    for more in ({}, {"x-q-jwt": forged}):
        reply = fortress.call(
            "",
            "GET",
            "/v1/queues/billing.a/peek",
            authorization=f"Bearer {fortress.signer.token(**claims)}",
            **more,
        )
        assert reply.status == status, reply
    other = fortress.call(
        "",
        "GET",
        "/v1/queues/secret/peek",
        authorization=f"Bearer {Signer().token(**claims)}",
        **more,
    )
    assert other.status == 401


def test_lists_are_of_what_one_may_browse(fortress: Fortress) -> None:
    """Others are not there, and not counted."""
    for who, names in (("reader", ["billing.a", "billing.qq"]), ("worker", []), ("idle", [])):
        reply = fortress.call(who, "GET", "/v1/queues?page_size=2").json
        assert [queue["name"] for queue in reply.get("queues", [])] == names
        assert not reply.get("next_page_token")


def test_selectors_take_nothing_of_others(fortress: Fortress) -> None:
    """Neither by Lease nor by PopBatch."""
    for path in ("/v1/messages:lease", "/v1/messages:pop"):
        body = {"selector": "team in (x,q)", "messages_max": 10}
        assert not fortress.call("idle", "POST", path, body).json.get("messages")
        assert not fortress.call("team", "POST", path, body).json.get("messages")


@pytest.fixture(scope="module")
def client(fortress: Fortress) -> Iterator[StockClient]:
    """A stock gRPC client, which shows who it is call by call."""
    with connected(fortress.q.address) as client:
        yield client


def _code(call: Callable[[], Any]) -> grpc.StatusCode:
    try:
        call()
    except grpc.RpcError as error:
        code = error.code()
        assert isinstance(code, grpc.StatusCode)
        return code
    return grpc.StatusCode.OK


def _raw(
    client: StockClient, path: str, request: bytes, *metadata: tuple[str, str]
) -> grpc.StatusCode:
    """Call a path as it is, and return how that ended."""
    call: _Unary = client.channel.unary_unary(path)
    return _code(lambda: call(request, metadata=metadata, timeout=20))


GRPC_CASES: Final = [
    ("no token", "/proto.Q/ListQueues", "", (), grpc.StatusCode.UNAUTHENTICATED),
    ("expired", "/proto.Q/ListQueues", "expired", (), grpc.StatusCode.UNAUTHENTICATED),
    ("not mine", "/proto.Q/Pop", "worker", (), grpc.StatusCode.PERMISSION_DENIED),
    ("not mine, forwarded", "/proto.Q/Pop", "worker", (("q-forwarded", "127.0.0.1:1"),), grpc.StatusCode.PERMISSION_DENIED),
    ("forwarded", "/proto.Q/Pop", "", (("q-forwarded", "127.0.0.1:1"),), grpc.StatusCode.UNAUTHENTICATED),
    ("certificate", "/proto.Q/Pop", "", (("x-forwarded-client-cert", 'Subject="CN=root"'),), grpc.StatusCode.UNAUTHENTICATED),
    ("JWT", "/proto.Q/Pop", "", (("x-q-jwt", "eyJpc3MiOiJpIn0"),), grpc.StatusCode.UNAUTHENTICATED),
    ("JWT beside a token", "/proto.Q/Pop", "idle", (("x-q-jwt", "eyJpc3MiOiJpIn0"),), grpc.StatusCode.PERMISSION_DENIED),
    ("another case of the service", "/Proto.Q/Pop", "", (), grpc.StatusCode.UNIMPLEMENTED),
    ("another case of the method", "/proto.Q/pop", "root", (), grpc.StatusCode.UNIMPLEMENTED),
    ("two slashes", "//proto.Q/Pop", "", (), grpc.StatusCode.UNIMPLEMENTED),
    ("a slash at the end", "/proto.Q/Pop/", "", (), grpc.StatusCode.UNIMPLEMENTED),
    ("a query", "/proto.Q/Pop?x=1", "", (), grpc.StatusCode.UNAUTHENTICATED),
    ("an encoded path", "/proto.Q/P%6fp", "", (), grpc.StatusCode.UNAUTHENTICATED),
    ("an unknown method", "/proto.Q/Nothing", "root", (), grpc.StatusCode.UNIMPLEMENTED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "who", "metadata", "code"),
    [case[1:] for case in GRPC_CASES],
    ids=[c[0] for c in GRPC_CASES],
)
def test_grpc_is_refused_as_rest_is(
    fortress: Fortress,
    client: StockClient,
    path: str,
    who: str,
    metadata: tuple[tuple[str, str], ...],
    code: grpc.StatusCode,
) -> None:
    """What is not quite a method is none: no way around the question leads to one."""
    request = pb.PopRequest(queue_id="secret").SerializeToString()
    if "ListQueues" in path:
        request = b""

    found = _raw(client, path, request, *fortress.headers(who).items(), *metadata)

    assert found in {code, grpc.StatusCode.UNIMPLEMENTED}
    if code is not grpc.StatusCode.UNIMPLEMENTED and "%" not in path and "?" not in path:
        assert found is code


@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/grpc-web"])
@pytest.mark.parametrize(("who", "code"), [("", "16"), ("worker", "7"), ("expired", "16")])
def test_grpc_web_is_refused_as_well(
    fortress: Fortress, content_type: str, who: str, code: str
) -> None:
    """The status is that of gRPC."""
    body = frame(pb.PopRequest(queue_id="secret").SerializeToString())
    headers = {"content-type": content_type, "x-grpc-web": "1", **fortress.headers(who)}

    reply = rest(fortress.q.address, "POST", "/proto.Q/Pop", body, headers)

    assert reply.headers.get("grpc-status", code) == code
    assert b"c2VjcmV0" not in reply.body
    assert b"secret\x00" not in reply.body


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("", grpc.StatusCode.UNAUTHENTICATED),
        ("reader", grpc.StatusCode.PERMISSION_DENIED),
        ("root", grpc.StatusCode.OK),
    ],
)
def test_reflection_is_for_who_may_browse_all(
    fortress: Fortress, client: StockClient, who: str, code: grpc.StatusCode
) -> None:
    """It is refused as it begins."""
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    call: _Stream = client.channel.stream_stream(path)
    metadata = tuple(fortress.headers(who).items())

    assert _code(lambda: list(call(iter([b""]), metadata=metadata, timeout=20))) is code


def test_health_is_open(client: StockClient) -> None:
    """A load balancer has no token."""
    assert _raw(client, "/grpc.health.v1.Health/Check", b"") is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("who", "status"),
    [("", 401), ("expired", 401), ("reader", 403), ("worker", 403), ("root", 200)],
)
def test_metrics_are_for_who_may_browse_all(fortress: Fortress, who: str, status: int) -> None:
    """Also from this machine."""
    reply = rest(fortress.q.metrics_address, "GET", "/metrics", headers=fortress.headers(who))

    assert reply.status == status
    assert (b"queue_messages" in reply.body) is (status == 200)


@pytest.mark.parametrize(("who", "status"), [("", 401), ("expired", 401), ("manager", 403)])
def test_nobody_quits_from_afar_but_who_administers_all(
    fortress: Fortress, who: str, status: int
) -> None:
    """Forged headers do not make anybody near."""
    host = address_of_this_machine()
    if host is None:
        pytest.skip("this machine has no address but loopback")
    port = fortress.q.metrics_address.rpartition(":")[2]
    forged = {"x-forwarded-for": "127.0.0.1", "q-forwarded": "127.0.0.1:1"}

    reply = rest(
        f"{host}:{port}",
        "POST",
        "/quitquitquit",
        headers={**fortress.headers(who), **forged},
    )

    assert reply.status == status


def test_a_header_in_a_header_is_none(fortress: Fortress) -> None:
    """A line that is put into a value ends the request, not the question."""
    host, _, port = fortress.q.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"GET /v1/queues HTTP/1.1\r\nhost: q\r\nx-a: b\r\nauthorization: Bearer x\x00\r\n\r\n"
        )
        answer = connection.recv(65_536)

    assert answer.split(b" ", 2)[1] in {b"400", b"401"}


def test_the_last_of_two_tokens_counts(fortress: Fortress) -> None:
    """Nobody is taken for one while another one is asked for rights."""
    host, _, port = fortress.q.address.rpartition(":")
    worker, root = fortress.tokens["worker"], fortress.tokens["root"]
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            f"GET /v1/queues/secret HTTP/1.1\r\nhost: q\r\nauthorization: Bearer {root}\r\n"
            f"authorization: Bearer {worker}\r\n\r\n".encode()
        )
        answer = connection.recv(65_536)

    assert answer.split(b" ", 2)[1] in {b"400", b"401", b"403"}


def test_one_who_calls_too_often_is_told_when_to_come_again(fortress: Fortress) -> None:
    """The limit is named as others of q are; nobody else notices."""
    ack = {"lease_ids": ["x"]}
    replies = [fortress.call("slow", "POST", f"{OURS}/leases:ack", ack) for _ in range(6)]

    refused = [reply for reply in replies if reply.status == 429]
    assert refused
    details = {each["@type"].rpartition(".")[2]: each for each in refused[0].json["details"]}
    assert details["ErrorInfo"]["reason"] == "CALLS_EXCEEDED"
    assert details["ErrorInfo"]["metadata"]["limit"] == "calls_per_second"
    assert "retryDelay" in details["RetryInfo"] or "retry_delay" in details["RetryInfo"]
    assert fortress.call("root", "GET", "/v1/queues").status == 200


def test_what_is_open_ends_when_the_token_is_revoked(
    fortress: Fortress, client: StockClient
) -> None:
    """Streams and calls that wait, within seconds; a change of rights has them call again."""
    metadata = tuple(fortress.headers("worker").items())
    root = tuple(fortress.headers("root").items())
    queue = pb.NewQueueRequest(name="empty", store="MEMORY")
    made: _Unary = client.channel.unary_unary("/proto.Q/NewQueue")
    assert _code(lambda: made(queue.SerializeToString(), metadata=root)) is grpc.StatusCode.OK
    waiting_for = {"worker": '{ queues = "empty", may = ["consume"] }'}
    fortress.write(without="revoked", **waiting_for)
    pop = pb.PopBatchRequest(queue_id="empty", messages_max=1)
    _until(
        lambda: (
            _raw(client, "/proto.Q/PopBatch", pop.SerializeToString(), *metadata)
            is grpc.StatusCode.OK
        )
    )
    pop.wait.FromSeconds(50)
    opened = pb.ConsumeRequest(open=pb.ConsumeRequest.Open(queue_id="empty", credit=1))

    def wait() -> grpc.StatusCode:
        return _raw(client, "/proto.Q/PopBatch", pop.SerializeToString(), *metadata)

    def consume() -> grpc.StatusCode:
        call: _Stream = client.channel.stream_stream("/proto.Q/Consume")

        def requests() -> Iterator[bytes]:
            yield opened.SerializeToString()
            ended.result()

        return _code(lambda: list(call(requests(), metadata=metadata, timeout=50)))

    for without, more, code in (
        (
            "revoked",
            {"worker": f'{waiting_for["worker"]}, {{ queues = "x", may = ["browse"] }}'},
            grpc.StatusCode.UNAVAILABLE,
        ),
        ("worker", waiting_for, grpc.StatusCode.UNAUTHENTICATED),
    ):
        ended: Future[None] = Future()
        with ThreadPoolExecutor() as pool:
            open_ones = [pool.submit(wait), pool.submit(consume)]
            time.sleep(0.5)
            assert not any(each.done() for each in open_ones)
            began = time.monotonic()
            fortress.write(without=without, **more)
            ends = [each.result(30) for each in open_ones]
            ended.set_result(None)
        assert ends == [code, code]
        assert time.monotonic() - began < 10
    fortress.write(without="revoked")
    assert fortress.call("root", "DELETE", "/v1/queues/empty").status == 200


def test_a_faulty_file_changes_nothing(fortress: Fortress) -> None:
    """The log says what is wrong with it, and what was there before holds."""
    good = fortress.path.read_text()
    fortress.path.write_text(good.replace("rights", "right", 1))
    _until(lambda: "did you mean rights?" in fortress.q.log)

    assert fortress.call("root", "GET", "/v1/queues").status == 200
    fortress.path.write_text(good)


def test_who_did_what_is_noted(fortress: Fortress) -> None:
    """Without secrets; refusals so many that they fill no disk, and how many were left out."""
    for _ in range(300):
        fortress.call("", "GET", "/v1/queues", authorization="Bearer nonsense")
    time.sleep(0.3)
    fortress.call("worker", "GET", f"{SECRET}/pop")
    lines = [json.loads(line) for line in fortress.audit.read_text().splitlines()]
    made = next(line for line in lines if line["event"] == "call")
    denied = [line for line in lines if line["outcome"] == "PERMISSION_DENIED"]

    assert (made["identity"], made["method"], made["queue"]) == ("root", "NewQueue", "billing.a")
    assert made["by"] == f"token {fortress.kept['root'].id}"
    assert made["remote"].startswith("127.0.0.1:")
    assert "no right to it" in denied[-1]["why"]
    assert any(line.get("left_out_before", 0) > 50 for line in lines)
    assert {line["by"] for line in lines} >= {"expired token", "no token", "malformed token"}
    everything = fortress.audit.read_text() + fortress.q.log + fortress.q.errors
    assert not any(text.rpartition("_")[2] in everything for text in fortress.tokens.values())
    assert "c2VjcmV0" not in everything
    assert fortress.audit.stat().st_mode & 0o777 == 0o600
