"""At least once by hand, and settings: `qcli lease`, `ack`, `nack`, `extend`, `update`, `purge`."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command_line import (
    Qcli,
    fill,
    made,
    put,
    running_qcli,
    stats,
    until_waiting,
)
from tests.acceptance.running import RunningQ, environment, program
from tests.acceptance.warm import Done

#: Leases that no queue has.
GONE = "0000000000000001-00000001"
NO_LEASE = "nonsense"


def records(done: Done) -> list[dict[str, Any]]:
    """What a command that succeeded has printed, a JSON object a line."""
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def leased(qcli: Qcli, queue: str, *options: str) -> list[dict[str, Any]]:
    """The messages that a lease gives."""
    return records(qcli("lease", queue, *options))


def payloads(messages: list[dict[str, Any]]) -> list[str]:
    """The payloads of messages."""
    return [message["payload"] for message in messages]


def test_a_leased_message_is_acked(qcli: Qcli, queue: str) -> None:
    """With what proves that it is held; nobody else gets it, and then it is gone."""
    qcli("add", queue, "-tk=v", payload=b"hello")

    (message,) = leased(qcli, queue, "--consumer", "me", "--lease-duration", "1h")
    (held,) = records(qcli("stats", queue))
    other = qcli("lease", queue)
    acked = qcli("ack", queue, message["lease_id"])

    assert (message["payload"], message["tags"], message["delivery_count"]) == (
        "hello",
        {"k": "v"},
        1,
    )
    assert (held["ready"], held["leased"], held["consumers"]) == (0, 1, {"me": 1})
    assert other.stderr.decode() == (
        f"qcli: error: cannot lease message from queue: queue {queue} has none to hand out now\n"
    )
    assert (other.returncode, other.stdout) == (3, b"")
    assert (acked.returncode, acked.stdout, acked.stderr) == (0, b"", b"")
    counts = stats(qcli, queue)
    assert (counts["leased"], counts["acked_total"]) == (0, 1)


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (["--raw"], r"(\S+)\t0\n"),
        (["--raw", "-n", "2"], r"(\S+)\t0\n(\S+)\t1\n"),
        (["-o", "raw", "-n", "9", "--no-newline"], r"(\S+?)\t0(\S+?)\t1(\S+)\t2"),
        (["--jsonl"], r'\{"lease_id":"(\S+?)","lease_expires_at":.*"payload":"0"\}\n'),
        (["-o", "json"], r'\{\n  "messages": \[\n.*"lease_id": "(\S+)",\n.*\}\n'),
    ],
)
def test_each_is_printed_with_its_lease(
    qcli: Qcli, queue: str, options: list[str], printed: str
) -> None:
    """However it is printed."""
    fill(qcli, queue, 3)

    done = qcli("lease", queue, *options)

    found = re.fullmatch(printed, done.stdout.decode(), re.DOTALL)
    assert found, done.stdout
    assert qcli("ack", queue, *found.groups()).returncode == 0


def test_more_are_leased_than_one_call_gives(qcli: Qcli, queue: str) -> None:
    """And lease ids are read, however many."""
    fill(qcli, queue, 2_500)

    messages = leased(qcli, queue, "-n", "2345")
    ids = "".join(f"{message['lease_id']}\n" for message in messages)
    acked = qcli("ack", queue, "-", payload=ids.encode())

    assert payloads(messages) == [str(number) for number in range(2_345)]
    assert (acked.returncode, acked.stdout, acked.stderr) == (0, b"", b"")
    counts = stats(qcli, queue)
    assert (counts["ready"], counts["leased"], counts["acked_total"]) == (155, 0, 2_345)


def test_lease_and_ack_are_one_line(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """What one prints the other reads, as soon as it comes."""
    fill(qcli, queue, 5)

    script = f'"$0" lease {queue} -n 5 --raw | cut -f 1 | "$0" ack {queue} -'
    done = subprocess.run(
        ["sh", "-c", script, program("qcli")],
        capture_output=True,
        env=environment(QCLI_SERVER=shared_q.address),
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert stats(qcli, queue)["acked_total"] == 5


def test_a_lease_is_waited_for(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Until there is a message."""
    with running_qcli(shared_q.address, "lease", queue, "--raw", "--wait", "60") as running:
        until_waiting(qcli, queue)
        put(qcli, queue, b"hello")

        assert running.wait() == (0, "")
        assert running.stdout.read().endswith(b"\thello\n")


