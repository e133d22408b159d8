"""The connection that the settings describe. Whoever imports this loads gRPC."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from qmq.cli.failures import Failure, failure_of
from qmq.cli.settings import Settings
from qmq.cli.stop import Interrupted
from qmq.client._sync.connection import Connection
from qmq.client.address import is_this_machine, parse_address, split_scheme
from qmq.client.errors import AddressError, QmqError
from qmq.client.on_threads.channel import GrpcChannel
from qmq.client.options import TIMEOUT_S, TLS, Retry


@contextmanager
def connected(settings: Settings, what: str, *, prints: bool = True) -> Iterator[Connection]:
    """Give a connection, and close it. It connects at the first call.

    What ends the calls ends the command, unless it is caught within.

    Args:
        settings: to which server, and how.
        what: what cannot be done otherwise, for errors: "cannot purge queue".
        prints: whether something is printed, so that it makes no sense to begin while standard
            output is closed: a message that is popped then would be lost.

    Raises:
        Failure: standard output is closed, there is no such connection, or a call has failed.
        click.exceptions.Exit: it was interrupted.
    """
    # Python's sign of a standard output that was closed before it started.
    if prints and sys.stdout is None:
        raise Failure(f"{what}: standard output is closed")
    try:
        channel = _open(settings)
    except AddressError as error:
        raise failure_of(what, error) from error
    except OSError as error:
        raise Failure(f"{what}: {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise Failure(f"{what}: {error}") from error
    try:
        yield Connection(channel, timeout_s=TIMEOUT_S, retry=Retry())
    except QmqError as error:
        raise failure_of(what, error) from error
    except Interrupted as interrupted:
        raise click.exceptions.Exit(interrupted.exit_code) from interrupted
    finally:
        channel.close()


def _open(settings: Settings) -> GrpcChannel:
    """Make a connection. Raises AddressError, ValueError, OSError."""
    texts, is_https = split_scheme(settings.server)
    address = parse_address(texts)
    is_tls = settings.is_tls if settings.is_tls is not None else bool(is_https)
    if (settings.token or settings.token_file) and not is_tls and not is_this_machine(address):
        raise ValueError(f"a token is sent to {address} with TLS only: give --tls or --ca")
    tls = TLS(ca_file=settings.ca_file, cert_file=settings.cert_file, key_file=settings.key_file)
    return GrpcChannel(
        settings.server,
        tls=tls if is_tls else None,
        token=settings.token,
        token_file=settings.token_file,
    )
