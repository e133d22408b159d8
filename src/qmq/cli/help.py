"""The help of commands: their examples, and the order in which they are listed."""

from typing import Any, Final

import click

#: Examples by the name of the command that shows them.
EXAMPLES: Final = {
    "qcli": (
        "qcli new DISK -1 --name jobs -t team=web",
        "echo hello | qcli add jobs -t kind=greeting",
        "qcli pop jobs --raw",
        "qcli add jobs --lines < words.txt",
        "qcli work jobs --concurrency 4 -- ./resize",
        "qcli --server q.example:10002 list",
    ),
    "list": (
        "qcli list",
        "qcli list -o table",
        "qcli list --selector 'team=mail,env in (prod,stage),!old' -o table",
        "qcli list | jq -r '.queues[].meta.id'",
    ),
    "get": ("qcli get jobs", "qcli get jobs -o json"),
    "delete": ("qcli delete 63ee5c6a-585c-4aef-a2ec-66d8f5b68e28",),
    "new": (
        "qcli new MEMORY 1000",
        "qcli new DISK -1 --name jobs -t team=web -t team=mobile",
        "qcli new DISK -1 --name dead-jobs",
        "qcli new DISK -1 --name jobs --dead-letter-queue dead-jobs --delivery-count-max 5",
    ),
    "update": (
        "qcli update jobs --lease-duration 5m",
        "qcli update jobs --dead-letter-queue dead-jobs --delivery-count-max 5",
        "qcli update jobs --limit -1",
        "qcli update jobs --ttl 1d --dead-letter-expired --rate 100 --leased-max 20",
        "qcli update jobs --park-after 3 --fair-leased-max 5 --fair-weight acme=3",
    ),
    "tag": ("qcli tag jobs team web", "qcli tag jobs offset -- -5"),
    "untag": ("qcli untag jobs team web",),
    "pause": ("qcli pause jobs", "qcli pause jobs --adds"),
    "resume": ("qcli resume jobs",),
    "purge": ("qcli purge jobs", "qcli purge jobs --yes"),
    "add": (
        "printf hello | qcli add jobs",
        "qcli add jobs -t kind=image < photo.jpg",
        "printf later | qcli add jobs --delay 5m --priority 9",
        "printf 'invoice 17' | qcli add jobs --dedup-id invoice-17 --ttl 1h",
        "printf 'step 1' | qcli add jobs --group account-4 --fair-key acme",
        "qcli add jobs --lines < words.txt",
        "qcli add jobs --lines --skip 12000 < words.txt",
        "qcli add jobs --lines --durability os < words.txt",
        """echo '{"payload": "hello", "tags": {"kind": "greeting"}}' | qcli add jobs --jsonl""",
        "find . -print0 | qcli add files --lines --null",
    ),
    "pop": (
        "qcli pop jobs",
        "qcli pop jobs | jq -r '.message.payload // \"\"' | base64 --decode",
        "qcli pop jobs --raw --no-newline > photo.jpg",
        "qcli pop jobs --all --raw > words.txt",
        "qcli pop jobs --count 10 --wait 5 --jsonl",
        "qcli pop jobs --all --jsonl | qcli add others --jsonl",
        "qcli pop --selector 'team=mail,!old' --all --jsonl",
    ),
    "peek": ("qcli peek jobs", "qcli peek jobs --raw"),
    "tail": ("qcli tail jobs --pop", "qcli tail jobs --pop --raw"),
    "lease": (
        "qcli lease jobs",
        "qcli lease jobs --count 10 --wait 5 --lease-duration 5m",
        "qcli lease jobs | jq -r .lease_id | qcli ack jobs -",
        "qcli lease --selector 'team=mail,env in (prod,stage)' --count 10",
    ),
    "ack": (
        "qcli ack jobs 000000000000002a-00000001",
        "jq -r .lease_id < leased.jsonl | qcli ack jobs -",
        "qcli ack jobs 000000000000002a-00000001 --durability memory",
    ),
    "nack": (
        "qcli nack jobs 000000000000002a-00000001 --reason 'disk full' --delay 5m",
        "qcli nack jobs 000000000000002a-00000001 --kind release",
        "qcli nack jobs 000000000000002a-00000001 --kind reject --reason 'no such user'",
    ),
    "extend": ("qcli extend jobs 000000000000002a-00000001 --lease-duration 10m",),
    "work": (
        "qcli work jobs -- ./resize",
        "qcli work jobs --concurrency 4 -- curl --fail --data-binary @- http://localhost:8080/",
        "qcli work files -- gzip {}",
        "qcli work --selector team=mail -- ./send",
        "qcli work jobs -- sh -c 'echo \"$Q_MESSAGE_ID\"; cat'",
    ),
    "browse": (
        "qcli browse jobs",
        "qcli browse jobs --state leased --older-than 1h",
        "qcli browse jobs -t kind=image -n 10 -o jsonl",
        "qcli browse jobs --selector 'kind in (image,video),!small'",
        "qcli browse jobs --group order-17",
    ),
    "explain": ("qcli explain jobs 15950bbd-0939-4da4-8dbe-cfc61d3d8608",),
    "message": (
        "qcli message delete jobs 15950bbd-0939-4da4-8dbe-cfc61d3d8608",
        "qcli message move jobs 15950bbd-0939-4da4-8dbe-cfc61d3d8608 --to other-jobs",
    ),
    "message delete": (
        "qcli message delete jobs 15950bbd-0939-4da4-8dbe-cfc61d3d8608",
        "qcli browse jobs -t kind=image -o jsonl | qcli message delete jobs -",
    ),
    "message move": (
        "qcli message move jobs 15950bbd-0939-4da4-8dbe-cfc61d3d8608 --to other-jobs",
        "qcli message move dead-jobs 15950bbd-0939-4da4-8dbe-cfc61d3d8608",
        "qcli browse jobs --older-than 1d -o jsonl | qcli message move jobs - --to old-jobs",
    ),
    "group": (
        "qcli group list jobs --state parked",
        "qcli group skip jobs account-4",
    ),
    "group list": ("qcli group list jobs", "qcli group list jobs --state paused --state parked"),
    "group pause": ("qcli group pause jobs account-4",),
    "group resume": ("qcli group resume jobs account-4",),
    "group skip": ("qcli group skip jobs account-4", "qcli group skip jobs account-4 --count 10"),
    "redrive": (
        "qcli redrive start dead-jobs --dry-run",
        "qcli redrive start dead-jobs --follow",
        "qcli redrive list",
    ),
    "redrive start": (
        "qcli redrive start dead-jobs --dry-run --text 'disk full'",
        "qcli redrive start dead-jobs --text 'disk full' --rate 100 --follow",
        "qcli redrive start dead-jobs --to jobs --reason delivery-count-max --older-than 1h",
    ),
    "redrive list": ("qcli redrive list", "qcli redrive list -o table"),
    "redrive show": ("qcli redrive show 8f14e45f-ceea-467f-a0d3-3b2cf0c1a7e5 --follow",),
    "redrive stop": ("qcli redrive stop 8f14e45f-ceea-467f-a0d3-3b2cf0c1a7e5",),
    "schedule": (
        "printf '{}' | qcli schedule put reports nightly --cron '30 3 * * *'",
        "qcli schedule list",
    ),
    "schedule put": (
        "printf '{}' | qcli schedule put reports nightly --cron '30 3 * * *'",
        "printf '{}' | qcli schedule put reports week --cron '0 9 * * 1' --time-zone Asia/Tokyo",
        "printf check | qcli schedule put jobs check --every 30s --missed skip --ttl 30s",
    ),
    "schedule list": ("qcli schedule list", "qcli schedule list reports -o table"),
    "schedule show": ("qcli schedule show reports nightly",),
    "schedule delete": ("qcli schedule delete reports nightly",),
    "schedule pause": ("qcli schedule pause reports nightly",),
    "schedule resume": ("qcli schedule resume reports nightly",),
    "identity": ("qcli identity", "qcli identity jobs -o jsonl | jq -r '.rights[]'"),
    "token": (
        "qcli token list",
        "qcli token make worker --ttl 90d --note cron > worker.token",
        "qcli token revoke worker k3f9w7x2ab",
    ),
    "token list": ("qcli token list", "qcli token list | jq -r '.tokens[]?.id'"),
    "token make": (
        "qcli token make worker --ttl 90d --note cron > worker.token",
        "qcli token make worker -o json | jq -r .token.id",
    ),
    "token revoke": ("qcli token revoke worker k3f9w7x2ab",),
    "stats": ("qcli stats", "qcli stats jobs | jq .ready", "qcli stats -o table"),
    "top": (
        "qcli top",
        "qcli top --sort rate --interval 5",
        "qcli top --once --selector team=mail",
    ),
    "server": ("qcli server", "qcli server -o json | jq -r '.server.warnings[]?.message'"),
    "config": ("qcli config", "qcli --server q.example:10002 config"),
    "help": ("qcli help new", "qcli help redrive start"),
}


