"""One call after the other, for as much as was named. Whoever imports this loads gRPC."""

from collections.abc import Callable

import click

from qmq.cli.connect import connected
from qmq.cli.failures import REFUSED, failure_of
from qmq.cli.named import batches
from qmq.cli.settings import Settings
from qmq.cli.stop import Interrupted, Stop
from qmq.client._sync.connection import Connection
from qmq.client.errors import QmqError
from qmq.client.options import TIMEOUT_S, Retry


def ask_in_batches(
    settings: Settings,
    what: str,
    named: tuple[str, ...] | None,
    nouns: str,
    ask: Callable[[Connection, list[str]], int],
) -> None:
    """Make a call for as many ids at a time as fit one; an interrupt waits for the end of a call.

    Args:
        settings: how the server is reached.
        what: what could not be done, for errors: "cannot ack message".
        named: the ids; None reads them from standard input, one a line.
        nouns: what has them, for errors: "leases".
        ask: makes the call, names those that it was refused for, and returns how many they are.

    Raises:
        Failure: a call failed as a whole.
        click.exceptions.Exit: some were refused, or it was interrupted.
    """
    with connected(settings, what) as channel, Stop() as stop:
        connection = Connection(channel, timeout_s=TIMEOUT_S, retry=Retry())
        done = refused = 0
        try:
            for ids in batches(named, f"the ids of {nouns}"):
                with stop.deferred():
                    left = ask(connection, ids)
                refused += left
                done += len(ids) - left
        except QmqError as error:
            more = f"{done} {nouns} were done before" if done else ""
            raise failure_of(what, error, more) from error
        except Interrupted as interrupted:
            raise click.exceptions.Exit(interrupted.exit_code) from interrupted
    if refused:
        raise click.exceptions.Exit(REFUSED)
