"""The program `qrest`: a REST gateway to a message-queue server."""

import sys
from collections.abc import Callable
from typing import Any

import click

from qmq.errors import QError
from qmq.limits import MESSAGE_BYTES_MAX
from qmq.server.address import Address
from qmq.server.gateway import Settings, parse_duration, parse_server, start_gateway


def _parsed(
    parse: Callable[[str], Any],
) -> Callable[[click.Context, click.Parameter, str], Any]:
    """Make a click callback of a function that raises ValueError for a wrong text."""

    def callback(context: click.Context, parameter: click.Parameter, text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None

    return callback


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "QREST",
        "show_default": True,
    }
)
@click.version_option(package_name="qmq", prog_name="qrest")
@click.argument("server", envvar="QREST_SERVER", callback=_parsed(parse_server))
@click.option(
    "--listen",
    default=":80",
    metavar="[HOST]:PORT",
    show_envvar=True,
    callback=_parsed(Address.parse),
    help="Where to serve REST. Without a host: on all interfaces.",
)
@click.option(
    "-d", "--debug", is_flag=True, show_envvar=True, help="Write logs for people instead of JSON."
)
@click.option(
    "--close-after",
    default="1m",
    metavar="DURATION",
    show_envvar=True,
    callback=_parsed(parse_duration),
    help="How long a shutdown waits for requests before it closes connections.",
)
@click.option(
    "--kill-after",
    default="2m",
    metavar="DURATION",
    show_envvar=True,
    callback=_parsed(parse_duration),
    help="How long a shutdown may take at all.",
)
@click.option(
    "--message-bytes-max",
    default=MESSAGE_BYTES_MAX,
    type=click.IntRange(min=1),
    metavar="BYTES",
    show_envvar=True,
    help="The largest message to pass on; that of the server, if that was changed.",
)
def main(  # noqa: PLR0913  # one for each option
    *,
    server: Address,
    listen: Address,
    debug: bool,
    close_after: float,
    kill_after: float,
    message_bytes_max: int,
) -> None:
    """Serve the REST API of the q at SERVER, which is reached by gRPC.

    SERVER is HOST:PORT, or :PORT on this machine; QREST_SERVER stands for it.
    """
    settings = Settings(debug=debug, close_after_s=close_after, kill_after_s=kill_after)
    try:
        start_gateway(
            listen=listen, server=server, message_bytes_max=message_bytes_max, settings=settings
        )
    except QError as error:
        click.echo(f"qrest: error: {error.message}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
