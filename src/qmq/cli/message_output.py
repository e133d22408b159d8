"""Messages on standard output, none lost unnoticed. Whoever imports this loads protobuf."""

import os
import select
import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from qmq.cli.actions import Lease, Take
from qmq.cli.failures import FAILED
from qmq.cli.records import Record, leased_record, line_of, message_record
from qmq.cli.reply import reply_json
from qmq.cli.stop import Stop
from qmq.client.codecs import AS_IS
from qmq.client.decode import popped
from qmq.wire import q_pb2 as pb

#: Milliseconds after which a reader that does not read is taken for one.
_PATIENCE_MS: Final = 100


class Unprinted(Exception):
    """Messages, of which none or only a part was written, and why."""

    def __init__(self, count: int, reason: str, exit_code: int = FAILED) -> None:
        super().__init__(reason)
        self.count = count
        self.exit_code = exit_code


def message_texts(action: Take, reply: pb.PopBatchResponse) -> list[bytes]:
    """Return what is printed of each message that was taken, as `action` says."""
    messages = reply.messages
    match action.output:
        case "raw":
            return [message.payload + action.end for message in messages]
        case "jsonl":
            return [_line(line_of(record)) for record in _records(reply)]
        case _:
            # As of a plain pop: nothing that the original did not say, unless asked for.
            level = reply.durability if action.durability else pb.Durability.UNKNOWN
            if action.selector:
                return [_line(reply_json(each)) for each in _divided(reply, level)]
            replies = (pb.PopResponse(message=each, durability=level) for each in messages)
            return [_line(reply_json(each)) for each in replies]


def _records(reply: pb.PopBatchResponse) -> Iterator[Record]:
    """Return each message, with its queue if that is one of many."""
    queue_ids = reply.queue_ids or [""] * len(reply.messages)
    for message, queue_id in zip(reply.messages, queue_ids, strict=True):
        record = message_record(popped(message, AS_IS))
        yield {"queue_id": queue_id, **record} if queue_id else record


def _divided(
    reply: pb.PopBatchResponse, level: pb.Durability.Level
) -> Iterator[pb.PopBatchResponse]:
    """Return a reply for each message of one."""
    for message, queue_id in zip(reply.messages, reply.queue_ids, strict=True):
        yield pb.PopBatchResponse(messages=[message], queue_ids=[queue_id], durability=level)


def leased_texts(action: Lease, reply: pb.LeaseResponse) -> list[bytes]:
    """Return what is printed of each message that was leased, as `action` says."""
    leased = reply.messages
    match action.output:
        case "raw":
            return [
                b"\t".join((*filter(None, (each.queue_id.encode(),)), each.lease_id.encode()))
                + b"\t"
                + each.message.payload
                + action.end
                for each in leased
            ]
        case "jsonl":
            return [_line(line_of(leased_record(each))) for each in leased]
        case _:
            level = reply.durability
            replies = (pb.LeaseResponse(messages=[each], durability=level) for each in leased)
            return [_line(reply_json(each)) for each in replies]


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


def _line(text: str) -> bytes:
    return f"{text}\n".encode()
