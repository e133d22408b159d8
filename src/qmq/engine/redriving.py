"""Redrives: jobs that move dead letters by themselves, step by step, between other calls."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from typing import Final

from qmq.engine.finding import read_sound
from qmq.engine.places import Scope
from qmq.engine.queues import Home, Queues
from qmq.errors import InvalidArgument, LimitReached, RedriveNotFound, Unavailable
from qmq.limits import BROWSED_MESSAGES_MAX, REDRIVES_ENDED_MAX, REDRIVES_RUNNING_MAX
from qmq.model.catalog import parse_uuid
from qmq.model.changes import Changes
from qmq.model.index import size_of
from qmq.model.queue import Queue
from qmq.model.redrive import (
    Match,
    Redrive,
    RedriveRequest,
    RedriveState,
    advance,
    begin,
    check_request,
    check_target,
    count_failed_again,
    end,
    match,
    redrive_of,
    text_of,
)
from qmq.store.base import QueueStore
from qmq.values import NS_PER_S

#: Messages that one step looks at: few enough for others not to notice.
_STEP_MESSAGES_MAX: Final = min(200, BROWSED_MESSAGES_MAX)
#: Messages that are looked at without a break.
_SLICE_MESSAGES_MAX: Final = 50
#: Seconds between two looks at whether what stands in the way is gone.
_LOOK_AGAIN_S: Final = 1.0
#: Seconds' worth of messages that a step moves at most if their number a second is bounded.
_STEP_S: Final = 0.1


def _ignore(_: Redrive) -> None:
    """Tell nobody."""


class _Job:
    """A redrive in the hands of the server."""

    def __init__(self, redrive: Redrive, scope: Scope | None = None) -> None:
        self.redrive = redrive
        #: Where else than to its request's sources messages may go back to; that is not kept, so
        #: that after a restart they may not.
        self.scope = scope
        #: Whether it is about to be saved for what happened between its steps.
        self.will_be_saved = False
        #: Done when it has ended.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Redriving:
    """The redrives of one server: those under way, and the last ones that have ended.

    Its methods raise the errors of `qmq.errors`.
    """

    def __init__(self, queues: Queues, redrives: Iterable[tuple[str, str]] = ()) -> None:
        """Take over what a store has kept; `go_on` sets it going.

        Args:
            queues: the queues of the server.
            redrives: ids and texts, as the store was given them, in order of their starts.
        """
        #: Told of each redrive that starts, goes on after a restart, or ends.
        self.on_change: Callable[[Redrive], None] = _ignore
        self._queues = queues
        #: Messages that were moved since the start, and those that are dead letters again.
        self.moved_total = 0
        self.failed_again_total = 0
        #: In order of their starts.
        self._jobs: dict[str, _Job] = {}
        #: Those that have ended, by their ids and in order of their ends.
        self._ended: deque[str] = deque()
        self._take(_Job(redrive_of(text)) for _, text in redrives)
        #: What moves the messages of those that run.
        self._tasks: dict[asyncio.Task[None], _Job] = {}
        queues.on_failed_again = self._count_failed_again

    def _take(self, jobs: Iterable[_Job]) -> None:
        if self._queues.shards.are_several:
            # Each shard has its own in order.
            jobs = sorted(jobs, key=lambda job: job.redrive.started_ns)
        self._jobs = {job.redrive.id: job for job in jobs}
        ended = [job.redrive for job in self._jobs.values() if not job.redrive.is_running]
        self._ended = deque(each.id for each in sorted(ended, key=lambda each: each.ended_ns))

    def replace(self, home: Home, redrives: Iterable[tuple[str, str]]) -> None:
        """Let the redrives of a store be those that it has read from disk anew, and go on."""
        others = [job for job in self._jobs.values() if job.redrive.home != home]
        for task, job in self._tasks.items():
            if job.redrive.home == home:
                task.cancel()
        found = [_Job(redrive_of(text)) for _, text in redrives]
        self._take((*others, *found))
        for job in found:
            if job.redrive.is_running:
                self._run(job)

    @property
    def running(self) -> int:
        """How many are under way."""
        return len(self._jobs) - len(self._ended)

    def go_on(self) -> None:
        """Go on with what was under way when the server ended."""
        for job in self._jobs.values():
            if job.redrive.is_running:
                self._run(job)

    async def start(self, request: RedriveRequest, scope: Scope | None = None) -> Redrive:
        """Start a redrive, which goes on by itself.

        Args:
            request: what to do; its queues by UUID or name.
            scope: queues that messages may go back to besides the request's sources.

        Raises:
            QueueNotFound: there is no such queue.
            InvalidArgument: it asks for something that cannot be.
            StoresDiffer: the target lives in another store.
            LimitReached: as many are under way as may be.
        """
        check_request(request)
        queues = self._queues
        source = await queues.find(request.queue_id)
        target = None
        if request.target_queue_id:
            target = await self._find_target(request.target_queue_id)
            check_target(source.info, target.info)
        running = self.running
        if running >= REDRIVES_RUNNING_MAX:
            raise LimitReached(
                f"{running} redrives are under way, as many as redrives_running_max allows;"
                " stop one, or wait until one has ended",
                "redrives_running_max",
                REDRIVES_RUNNING_MAX,
                running,
            )
        store = queues.store_of(source)
        queues.pass_time(source)
        steady_ns = queues.steady_ns()
        redrive = begin(
            queues.new_id().decode(),
            replace(
                request,
                queue_id=source.info.id,
                target_queue_id=target.info.id if target else "",
            ),
            source,
            now_ns=queues.now_ns(),
            # Numbers, and so ages, are by the clock that nobody sets, whatever the other one says.
            steady_ns=steady_ns,
            seq=store.number(1, steady_ns),
        )
        job = self._jobs[redrive.id] = _Job(redrive, scope)
        saved = self._save(job, Changes())
        self._run(job)
        await saved
        return redrive

    async def _find_target(self, reference: str) -> Queue:
        try:
            return await self._queues.find(reference)
        except InvalidArgument as error:
            raise InvalidArgument("target_queue_id", error.rule) from None

    async def get(self, redrive_id: str) -> Redrive:
        """Tell how far a redrive is.

        Raises:
            RedriveNotFound: there is none with the id, or it has ended long ago.
            InvalidArgument: the id is no UUID.
        """
        redrive = self._find(redrive_id).redrive
        await self._home(redrive).settle()
        return redrive

    async def list_all(self) -> list[Redrive]:
        """Tell how far each redrive is, the one that was started last first."""
        redrives = [job.redrive for job in reversed(self._jobs.values())]
        await self._queues.settle()
        return redrives

    async def stop(self, redrive_id: str) -> Redrive:
        """Stop a redrive and tell how far it is; one that has ended stays as it is.

        Raises:
            RedriveNotFound: there is none with the id, or it has ended long ago.
            InvalidArgument: the id is no UUID.
        """
        job = self._find(redrive_id)
        if not job.redrive.is_running:
            return await self.get(redrive_id)
        self._check_store(job)
        redrive = end(job.redrive, RedriveState.STOPPED, self._queues.now_ns())
        self._change(job, redrive)
        await self._save(job, Changes())
        return redrive

    async def close(self) -> None:
        """Let all rest where they are, before the stores are closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs.values():
            if job.will_be_saved:
                self._save_between_steps(job)

    def _find(self, redrive_id: str) -> _Job:
        uuid = parse_uuid(redrive_id)
        if uuid is None:
            raise InvalidArgument("redrive_id", f"{redrive_id[:120]!r} is no UUID")
        job = self._jobs.get(uuid)
        if job is None:
            self._queues.shards.check_known()
            raise RedriveNotFound(uuid)
        return job

    def _home(self, redrive: Redrive) -> QueueStore:
        """Return the store that keeps a redrive, which is that of the messages."""
        return self._queues.home(redrive.store, redrive.shard)

    def _check_store(self, job: _Job) -> None:
        """Refuse to change anything that could not be kept.

        Raises:
            Unavailable: the store takes no calls.
        """
        if self._queues.is_closing:
            raise self._queues.ending()
        self._home(job.redrive).check()

    def _save(self, job: _Job, changes: Changes) -> Awaitable[object]:
        """Keep changes, and together with them how far a redrive is."""
        changes.redrives.append((job.redrive.id, text_of(job.redrive)))
        return self._home(job.redrive).commit(changes)

    def _change(self, job: _Job, redrive: Redrive) -> None:
        """Take note of how far a redrive is, and whether it has ended with that."""
        has_ended = job.redrive.is_running and not redrive.is_running
        self.moved_total += redrive.moved - job.redrive.moved
        self.failed_again_total += redrive.failed_again - job.redrive.failed_again
        job.redrive = redrive
        if has_ended:
            job.ended.set_result(None)
            self._ended.append(redrive.id)
            self.on_change(redrive)
            if len(self._ended) > REDRIVES_ENDED_MAX:
                self._forget(self._jobs.pop(self._ended.popleft()))

    def _give_up(self, job: _Job, reason: str) -> None:
        now_ns = self._queues.now_ns()
        self._change(job, end(job.redrive, RedriveState.GAVE_UP, now_ns, reason))

    def _forget(self, job: _Job) -> None:
        with suppress(Unavailable):
            self._check_store(job)
            changes = Changes()
            changes.redrives.append((job.redrive.id, ""))
            self._queues.leave_to_itself(self._home(job.redrive).commit(changes))

    def _count_failed_again(self, redrive_id: str) -> None:
        """Count a moved message that is a dead letter again."""
        job = self._jobs.get(redrive_id)
        if job is None:
            return
        self._change(job, count_failed_again(job.redrive, self._queues.now_ns()))
        if not job.will_be_saved:
            # Once for all that one call has brought about.
            job.will_be_saved = True
            asyncio.get_running_loop().call_soon(self._save_between_steps, job)

    def _save_between_steps(self, job: _Job) -> None:
        if not job.will_be_saved or self._jobs.get(job.redrive.id) is not job:
            return
        job.will_be_saved = False
        # If the store takes nothing now, the next step or count is saved with this one.
        with suppress(Unavailable):
            self._home(job.redrive).check()
            self._queues.leave_to_itself(self._save(job, Changes()))

    def _run(self, job: _Job) -> None:
        self.on_change(job.redrive)
        task = asyncio.get_running_loop().create_task(self._work(job))
        self._tasks[task] = job
        task.add_done_callback(self._tasks.pop)

    async def _work(self, job: _Job) -> None:
        """Make one step after the other, and let others have their turn between them."""
        while job.redrive.is_running:
            try:
                wait_s = await self._step(job)
            except Unavailable as error:
                if job.redrive.is_running:
                    job.redrive = replace(job.redrive, obstacle=error.message)
                wait_s = _LOOK_AGAIN_S
            except Exception as error:
                # A fault of q, which its log has in full; the others go on.
                if job.redrive.is_running:
                    self._give_up(job, f"q failed: {type(error).__name__}: {error}")
                raise
            if wait_s > 0:
                await self._queues.timer.wait(job.ended, wait_s)
            else:
                await asyncio.sleep(0)

    async def _step(self, job: _Job) -> float:
        """Make one step, and return for how many seconds to wait after it."""
        queues = self._queues
        began_ns = queues.steady_ns()
        self._check_store(job)
        source = queues.catalog.get(job.redrive.request.queue_id)
        if source is None:
            self._give_up(
                job, f"queue {job.redrive.request.queue_id}, which messages were in, is gone"
            )
            await self._save(job, Changes())
            return 0
        # To count takes no care.
        is_dry = job.redrive.request.dry_run
        rate = 0.0 if is_dry else job.redrive.request.messages_per_second
        moved_max = max(1, int(rate * _STEP_S)) if rate else _STEP_MESSAGES_MAX
        looked = await self._look(job, source, moved_max)
        # From here on nothing comes between, so that what is decided upon is so.
        if not job.redrive.is_running or queues.catalog.get(source.info.id) is not source:
            return 0
        self._check_store(job)
        before = job.redrive
        step = advance(
            before,
            looked,
            source,
            moved_max=moved_max,
            find=queues.catalog.get,
            new_seq=self._numbers(job),
            now_ns=queues.now_ns(),
        )
        if step.redrive != before:
            self._change(job, step.redrive)
            step.changes.note_groups(source)
            saved = self._save(job, step.changes)
            queues.footprint.recount(source)
            for target in step.targets:
                queues.set_alarm(target)
                queues.waiting.serve(target)
            await saved
        if step.redrive.obstacle:
            return _LOOK_AGAIN_S
        if not rate:
            return 0
        lasts_s = (step.redrive.moved - before.moved) / rate
        return lasts_s - (queues.steady_ns() - began_ns) / NS_PER_S

    def _numbers(self, job: _Job) -> Callable[[], int]:
        """Return what numbers the messages that are moved now."""
        number = self._home(job.redrive).number
        arrival_ns = self._queues.steady_ns()
        return lambda: number(1, arrival_ns)

    async def _look(
        self, job: _Job, source: Queue, matches_max: int
    ) -> list[tuple[int, Match | None]]:
        """Look at the next messages, up to so many that are to be moved.

        Returns:
            Their entries in the index, each with what is to be moved of it.
        """
        redrive, queues = job.redrive, self._queues
        entries = source.ready.between(redrive.first_seq, redrive.last_seq, _STEP_MESSAGES_MAX)
        sizes = accumulate(map(size_of, entries))
        # So much as a reply could carry, but one message in any case.
        count = max(1, sum(size <= queues.message_bytes_max for size in sizes))
        entries = entries[:count]
        read = await read_sound(self._home(redrive), entries)
        looked: list[tuple[int, Match | None]] = []
        for at, entry in enumerate(entries, 1):
            # One that is damaged stays where it is.
            found = match(redrive.request, read[entry]) if entry in read else None
            if found and not self._may_go(job, found.target_id):
                found = None
            looked.append((entry, found))
            matches_max -= bool(found)
            if not matches_max:
                break
            if at % _SLICE_MESSAGES_MAX == 0:
                await asyncio.sleep(0)
        return looked

    def _may_go(self, job: _Job, target_id: str) -> bool:
        """Tell whether who started a redrive may have messages go to a queue."""
        sources = job.redrive.request.sources
        if sources is None or target_id in {*sources, job.redrive.request.target_queue_id}:
            return True
        target = self._queues.catalog.get(target_id)
        return bool(target and job.scope and job.scope.covers(target.info))
