"""Messages that are deleted and moved by their ids, in the simplest way there is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from qmq.errors import (
    InvalidArgument,
    MessageLeased,
    MessageNotFound,
    NoDeadLetter,
    QError,
    QueueNotFound,
    StoresDiffer,
)
from qmq.limits import ATTEMPTS_MAX
from qmq.values import Attempt, Outcome, Overflow
from tests.store.naive_message import DELAYED, LEASED, NaiveMessage
from tests.store.naive_queue import NaiveQueue
from tests.store.naive_queues import NaiveQueues


class NaiveMoved(NamedTuple):
    """What is told of a message that is where it was to go."""

    queue_id: str
    was_there: bool


#: What is told of each message.
Told = dict[bytes, QError | NaiveMoved | None]


class NaivePicking(NaiveQueues):
    """The queues; messages are called by their payloads."""

    def delete_messages(
        self, reference: str, payloads: Sequence[bytes], *, leased: bool
    ) -> Told | QError:
        """Take messages out for good."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        self.pass_time_of(queue)
        told: Told = {}
        for message in self.picked(queue, payloads, told, leased=leased):
            told[message.payload] = None
            queue.deleted_total += 1
            queue.remove(message, self.timer.now_ns())
        self.pass_time_of(queue)
        return told

    def move_messages(
        self, reference: str, payloads: Sequence[bytes], target_reference: str, *, leased: bool
    ) -> Told | QError:
        """Put messages at the end of other queues."""
        queue = self.find(reference)
        if isinstance(queue, QError):
            return queue
        target = self.target_of(queue, target_reference)
        if isinstance(target, QError):
            return target
        self.pass_time_of(queue)
        told: Told = {}
        unknown: list[NaiveMessage] = []
        for message in self.picked(queue, payloads, told, leased=leased):
            told[message.payload] = self.move(queue, message, target, unknown)
        for message in unknown:
            queue.messages.remove(message)
        queue.settle(self.timer.now_ns())
        there = [each.payload for each in target.messages] if target else []
        for payload in payloads:
            if target and payload in there and isinstance(told[payload], MessageNotFound):
                told[payload] = NaiveMoved(target.info.id, was_there=True)
        moved_to = {each.queue_id for each in told.values() if isinstance(each, NaiveMoved)}
        for each in self.queues:
            if each is queue or each.info.id in moved_to:
                self.pass_time_of(each)
        return told

    def target_of(self, queue: NaiveQueue, reference: str) -> NaiveQueue | QError | None:
        """Return where messages of a queue go, if that is said, and if they may."""
        target = self.find(reference) if reference else None
        if isinstance(target, NaiveQueue):
            return target_error(queue, target) or target
        return target

    def picked(
        self, queue: NaiveQueue, payloads: Sequence[bytes], told: Told, *, leased: bool
    ) -> list[NaiveMessage]:
        """Return the messages that are there and may be taken, those first that came first."""
        picked: list[NaiveMessage] = []
        for payload in dict.fromkeys(payloads):
            found = [each for each in queue.messages if each.payload == payload]
            if not found:
                told[payload] = MessageNotFound(queue.info.id, "")
            elif found[0].state is LEASED and not leased:
                told[payload] = MessageLeased(queue.info.id, "", "")
            else:
                picked += found
        return sorted(picked, key=lambda each: each.seq)

    def move(
        self,
        queue: NaiveQueue,
        message: NaiveMessage,
        target: NaiveQueue | None,
        unknown: list[NaiveMessage],
    ) -> NaiveMoved | QError:
        """Move one message; what is known of nothing but its place is taken out by the caller."""
        now_ns = self.timer.now_ns()
        added = message
        while added.buried and (target or added is message):
            added = added.buried
        if target is None:
            if message.dead is None:
                return NoDeadLetter("")
            found = self.find(message.dead.source_queue_id)
            if isinstance(found, QError):
                return QueueNotFound(message.dead.source_queue_id)
            if error := target_error(queue, found):
                return error
            target = found
        # Nothing makes room for it.
        alone = replace(target.info.settings, overflow=Overflow.REJECT)
        of_target = NaiveQueue(replace(target.info, settings=alone), messages=target.messages)
        room, error = of_target.room([added.size])
        if not room:
            assert error
            return error
        attempts = message.dead_attempts[len(added.dead_attempts) :] + message.attempts
        reason = f"moved here from queue {queue.info.name or queue.info.id}"
        if message.state is LEASED:
            message.end(Outcome.RELEASED, now_ns, reason)
            attempts += message.attempts[-1:]
        else:
            attempts.append(Attempt(0, "", now_ns, now_ns, Outcome.RELEASED, reason))
        moved = NaiveMessage(
            message.payload,
            self.number(queue.info.home),
            added.size,
            priority=message.options.priority,
            group_id=message.options.group_id,
            fair_key=message.options.fair_key,
            expires_ns=message.expires_ns,
            is_known=True,
            fence=len(attempts[-ATTEMPTS_MAX:]),
            attempts=attempts[-ATTEMPTS_MAX:],
            options=message.options,
            dead=added.dead,
            dead_attempts=added.dead_attempts,
            buried=added.buried,
        )
        if message.state is DELAYED:
            moved.state, moved.until_ns = DELAYED, message.until_ns
        if message.is_known:
            queue.remove(message, now_ns)
        else:
            unknown.append(message)
        target.messages.append(moved)
        target.settle(now_ns)
        queue.moved_out_total += 1
        target.moved_in_total += 1
        return NaiveMoved(target.info.id, was_there=False)


def target_error(queue: NaiveQueue, target: NaiveQueue) -> QError | None:
    """Say why messages of a queue could not go to another, if so."""
    if queue is target:
        return InvalidArgument("target_queue_id", "")
    if queue.info.home != target.info.home:
        return StoresDiffer("")
    return None
