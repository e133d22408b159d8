"""The rules of leases: who has which message until when, and what becomes of it then."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, Protocol, Self

from qmq.errors import LeaseLost
from qmq.limits import MOMENTS_AT_ONCE_MAX
from qmq.model.deliveries import SEQ_BITS, Deliveries, HandedOut, Lot
from qmq.model.delivery import READY, Delivery, State, lease_id_of
from qmq.model.index import seq_of, seqs_of, size_of, sizes_of
from qmq.model.lines import Lines
from qmq.model.ready import Ready
from qmq.model.reply_sizes import lease_bytes
from qmq.values import NackKind, Outcome

_SEQ_MASK: Final = (1 << SEQ_BITS) - 1

#: The heap of moments may hold so many that are of no use any more.
_STALE_MAX: Final = 1_024

_OUTCOMES: Final = {
    NackKind.RELEASE: Outcome.RELEASED,
    NackKind.FAIL: Outcome.FAILED,
    NackKind.REJECT: Outcome.REJECTED,
}


class Holder(Protocol):
    """One who holds leases, as many as it has room for, and is told when they end."""

    @property
    def room(self) -> int:
        """How many further leases it has room for."""
        ...

    def lease_began(self, seq: int, lease_id: str) -> None:
        """Take note that it holds a lease on a message from now on."""
        ...

    def lease_ended(self, seq: int) -> None:
        """Take note that it does not any more, whatever the reason."""
        ...


class Gone(NamedTuple):
    """Messages that have left with the first lease on them."""

    #: Their entries.
    entries: list[int]
    #: The lots of which nothing is left, by `first_seq`.
    lots: list[int]


class Leases:
    """What a queue knows of its messages that were handed out on lease or have options.

    Moments are nanoseconds since the Unix epoch, by a clock that is never set back.
    """

    __slots__ = (
        "_by_age",
        "_holders",
        "_moments",
        "_order",
        "_ready",
        "by_seq",
        "bytes",
        "delayed",
        "held_by",
        "last_leased_ns",
        "leased",
        "lines",
        "may_expire",
        "redelivered_total",
        "ttl_ns",
    )

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        #: A heap: the moments at which a lease, a delay or the use of a message may end, and
        #: of which message. Of a lot, `first_seq` stands for all.
        self._moments: list[int] = []
        #: Every message of the queue that was ever on lease or has options, by sequence number.
        self.by_seq = Deliveries(self._moments)
        #: Where those stand that have groups or fair_keys.
        self.lines = Lines(ready, self.by_seq)
        #: A heap, once that was asked for: the entries of those that are ready, and of others.
        self._by_age: list[int] | None = None
        #: How long any message is of use after it came; 0 is for ever.
        self.ttl_ns = 0
        #: Whether some of them may be of no use any more at some moment.
        self.may_expire = False
        #: What those take together that are on lease or kept back.
        self.bytes = 0
        #: How many of these are on lease, and kept back.
        self.leased = 0
        self.delayed = 0
        #: How many messages each consumer has on lease, by name.
        self.held_by: dict[str, int] = {}
        #: Who is told when the lease on a message ends, by sequence number.
        self._holders: dict[int, Holder] = {}
        #: The numbers in `by_seq` in order, as far as `seqs_between` has needed them, and
        #: some of messages that have left since.
        self._order: list[int] = []
        #: How many messages were handed out again since the server started.
        self.redelivered_total = 0
        #: When the latest lease began, as far as is known; 0 if there was none.
        self.last_leased_ns = 0

    def next_moment_ns(self) -> int | None:
        """Return before when nothing changes by itself; None if nothing ever does."""
        return self._moments[0] >> SEQ_BITS if self._moments else None

    def moments(self) -> Iterator[tuple[int, int]]:
        """Go through the moments at which something of a message may end, and of which one."""
        return ((each >> SEQ_BITS, each & _SEQ_MASK) for each in self._moments)

    def hand_out(
        self, now_ns: int, until_ns: int, count_max: int, bytes_max: int, consumer: str
    ) -> HandedOut:
        """Put messages at the head of the line on lease.

        Args:
            now_ns: the moment.
            until_ns: when the leases end.
            count_max: how many messages at most.
            bytes_max: what a reply that carries them may take; one message is handed out
                in any case.
            consumer: who gets them.
        """
        if self.lines.is_active:
            taken = self.lines.take_batch(count_max, bytes_max, lease_bytes, on_lease=True)
        else:
            taken = self._ready.take_batch(count_max, bytes_max, self.reply_bytes)
        handed_out = HandedOut(taken, until_ns)
        if not taken:
            return handed_out
        first_time, others = ([], taken) if len(taken) == 1 else self._divided(handed_out)
        if first_time:
            seqs = handed_out.seqs if first_time is taken else seqs_of(first_time)
            lot = Lot(seqs, first_time, until_ns=until_ns, leased_ns=now_ns, consumer=consumer)
            handed_out.lot = lot
            self.by_seq.add_lot(lot)
            heappush(self._moments, until_ns << SEQ_BITS | lot.first_seq)
        if others:
            handed_out.deliveries = self._deliver(others, now_ns, until_ns, consumer)
        self.last_leased_ns = now_ns
        self.leased += len(taken)
        self.bytes += sizes_of(taken)
        self.held_by[consumer] = self.held_by.get(consumer, 0) + len(taken)
        self._drop_stale()
        return handed_out

    def _divided(self, handed_out: HandedOut) -> tuple[list[int], list[int]]:
        """Divide entries into those that make a lot, since nothing is known of them, and others."""
        entries, by_seq = handed_out.entries, self.by_seq
        if by_seq.knows_none(handed_out.seqs):
            return entries, []
        first_time = [each for each in entries if seq_of(each) not in by_seq]
        if len(first_time) == 1:
            return [], entries
        return first_time, [each for each in entries if seq_of(each) in by_seq]

    def _deliver(
        self, entries: Iterable[int], now_ns: int, until_ns: int, consumer: str
    ) -> list[Delivery]:
        """Put messages on lease, of each of which there is more to say than of others."""
        by_seq, end = self.by_seq, until_ns << SEQ_BITS
        delivered: list[Delivery] = []
        for entry in entries:
            seq = seq_of(entry)
            delivery = by_seq.get(seq)
            if delivery is None:
                delivery = by_seq[seq] = Delivery(entry, seq)
            elif delivery.fence:
                self.redelivered_total += 1
            delivery.fence += 1
            delivery.count += 1
            delivery.leased_ns = now_ns
            delivery.consumer = consumer
            delivery.state = State.LEASED
            delivery.until_ns = until_ns
            heappush(self._moments, end | seq)
            delivered.append(delivery)
        return delivered

    def hold(self, handed_out: HandedOut, holder: Holder) -> None:
        """Tell one who was handed out messages of these leases, and of their ends."""
        fences = {delivery.seq: delivery.fence for delivery in handed_out.deliveries}
        for seq in handed_out.seqs:
            self._holders[seq] = holder
            holder.lease_began(seq, lease_id_of(seq, fences.get(seq, 1)))

    def take_holders(self, before: Self) -> None:
        """Tell those of the ends of leases who were to be told by what was known before."""
        for seq, holder in tuple(before._holders.items()):
            then, now = before.by_seq.get(seq), self.by_seq.get(seq)
            if then and now and now.state is State.LEASED and now.fence == then.fence:
                self._holders[seq] = holder
            else:
                holder.lease_ended(seq)
        before._holders.clear()

    def reply_bytes(self, entry: int) -> int:
        """Return what a message takes in a reply that hands it out."""
        return lease_bytes(entry, self.by_seq.get(seq_of(entry)))

    def find(self, seq: int, fence: int) -> Delivery | None:
        """Return the message that a lease is on; None if the queue holds no such message.

        Raises:
            LeaseLost: the lease has ended.
        """
        delivery = self.by_seq.get(seq)
        if delivery is None:
            return None
        if delivery.fence != fence or delivery.state is not State.LEASED:
            raise LeaseLost(lease_id_of(seq, fence), delivery.history_of(fence))
        return delivery

    def find_for_ack(self, seq: int, fence: int) -> Delivery | None:
        """Do as `find` does, but take a lease that ran out while nobody has the next one."""
        delivery = self.by_seq.get(seq)
        if delivery and delivery.fence == fence and delivery.state is State.EXPIRED:
            return delivery
        return self.find(seq, fence)

    def all_held(self, leases: Iterable[tuple[int, int]]) -> list[Delivery] | None:
        """Return the messages that leases are on; None if one of them has ended or is twice there.

        Args:
            leases: sequence number and fence of each.
        """
        get, leased = self.by_seq.get, State.LEASED
        held: list[Delivery] = []
        for seq, fence in leases:
            delivery = get(seq)
            if delivery is None or delivery.fence != fence or delivery.state is not leased:
                return None
            held.append(delivery)
        return held if len(set(held)) == len(held) else None

    def forget_first(self, seqs: Sequence[int]) -> Gone | None:
        """Take messages out of the queue whose first lease lasts.

        Args:
            seqs: at least one sequence number.

        Returns:
            None, and nothing has changed, if more is to be said of one of them, or it is not on
            lease, or is there twice.
        """
        left = self.by_seq.leave_lots(seqs)
        if left is None:
            return None
        if len(left) == 1:
            [(_, entries)] = left
        else:
            entries = [each for _, some in left for each in some]
        for lot, some in left:
            self._let_go(lot.consumer, len(some))
        self.leased -= len(entries)
        self.bytes -= sizes_of(entries)
        if self._holders:
            for seq in seqs:
                self._tell_holder(seq)
        if self.lines.is_active:
            self.lines.plain_leases_ended(len(entries))
        return Gone(entries, [lot.first_seq for lot, _ in left if not lot])

    def forget_all(self, held: Sequence[Delivery]) -> list[int]:
        """Take messages on lease out of the queue, and return their entries.

        Args:
            held: what `all_held` returned, of at least one lease.
        """
        by_seq = self.by_seq
        for delivery in held:
            del by_seq[delivery.seq]
        entries = [delivery.entry for delivery in held]
        self.leased -= len(held)
        self.bytes -= sizes_of(entries)
        consumers = [delivery.consumer for delivery in held]
        if consumers.count(consumers[0]) == len(consumers):
            # As nearly always: who has leased messages acks them.
            self._let_go(consumers[0], len(consumers))
        else:
            for consumer, count in Counter(consumers).items():
                self._let_go(consumer, count)
        if self._holders:
            for delivery in held:
                self._tell_holder(delivery.seq)
        if self.lines.is_active:
            self.lines.leases_ended(held)
        return entries

    def forget(self, delivery: Delivery) -> None:
        """Take a message out of the queue, in whatever state it is."""
        del self.by_seq[delivery.seq]
        self._leave(delivery)
        lines = self.lines
        if lines.is_active and delivery.state is State.LEASED:
            lines.lease_ended(delivery)
        elif lines.is_active:
            lines.leave(delivery)
        elif delivery.state in READY:
            self._ready.withdraw(delivery.entry)

    def oldest_ready(self) -> Delivery | None:
        """Return the message that came first, of those that are ready and known here."""
        if not self.by_seq:
            return None
        if self._by_age is None:
            self._by_age = [each.entry for each in self.by_seq.apart() if each.state in READY]
            heapify(self._by_age)
        while self._by_age:
            delivery = self.by_seq.get(seq_of(self._by_age[0]))
            if delivery and delivery.state in READY:
                return delivery
            heappop(self._by_age)
        return None

    def give_back(
        self, delivery: Delivery, kind: NackKind, now_ns: int, delay_ns: int, reason: str
    ) -> None:
        """End the lease of a message that stays in the queue.

        Args:
            delivery: what `find` returned.
            kind: RELEASE or FAIL.
            now_ns: the moment.
            delay_ns: how long the message is kept back.
            reason: what the consumer says why.
        """
        self._leave(delivery)
        delivery.end(_OUTCOMES[kind], now_ns, reason)
        if kind is NackKind.RELEASE:
            delivery.count -= 1
        if delay_ns > 0:
            self._put(delivery, State.DELAYED, now_ns + delay_ns, was=State.LEASED)
        else:
            self._put(delivery, State.RETURNED, 0, was=State.LEASED)
        if kind is NackKind.FAIL:
            self.lines.failed(delivery, now_ns)

    def extend(self, delivery: Delivery, until_ns: int) -> None:
        """Make a lease end at another moment."""
        is_earlier = until_ns < delivery.until_ns
        delivery.until_ns = until_ns
        # If it is later, that is found out when the former end has come.
        if is_earlier:
            self._remind(delivery.seq, until_ns)

    def pass_time(
        self, now_ns: int, delivery_count_max: int
    ) -> tuple[list[Delivery], list[Delivery]]:
        """End leases, delays and the use of messages by now: the first ones, if very many end.

        `next_moment_ns` is not later than `now_ns` as long as there are more.

        Args:
            now_ns: the moment.
            delivery_count_max: how often a message may be delivered; 0 is no maximum.

        Returns:
            Those that were delivered as often as they may, and those that are of no use any
            more. Until they leave, they are ready like the others.
        """
        worn_out: list[Delivery] = []
        expired: dict[int, Delivery] = {}
        moments = self._moments
        end = (now_ns + 1) << SEQ_BITS
        left = MOMENTS_AT_ONCE_MAX
        while left > 0 and moments and moments[0] < end:
            left -= 1
            seq = heappop(moments) & _SEQ_MASK
            if lot := self.by_seq.lot(seq):
                # Each of its messages is reminded of by this, and ends for itself.
                left -= len(lot)
                self.by_seq.break_up(lot)
                continue
            delivery = self.by_seq.get(seq)
            if delivery is None or (moment_ns := self._moment_ns(delivery)) is None:
                continue
            if moment_ns > now_ns:
                # It was extended, or handed out again since.
                heappush(moments, moment_ns << SEQ_BITS | delivery.seq)
                continue
            is_leased = delivery.state is State.LEASED
            expires_ns = self._expires_ns(delivery)
            if delivery.state in (State.LEASED, State.DELAYED):
                was = delivery.state
                self._leave(delivery)
                if is_leased:
                    delivery.end(Outcome.EXPIRED, delivery.until_ns)
                self._put(delivery, State.EXPIRED if is_leased else State.RETURNED, 0, was=was)
            if 0 < expires_ns <= now_ns:
                # There may be more moments of it that have come.
                expired[delivery.seq] = delivery
            elif is_leased and 0 < delivery_count_max <= delivery.count:
                worn_out.append(delivery)
            elif is_leased:
                self.lines.failed(delivery, now_ns)
        return worn_out, list(expired.values())

    def set_ttl(self, ttl_ns: int) -> None:
        """Let all messages be of use for so long after they came."""
        if ttl_ns == self.ttl_ns:
            return
        self.ttl_ns = ttl_ns
        self.may_expire = self.may_expire or ttl_ns > 0
        for delivery in self.by_seq.apart():
            if (moment_ns := self._moment_ns(delivery)) is not None:
                self._remind(delivery.seq, moment_ns)

    def _expires_ns(self, delivery: Delivery) -> int:
        """Return until when a message is of use; 0 is for ever."""
        if not self.ttl_ns:
            return delivery.expires_ns
        by_queue = delivery.seq + self.ttl_ns
        return min(delivery.expires_ns, by_queue) if delivery.expires_ns else by_queue

    def _moment_ns(self, delivery: Delivery) -> int | None:
        """Return when something of a message ends by itself; None if nothing does."""
        if delivery.state is State.LEASED:
            return delivery.until_ns
        expires_ns = self._expires_ns(delivery) or None
        if delivery.state is State.DELAYED:
            return min(delivery.until_ns, expires_ns) if expires_ns else delivery.until_ns
        return expires_ns

    def restore(self, delivery: Delivery) -> None:
        """Take over what is known of a message, and put it into the state that it has."""
        self.by_seq[delivery.seq] = delivery
        self.may_expire = self.may_expire or delivery.expires_ns > 0
        self.last_leased_ns = max(self.last_leased_ns, delivery.leased_ns)
        if delivery.group_id or delivery.fair_key:
            self.lines.activate(self.leased)
        self._put(delivery, delivery.state, delivery.until_ns, was=None)

    def seqs_between(self, first_seq: int, last_seq: int, count_max: int) -> list[int]:
        """Return sequence numbers of messages that were ever on lease, in order.

        There may be some among them that have left the queue.

        Args:
            first_seq: the lowest number.
            last_seq: the highest number.
            count_max: how many to return at most, the first ones.
        """
        self._bring_order()
        order = self._order
        start = bisect_left(order, first_seq)
        return order[start : min(start + count_max, bisect_left(order, last_seq + 1))]

    def _bring_order(self) -> None:
        """Note the numbers that have come since this was done before."""
        order = self._order
        if not order:
            order += sorted(self.by_seq)
            return
        new: list[int] = []
        # A dict remembers in which order its keys came: the new ones are the last ones.
        for seq in reversed(self.by_seq):
            at = bisect_left(order, seq)
            if at < len(order) and order[at] == seq:
                break
            new.append(seq)
        new.sort()
        is_among_them = bool(new) and new[0] < order[-1]
        order += new
        if is_among_them:
            order.sort()

    def clear(self) -> list[int]:
        """Forget all messages that are on lease or kept back; return their entries."""
        entries = [
            delivery.entry
            for delivery in self.by_seq.apart()
            if delivery.state in (State.LEASED, State.DELAYED)
        ]
        for lot in self.by_seq.lots:
            entries += lot.entries
        if self.lines.is_active:
            entries += self.lines.clear()
        self.by_seq.clear()
        self.held_by.clear()
        self._moments.clear()
        self._order.clear()
        self._by_age = None
        self.leased = self.delayed = self.bytes = 0
        for seq in tuple(self._holders):
            self._tell_holder(seq)
        return entries

    def _put(self, delivery: Delivery, state: State, until_ns: int, *, was: State | None) -> None:
        """Bring a message into a state; `was` is the one before, None for one that comes."""
        delivery.state = state
        delivery.until_ns = until_ns
        if state is State.LEASED:
            self.leased += 1
            self.bytes += size_of(delivery.entry)
            self.held_by[delivery.consumer] = self.held_by.get(delivery.consumer, 0) + 1
        elif state is State.DELAYED:
            self.delayed += 1
            self.bytes += size_of(delivery.entry)
        elif not self.lines.is_active:
            self._ready.put_back(delivery.entry)
        if self.lines.is_active:
            self._put_into_lines(delivery, was)
        if state in READY and self._by_age is not None:
            self._note_age(delivery.entry)
        if (moment_ns := self._moment_ns(delivery)) is not None:
            self._remind(delivery.seq, moment_ns)

    def _put_into_lines(self, delivery: Delivery, was: State | None) -> None:
        if was is State.LEASED:
            self.lines.let_wait_again(delivery)
        elif was is State.DELAYED:
            self.lines.is_due(delivery)
        elif delivery.state is State.LEASED:
            self.lines.lease_began(delivery)
        else:
            self.lines.join(delivery)

    def _note_age(self, entry: int) -> None:
        assert self._by_age is not None
        heappush(self._by_age, entry)
        if len(self._by_age) > 2 * len(self.by_seq) + _STALE_MAX:
            # Nobody has asked for the oldest one for long.
            self._by_age = None

    def _leave(self, delivery: Delivery) -> None:
        """Take a message out of the state that it is in, if it is on lease or kept back."""
        if delivery.state is State.LEASED:
            self.leased -= 1
            self.bytes -= size_of(delivery.entry)
            self._let_go(delivery.consumer, 1)
            if self._holders:
                self._tell_holder(delivery.seq)
        elif delivery.state is State.DELAYED:
            self.delayed -= 1
            self.bytes -= size_of(delivery.entry)

    def _let_go(self, consumer: str, count: int) -> None:
        """Count that a consumer holds fewer messages."""
        left = self.held_by[consumer] - count
        if left:
            self.held_by[consumer] = left
        else:
            del self.held_by[consumer]

    def _tell_holder(self, seq: int) -> None:
        """Tell who holds the lease on a message, if anybody asked for that, that it has ended."""
        holder = self._holders.pop(seq, None)
        if holder:
            holder.lease_ended(seq)

    def _remind(self, seq: int, moment_ns: int) -> None:
        """Look at a message again when a moment has come."""
        heappush(self._moments, moment_ns << SEQ_BITS | seq)
        self._drop_stale()

    def _drop_stale(self) -> None:
        """Forget moments and places in the order that are of no use any more, once they are many.

        Leases that were acked leave theirs behind. To gather those in use takes no longer
        than it took to leave the others.
        """
        moments = self._moments
        if len(self._order) > 2 * len(self.by_seq) + _STALE_MAX:
            self._order.clear()
        if len(moments) > 2 * len(self.by_seq) + _STALE_MAX:
            moments[:] = [lot.until_ns << SEQ_BITS | lot.first_seq for lot in self.by_seq.lots]
            moments += [
                moment_ns << SEQ_BITS | delivery.seq
                for delivery in self.by_seq.apart()
                if (moment_ns := self._moment_ns(delivery)) is not None
            ]
            heapify(moments)
