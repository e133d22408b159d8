"""The rules of schedules: one message a tick, and what becomes of ticks that were missed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import MessageOptions
from qmq.errors import InvalidArgument, TooLarge
from qmq.limits import MISSED_MESSAGES_MAX, SCHEDULE_MESSAGE_BYTES_MAX
from qmq.model.schedule import (
    Missed,
    Schedule,
    SchedulePlan,
    check_plan,
    check_schedule_name,
    next_tick_ns,
    pass_ticks,
    put,
    schedule_of,
    settle,
    text_of,
)
from qmq.model.ticks import CronTicks
from qmq.testing import START_NS
from qmq.values import NS_PER_S

QUEUE_ID = "b5e2c9b7-8d0e-4c59-a5a1-2b4f3cf8a111"

#: Starts with a whole minute, which no schedule of these tests has as its first tick.
BEGIN_NS = START_NS - START_NS % (60 * NS_PER_S)
MINUTE_NS = 60 * NS_PER_S

EVERY_MINUTE = SchedulePlan(cron="* * * * *")
EVERY_10_S = SchedulePlan(interval_ns=10 * NS_PER_S)


def made(plan: SchedulePlan, now_ns: int = BEGIN_NS) -> Schedule:
    """Make a schedule."""
    return put(None, QUEUE_ID, "tick", plan, now_ns)


def looked_at(schedule: Schedule, now_ns: int, *, was_away: bool = False) -> Schedule:
    """Look at a schedule; all ticks since the last look were missed if nobody was there."""
    return pass_ticks(schedule, now_ns, now_ns if was_away else schedule.after_ns)


def after(seconds: float) -> int:
    """Return a moment, in nanoseconds."""
    return BEGIN_NS + round(seconds * NS_PER_S)


def tick_s(schedule: Schedule) -> float | None:
    """Return how many seconds after the beginning the next tick is."""
    tick = next_tick_ns(schedule)
    return None if tick is None else (tick - BEGIN_NS) / NS_PER_S


def test_each_tick_owes_a_message_once() -> None:
    """Nothing before the first tick, one message at it, and no second one."""
    schedule = made(EVERY_MINUTE)

    early = looked_at(schedule, after(59.999999999))
    due = looked_at(schedule, after(60))
    again = looked_at(due, after(60))

    assert tick_s(schedule) == 60
    assert early is schedule
    assert (due.owed, due.last_ns, tick_s(due)) == (1, after(60), 120)
    assert again is due


@pytest.mark.parametrize(
    ("policy", "owed", "missed"), [(Missed.SKIP, 0, 5), (Missed.ONE, 1, 4), (Missed.ALL, 5, 0)]
)
@pytest.mark.parametrize("plan", [EVERY_MINUTE, replace(EVERY_10_S, interval_ns=MINUTE_NS)])
def test_missed_ticks(plan: SchedulePlan, policy: Missed, owed: int, missed: int) -> None:
    """None, one or all of their messages come late; the others are counted."""
    schedule = made(replace(plan, missed=policy))

    late = looked_at(schedule, after(330), was_away=True)

    assert (late.owed, late.missed, late.last_ns) == (owed, missed, after(300))
    assert tick_s(late) == 360


@pytest.mark.parametrize("policy", Missed)
def test_what_comes_in_time_is_not_missed(policy: Missed) -> None:
    """Also when several ticks are due at one look, and others before them were missed."""
    schedule = made(replace(EVERY_10_S, missed=policy))

    due = pass_ticks(schedule, after(55), after(30))

    assert due.owed + due.missed == 5
    assert due.owed == {Missed.SKIP: 2, Missed.ONE: 3, Missed.ALL: 5}[policy]


def test_very_many_missed_ticks_are_counted() -> None:
    """No more messages than the limit come late, however many ticks were missed."""
    schedule = made(replace(EVERY_MINUTE, missed=Missed.ALL))
    away_s = (MISSED_MESSAGES_MAX + 234) * 60

    late = looked_at(schedule, after(away_s), was_away=True)

    assert (late.owed, late.missed) == (MISSED_MESSAGES_MAX, 234)


def test_clock_set_back_gives_no_tick_of_an_expression_twice() -> None:
    """There are none until the clock is past the last one."""
    schedule = looked_at(made(EVERY_MINUTE), after(3_600))

    for seconds in (0, 1_800, 3_600, 3_659):
        assert looked_at(schedule, after(seconds)) is schedule
    assert looked_at(schedule, after(3_660)).owed == schedule.owed + 1


def test_intervals_go_on_after_the_clock_was_set_back() -> None:
    """The next tick is an interval after the clock was set."""
    schedule = looked_at(made(EVERY_10_S), after(3_600))

    back = looked_at(schedule, after(5))

    assert (back.owed, back.last_ns) == (schedule.owed, schedule.last_ns)
    assert tick_s(back) == 15
    assert looked_at(back, after(15)).owed == schedule.owed + 1


def test_to_put_the_same_again_changes_nothing() -> None:
    """Whoever puts his schedules each time he starts puts none of their ticks off."""
    schedule = looked_at(made(EVERY_10_S), after(15))

    again = put(schedule, QUEUE_ID, "tick", EVERY_10_S, after(19))
    other = put(schedule, QUEUE_ID, "tick", replace(EVERY_10_S, payload=b"new"), after(19))

    assert again == schedule
    assert other == replace(schedule, plan=other.plan)
    assert tick_s(again) == tick_s(other) == 20


def test_other_ticks_begin_anew() -> None:
    """Of a changed interval, from now on; what was counted stays."""
    schedule = settle(looked_at(made(EVERY_10_S), after(15)), added=1)

    longer = put(schedule, QUEUE_ID, "tick", replace(EVERY_10_S, interval_ns=MINUTE_NS), after(19))
    cron = put(schedule, QUEUE_ID, "tick", replace(EVERY_MINUTE, missed=Missed.ALL), after(3_619))

    assert (tick_s(longer), tick_s(cron)) == (79, 3_660)
    assert {(each.added, each.created_ns) for each in (longer, cron)} == {(1, BEGIN_NS)}
    assert looked_at(cron, after(3_630), was_away=True) is cron


def test_paused_schedule_has_no_ticks() -> None:
    """Those that pass meanwhile are not made up for, and an interval keeps its beat."""
    schedule = settle(looked_at(made(EVERY_10_S), after(15)), added=1)
    paused = put(schedule, QUEUE_ID, "tick", replace(EVERY_10_S, paused=True), after(16))

    assert tick_s(paused) is None
    assert looked_at(paused, after(100), was_away=True) is paused
    assert looked_at(paused, after(0)) is paused

    resumed = put(paused, QUEUE_ID, "tick", EVERY_10_S, after(103))

    assert (tick_s(resumed), resumed.missed) == (110, 0)


def test_pause_gives_up_what_is_owed() -> None:
    """Nothing is added while a schedule is paused, and nothing is forgotten to be counted."""
    schedule = looked_at(made(EVERY_10_S), after(25))

    paused = put(schedule, QUEUE_ID, "tick", replace(EVERY_10_S, paused=True), after(26))

    assert (schedule.owed, paused.owed, paused.missed) == (2, 0, 2)


def test_what_is_owed_comes_to_something() -> None:
    """It is added, or known already, or refused with a reason, which the next one takes away."""
    schedule = looked_at(made(EVERY_10_S), after(100))

    some = settle(schedule, added=3, deduplicated=2)
    refused = settle(some, added=1, obstacle="the queue is full")
    next_one = settle(looked_at(refused, after(110)), added=1)

    assert (some.owed, some.added, some.deduplicated, some.obstacle) == (5, 3, 2, "")
    assert (refused.owed, refused.added, refused.refused) == (0, 4, 4)
    assert refused.obstacle == "the queue is full"
    assert (next_one.owed, next_one.added, next_one.refused, next_one.obstacle) == (0, 5, 4, "")


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */5 * * MON", ""]),
    st.sampled_from(Missed),
    st.lists(
        st.tuples(
            st.integers(-7_200, 200_000), st.booleans(), st.sampled_from(["all", "some", "full"])
        ),
        max_size=12,
    ),
)
def test_no_tick_is_lost_or_twice(
    cron: str, policy: Missed, looks: list[tuple[int, bool, str]]
) -> None:
    """Whatever the clock does, and whoever looks when: each tick comes to one thing."""
    plan = SchedulePlan(
        cron=cron,
        interval_ns=0 if cron else 613 * NS_PER_S,
        time_zone="Europe/Berlin" if cron else "UTC",
        missed=policy,
    )
    # Some hours before the clock in Berlin is put forward.
    begin_ns = latest_ns = now_ns = 1_774_735_200 * NS_PER_S
    schedule = made(plan, begin_ns)
    lasts: list[int] = []
    for seconds, was_away, queue in looks:
        now_ns += seconds * NS_PER_S
        if plan.interval_ns:
            now_ns = max(now_ns, latest_ns)
        latest_ns = max(latest_ns, now_ns)
        schedule = looked_at(schedule, now_ns, was_away=was_away)
        schedule = settle(
            schedule,
            added={"all": schedule.owed, "some": schedule.owed // 2, "full": 0}[queue],
            obstacle="full" if queue == "full" and schedule.owed else "",
        )
        lasts.append(schedule.last_ns)

    ticks = CronTicks(cron, "Europe/Berlin").passed(begin_ns, latest_ns).number if cron else None
    counted = schedule.owed + schedule.added + schedule.missed + schedule.refused

    assert counted == ((latest_ns - begin_ns) // plan.interval_ns if ticks is None else ticks)
    assert lasts == sorted(lasts)
    assert all(last <= latest_ns for last in lasts)
    if policy is Missed.SKIP and all(was_away for _, was_away, _ in looks):
        assert schedule.added == 0
    if policy is Missed.ALL and ticks is not None and ticks <= MISSED_MESSAGES_MAX:
        assert schedule.missed == 0


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (SchedulePlan(), "schedule"),
        (SchedulePlan(cron="* * * * *", interval_ns=NS_PER_S), "schedule"),
        (SchedulePlan(cron="every day"), "schedule.cron"),
        (SchedulePlan(cron="0 0 */31 2 MON#5"), "schedule.cron"),
        (SchedulePlan(cron="* * * * *", time_zone="Mars"), "schedule.time_zone"),
        (SchedulePlan(interval_ns=NS_PER_S, time_zone="Europe/Berlin"), "schedule.time_zone"),
        (
            replace(EVERY_10_S, options=MessageOptions(available_ns=START_NS)),
            "schedule.message.options.available_at",
        ),
        (
            replace(EVERY_10_S, options=MessageOptions(expires_ns=START_NS)),
            "schedule.message.options.expires_at",
        ),
    ],
)
def test_plan_that_cannot_be_carried_out(plan: SchedulePlan, field: str) -> None:
    """It is refused by the name of what is wrong."""
    with pytest.raises(InvalidArgument) as refusal:
        check_plan(plan, START_NS)

    assert refusal.value.field == field


def test_large_messages_are_refused() -> None:
    """As many bytes as the limit are fine, tags included, and one more is not."""
    fits = replace(EVERY_10_S, tags=b"12345", payload=bytes(SCHEDULE_MESSAGE_BYTES_MAX - 5))

    check_plan(fits, START_NS)
    with pytest.raises(TooLarge) as refusal:
        check_plan(replace(fits, tags=b"123456"), START_NS)

    assert refusal.value.metadata == {
        "limit": "schedule_message_bytes_max",
        "value": "65536",
        "current": "65537",
    }


@pytest.mark.parametrize("name", ["a", "9", "A.b_c-d", "x" * 80, QUEUE_ID])
def test_names(name: str) -> None:
    """As those of queues; a UUID is one too, since a schedule has no other id."""
    check_schedule_name(name)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "x" * 81, "ä", "a\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """What could not stand in the path of a URL, or in a list."""
    with pytest.raises(InvalidArgument) as refusal:
        check_schedule_name(name)

    assert refusal.value.field == "name"


def test_schedule_is_read_as_it_was_written() -> None:
    """With everything that it may have."""
    schedule = Schedule(
        queue_id=QUEUE_ID,
        name="tick",
        plan=SchedulePlan(
            cron="30 6 * * MON-FRI",
            time_zone="Europe/Berlin",
            tags=b"\x1a\x02\x0a\x00",
            payload=bytes(range(256)),
            options=MessageOptions(delay_ns=1, ttl_ns=2, priority=3, dedup_id="\u4e16"),
            missed=Missed.ALL,
            paused=True,
        ),
        created_ns=1,
        anchor_ns=2,
        after_ns=3,
        last_ns=4,
        owed=5,
        added=6,
        missed=7,
        refused=8,
        deduplicated=9,
        obstacle="\u4e16 is full",
    )

    assert schedule_of(text_of(schedule)) == schedule
    assert schedule_of(text_of(made(EVERY_10_S))) == made(EVERY_10_S)
    assert schedule.id == f"{QUEUE_ID}/tick"
