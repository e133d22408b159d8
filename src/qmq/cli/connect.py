"""The connection that the settings describe. Whoever imports this loads gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager

from qmq.cli.failures import FAILED, Failure, failure_of
from qmq.cli.settings import Settings
from qmq.client.address import is_this_machine, parse_address, split_scheme
from qmq.client.errors import AddressError
from qmq.client.on_threads.channel import GrpcChannel
from qmq.client.options import TLS


@contextmanager
def connected(settings: Settings, what: str) -> Iterator[GrpcChannel]:
    """Give a connection, and close it. It connects at the first call.

    Args:
        settings: to which server, and how.
        what: what cannot be done without one, for the error.

    Raises Failure.
    """
    try:
        channel = _open(settings)
    except AddressError as error:
        raise failure_of(what, error) from error
    except OSError as error:
        raise Failure(f"{what}: {error.filename}: {error.strerror}", FAILED) from error
    except ValueError as error:
        raise Failure(f"{what}: {error}", FAILED) from error
    try:
        yield channel
    finally:
        channel.close()


def _open(settings: Settings) -> GrpcChannel:
    """Make a connection. Raises AddressError, ValueError, OSError."""
    texts, is_https = split_scheme(settings.server)
    address = parse_address(texts)
    is_tls = settings.is_tls if settings.is_tls is not None else bool(is_https)
    if (settings.token or settings.token_file) and not is_tls and not is_this_machine(address):
        raise ValueError(f"a token is sent to {address} with TLS only: give --tls or --ca")
    files = (settings.ca_file, settings.cert_file, settings.key_file)
    tls = TLS(ca_file=files[0], cert_file=files[1], key_file=files[2]) if is_tls else None
    return GrpcChannel(
        settings.server, tls=tls, token=settings.token, token_file=settings.token_file
    )