#: Commands by the names that other queues have for them.
OTHER_NAMES: Final = {
    **dict.fromkeys(("enqueue", "produce", "publish", "push", "put", "send"), "add"),
    **dict.fromkeys(("dequeue", "get-message", "read", "take"), "pop, or lease"),
    **dict.fromkeys(("fetch", "receive", "reserve"), "lease"),
    **dict.fromkeys(("consume", "run", "worker"), "work"),
    **dict.fromkeys(("bury", "release"), "nack"),
    **dict.fromkeys(("touch", "renew"), "extend"),
    **dict.fromkeys(("kick", "requeue", "retry"), "redrive"),
    **dict.fromkeys(("create", "declare", "make"), "new"),
    **dict.fromkeys(("ls", "queues"), "list"),
    **dict.fromkeys(("drop", "remove", "rm"), "delete"),
    **dict.fromkeys(("clear", "empty", "flush"), "purge"),
    **dict.fromkeys(("count", "info", "len", "status"), "stats"),
}


class CommandWithExamples(click.Command):
    """A command whose help ends with its examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are: a wrapped command line cannot be pasted."""
        with formatter.section("Examples"):
            for example in EXAMPLES[ctx.command_path.removeprefix("qcli ")]:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


@click.pass_context
def _show_help_alone(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit()


class CommandsInOrder(CommandWithExamples, click.Group):
    """Commands that are listed in the order in which they are defined.

    Without a command the group shows its help, and ends with status 0. That is all it does, so
    the function that it is made of is there for its docstring.
    """

    command_class = CommandWithExamples

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401 - As of a group.
        super().__init__(
            *arguments,
            **attributes
            | {
                "callback": _show_help_alone,
                "invoke_without_command": True,
                "subcommand_metavar": "COMMAND [ARGS]...",
            },
        )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        del ctx
        return list(self.commands)


class CommandsInSections(CommandsInOrder):
    """Commands that are listed under headings."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401 - As above.
        super().__init__(*arguments, **attributes)
        self._sections: dict[str, list[str]] = {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is meant."""
        name = args[0]
        if name in OTHER_NAMES and name not in self.commands and not ctx.resilient_parsing:
            raise click.UsageError(
                f"No such command {name!r}: it is {OTHER_NAMES[name]} here.", ctx
            )
        return super().resolve_command(ctx, args)

    def add_section(self, title: str, *commands: click.Command) -> None:
        """Add commands under a heading, after those that are there."""
        for command in commands:
            self.add_command(command)
        self._sections[title] = [command.name or "" for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each heading and the commands under it, all lined up."""
        del ctx
        width = max(map(len, self.commands))
        for title, names in self._sections.items():
            room = formatter.width - 6 - width
            rows = [
                (f"{name:<{width}}", self.commands[name].get_short_help_str(room)) for name in names
            ]
            with formatter.section(title):
                formatter.write_dl(rows)
