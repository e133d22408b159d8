"""Commands about messages on lease: Lease, Ack, Nack, Extend, Complete."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from qmq.descriptions import MessageOptions
from qmq.engine.adding import Adding, Prepared
from qmq.engine.handing_out import Encoded, hand_out
from qmq.engine.queues import Queues
from qmq.engine.recent import Recent
from qmq.engine.waiting import IsGone
from qmq.errors import (
    AddsPaused,
    DedupFull,
    InvalidArgument,
    LeaseLost,
    MemoryFull,
    NoDeadLetterQueue,
    QError,
    QueueFull,
    StoresDiffer,
)
from qmq.limits import ACKS_REMEMBERED
from qmq.model.changes import Changes
from qmq.model.delivery import (
    Delivery,
    lease_id_of,
    parse_first_lease_ids,
    parse_lease_id,
    parse_lease_ids,
)
from qmq.model.durability import durability_reached
from qmq.model.leases import Holder
from qmq.model.nacking import end_undone
from qmq.model.queue import Queue
from qmq.values import Durability, NackKind

#: What became of one lease: nothing to say, when it ends from now on, or why it is refused.
Result = int | QError | None


class Leasing:
    """Commands about messages on lease.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        #: Leases that ended with an ack, so that it can be repeated: numbers of messages, which
        #: stores count for themselves, by the numbers of queues and fences.
        self._acked = Recent(ACKS_REMEMBERED)
        self._adding = Adding(queues)

    def forget_acks(self) -> None:
        """Forget which leases have ended with an ack: some may have been undone."""
        self._acked.clear()

    async def lease(  # noqa: PLR0913 - All that a caller can say.
        self,
        reference: str,
        messages_max: int,
        *,
        wait_s: float,
        is_gone: IsGone | None,
        duration_ns: int | None = None,
        consumer: str = "",
        holder: Holder | None = None,
        durability: Durability = Durability.UNKNOWN,
    ) -> bytes:
        """Hand out messages from the head of a queue for a time.

        Args:
            reference: the queue's id or name.
            messages_max: how many at most; fewer are returned if a reply carries no more,
                and none if there was none in time.
            wait_s: how long to wait for the first message at most.
            is_gone: tells whether the caller has left while it waited; None if it is cancelled.
            duration_ns: how long the leases last; None leaves that to the queue.
            consumer: who asks.
            holder: gets no more than it has room for, also if that changes while it waits;
                knows of its leases as soon as it has them, whatever becomes of the call.
            durability: as in `Broker.add`.

        Returns:
            For each message, a `proto.LeasedMessage` as it stands in a reply, the repeated
            field 1. Nothing if there is none.

        Raises:
            Gone: the caller has left.
        """
        queues = self._queues
        queue = queues.catalog.get(reference) or await queues.refuse(reference)
        level = durability_reached(queue, durability)
        store = queues.store_of(queue)
        queues.pass_time(queue)
        if queues.waiting.free(queue) <= 0 and not await queues.message_comes(
            queue, wait_s, is_gone, level
        ):
            return b""
        if holder and (messages_max := min(messages_max, holder.room)) <= 0:
            queues.waiting.serve(queue)
            return b""
        handed_out = hand_out(
            queues,
            queue,
            messages_max,
            queues.message_bytes_max,
            now_ns=queues.steady_ns(),
            duration_ns=duration_ns,
            consumer=consumer,
            holder=holder,
        )
        changes = Changes()
        changes.leased.append(handed_out)
        encoded = Encoded(handed_out, queues.envelope_bytes_max)
        with queues.setting_aside(queue, handed_out.entries):
            envelopes = await store.commit(changes, handed_out.entries, level)
        return encoded.with_envelopes(envelopes)

    async def ack(
        self,
        reference: str,
        lease_ids: Sequence[str],
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> list[Result]:
        """Remove leased messages: their work is done.

        Args:
            reference: the queue's id or name.
            lease_ids: the leases.
            durability: as in `Broker.add`.

        Returns:
            For each lease id, in order, None or why it is refused.
        """
        queues = self._queues
        queue = queues.catalog.get(reference) or await queues.refuse(reference)
        level = durability_reached(queue, durability)
        queues.store_of(queue)
        # A lease may have run out, and yet be acked: no time passes before that.
        changes = Changes()
        results: list[Result]
        if self._ack_all(queue, lease_ids, changes):
            results = [None] * len(lease_ids)
        else:
            results = _results(partial(self._ack_one, queue, changes), lease_ids)
        await self._keep((queue,), changes, level)
        return results

    def _ack_all(self, queue: Queue, lease_ids: Sequence[str], changes: Changes) -> bool:
        """Ack all at once, which is much faster, if nothing is to be said of any of them."""
        if queue.leases.by_seq.lots and (seqs := parse_first_lease_ids(lease_ids)):
            gone = queue.ack_first(seqs)
            if gone:
                changes.removed, changes.ended_lots = gone
                self._acked.update((queue.number, 1), seqs)
                return True
        leases = parse_lease_ids(lease_ids)
        entries = leases and queue.ack_all(leases)
        if not leases or not entries:
            return False
        changes.removed = entries
        for seq, fence in leases:
            self._acked.update((queue.number, fence), (seq,))
        return True

    def _ack_one(self, queue: Queue, changes: Changes, lease_id: str) -> None:
        if delivery := self._find_for_ack(queue, lease_id):
            self._ack(queue, delivery, changes)

    async def nack(  # noqa: PLR0913 - All that a caller can say.
        self,
        reference: str,
        lease_ids: Sequence[str],
        kind: NackKind,
        *,
        delay_ns: int | None = None,
        reason: str = "",
        durability: Durability = Durability.UNKNOWN,
    ) -> list[Result]:
        """Give leased messages back.

        Args:
            reference: the queue's id or name.
            lease_ids: the leases.
            kind: why, and so what becomes of them.
            delay_ns: how long they are kept back; None leaves that to the queue.
            reason: what the consumer says why.
            durability: as in `Broker.add`.

        Returns:
            For each lease id, in order, None or why it is refused.
        """
        changes = Changes()
        queues = self._queues
        now_ns = queues.steady_ns()

        def nack(queue: Queue, lease_id: str) -> None:
            delivery = self._find(queue, lease_id)
            dead = end_undone(
                queue,
                delivery,
                kind,
                now_ns=now_ns,
                delay_ns=delay_ns,
                reason=reason,
                chance=queues.chance(),
            )
            if dead is None:
                changes.saved.append(delivery)
            else:
                queues.bury(queue, delivery, dead, changes)

        return await self._each(reference, lease_ids, nack, changes, durability)

    async def extend(
        self,
        reference: str,
        lease_ids: Sequence[str],
        duration_ns: int | None = None,
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> list[Result]:
        """Make leases end a time from now.

        Args:
            reference: the queue's id or name.
            lease_ids: the leases.
            duration_ns: the time; None leaves that to the queue.
            durability: as in `Broker.add`.

        Returns:
            For each lease id, in order, when it ends or why it is refused.
        """
        changes = Changes()
        now_ns = self._queues.steady_ns()

        def extend(queue: Queue, lease_id: str) -> int:
            delivery = self._find(queue, lease_id)
            lasts_ns = queue.info.settings.lease_duration_ns if duration_ns is None else duration_ns
            queue.leases.extend(delivery, now_ns + lasts_ns)
            changes.saved.append(delivery)
            return now_ns + lasts_ns

        return await self._each(reference, lease_ids, extend, changes, durability)

    async def complete(
        self,
        acks: Sequence[tuple[str, Sequence[str]]],
        adds: Sequence[tuple[str, Sequence[tuple[bytes, bytes]]]],
        options: Sequence[Mapping[int, MessageOptions]] = (),
        *,
        durability: Durability = Durability.UNKNOWN,
    ) -> list[bytes]:
        """Ack leases and add messages: all of it or nothing.

        Args:
            acks: queues by id or name, and leases.
            adds: queues by id or name, and of each message tags and payload as in
                `Broker.add_batch`.
            options: for each queue, those of its messages that have any, by their places.
            durability: as in `Broker.add`; the queue decides that wants most.

        Returns:
            The metadata of each message, as `envelope.seal_batch` returns it; of one whose
            dedup_id its queue knew, that of the one that was added then.

        Raises:
            LeaseLost: one of the leases has ended, also if that was by an ack.
            InvalidArgument: one of the leases is none, or there twice.
            StoresDiffer: the queues do not all live in the same store.
            QueueFull: there is no room for the messages, once the acked ones are gone.
            MemoryFull: the server has no room for them, once the acked ones are gone.
            TooLarge: no reply could carry one of the messages, or the metadata of all.
        """
        queues = self._queues
        sources = [await queues.find(reference) for reference, _ in acks]
        targets = [await queues.find(reference) for reference, _ in adds]
        if not sources and not targets:
            raise InvalidArgument("acks", "must not be empty where adds are")
        _check_same_store((*sources, *targets))
        level = max(durability_reached(queue, durability) for queue in (*sources, *targets))
        store = queues.store_of((*sources, *targets)[0])
        changes = Changes()
        try:
            held = self._held(sources, [lease_ids for _, lease_ids in acks])
            prepared = self._prepare_adds(
                targets, [messages for _, messages in adds], options, changes
            )
            queues.check_reply_size([meta for made, _ in prepared for meta in made.metas])
            for made, _ in prepared:
                # A repeat is answered also by a queue that takes nothing.
                if made.fresh:
                    leaving = [each for source, each in held if source is made.queue]
                    made.queue.room_for(made.sizes, partial=False, leaving=leaving)
            self._adding.check_memory(
                (*sources, *targets)[0].info.store,
                (made for made, _ in prepared),
                [delivery for _, delivery in held],
            )
        except (LeaseLost, QueueFull, MemoryFull, AddsPaused, DedupFull):
            await store.settle(level)
            raise
        for queue, delivery in held:
            self._ack(queue, delivery, changes)
        metas = [b""] * sum(made.total for made, _ in prepared)
        for made, places in prepared:
            # There is room: what makes some for a queue may fill another, but refuses nothing.
            added = self._adding.put_first(made, len(made.fresh))
            for place, meta in zip(places, added.metas, strict=True):
                metas[place] = meta
        await self._keep(tuple(dict.fromkeys((*sources, *targets))), changes, level)
        return metas

    def _keep(
        self, queues: Sequence[Queue], changes: Changes, durability: Durability
    ) -> Awaitable[object]:
        """Keep what has changed in queues of one store, and let others have what is free by it."""
        for queue in queues:
            changes.note_groups(queue)
        kept = self._queues.home_of(queues[0]).commit(changes, durability=durability)
        for queue in queues:
            self._queues.pass_time(queue)
            self._queues.waiting.serve(queue)
        return kept

    def _held(
        self, sources: Sequence[Queue], leases: Sequence[Sequence[str]]
    ) -> list[tuple[Queue, Delivery]]:
        """Return the messages that leases are on, and their queues."""
        held: dict[Delivery, Queue] = {}
        for at, (queue, lease_ids) in enumerate(zip(sources, leases, strict=True)):
            for index, lease_id in enumerate(lease_ids):
                field = f"acks[{at}].lease_ids[{index}]"
                try:
                    delivery = self._find_for_ack(queue, lease_id)
                except InvalidArgument as error:
                    raise InvalidArgument(field, error.rule) from None
                if delivery is None:
                    raise self._gone(queue, *parse_lease_id(lease_id))
                if delivery in held:
                    raise InvalidArgument(field, f"{lease_id} is there twice")
                held[delivery] = queue
        return [(queue, delivery) for delivery, queue in held.items()]

    def _prepare_adds(
        self,
        targets: Sequence[Queue],
        adds: Sequence[Sequence[tuple[bytes, bytes]]],
        options: Sequence[Mapping[int, MessageOptions]],
        changes: Changes,
    ) -> list[tuple[Prepared, list[int]]]:
        """Make messages that are to be added, those of one queue together.

        Returns:
            The messages of each queue, and their places among all messages of the call.
        """
        of_queue: dict[int, list[tuple[int, int]]] = {}
        queues = {queue.number: queue for queue in targets}
        places: dict[tuple[int, int], int] = {}
        for at, (queue, messages) in enumerate(zip(targets, adds, strict=True)):
            for index in range(len(messages)):
                of_queue.setdefault(queue.number, []).append((at, index))
                places[at, index] = len(places)
        prepared: list[tuple[Prepared, list[int]]] = []
        for number, chosen in of_queue.items():
            asked = {
                place: found
                for place, (at, index) in enumerate(chosen)
                if at < len(options) and (found := options[at].get(index))
            }
            messages = [adds[at][index] for at, index in chosen]
            name = partial(_name_of, chosen)
            made = self._adding.prepare(queues[number], messages, asked, changes, name)
            prepared.append((made, [places[each] for each in chosen]))
        return prepared

    async def _each(
        self,
        reference: str,
        lease_ids: Sequence[str],
        command: Callable[[Queue, str], int | None],
        changes: Changes,
        durability: Durability,
    ) -> list[Result]:
        """Carry out a command for each lease that holds now, and keep what it has changed."""
        queues = self._queues
        queue = queues.catalog.get(reference) or await queues.refuse(reference)
        level = durability_reached(queue, durability)
        queues.store_of(queue)
        queues.pass_time(queue)
        results = _results(partial(command, queue), lease_ids)
        await self._keep((queue,), changes, level)
        return results

    def _find(self, queue: Queue, lease_id: str) -> Delivery:
        """Return the message that a lease is on.

        Raises:
            LeaseLost: the lease has ended.
            InvalidArgument: it is none.
        """
        lease = parse_lease_id(lease_id)
        delivery = queue.leases.find(*lease)
        if delivery is None:
            raise self._gone(queue, *lease)
        return delivery

    def _find_for_ack(self, queue: Queue, lease_id: str) -> Delivery | None:
        """Do the same for an ack; None if that was done already."""
        lease = parse_lease_id(lease_id)
        delivery = queue.leases.find_for_ack(*lease)
        if delivery is None and not self._was_acked(queue, lease):
            raise self._gone(queue, *lease)
        return delivery

    def _gone(self, queue: Queue, seq: int, fence: int) -> LeaseLost:
        lease_id = lease_id_of(seq, fence)
        if self._was_acked(queue, (seq, fence)):
            return LeaseLost(lease_id, "has ended; its message was acked")
        return LeaseLost(
            lease_id,
            f"has ended, and queue {queue.info.id} does not hold its message any more: that was"
            " acked, popped, deleted, purged, or moved",
        )

    def _ack(self, queue: Queue, delivery: Delivery, changes: Changes) -> None:
        self._acked.update((queue.number, delivery.fence), (delivery.seq,))
        changes.removed.append(delivery.entry)
        queue.ack(delivery)

    def _was_acked(self, queue: Queue, lease: tuple[int, int]) -> bool:
        seq, fence = lease
        return self._acked.has((queue.number, fence), seq)


def _check_same_store(queues: Iterable[Queue]) -> None:
    """Refuse queues that do not all live in the same store.

    Raises:
        StoresDiffer: they do not.
    """
    queues = list(queues)
    stores = {queue.info.store for queue in queues}
    if len({queue.info.home for queue in queues}) > 1 == len(stores):
        raise StoresDiffer(
            "the queues of one Complete must live on the same shard of the cluster, and these do"
            " not: no step is atomic across databases; make queues that belong together with the"
            " same tag shard"
        )
    if len(stores) > 1:
        raise StoresDiffer(
            "the queues of one Complete must live in the same store, and these live in"
            f" {' and '.join(sorted(store.name for store in stores))}: no step is atomic"
            " across stores"
        )


def _results(command: Callable[[str], int | None], lease_ids: Iterable[str]) -> list[Result]:
    """Carry out a command for each lease."""
    results: list[Result] = []
    for lease_id in lease_ids:
        try:
            results.append(command(lease_id))
        except (InvalidArgument, LeaseLost, NoDeadLetterQueue) as refusal:
            results.append(refusal)
    return results


def _name_of(places: Sequence[tuple[int, int]], place: int) -> str:
    """Name a message of a Complete, for errors."""
    at, index = places[place]
    return f"adds[{at}].messages[{index}]"
