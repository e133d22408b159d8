"""Single messages and dead letters: `qcli browse`, `explain`, `redrive`."""

import json
import re
import signal

import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.command_line import Qcli, fill, made, put, running_qcli, stats, until
from tests.acceptance.running import RunningQ
from tests.acceptance.test_qcli_leases import leased, on_a_terminal, payloads, records


def tagged(payload: bytes, tags: dict[str, str]) -> pb.NewMessage:
    """A message with tags."""
    return pb.NewMessage(payload=payload, tags=[pb.Tag(key=k, value=v) for k, v in tags.items()])


def test_messages_are_browsed(qcli: Qcli, queue: str) -> None:
    """In the order of the queue, whatever their state, and however many; nothing changes."""
    fill(qcli, queue, 2_500)
    held = leased(qcli, queue, "-n", "2", "--consumer", "me")
    qcli("nack", queue, held[1]["lease_id"], "--delay", "1h")
    before = stats(qcli, queue)

    messages = records(qcli("browse", queue))
    raw = qcli("browse", queue, "-o", "raw", "-n", "1234").stdout
    pages = qcli("browse", queue, "-o", "json").stdout.decode()

    assert payloads(messages) == [str(number) for number in range(2_500)]
    assert [message["state"] for message in messages[:3]] == ["LEASED", "DELAYED", "READY"]
    assert (messages[0]["consumer"], messages[0]["until"]) == ("me", held[0]["lease_expires_at"])
    assert raw == b"".join(b"%d\n" % number for number in range(1_234))
    assert pages.count('"state": ') == 2_500
    after = stats(qcli, queue)
    assert [after[name] for name in ("ready", "leased", "delayed", "redelivered_total")] == [
        before[name] for name in ("ready", "leased", "delayed", "redelivered_total")
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["0", "1", "2"]),
        (["--state", "ready"], ["1", "2"]),
        (["--state", "leased"], ["0"]),
        (["--state", "leased", "--state", "ready"], ["0", "1", "2"]),
        (["-t", "k=v"], ["1"]),
        (["--selector", "k in (v,w)"], ["1", "2"]),
        (["-l", "k,k!=v"], ["2"]),
        (["-n", "2"], ["0", "1"]),
        (["--older-than", "1h"], []),
        (["--newer-than", "1h"], ["0", "1", "2"]),
    ],
)
def test_browsing_is_narrowed(qcli: Qcli, queue: str, options: list[str], found: list[str]) -> None:
    """Nothing to show is no error."""
    with qcli.stock() as client:
        for payload, tags in ((b"0", {}), (b"1", {"k": "v"}), (b"2", {"k": "w"})):
            client.add(queue_id=queue, message=tagged(payload, tags))
        client.lease(queue_id=queue)

    assert payloads(records(qcli("browse", queue, *options))) == found


def test_a_table_of_messages_is_safe(qcli: Qcli, queue: str) -> None:
    """Whatever is in their payloads, of which it shows the beginning."""
    qcli("add", queue, "-tcolour=\x1b[31m", payload=b"a\nb\x1b[2J\xff" + b"x" * 1_000)

    title, row = qcli("browse", queue, "-o", "table").stdout.decode().splitlines()

    assert title.split() == ["ID", "STATE", "AGE", "DELIVERED", "TAGS", "PAYLOAD"]
    assert "colour=\\x1b[31m  a\\nb\\x1b[2J\\xffxxx" in row
    assert row.endswith("x~")
    assert row.isprintable()


def test_an_empty_queue_is_a_table_without_rows(qcli: Qcli, queue: str) -> None:
    """And nothing at all for programs."""
    assert len(qcli("browse", queue, "-o", "table").stdout.splitlines()) == 1
    assert records(qcli("browse", queue)) == []


