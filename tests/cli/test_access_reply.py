"""The commands about who calls and about tokens, and their replies as qcli prints them."""

import json

import pytest

from qmq.cli.access_reply import access_table
from qmq.cli.reply import write_reply
from qmq.wire import q_pb2 as pb
from tests.cli.test_commands import call_of

AT_NOON = {"seconds": 1_796_040_000}

WORKER = pb.Identity(
    name="worker",
    rights=[
        pb.Grant(queues="x.*", may=["PRODUCE", "CONSUME"]),
        pb.Grant(selector="team=x", may=["ADMIN"]),
    ],
    limits=pb.IdentityLimits(calls_per_second=9, connections_max=2),
    tokens=[
        pb.Token(id="k3f9", created=AT_NOON, note="cron \x1b[31m"),
        pb.Token(id="k3fa", expires_at=AT_NOON, used=AT_NOON),
    ],
)


def test_what_is_asked_for() -> None:
    """With what is given, and no more."""
    made = call_of("token", "make", "worker", "--ttl", "90d", "--note", "cron")
    revoked = call_of("token", "revoke", "worker", "k3f9")

    assert (made.method, made.output) == ("MakeToken", "plain")
    assert made.fields == {
        "identity": "worker",
        "ttl": {"seconds": 90 * 24 * 3600, "nanos": 0},
        "note": "cron",
    }
    assert call_of("token", "make", "worker").fields == {"identity": "worker"}
    assert (revoked.method, revoked.prints_reply) == ("RevokeToken", False)
    assert revoked.fields == {"identity": "worker", "token_id": "k3f9"}
    assert call_of("identity").fields == {}
    assert call_of("identity", "jobs").fields == {"queue_id": "jobs"}
    assert call_of("token", "list").method == "ListIdentities"


def test_a_caller_is_told_its_rights() -> None:
    """Those that it was granted, and what they come to."""
    reply = pb.GetIdentityResponse(
        asked=True, identity=WORKER, proof="token k3f9", rights=["PRODUCE", "CONSUME"]
    )

    (_, line) = access_table(reply)

    assert line.split("  ")[:1] == ["worker"]
    for text in (
        "token k3f9",
        "revoked",
        "produce, consume on x.*; admin on team=x",
        "9 calls a second, 2 connections",
    ):
        assert text in line
    assert access_table(pb.GetIdentityResponse()) == [
        "q asks nobody who they are: whoever reaches it may do everything"
    ]


def test_tokens_are_listed_by_whose_they_are() -> None:
    """With nothing that a terminal would act on."""
    other = pb.Identity(name="idle", certificates=["CN=idle"])

    lines = access_table(pb.ListIdentitiesResponse(identities=[WORKER, other]))

    assert len(lines) == 4
    assert lines[1].startswith("worker")
    assert "2026-11-30 12:00Z" in lines[1]
    assert "\x1b" not in "".join(lines)
    assert lines[2].startswith(" ")
    assert "idle" in lines[3]
    assert "a certificate" in lines[3]


def test_a_new_token_is_all_of_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """So that it can be put into a file; what else there is to know goes to standard error."""
    reply = pb.MakeTokenResponse(text="q_k3f9_secret", token=pb.Token(id="k3f9"))

    write_reply(reply, "plain", {})
    output, errors = capfdbinary.readouterr()
    write_reply(reply, "jsonl", {})
    as_json, _ = capfdbinary.readouterr()

    assert output == b"q_k3f9_secret\n"
    assert b"until it is revoked" in errors
    assert b"secret" not in errors
    assert json.loads(as_json) == {"text": "q_k3f9_secret", "token": {"id": "k3f9"}}
