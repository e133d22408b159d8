"""Schedules: each adds a message to its queue at each of its ticks, by itself."""

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from qmq.engine.adding import Adding
from qmq.engine.places import Scope
from qmq.engine.queues import Home, Queues
from qmq.errors import (
    InvalidArgument,
    LimitReached,
    QError,
    ScheduleNotFound,
    Unavailable,
)
from qmq.limits import PAGE_SIZE_MAX, SCHEDULES_MAX, SCHEDULES_TOTAL_MAX
from qmq.model.changes import Changes
from qmq.model.queue import Queue
from qmq.model.schedule import (
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
from qmq.values import NS_PER_S

#: Seconds between two looks at the clock at most, since that may be set.
_LOOK_S: Final = 10.0
#: If nobody has looked for so long, the ticks up to now were missed: the clock was set forward,
#: or the machine slept.
_AWAY_NS: Final = 60 * NS_PER_S
#: When to look again whether the store takes what it did not.
_LOOK_AGAIN_NS: Final = NS_PER_S
#: Messages of one schedule that are added in one step.
_STEP_MESSAGES_MAX: Final = 100
#: Entries of the heap that stand for nothing any more, besides one for each schedule.
_STALE_MAX: Final = 100
#: Schedules that are seen to without a break.
_SLICE_SCHEDULES_MAX: Final = 10
#: What a schedule takes in a reply besides its message, in bytes, at most: names, moments,
#: counts, a cron expression, an obstacle.
_SCHEDULE_BYTES: Final = 2_048

#: The queue's number and the schedule's name, the last ones of the page before.
_PAGE_TOKEN: Final = re.compile(r"(?:([0-9]{1,18})/(.+))?", re.ASCII)


@dataclass(slots=True)
class ScheduleCounts:
    """What the schedules of a queue have done since the server started."""

    added: int = 0
    missed: int = 0
    refused: int = 0
    deduplicated: int = 0


class ScheduleState(NamedTuple):
    """A schedule, and when it is due."""

    schedule: Schedule
    #: Its next tick, in nanoseconds since the Unix epoch; None if it is paused.
    next_ns: int | None


class _Held:
    """A schedule in the hands of the server."""

    def __init__(self, queue: Queue, schedule: Schedule) -> None:
        self.queue = queue
        self.schedule = schedule
        #: Its next tick, which takes a while to find.
        self.next_ns = next_tick_ns(schedule)
        #: When to see to it; None for never.
        self.due_ns: int | None = None

    @property
    def state(self) -> ScheduleState:
        """The schedule, and when it is due."""
        return ScheduleState(self.schedule, self.next_ns)

    def change(self, schedule: Schedule) -> None:
        """Make the schedule what it is from now on."""
        self.schedule = schedule
        self.next_ns = next_tick_ns(schedule)

    def has_work(self, now_ns: int) -> bool:
        """Whether a tick has passed, or a message is owed, or the clock was set back."""
        schedule = self.schedule
        if schedule.plan.paused:
            return False
        if schedule.owed or (self.next_ns is not None and self.next_ns <= now_ns):
            return True
        return bool(schedule.plan.interval_ns) and schedule.after_ns > now_ns


class _OfQueue:
    """The schedules of a queue, by their names."""

    def __init__(self) -> None:
        self.held: dict[str, _Held] = {}
        self.counts = ScheduleCounts()


class Scheduling:
    """The schedules of one server.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues, schedules: Iterable[tuple[str, str]] = ()) -> None:
        """Take over what a store has kept; `start` sets it going.

        Args:
            queues: the queues of the server.
            schedules: ids and texts, as the store was given them.
        """
        self._queues = queues
        self._adding = Adding(queues)
        #: Of queues that have or had schedules, by their numbers.
        self._of: dict[int, _OfQueue] = {}
        self._total = 0
        #: When to see to which; a schedule may stand here more often than once.
        self._heap: list[tuple[int, int, _Held]] = []
        #: Numbers the entries of the heap, so that two of them never compare schedules.
        self._entries = 0
        #: Until when all ticks were seen to in time.
        self._looked_ns = 0
        self._sleeper: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._take(schedules)

    def _take(self, schedules: Iterable[tuple[str, str]]) -> list[_Held]:
        """Hold schedules of queues that are there."""
        found = [_fit_to_run(schedule_of(text)) for _, text in schedules]
        return [
            self._hold(queue, schedule)
            for schedule in found
            if (queue := self._queues.catalog.get(schedule.queue_id))
        ]

    def replace(self, home: Home, schedules: Iterable[tuple[str, str]]) -> None:
        """Let the schedules of a store be those that it has read from disk anew, and go on."""
        for held in self._all():
            if held.queue.info.home == home:
                self._let_go(held, Changes())
        now_ns = self._queues.now_ns()
        for held in self._take(schedules):
            self._go_on(held, now_ns)

    def counts(self, queue: Queue) -> tuple[int, ScheduleCounts] | None:
        """Tell how many schedules a queue has and what they have done; None if it had none."""
        of_queue = self._of.get(queue.number)
        return (len(of_queue.held), of_queue.counts) if of_queue else None

    def start(self) -> None:
        """Go on with all schedules; what was due before now was missed."""
        self._looked_ns = self._queues.now_ns()
        for held in self._all():
            self._go_on(held, self._looked_ns)

    def _go_on(self, held: _Held, now_ns: int) -> None:
        """See to a schedule that was read from disk, at once if there is something to do."""
        # If the clock was set back meanwhile, its next tick may be long in coming.
        self._plan(held, now_ns if held.has_work(now_ns) else None)

    async def put(self, reference: str, name: str, plan: SchedulePlan) -> ScheduleState:
        """Make a schedule, or change the one of that name.

        Args:
            reference: the queue's id or name.
            name: unique among the schedules of the queue.
            plan: what it is to do.

        Raises:
            InvalidArgument: the name or the plan breaks a rule.
            TooLarge: its message is more than a schedule keeps, or a reply could carry.
            LimitReached: the queue or the server has as many schedules as it may.
        """
        queues = self._queues
        check_schedule_name(name)
        check_plan(plan, queues.now_ns())
        envelope = queues.sealer.seal(queues.new_id(), queues.now_ns(), plan.tags, plan.payload)
        queues.check_size(envelope, "schedule.message")
        queue = await queues.find(reference)
        store = queues.store_of(queue)
        held = self._find(queue, name)
        if held:
            self._see_to(held)
        elif refusal := self._no_room(queue):
            await store.settle()
            raise refusal
        before = held.schedule if held else None
        schedule = put(before, queue.info.id, name, plan, queues.now_ns())
        if held:
            held.change(schedule)
        else:
            held = self._hold(queue, schedule)
        state = held.state
        changes = Changes()
        changes.schedules.append((schedule.id, text_of(schedule)))
        saved = store.commit(changes)
        self._plan(held)
        await saved
        return state

    async def get(self, reference: str, name: str) -> ScheduleState:
        """Tell how far a schedule is.

        Raises:
            ScheduleNotFound: the queue has none of the name.
        """
        held = await self._get(reference, name)
        self._see_to_by_itself(held)
        state = held.state
        await self._queues.home_of(held.queue).settle()
        return state

    async def list_page(
        self, reference: str, page_size: int, page_token: str, scope: Scope | None = None
    ) -> tuple[list[ScheduleState], str]:
        """Tell how far schedules are: in order of their queues' creation, and of their names.

        Args:
            reference: the queue's id or name; empty for all queues.
            page_size: how many at most; 0 for as many as may be. Fewer are returned if a reply
                carries no more.
            page_token: what the call before returned; empty for the first page.
            scope: those of which queues, if it is of all; None stands for all.

        Returns:
            The schedules, and the token of the next page or "".

        Raises:
            InvalidArgument: page_size is out of range, or page_token is none of ours.
        """
        if not 0 <= page_size <= PAGE_SIZE_MAX:
            raise InvalidArgument(
                "page_size", f"must be 0 to {PAGE_SIZE_MAX}, where 0 is the most; got {page_size}"
            )
        token = _PAGE_TOKEN.fullmatch(page_token)
        if not token:
            raise InvalidArgument("page_token", "must be a next_page_token from an earlier reply")
        after = (int(token[1]), token[2]) if token[1] else (0, "")
        numbers = [(await self._queues.find(reference)).number] if reference else sorted(self._of)
        page: list[ScheduleState] = []
        last, more = after, ""
        room = self._queues.message_bytes_max
        for held in self._in_order(numbers, after):
            if scope and not scope.covers(held.queue.info):
                continue
            room -= _SCHEDULE_BYTES + len(held.schedule.plan.payload) + len(held.schedule.plan.tags)
            if page and (room < 0 or len(page) == (page_size or PAGE_SIZE_MAX)):
                more = f"{last[0]}/{last[1]}"
                break
            last = held.queue.number, held.schedule.name
            self._see_to_by_itself(held)
            page.append(held.state)
        await self._queues.settle()
        return page, more

    async def delete(self, reference: str, name: str) -> None:
        """Delete a schedule; what it has added stays.

        Raises:
            ScheduleNotFound: the queue has none of the name.
        """
        held = await self._get(reference, name)
        store = self._queues.store_of(held.queue)
        self._see_to(held)
        changes = Changes()
        self._let_go(held, changes)
        await store.commit(changes)

    def drop(self, queue: Queue) -> None:
        """Delete the schedules of a queue that is deleted in the same step."""
        of_queue = self._of.get(queue.number)
        if of_queue:
            changes = Changes()
            for held in list(of_queue.held.values()):
                self._let_go(held, changes)
            del self._of[queue.number]
            self._queues.leave_to_itself(self._queues.home_of(queue).commit(changes))

    async def close(self) -> None:
        """Add nothing more, before the stores are closed."""
        if self._sleeper:
            self._sleeper.cancel()
            await asyncio.gather(self._sleeper, return_exceptions=True)

    def _find(self, queue: Queue, name: str) -> _Held | None:
        of_queue = self._of.get(queue.number)
        return of_queue.held.get(name) if of_queue else None

    async def _get(self, reference: str, name: str) -> _Held:
        queue = await self._queues.find(reference)
        held = self._find(queue, name)
        if held is None:
            # It may have been deleted this moment.
            await self._queues.home_of(queue).settle()
            raise ScheduleNotFound(queue.info.id, name[:120])
        return held

    def _in_order(self, numbers: Iterable[int], after: tuple[int, str]) -> Iterator[_Held]:
        """Go through the schedules of queues, by name, after one of them."""
        for number in numbers:
            of_queue = self._of.get(number)
            if of_queue and number >= after[0]:
                names = sorted(of_queue.held)
                begin = bisect_right(names, after[1]) if number == after[0] else 0
                yield from (of_queue.held[name] for name in names[begin:])

    def _no_room(self, queue: Queue) -> LimitReached | None:
        """Return why there can be no further schedule, if that is so."""
        of_queue = self._of.get(queue.number)
        held = len(of_queue.held) if of_queue else 0
        for whose, name, limit, current in (
            (f"queue {queue.info.id} has", "schedules_max", SCHEDULES_MAX, held),
            ("the server has", "schedules_total_max", SCHEDULES_TOTAL_MAX, self._total),
        ):
            if current >= limit:
                return LimitReached(
                    f"{whose} {current} schedules, as many as {name} allows; delete some",
                    name,
                    limit,
                    current,
                )
        return None

    def _hold(self, queue: Queue, schedule: Schedule) -> _Held:
        held = _Held(queue, schedule)
        self._of.setdefault(queue.number, _OfQueue()).held[schedule.name] = held
        self._total += 1
        return held

    def _let_go(self, held: _Held, changes: Changes) -> None:
        del self._of[held.queue.number].held[held.schedule.name]
        self._total -= 1
        held.due_ns = None
        changes.schedules.append((held.schedule.id, ""))

    def _all(self) -> list[_Held]:
        return [held for of_queue in self._of.values() for held in of_queue.held.values()]

    def _plan(self, held: _Held, at_ns: int | None = None) -> None:
        """See to a schedule at its next tick, or at a moment; or at once, if it owes messages."""
        if at_ns is None:
            at_ns = 0 if held.schedule.owed else held.next_ns
        is_planned, held.due_ns = held.due_ns == at_ns, at_ns
        if is_planned or at_ns is None:
            return
        if len(self._heap) > 2 * self._total + _STALE_MAX:
            self._heap = [entry for entry in self._heap if entry[2].due_ns == entry[0]]
            heapify(self._heap)
        is_next = not self._heap or at_ns < self._heap[0][0]
        self._entries += 1
        heappush(self._heap, (at_ns, self._entries, held))
        if self._sleeper is None:
            self._looked_ns = self._queues.now_ns()
            self._sleeper = asyncio.get_running_loop().create_task(self._sleep())
        elif is_next and self._wake and not self._wake.done():
            self._wake.set_result(None)

    async def _sleep(self) -> None:
        """Sleep from one tick to the next."""
        queues = self._queues
        while True:
            now_ns = queues.now_ns()
            if now_ns < self._looked_ns:
                # The clock was set back: there are no ticks for expressions until it is past the
                # last one, but intervals go on.
                for held in self._all():
                    if held.schedule.plan.interval_ns:
                        self._plan(held, now_ns)
            due = []
            while self._heap and self._heap[0][0] <= now_ns:
                due.append(heappop(self._heap))
            for at, (due_ns, _, held) in enumerate(due, 1):
                if held.due_ns == due_ns:
                    held.due_ns = None
                    self._see_to_by_itself(held)
                if at % _SLICE_SCHEDULES_MAX == 0:
                    await asyncio.sleep(0)
            # All that was due by then is done, or is missed if it could not be.
            self._looked_ns = now_ns
            if due:
                # Those with more to do than they may at once are due again.
                await asyncio.sleep(0)
                continue
            left_s = (self._heap[0][0] - now_ns) / NS_PER_S if self._heap else _LOOK_S
            self._wake = asyncio.get_running_loop().create_future()
            await queues.timer.wait(self._wake, min(left_s, _LOOK_S))

    def _see_to_by_itself(self, held: _Held) -> None:
        """Do what is due if that can be done, and see to it again when it can."""
        try:
            self._see_to(held)
        except Unavailable:
            self._plan(held, self._queues.now_ns() + _LOOK_AGAIN_NS)
        except Exception as error:  # noqa: BLE001 - A fault of q, which its log has in full.
            held.change(_stopped(held.schedule, f"q failed: {type(error).__name__}: {error}"))
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"schedule {held.schedule.id} failed", "exception": error}
            )

    def _see_to(self, held: _Held) -> None:
        """Pass the ticks that are due, and add the first messages that are owed.

        Raises:
            Unavailable: the store takes nothing now, and nothing has changed.
        """
        queue, before, now_ns = held.queue, held.schedule, self._queues.now_ns()
        if held.has_work(now_ns):
            store = self._queues.store_of(queue)
            after = pass_ticks(before, now_ns, self._since_ns(now_ns))
            changes = Changes()
            if after.owed:
                self._queues.pass_time(queue)
                after = self._add(queue, after, changes)
            changes.schedules.append((after.id, text_of(after)))
            self._queues.leave_to_itself(store.commit(changes))
            self._queues.footprint.recount(queue)
            held.change(after)
            self._count(queue, before, after)
            self._queues.set_alarm(queue)
            self._queues.waiting.serve(queue)
        self._plan(held)

    def _since_ns(self, now_ns: int) -> int:
        """Since when somebody has been looking."""
        return self._looked_ns if 0 <= now_ns - self._looked_ns <= _AWAY_NS else now_ns

    def _add(self, queue: Queue, schedule: Schedule, changes: Changes) -> Schedule:
        """Add the first messages that are owed."""
        plan = schedule.plan
        messages, options = [(plan.tags, plan.payload)], {0: plan.options}
        added = deduplicated = 0
        obstacle = ""
        while added + deduplicated < min(schedule.owed, _STEP_MESSAGES_MAX) and not obstacle:
            try:
                prepared = self._adding.prepare(queue, messages, options, changes, _message)
                was_known = self._adding.put(prepared).known
            except QError as refusal:
                obstacle = refusal.message
            else:
                added += not was_known
                deduplicated += bool(was_known)
        return settle(schedule, added=added, deduplicated=deduplicated, obstacle=obstacle)

    def _count(self, queue: Queue, before: Schedule, after: Schedule) -> None:
        counts = self._of[queue.number].counts
        counts.added += after.added - before.added
        counts.missed += after.missed - before.missed
        counts.refused += after.refused - before.refused
        counts.deduplicated += after.deduplicated - before.deduplicated


def _message(_: int) -> str:
    """Name the message of a schedule."""
    return "schedule.message"


def _fit_to_run(schedule: Schedule) -> Schedule:
    """Return a schedule that was kept; paused, if what it was made with is not known any more."""
    try:
        next_tick_ns(schedule)
    except InvalidArgument as error:
        # A time zone, for example, that another system had.
        return _stopped(schedule, error.message)
    return schedule


def _stopped(schedule: Schedule, obstacle: str) -> Schedule:
    """Return a schedule that stands still, so that the others go on, until it is put again."""
    return replace(schedule, plan=replace(schedule.plan, paused=True), obstacle=obstacle)
