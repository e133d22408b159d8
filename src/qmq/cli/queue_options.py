"""The options that say how a queue hands out messages."""

from typing import Any, Final, TypedDict

import click

from qmq.cli.arguments import complete_queue, read_weights
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
    delay_s: float | None
    ttl_s: float | None
    dead_letter_expired: bool | None
    dedup_window_s: float | None
    priority_ageing_s: float | None
    bytes_limit: int | None
    overflow: str | None
    leased_max: int | None
    rate: float | None
    burst: int | None
    park_after: int | None
    fair_leased_max: int | None
    fair_rate: float | None
    fair_burst: int | None
    fair_weights: dict[str, int]
    weight: int | None


_OPTIONS: Final = (
    duration_option(
        "--lease-duration",
        "lease_s",
        help="How long a lease lasts unless its call says otherwise. A new queue has 30s.",
    ),
    click.option(
        "--delivery-count-max",
        type=int,
        metavar="N",
        help="How often a message is delivered before it becomes a dead letter; 0 means no"
        " maximum. Needs --dead-letter-queue.",
    ),
    click.option(
        "--dead-letter-queue",
        metavar="ID",
        shell_complete=complete_queue,
        help="Where messages go that were rejected or delivered too often: a queue in the same"
        " store; '' means nowhere.",
    ),
    duration_option(
        "--back-off-base",
        "back_off_base_s",
        help="How long a message is held back after its first failure. A new queue has 1s.",
    ),
    click.option(
        "--back-off-factor",
        type=float,
        metavar="FACTOR",
        help="How many times longer after each further failure. A new queue has 2.",
    ),
    duration_option(
        "--back-off-max",
        "back_off_max_s",
        help="The longest back-off. A new queue has 5m.",
    ),
    click.option(
        "--back-off-jitter",
        type=float,
        metavar="SHARE",
        help="How much of a back-off is cut off at random, 0 to 1. A new queue has 0.2.",
    ),
    level_option(
        "--durability-min",
        help="The least durability of any change to messages. A new queue has memory.",
    ),
    duration_option(
        "--delay",
        "delay_s",
        help="How long a message is held back that has no delay of its own. A new queue has 0.",
    ),
    duration_option(
        "--ttl",
        "ttl_s",
        help="How long any message is useful: it is not handed out after that. A new queue has 0,"
        " which means forever.",
    ),
    click.option(
        "--dead-letter-expired/--no-dead-letter-expired",
        default=None,
        help="Whether expired messages become dead letters, or are dropped. A new queue drops"
        " them.",
    ),
    duration_option(
        "--dedup-window",
        "dedup_window_s",
        help="How long the queue remembers a dedup id. A new queue has 5m.",
    ),
    duration_option(
        "--priority-ageing",
        "priority_ageing_s",
        help="How much earlier a message seems to have come for each step of its priority. A new"
        " queue has 0: a low priority waits as long as there is a higher one.",
    ),
    click.option(
        "--bytes-limit",
        type=int,
        metavar="N",
        help="How many bytes all messages may take; 0 means no limit.",
    ),
    click.option(
        "--overflow",
        type=click.Choice(["reject", "drop-oldest", "dead-letter-oldest"]),
        help="What a full queue does with an add: refuse it, or make room with its oldest"
        " messages. A new queue has reject.",
    ),
    click.option(
        "--leased-max",
        type=int,
        metavar="N",
        help="How many messages may be leased at a time; 0 means any number.",
    ),
    click.option(
        "--rate",
        type=float,
        metavar="N",
        help="Hand out at most N messages per second; 0 means no limit.",
    ),
    click.option(
        "--burst",
        type=int,
        metavar="N",
        help="With --rate: how many at once after a pause; 0 means as many as in one second.",
    ),
    click.option(
        "--park-after",
        type=int,
        metavar="N",
        help="How often a message of a group may fail before its group is stopped, until `qcli"
        " group resume` or `skip`; 0 means never.",
    ),
    click.option(
        "--fair-leased-max",
        type=int,
        metavar="N",
        help="How many messages of one fair key may be leased at a time; 0 means any number.",
    ),
    click.option(
        "--fair-rate",
        type=float,
        metavar="N",
        help="Hand out at most N messages of one fair key per second; 0 means no limit.",
    ),
    click.option(
        "--fair-burst",
        type=int,
        metavar="N",
        help="With --fair-rate: how many at once after a pause; 0 means as many as in one second.",
    ),
    click.option(
        "--fair-weight",
        "fair_weights",
        metavar="KEY=N",
        multiple=True,
        callback=read_weights,
        help="How many messages of this fair key are handed out at its turn, 1 to 1,000; 0 removes"
        " the weight, and without one it is 1. Can be given several times.",
    ),
    click.option(
        "--weight",
        type=int,
        metavar="N",
        help="The queue's share among those that a selector matches, 1 to 1,000. A new queue has"
        " 1.",
    ),
)


def queue_options(command: Decorated) -> Decorated:
    """Add the options of QueueOptions to a command."""
    return with_options(command, _OPTIONS)


def settings_fields(options: QueueOptions) -> dict[str, Any]:
    """Return what the options say as the fields of a proto.QueueSettings."""
    level, overflow = options["durability_min"], options["overflow"]
    back_off = given(
        base=duration(options["back_off_base_s"]),
        factor=options["back_off_factor"],
        max=duration(options["back_off_max_s"]),
        jitter=options["back_off_jitter"],
    )
    fairness = given(
        leased_max=options["fair_leased_max"],
        rate=given(messages_per_second=options["fair_rate"], burst=options["fair_burst"]) or None,
        weights=options["fair_weights"] or None,
    )
    return given(
        lease_duration=duration(options["lease_s"]),
        delivery_count_max=options["delivery_count_max"],
        dead_letter_queue_id=options["dead_letter_queue"],
        back_off=back_off or None,
        durability_min=level.name if level else None,
        delay=duration(options["delay_s"]),
        ttl=duration(options["ttl_s"]),
        dead_letter_expired=options["dead_letter_expired"],
        dedup_window=duration(options["dedup_window_s"]),
        priority_ageing=duration(options["priority_ageing_s"]),
        bytes_limit=options["bytes_limit"],
        overflow=overflow.replace("-", "_").upper() if overflow else None,
        leased_max=options["leased_max"],
        rate=given(messages_per_second=options["rate"], burst=options["burst"]) or None,
        park_after=options["park_after"],
        fairness=fairness or None,
        weight=options["weight"],
    )
