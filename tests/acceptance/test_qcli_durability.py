"""How durable a change is, call by call: `qcli` with `--durability`."""

import json
from collections.abc import Iterator

import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.command_line import Qcli, fill, made, put, running_qcli, stats
from tests.acceptance.running import RunningQ
from tests.acceptance.warm import Done


@pytest.fixture
def durable(qcli: Qcli) -> Iterator[str]:
    """The id of a DISK queue without messages, whose failed messages come back at once."""
    settings = pb.QueueSettings()
    settings.back_off.base.FromSeconds(0)
    queue_id = made(qcli, "DISK", settings=settings)
    yield queue_id
    with qcli.stock() as client:
        client.delete_queue(queue_id=queue_id)


def told(done: Done) -> list[str | None]:
    """How durable each reply says that it is; each begins with a brace of its own."""
    assert (done.returncode, done.stderr) == (0, b"")
    replies = done.stdout.decode().split("\n}\n")[:-1]
    return [json.loads(f"{reply}}}").get("durability") for reply in replies]


@pytest.mark.parametrize("level", ["memory", "os", "fsync", "OS"])
def test_json_says_what_was_reached(qcli: Qcli, durable: str, level: str) -> None:
    """Of an add and a pop to those who ask, of a lease and an extension to everybody."""
    reached = level.upper()
    fill(qcli, durable, 4)

    assert told(qcli("add", durable, "--durability", level, payload=b"x")) == [reached]
    assert told(qcli("pop", durable, "--durability", level)) == [reached]
    assert told(qcli("pop", durable, "-n", "2", "--durability", level)) == [reached, reached]
    lease = qcli("lease", durable, "--durability", level, "-o", "json")
    assert told(lease) == [reached]
    lease_id = json.loads(lease.stdout)["messages"][0]["lease_id"]
    extension = ["extend", durable, lease_id, "-o", "json"]
    assert told(qcli(*extension, "--durability", level)) == [reached]
    assert told(qcli(*extension)) == ["FSYNC"]
    assert told(qcli("pop", durable)) == [None]


def test_more_than_was_asked_for_is_told(qcli: Qcli, durable: str) -> None:
    """Since the queue wants it."""
    assert qcli("update", durable, "--durability-min", "os").returncode == 0

    assert told(qcli("add", durable, "--durability", "memory", payload=b"x")) == ["OS"]
    assert told(qcli("pop", durable, "--durability", "memory", "-o", "json")) == ["OS"]


@pytest.mark.parametrize("level", ["memory", "os", "fsync"])
def test_all_work_is_done_at_any_level(
    shared_q: RunningQ, qcli: Qcli, durable: str, level: str
) -> None:
    """Lines in, leases and their ends, commands that run, and messages out as they come."""
    option = ["--durability", level]
    lines = qcli("add", durable, "--lines", *option, payload=b"1\n2\n3\n4\n")
    leased = qcli("lease", durable, "-n", "2", *option)
    first, second = (json.loads(line)["lease_id"] for line in leased.stdout.splitlines())
    acked, failed = (
        qcli("ack", durable, first, *option),
        qcli("nack", durable, second, *option),
    )
    for done in (lines, acked, failed):
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert stats(qcli, durable)["acked_total"] == 1

    with running_qcli(shared_q.address, "work", durable, *option, "--", "cat") as running:
        assert running.stdout.read(3) == b"234"
        assert running.end(15) == (143, "")
    assert stats(qcli, durable)["acked_total"] == 4

    put(qcli, durable, b"5")
    with running_qcli(shared_q.address, "tail", durable, "--pop", "--raw", *option) as running:
        assert running.stdout.readline() == b"5\n"
        running.end(15)
    assert stats(qcli, durable)["ready"] == 0


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["add", "ID"], "cannot add message to queue"),
        (["add", "ID", "--lines"], "cannot add message to queue"),
        (["pop", "ID"], "cannot pop message from queue"),
        (["pop", "ID", "--raw"], "cannot pop message from queue"),
        (["tail", "ID", "--pop"], "cannot pop message from queue"),
        (["lease", "ID"], "cannot lease message from queue"),
        (["ack", "ID", "LEASE"], "cannot ack message"),
        (["nack", "ID", "LEASE"], "cannot give message back"),
        (["extend", "ID", "LEASE"], "cannot extend lease"),
        (["work", "ID", "--", "cat"], "cannot work on queue"),
    ],
)
def test_more_than_the_store_can_do_is_refused(
    qcli: Qcli, queue: str, command: list[str], what: str
) -> None:
    """It says what it can do, and nothing has happened."""
    fill(qcli, queue, 2)
    with qcli.stock() as client:
        leased = client.lease(queue_id=queue).messages[0].lease_id
    name, *rest = command
    arguments = [{"ID": queue, "LEASE": leased}.get(word, word) for word in rest]

    done = qcli(name, "--durability", "fsync", *arguments, payload=b"3\n")

    assert done.stderr.decode().startswith(
        f"qcli: error: {what}: FAILED_PRECONDITION: durability: queue {queue} lives in MEMORY,"
        " which cannot be as durable as FSYNC, but MEMORY at most"
    )
    assert (done.returncode, done.stdout) == (1, b"")
    counts = stats(qcli, queue)
    assert (counts["ready"], counts["leased"], counts["enqueued_total"]) == (1, 1, 2)
