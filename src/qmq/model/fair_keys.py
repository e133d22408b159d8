"""The rules of fairness: whose message is handed out next, among those who share a queue."""

from heapq import heappop, heappush, nlargest
from typing import Final

from qmq.descriptions import Fairness
from qmq.model.rate import Bucket
from qmq.model.ready import Ready
from qmq.model.standing import Standing
from qmq.model.turns import Turn, Turns
from qmq.values import FairKeyStats

#: So many keys without messages may be known, besides as many as others.
_EMPTY_MAX: Final = 1_024

#: More messages than any queue holds.
_ANY_NUMBER: Final = 1 << 62

#: Keys that are told of, those with the most messages.
_TOP_MAX: Final = 10


class FairKey:
    """Messages with one fair_key."""

    __slots__ = (
        "bucket",
        "count",
        "is_reminded",
        "leased",
        "level",
        "line",
        "name",
        "standing",
        "turn",
        "waiting",
    )

    def __init__(self, name: str, line: Ready | Standing, weight: int) -> None:
        self.name = name
        #: Those that can be handed out as far as the line goes.
        self.line = line
        #: Messages that are not on lease, in the line or not; not counted for the key "".
        self.waiting = 0
        self.leased = 0
        #: How many messages stand in the line, and how many of them may be handed out now.
        self.standing = 0
        self.count = 0
        #: How fast messages are handed out, and how many may be now; None if as fast as may be.
        self.bucket: Bucket | None = None
        self.level = 0
        #: Whether it is looked at when there is room in the bucket again.
        self.is_reminded = False
        self.turn: Turn[FairKey] = Turn(self, weight)

    def __repr__(self) -> str:
        """Name it and say what it holds."""
        return f"<FairKey {self.name!r} waiting={self.waiting} leased={self.leased}>"


