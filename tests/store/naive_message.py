"""One message in the simplest way there is, and what is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qmq.descriptions import MessageOptions
from qmq.envelope import Sealer, encode_options
from qmq.values import Attempt, DeadLetter, MessageState, Outcome

READY, LEASED, DELAYED = MessageState.READY, MessageState.LEASED, MessageState.DELAYED

PLAIN = MessageOptions()


@dataclass
class NaiveMessage:
    """A message, and what happened to it in the queue that it is in."""

    payload: bytes
    #: What q calls it, and what it takes.
    seq: int
    size: int
    state: MessageState = READY
    #: When its last lease or delay ends, or ended.
    until_ns: int = 0
    priority: int = 0
    #: Those that count in the queue that it is in; "" for none.
    group_id: str = ""
    fair_key: str = ""
    #: Until when it is of use, by its own word; 0 is for ever.
    expires_ns: int = 0
    #: Whether q knows more of it than that it is there.
    is_known: bool = False
    leased_ns: int = 0
    consumer: str = ""
    #: How often it was leased, and how often that counts.
    fence: int = 0
    count: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    #: The state that has ended by itself since q last wrote one down, if one has.
    before: MessageState | None = None
    #: Whether q has written that down after all, since it has parked a group.
    is_written: bool = False
    #: What it was added with, in moments.
    options: MessageOptions = PLAIN
    #: What happened to it in queues before.
    dead: DeadLetter | None = None
    dead_attempts: list[Attempt] = field(default_factory=list)
    #: What it was in the queue before, if it is a dead letter.
    buried: "NaiveMessage | None" = None

    @property
    def lease_id(self) -> str:
        """The name of its last lease."""
        return f"{self.seq:016x}-{self.fence:08x}"

    @property
    def is_acknowledgeable(self) -> bool:
        """Whether its last lease goes on, or ran out while nobody else has it."""
        return LEASED in (self.state, self.before)

    def stored(self) -> "Shown":
        """Say what who pops it is told."""
        return self.shown(self.dead_attempts)

    def shown(self, attempts: Sequence[Attempt]) -> "Shown":
        """Say what is told of it, with some attempts."""
        nameless = [each._replace(fence=0) for each in attempts]
        return Shown(self.payload, self.dead, nameless, self.options)

    def end(self, outcome: Outcome, ended_ns: int, reason: str = "") -> None:
        """End its lease."""
        attempt = Attempt(self.fence, self.consumer, self.leased_ns, ended_ns, outcome, reason)
        self.attempts.append(attempt)
        self.state, self.before = READY, None


@dataclass(repr=False)
class Shown:
    """What is told of a message."""

    payload: bytes
    dead: DeadLetter | None
    #: Without numbers.
    attempts: list[Attempt]
    options: MessageOptions

    def __repr__(self) -> str:
        """Leave out what is long and what is not there."""
        options = None if self.options == PLAIN else self.options
        said = [repr(each) for each in (self.dead, self.attempts, options) if each]
        return f"<{' '.join([self.payload.rstrip(bytes(1)).decode(), *said])}>"


@dataclass
class NaiveLease:
    """What is told of a message to who leases it."""

    message: NaiveMessage
    fence: int
    until_ns: int
    count: int
    shown: Shown


def size_of(messages: Sequence[NaiveMessage]) -> int:
    """Return what messages take."""
    return sum(each.size for each in messages)


def envelope_bytes(payload: bytes, now_ns: int, options: MessageOptions) -> int:
    """Return what a message takes when it is added."""
    suffix = encode_options(
        available_ns=options.available_ns or 0,
        expires_ns=options.expires_ns or 0,
        priority=options.priority,
        dedup_id=options.dedup_id,
        group_id=options.group_id,
        fair_key=options.fair_key,
    )
    return len(Sealer().seal(b"0" * 36, now_ns, b"", payload)) + len(suffix)
