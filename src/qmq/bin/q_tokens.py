"""The command `q tokens`: tokens in an access file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from qmq.bin.failing import failing

_FILE: Final = click.option(
    "--access",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    required=True,
    envvar="Q_ACCESS",
    show_envvar=True,
    help="The access file.",
)


@click.group()
def tokens() -> None:
    """Make, list and revoke the tokens in an access file.

    A running q picks up changes within a second or two.
    """


@tokens.command()
@_FILE
@click.option("--expires", metavar="90d", help="How long it is valid, in h, d or w.")
@click.option("--note", default="", metavar="TEXT", help="What it is for.")
@click.option(
    "--may",
    metavar="RIGHT,RIGHT",
    help="What a new identity may do: produce, consume, browse, manage, admin.",
)
@click.option("--queues", metavar="NAME", help="To queues with such a name: 'x.*', or '*' for all.")
@click.option("--selector", metavar="SELECTOR", help="Or to queues with such tags: team=billing.")
@click.argument("identity")
def make(identity: str, path: Path, expires: str | None, note: str, **rights: str | None) -> None:
    """Make a token for IDENTITY, and print it, this once.

    A new IDENTITY, and FILE, are made as well: say by --may what it may do, and by --queues or
    --selector to which queues.
    """
    from qmq.server import token_file, token_texts  # noqa: PLC0415 - Help needs none of it.

    try:
        moment = token_texts.moment_in(expires) if expires else None
        grants = token_texts.grants_of(**rights)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with _using(path):
        made = token_file.make(path, identity, expires=moment, note=note, grants=grants)
    until = f"{made.token.expires:%Y-%m-%d %H:%M} UTC" if made.token.expires else "it is revoked"
    new = "the new identity " if made.is_new_identity else ""
    click.echo(f"Token {made.token.id} of {new}{identity}, valid until {until}:", err=True)
    click.echo(made.text)
    click.echo("It is kept nowhere: who loses it needs another one.", err=True)


@tokens.command(name="list")
@_FILE
def list_tokens(path: Path) -> None:
    """List identities and their tokens, without the secrets."""
    from qmq.server import token_texts  # noqa: PLC0415 - As above.
    from qmq.server.access_file import read_policy  # noqa: PLC0415

    with _using(path):
        policy = read_policy(path)
    for line in token_texts.lines_of(policy):
        click.echo(line)


@tokens.command()
@_FILE
@click.argument("token_id", metavar="ID")
def revoke(path: Path, token_id: str) -> None:
    """Revoke the token ID, as `q tokens list` names it: the part after q_."""
    from qmq.server import token_file  # noqa: PLC0415 - As above.

    with _using(path):
        revoked = token_file.revoke(path, token_id)
    click.echo(f"Token {token_id} of {revoked.identity} is revoked.")


@contextmanager
def _using(path: Path) -> Iterator[None]:
    """Use the file: say what is wrong with it, also if everybody can read it."""
    from qmq.server.access_file import is_read_by_others  # noqa: PLC0415 - As above.

    with failing():
        yield
        if is_read_by_others(path):
            click.echo(f"q: warning: others can read {path}; chmod 600 {path}", err=True)
