"""The commands about leased messages: their options, and the calls or actions they stand for."""

import os
import socket
from collections.abc import Callable
from typing import Literal, Unpack

import click

from qmq.cli.actions import Fields, Lease, Output, Settle, Work
from qmq.cli.arguments import read_wait
from qmq.cli.help import CommandWithExamples
from qmq.cli.message_options import Printing, end_of, output_of, printing_options
from qmq.cli.named import named_ids
from qmq.cli.options import (
    Decorated,
    check_source,
    default_output,
    durability_option,
    duration,
    duration_option,
    given,
    queue_argument,
    source_argument,
    source_option,
    view_output,
)
from qmq.cli.settings import server_option
from qmq.values import Durability

_lease_ids_argument = click.argument("lease_ids", metavar="LEASE_ID...", nargs=-1, required=True)

_consumer_option = click.option(
    "--consumer",
    metavar="NAME",
    help="What the consumer calls itself, for those who look; otherwise the program, the"
    " machine and the process.",
)


def _lease_option(text: str) -> Callable[[Decorated], Decorated]:
    return duration_option("--lease-duration", "lease_s", help=text)


@click.command("lease", cls=CommandWithExamples)
@source_argument
@source_option
@click.option(
    "-n",
    "--count",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Lease up to N messages; one by default.",
)
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    callback=read_wait,
    help="Wait so long for the first message if there is none; inf waits for ever.",
)
@_lease_option("How long the leases last; otherwise the queue's lease duration.")
@_consumer_option
@printing_options
@durability_option
@server_option()
def lease_messages(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    *,
    selector: str,
    count: int,
    wait_s: float | None,
    lease_s: float | None,
    consumer: str | None,
    durability: Durability,
    **printing: Unpack[Printing],
) -> Lease:
    """Lease messages from the head of a queue.

    They are handed out to nobody else for a time. Each is printed with its lease id, by which
    `qcli ack` removes it when its work is done, `qcli nack` gives it back, and `qcli extend`
    makes the lease last longer. A message whose lease ends otherwise is handed out again, at
    its old place in the order.

    Messages are printed as with --jsonl, unless an option says otherwise. With --raw, a
    lease id, a tab and the payload stand on each line.

    With --selector, each is printed with the id of its queue, which --raw puts first.
    """
    check_source(queue_id, selector)
    return Lease(
        queue_id=queue_id,
        output=output_of(printing) or "jsonl",
        end=end_of(printing),
        count=count,
        wait_s=wait_s or 0.0,
        lease_s=lease_s,
        consumer=_consumer(consumer),
        durability=durability,
        selector=selector,
    )


@click.command("ack", cls=CommandWithExamples)
@queue_argument
@_lease_ids_argument
@durability_option
@server_option()
def ack_messages(queue_id: str, lease_ids: tuple[str, ...], *, durability: Durability) -> Settle:
    """Remove leased messages: their work is done.

    LEASE_ID is what `qcli lease` printed; - reads them from standard input, one a line.
    Prints nothing.

    A lease that is refused, since it has ended and its message may be somebody else's, is
    named on standard error; the others are acked all the same, and the exit status is 5.
    """
    return _settle("Ack", queue_id, lease_ids, given(durability=durability or None))


@click.command("nack", cls=CommandWithExamples)
@queue_argument
@_lease_ids_argument
@click.option(
    "--kind",
    type=click.Choice(["release", "fail", "reject"]),
    default="fail",
    show_default=True,
    help="Why: the message is unharmed and its delivery does not count; the work has failed;"
    " or nobody can do it, and the message goes to the dead-letter queue.",
)
@duration_option(
    "--delay",
    "delay_s",
    help="How long to hold it back; otherwise the queue's back-off, if failed.",
)
@click.option("--reason", default="", metavar="TEXT", help="What went wrong, for those who look.")
@durability_option
@server_option()
def nack_messages(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    lease_ids: tuple[str, ...],
    *,
    kind: Literal["release", "fail", "reject"],
    delay_s: float | None,
    reason: str,
    durability: Durability,
) -> Settle:
    """Give leased messages back, or up as dead letters.

    Lease ids, errors and the exit status are as of `qcli ack`. Prints nothing.
    """
    if kind == "reject" and delay_s is not None:
        raise click.UsageError(
            "--delay makes no sense with --kind reject: the message is not handed out again"
        )
    fields = given(delay=duration(delay_s), durability=durability or None)
    return _settle("Nack", queue_id, lease_ids, {"kind": kind.upper(), "reason": reason, **fields})


@click.command("extend", cls=CommandWithExamples)
@queue_argument
@_lease_ids_argument
@_lease_option("How long the leases last from now; otherwise the queue's lease duration.")
@durability_option
@view_output
@server_option()
def extend_leases(
    queue_id: str,
    lease_ids: tuple[str, ...],
    *,
    lease_s: float | None,
    durability: Durability,
    output: Output | None,
) -> Settle:
    """Make leases last longer, and show when they end.

    They last for so long from now. Lease ids, errors and the exit status are as of `qcli ack`.
    """
    fields = given(lease_duration=duration(lease_s), durability=durability or None)
    return _settle("Extend", queue_id, lease_ids, fields, output or default_output())


@click.command("work", cls=CommandWithExamples)
@source_argument
@click.argument("command", nargs=-1, metavar="-- COMMAND [ARGS]...")
@source_option
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, 1_000),
    default=1,
    show_default=True,
    metavar="N",
    help="How many commands run at a time.",
)
@_lease_option(
    "How soon a message is handed out again if its worker dies; otherwise the queue's lease"
    " duration. Leases are extended while their commands run."
)
@_consumer_option
@durability_option
@server_option()
def work_on_queue(  # noqa: PLR0913 - One for each argument and option.
    queue_id: str,
    command: tuple[str, ...],
    *,
    selector: str,
    concurrency: int,
    lease_s: float | None,
    consumer: str | None,
    durability: Durability,
) -> Work:
    """Run a command for each message of a queue, until Ctrl-C.

    Write -- before it, so that its options are not taken for those of qcli.

    The payload is the command's standard input, and {} in an argument is replaced by it.
    Exit status 0 acks the message; 65 rejects it, for the dead-letter queue; any other one
    has failed, and the message is handed out again after the queue's back-off.
    """
    if selector and queue_id:
        # There is no ID, so that what stands in its place is the command.
        queue_id, command = "", (queue_id, *command)
    check_source(queue_id, selector)
    if not command:
        raise click.UsageError("Missing argument '-- COMMAND [ARGS]...'.")
    return Work(
        queue_id=queue_id,
        command=command,
        concurrency=concurrency,
        lease_s=lease_s,
        consumer=_consumer(consumer),
        durability=durability,
        selector=selector,
    )


def _settle(
    method: Literal["Ack", "Nack", "Extend"],
    queue_id: str,
    lease_ids: tuple[str, ...],
    fields: Fields,
    output: Output = "jsonl",
) -> Settle:
    """Return what a command about leases stands for. Raises click.UsageError."""
    return Settle(
        method=method,
        queue_id=queue_id,
        lease_ids=named_ids(lease_ids, "lease ids"),
        fields=fields,
        output=output,
    )


def _consumer(name: str | None) -> str:
    """What the consumer calls itself."""
    if name is not None:
        return name
    # As much of it as the server takes.
    return f"qcli@{socket.gethostname()[:100]}:{os.getpid()}"
