"""The audit log: what is noted, and how much of it."""

import json
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmq.errors import AccessDenied, Unauthenticated
from qmq.observe.audit import Audit, AuditFile

SCOPE = {
    "path": "/proto.Q/Pop",
    "client": ("192.0.2.1", 7),
    "headers": [(b"x-request-id", b"r1"), (b"authorization", b"Bearer q_x_secret")],
}


def test_a_call_is_noted_with_who_and_whence() -> None:
    """And with nothing that is secret."""
    noted: list[Mapping[str, Any]] = []

    Audit(noted.append).called(
        SCOPE, identity="root", by="token x", method="Purge", queue="q" * 500, outcome="OK"
    )

    assert noted == [
        {
            "event": "call",
            "identity": "root",
            "by": "token x",
            "method": "Purge",
            "queue": "q" * 200,
            "outcome": "OK",
            "remote": "192.0.2.1:7",
            "request_id": "r1",
        }
    ]


def test_refusals_fill_no_disk() -> None:
    """A hundred at once and ten a second; how many were left out is said with the next."""
    noted: list[Mapping[str, Any]] = []
    now_s = 0.0
    audit = Audit(noted.append, lambda: now_s)

    for _ in range(300):
        audit.refused(SCOPE, "", "no token", Unauthenticated())
    now_s = 1.0
    for _ in range(300):
        audit.refused(SCOPE, "a", "token x", AccessDenied("no right"))

    assert len(noted) == 110
    assert noted[100]["left_out_before"] == 200
    assert noted[100]["why"] == "no right"
    assert "left_out_before" not in noted[101]


def test_a_file_goes_on_under_its_name(tmp_path: Path) -> None:
    """Another one, if that was renamed; only its owner reads it."""
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    file.write({"n": 1})
    path.rename(tmp_path / "old.jsonl")
    file.write({"n": 2})
    file.reopen()
    file.write({"n": "3\n\udc80"})

    old, new = (
        [json.loads(line)["n"] for line in each.read_text().splitlines()]
        for each in (tmp_path / "old.jsonl", path)
    )
    assert (old, new) == ([1, 2], ["3\n?"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_for_which_there_was_no_room_spoils_no_other(tmp_path: Path) -> None:
    """What there was room for of it is a line of its own."""
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file.write({"event": 1})

    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, limits[1]))
    try:
        file.write({"event": 2})
        file.write({"event": 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for event in (4, 5):
        file.write({"event": event})

    first, torn, *others = path.read_text().splitlines()
    assert len(torn) == 5
    assert [json.loads(line)["event"] for line in (first, *others)] == [1, 4, 5]
