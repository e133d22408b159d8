"""Replies as tables for people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

from qmq.cli.rates import done_total
from qmq.cli.table import (
    Column,
    age_text,
    numbers,
    printable,
    size_text,
    table,
    telling,
    when_text,
)
from qmq.client.queue_values import (
    Fairness,
    GroupInfo,
    QueueInfo,
    QueueSettings,
    QueueStats,
    Redrive,
)
from qmq.client.values import Attempt, BrowsedMessage, Explanation
from qmq.values import FairKeyStats, MessageState, Overflow, Tag

#: For how long a queue knows a dedup_id by default.
_DEDUP_WINDOW: Final = timedelta(minutes=5)

#: Characters of a payload that are shown where there is no terminal.
_PAYLOAD_CHARS: Final = 64


#: The names of queues, by their ids.
Names: TypeAlias = Mapping[str, str]


def queue_table(queues: Sequence[QueueInfo], names: Names) -> list[str]:
    """Return what queues are."""
    return table(
        [
            Column("NAME", [queue.name or "-" for queue in queues]),
            Column("ID", [queue.id for queue in queues]),
            Column("STORE", [queue.store.name for queue in queues]),
            numbers("LIMIT", (_unless(-1, queue.limit) for queue in queues)),
            numbers("LEASE", (age_text(queue.settings.lease_duration) for queue in queues)),
            numbers(
                "DELIVERIES",
                (_unless(0, queue.settings.delivery_count_max or 0) for queue in queues),
            ),
            Column(
                "DEAD-LETTER-QUEUE",
                [
                    called(queue.settings.dead_letter_queue_id or "", names) or "-"
                    for queue in queues
                ],
            ),
            *_settings_columns([queue.settings for queue in queues]),
            Column("PAUSED", [_paused(queue) for queue in queues]),
            Column("CREATED", [when_text(queue.created) for queue in queues]),
            Column("TAGS", [_tags(queue.tags) for queue in queues]),
        ]
    )


def _settings_columns(settings: Sequence[QueueSettings]) -> list[Column]:
    """Return settings of which one is not as by default; `-` stands for those that are."""
    rates = [each.rate.messages_per_second if each.rate else None for each in settings]
    return telling(
        numbers("DELAY", (_span(each.delay) for each in settings)),
        numbers("TTL", (_span(each.ttl) for each in settings)),
        Column(
            "EXPIRED", ["dead-letter" if each.dead_letter_expired else "-" for each in settings]
        ),
        numbers("DEDUP-WINDOW", (_span(each.dedup_window, _DEDUP_WINDOW) for each in settings)),
        numbers("AGEING", (_span(each.priority_ageing) for each in settings)),
        numbers(
            "BYTES-LIMIT",
            (size_text(each.bytes_limit) if each.bytes_limit else "-" for each in settings),
        ),
        Column("OVERFLOW", [_overflow(each.overflow) for each in settings]),
        numbers("LEASED-MAX", (_unless(0, each.leased_max or 0) for each in settings)),
        numbers("RATE", (f"{rate:g}/s" if rate else "-" for rate in rates)),
        numbers("PARK-AFTER", (_unless(0, each.park_after or 0) for each in settings)),
        *_fairness_columns([each.fairness or Fairness() for each in settings]),
        numbers("WEIGHT", (_unless(1, each.weight or 1) for each in settings)),
    )


def _fairness_columns(fairness: Sequence[Fairness]) -> list[Column]:
    rates = [each.rate.messages_per_second if each.rate else None for each in fairness]
    return [
        numbers("FAIR-LEASED-MAX", (_unless(0, each.leased_max or 0) for each in fairness)),
        numbers("FAIR-RATE", (f"{rate:g}/s" if rate else "-" for rate in rates)),
        numbers("FAIR-WEIGHTS", (_unless(0, len(each.weights or ())) for each in fairness)),
    ]


def stats_table(stats: Sequence[QueueStats]) -> list[str]:
    """Return the counts of queues; below that, how fair keys share a queue."""
    lines = table(
        [
            Column("QUEUE", [each.info.name or each.info.id for each in stats]),
            Column("STORE", [each.info.store.name for each in stats]),
            numbers("READY", (each.ready for each in stats)),
            numbers("LEASED", (each.leased for each in stats)),
            numbers("DELAYED", (each.delayed for each in stats)),
            numbers("LIMIT", (_unless(-1, each.limit) for each in stats)),
            numbers("BYTES", (size_text(each.ready_bytes) for each in stats)),
            numbers("OLDEST", (age_text(each.oldest_age) for each in stats)),
            numbers("WAITING", (each.waiting for each in stats)),
            numbers("ADDED", (each.enqueued_total for each in stats)),
            numbers("DONE", (done_total(each) for each in stats)),
            numbers("AGAIN", (each.redelivered_total for each in stats)),
            numbers("DEAD", (each.dead_lettered_total for each in stats)),
            *telling(
                numbers("EXPIRED", (_unless(0, each.expired_total) for each in stats)),
                numbers("OVERFLOWED", (_unless(0, each.overflowed_total) for each in stats)),
                numbers("DEDUPLICATED", (_unless(0, each.deduplicated_total) for each in stats)),
                numbers("DELETED", (_unless(0, each.deleted_total) for each in stats)),
                numbers("MOVED-IN", (_unless(0, each.moved_in_total) for each in stats)),
                numbers("MOVED-OUT", (_unless(0, each.moved_out_total) for each in stats)),
                numbers("DEDUP-IDS", (_unless(0, each.dedup_ids) for each in stats)),
                numbers("GROUPS", (_unless(0, each.groups) for each in stats)),
                numbers("PAUSED", (_unless(0, each.groups_paused) for each in stats)),
                numbers("PARKED", (_unless(0, each.groups_parked) for each in stats)),
                numbers("BLOCKED", (_unless(0, each.blocked) for each in stats)),
                numbers("FAIR-KEYS", (_unless(0, each.fair_keys) for each in stats)),
            ),
        ]
    )
    for each in stats:
        if each.top_fair_keys:
            lines += ["", *_fair_key_table(each.top_fair_keys)]
    return lines


def _fair_key_table(keys: Sequence[FairKeyStats]) -> list[str]:
    return table(
        [
            Column("FAIR-KEY", [printable(each.fair_key) or "(none)" for each in keys]),
            numbers("WEIGHT", (each.weight for each in keys)),
            numbers("WAITING", (each.waiting for each in keys)),
            numbers("LEASED", (each.leased for each in keys)),
        ]
    )


def group_table(groups: Sequence[GroupInfo], skipped: int | None) -> list[str]:
    """Return what groups are and hold.

    Args:
        groups: those.
        skipped: how many messages were taken out of the one that there is; None if that is not
            what was asked for.
    """
    return table(
        [
            Column("GROUP", [printable(each.id) for each in groups]),
            Column(
                "STATE", [each.state.name.lower() if each.state else "unknown" for each in groups]
            ),
            numbers("WAITING", (each.waiting for each in groups)),
            numbers("LEASED", (each.leased for each in groups)),
            *([] if skipped is None else [numbers("SKIPPED", [skipped])]),
            *telling(Column("SINCE", [when_text(each.since) for each in groups])),
        ]
    )


def redrive_table(redrives: Sequence[Redrive], names: Names) -> list[str]:
    """Return redrives, and below the table what stands in the way of one."""
    lines = table(
        [
            Column("ID", [each.id for each in redrives]),
            Column("STATE", [_redrive_state(each) for each in redrives]),
            Column("FROM", [called(each.queue_id, names) for each in redrives]),
            Column("TO", [called(each.target_queue_id, names) or "(source)" for each in redrives]),
            numbers("TOTAL", (each.total for each in redrives)),
            numbers("SEEN", (each.seen for each in redrives)),
            numbers("MATCHED", (each.matched for each in redrives)),
            numbers("MOVED", (each.moved for each in redrives)),
            numbers("FAILED-AGAIN", (each.failed_again for each in redrives)),
            Column("STARTED", [when_text(each.started) for each in redrives]),
        ]
    )
    return [
        *lines,
        *(f"{each.id}: {printable(each.message)}" for each in redrives if each.message),
    ]


def browse_table(messages: Sequence[BrowsedMessage[Any]], width: int | None) -> list[str]:
    """Return messages of a queue.

    Args:
        messages: as they are in the queue.
        width: characters of the terminal, if it is one; payloads are cut to fit.
    """
    columns = [
        Column("ID", [each.id for each in messages]),
        Column("STATE", [_state(each) for each in messages]),
        numbers("AGE", (age_text(each.age) for each in messages)),
        numbers("DELIVERED", (each.delivery_count for each in messages)),
        *telling(
            numbers("PRIORITY", (_unless(0, each.priority) for each in messages)),
            Column(
                "EXPIRES",
                [when_text(each.expires_at) for each in messages],
            ),
            Column("DEDUP-ID", [printable(each.dedup_id) or "-" for each in messages]),
            Column("GROUP", [printable(each.group_id) or "-" for each in messages]),
            Column("FAIR-KEY", [printable(each.fair_key) or "-" for each in messages]),
            Column("TAGS", [_tags(each.tags) for each in messages]),
        ),
    ]
    room = _PAYLOAD_CHARS
    if width is not None:
        room = max(width - sum(column.width + 2 for column in columns), len("PAYLOAD"))
    return table([*columns, Column("PAYLOAD", [preview(each.payload, room) for each in messages])])


def explanation_text(explained: Explanation[Any], names: Names) -> list[str]:
    """Return where a message is, why it is not handed out, and what became of it before."""
    message = explained.message
    count = message.delivery_count
    facts = {
        "id": message.id,
        "state": _where(message, explained.ahead),
        "age": age_text(message.age),
        "delivered": "once" if count == 1 else f"{count} times",
        "tags": _tags(message.tags) or "-",
        "payload": preview(message.payload, _PAYLOAD_CHARS) or "-",
    }
    if message.priority:
        facts["priority"] = str(message.priority)
    if message.expires_at:
        facts["expires"] = when_text(message.expires_at)
    if message.dedup_id:
        facts["dedup id"] = printable(message.dedup_id)
    if message.group_id:
        facts["group"] = printable(message.group_id)
    if message.fair_key:
        facts["fair key"] = printable(message.fair_key)
    if dead := message.dead_letter:
        reason = dead.reason.name.lower().replace("_", " ") if dead.reason else "unknown"
        facts["dead letter"] = printable(
            f"{reason}, of {called(dead.source_queue_id, names)}, since {when_text(dead.moved)}"
            f"{': ' if dead.text else ''}{dead.text}"
        )
    lines = [f"{name:<13}{text}" for name, text in facts.items()]
    if explained.reasons:
        lines += ["", *map(printable, explained.reasons)]
    if message.attempts:
        lines += ["", *_attempts_table(message.attempts)]
    return lines


def preview(payload: bytes, width: int) -> str:
    """Return the beginning of a payload: no more than `width` printable characters."""
    # No character takes more than four bytes. One that is cut in two is not there.
    head, is_whole = payload[: 4 * width], len(payload) <= 4 * width
    text = printable(head.decode(errors="backslashreplace"))
    return text if is_whole and len(text) <= width else f"{text[: width - 1]}~"


def _attempts_table(attempts: Sequence[Attempt]) -> list[str]:
    outcomes = [each.outcome.name.lower() if each.outcome else "unknown" for each in attempts]
    return table(
        [
            Column("OUTCOME", outcomes),
            Column("CONSUMER", [printable(each.consumer) or "-" for each in attempts]),
            Column("LEASED", [when_text(each.leased) for each in attempts]),
            numbers("FOR", (age_text(each.ended - each.leased) for each in attempts)),
            Column("REASON", [printable(each.reason) or "-" for each in attempts]),
        ]
    )


def _where(message: BrowsedMessage[Any], ahead: int) -> str:
    """Return the state of a message with what there is to say of it."""
    until = f" until {when_text(message.until)}" if message.until else ""
    match message.state:
        case MessageState.READY:
            return f"ready, {ahead:,} before it"
        case MessageState.LEASED:
            return f"leased by {printable(message.consumer) or 'somebody'}{until}"
        case _:
            return f"{_state(message)}{until}"


def _state(message: BrowsedMessage[Any]) -> str:
    return message.state.name.lower() if message.state else "unknown"


def _redrive_state(redrive: Redrive) -> str:
    state = redrive.state.name.lower().replace("_", "-")
    return f"{state},dry-run" if redrive.dry_run else state


def called(queue_id: str, names: Names) -> str:
    """How a queue is called: by its name, or else by its id."""
    return names.get(queue_id) or queue_id


def _paused(queue: QueueInfo) -> str:
    if queue.paused is None:
        return "-"
    return "adds-too" if queue.paused.adds else "yes"


def _span(span: timedelta | None, default: timedelta = timedelta()) -> str:
    return "-" if not span or span == default else age_text(span)


def _overflow(overflow: Overflow | None) -> str:
    if overflow in (None, Overflow.REJECT):
        return "-"
    return overflow.name.lower().replace("_", "-")


def _unless(none: int, count: int) -> str:
    return "-" if count == none else str(count)


def _tags(tags: Iterable[Tag]) -> str:
    return printable(" ".join(f"{tag.key}={tag.value}" for tag in tags))
