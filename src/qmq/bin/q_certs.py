"""The command `q certs`."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from qmq.bin.failing import failing

#: By which clients reach a server on their own machine.
_HOSTS: Final = ("localhost", "127.0.0.1", "::1")

_DAYS: Final = 90


@click.group()
def certs() -> None:
    """Certificates for TLS."""


def _client(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Refuse a name that is none of a file, or that of another file."""
    if not name or "/" in name or name.startswith(".") or name in {"ca", "server"}:
        raise click.BadParameter(
            f"{name!r} is no name for files beside ca.pem and server.pem", context, parameter
        )
    return name


@certs.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A name or an address by which clients reach q, besides localhost; may be given several"
    " times.",
)
@click.option(
    "--client",
    metavar="NAME",
    default="client",
    show_default=True,
    callback=_client,
    help="The client's name: CN of its certificate's subject, and that of its files.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=_DAYS,
    show_default=True,
    help="How long the certificates hold. The CA holds for ten years.",
)
def dev(directory: Path, hosts: tuple[str, ...], client: str, days: int) -> None:
    """Make certificates in DIR to try TLS with: a CA, and those of q and of a client.

    Where there is a CA in DIR, it signs again: certificates are renewed, and those of further
    clients made. A q that runs takes the new ones by itself.

    Who has ca-key.pem can make more of them. For more than a trial take certificates of a CA that
    is looked after.
    """
    # Imported late: help and usage errors need none of it.
    from qmq.server.certificates import utc_now  # noqa: PLC0415
    from qmq.server.dev_certificates import CA, SERVER, make  # noqa: PLC0415

    every = [*_HOSTS, *hosts]
    with failing():
        made = make(
            directory, hosts=every, client=client, holds=timedelta(days=days), now=utc_now()
        )
    files = (
        made.cert(CA),
        made.cert(SERVER),
        made.key(SERVER),
        made.cert(client),
        made.key(client),
    )
    ca, cert, key, mine, my_key = (shlex.quote(str(path)) for path in files)
    click.echo(
        f"{'A new CA' if made.is_new_ca else 'The CA that was there'}, and certificates of q, for"
        f" {', '.join(dict.fromkeys(every))}, and of {client}, for {days} days.\n"
        "\n"
        "q that speaks TLS and asks clients for certificates:\n"
        f"  q --tls-cert {cert} --tls-key {key} --tls-client-ca {ca}\n"
        "\n"
        "What calls it:\n"
        f"  qcli --server https://localhost:10002 --ca {ca} --cert {mine} --key {my_key} list\n"
        f"  curl --cacert {ca} --cert {mine} --key {my_key} https://localhost:10002/v1/queues"
    )
