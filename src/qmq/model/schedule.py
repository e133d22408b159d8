"""The rules of schedules: when a message is added, and what becomes of missed moments.

At each of its ticks a schedule owes its queue one message. The debt is written down together with
the last tick, and the message is added in the step that pays it. So there is one message for each
tick, whatever happens in between.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

from qmq.descriptions import MessageOptions
from qmq.errors import InvalidArgument, TooLarge
from qmq.limits import (
    MISSED_MESSAGES_MAX,
    QUEUE_NAME_CHARS_MAX,
    SCHEDULE_MESSAGE_BYTES_MAX,
)
from qmq.model.catalog import is_name
from qmq.model.ticks import IntervalTicks, Ticks, cron_ticks


class Missed(IntEnum):
    """What is added for ticks that were missed; the numbers are those of the wire."""

    #: Nothing.
    SKIP = 1
    #: One message for all of them.
    ONE = 2
    #: One for each, up to MISSED_MESSAGES_MAX.
    ALL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """What a schedule is to do."""

    #: An expression of five fields; empty if there is an interval.
    cron: str = ""
    #: 0 if there is an expression.
    interval_ns: int = 0
    #: That of the expression, by its IANA name.
    time_zone: str = "UTC"
    #: Those of the message, as `envelope.encode_tags` encodes them.
    tags: bytes = b""
    payload: bytes = b""
    options: MessageOptions = MessageOptions()  # noqa: RUF009 - Frozen.
    missed: Missed = Missed.ONE
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule, and how far it is. Moments are nanoseconds since the Unix epoch."""

    #: A UUID.
    queue_id: str
    #: Unique among the schedules of the queue.
    name: str
    plan: SchedulePlan
    created_ns: int
    #: A tick of an interval; the others are whole intervals from it.
    anchor_ns: int
    #: All ticks up to here are done with.
    after_ns: int
    #: The last tick that has passed; 0 if none has.
    last_ns: int = 0
    #: Messages that are to be added, and have not been yet.
    owed: int = 0
    #: What became of all ticks that have passed: a message was added; none, since the tick was
    #: missed; none, since the queue refused it; none, since the queue knew its dedup_id.
    added: int = 0
    missed: int = 0
    refused: int = 0
    deduplicated: int = 0
    #: Why the queue has refused the last message; empty if it has not.
    obstacle: str = ""

    @property
    def id(self) -> str:
        """What a store knows it by."""
        return f"{self.queue_id}/{self.name}"


def check_schedule_name(name: str) -> None:
    """Refuse what cannot be a schedule's name.

    Raises:
        InvalidArgument: the name breaks the rule.
    """
    if not is_name(name):
        raise InvalidArgument(
            "name",
            f"must be 1 to {QUEUE_NAME_CHARS_MAX} of A-Z a-z 0-9 . _ - starting with a letter or"
            f" digit; got {name[: 2 * QUEUE_NAME_CHARS_MAX]!r}",
        )


def check_plan(plan: SchedulePlan, now_ns: int) -> None:
    """Refuse what no schedule could do.

    Raises:
        InvalidArgument: it would never be due, or its message is not for more than one time.
        TooLarge: its message is more than a schedule keeps.
    """
    if bool(plan.cron) == bool(plan.interval_ns):
        raise InvalidArgument("schedule", "must have either cron or interval, and not both")
    if plan.interval_ns and plan.time_zone != "UTC":
        raise InvalidArgument(
            "schedule.time_zone", "must be left out with an interval, which is the same everywhere"
        )
    for name, moment_ns, other in (
        ("available_at", plan.options.available_ns, "delay"),
        ("expires_at", plan.options.expires_ns, "ttl"),
    ):
        if moment_ns is not None:
            raise InvalidArgument(
                f"schedule.message.options.{name}",
                f"must be left out, since each message comes at a moment of its own; use {other}",
            )
    size = len(plan.tags) + len(plan.payload)
    if size > SCHEDULE_MESSAGE_BYTES_MAX:
        raise TooLarge(
            f"schedule.message: payload and tags take {size} bytes, more than"
            f" schedule_message_bytes_max of {SCHEDULE_MESSAGE_BYTES_MAX}; keep what is large"
            " elsewhere, and its address in the message",
            "schedule_message_bytes_max",
            SCHEDULE_MESSAGE_BYTES_MAX,
            size,
        )
    if _ticks(plan, now_ns).next_ns(now_ns) is None:
        raise InvalidArgument("schedule.cron", f"{plan.cron!r} names days that never come")


