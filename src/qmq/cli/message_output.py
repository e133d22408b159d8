"""Messages on standard output, none lost unnoticed. Whoever imports this loads protobuf."""

import os
import select
import sys
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

from qmq.cli.call import Lease, Take
from qmq.cli.failures import FAILED
from qmq.cli.records import leased_record, line_of, message_record
from qmq.cli.reply import reply_json
from qmq.cli.stop import Stop
from qmq.client.values import Message
from qmq.wire import q_pb2 as pb

#: Milliseconds after which a reader that does not read is taken for one.
_PATIENCE_MS: Final = 100

#: Makes of a message what is printed.
Encode: TypeAlias = Callable[[Message[Any]], bytes]

#: Makes what is printed of a message and the lease on it.
EncodeLeased: TypeAlias = Callable[[pb.LeasedMessage], bytes]


class Unprinted(Exception):
    """Messages, of which none or only a part was written, and why."""

    def __init__(self, count: int, reason: str, exit_code: int = FAILED) -> None:
        super().__init__(reason)
        self.count = count
        self.exit_code = exit_code


def encoder(action: Take) -> Encode:
    """Return what makes of a message what `action` says is printed."""
    if action.output == "raw":
        end = action.end
        return lambda message: message.payload + end
    if action.output == "jsonl":
        return lambda message: f"{line_of(message_record(message))}\n".encode()
    return lambda message: f"{reply_json(_reply(message))}\n".encode()


def leased_encoder(action: Lease) -> EncodeLeased:
    """Return what makes of a message and its lease what `action` says is printed."""
    if action.output == "raw":
        end = action.end
        return lambda leased: b"%s\t%s" % (leased.lease_id.encode(), leased.message.payload + end)
    if action.output == "jsonl":
        return lambda leased: f"{line_of(leased_record(leased))}\n".encode()
    return lambda leased: f"{reply_json(pb.LeaseResponse(messages=[leased]))}\n".encode()


def print_messages(texts: Sequence[bytes], stop: Stop) -> None:
    """Write messages, whole, though a signal comes; a second one ends it if nobody reads.

    Args:
        texts: what is printed of each.
        stop: tells of signals.

    Raises Unprinted.
    """
    data = memoryview(b"".join(texts))
    # Not by way of sys.stdout, which would not tell how far it came.
    descriptor = sys.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    written = 0

    def left() -> int:
        return len(texts) - sum(end <= written for end in accumulate(map(len, texts)))

    with stop.held():
        while written < len(data):
            if not poll.poll(_PATIENCE_MS):
                if stop.insists:
                    raise Unprinted(left(), "interrupted", stop.interrupted().exit_code)
                continue
            try:
                # So much has room in a pipe that has room, and the call returns at once.
                written += os.write(descriptor, data[written : written + select.PIPE_BUF])
            except BlockingIOError:
                # A terminal that somebody has made so, and that has less room.
                continue
            except OSError as error:
                raise Unprinted(left(), str(error.strerror)) from error


def is_read() -> bool:
    """Tell whether what is written to standard output has somewhere to go."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # Errors are told unasked.
    return not poll.poll(0)


def _reply(message: Message[Any]) -> pb.PopResponse:
    """Return a message as the answer of a Pop."""
    wire = pb.Message(payload=message.payload)
    wire.meta.id = message.id
    wire.meta.created.FromNanoseconds(message.created_ns)
    for tag in message.tags:
        wire.meta.tags.add(key=tag.key, value=tag.value)
    if dead := message.dead_letter:
        wire.dead_letter.CopyFrom(
            pb.DeadLetter(
                reason=dead.reason.name if dead.reason else None,
                text=dead.text,
                source_queue_id=dead.source_queue_id,
                delivery_count=dead.delivery_count,
            )
        )
        wire.dead_letter.moved.FromNanoseconds(dead.moved_ns)
    for attempt in message.attempts:
        made = wire.attempts.add(
            consumer=attempt.consumer,
            outcome=attempt.outcome.name if attempt.outcome else None,
            reason=attempt.reason,
        )
        made.leased.FromNanoseconds(attempt.leased_ns)
        made.ended.FromNanoseconds(attempt.ended_ns)
    return pb.PopResponse(message=wire)
