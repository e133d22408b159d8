"""Standard input: one payload, or many lines."""

import os
import select
import sys
from collections.abc import Iterable, Iterator
from typing import Final

import click

from qmq.cli.failures import Failure
from qmq.limits import JOURNAL_PENDING_BYTES_MAX

#: Protobuf encodes no message of 2 GiB or more. What a server takes is far less, and is
#: the server's to say.
_PAYLOAD_BYTES_MAX: Final = 2**31 - 2**16

#: The largest message that a q can be told to take.
_LINE_BYTES_MAX: Final = JOURNAL_PENDING_BYTES_MAX

#: Some thousand lines: enough to fill batches, and next to nothing in memory.
_CHUNK_BYTES: Final = 256 * 1024


def read_payload() -> bytes:
    """Return every byte of standard input. Raises Failure."""
    payload = bytearray()
    for chunk in chunks("the payload"):
        payload += chunk
        if len(payload) > _PAYLOAD_BYTES_MAX:
            raise Failure("cannot read the payload: it passes the 2 GiB that a request holds")
    return bytes(payload)


def chunks(what: str) -> Iterator[bytes]:
    """Go through standard input, in pieces as they come.

    A person at a terminal is told so. Raises Failure, which says that `what` cannot be read.
    """
    # Python's sign of a standard input that was closed before it started.
    if sys.stdin is None:
        raise Failure(f"cannot read {what}: standard input is closed")
    if sys.stdin.isatty():
        shown = what.removeprefix("the ")
        click.echo(f"reading {shown} from standard input; end with Ctrl-D", err=True)
    while True:
        try:
            chunk = os.read(sys.stdin.fileno(), _CHUNK_BYTES)
        except OSError as error:
            raise Failure(f"cannot read {what}: {error.strerror}") from error
        if not chunk:
            return
        yield chunk


def has_more() -> bool:
    """Tell whether reading standard input would give something at once, if only its end."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def bytes_left() -> int | None:
    """How many bytes standard input holds, if it is a file."""
    try:
        at = os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR)
    except OSError:
        return None
    return max(os.fstat(sys.stdin.fileno()).st_size - at, 0) or None


def lines_of(pieces: Iterable[bytes], end: bytes, *, keeps_ends: bool) -> Iterator[list[bytes]]:
    r"""Cut what comes at each `end`; give together the lines, if any, that a piece completes.

    What stands behind the last end is a line too, if it is not empty. So b"a\n\nb" are
    the lines a, an empty one and b, with or without another line break at the end.

    Args:
        pieces: what comes.
        end: a byte.
        keeps_ends: whether it belongs to the line.

    Raises Failure if a line is larger than any message can be.
    """
    rest = bytearray()
    for piece in pieces:
        head, found, tail = piece.rpartition(end)
        if found:
            rest += head
            lines = bytes(rest).split(end)
            rest = bytearray(tail)
            yield [line + end for line in lines] if keeps_ends else lines
        else:
            rest += piece
            yield []
        if len(rest) > _LINE_BYTES_MAX:
            raise Failure(
                f"a line is larger than the {_LINE_BYTES_MAX} bytes that a message can have"
            )
    if rest:
        yield [bytes(rest)]
