"""How qcli ends: its exit statuses, and errors as the one line that a person reads."""

from typing import Final

import click

from qmq.cli.table import printable
from qmq.client.errors import (
    AddressError,
    DeadlineExceeded,
    HandshakeFailed,
    LimitReached,
    QmqError,
    QueueEmpty,
    QueueNotFound,
    ServerNotReached,
    Unauthenticated,
    Unavailable,
)

#: The server refused, or standard input or output could not be read or written.
FAILED: Final = 1
#: The command line or the configuration file makes no sense.
USAGE: Final = 2
#: The queue had no message.
EMPTY: Final = 3
#: The server was not reached, or did not answer: trying again later may help.
NOT_ANSWERED: Final = 4
#: A lease has ended before, or never was one.
REFUSED: Final = 5
#: As a shell reports a program that Ctrl-C ended.
INTERRUPTED: Final = 130

_MAKE_A_QUEUE: Final = '"qcli list" shows what queues there are, "qcli new" makes one'
_SHOW_WHO_YOU_ARE: Final = (
    "give a token by --token-file or QCLI_TOKEN, a certificate by --cert and --key"
)
_START_A_SERVER: Final = 'start one with "q", or name another with --server or QCLI_SERVER'


class Failure(click.ClickException):
    """The end of a command, in one line and an exit status."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # Click reads it from the instance.


def failure_of(what: str, error: QmqError | AddressError, more: str = "") -> Failure:
    """Return the end that an error of a call makes.

    Args:
        what: what could not be done, for example `cannot pop message from queue`.
        error: why.
        more: what else there is to say.
    """
    if isinstance(error, AddressError):
        return Failure(f"{what}: {error}")
    message = f"{what}: {error.code}: {error.message}"
    if isinstance(error, LimitReached) and error.limit:
        message += f" ({_limit(error)})"
    if isinstance(error, QueueEmpty) and error.retry_after_s is not None:
        message += f" (retry after {error.retry_after_s:g} s)"
    if isinstance(error, ServerNotReached) and not isinstance(error, HandshakeFailed):
        message += f"; {_START_A_SERVER}"
    if isinstance(error, QueueNotFound):
        message += f"; {_MAKE_A_QUEUE}"
    if isinstance(error, Unauthenticated):
        message += f"; {_SHOW_WHO_YOU_ARE}"
    if more:
        message += f"; {more}"
    return Failure(message, _status_of(error))


def _limit(error: LimitReached) -> str:
    """Return what an error says of a limit, for programs to find."""
    facts = f"{error.limit} {error.value}, current {error.current}"
    if error.retry_after_s is None:
        return facts
    return f"{facts}, retry after {error.retry_after_s:g} s"


def print_error(message: str) -> None:
    """Print one line that no character in a server's message can break or colour."""
    click.echo(f"qcli: error: {printable(message)}", err=True)


def _status_of(error: QmqError) -> int:
    if isinstance(error, QueueEmpty):
        return EMPTY
    if isinstance(error, Unavailable | DeadlineExceeded):
        return NOT_ANSWERED
    return FAILED
