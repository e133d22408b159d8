"""How many messages come and go a second: the mean of the last minute."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from qmq.engine.waiting import Timer
from qmq.model.catalog import Catalog
from qmq.model.queue import Queue
from qmq.values import NS_PER_S

#: Nanoseconds that a mean goes back.
_WINDOW_NS: Final = 60 * NS_PER_S

#: Seconds between two samples, and so what a window may be too long by.
_PERIOD_S: Final = 10.0

#: Queues to sample before others have their turn.
_SLICE_QUEUES: Final = 1_000


class Rates(NamedTuple):
    """What goes through a queue."""

    added_per_second: float
    #: Taken or acked.
    done_per_second: float


_NONE: Final = Rates(0.0, 0.0)


class _Sample(NamedTuple):
    """The counts of a queue at a moment."""

    moment_ns: int
    added: int
    done: int


def _sample(queue: Queue, moment_ns: int) -> _Sample:
    return _Sample(moment_ns, queue.enqueued_total, queue.consumed_total + queue.acked_total)


class RateSampler:
    """Samples the counts of queues now and then.

    A queue that was idle for a minute has one sample, and one that was never used has none.
    """

    def __init__(self, catalog: Catalog, timer: Timer) -> None:
        self._catalog = catalog
        self._timer = timer
        self._start_ns = self._sampled_ns = timer.now_ns()
        #: The samples of a queue, by its number, the oldest first. The first is from before
        #: the window, or nothing went through the queue between its beginning and that.
        self._samples: dict[int, list[_Sample]] = {}
        self._sampling: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Count the samples that it holds."""
        return sum(map(len, self._samples.values()))

    def start(self) -> None:
        """Sample from now on, in the event loop that runs."""
        self._sampling = asyncio.get_running_loop().create_task(self._sample_for_ever())

    async def close(self) -> None:
        """Sample no more."""
        if self._sampling:
            self._sampling.cancel()
            await asyncio.gather(self._sampling, return_exceptions=True)

    def forget(self, queues: Iterable[Queue]) -> None:
        """Forget what went through queues that are there no more."""
        for queue in queues:
            self._samples.pop(queue.number, None)

    def of(self, queue: Queue) -> Rates:
        """Return what went through a queue in the last minute, or since the start if later."""
        samples = self._samples.get(queue.number, [])
        added, done = queue.enqueued_total, queue.consumed_total + queue.acked_total
        # As with most of very many queues.
        if (added, done) == (samples[0][1:] if len(samples) == 1 else (0, 0)):
            return _NONE
        now_ns = self._timer.now_ns()
        # What came since the last sampling may have come at any time since then.
        since_ns = min(max(now_ns - _WINDOW_NS, self._start_ns), self._sampled_ns)
        base = _Sample(since_ns, 0, 0)
        if samples:
            base = samples[0]
            for sample in samples:
                if sample.moment_ns <= since_ns:
                    base = sample
            if len(samples) > 1:
                since_ns = min(since_ns, base.moment_ns)
        passed_s = (now_ns - since_ns) / NS_PER_S
        if passed_s <= 0:
            return _NONE
        return Rates((added - base.added) / passed_s, (done - base.done) / passed_s)

    async def _sample_for_ever(self) -> None:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        while True:
            await self._timer.wait(never, _PERIOD_S)
            for _ in self._sample_all():
                await asyncio.sleep(0)

    def _sample_all(self) -> Iterator[None]:
        """Sample all queues, and yield now and then."""
        before_ns, now_ns = self._sampled_ns, self._timer.now_ns()
        queues = list(self._catalog)
        sampled = 0
        for at, queue in enumerate(queues):
            if queue.number in self._samples:
                sampled += 1
                self._sample_again(self._samples[queue.number], queue, now_ns)
            elif queue.enqueued_total or queue.consumed_total or queue.acked_total:
                sampled += 1
                self._samples[queue.number] = [_Sample(before_ns, 0, 0), _sample(queue, now_ns)]
            if at % _SLICE_QUEUES == _SLICE_QUEUES - 1:
                yield
        if sampled < len(self._samples):
            # Some were deleted.
            numbers = {queue.number for queue in self._catalog}
            self._samples = {n: kept for n, kept in self._samples.items() if n in numbers}
        self._sampled_ns = now_ns

    def _sample_again(self, samples: list[_Sample], queue: Queue, now_ns: int) -> None:
        now = _sample(queue, now_ns)
        if len(samples) == 1:
            if now[1:] == samples[0][1:]:
                return
            # Nothing went through it until the sampling before this one.
            samples[0] = samples[0]._replace(moment_ns=self._sampled_ns)
        samples.append(now)
        while samples[1].moment_ns <= now_ns - _WINDOW_NS:
            del samples[0]
        if samples[0][1:] == now[1:]:
            del samples[:-1]
