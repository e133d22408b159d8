"""The command `q probe`."""

import sys
from typing import TYPE_CHECKING

import click

from qmq.server.address import Address
from qmq.server.config import Config
from qmq.server.option_kinds import ADDRESS
from qmq.server.options import Told, Value

if TYPE_CHECKING:
    import ssl


@click.command()
@click.argument("address", required=False, type=Value(ADDRESS), metavar="[HOST]:PORT")
@click.option("--ready", "path", flag_value="/readyz", help="Ask whether it is ready as well.")
@click.option("--tls", "has_tls", is_flag=True, help="By TLS; without an address, as q has it.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the answer.",
)
@click.pass_obj
def probe(
    told: Told[Config],
    address: Address | None,
    path: str | None,
    timeout_s: float,
    *,
    has_tls: bool,
) -> None:
    """Ask a q whether it is alive.

    For health checks of containers. Without an address, that is the q on this machine that has
    the same options: flags and variables count as they do for q itself. Where clients have to show
    a certificate, it is shown that of q, which then has to be for clients as well. A qrest answers
    where it listens.

    Prints what it says. Exits with status 0 if it is alive, or ready, and 1 otherwise.
    """
    # Imported late: help and usage errors, and q itself, need none of it.
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    config = told.config()
    where = address or config.metrics
    host = "localhost" if where.is_every_host else where.host
    scheme = "https" if has_tls or (config.tls_cert and not address) else "http"
    url = f"{scheme}://{Address(host, where.port)}{path or '/healthz'}"
    try:
        direct = urllib.request.build_opener(
            # One that the environment names is for other machines.
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=_trust(config)),
        )
        with direct.open(url, timeout=timeout_s) as reply:
            click.echo(reply.read())
    except urllib.error.HTTPError as error:
        click.echo(error.read())
        sys.exit(1)
    except OSError as error:
        click.echo(f"q: error: {url}: {error}", err=True)
        sys.exit(1)


def _trust(config: Config) -> "ssl.SSLContext":
    """Make what TLS needs to ask a q on this machine, whatever name its certificate is for."""
    import ssl  # noqa: PLC0415

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if config.tls_cert and config.tls_key:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    return context
