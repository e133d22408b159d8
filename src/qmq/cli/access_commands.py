"""The commands about callers and tokens: their options, and the calls or actions they stand for."""

from typing import Final

import click

from qmq.cli.actions import Call, Output
from qmq.cli.arguments import complete_queue
from qmq.cli.help import CommandsInOrder
from qmq.cli.options import (
    duration,
    duration_option,
    given,
    output_option,
    view_call,
    view_output,
)
from qmq.cli.settings import server_option

_identity_argument: Final = click.argument("identity", metavar="NAME")


@click.command("identity", cls=CommandsInOrder.command_class)
@click.argument("queue_id", metavar="[ID]", default="", shell_complete=complete_queue)
@view_output
@server_option()
def show_identity(queue_id: str, output: Output | None) -> Call:
    """Show who you are to q, and what you may do.

    With an ID, to that queue, and otherwise to every queue.
    """
    return view_call(
        "cannot show identity", "GetIdentity", given(queue_id=queue_id or None), output
    )


@click.group("token", cls=CommandsInOrder)
def token() -> None:
    """Make, list and revoke tokens.

    By a token a caller shows who it is. All of these need the right to admin every queue.
    `q tokens` does the same on q's own machine, and makes further identities.
    """


@token.command("list")
@view_output
@server_option()
def list_tokens(output: Output | None) -> Call:
    """List who may call, what each may do, and its tokens, without what is secret."""
    return view_call("cannot list tokens", "ListIdentities", {}, output)


@token.command("make")
@_identity_argument
@duration_option(
    "--ttl", "ttl_s", help="How long it is valid, 1m or more; otherwise until it is revoked."
)
@click.option("--note", default="", metavar="TEXT", help="What it is for.")
@output_option("With json, what is known of the token as well; otherwise the token alone.")
@server_option()
def make_token(identity: str, ttl_s: float | None, note: str, output: Output | None) -> Call:
    """Make a token for NAME, and print it, this once.

    The access file has to have an identity of this NAME.
    """
    fields = {"identity": identity} | given(ttl=duration(ttl_s), note=note or None)
    return Call(
        failure="cannot make token",
        method="MakeToken",
        fields=fields,
        output=output or "plain",
        is_original=False,
    )


@token.command("revoke")
@_identity_argument
@click.argument("token_id", metavar="ID")
@server_option()
def revoke_token(identity: str, token_id: str) -> Call:
    """Revoke the token ID of NAME: the part of it after q_.

    Prints nothing. From then on q refuses it.
    """
    return Call(
        failure="cannot revoke token",
        method="RevokeToken",
        fields={"identity": identity, "token_id": token_id},
        prints_reply=False,
        is_original=False,
    )
