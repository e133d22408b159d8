"""The options that say how a queue hands out messages."""

from typing import Any, TypedDict

import click

from qmq.cli.arguments import complete_queue
from qmq.cli.options import (
    Decorated,
    duration,
    duration_option,
    given,
    level_option,
    with_options,
)
from qmq.values import Durability


class QueueOptions(TypedDict):
    """The options that say how a queue hands out messages; None or UNKNOWN where not given."""

    lease_s: float | None
    delivery_count_max: int | None
    dead_letter_queue: str | None
    back_off_base_s: float | None
    back_off_factor: float | None
    back_off_max_s: float | None
    back_off_jitter: float | None
    durability_min: Durability


def queue_options(command: Decorated) -> Decorated:
    """Add the options of QueueOptions to a command."""
    options = (
        duration_option(
            "--lease-duration",
            "lease_s",
            help="How long a lease lasts that asks for nothing else; a new queue has 30s.",
        ),
        click.option(
            "--delivery-count-max",
            type=int,
            metavar="N",
            help="How often a message is delivered before it becomes a dead letter; 0 is no"
            " maximum. Needs --dead-letter-queue.",
        ),
        click.option(
            "--dead-letter-queue",
            metavar="ID",
            shell_complete=complete_queue,
            help="Where messages go that were rejected or delivered too often: a queue in the"
            " same store; '' for none.",
        ),
        duration_option(
            "--back-off-base",
            "back_off_base_s",
            help="How long a message is kept back after its first delivery has failed; a new queue"
            " has 1s.",
        ),
        click.option(
            "--back-off-factor",
            type=float,
            metavar="FACTOR",
            help="How many times longer after each further one; a new queue has 2.",
        ),
        duration_option(
            "--back-off-max",
            "back_off_max_s",
            help="How long at most after any of them; a new queue has 5m.",
        ),
        click.option(
            "--back-off-jitter",
            type=float,
            metavar="SHARE",
            help="How much of that chance takes off at most, 0 to 1; a new queue has 0.2.",
        ),
        level_option(
            "--durability-min",
            help="The least durability of any change to the messages; a new queue has memory.",
        ),
    )
    return with_options(command, options)


def settings_fields(options: QueueOptions) -> dict[str, Any]:
    """Return what the options say as the fields of a proto.QueueSettings."""
    level = options["durability_min"]
    back_off = given(
        base=duration(options["back_off_base_s"]),
        factor=options["back_off_factor"],
        max=duration(options["back_off_max_s"]),
        jitter=options["back_off_jitter"],
    )
    return given(
        lease_duration=duration(options["lease_s"]),
        delivery_count_max=options["delivery_count_max"],
        dead_letter_queue_id=options["dead_letter_queue"],
        back_off=back_off or None,
        durability_min=level.name if level else None,
    )
