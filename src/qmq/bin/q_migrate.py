"""The command `q migrate`."""

import asyncio

import click

from qmq.bin.failing import failing
from qmq.server.config import Config
from qmq.server.option_kinds import NONE, POSTGRES
from qmq.server.options import Told, together
from qmq.store.postgres.dsn import Databases


@click.command()
@click.option(
    "--postgres",
    "databases",
    multiple=True,
    callback=together(POSTGRES),
    metavar="[NAME=]DSN",
    default=(NONE,),
    envvar="Q_POSTGRES",
    show_envvar=True,
    help="The cluster's database, or all of them, as q is given them. If this is not said, it is"
    " what q's configuration file says: q --config FILE migrate.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option(
    "--remove-shard",
    "removed",
    metavar="NAME",
    help="Take the database of that name out of the cluster, for good. It must have no queues.",
)
@click.pass_obj
def migrate(
    told: Told[Config], databases: Databases | None, *, dry_run: bool, removed: str | None
) -> None:
    """Bring the schema of a cluster's databases up to what this q needs.

    Any number of q may run on them meanwhile. Exits with status 0 if the schema of each is as this
    q needs it, and 1 if one is not, or cannot be looked at; those before it have theirs then.
    """
    if databases is None:
        if told.fault:
            raise click.UsageError(told.fault.message)
        databases = told.values["postgres"]
    if databases is None:
        raise click.UsageError("--postgres: there is no cluster to migrate")
    if removed is not None and removed not in databases.further:
        names = ", ".join(databases.further) or "none"
        raise click.UsageError(
            f"--remove-shard: the first database stays, and the others in --postgres are: {names};"
            f" got {removed!r}"
        )
    with failing():
        asyncio.run(_migrate(databases, is_trial=dry_run))
        if removed is not None and not dry_run:
            asyncio.run(_remove(databases, removed))


async def _migrate(databases: Databases, *, is_trial: bool) -> None:
    # Imported late: help and usage errors need none of it.
    from qmq.store.postgres.connecting import Connector  # noqa: PLC0415
    from qmq.store.postgres.migrating import MIGRATIONS  # noqa: PLC0415
    from qmq.store.postgres.migrating import migrate as apply  # noqa: PLC0415

    for name, dsn in databases.named.items():
        shown = f"{name}: " if databases.further else ""
        # What a failure of its machine may lose is not this command's concern.
        steps = await apply(Connector(dsn, takes_unsynced=True), is_trial=is_trial)
        for step in steps:
            about = step.script.partition("\n")[0].removeprefix("--").strip()
            made = "would make" if is_trial else "made"
            click.echo(f"{shown}{made} {step.version:04}: {about}")
        if not is_trial or not steps:
            click.echo(f"{shown}{dsn} has schema version {len(MIGRATIONS)}, which this q needs")


async def _remove(databases: Databases, name: str) -> None:
    from qmq.store.postgres.connecting import Connector  # noqa: PLC0415
    from qmq.store.postgres.shards import remove  # noqa: PLC0415

    first = Connector(databases.first, takes_unsynced=True)
    further = Connector(databases.further[name], takes_unsynced=True)
    await remove(first, further, name)
    click.echo(f"{name}: removed; start each q without it now, one after the other")
