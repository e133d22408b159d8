"""Making a call for many ids, a batch at a time. Whoever imports this loads gRPC."""

from collections.abc import Callable, Iterable, Sequence

import click
from google.rpc import code_pb2

from qmq.cli.connect import connected
from qmq.cli.failures import REFUSED, failure_of, print_error
from qmq.cli.named import batches
from qmq.cli.settings import Settings
from qmq.cli.stop import Stop
from qmq.client._sync.connection import Connection
from qmq.client.errors import QmqError
from qmq.wire import q_pb2 as pb


def ask_in_batches(  # noqa: PLR0913 - Each by name, but for what it is about.
    settings: Settings,
    what: str,
    named: tuple[str, ...] | None,
    nouns: str,
    *,
    ask: Callable[[Connection, list[str]], int],
    prints: bool = False,
) -> None:
    """Make a call for as many ids at a time as fit one; an interrupt waits for the end of a call.

    Args:
        settings: how the server is reached.
        what: what could not be done, for errors: "cannot ack message".
        named: the ids; None reads them from standard input, one a line.
        nouns: what has them, for errors: "leases".
        ask: makes the call, names those that it was refused for, and returns how many they are.
        prints: whether it prints something else on standard output.

    Raises:
        Failure: a call failed as a whole.
        click.exceptions.Exit: some were refused, or it was interrupted.
    """
    with connected(settings, what, prints=prints) as connection, Stop() as stop:
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
    if refused:
        raise click.exceptions.Exit(REFUSED)


def name_refused(
    what: str,
    noun: str,
    ids: Sequence[str],
    results: Iterable[pb.LeaseResult | pb.MessageResult],
) -> int:
    """Name what a call was refused for, and return how many those are.

    Args:
        what: what could not be done: "cannot ack message".
        noun: what has the ids: "lease".
        ids: those that the call was made for.
        results: what became of each.
    """
    refused = [(id_, each) for id_, each in zip(ids, results, strict=True) if each.code]
    for id_, result in refused:
        code = code_pb2.Code.Name(result.code)
        sentence = result.message if id_ in result.message else f"{noun} {id_}: {result.message}"
        print_error(f"{what}: {code}: {sentence}")
    return len(refused)
