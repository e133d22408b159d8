"""The command `q migrate`."""

import asyncio
import sys

import click

from qmq.errors import QError
from qmq.server.option_kinds import POSTGRES
from qmq.server.options import Value
from qmq.store.postgres.dsn import Dsn


@click.command()
@click.option(
    "--postgres",
    "dsn",
    type=Value(POSTGRES),
    metavar="DSN",
    required=True,
    envvar="Q_POSTGRES",
    show_envvar=True,
    help="The cluster's database.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
def migrate(dsn: Dsn | None, *, dry_run: bool) -> None:
    """Bring the schema of a cluster's database up to what this q needs.

    Any number of q may run on the database meanwhile. Exits with status 0 if the schema is as this
    q needs it, and 1 if it is not.
    """
    if dsn is None:
        raise click.UsageError("--postgres: there is no cluster to migrate")
    # Imported late: help and usage errors need none of it.
    from qmq.store.postgres.connecting import Connector  # noqa: PLC0415
    from qmq.store.postgres.migrating import MIGRATIONS  # noqa: PLC0415
    from qmq.store.postgres.migrating import migrate as apply  # noqa: PLC0415

    try:
        # What a failure of its machine may lose is not this command's concern.
        steps = asyncio.run(apply(Connector(dsn, takes_unsynced=True), is_trial=dry_run))
    except QError as error:
        click.echo(f"q: error: {error.message}", err=True)
        sys.exit(1)
    for step in steps:
        about = step.script.partition("\n")[0].removeprefix("--").strip()
        click.echo(f"{'would make' if dry_run else 'made'} {step.version:04}: {about}")
    if not dry_run or not steps:
        click.echo(f"{dsn} has schema version {len(MIGRATIONS)}, which this q needs")
