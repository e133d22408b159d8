"""Running a command for each message of a queue. Whoever imports this loads gRPC."""

import errno
import logging
import shutil
import signal
import sys
from functools import partial
from typing import Any, Final, NoReturn

import click

from qmq.cli.actions import Work
from qmq.cli.check_there import check_there
from qmq.cli.command_process import Commands, UnfitPayload, variables_of
from qmq.cli.connect import connected
from qmq.cli.failures import Failure
from qmq.cli.settings import Settings
from qmq.cli.stop import Stop
from qmq.cli.table import printable
from qmq.client._sync.client import Client
from qmq.client._sync.lease import LeasedMessage
from qmq.client._sync.queue import Queue
from qmq.client._sync.selection import Selection
from qmq.client._sync.worker import Worker
from qmq.client.endings import Reject, Release
from qmq.client.errors import QmqError

_FAILURE: Final = "cannot work on queue"

#: The exit status by which a command says that nobody can do the work: EX_DATAERR of sysexits.
REJECTED: Final = 65

#: Seconds that commands have to end, once no more are begun: all that they need.
_GRACE_S: Final = 1e9


def work(action: Work, settings: Settings) -> None:
    """Run a command for each message, until somebody interrupts.

    Raises Failure; click's Exit when it was interrupted and all that ran has ended.
    """
    program = action.command[0]
    if shutil.which(program) is None:
        raise Failure(f"{_FAILURE}: there is no program {program}")
    _log_to_standard_error()
    with connected(settings, _FAILURE, prints=False) as connection, Stop() as stop:
        check_there(connection.channel, action.queue_id, action.selector)
        client = Client.over(connection.channel)
        source: Queue[Any] | Selection[Any] = (
            client.selection(action.selector) if action.selector else client.queue(action.queue_id)
        )
        _Working(action, source, stop).run()


class _Working:
    """Runs a command for each message, and settles the message by how that ended."""

    def __init__(self, action: Work, source: Queue[Any] | Selection[Any], stop: Stop) -> None:
        self._action = action
        self._stop = stop
        self._commands = Commands(action.command)
        #: Why the command cannot be started.
        self._problem: OSError | None = None

        def handle(message: LeasedMessage[Any]) -> None:
            self._handle(message)

        # What the client's log calls it.
        handle.__qualname__ = self._program
        make = source.worker(
            concurrency=action.concurrency,
            lease_duration=action.lease_s,
            consumer=action.consumer,
            durability=action.durability,
        )
        self._worker: Worker[Any, None] = make(handle)

    def run(self) -> None:
        """Work until somebody interrupts. Raises Interrupted, Failure, QmqError."""
        run = partial(self._worker.run, grace=_GRACE_S, handle_signals=False)
        self._stop.attend(run, self._interrupt)
        if self._problem:
            raise Failure(f"{_FAILURE}: cannot run {self._program}: {self._problem.strerror}")

    @property
    def _program(self) -> str:
        return self._action.command[0]

    def _interrupt(self) -> None:
        """Begin no more at the first signal; kill those that run at the second."""
        self._worker.stop()
        if self._stop.insists:
            self._commands.kill()
        elif sys.stderr is not None and sys.stderr.isatty():
            _say("waiting for the commands that run; a second signal kills them")

    def _handle(self, message: LeasedMessage[Any]) -> None:
        """Run the command for a message. To return acks it."""
        variables = variables_of(message.queue_id, message.id, message.delivery_count, message.tags)
        try:
            ended = self._commands.run(message.payload, variables)
        except UnfitPayload as error:
            self._reject(message, str(error))
        except OSError as error:
            if error.errno == errno.E2BIG:
                self._reject(message, "the payload is larger than an argument of a command can be")
            # It is not the message's fault, and would be the same with all others.
            self._problem = error
            self._worker.stop()
            raise Release from error
        if self._commands.are_killed and ended.status == -signal.SIGKILL:
            raise Release
        if ended.status == REJECTED:
            self._reject(message, ended.reason)
        if ended.status:
            self._fail(message, ended.reason)

    def _fail(self, message: LeasedMessage[Any], reason: str) -> None:
        _say(f"message {message.id} failed: {reason}")
        try:
            message.fail(reason)
        except QmqError as error:
            _say(f"message {message.id} was not given back: {error}")
            raise

    def _reject(self, message: LeasedMessage[Any], reason: str) -> NoReturn:
        _say(f"message {message.id} is rejected: {reason}")
        raise Reject(reason)


def _say(text: str) -> None:
    """Tell a person, on one line."""
    click.echo(f"qcli: {printable(text)}", err=True)


class _OneLine(logging.Handler):
    """What the client logs, for a person."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        error = record.exc_info[1] if record.exc_info else None
        _say(record.getMessage() + (f": {error}" if error else ""))


def _log_to_standard_error() -> None:
    """Let the client say there what goes wrong, and when that is over."""
    log = logging.getLogger("qmq.client")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_OneLine())
