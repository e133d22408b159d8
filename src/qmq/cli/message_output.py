"""Messages on standard output, none lost unnoticed. Whoever imports this loads protobuf."""

import os
import select
import sys
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from qmq.cli.call import Lease, Take
from qmq.cli.failures import FAILED
from qmq.cli.records import leased_record, line_of, message_record
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
            return [_line(line_of(message_record(popped(each, AS_IS)))) for each in messages]
        case _:
            # As of a plain pop: nothing that the original did not say, unless asked for.
            level = reply.durability if action.durability else pb.Durability.UNKNOWN
            replies = (pb.PopResponse(message=each, durability=level) for each in messages)
            return [_line(reply_json(each)) for each in replies]


def leased_texts(action: Lease, reply: pb.LeaseResponse) -> list[bytes]:
    """Return what is printed of each message that was leased, as `action` says."""
    leased = reply.messages
    match action.output:
        case "raw":
            return [
                b"%s\t%s" % (each.lease_id.encode(), each.message.payload + action.end)
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
