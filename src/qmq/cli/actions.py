"""The actions that commands stand for, as plain values.

Commands return one of these instead of acting, so that help, completion and usage errors load no
gRPC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from qmq.values import Durability

#: Fields of a request, by their names in the proto.
Fields: TypeAlias = Mapping[str, Any]

#: How replies about queues are printed. `plain` is what the original printed, and further
#: settings only if they differ from the default.
Output: TypeAlias = Literal["plain", "json", "jsonl", "table"]

#: How messages are printed.
MessageOutput: TypeAlias = Literal["json", "jsonl", "raw"]

#: How messages are printed that are looked at.
BrowseOutput: TypeAlias = Literal["json", "jsonl", "raw", "table"]

#: What queues are sorted by: names from A to Z, all others the largest first.
Sort: TypeAlias = Literal[
    "ready",
    "leased",
    "delayed",
    "bytes",
    "oldest",
    "added",
    "done",
    "rate",
    "dead",
    "waiting",
    "name",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the service, and its reply printed."""

    #: How an error message begins, for example `cannot pop message from queue`.
    failure: str
    #: The method's name in the service, for example `Pop`.
    method: str
    #: The request's fields by their names in the proto.
    fields: Fields
    #: Whether the reply is printed.
    prints_reply: bool = True
    output: Output = "plain"
    #: Whether the exit status of every error is 1, as it was of the original's commands.
    is_original: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMany:
    """A message for each line of standard input."""

    queue_id: str
    #: Whether a line is a JSON object rather than a payload.
    is_jsonl: bool
    #: What ends a line, one byte.
    end: bytes
    #: Whether that belongs to the payload.
    keeps_ends: bool
    #: How many lines to leave out.
    skip: int
    #: Of every message: pairs of key and value.
    tags: tuple[tuple[str, str], ...]
    #: Of every message, where its line says nothing else: those of a proto.MessageOptions.
    options: Fields
    #: How durable each batch is; UNKNOWN leaves it to the queue.
    durability: Durability = Durability.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Messages from the head of a queue, printed."""

    #: Empty if there is a selector.
    queue_id: str
    output: MessageOutput
    #: What is printed after a payload with `raw`.
    end: bytes
    #: How many at most; None is no limit.
    count: int | None
    #: Seconds to wait for each next message; None waits for ever.
    wait_s: float | None
    #: Whether the message stays in the queue; there is one then.
    is_peek: bool = False
    #: How durable it is that they are gone; UNKNOWN leaves it to the queue. JSON shows what was
    #: reached if it is given.
    durability: Durability = Durability.UNKNOWN
    #: In place of a queue: which ones.
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Messages on lease, printed."""

    #: Empty if there is a selector.
    queue_id: str
    output: MessageOutput
    #: What is printed after a payload with `raw`.
    end: bytes
    #: How many at most.
    count: int
    #: Seconds to wait for the first message; inf waits for ever.
    wait_s: float
    #: Seconds; None leaves it to the queue.
    lease_s: float | None
    #: What the consumer calls itself.
    consumer: str
    #: How durable the leases are; UNKNOWN leaves it to the queue.
    durability: Durability = Durability.UNKNOWN
    #: In place of a queue: which ones.
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Leases acked, given back or extended."""

    method: Literal["Ack", "Nack", "Extend"]
    queue_id: str
    #: None reads them from standard input, one a line.
    lease_ids: tuple[str, ...] | None
    #: Further fields of the request.
    fields: Fields
    #: How the moments at which leases end are printed.
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Browse:
    """Messages of a queue, printed page by page."""

    output: BrowseOutput
    #: How many at most; None is no limit.
    count: int | None
    #: Those of the request.
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """All messages of a queue removed, if a person says so once more."""

    queue_id: str
    #: Whether that was said already.
    is_sure: bool
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Single messages deleted or moved."""

    method: Literal["DeleteMessages", "MoveMessages"]
    queue_id: str
    #: None reads them from standard input, one a line.
    message_ids: tuple[str, ...] | None
    #: Further fields of the request.
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """A redrive, started or looked at, and followed until it has ended."""

    #: The call that starts it; None if it has an id.
    start: Call | None
    redrive_id: str
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSchedules:
    """The schedules of a queue, or of all, printed."""

    #: Empty for all queues.
    queue_id: str
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseSchedule:
    """A schedule that stands still from now on, or goes on."""

    queue_id: str
    name: str
    is_paused: bool
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroups:
    """The groups of a queue, printed."""

    queue_id: str
    #: Only those in one of these, by their names in the proto; none for all.
    states: tuple[str, ...]
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A command run for each message of a queue."""

    #: Empty if there is a selector.
    queue_id: str
    #: The program and its arguments.
    command: tuple[str, ...]
    #: How many run at one time.
    concurrency: int
    #: Seconds; None leaves it to the queue.
    lease_s: float | None
    #: What the consumer calls itself.
    consumer: str
    #: How durable leases and their ends are; UNKNOWN leaves it to the queue.
    durability: Durability = Durability.UNKNOWN
    #: In place of a queue: which ones.
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """A table of all queues with their rates, again and again."""

    sort: Sort
    #: Seconds between two looks.
    interval_s: float
    #: Whether it is shown once.
    is_once: bool
    #: What the tags of the queues are like; empty for all queues.
    selector: str = ""


Action: TypeAlias = (
    Call
    | AddMany
    | Take
    | Lease
    | Settle
    | Browse
    | Purge
    | Pick
    | Redrive
    | ListSchedules
    | PauseSchedule
    | ListGroups
    | Work
    | Top
)
