"""The program qcli: its commands, and the help for them."""

import click

from qmq.cli.access_commands import show_identity, token
from qmq.cli.actions import (
    Action,
    AddMany,
    Browse,
    Call,
    Lease,
    ListGroups,
    ListSchedules,
    PauseSchedule,
    Pick,
    Purge,
    Redrive,
    Settle,
    Take,
    Work,
)
from qmq.cli.arguments import complete_command
from qmq.cli.dead_letter_commands import redrive
from qmq.cli.group_commands import group
from qmq.cli.help import CommandsInOrder, CommandsInSections
from qmq.cli.lease_commands import (
    ack_messages,
    extend_leases,
    lease_messages,
    nack_messages,
    work_on_queue,
)
from qmq.cli.message_commands import add_message, peek_message, pop_message, tail_queue
from qmq.cli.picking_commands import message
from qmq.cli.queue_commands import (
    delete_queue,
    get_queue,
    list_queues,
    new_queue,
    pause_queue,
    purge_queue,
    resume_queue,
    tag_queue,
    untag_queue,
    update_queue,
)
from qmq.cli.schedule_commands import schedule
from qmq.cli.settings import Settings, connection_options, settings_of
from qmq.cli.view_commands import (
    browse_queue,
    explain_message,
    show_config,
    show_server,
    show_stats,
    show_top,
)


@click.group(
    cls=CommandsInSections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
)
@connection_options
@click.version_option(package_name="qmq", prog_name="qcli", message="%(prog)s %(version)s")
def qcli() -> None:
    """Ask a q server to make queues, and put messages into them and take them out.

    Answers are printed as JSON. Wherever a queue's ID stands, its name does as well. A
    DURATION is a number of seconds, or has a unit: 100ms, 90s, 5m, 2h, 7d.
    """


@qcli.result_callback()
@click.pass_context
def act(ctx: click.Context, action: Action | None) -> None:
    """Do what the command stands for; `help` and `config` have done it themselves."""
    if action is not None:
        _do(action, settings_of(ctx))


def _do(  # noqa: C901, PLR0912 - One for each kind.
    action: Action, settings: Settings
) -> None:
    """Do what a command stands for. Only here is gRPC loaded, and what the action needs."""
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
        case Lease():
            from qmq.cli.lease import lease  # noqa: PLC0415

            lease(action, settings)
        case Settle():
            from qmq.cli.settle import settle  # noqa: PLC0415

            settle(action, settings)
        case Browse():
            from qmq.cli.browse import browse  # noqa: PLC0415

            browse(action, settings)
        case Purge():
            from qmq.cli.purge import purge  # noqa: PLC0415

            purge(action, settings)
        case Pick():
            from qmq.cli.picking import pick  # noqa: PLC0415

            pick(action, settings)
        case Redrive():
            from qmq.cli.redrive import follow_redrive  # noqa: PLC0415

            follow_redrive(action, settings)
        case ListSchedules():
            from qmq.cli.schedule import list_schedules  # noqa: PLC0415

            list_schedules(action, settings)
        case PauseSchedule():
            from qmq.cli.schedule import pause_schedule  # noqa: PLC0415

            pause_schedule(action, settings)
        case ListGroups():
            from qmq.cli.group import list_groups  # noqa: PLC0415

            list_groups(action, settings)
        case Work():
            from qmq.cli.work import work  # noqa: PLC0415

            work(action, settings)
        case _:
            from qmq.cli.top import top  # noqa: PLC0415

            top(action, settings)


@click.command("help", cls=CommandsInOrder.command_class)
@click.argument("command", nargs=-1, metavar="[COMMAND]", shell_complete=complete_command)
@click.pass_context
def show_help(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show help, or the help of one command."""
    context = ctx.find_root()
    for word in command:
        if not isinstance(context.command, click.Group):
            raise click.UsageError(f"{context.command_path} has no commands", ctx=context)
        name, found, _ = context.command.resolve_command(context, [word])
        if found is None:
            return
        context = click.Context(found, info_name=name, parent=context)
    click.echo(context.get_help())


qcli.add_section("Messages", add_message, pop_message, peek_message, tail_queue)
qcli.add_section(
    "Work, at least once",
    lease_messages,
    ack_messages,
    nack_messages,
    extend_leases,
    work_on_queue,
)
qcli.add_section(
    "Queues",
    list_queues,
    get_queue,
    new_queue,
    update_queue,
    delete_queue,
    tag_queue,
    untag_queue,
    pause_queue,
    resume_queue,
    purge_queue,
)
qcli.add_section("What there is", show_stats, show_top, browse_queue, explain_message, show_server)
qcli.add_section("Single messages", message)
qcli.add_section("Groups", group)
qcli.add_section("Dead letters", redrive)
qcli.add_section("Schedules", schedule)
qcli.add_section("Access", show_identity, token)
qcli.add_section("Itself", show_config, show_help)
