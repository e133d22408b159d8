"""The payload of a message, read from standard input."""

import os
import sys
from typing import Final

import click

#: Protobuf encodes no message of 2 GiB or more. What a server takes is far less, and is
#: the server's to say.
_PAYLOAD_BYTES_MAX: Final = 2**31 - 2**16

_CHUNK_BYTES: Final = 1024 * 1024


def read_payload() -> bytes:
    """Return every byte of standard input. Raises click.ClickException."""
    # Python's sign of a standard input that was closed before it started.
    if sys.stdin is None:
        message = "cannot read the payload: standard input is closed"
        raise click.ClickException(message)
    if sys.stdin.isatty():
        click.echo("reading payload from standard input; end with Ctrl-D", err=True)
    payload = bytearray()
    try:
        while chunk := os.read(sys.stdin.fileno(), _CHUNK_BYTES):
            payload += chunk
            if len(payload) > _PAYLOAD_BYTES_MAX:
                message = "cannot read the payload: it passes the 2 GiB that a request holds"
                raise click.ClickException(message)
    except OSError as error:
        message = f"cannot read the payload: {error.strerror}"
        raise click.ClickException(message) from error
    return bytes(payload)