class FairKeys:
    """The keys of a queue, each with a line of its own."""

    __slots__ = (
        "_by_name",
        "_emptied",
        "_fairness",
        "_is_limited",
        "_moments",
        "_turns",
        "_weights",
        "available",
        "now_ns",
        "used",
        "without",
    )

    def __init__(self, plain: Ready) -> None:
        """Make one that knows no keys.

        Args:
            plain: the line of the messages that have none.
        """
        self._fairness = Fairness()
        self._is_limited = False
        self._weights: dict[str, int] = {}
        #: The messages that have no key, which share one as well.
        self.without = FairKey("", plain, 1)
        self._by_name: dict[str, FairKey] = {"": self.without}
        self._turns: Turns[FairKey] = Turns()
        #: A heap: when there is room again in the bucket of which key.
        self._moments: list[tuple[int, str]] = []
        #: How many messages can be handed out now.
        self.available = 0
        #: How many keys, but for "", have messages; and how many have come to have none since
        #: those were forgotten.
        self.used = 0
        self._emptied = 0
        #: Up to when time has passed, in nanoseconds since the Unix epoch.
        self.now_ns = 0

    @property
    def has_rate(self) -> bool:
        """Whether it matters when a message is handed out."""
        return bool(self._fairness.rate.messages_per_second)

    @property
    def are_used(self) -> bool:
        """Whether any message may have a key."""
        return len(self._by_name) > 1

    @property
    def is_limited(self) -> bool:
        """Whether any key, also that of messages without one, may have to wait."""
        return self._is_limited

    def set_fairness(self, fairness: Fairness) -> None:
        """Let keys share the queue as its settings say.

        Those that may go on by that wait for their turns in the order of the keys as text.
        """
        if fairness == self._fairness:
            # Something else of the queue has changed: there may be very many keys.
            return
        is_other_rate = fairness.rate != self._fairness.rate
        self._fairness = fairness
        self._is_limited = bool(fairness.leased_max or fairness.rate.messages_per_second)
        self._weights = dict(fairness.weights)
        for _, key in sorted(self._by_name.items()):
            key.turn.weight = self._weights.get(key.name, 1)
            if is_other_rate:
                self._fill(key)
            self.recount(key)

    def _fill(self, key: FairKey) -> None:
        rate = self._fairness.rate
        key.bucket = Bucket(rate) if rate.messages_per_second else None
        # That of the bucket before may come much later.
        key.is_reminded = False
        key.level = rate.burst_max

    def get(self, name: str) -> FairKey:
        """Return a key; it is known from then on."""
        key = self._by_name.get(name)
        if key is None:
            key = FairKey(name, Standing(), self._weights.get(name, 1))
            self._fill(key)
            self._by_name[name] = key
        return key

    def add_waiting(self, key: FairKey, count: int) -> None:
        """Count messages with a key that wait from now on, or not any more."""
        self._note_use(key, count, 0)
        key.waiting += count

    def add_leased(self, key: FairKey, count: int) -> None:
        """Count messages with a key that are on lease from now on, or not any more."""
        self._note_use(key, 0, count)
        key.leased += count
        self.recount(key)

    def _note_use(self, key: FairKey, waiting: int, leased: int) -> None:
        if key is self.without:
            return
        before = key.waiting + key.leased
        after = before + waiting + leased
        if not before and after:
            self.used += 1
        elif before and not after:
            self.used -= 1
            self._emptied += 1
            if self._emptied > len(self._by_name) // 2 + _EMPTY_MAX:
                self._forget_idle(key)

    def _forget_idle(self, staying: FairKey) -> None:
        """Forget keys that have no messages, and whose turn or rate would be the same anew."""
        self._emptied = 0
        self._by_name = {
            key.name: key
            for key in self._by_name.values()
            if key.waiting or key.leased or key in (staying, self.without) or not self._is_idle(key)
        }

    def _is_idle(self, key: FairKey) -> bool:
        is_full = not key.bucket or key.bucket.level(self.now_ns) >= key.bucket.rate.burst_max
        return is_full and self._turns.is_idle(key.turn)

    def recount(self, key: FairKey, change: int = 0) -> None:
        """Take note of what has changed with a key: whether it waits for its turn.

        Args:
            key: the key.
            change: how many messages more stand in its line.
        """
        key.standing += change
        count = key.standing
        if self._is_limited:
            allowance = self.allowance(key)
            if count and key.bucket and not key.level and not key.is_reminded:
                key.is_reminded = True
                heappush(self._moments, (key.bucket.next_ns(), key.name))
            count = min(count, allowance)
        self.available += count - key.count
        key.count = count
        if count:
            if not key.turn.number:
                self._turns.enter(key.turn)
        elif key.turn.number:
            self._turns.leave(key.turn)

    def allowance(self, key: FairKey, *, on_lease: bool = True) -> int:
        """Return how many messages of a key may be handed out now, if there are so many.

        Args:
            key: the key.
            on_lease: whether they count as leased then; those that are popped do not.
        """
        count = _ANY_NUMBER
        if self._fairness.leased_max:
            left = max(0, self._fairness.leased_max - key.leased)
            count = left if on_lease or not left else _ANY_NUMBER
        if not key.bucket:
            return count
        # It may have filled up since somebody looked.
        key.level = key.bucket.level(self.now_ns)
        return min(count, key.level)

    def first(self) -> FairKey | None:
        """Return the key whose turn it is; None if nothing can be handed out."""
        return self._turns.first()

    def take(self, key: FairKey, *, on_lease: bool) -> None:
        """Take the first message of the key whose turn it is.

        To be followed by `recount`.
        """
        key.line.take()
        self._note_use(key, -1, on_lease)
        key.waiting -= 1
        key.standing -= 1
        self._count_out(key, 1, on_lease=on_lease)

    def took(self, key: FairKey, count: int, *, on_lease: bool) -> None:
        """Take note that messages of the key were taken, where no others have one."""
        if count > 1:
            # All before the last one had their turns: who comes next begins where that one did.
            self._count_out(key, count - 1, on_lease=on_lease)
        if count:
            self._count_out(key, 1, on_lease=on_lease)
            self.recount(key, len(key.line) - key.standing)

    def _count_out(self, key: FairKey, count: int, *, on_lease: bool) -> None:
        self._turns.take(key.turn, count)
        if key.bucket:
            key.bucket.take(count, self.now_ns)
            key.level = key.bucket.level(self.now_ns)
        if on_lease:
            key.leased += count

    def next_moment_ns(self) -> int | None:
        """Return before when no key may be handed out of by itself; None if none ever is."""
        return self._moments[0][0] if self._moments else None

    def pass_time(self, now_ns: int) -> None:
        """Let time pass up to a moment."""
        self.now_ns = now_ns
        moments = self._moments
        while moments and moments[0][0] <= now_ns:
            key = self._by_name.get(heappop(moments)[1])
            if key is None:
                continue
            key.is_reminded = False
            if key.bucket:
                key.level = key.bucket.level(now_ns)
            self.recount(key)

    def obstacle(self, key: FairKey) -> str:
        """Say what keeps back the messages of a key that stand in the line, if anything does."""
        name = f"of its fair_key {key.name!r}" if key.name else "without a fair_key"
        leased_max, rate = self._fairness.leased_max, self._fairness.rate
        if 0 < leased_max <= key.leased:
            return (
                f"{key.leased} messages {name} are on lease, as many as fairness.leased_max of"
                f" {leased_max} allows"
            )
        if key.bucket and not key.level:
            return (
                f"messages {name} are handed out at fairness.rate, no more than"
                f" {rate.messages_per_second:g} a second"
            )
        return ""

    def top(self, waiting: int) -> tuple[FairKeyStats, ...]:
        """Return the keys that most messages have; none if no message ever had one.

        Args:
            waiting: how many messages of the queue are not on lease.
        """
        if len(self._by_name) == 1:
            return ()
        keys = self._by_name.values()
        self.without.waiting = waiting - sum(key.waiting for key in keys if key.name)
        top = nlargest(_TOP_MAX, keys, key=lambda key: key.waiting + key.leased)
        return tuple(
            FairKeyStats(key.name, key.turn.weight, key.waiting, key.leased)
            for key in top
            if key.waiting or key.leased
        )

    def all(self) -> list[FairKey]:
        """Return the keys that are known."""
        return list(self._by_name.values())

    def clear(self) -> None:
        """Forget all messages; what keys owe stays."""
        for key in self._by_name.values():
            key.line.clear()
            key.waiting = key.leased = 0
            self.recount(key, -key.standing)
        self.used = 0
