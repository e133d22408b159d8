"""The commands about messages: their options, and the calls or actions they stand for."""

import shlex
from typing import Unpack

import click

from qmq.cli.actions import AddMany, Call, Fields, Take
from qmq.cli.adding_options import AddingOptions, adding_options, options_fields
from qmq.cli.arguments import read_wait
from qmq.cli.help import CommandWithExamples
from qmq.cli.message_options import Printing, end_of, output_of, printing_options
from qmq.cli.options import (
    Tags,
    check_source,
    durability_option,
    exclusive,
    given,
    needs,
    queue_argument,
    source_argument,
    source_option,
    tags_option,
)
from qmq.cli.settings import server_option
from qmq.cli.standard_input import read_payload
from qmq.values import Durability


# What follows the queue is looked at below, for a better word than that it is too much.
@click.command("add", cls=CommandWithExamples, context_settings={"allow_extra_args": True})
@queue_argument
@tags_option
@click.option("--lines", "is_lines", is_flag=True, help="Each line is a message.")
@click.option("--jsonl", "is_jsonl", is_flag=True, help="Each line is a message in JSON.")
@click.option(
    "--skip",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Leave out the first N lines.",
)
@click.option("--keep-ends", is_flag=True, help="With --lines: line breaks are part of payloads.")
@click.option(
    "-0", "--null", "is_null", is_flag=True, help="With --lines: a zero byte ends each line."
)
@adding_options
@durability_option
@server_option()
def add_message(  # noqa: PLR0913 - One for each option.
    queue_id: str,
    tags: Tags,
    *,
    is_lines: bool,
    is_jsonl: bool,
    skip: int,
    keep_ends: bool,
    is_null: bool,
    durability: Durability,
    **adding: Unpack[AddingOptions],
) -> Call | AddMany:
    """Add a message to a queue, its payload from standard input.

    The payload is taken as it is, the end of its last line included. With --durability, the
    reply says how durable the message is. If the queue knows the dedup id, the reply is about
    the message that was added then, and says "deduplicated".

    With --lines, each line is a message without its line break. With --jsonl, each is one
    as `qcli pop --jsonl` prints it; only "payload" is needed, and "options" may say of the
    line what options say of all. Both print nothing, and if they fail say how many lines are
    stored.
    """
    if extra := click.get_current_context().args:
        raise click.UsageError(
            f"a payload comes from standard input: printf {shlex.quote(' '.join(extra))}"
            f" | qcli add {shlex.quote(queue_id)}"
        )
    exclusive(lines=is_lines, jsonl=is_jsonl)
    needs("--lines", is_given=is_lines, keep_ends=keep_ends, null=is_null)
    needs("--lines or --jsonl", is_given=is_lines or is_jsonl, skip=skip)
    options = options_fields(adding)
    if is_lines or is_jsonl:
        if "dedup_id" in options:
            raise click.UsageError(
                "--dedup-id is of one message: of several lines, only the first would be added."
                ' With --jsonl, write {"payload": "text", "options": {"dedup_id": "text"}}'
            )
        return AddMany(
            queue_id=queue_id,
            is_jsonl=is_jsonl,
            end=b"\0" if is_null else b"\n",
            keeps_ends=keep_ends,
            skip=skip,
            tags=tuple((tag["key"], tag["value"]) for tag in tags),
            options=options,
            durability=durability,
        )
    message = {"tags": tags, "payload": read_payload()} | given(options=options or None)
    fields = {"queue_id": queue_id, "message": message}
    return _call("cannot add message to queue", "Add", fields, durability)


@click.command("pop", cls=CommandWithExamples)
@source_argument
@source_option
@click.option("-n", "--count", type=click.IntRange(min=1), help="Take up to N messages.")
@click.option("--all", "is_all", is_flag=True, help="Take all there are.")
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    callback=read_wait,
    help="Wait so long for each next message if there is none.",
)
@printing_options
@durability_option
@server_option()
def pop_message(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    *,
    selector: str,
    count: int | None,
    is_all: bool,
    wait_s: float | None,
    durability: Durability,
    **printing: Unpack[Printing],
) -> Call | Take:
    """Take the message at the head of a queue out of it.

    The payload is printed in base64, unless an option says otherwise. A message is taken
    at most once: what cannot be printed is lost, and said to be.

    With one of the first seven options, an empty queue ends with status 3 rather than 1.
    With --durability, JSON says how durable it is that the message is gone.

    With --selector, JSON says which queue it was in.
    """
    check_source(queue_id, selector)
    exclusive(count=count, all=is_all)
    output = output_of(printing)
    if queue_id and output is None and count is None and not is_all and wait_s is None:
        fields = {"queue_id": queue_id}
        return _call("cannot pop message from queue", "Pop", fields, durability)
    return Take(
        queue_id=queue_id,
        output=output or "json",
        end=end_of(printing),
        count=None if is_all else count or 1,
        wait_s=wait_s or 0.0,
        durability=durability,
        selector=selector,
    )


@click.command("peek", cls=CommandWithExamples)
@queue_argument
@printing_options
@server_option()
def peek_message(queue_id: str, **printing: Unpack[Printing]) -> Call | Take:
    """Show the message at the head of a queue and leave it there."""
    output = output_of(printing)
    if output is None:
        return Call(
            failure="cannot peek at message in queue",
            method="Peek",
            fields={"queue_id": queue_id},
        )
    return Take(
        queue_id=queue_id,
        output=output,
        end=end_of(printing),
        count=1,
        wait_s=0.0,
        is_peek=True,
    )


@click.command("tail", cls=CommandWithExamples)
@queue_argument
@click.option("--pop", "pops", is_flag=True, help="Take the messages out of the queue: needed.")
@printing_options
@durability_option
@server_option()
def tail_queue(
    queue_id: str, *, pops: bool, durability: Durability, **printing: Unpack[Printing]
) -> Take:
    """Print the messages of a queue as they come, until Ctrl-C.

    It takes them out of the queue, as a consumer does: others do not get them. --pop has to
    say that this is meant; `qcli browse` shows messages and leaves them where they are.

    Messages are printed as with --jsonl, unless an option says otherwise. It goes on when
    the server has been away.
    """
    output = output_of(printing)
    if not pops:
        raise click.UsageError(
            "tail takes the messages out of the queue: say --pop if you mean it;"
            " `qcli browse` shows messages and leaves them"
        )
    return Take(
        queue_id=queue_id,
        output=output or "jsonl",
        end=end_of(printing),
        count=None,
        wait_s=None,
        durability=durability,
    )


def _call(failure: str, method: str, fields: Fields, durability: Durability) -> Call:
    """Return the call of a command that prints as the original's did, unless asked for more."""
    return Call(
        failure=failure,
        method=method,
        fields={**fields, **given(durability=durability or None)},
        output="json" if durability else "plain",
    )
