"""Schedules add messages by themselves: one a tick, in queues of both stores."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.broker import Broker
from qmq.engine.scheduling import ScheduleCounts
from qmq.errors import (
    InvalidArgument,
    LimitReached,
    QueueNotFound,
    ScheduleNotFound,
    ShuttingDown,
    TooLarge,
)
from qmq.limits import SCHEDULE_MESSAGE_BYTES_MAX, SCHEDULES_MAX
from qmq.model.changes import Changes
from qmq.model.schedule import Missed, SchedulePlan
from qmq.store.local.memory import MemoryStore
from qmq.testing import START_NS, ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, Overflow, Store
from tests.engine.callers import Caller, turns
from tests.engine.schedules import (
    EVERY_10_S,
    EVERY_MINUTE,
    TO_MINUTE_S,
    WallClock,
    counts,
    get,
    next_s,
    passes,
    paused,
    popped,
    put,
)
from tests.store.disk import Disks


@pytest.fixture
def wall(clock: ManualClock) -> WallClock:
    """Return the clock that shows the ticks."""
    return WallClock(clock)


@pytest.fixture(params=[Store.MEMORY, Store.DISK])
async def broker(
    request: pytest.FixtureRequest, clock: ManualClock, wall: WallClock, tmp_path: Path
) -> AsyncIterator[Broker]:
    """Return a broker with the queue "jobs"."""
    disks = Disks()
    store = MemoryStore() if request.param is Store.MEMORY else disks.open(tmp_path / "data")
    broker = Broker(
        {request.param: store},
        clock=wall,
        timer=clock,
        new_id=seeded_ids(),
        message_bytes_max=200_000,
    )
    await broker.new_queue(request.param, name="jobs")
    yield broker
    await broker.close()


async def test_message_comes_with_each_tick(broker: Broker, clock: ManualClock) -> None:
    """Not before, and each time one."""
    await put(broker, EVERY_MINUTE)

    await passes(clock, TO_MINUTE_S - 0.001)
    before = await popped(broker)
    found = []
    for _ in range(3):
        await passes(clock, 0.001)
        found.append(await popped(broker))
        await passes(clock, 59.999)

    assert before == []
    assert found == [[b"minute"]] * 3
    assert counts(await get(broker)) == (3, 0, 0, 0)


async def test_many_schedules_each_have_their_ticks(broker: Broker, clock: ManualClock) -> None:
    """Also more than are seen to at a time, of several queues, at the same moment."""
    await broker.new_queue(broker.catalog.find("jobs").info.store, name="more")
    for number in range(50):
        for queue in ("jobs", "more"):
            plan = replace(EVERY_10_S, payload=b"%d" % number)
            await put(broker, plan, f"n{number}", queue)
    await put(broker, EVERY_MINUTE)

    for _ in range(6):
        await passes(clock, 10)

    everyone = sorted(b"%d" % number for number in range(50))
    assert sorted(await popped(broker)) == sorted([*everyone * 6, b"minute"])
    assert sorted(await popped(broker, "more")) == sorted(everyone * 6)


async def test_waiting_caller_gets_the_message(broker: Broker, clock: ManualClock) -> None:
    """At once, as if somebody had added it."""
    await put(broker, EVERY_10_S)
    caller = Caller(broker)

    await passes(clock, 10)
    while caller.is_waiting:  # noqa: ASYNC110 - Until a commit is done, of which it hears.
        await asyncio.sleep(0.001)

    assert caller.payloads == [b"ten"]


async def test_clock_set_forward_makes_ticks_late(
    broker: Broker, clock: ManualClock, wall: WallClock
) -> None:
    """Those that it has jumped over were missed, and the next one is in time."""
    await put(broker, replace(EVERY_10_S, missed=Missed.SKIP))
    await passes(clock, 10)

    wall.ahead_s = 3_600
    await passes(clock, 10)
    after = await get(broker)
    await passes(clock, 10)

    assert counts(after) == (1, 361, 0, 0)
    assert counts(await get(broker)) == (2, 361, 0, 0)


async def test_clock_set_back_doubles_nothing(
    broker: Broker, clock: ManualClock, wall: WallClock
) -> None:
    """Expressions wait until the clock is past the last tick; intervals go on from now."""
    await put(broker, EVERY_MINUTE, "cron")
    await put(broker, EVERY_10_S, "interval")
    await passes(clock, TO_MINUTE_S)
    first = await popped(broker)

    wall.ahead_s = -600
    found = []
    for _ in range(60):
        await passes(clock, 10)
        found.append(await popped(broker))
    cron = await broker.scheduling.get("jobs", "cron")
    await passes(clock, 60)

    assert sorted(first) == [b"minute", *[b"ten"] * 4]
    # Until the clock was looked at again.
    assert found == [[], *[[b"ten"]] * 59]
    assert next_s(cron) == TO_MINUTE_S + 60
    assert (await popped(broker)).count(b"minute") == 1


async def test_clock_set_back_and_forward_again(
    broker: Broker, clock: ManualClock, wall: WallClock
) -> None:
    """Whoever asks in between sees a schedule that goes on, and a paused one stands still."""
    await put(broker, EVERY_10_S, "a")
    await put(broker, EVERY_10_S, "b")
    await passes(clock, 10)
    await put(broker, paused(EVERY_10_S), "b")
    wall.ahead_s = -600
    back = [next_s(await broker.scheduling.get("jobs", name)) for name in ("a", "b")]
    await turns()

    wall.ahead_s = 0
    await passes(clock, 10)

    assert back == [10 - 600 + 10, None]
    assert counts(await get(broker, "a")) == (2, 60, 0, 0)


async def test_schedule_is_put_again(broker: Broker, clock: ManualClock) -> None:
    """The message changes at once, and ticks only if they are others."""
    first = await put(broker, EVERY_10_S)
    await passes(clock, 9)
    second = await put(broker, replace(EVERY_10_S, payload=b"new"))
    await passes(clock, 1)
    third = await put(broker, replace(EVERY_10_S, interval_ns=5 * NS_PER_S))
    await passes(clock, 5)

    assert await popped(broker) == [b"new", b"ten"]
    assert first.created_ns == second.created_ns == third.created_ns
    assert counts(await get(broker)) == (2, 0, 0, 0)


async def test_tick_that_is_due_comes_before_a_change(broker: Broker, clock: ManualClock) -> None:
    """Whoever changes or deletes a schedule changes nothing of what has been."""
    await put(broker, EVERY_10_S)
    clock.advance(10)
    changed = await put(broker, paused(EVERY_10_S))
    await put(broker, EVERY_10_S)
    clock.advance(10)
    await broker.scheduling.delete("jobs", "tick")
    await passes(clock, 60)

    assert counts(changed) == (1, 0, 0, 0)
    assert await popped(broker) == [b"ten"] * 2


async def test_paused_schedule_stands_still(broker: Broker, clock: ManualClock) -> None:
    """It has no next tick, and goes on with the first one after it is resumed."""
    await put(broker, EVERY_10_S)
    await put(broker, paused(EVERY_10_S))
    state = await broker.scheduling.get("jobs", "tick")
    await passes(clock, 35)
    resumed = await broker.scheduling.put("jobs", "tick", EVERY_10_S)
    await passes(clock, 5)

    assert (next_s(state), next_s(resumed)) == (None, 40)
    assert await popped(broker) == [b"ten"]
    assert counts(await get(broker)) == (1, 0, 0, 0)


async def test_full_queue_drops_the_tick(broker: Broker, clock: ManualClock) -> None:
    """It is counted, and the schedule says why, until there is room again."""
    await broker.update_queue("jobs", lambda settings: settings, 2)
    queue_id = (await put(broker, EVERY_10_S)).queue_id
    for _ in range(4):
        await passes(clock, 10)
    full = await get(broker)
    messages = await popped(broker)
    await passes(clock, 10)
    after = await get(broker)

    assert counts(full) == (2, 0, 2, 0)
    assert full.obstacle == f"queue {queue_id} has reached limit of 2 messages"
    assert messages == [b"ten"] * 2
    assert (counts(after), after.obstacle) == ((3, 0, 2, 0), "")


async def test_paused_queue_drops_the_tick_if_it_takes_no_adds(
    broker: Broker, clock: ManualClock
) -> None:
    """A queue that is paused and takes messages has them when it is resumed."""
    await put(broker, EVERY_10_S)
    await broker.pause("jobs", adds=False)
    await passes(clock, 10)
    await broker.pause("jobs", adds=True)
    await passes(clock, 10)
    refused = await get(broker)
    await broker.resume("jobs")

    assert counts(refused) == (1, 0, 1, 0)
    assert "is paused and takes no messages" in refused.obstacle
    assert await popped(broker) == [b"ten"]


async def test_missed_ticks_beyond_a_step_are_made_up_for(
    broker: Broker, clock: ManualClock
) -> None:
    """Many messages come one step after the other, up to the limit."""
    await put(broker, replace(EVERY_10_S, missed=Missed.ALL))

    await passes(clock, 10_500)
    await turns(100)

    assert len(await popped(broker)) == 1_000
    assert counts(await get(broker)) == (1_000, 50, 0, 0)


async def test_queue_that_fills_up_takes_what_it_can(broker: Broker, clock: ManualClock) -> None:
    """Of many messages the first ones, and the others are dropped."""
    await broker.update_queue("jobs", lambda settings: settings, 130)
    await put(broker, replace(EVERY_10_S, missed=Missed.ALL))

    await passes(clock, 2_000)
    await turns(100)

    assert counts(await get(broker)) == (130, 0, 70, 0)


async def test_messages_have_their_options(broker: Broker, clock: ManualClock) -> None:
    """Each is kept back from its tick on, stands by its priority, and is of use for a time."""
    options = MessageOptions(delay_ns=5 * NS_PER_S, ttl_ns=20 * NS_PER_S, priority=7)
    await put(broker, replace(EVERY_10_S, options=options))
    await broker.add("jobs", b"plain")

    await passes(clock, 10)
    at_the_tick = await popped(broker)
    await broker.add("jobs", b"plain")
    await passes(clock, 5)
    later = await popped(broker)
    await put(broker, paused(EVERY_10_S))
    await passes(clock, 120)

    assert at_the_tick == [b"plain"]
    assert later == [b"ten", b"plain"]
    assert await popped(broker) == []


async def test_dedup_id_stands_for_more_than_one_tick(broker: Broker, clock: ManualClock) -> None:
    """As long as the queue knows it, a tick adds nothing, and is counted apart."""
    await broker.update_queue(
        "jobs", lambda settings: replace(settings, dedup_window_ns=25 * NS_PER_S)
    )
    await put(broker, replace(EVERY_10_S, options=MessageOptions(dedup_id="daily")))

    for _ in range(6):
        await passes(clock, 10)

    assert await popped(broker) == [b"ten"] * 2
    assert counts(await get(broker)) == (2, 0, 0, 4)


async def test_oldest_messages_make_room(broker: Broker, clock: ManualClock) -> None:
    """If the queue says so, a tick is never refused."""
    settings = QueueSettings(overflow=Overflow.DROP_OLDEST)
    await broker.update_queue("jobs", lambda _: settings, 1)
    await broker.add("jobs", b"old")
    await put(broker, EVERY_10_S)

    await passes(clock, 10)

    assert await popped(broker) == [b"ten"]
    assert counts(await get(broker)) == (1, 0, 0, 0)


async def test_schedules_go_with_their_queue(broker: Broker, clock: ManualClock) -> None:
    """A purge and a change of settings leave them; another queue of the name has none."""
    await put(broker, EVERY_10_S)
    await passes(clock, 10)
    await broker.purge("jobs")
    await broker.update_queue("jobs", lambda settings: settings, 100)
    await passes(clock, 10)
    kept = await popped(broker)
    number = broker.catalog.find("jobs")

    await broker.delete_queue("jobs")
    await passes(clock, 10)
    await broker.new_queue(number.info.store, name="jobs")
    await passes(clock, 10)

    assert kept == [b"ten"]
    assert await broker.scheduling.list_page("", 0, "") == ([], "")
    assert await popped(broker) == []
    assert broker.scheduling.counts(number) is None


async def test_counts_are_of_the_queue(broker: Broker, clock: ManualClock) -> None:
    """They are those of all its schedules since the server started, deleted ones included."""
    jobs = broker.catalog.find("jobs")
    none = broker.scheduling.counts(jobs)
    await put(broker, EVERY_10_S, "a")
    await put(broker, EVERY_10_S, "b")
    await passes(clock, 10)
    await broker.update_queue("jobs", lambda settings: settings, 2)
    await passes(clock, 10)
    await broker.scheduling.delete("jobs", "a")

    def numbers(counts: ScheduleCounts) -> tuple[int, ...]:
        return counts.added, counts.missed, counts.refused, counts.deduplicated

    now = broker.scheduling.counts(jobs)

    assert none is None
    assert now
    assert (now[0], numbers(now[1])) == (1, (2, 0, 2, 0))


async def test_schedules_are_listed_in_order_and_by_pages(broker: Broker) -> None:
    """Those of one queue, or of all, each once."""
    store = broker.catalog.find("jobs").info.store
    await broker.new_queue(store, name="more")
    await broker.new_queue(store, name="none")
    for name in ("b", "C", "a", "10"):
        await put(broker, EVERY_10_S, name)
        await put(broker, EVERY_MINUTE, name, "more")

    async def names(queue: str, size: int) -> list[list[str]]:
        pages, token = [], ""
        while True:
            page, token = await broker.scheduling.list_page(queue, size, token)
            pages.append([each.schedule.name for each in page])
            if not token:
                return pages

    assert await names("more", 0) == [["10", "C", "a", "b"]]
    assert await names("", 3) == [["10", "C", "a"], ["b", "10", "C"], ["a", "b"]]
    assert await names("jobs", 4) == [["10", "C", "a", "b"]]
    assert await names("none", 4) == [[]]


async def test_page_holds_what_a_reply_can_carry(broker: Broker) -> None:
    """Schedules with large messages come in several pages, one in each at least."""
    large = replace(EVERY_10_S, payload=bytes(60_000))
    for number in range(5):
        await put(broker, large, f"n{number}")

    page, token = await broker.scheduling.list_page("jobs", 0, "")
    rest, end = await broker.scheduling.list_page("jobs", 0, token)

    assert [len(page), len(rest), end] == [3, 2, ""]


@pytest.mark.parametrize("token", ["x", "1", "1/", "/a", "-1/a", "1/a\n" + "b"])
async def test_page_token_of_others_is_refused(broker: Broker, token: str) -> None:
    """Only q makes them."""
    with pytest.raises(InvalidArgument) as refusal:
        await broker.scheduling.list_page("", 0, token)

    assert refusal.value.field == "page_token"


@pytest.mark.parametrize("size", [-1, 1_001])
async def test_page_size_out_of_range_is_refused(broker: Broker, size: int) -> None:
    """No more than 1,000."""
    with pytest.raises(InvalidArgument) as refusal:
        await broker.scheduling.list_page("", size, "")

    assert refusal.value.field == "page_size"


@pytest.mark.parametrize(
    ("name", "plan", "field"),
    [
        ("-", EVERY_10_S, "name"),
        ("a", SchedulePlan(), "schedule"),
        ("a", SchedulePlan(cron="x"), "schedule.cron"),
    ],
)
async def test_what_breaks_a_rule_is_refused(
    broker: Broker, name: str, plan: SchedulePlan, field: str
) -> None:
    """And changes nothing."""
    with pytest.raises(InvalidArgument) as refusal:
        await broker.scheduling.put("jobs", name, plan)

    assert refusal.value.field == field
    assert await broker.scheduling.list_page("jobs", 0, "") == ([], "")


async def test_message_that_nobody_could_pop_is_refused(tmp_path: Path) -> None:
    """Where replies are small, messages of schedules are, too."""
    del tmp_path
    clock = ManualClock()
    broker = Broker(
        {Store.MEMORY: MemoryStore()},
        clock=clock,
        timer=clock,
        new_id=seeded_ids(),
        message_bytes_max=50_000,
    )
    await broker.new_queue(Store.MEMORY, name="jobs")

    with pytest.raises(TooLarge, match="message_bytes_max of 50000"):
        await put(broker, replace(EVERY_10_S, payload=bytes(SCHEDULE_MESSAGE_BYTES_MAX)))


@pytest.mark.parametrize("call", ["get", "delete"])
async def test_what_is_not_there_is_not_found(broker: Broker, call: str) -> None:
    """Neither the schedule nor the queue."""
    command: Any = getattr(broker.scheduling, call)
    await put(broker, EVERY_10_S)

    with pytest.raises(ScheduleNotFound, match="has no schedule named 'other'"):
        await command("jobs", "other")
    with pytest.raises(QueueNotFound):
        await command("b5e2c9b7-8d0e-4c59-a5a1-2b4f3cf8a111", "tick")


async def test_queue_has_a_limit_of_schedules(broker: Broker) -> None:
    """What is there can still be changed, and another one put when one has gone."""
    for number in range(SCHEDULES_MAX):
        await broker.scheduling.put("jobs", f"n{number}", EVERY_10_S)

    with pytest.raises(LimitReached) as refusal:
        await put(broker, EVERY_10_S, "more")
    await put(broker, EVERY_MINUTE, "n7")
    await broker.scheduling.delete("jobs", "n8")
    await put(broker, EVERY_10_S, "more")

    assert refusal.value.metadata == {"limit": "schedules_max", "value": "1000", "current": "1000"}


async def test_changes_leave_nothing_behind(broker: Broker, clock: ManualClock) -> None:
    """A schedule that is changed again and again takes no more memory, and has its ticks."""
    for number in range(1_000):
        plan = replace(EVERY_10_S, interval_ns=(3_600 + number % 7) * NS_PER_S)
        await put(broker, plan)
    await put(broker, EVERY_10_S)

    await passes(clock, 10)

    assert len(broker.scheduling._heap) < 200  # noqa: SLF001 - Nothing else tells.
    assert await popped(broker) == [b"ten"]


async def test_nothing_is_put_while_q_shuts_down(broker: Broker) -> None:
    """Nor does anything come by itself."""
    await put(broker, EVERY_10_S)
    await broker.close()

    with pytest.raises(ShuttingDown):
        await put(broker, EVERY_10_S, "late")


async def test_first_tick_of_an_interval_is_one_away(broker: Broker) -> None:
    """That of an expression is when it says."""
    interval = await broker.scheduling.put("jobs", "a", EVERY_10_S)
    cron = await broker.scheduling.put("jobs", "b", EVERY_MINUTE)

    assert (next_s(interval), next_s(cron)) == (10, TO_MINUTE_S)
    assert interval.schedule.created_ns == START_NS


class Faulty(MemoryStore):
    """A store with a fault, as far as it goes: it fails when the schedule "bad" has added."""

    def commit(
        self,
        changes: Changes,
        read: Sequence[int] = (),
        durability: Durability = Durability.UNKNOWN,
    ) -> Awaitable[list[bytes]]:
        """Keep changes, but for one kind."""
        if changes.added and any(id_.endswith("/bad") for id_, _ in changes.schedules):
            raise LookupError("no such luck")
        return super().commit(changes, read, durability)


async def test_schedule_that_fails_stands_still_alone(clock: ManualClock) -> None:
    """A fault of q is in its log, and in what is told of the schedule; the others go on."""
    broker = Broker({Store.MEMORY: Faulty()}, clock=clock, timer=clock, new_id=seeded_ids())
    await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.new_queue(Store.MEMORY, name="fine")
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    await put(broker, EVERY_10_S, "bad")
    await put(broker, EVERY_10_S, "good", "fine")

    for _ in range(3):
        await passes(clock, 10)

    assert len(await popped(broker, "fine")) == 3
    [fault] = faults
    assert fault["message"].endswith("/bad failed")
    page, _ = await broker.scheduling.list_page("", 0, "")
    assert [(each.schedule.obstacle, each.schedule.plan.paused) for each in page] == [
        ("q failed: LookupError: no such luck", True),
        ("", False),
    ]