def test_messages_are_a_table_on_a_terminal(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """No wider than that is."""
    put(qcli, queue, b"x" * 1_000)

    shown, status = on_a_terminal(shared_q.address, "", "browse", queue)

    title, row = shown.splitlines()
    assert title.startswith("ID ")
    assert len(row) == 80
    assert status == 0


def test_a_message_is_explained(qcli: Qcli, queue: str) -> None:
    """Who has it until when, with or without the moment of its creation."""
    fill(qcli, queue, 2)
    (message,) = leased(qcli, queue, "--consumer", "me")

    (found,) = records(qcli("explain", queue, message["id"]))
    again = qcli("explain", queue, message["id"], "--created", message["created"])
    table = qcli("explain", queue, message["id"], "-o", "table").stdout.decode()
    reply = json.loads(qcli("explain", queue, message["id"], "-o", "json").stdout)

    assert (found["state"], found["consumer"]) == ("LEASED", "me")
    assert "me" in found["reasons"][0]
    assert records(again)[0]["reasons"] == found["reasons"]
    assert "state        leased by me until " in table
    assert found["reasons"][0] in table
    assert reply["reasons"] == found["reasons"]


def test_a_message_that_is_not_there_is_not_explained(qcli: Qcli, queue: str) -> None:
    """It says so."""
    done = qcli("explain", queue, "00000000-0000-0000-0000-000000000000")

    assert done.stderr.startswith(b"qcli: error: cannot explain message: NOT_FOUND: queue ")
    assert (done.returncode, done.stdout) == (1, b"")


def bury(qcli: Qcli, queue: str, reasons: list[str]) -> None:
    """Make a dead letter for each reason, with that as its payload, too."""
    with qcli.stock() as client:
        for reason in reasons:
            client.add(queue_id=queue, message=tagged(reason.encode(), {"k": "v"}))
            [message] = client.lease(queue_id=queue).messages
            rejected = {"kind": pb.NackRequest.REJECT, "reason": reason}
            done = client.nack(queue_id=queue, lease_ids=[message.lease_id], **rejected)
            assert not done.results[0].code


def test_dead_letters_go_back(qcli: Qcli, queue: str, dead: str) -> None:
    """Those that are meant, once it was counted how many those are."""
    bury(qcli, queue, ["disk full", "no such user", "disk full"])

    (dry,) = records(qcli("redrive", "start", dead, "--dry-run", "--text", "disk full"))
    untouched = stats(qcli, dead)["ready"]
    (done,) = records(qcli("redrive", "start", dead, "--text", "disk full", "--follow"))

    counts = ["state", "dry_run", "total", "seen", "matched", "moved"]
    assert [dry[name] for name in counts] == ["DONE", True, 3, 3, 2, 0]
    assert untouched == 3
    assert [done[name] for name in counts] == ["DONE", False, 3, 3, 2, 2]
    assert payloads(records(qcli("browse", dead))) == ["no such user"]
    assert payloads(leased(qcli, queue, "-n", "9")) == ["disk full", "disk full"]
    assert records(qcli("redrive", "list"))[:2] == [done, dry]
    assert records(qcli("redrive", "show", done["id"])) == [done]


def test_dead_letters_go_elsewhere(qcli: Qcli, queue: str, dead: str) -> None:
    """By tag, reason and age, no more than are asked for."""
    bury(qcli, queue, ["1", "2", "3"])
    other = made(qcli)
    options = ["--to", other, "-tk=v", "--reason", "rejected", "--newer-than", "1h", "--max", "2"]

    done = qcli("redrive", "start", dead, *options, "--follow", "-o", "table")

    assert done.returncode == 0, done.stderr
    assert payloads(records(qcli("browse", other))) == ["1", "2"]
    none = ["--older-than", "1h", "--reason", "delivery-count-max"]
    (looked,) = records(qcli("redrive", "start", dead, *none, "--dry-run"))
    assert looked["matched"] == 0


def test_a_redrive_is_stopped(shared_q: RunningQ, qcli: Qcli, queue: str, dead: str) -> None:
    """Ctrl-C ends looking at it, and not the redrive."""
    bury(qcli, queue, ["1", "2", "3", "4"])
    slow = ["--rate", "0.5", "--follow"]
    with running_qcli(shared_q.address, "redrive", "start", dead, *slow) as running:
        # The second one is moved two seconds after the first: by then it is looked at.
        until(lambda: stats(qcli, queue)["ready"] > 1)
        status, said = running.end(signal.SIGINT)

    found = re.fullmatch(r"qcli: the redrive goes on; to stop it: qcli redrive stop (\S+)\n", said)
    assert found, said
    assert status == 130
    (running_on,) = records(qcli("redrive", "show", found[1]))
    (stopped,) = records(qcli("redrive", "stop", found[1]))
    (ended,) = records(qcli("redrive", "show", found[1], "--follow"))
    assert [each["state"] for each in (running_on, stopped, ended)] == [
        "RUNNING",
        "STOPPED",
        "STOPPED",
    ]
    assert stats(qcli, dead)["ready"] + stats(qcli, queue)["ready"] == 4


def test_a_person_sees_how_far_a_redrive_is(
    shared_q: RunningQ, qcli: Qcli, dead: str, queue: str
) -> None:
    """In one line, and then the whole; queues are called by their names."""
    bury(qcli, queue, ["1", "2", "3"])

    shown, status = on_a_terminal(
        shared_q.address, "", "redrive", "start", dead, "--rate", "10", "--follow"
    )

    assert re.search(r"\r#{20} 100%  3 moved, [\d,]+/s\x1b\[K\r\n", shown)
    assert re.search(r"\nID +STATE +FROM .*\r\n\S+ +done ", shown)
    assert status == 0
