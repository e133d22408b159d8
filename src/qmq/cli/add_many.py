"""Adding a message for each line of standard input. Whoever imports this loads gRPC."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import click

from qmq.cli.actions import AddMany
from qmq.cli.check_there import check_there
from qmq.cli.connect import connected
from qmq.cli.failures import Failure, failure_of
from qmq.cli.progress import Progress
from qmq.cli.records import BadLine, read_message
from qmq.cli.settings import Settings
from qmq.cli.standard_input import bytes_left, chunks, has_more, lines_of
from qmq.cli.stop import Interrupted, Stop
from qmq.client._sync.connection import Connection
from qmq.client.encode import add_batch, has_dedup_id, new_message
from qmq.client.errors import (
    DeadlineExceeded,
    InvalidArgument,
    MessageTooLarge,
    QmqError,
    Unavailable,
)
from qmq.client.options import TIMEOUT_S, Retry
from qmq.limits import BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX
from qmq.wire import q_pb2 as pb

_FAILURE: Final = "cannot add message to queue"

#: How the server calls the one message of a batch.
_THE_MESSAGE: Final = re.compile(r"^messages\[0\](: |\.)")

#: Some seconds longer than it takes until another q leads a cluster: who gives many lines would
#: rather wait than begin again in the middle.
_RETRY: Final = Retry(duration=10.0)

#: Makes of a line the message that stands in a request.
Encode = Callable[[bytes], bytes]


def add_many(action: AddMany, settings: Settings) -> None:
    """Add a message for each line, in order.

    One batch is on its way at a time, so what is stored is always the first so many lines.

    Raises Failure, which says how many that are.
    """
    with connected(settings, _FAILURE, prints=False) as connection, Stop() as stop:
        check_there(connection.channel, action.queue_id)
        patient = Connection(connection.channel, timeout_s=TIMEOUT_S, retry=_RETRY)
        load = _Load(patient, action, stop)
        try:
            load.run()
        except Failure as failure:
            message = f"{failure.message}; {load.state()}"
            raise Failure(message, failure.exit_code) from failure
        except QmqError as error:
            raise failure_of(_FAILURE, error, load.state()) from error
        except Interrupted as interrupted:
            raise Failure(f"interrupted; {load.state()}", interrupted.exit_code) from interrupted
        if load.lines_total < action.skip:
            raise Failure(
                f"--skip {action.skip} leaves out more than the {load.lines_total} lines there are"
            )
        if load.known:
            what = "1 line was" if load.known == 1 else f"{load.known} lines were"
            note = f"qcli: {what} not added, since the queue knows the dedup_id"
            click.echo(note, err=True)


class _Load:
    """Lines on their way from standard input into a queue."""

    def __init__(self, connection: Connection, action: AddMany, stop: Stop) -> None:
        self._connection = connection
        self._action = action
        self._stop = stop
        self._encode = _encoder(action)
        #: How many lines were read so far.
        self.lines_total = 0
        #: How many of them the server has acknowledged, or were left out.
        self._stored = action.skip
        #: How many of these were there already, by their dedup_ids.
        self.known = 0
        #: How many lines after those were sent without an answer.
        self._unknown = 0
        #: Bytes of standard input that were looked at.
        self._bytes = 0

    def run(self) -> None:
        """Add every line. Raises Failure, QmqError, Interrupted."""
        with Progress(bytes_left(), "lines") as progress:
            for batch in self._batches():
                with self._stop.deferred():
                    self._send(batch)
                progress.show(self._stored, self._bytes)

    def state(self) -> str:
        """Say what is stored and how to go on."""
        if not self._stored and not self._unknown:
            return "nothing is stored"
        first = "first line is" if self._stored == 1 else f"first {self._stored} lines are"
        state = f"the {first} stored" if self._stored else "no line is known to be stored"
        if self._unknown:
            state += f"; the next {self._unknown} may be, since their answer was lost"
        return f"{state}; to go on, give the same lines with --skip {self._stored}"

    def _batches(self) -> Iterator[list[bytes]]:
        """Gather what can be sent together, without waiting for more of it to come.

        A bad line ends it, after the lines before it.
        """
        action = self._action
        batch: list[bytes] = []
        size = 0
        for lines in lines_of(self._pieces(), action.end, keeps_ends=action.keeps_ends):
            for line in lines:
                self.lines_total += 1
                if self.lines_total <= action.skip:
                    continue
                try:
                    record = self._encode(line)
                except BadLine as error:
                    yield batch
                    raise Failure(f"{_FAILURE}: line {self.lines_total}: {error}") from error
                if len(batch) >= BATCH_MESSAGES_MAX or size + len(record) > MESSAGE_BYTES_MAX:
                    yield batch
                    batch, size = [], 0
                batch.append(record)
                size += len(record)
            if batch and not has_more():
                yield batch
                batch, size = [], 0
        yield batch

    def _pieces(self) -> Iterator[bytes]:
        for piece in chunks("the lines"):
            self._bytes += len(piece)
            yield piece

    def _send(self, batch: list[bytes]) -> None:
        """Send messages, in several parts if need be. Raises QmqError, Failure."""
        while batch:
            try:
                stored = self._add(batch)
            except (InvalidArgument, MessageTooLarge) as error:
                # Nothing was stored, and it may be the fault of one of them, or of all together.
                if len(batch) == 1:
                    error.args = (_THE_MESSAGE.sub("", error.message),)
                    what = f"cannot add line {self._stored + 1} to queue"
                    raise failure_of(what, error) from error
                middle = len(batch) // 2
                self._send(batch[:middle])
                batch = batch[middle:]
            else:
                # Those that the queue had no room for are sent again: there may be some by
                # now, and if there is none the server says so.
                batch = batch[stored:]

    def _add(self, batch: list[bytes]) -> int:
        """Send messages and return how many of them, from the first, were stored."""
        action = self._action
        request = add_batch(action.queue_id, batch, partial=True, durability=action.durability)
        self._unknown = len(batch)
        # The first line that has no dedup_id tells.
        is_safe = all(map(has_dedup_id, batch))
        try:
            data = self._connection.call("AddBatch", request, repeatable=is_safe)
        except QmqError as error:
            if not _may_have_happened(error):
                self._unknown = 0
            raise
        reply = pb.AddBatchResponse.FromString(data)
        stored = len(reply.messages)
        self._stored += stored
        self.known += len(reply.deduplicated)
        self._unknown = 0
        return stored


def _may_have_happened(error: QmqError) -> bool:
    """Tell whether a call may have taken effect all the same."""
    if isinstance(error, Unavailable):
        return error.may_have_happened
    # Errors of no class of their own are faults of the server, or of what stands before it.
    return isinstance(error, DeadlineExceeded) or type(error) is QmqError


def _encoder(action: AddMany) -> Encode:
    """Return what makes a message of a line; it may raise BadLine."""
    tags, of_all = action.tags, pb.MessageOptions(**action.options)
    if not action.is_jsonl:
        options = _unless_empty(of_all)
        return lambda line: new_message(line, tags, options)

    def encode(line: bytes) -> bytes:
        payload, own_tags, own = read_message(line)
        return new_message(payload, (*own_tags, *tags), _unless_empty(_merged(own, of_all)))

    return encode


def _merged(own: pb.MessageOptions, of_all: pb.MessageOptions) -> pb.MessageOptions:
    """Return the options of a line, and of those of all lines what it says nothing about."""
    merged = pb.MessageOptions()
    merged.CopyFrom(of_all)
    for names in (("delay", "available_at"), ("ttl", "expires_at")):
        # The one says the same as the other.
        if any(map(own.HasField, names)):
            for name in names:
                merged.ClearField(name)
    merged.MergeFrom(own)
    return merged


def _unless_empty(options: pb.MessageOptions) -> pb.MessageOptions | None:
    return options if options.ByteSize() else None
