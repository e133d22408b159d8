"""Single messages are deleted and moved on the command line."""

import json

from tests.acceptance.command_line import Qcli, made
from tests.acceptance.warm import Done

CANNOT_DELETE = "qcli: error: cannot delete message: "
NOBODY = "00000000-0000-0000-0000-000000000000"


def ids(done: Done) -> list[str]:
    """Return the ids of the messages that a command has printed."""
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


def test_messages_are_deleted_by_their_ids(qcli: Qcli, queue: str) -> None:
    """What is on lease only if that is asked for; what is left alone is named."""
    qcli("add", queue, "--lines", payload=b"1\n2\n3\n4\n")
    one, two, three, four = ids(qcli("browse", queue))
    qcli("lease", queue)

    told = qcli("message", "delete", queue, one, two, NOBODY)
    read = qcli("message", "delete", queue, "-", payload=f"{three}\n\n".encode())
    taken = qcli("message", "delete", queue, one, "--leased")

    assert (told.returncode, told.stdout) == (5, b"")
    leased, missing = told.stderr.decode().splitlines()
    assert leased.startswith(f"{CANNOT_DELETE}FAILED_PRECONDITION: message {one} is leased")
    assert missing.startswith(f"{CANNOT_DELETE}NOT_FOUND: queue ")
    assert (read.returncode, read.stdout, read.stderr) == (0, b"", b"")
    assert taken.returncode == 0
    assert ids(qcli("browse", queue)) == [four]


def test_messages_are_moved_as_browse_prints_them(qcli: Qcli, queue: str, dead: str) -> None:
    """To another queue, and dead letters back to where they came from."""
    qcli("update", queue, "--dead-letter-queue", dead)
    other = made(qcli)
    qcli("add", queue, "--lines", payload=b"1\n2\n3\n")
    shown = qcli("browse", queue, "-n", "2")
    named = ids(shown)

    moved = qcli("message", "move", queue, "-", "--to", other, payload=shown.stdout)
    again = qcli("message", "move", queue, *named, "--to", other)
    (lease,) = [json.loads(line) for line in qcli("lease", queue).stdout.splitlines()]
    qcli("nack", queue, lease["lease_id"], "--kind", "reject")
    back = qcli("message", "move", dead, "-", payload=qcli("browse", dead).stdout)
    wrong = qcli("message", "move", other, named[0])

    assert [each.returncode for each in (moved, again, back, wrong)] == [0, 0, 0, 5]
    assert ids(qcli("browse", other)) == named
    assert ids(qcli("browse", queue)) == [lease["id"]]
    assert b"FAILED_PRECONDITION" in wrong.stderr


def test_what_names_no_message_is_an_error(qcli: Qcli, queue: str) -> None:
    """Before anything is asked for; an id that is none is named by the server."""
    assert qcli("message", "delete", queue, "-", "x").returncode == 2
    assert qcli("message", "delete", queue).returncode == 2
    for line in (b"{", b"{}", b'{"id": 7}', b'{"meta": 7}'):
        done = qcli("message", "delete", queue, "-", payload=line)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode().startswith(CANNOT_DELETE)
    refused = qcli("message", "delete", queue, "x").stderr.decode()
    assert refused == f"{CANNOT_DELETE}INVALID_ARGUMENT: message_ids: 'x' is no UUID\n"
