"""The options that say when a message is handed out, and how often it is added."""

from typing import Any, Final, TypedDict

import click

from qmq.cli.arguments import Moment, read_moment
from qmq.cli.options import (
    Decorated,
    duration,
    duration_option,
    exclusive,
    given,
    with_options,
)


class AddingOptions(TypedDict):
    """The options that say when a message is handed out, and how often it is added."""

    delay_s: float | None
    available_at: Moment | None
    ttl_s: float | None
    expires_at: Moment | None
    priority: int | None
    dedup_id: str | None
    group_id: str | None
    fair_key: str | None


_OPTIONS: Final = (
    duration_option(
        "--delay",
        "delay_s",
        help="How long the message is held back; otherwise the queue's delay.",
    ),
    click.option(
        "--at",
        "available_at",
        metavar="TIME",
        callback=read_moment,
        help="Hold it back until this moment: 2026-12-01T08:00Z, or with +01:00 for Z.",
    ),
    duration_option(
        "--ttl",
        "ttl_s",
        help="How long it is useful: it is not handed out after that; otherwise the queue's ttl.",
    ),
    click.option(
        "--expires-at",
        metavar="TIME",
        callback=read_moment,
        help="It is not handed out after this moment.",
    ),
    click.option(
        "--priority",
        type=click.IntRange(0, 255),
        metavar="N",
        help="0 to 255; higher goes first. Without it, 0.",
    ),
    click.option(
        "--dedup-id",
        metavar="TEXT",
        help="While the queue remembers this id, a second message with it is not added.",
    ),
    click.option(
        "--group",
        "group_id",
        metavar="TEXT",
        help="Its group: messages of a group are handed out one after the other, and none while"
        " others of it are leased.",
    ),
    click.option(
        "--fair-key",
        metavar="TEXT",
        help="Whose message it is: messages with different keys take turns, however many there are"
        " of each.",
    ),
)


def adding_options(command: Decorated) -> Decorated:
    """Add the options of AddingOptions to a command."""
    return with_options(command, _OPTIONS)


def options_fields(options: AddingOptions) -> dict[str, Any]:
    """Return what the options say as the fields of a proto.MessageOptions.

    Raises:
        click.UsageError: two of them exclude each other.
    """
    delay, available_at = duration(options["delay_s"]), options["available_at"]
    ttl, expires_at = duration(options["ttl_s"]), options["expires_at"]
    exclusive(delay=delay, at=available_at)
    exclusive(ttl=ttl, expires_at=expires_at)
    return given(
        delay=delay,
        available_at=available_at,
        ttl=ttl,
        expires_at=expires_at,
        priority=options["priority"],
        dedup_id=options["dedup_id"] or None,
        group_id=options["group_id"] or None,
        fair_key=options["fair_key"] or None,
    )
