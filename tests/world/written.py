"""Histories that are written by hand, for the judge to judge."""

from collections.abc import Callable
from typing import Any

from qmq.testing import START_NS
from qmq.values import NS_PER_S, Durability, Store
from tests.world.evidence import Evidence
from tests.world.history import NEVER, Asked, History, Op, Outcome, Shown, Taken, Told
from tests.world.judge import RULES
from tests.world.queues import QUEUES


class Written:
    """A history in which something happens every second."""

    def __init__(self) -> None:
        self.history = History()
        self._now_s = 0.0
        self.fault("boot", START_NS)

    @property
    def now_ns(self) -> int:
        """The present, by the clock that nobody sets."""
        return self.history.steady_ns(self._now_s)

    def wait(self, seconds: float) -> None:
        """Let nothing happen for a time."""
        self._now_s += seconds

    def fault(self, verb: str, ns: int = 0) -> None:
        """Have something happen to the server."""
        self._now_s += 1
        self.history.note(verb, self._now_s, ns)

    def restart(self, how: str, set_s: float = 0.0) -> None:
        """End the server and start it again, with a clock that is so many seconds ahead."""
        self.fault(how)
        self.fault("boot", START_NS + round(set_s * NS_PER_S))

    def begin(self, verb: str, queue: str, **asked: Any) -> Op:  # noqa: ANN401 - As `Op` has it.
        """Begin a call."""
        self._now_s += 1
        is_disk = queue not in QUEUES or QUEUES[queue].store is Store.DISK
        level = asked.pop("level", Durability.FSYNC if is_disk else Durability.MEMORY)
        return self.history.begin(Op(0, "c", verb, queue, 0, self._now_s, level, **asked))

    def end(
        self,
        op: Op,
        outcome: Outcome = Outcome.OK,
        why: str = "",
        **answered: Any,  # noqa: ANN401 - As `Op` has it.
    ) -> Op:
        """Have a client know what has become of its call."""
        self._now_s += 1
        for name, value in answered.items():
            setattr(op, name, value)
        self.history.end(op, outcome, self._now_s, why)
        return op

    def do(self, verb: str, queue: str, **asked: Any) -> Op:  # noqa: ANN401 - As above.
        """Make a call that is answered, and tells nothing."""
        return self.end(self.begin(verb, queue, **asked))

    def browse(self, queue: str, *payloads: str, state: str = "READY", **asked: Any) -> Op:  # noqa: ANN401
        """Have all messages shown that there are, or all like that; each is in the same state."""
        op = self.begin("browse", queue, **asked)
        return self.end(op, shown=tuple(Shown(p, p, state) for p in payloads), is_all=True)

    def add(
        self,
        queue: str,
        *payloads: str,
        level: Durability | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Op:
        """Add messages; each has its payload as its id."""
        asked = tuple(Asked(each, **options) for each in payloads)
        more = {"level": level} if level else {}
        op = self.begin("add_batch", queue, messages=asked, **more)
        return self.end(op, told=tuple(map(Told, payloads)))

    def lose_add(self, queue: str, *payloads: str) -> Op:
        """Add messages, and get no answer."""
        op = self.begin("add_batch", queue, messages=tuple(map(Asked, payloads)))
        return self.end(op, Outcome.UNKNOWN)

    def pop(self, queue: str, *payloads: str, **asked: Any) -> Op:  # noqa: ANN401
        """Pop messages."""
        op = self.begin("pop_batch", queue, most=len(payloads), **asked)
        return self.end(op, taken=tuple(Taken(each, each) for each in payloads))

    def lose_pop(self, queue: str, most: int) -> Op:
        """Pop messages, and get no answer."""
        return self.end(self.begin("pop_batch", queue, most=most), Outcome.UNKNOWN)

    def lease(
        self,
        queue: str,
        *payloads: str,
        fence: int = 1,
        lasts_s: float = 100,
        **asked: Any,  # noqa: ANN401
    ) -> Op:
        """Lease messages."""
        op = self.begin("lease", queue, most=len(payloads), **asked)
        return self.end(op, taken=self.leased(*payloads, fence=fence, lasts_s=lasts_s))

    def leased(self, *payloads: str, fence: int = 1, lasts_s: float = 100) -> tuple[Taken, ...]:
        """Return what a Lease answers."""
        until_ns = self.now_ns + round(lasts_s * NS_PER_S)
        return tuple(
            Taken(each, each, f"{sum(each.encode()):x}-{fence:08x}", until_ns) for each in payloads
        )

    def about(self, verb: str, lease: Op, **asked: Any) -> Op:  # noqa: ANN401
        """Do something about all leases of a call."""
        lease_ids = tuple(each.lease_id for each in lease.taken)
        op = self.begin(verb, lease.queue, lease_ids=lease_ids, **asked)
        return self.end(op, refused=("",) * len(lease_ids))

    def drain(self, queue: str, *payloads: str, count: int | None = None) -> None:
        """Take out what is left in the end."""
        if self.history.drained_from == NEVER:
            self.history.drained_from = self.history.length
        op = self.begin("stats", queue)
        self.end(op, count=len(payloads) if count is None else count)
        self.pop(queue, *payloads)


#: Writes a history.
Write = Callable[[Written], object]


class Cases:
    """Histories to be judged."""

    def __init__(self) -> None:
        #: Those by which one rule is broken, and no other; and those by which none is.
        self.wrong: list[tuple[str, Write]] = []
        self.right: list[Write] = []

    def bad(self, rule: str) -> Callable[[Write], Write]:
        """Have a history judged by which one rule is broken, and no other."""

        def note(write: Write) -> Write:
            self.wrong.append((rule, write))
            return write

        return note

    def good(self, write: Write) -> Write:
        """Have a history judged by which no rule is broken."""
        self.right.append(write)
        return write


def name_of(value: object) -> str:
    """Return what a case is called."""
    name: str = getattr(value, "__name__", "")
    return name.strip("_")


def broken_rules(write: Write) -> list[str]:
    """Return the names of the rules that do not hold in a history, in their order."""
    written = Written()
    write(written)
    evidence = Evidence(written.history, QUEUES)
    return [rule.__name__ for rule in RULES if any(rule(evidence))]