def put(
    before: Schedule | None, queue_id: str, name: str, plan: SchedulePlan, now_ns: int
) -> Schedule:
    """Make a schedule, or change one.

    If the ticks stay the same, it goes on where it is: putting the same schedule again changes
    nothing. Ticks that pass while it is paused do not count.

    Args:
        before: the schedule of that name, if there is one; nothing of it may be due.
        queue_id: the UUID of its queue.
        name: its name.
        plan: what it is to do from now on, as `check_plan` found fit.
        now_ns: the moment.
    """
    if before is None:
        return Schedule(
            queue_id=queue_id,
            name=name,
            plan=plan,
            created_ns=now_ns,
            anchor_ns=now_ns,
            after_ns=now_ns,
        )
    changed = replace(before, plan=plan, obstacle="")
    if _timing(plan) != _timing(before.plan):
        changed = replace(changed, anchor_ns=now_ns, after_ns=now_ns)
    elif before.plan.paused:
        changed = replace(changed, after_ns=max(before.after_ns, now_ns))
    if plan.paused:
        changed = replace(changed, owed=0, missed=before.missed + before.owed)
    return changed


def _timing(plan: SchedulePlan) -> tuple[str, int, str]:
    return plan.cron, plan.interval_ns, plan.time_zone


def next_tick_ns(schedule: Schedule) -> int | None:
    """Return the moment of the next tick; None if there is none, for example if it is paused."""
    if schedule.plan.paused:
        return None
    return _ticks(schedule.plan, schedule.anchor_ns).next_ns(schedule.after_ns)


def pass_ticks(schedule: Schedule, now_ns: int, since_ns: int) -> Schedule:
    """Take note of the ticks that have passed, and of the messages that are owed for them.

    Args:
        schedule: how far it was.
        now_ns: the moment.
        since_ns: since when somebody has been looking: ticks up to then were missed, and those
            after it come in time.

    Returns:
        The same schedule if there were none. Ticks are passed once, also if the clock is set
        back: then those of an expression go on after the last one, and those of an interval an
        interval from now.
    """
    plan = schedule.plan
    if plan.paused:
        return schedule
    if schedule.after_ns >= now_ns:
        if plan.interval_ns and schedule.after_ns > now_ns:
            return replace(schedule, anchor_ns=now_ns, after_ns=now_ns)
        return schedule
    ticks = _ticks(plan, schedule.anchor_ns)
    all_ticks = ticks.passed(schedule.after_ns, now_ns)
    if not all_ticks.number:
        return schedule
    missed = 0
    if since_ns > schedule.after_ns:
        missed = ticks.passed(schedule.after_ns, min(since_ns, now_ns)).number
    owed_max = {Missed.SKIP: 0, Missed.ONE: 1, Missed.ALL: MISSED_MESSAGES_MAX}[plan.missed]
    made_up_for = min(missed, owed_max)
    return replace(
        schedule,
        after_ns=all_ticks.last_ns,
        last_ns=all_ticks.last_ns,
        owed=schedule.owed + all_ticks.number - missed + made_up_for,
        missed=schedule.missed + missed - made_up_for,
    )


def settle(
    schedule: Schedule, *, added: int = 0, deduplicated: int = 0, obstacle: str = ""
) -> Schedule:
    """Take note of what became of messages that were owed.

    Args:
        schedule: one that owes so many at least.
        added: how many its queue has taken.
        deduplicated: how many it has not, since it knew their dedup_id.
        obstacle: why it has refused a further one; all that are owed are given up then.
    """
    owed = schedule.owed - added - deduplicated
    return replace(
        schedule,
        owed=0 if obstacle else owed,
        added=schedule.added + added,
        deduplicated=schedule.deduplicated + deduplicated,
        refused=schedule.refused + (owed if obstacle else 0),
        obstacle=obstacle,
    )


def _ticks(plan: SchedulePlan, anchor_ns: int) -> Ticks:
    if plan.interval_ns:
        return IntervalTicks(plan.interval_ns, anchor_ns)
    return cron_ticks(plan.cron, plan.time_zone)


def text_of(schedule: Schedule) -> str:
    """Write a schedule down, for a store to keep."""
    plan = _fields(schedule.plan)
    plan["options"] = _fields(schedule.plan.options)
    for name in ("tags", "payload"):
        plan[name] = b64encode(plan[name]).decode()
    return json.dumps({**_fields(schedule), "plan": plan}, ensure_ascii=False)


def _fields(value: Schedule | SchedulePlan | MessageOptions) -> dict[str, Any]:
    """Return fields by their names: as `asdict`, which copies all that is in them."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def schedule_of(text: str) -> Schedule:
    """Read what `text_of` has written."""
    known: dict[str, Any] = json.loads(text)
    plan: dict[str, Any] = known.pop("plan")
    return Schedule(
        plan=SchedulePlan(
            tags=b64decode(plan.pop("tags")),
            payload=b64decode(plan.pop("payload")),
            options=MessageOptions(**plan.pop("options")),
            missed=Missed(plan.pop("missed")),
            **plan,
        ),
        **known,
    )
