"""What a command asks for, as plain values.

Commands return one of these instead of doing it, so that help, completion and usage
errors load no gRPC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: How replies about queues are printed.
Output: TypeAlias = Literal["json", "jsonl", "table"]

#: How messages are printed.
MessageOutput: TypeAlias = Literal["json", "jsonl", "raw"]

#: What queues are sorted by: names from A to Z, all others the largest first.
Sort: TypeAlias = Literal["ready", "bytes", "oldest", "added", "popped", "rate", "waiting", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the service, and its reply printed."""

    #: How an error message begins, for example `cannot pop message from queue`.
    failure: str
    #: The method's name in the service, for example `Pop`.
    method: str
    #: The request's fields by their names in the proto.
    fields: Mapping[str, object]
    #: Whether the reply is printed.
    prints_reply: bool = True
    output: Output = "json"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Messages from the head of a queue, printed."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """A table of all queues with their rates, again and again."""

    sort: Sort
    #: Seconds between two looks.
    interval_s: float
    #: Whether it is shown once.
    is_once: bool


Action: TypeAlias = Call | AddMany | Take | Top
