"""Writes the catalogue of errors: python -m scripts.errors_page FILE.

The prose is in errors_page.md: under the reason of each error, what to do about it. What the error
means, its status, its details and how long to wait is read off an example, made as q makes it.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qmq import errors
from qmq.client import errors as client_errors
from qmq.transport.status import code_of
from scripts.api_page import HTTP_STATUSES

_TEMPLATE: Final = Path(__file__).with_suffix(".md")

_REASON: Final = re.compile(r"### ([A-Z_]+)")
_OVERVIEW: Final = "<!-- overview -->"

_QUEUE: Final = "17e4699a-3cb4-490a-9364-71dde8920552"
_OTHER: Final = "80a670e4-59cb-4b3e-a04f-f1ba775467b5"

#: One error of each reason, as q makes it.
EXAMPLES: Final = (
    errors.InvalidArgument("messages[3].options.priority", "must be 0 to 255; got 300"),
    errors.TooLarge(
        "the request message takes 5000016 bytes or more, more than request_bytes_max of 4259840;"
        " send less in one call, or start q with a higher --message-bytes-max",
        "request_bytes_max",
        4_259_840,
        5_000_016,
    ),
    errors.UnknownStore(7),
    errors.StoreNotConfigured(
        "store: DISK needs a data directory and this server runs without one;"
        " start q with --data DIR, or use MEMORY"
    ),
    errors.DurabilityNotReached(_QUEUE, "MEMORY", "FSYNC", "MEMORY"),
    errors.StoresDiffer(
        f"queue {_QUEUE} lives in DISK and queue {_OTHER} in MEMORY: a redrive moves messages"
        " within one store, so that none is ever lost or doubled on its way"
    ),
    errors.Unimplemented("grpc-encoding 'zstd' is not supported; use gzip or identity"),
    errors.QueueNotFound(_QUEUE),
    errors.NameTaken("mail", _QUEUE),
    errors.MessageNotFound(_QUEUE, _OTHER),
    errors.NoDeadLetter(_OTHER),
    errors.ScheduleNotFound(_QUEUE, "nightly"),
    errors.RedriveNotFound(_OTHER),
    errors.ServiceNotFound("unknown service 'proto.R'"),
    errors.QueueEmpty(_QUEUE),
    errors.QueuePaused(_QUEUE),
    errors.AddsPaused(_QUEUE),
    errors.MessageLeased(_QUEUE, _OTHER, "leased to 'worker-1' until 2026-11-30T12:00:30Z now"),
    errors.LeaseLost(
        "0000000000000007-00000002",
        "ended long ago; its message is ready to be handed out again",
    ),
    errors.NoDeadLetterQueue(_QUEUE),
    errors.QueueInUse(_QUEUE, _OTHER),
    errors.QueueFull(_QUEUE, 1_000, 1_000),
    errors.MemoryFull(1_000_000_000, 999_999_990, 64),
    errors.QuotaReached("billing.*", "messages_max", 1_000_000, 1_000_000),
    errors.DedupFull(_QUEUE, 1_000_000, 1_000_000, 2.5),
    errors.GroupsFull(_QUEUE, 100_000, 100_000),
    errors.SelectionsFull(1_000, 1_000, 12.0),
    errors.LimitReached(
        "the server has reached queues_max of 100000 queues; delete some, or start q with a"
        " higher --queues-max",
        "queues_max",
        100_000,
        100_000,
    ),
    errors.CallsExceeded("billing-worker", "calls_per_second", 1_000, 1_000, 0.25),
    errors.Overloaded(
        "10000 calls are under way, as many as calls_max of 10000 allows; the call had no effect",
        "calls_max",
        10_000,
        10_000,
    ),
    errors.Unauthenticated(),
    errors.AccessDenied(
        "billing-worker may produce, but not consume, on queue 'mail'", right="consume"
    ),
    errors.AccessChanged("billing-worker"),
    errors.IdentityNotFound("billing-worker"),
    errors.AccessFixed(
        "q was started without --access, and asks nobody who they are: make an access file with"
        " `q tokens make`, and start q with --access FILE"
    ),
    errors.LastAdmin("k3f9a1b2", "operator"),
    errors.ShuttingDown("q is shutting down; the call had no effect"),
    errors.Busy(
        "33554433 bytes wait for the disk, more than journal_pending_bytes_max of 33554432",
        limit="journal_pending_bytes_max",
        value="33554432",
        current="33554433",
    ),
    errors.DiskFull("the disk was full, and the queue was read from it anew; call again"),
    errors.StoreFailed(
        "the DISK store failed (IOError: disk I/O error) and acknowledges nothing more; mend the"
        " disk and restart q, which serves all that was acknowledged"
    ),
    errors.DatabaseAway("the cluster's database was lost: the connection is closed"),
    errors.NotLeading("this q has stopped leading the cluster; call again"),
    errors.Unavailable("q has stopped serving; ask again when it has been started anew"),
    errors.DeadlineExceeded(
        "the call's deadline has passed; it may have taken effect all the same"
    ),
    errors.RequestTimeout(
        "the request did not come in whole within 30 seconds, as transfer_timeout demands; the"
        " call had no effect",
        limit="transfer_timeout",
        value="30",
    ),
    errors.DataLoss([17, 18]),
)

#: How long to wait, where each error of the reason says something else.
_WAITS: Final = {
    "QUEUE_EMPTY": "as told, if messages are held back",
    "QUOTA_REACHED": "1 s; not if queues are too many",
    "DEDUP_FULL": "as told",
    "SELECTIONS_FULL": "as told",
    "CALLS_EXCEEDED": "as told",
}

#: The classes of the Python client by the reasons that they stand for.
_CLASSES: Final = {
    error.reason: name
    for name, error in inspect.getmembers(client_errors, inspect.isclass)
    if issubclass(error, client_errors.QmqError) and error.reason
}


def _overview() -> Iterator[str]:
    """Yield the lines of the table of all errors."""
    yield "| reason | gRPC | HTTP | Python | wait |"
    yield "|---|---|---|---|---|"
    for error in EXAMPLES:
        code = code_of(error)
        http_status = HTTP_STATUSES.get(code, 405)
        python = f"`qmq.{_CLASSES[error.reason]}`" if error.reason in _CLASSES else "none"
        seconds = "no" if error.retry_after_s is None else f"{error.retry_after_s:g} s"
        wait = _WAITS.get(error.reason, seconds)
        link = f"[`{error.reason}`](#{error.reason.lower()})"
        yield f"| {link} | {code.name} | {http_status} | {python} | {wait} |"


def _facts(error: errors.QError) -> Iterator[str]:
    """Yield what there is to say of an error besides what to do."""
    yield " ".join((type(error).__doc__ or "").split())
    yield ""
    yield f"> {error.message}"
    yield ""
    if error.metadata:
        yield f"Metadata: {', '.join(f'`{key}`' for key in error.metadata)}."
        yield ""


def page() -> str:
    """The whole page."""
    by_reason = {error.reason: error for error in EXAMPLES}

    def lines() -> Iterator[str]:
        for line in _TEMPLATE.read_text(encoding="utf-8").splitlines():
            if line == _OVERVIEW:
                yield from _overview()
                continue
            yield line
            if reason := _REASON.fullmatch(line):
                yield from _facts(by_reason[reason[1]])

    return "\n".join(lines()) + "\n"


def main(file: str) -> None:
    """Write the page."""
    Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