def test_waiting_ends(qcli: Qcli, queue: str) -> None:
    """After the time that was said."""
    assert qcli("lease", queue, "--wait", "0.05").returncode == 3


def test_waiting_can_be_interrupted(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """At once."""
    with running_qcli(shared_q.address, "lease", queue, "--wait", "inf") as running:
        until_waiting(qcli, queue)

        assert running.end(signal.SIGINT) == (130, "")


def test_what_nobody_reads_is_given_back(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """To be handed out again at once, and as if it never was."""
    fill(qcli, queue, 3)
    with (
        Path("/dev/full").open("wb") as full,
        running_qcli(shared_q.address, "lease", queue, "-n", "3", stdout=full) as running,
    ):
        status, said = running.wait()

    assert said == ("qcli: error: cannot print messages: No space left on device; 3 given back\n")
    assert status == 1
    assert [message["delivery_count"] for message in leased(qcli, queue, "-n", "3")] == [1, 1, 1]


@pytest.mark.parametrize("command", ["ack", "nack", "extend"])
def test_a_refused_lease_is_named(qcli: Qcli, queue: str, command: str) -> None:
    """On a line of its own, with a status of its own; what is fine with the others is done."""
    fill(qcli, queue, 1)
    (message,) = leased(qcli, queue)

    done = qcli(command, queue, GONE, message["lease_id"], NO_LEASE)

    what = {"ack": "ack message", "nack": "give message back", "extend": "extend lease"}[command]
    gone, none = done.stderr.decode().splitlines()
    assert gone.startswith(f"qcli: error: cannot {what}: FAILED_PRECONDITION: lease {GONE} ")
    assert none.startswith(f"qcli: error: cannot {what}: INVALID_ARGUMENT: ")
    assert NO_LEASE in none
    assert done.returncode == 5
    counts = stats(qcli, queue)
    assert (counts["leased"], counts["acked_total"]) == {
        "ack": (0, 1),
        "nack": (0, 0),
        "extend": (1, 0),
    }[command]


def test_a_lease_that_ran_out_is_refused(qcli: Qcli, queue: str) -> None:
    """Once somebody else has the message, whose lease is another one."""
    fill(qcli, queue, 1)
    (first,) = leased(qcli, queue, "--lease-duration", "1ms")
    (second,) = leased(qcli, queue, "--wait", "60")

    late = qcli("ack", queue, first["lease_id"])

    assert second["delivery_count"] == 2
    assert [attempt["outcome"] for attempt in second["attempts"]] == ["EXPIRED"]
    assert f"lease {first['lease_id']}" in late.stderr.decode()
    assert late.returncode == 5
    assert qcli("ack", queue, second["lease_id"]).returncode == 0


def test_an_ack_may_be_repeated(qcli: Qcli, queue: str) -> None:
    """Whoever does not know whether it was done can do it again."""
    fill(qcli, queue, 1)
    (message,) = leased(qcli, queue)

    assert [qcli("ack", queue, message["lease_id"]).returncode for _ in range(2)] == [0, 0]


def test_a_released_message_is_unharmed(qcli: Qcli, queue: str) -> None:
    """It is handed out again at its old place, as if for the first time."""
    fill(qcli, queue, 2)
    (message,) = leased(qcli, queue)

    assert qcli("nack", queue, message["lease_id"], "--kind", "release").returncode == 0

    again = leased(qcli, queue, "-n", "2")
    assert payloads(again) == ["0", "1"]
    assert [each["delivery_count"] for each in again] == [1, 1]


def test_a_failed_message_is_kept_back(qcli: Qcli, queue: str) -> None:
    """For so long as is said, with what is said why."""
    fill(qcli, queue, 1)
    (message,) = leased(qcli, queue, "--consumer", "me")

    done = qcli("nack", queue, message["lease_id"], "--delay", "3s", "--reason", "disk full")
    delayed = stats(qcli, queue)
    (again,) = leased(qcli, queue, "--wait", "60")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (delayed["ready"], delayed["delayed"]) == (0, 1)
    assert again["delivery_count"] == 2
    (attempt,) = again["attempts"]
    assert (attempt["outcome"], attempt["consumer"], attempt["reason"]) == (
        "FAILED",
        "me",
        "disk full",
    )


def test_a_rejected_message_is_a_dead_letter(qcli: Qcli, queue: str, dead: str) -> None:
    """With the reason; without a dead-letter queue it is refused."""
    fill(qcli, queue, 1)
    (message,) = leased(qcli, queue)
    rejected = ["--kind", "reject", "--reason", "no such user"]

    assert qcli("nack", queue, message["lease_id"], *rejected).returncode == 0

    (letter,) = records(qcli("peek", dead, "--jsonl"))
    assert letter["id"] == message["id"]
    assert letter["dead_letter"]["reason"] == "REJECTED"
    assert letter["dead_letter"]["text"] == "no such user"
    assert letter["dead_letter"]["source_queue_id"] == queue
    (again,) = leased(qcli, dead)
    refused = qcli("nack", dead, again["lease_id"], *rejected)
    assert b"has no dead-letter queue" in refused.stderr
    assert refused.returncode == 5


@pytest.mark.parametrize("output", ["jsonl", "json", "table"])
def test_an_extended_lease_ends_later(qcli: Qcli, queue: str, output: str) -> None:
    """And it is shown when."""
    fill(qcli, queue, 1)
    (message,) = leased(qcli, queue, "--lease-duration", "1m")
    arguments = ["extend", queue, message["lease_id"], "--lease-duration", "1h"]

    done = qcli(*arguments, "-o", output)
    (where,) = records(qcli("browse", queue))

    assert where["until"] > message["lease_expires_at"]
    assert where["until"] in done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")


def test_lease_ids_are_read_as_they_come(shared_q: RunningQ, qcli: Qcli, queue: str) -> None:
    """Each is acked though more may follow."""
    fill(qcli, queue, 2)
    messages = leased(qcli, queue, "-n", "2")
    with running_qcli(shared_q.address, "ack", queue, "-") as running:
        for count, message in enumerate(messages, 1):
            running.stdin.write(f"{message['lease_id']}\n\n".encode())
            running.stdin.flush()
            while stats(qcli, queue)["acked_total"] < count:
                assert running.process.poll() is None
        running.stdin.close()

        assert running.wait() == (0, "")


def test_settings_are_shown_and_changed(qcli: Qcli, queue: str, dead: str) -> None:
    """All of them where they are asked for, and by default those that somebody chose."""
    before = records(qcli("get", queue, "-o", "jsonl"))[0]
    done = qcli("update", queue, "--lease-duration", "5m", "--limit", "7")
    plain = json.loads(qcli("get", queue).stdout)["queue"]
    whole = json.loads(qcli("get", queue, "-o", "json").stdout)["queue"]

    changed = {"lease_duration_s": 300.0, "limit": 7}
    assert records(done) == records(qcli("get", queue, "-o", "jsonl")) == [{**before, **changed}]
    assert plain["settings"] == {
        "lease_duration": "300s",
        "delivery_count_max": 2,
        "dead_letter_queue_id": dead,
        "back_off": {"base": "0s"},
    }
    assert "limit" not in plain
    assert whole["settings"]["durability_min"] == "MEMORY"
    assert whole["limit"] == "7"


def test_a_new_queue_has_settings(qcli: Qcli) -> None:
    """Its dead-letter queue may be named."""
    made(qcli, name="dead-jobs")
    options = ["--dead-letter-queue", "dead-jobs", "--delivery-count-max", "3"]

    title, row = qcli("new", "MEMORY", "-1", *options, "-o", "table").stdout.decode().splitlines()

    at = title.index("DELIVERIES")
    assert row[at:].split()[:2] == ["3", "dead-jobs"]
    refused = qcli("new", "MEMORY", "-1", "--delivery-count-max", "3")
    assert b"INVALID_ARGUMENT: settings.delivery_count_max" in refused.stderr
    assert refused.returncode == 1


def test_a_paused_queue_hands_out_nothing(qcli: Qcli, queue: str) -> None:
    """Until it is resumed; it may take no messages either."""
    fill(qcli, queue, 1)

    (paused,) = records(qcli("pause", queue))
    leases = qcli("lease", queue)
    plain = json.loads(qcli("get", queue).stdout)["queue"]
    closed = qcli("pause", queue, "--adds", "-o", "table")
    added = qcli("add", queue, payload=b"x")
    (resumed,) = records(qcli("resume", queue))

    assert paused["paused"] is not None
    assert (leases.returncode, leases.stdout) == (3, b"")
    assert {*plain["paused"]} == {"since"}
    assert b"  adds-too  " in closed.stdout
    assert b"FAILED_PRECONDITION: queue " in added.stderr
    assert added.returncode == 1
    assert resumed["paused"] is None
    assert payloads(leased(qcli, queue)) == ["0"]


def test_a_purge_removes_all(qcli: Qcli, queue: str) -> None:
    """Also what is on lease; it says how many, and that it is meant has to be said."""
    fill(qcli, queue, 5)
    (message,) = leased(qcli, queue)

    unsure = qcli("purge", queue)
    sure = qcli("purge", queue, "--yes")

    assert (unsure.returncode, unsure.stdout) == (2, b"")
    assert records(sure) == [{"removed": 5}]
    counts = stats(qcli, queue)
    assert (counts["ready"], counts["leased"]) == (0, 0)
    assert qcli("ack", queue, message["lease_id"]).returncode == 5


def on_a_terminal(address: str, typed: str, *arguments: str) -> tuple[str, int]:
    """Run qcli on a terminal, and type something when it asks."""
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        [program("qcli"), *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(QCLI_SERVER=address),
    ) as running:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(keyboard, 4096):
                shown += piece
                if typed and b"go on:" in shown:
                    os.write(keyboard, typed.encode())
                    typed = ""
        except OSError:
            pass  # Linux says so that nobody has the terminal any more.
        finally:
            os.close(keyboard)
    return shown.decode(), running.returncode


def test_a_purge_asks_for_the_name(bare_q: RunningQ) -> None:
    """On a terminal, where it says how many messages are concerned."""
    qcli = Qcli(bare_q.address)
    queue = made(qcli, name="jobs")
    fill(qcli, "jobs", 1_234)

    thought_better, first = on_a_terminal(bare_q.address, "\n", "purge", queue)
    left = stats(qcli, "jobs")["ready"]
    meant, second = on_a_terminal(bare_q.address, "jobs\n", "purge", queue)

    assert "This removes all 1,234 messages of queue jobs. Type its name to go on:" in meant
    assert "that is not its name; nothing is removed" in thought_better
    assert (first, left) == (1, 1_234)
    assert meant.endswith("REMOVED\r\n   1234\r\n")
    assert (second, stats(qcli, "jobs")["ready"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "failure"),
    [
        (["update", "none-such", "--limit", "1"], "cannot update queue: INVALID_ARGUMENT: "),
        (["pause", "none-such"], "cannot pause queue: INVALID_ARGUMENT: "),
        (["resume", "none-such"], "cannot resume queue: INVALID_ARGUMENT: "),
        (["purge", "none-such", "-y"], "cannot purge queue: INVALID_ARGUMENT: "),
        (["lease", "none-such"], "cannot lease message from queue: INVALID_ARGUMENT: "),
        (["ack", "none-such", GONE], "cannot ack message: INVALID_ARGUMENT: "),
        (["browse", "none-such"], "cannot browse queue: INVALID_ARGUMENT: "),
        (["explain", "none-such", GONE], "cannot explain message: INVALID_ARGUMENT: "),
        (["redrive", "start", "none-such"], "cannot start redrive: INVALID_ARGUMENT: "),
        (["redrive", "show", GONE], "cannot get redrive: INVALID_ARGUMENT: "),
        (["redrive", "stop", "00000000-0000-0000-0000-000000000000"], "cannot stop redrive: NOT_"),
        (["work", "none-such", "--", "true"], "cannot work on queue: INVALID_ARGUMENT: "),
    ],
)
def test_what_the_server_refuses_is_one_line(
    qcli: Qcli, arguments: list[str], failure: str
) -> None:
    """With the server's reason."""
    done = qcli(*arguments)

    assert done.stderr.decode().startswith(f"qcli: error: {failure}")
    assert done.stderr.count(b"\n") == 1
    assert (done.returncode, done.stdout) == (1, b"")


def test_leases_outlive_a_kill(q_server: RunningQ) -> None:
    """On disk: nobody else gets the message, and it can be acked."""
    qcli = Qcli(q_server.address)
    made(qcli, "DISK", name="jobs")
    fill(qcli, "jobs", 2)
    (message,) = leased(qcli, "jobs", "--lease-duration", "1h")

    q_server.kill()
    q_server.start()

    others = leased(qcli, "jobs", "-n", "2")
    assert payloads(others) == ["1"]
    assert qcli("ack", "jobs", message["lease_id"]).returncode == 0
    assert [each["payload"] for each in records(qcli("browse", "jobs"))] == ["1"]
