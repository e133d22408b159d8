"""One queue in the simplest way there is: a list of messages, and no thought of speed.

None ever changes its place in the list, which is in order of arrival: one that is on lease or
kept back is just passed over, and who is handed out first is found out by sorting.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from qmq.descriptions import Rate
from qmq.errors import AddsPaused, QError, QueueFull
from qmq.values import NS_PER_S, UNBOUNDED, MessageState, Overflow
from tests.store.naive_line import NaiveLine
from tests.store.naive_message import DELAYED, LEASED, READY, NaiveMessage, size_of


@dataclass
class NaiveBucket:
    """What may be handed out: tokens, which come bit by bit."""

    rate: Rate
    at_ns: int
    tokens: Fraction

    @classmethod
    def full(cls, rate: Rate, now_ns: int) -> "NaiveBucket | None":
        """Make a full one; None if the rate is no limit."""
        if not rate.messages_per_second:
            return None
        return cls(rate, now_ns, Fraction(rate.burst_max))

    def level(self, now_ns: int) -> int:
        """Count whole tokens."""
        per_ns = Fraction(self.rate.messages_per_second) / NS_PER_S
        self.tokens = min(
            Fraction(self.rate.burst_max), self.tokens + (now_ns - self.at_ns) * per_ns
        )
        self.at_ns = now_ns
        return int(self.tokens)


@dataclass
class NaiveQueue(NaiveLine):
    """A queue and the messages in it."""

    bucket: NaiveBucket | None = None
    #: The dedup_ids that are remembered, oldest first: the id, of which message, until when.
    ids: list[tuple[str, bytes, int]] = field(default_factory=list)
    #: Since the server started.
    expired_total: int = 0
    overflowed_total: int = 0
    deduplicated_total: int = 0
    deleted_total: int = 0
    moved_in_total: int = 0
    moved_out_total: int = 0

    def all(self) -> list[NaiveMessage]:
        """Return all messages."""
        return self.messages

    def counts(self) -> dict[MessageState, int]:
        """Count the messages in each state."""
        return {
            state: sum(each.state is state for each in self.messages)
            for state in (READY, LEASED, DELAYED)
        }

    def holders(self) -> dict[str, int]:
        """Count the messages that each consumer has on lease."""
        names = sorted({each.consumer for each in self.messages if each.state is LEASED})
        return {
            name: sum(each.state is LEASED and each.consumer == name for each in self.messages)
            for name in names
        }

    def handed_out(
        self, most: int, now_ns: int, take: Callable[[NaiveMessage], None]
    ) -> list[NaiveMessage]:
        """Hand out those that can be handed out now, as `hand_out` does."""
        if self.info.pause:
            return []
        if leased_max := self.info.settings.leased_max:
            most = min(most, max(0, leased_max - self.counts()[LEASED]))
        if self.bucket:
            most = min(most, self.bucket.level(now_ns))
        handed_out = self.hand_out(most, now_ns, take)
        if self.bucket:
            self.bucket.tokens -= len(handed_out)
        return handed_out

    def free(self) -> list[NaiveMessage]:
        """Return those that stand in the line, if the queue hands out any."""
        return [] if self.info.pause else self.line()

    def to_be_acked(self) -> list[NaiveMessage]:
        """Return those whose last lease can be acked."""
        return [each for each in self.messages if each.is_acknowledgeable]

    def expires_ns(self, message: NaiveMessage) -> int | None:
        """Return until when a message is of use; None for ever."""
        ttl_ns = self.info.settings.ttl_ns
        ends = [message.expires_ns] if message.expires_ns else []
        return min(ends + ([message.seq + ttl_ns] if ttl_ns else []), default=None)

    def moment_ns(self, message: NaiveMessage) -> int | None:
        """Return when something of a message ends by itself; None if nothing does."""
        if message.state is LEASED:
            return message.until_ns
        ends = [message.until_ns] if message.state is DELAYED else []
        expires_ns = self.expires_ns(message)
        return min(ends + ([] if expires_ns is None else [expires_ns]), default=None)

    def known_id(self, dedup_id: str, now_ns: int) -> bytes | None:
        """Return which message was added with a dedup_id not long ago.

        The last one counts: with a clock that was set back, the time of one before goes on.
        """
        for known, payload, until_ns in reversed(self.ids):
            if known == dedup_id:
                return payload if until_ns > now_ns else None
        return None

    def forget_ids(self, now_ns: int) -> None:
        """Forget the oldest whose time is over."""
        while self.ids and self.ids[0][2] <= now_ns:
            del self.ids[0]

    def room(
        self, sizes: Sequence[int], leaving: Sequence[NaiveMessage] = ()
    ) -> tuple[int, QError | None]:
        """Return how many messages can be added, the first ones, and why not more."""
        info = self.info
        if info.pause and info.pause.adds:
            return 0, AddsPaused(info.id)
        staying = [each for each in self.messages if not any(each is one for one in leaving)]
        if info.settings.overflow is not Overflow.REJECT:
            # The others can make room.
            staying = [each for each in staying if each.state is not READY]
        held, freed = size_of(staying), size_of(leaving)
        limit, bytes_limit = info.limit, info.settings.bytes_limit
        counts = range(len(sizes), -1, -1)
        # As much as leaves may come in any case.
        by_count = next(
            count
            for count in counts
            if limit == UNBOUNDED or count <= max(limit - len(staying), len(leaving), 0)
        )
        by_bytes = next(
            count
            for count in counts
            if not bytes_limit or not count or sum(sizes[:count]) <= max(bytes_limit - held, freed)
        )
        if by_bytes < by_count:
            return by_bytes, QueueFull.of_bytes(info.id, bytes_limit, held)
        if by_count < len(sizes):
            return by_count, QueueFull(info.id, limit, len(staying))
        return len(sizes), None

    def displaced(self, sizes: Sequence[int]) -> list[NaiveMessage]:
        """Return the oldest messages that are ready and have to make room."""
        info = self.info
        if info.settings.overflow is Overflow.REJECT:
            return []
        ready = [each for each in self.messages if each.state is READY]
        for count in range(len(ready)):
            staying = [each for each in self.messages if each not in ready[:count]]
            bytes_limit = info.settings.bytes_limit
            if (info.limit == UNBOUNDED or len(staying) + len(sizes) <= info.limit) and (
                not bytes_limit or size_of(staying) + sum(sizes) <= bytes_limit
            ):
                return ready[:count]
        return ready
