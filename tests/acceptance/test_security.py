"""What q refuses, and how, to those who try what they may not: one table, one q."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
import pytest

import qmq
from qmq.wire import q_pb2 as pb
from tests.acceptance.attempts import CASES, GRPC_CASES, OURS, SECRET, Case, Fortress
from tests.acceptance.http2 import frame
from tests.acceptance.rest import JSON, rest
from tests.acceptance.running import RunningQ, environment, program
from tests.acceptance.stock import StockClient, connected
from tests.acceptance.test_shutdown import address_of_this_machine
from tests.transport.test_envoy_identity import Signer

_Unary: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"
_Stream: TypeAlias = "grpc.StreamStreamMultiCallable[bytes, bytes]"


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


def _filled(fortress: Fortress, text: str) -> str:
    """Put in tokens and ids where a case names them."""
    root, worker = fortress.tokens["root"], fortress.tokens["worker"]
    kept = fortress.kept["root"]
    return (
        text.replace("{root}", root)
        .replace("{root:cut}", root[:-1])
        .replace("{root:id}", kept.id)
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


@pytest.mark.parametrize(
    ("path", "who", "metadata", "code"),
    [case[1:] for case in GRPC_CASES],
    ids=[c[0] for c in GRPC_CASES],
)
def test_grpc_is_refused_as_rest_is(  # noqa: PLR0913, PLR0917 - The columns of a table.
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

    def waiting() -> int:
        [counts] = fortress.call("root", "GET", "/v1/queues/empty/stats").json["queues"]
        return int(counts.get("waiting", 0))

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
            _until(lambda: waiting() == 2)
            assert not any(each.done() for each in open_ones)
            began = time.monotonic()
            fortress.write(without=without, **more)
            ends = [each.result(30) for each in open_ones]
            ended.set_result(None)
        assert ends == [code, code]
        assert time.monotonic() - began < 10
    fortress.write(without="revoked")
    # Others find the worker as it was.
    _until(lambda: fortress.call("worker", "GET", f"{OURS}/peek").status == 403)
    assert fortress.call("root", "DELETE", "/v1/queues/empty").status == 200


def test_a_token_is_made_and_revoked_by_calls(fortress: Fortress, client: StockClient) -> None:
    """It counts from the answer on, and no more from the other; a stream by it ends."""
    before = fortress.path.read_text()
    made = fortress.call("root", "POST", "/v1/identities/worker/tokens", {"note": "by call"})
    fortress.tokens["made"] = made.json["text"]
    token_id = made.json["token"]["id"]
    who = fortress.call("made", "GET", "/v1/identity?queue_id=billing.a").json
    opened = pb.ConsumeRequest(open=pb.ConsumeRequest.Open(queue_id="billing.a", credit=1))
    consume: _Stream = client.channel.stream_stream("/proto.Q/Consume")
    ended: Future[None] = Future()

    def requests() -> Iterator[bytes]:
        yield opened.SerializeToString()
        ended.result()

    stream = consume(requests(), metadata=tuple(fortress.headers("made").items()), timeout=50)
    next(stream)
    path = f"/v1/identities/worker/tokens/{token_id}"
    revoked = fortress.call("root", "DELETE", path)
    after = fortress.call("made", "GET", "/v1/identity")

    assert who["identity"]["name"] == "worker"
    assert (who["proof"], who["rights"]) == (f"token {token_id}", ["PRODUCE", "CONSUME"])
    assert revoked.status == 200
    assert after.status == 401
    assert _code(lambda: list(stream)) is grpc.StatusCode.UNAUTHENTICATED
    ended.set_result(None)
    assert fortress.call("root", "DELETE", path).status == 200
    listed = fortress.call("root", "GET", "/v1/identities").body.decode()
    assert not any(kept.sha256 in listed for kept in fortress.kept.values())
    assert fortress.path.read_text().count("sha256") == before.count("sha256")
    lines = [json.loads(line) for line in fortress.audit.read_text().splitlines()]
    noted = [
        (line["identity"], line["method"], line["whose"])
        for line in lines
        if line.get("token") == token_id
    ]
    assert noted == [
        ("root", "MakeToken", "worker"),
        *[("root", "RevokeToken", "worker")] * 2,
    ]


def test_tokens_by_the_client_and_by_qcli(fortress: Fortress) -> None:
    """What one has made, the other lists, with its values, and revokes."""
    with qmq.Client(fortress.q.address, token=fortress.tokens["root"]) as client:
        made = client.make_token("worker", ttl=timedelta(days=1), note="by the client")
        assert made.text not in repr(made)
        worker = next(each for each in client.identities() if each.name == "worker")
        (listed,) = [each for each in worker.tokens if each.id == made.token.id]
        assert listed.note == "by the client"
        assert listed.expires_at is not None
        assert listed.expires_at == made.token.expires_at
        assert listed.used is None
        assert worker.rights == (
            qmq.Grant(
                queues="billing.*",
                selector="",
                may=frozenset({qmq.Right.PRODUCE, qmq.Right.CONSUME}),
            ),
        )
        with qmq.Client(fortress.q.address, token=made.text) as other:
            who = other.identity("billing.a")
            assert who.identity is not None
            assert (who.asked, who.identity.name, who.expires_at) == (
                True,
                "worker",
                listed.expires_at,
            )
            assert who.may(qmq.Right.PRODUCE)
            assert not who.may(qmq.Right.ADMIN)
            assert not other.identity("secret").rights
            with pytest.raises(qmq.AccessDenied):
                other.identities()
            done = _qcli(fortress, "token", "revoke", "worker", made.token.id)
            assert done == b""
            with pytest.raises(qmq.Unauthenticated):
                other.identity()
        with pytest.raises(qmq.IdentityNotFound):
            client.make_token("nobody")
        with pytest.raises(qmq.InvalidArgument, match="is a token of root"):
            client.revoke_token("worker", fortress.kept["root"].id)
        text = _qcli(fortress, "token", "make", "worker").decode().strip()
        client.revoke_token("worker", text.split("_")[1])


def _qcli(fortress: Fortress, *arguments: str) -> bytes:
    """Run qcli as root, and return what it prints."""
    variables = {"QCLI_SERVER": fortress.q.address, "QCLI_TOKEN": fortress.tokens["root"]}
    command = [program("qcli"), *arguments]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, check=True, timeout=60
    ).stdout


def test_a_faulty_file_changes_nothing(fortress: Fortress) -> None:
    """The log says what is wrong with it, and what was there before holds."""
    good = fortress.path.read_text()
    fortress.path.write_text(good.replace("rights", "right", 1))
    _until(lambda: "did you mean rights?" in fortress.q.log)

    assert fortress.call("root", "GET", "/v1/queues").status == 200
    fortress.path.write_text(good)


def test_who_did_what_is_noted(fortress: Fortress) -> None:
    """Without secrets; refusals so many that they fill no disk, and how many were left out."""
    for who in ("", "expired"):
        fortress.call(who, "GET", "/v1/queues")
    with ThreadPoolExecutor(4) as pool:
        for _ in range(400):
            pool.submit(fortress.call, "", "GET", "/v1/queues", authorization="Bearer nonsense")
    time.sleep(0.3)
    fortress.call("worker", "GET", f"{SECRET}/pop")
    lines = [json.loads(line) for line in fortress.audit.read_text().splitlines()]
    made = next(line for line in lines if line["event"] == "call")
    denied = [line for line in lines if line["outcome"] == "PERMISSION_DENIED"]

    assert (made["identity"], made["method"], made["queue"]) == ("root", "NewQueue", "billing.a")
    assert made["by"] == f"token {fortress.kept['root'].id}"
    assert made["remote"].startswith("127.0.0.1:")
    assert "no right to it" in denied[-1]["why"]
    assert any(line.get("left_out_before") for line in lines)
    # Outside of a cluster nobody speaks for another.
    assert not any("forwarded_for" in line for line in lines if line["method"] != "/quitquitquit")
    assert {line["by"] for line in lines} >= {"expired token", "no token", "malformed token"}
    everything = fortress.audit.read_text() + fortress.q.log + fortress.q.errors
    assert not any(text.split("_", 2)[2] in everything for text in fortress.tokens.values())
    assert "c2VjcmV0" not in everything
    assert fortress.audit.stat().st_mode & 0o777 == 0o600
