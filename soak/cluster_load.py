"""Clients of a cluster that note each answer, while what answers them is killed.

Producers add each message under a dedup_id, again and again until there is an answer: so each is
stored once, whatever becomes of answers. Consumers lease and ack, and an ack too is sent again
until there is an answer. What they note is what `history.check` judges.
"""

import random
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Final, TypeVar

import qmq
from history import Delivery

R = TypeVar("R")

#: Long enough for the dedup_ids of what is added again.
DEDUP_WINDOW_S: Final = 600.0
#: So short that what was leased by an answer that was lost comes back soon.
LEASE_S: Final = 5.0

_CALL_TIMEOUT_S: Final = 3.0
_PAUSE_S: Final = 0.05
_WAIT_S: Final = 0.5
_LEASED_MAX: Final = 50
#: What leased messages are worked on for: time for a fault between a lease and its ack.
_WORK_S_MAX: Final = 0.2

#: What says that an answer was lost, or that nobody could answer at the time.
NO_ANSWER: Final = (qmq.Unavailable, qmq.DeadlineExceeded)


class Client(threading.Thread):
    """A client that does the same again and again, and notes when it was answered."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(name=name, daemon=True)
        self._address = address
        self._has_to_end = threading.Event()
        #: When it was answered, by time.monotonic.
        self.answers: list[float] = []
        self.unanswered = 0
        #: What it did not expect.
        self.fault: Exception | None = None

    def stop(self) -> None:
        """Let it end after what it is at."""
        self._has_to_end.set()

    def run(self) -> None:
        """Work until stopped."""
        retry = qmq.Retry(duration=0)
        with qmq.Client(self._address, timeout=_CALL_TIMEOUT_S, retry=retry) as client:
            self.answers.append(time.monotonic())
            try:
                while not self._has_to_end.is_set():
                    self._step(client)
            except Exception as fault:  # noqa: BLE001 - The report tells of it.
                self.fault = fault

    def longest_pause_s(self, start: float, end: float) -> float:
        """Return the longest time in which it had no answer, between two moments."""
        moments = [start, *(each for each in self.answers if start < each < end), end]
        return max(after - before for before, after in pairwise(moments))

    def _step(self, client: qmq.Client) -> None:
        raise NotImplementedError

    def _note_unanswered(self) -> None:
        """Take note that there was no answer, and wait a moment."""
        self.unanswered += 1
        time.sleep(_PAUSE_S)

    def _until_answered(self, call: Callable[[], R]) -> R:
        """Make a call until there is an answer, or a stop, whatever becomes of it then."""
        while True:
            try:
                result = call()
            except NO_ANSWER:
                self._note_unanswered()
            else:
                self.answers.append(time.monotonic())
                return result


class Producer(Client):
    """Adds messages, and notes the ids of those whose Add was answered."""

    def __init__(self, name: str, address: str, queue: str, batch: int, between_s: float) -> None:
        """Make one that has not begun.

        Args:
            name: unlike those of all others.
            address: of the server.
            queue: to which to add.
            batch: messages in a call.
            between_s: how long to pause after each call.
        """
        super().__init__(name, address)
        self._queue, self._batch = queue, batch
        self.between_s = between_s
        self._numbers = iter(range(10**9))
        #: The number of each message, by the id that it has.
        self.added: dict[str, str] = {}

    def _step(self, client: qmq.Client) -> None:
        names = [f"{self.name}-{next(self._numbers)}" for _ in range(self._batch)]
        messages = [qmq.NewMessage(f"{name:64}", dedup_id=name) for name in names]
        queue = client.queue(self._queue)
        metas = self._until_answered(lambda: queue.add_batch(messages))
        self.added.update(zip((meta.id for meta in metas), names, strict=True))
        self._has_to_end.wait(self.between_s)


class Consumer(Client):
    """Leases and acks messages, and notes what it was told."""

    def __init__(self, name: str, address: str, queue: str) -> None:
        super().__init__(name, address)
        self._queue = queue
        self.deliveries: list[Delivery] = []
        #: The number of each message that it got, by the id that it had.
        self.numbers: dict[str, str] = {}

    def _step(self, client: qmq.Client) -> None:
        queue = client.queue(self._queue)
        try:
            leased = queue.lease(_LEASED_MAX, wait=_WAIT_S, consumer=self.name)
        except NO_ANSWER:
            self._note_unanswered()
            return
        self.answers.append(time.monotonic())
        noted = [self._note(message) for message in leased]
        if noted:
            time.sleep(random.uniform(0, _WORK_S_MAX))
            self._ack(queue, noted)

    def _note(self, message: qmq.LeasedMessage[bytes | str]) -> Delivery:
        delivery = Delivery(
            lease_id=message.lease_id,
            message_id=message.id,
            count=message.delivery_count,
            expires_ns=round(message.lease_expires_at.timestamp() * 1e9),
            moment_ns=time.time_ns(),
            is_tried=True,
        )
        self.deliveries.append(delivery)
        self.numbers[message.id] = message.text.rstrip()
        return delivery

    def _ack(self, queue: qmq.Queue[bytes | str], deliveries: list[Delivery]) -> None:
        unanswered = self.unanswered
        lease_ids = [each.lease_id for each in deliveries]
        results = self._until_answered(lambda: queue.ack(lease_ids))
        moment_ns = time.time_ns()
        for delivery, error in zip(deliveries, results, strict=True):
            if error is None:
                delivery.acked_ns = moment_ns
            else:
                # Where an answer was lost before, this may be the second ack of the same lease.
                delivery.is_refused = self.unanswered == unanswered
