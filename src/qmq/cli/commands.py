"""The program qcli: its commands, and the help for them."""

import click

from qmq.cli.arguments import complete_command
from qmq.cli.call import Action, AddMany, Call, Take
from qmq.cli.help import CommandsInOrder
from qmq.cli.message_commands import add_message, peek_message, pop_message, tail_queue
from qmq.cli.queue_commands import (
    delete_queue,
    get_queue,
    list_queues,
    new_queue,
    tag_queue,
    untag_queue,
)
from qmq.cli.settings import connection_options, settings_of
from qmq.cli.view_commands import show_config, show_stats, show_top


@click.group(
    cls=CommandsInOrder,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
)
@connection_options
@click.version_option(package_name="qmq", prog_name="qcli", message="%(prog)s %(version)s")
@click.pass_context
def qcli(ctx: click.Context) -> None:
    """Ask a q server to make queues, and put messages into them and take them out.

    Answers are printed as JSON. Wherever a queue's ID stands, its name does as well.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit()


@qcli.result_callback()
@click.pass_context
def act(ctx: click.Context, action: Action | None) -> None:
    """Do what the command stands for; `help` and `config` have done it themselves."""
    if action is None:
        return
    settings = settings_of(ctx)
    # Only here is gRPC loaded, and of qcli itself what the action needs.
    match action:
        case Call():
            from qmq.cli.execute import execute  # noqa: PLC0415

            execute(action, settings)
        case AddMany():
            from qmq.cli.add_many import add_many  # noqa: PLC0415

            add_many(action, settings)
        case Take():
            from qmq.cli.take import take  # noqa: PLC0415

            take(action, settings)
        case _:
            from qmq.cli.top import top  # noqa: PLC0415

            top(action, settings)


@click.command("help", cls=CommandsInOrder.command_class)
@click.argument("command", required=False, shell_complete=complete_command)
@click.pass_context
def show_help(ctx: click.Context, command: str | None) -> None:
    """Show help, or the help of one command."""
    root = ctx.find_root()
    if command is None:
        click.echo(root.get_help())
        return
    name, found, _ = qcli.resolve_command(root, [command])
    if found is not None:
        click.echo(found.get_help(click.Context(found, info_name=name, parent=root)))


for _command in (
    list_queues,
    get_queue,
    delete_queue,
    new_queue,
    tag_queue,
    untag_queue,
    add_message,
    pop_message,
    peek_message,
    tail_queue,
    show_stats,
    show_top,
    show_config,
    show_help,
):
    qcli.add_command(_command)
