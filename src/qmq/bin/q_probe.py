"""The command `q probe`."""

import sys
import urllib.error
import urllib.request

import click

from qmq.server.address import Address
from qmq.server.config import Config
from qmq.server.option_kinds import ADDRESS
from qmq.server.options import Told, Value


@click.command()
@click.argument("address", required=False, type=Value(ADDRESS), metavar="[HOST]:PORT")
@click.option("--ready", "path", flag_value="/readyz", help="Ask whether it is ready as well.")
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
def probe(told: Told[Config], address: Address | None, path: str | None, timeout_s: float) -> None:
    """Ask a q whether it is alive.

    For health checks of containers. Without an address, that is the q on this machine that has
    the same options: flags and variables count as they do for q itself. A qrest answers where
    it listens. Prints what it says. Exits with status 0 if it is alive, or ready, and 1 otherwise.
    """
    where = address or told.config().metrics
    host = "localhost" if where.is_every_host else where.host
    url = f"http://{Address(host, where.port)}{path or '/healthz'}"
    # A proxy that the environment names is for other machines.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=timeout_s) as reply:
            click.echo(reply.read())
    except urllib.error.HTTPError as error:
        click.echo(error.read())
        sys.exit(1)
    except OSError as error:
        click.echo(f"q: error: {url}: {error}", err=True)
        sys.exit(1)
