"""Work on one shard of a cluster that spans queues: Complete, dead letters, and their redrives.

What is fed into the first queue is leased, and in one step acked there and added to the second
one. Some of it is rejected when it is first seen, lies among the dead letters of the first queue,
and is brought back by redrives. Nothing has a dedup_id on its way from the first to the second
queue, so that each message is there once only if each Complete was done as a whole, or not at all.
"""

import time
from collections.abc import Sequence
from typing import Final

import qmq
from cluster_load import DEDUP_WINDOW_S, LEASE_S, NO_ANSWER, Client, Consumer, Producer
from history import Report, check, stored_twice
from tests.postgres.installation import Failed

_BATCH: Final = 10
_WAIT_S: Final = 0.5
#: One in so many is rejected when it is first seen.
_REJECTED: Final = 7
#: Seconds from one redrive to the next.
_REDRIVE_S: Final = 2.0


class Worker(Client):
    """Moves messages on, or rejects them."""

    def __init__(self, name: str, address: str, pipeline: "Pipeline") -> None:
        super().__init__(name, address)
        self._pipeline = pipeline

    def _step(self, client: qmq.Client) -> None:
        source = client.queue(self._pipeline.source)
        try:
            leased = source.lease(_BATCH, wait=_WAIT_S, consumer=self.name)
        except NO_ANSWER:
            self._note_unanswered()
            return
        self.answers.append(time.monotonic())
        rejected = [each for each in leased if self._pipeline.is_to_be_rejected(each.text)]
        if rejected:
            self._until_answered(lambda: source.nack(rejected, qmq.NackKind.REJECT, reason="no"))
        if done := [each for each in leased if each not in rejected]:
            self._until_answered(lambda: self._complete(client, done))

    def _complete(self, client: qmq.Client, done: Sequence[qmq.LeasedMessage[bytes | str]]) -> None:
        target = client.queue(self._pipeline.target)
        try:
            client.complete(acks=done, adds=[(target, [each.payload for each in done])])
        except qmq.LeaseLost:
            # Done before, by a call without an answer; or it comes back.
            return


class Redriver(Client):
    """Brings dead letters back, again and again."""

    def __init__(self, name: str, address: str, queue: str) -> None:
        super().__init__(name, address)
        self._queue = queue

    def _step(self, client: qmq.Client) -> None:
        dead = client.queue(self._queue)
        try:
            dead.redrive()
        except NO_ANSWER:
            self._note_unanswered()
        else:
            self.answers.append(time.monotonic())
        self._has_to_end.wait(_REDRIVE_S)


class Pipeline:
    """All that works on the queues of one shard."""

    def __init__(self, shard: str, address: str, between_s: float) -> None:
        """Make the queues, and begin.

        Args:
            shard: where they are.
            address: of the server.
            between_s: how long to pause after each call that adds.
        """
        self._address = address
        self.source, self.target, self.dead = (f"{each}-{shard}" for each in ("in", "out", "dead"))
        #: What was rejected, or may have been.
        self.rejected: set[str] = set()
        tags = {"shard": shard}
        with qmq.Client(address, retry=qmq.Retry(duration=30)) as client:
            client.ensure_queue(self.dead, tags=tags)
            settings = qmq.QueueSettings(
                lease_duration=LEASE_S,
                dedup_window=DEDUP_WINDOW_S,
                delivery_count_max=0,
                dead_letter_queue_id=self.dead,
            )
            client.ensure_queue(self.source, tags=tags, settings=settings)
            settings = qmq.QueueSettings(lease_duration=LEASE_S)
            client.ensure_queue(self.target, tags=tags, settings=settings)
        self.feeder = Producer(f"f-{shard}", address, self.source, _BATCH, between_s)
        self._workers = [Worker(f"w{number}-{shard}", address, self) for number in range(2)]
        self._redriver = Redriver(f"r-{shard}", address, self.dead)
        self._collector = Consumer(f"o-{shard}", address, self.target)
        for each in self.clients:
            each.start()

    @property
    def clients(self) -> Sequence[Client]:
        """All of them."""
        return (*self.busy, self._redriver)

    @property
    def busy(self) -> Sequence[Client]:
        """Those who do not pause between their calls for long."""
        return (self.feeder, *self._workers, self._collector)

    def is_to_be_rejected(self, text: str) -> bool:
        """Tell whether a message is, and take note that it was: the next time, it is not."""
        name = text.rstrip()
        if int(name.rpartition("-")[2]) % _REJECTED or name in self.rejected:
            return False
        self.rejected.add(name)
        return True

    def finish(self, seconds_max: float) -> Report:
        """Let all queues run empty, and judge what came out.

        Raises:
            Failed: they do not run empty in time.
        """
        self.feeder.stop()
        self.feeder.join(seconds_max)
        deadline = time.monotonic() + seconds_max
        with qmq.Client(self._address, retry=qmq.Retry(duration=30)) as client:
            for name in (self.source, self.dead, self.source, self.target):
                queue = client.queue(name)
                while (stats := queue.stats()).ready + stats.leased + stats.delayed:
                    if time.monotonic() > deadline:
                        raise Failed(f"the queue {name} is not empty in time: {stats}")
                    time.sleep(0.2)
        for each in self.clients:
            each.stop()
        for each in self.clients:
            each.join(seconds_max)
        return self._judge()

    def _judge(self) -> Report:
        collected = self._collector.numbers
        report = check(set(collected), 0, self._collector.deliveries)
        fed = set(self.feeder.added.values())
        report.faults += [
            *stored_twice(collected),
            *(f"what was added as {name} never came out" for name in fed - {*collected.values()}),
            *(f"{each.name} failed: {each.fault!r}" for each in self.clients if each.fault),
        ]
        return report
