"""Random histories of those who wait at a queue whose messages come late, expire, and are rationed.

After each step, when all that can go on has gone on: nobody waits beside a message that could be
handed out, nobody was passed by who came later, and nobody was given a message too early, too late
or beyond what the queue may hand out.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qmq.descriptions import MessageOptions, QueueSettings, Rate
from qmq.engine.broker import Broker
from qmq.errors import LeaseLost
from qmq.model.check import problems_of
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, NackKind, Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.leased import leased_messages

_T = TypeVar("_T")

#: Seconds for which callers wait, unless the test lets them go.
_LONG_S: Final = 10_000.0

_RATES: Final = (
    Rate(),
    Rate(),
    Rate(messages_per_second=1.0),
    Rate(messages_per_second=0.5, burst=3),
    Rate(messages_per_second=2_000.0, burst=2),
)

gates = st.builds(
    QueueSettings,
    leased_max=st.sampled_from([0, 0, 1, 2]),
    rate=st.sampled_from(_RATES),
    ttl_ns=st.sampled_from([0, 0, 4 * NS_PER_S]),
    delay_ns=st.sampled_from([0, 0, 0, NS_PER_S]),
)


@dataclass
class Arrival:
    """A caller who waits for messages, and what it was given."""

    task: asyncio.Future[Any]
    is_lease: bool
    is_cancelled: bool = False
    given: list[bytes] = field(default_factory=list)
    #: The leases that it has, by message.
    lease_ids: dict[bytes, str] = field(default_factory=dict)


@dataclass
class Fact:
    """What is known of a message."""

    due_ns: int
    #: 0 if it is of use for ever, by its own word.
    expires_ns: int


class Gates(RuleBasedStateMachine):
    """One queue, and those who wait for its messages in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.broker = self.run(self.open())
        self.queue = self.broker.catalog.find("jobs")
        self.line: list[Arrival] = []
        self.facts: dict[bytes, Fact] = {}
        self.holding: list[Arrival] = []
        #: What may be handed out by the rate, and when that was so.
        self.tokens, self.tokens_ns = Fraction(0), self.clock.now_ns()
        self.leased = 0

    async def open(self) -> Broker:
        """Start a server with a queue that hands out whatever is ready."""
        clock = self.clock
        broker = Broker(
            {Store.MEMORY: MemoryStore()}, clock=clock, timer=clock, new_id=seeded_ids()
        )
        await broker.new_queue(Store.MEMORY, name="jobs")
        return broker

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine, and then all that can go on."""

        async def run() -> _T:
            result = await coroutine
            await turns(60)
            return result

        result = self.runner.run(run())
        if hasattr(self, "line"):
            self.look()
        return result

    @initialize(given=gates)
    def begin(self, given: QueueSettings) -> None:
        """Begin with settings."""
        self.change(given)

    @rule(verb=st.sampled_from(["pop", "pop_batch"]), most=st.integers(1, 3))
    def come_to_pop(self, verb: str, most: int) -> None:
        """Let callers come who pop."""
        self.arrive(verb, most, count=most)

    @rule(most=st.integers(1, 3), count=st.integers(1, 3))
    def come_to_lease(self, most: int, count: int) -> None:
        """Let callers come who lease."""
        self.arrive("lease", most, count)

    def arrive(self, verb: str, most: int, count: int) -> None:
        """Let callers come."""

        async def arrive() -> None:
            for _ in range(count):
                call: Coroutine[Any, Any, Any]
                match verb:
                    case "pop":
                        call = self.broker.pop("jobs", _LONG_S)
                    case "pop_batch":
                        call = self.broker.pop_batch("jobs", most, _LONG_S)
                    case _:
                        call = self.broker.leasing.lease(
                            "jobs",
                            most,
                            wait_s=_LONG_S,
                            is_gone=None,
                            duration_ns=most * 3 * NS_PER_S,
                        )
                task = asyncio.ensure_future(call)
                self.line.append(Arrival(task, is_lease=verb == "lease"))

        self.run(arrive())

    @rule(count=st.integers(1, 4))
    def add_plain(self, count: int) -> None:
        """Add messages that say nothing."""
        self.add(count, is_plain=True)

    @rule(
        count=st.integers(1, 2),
        delay=st.sampled_from([None, None, 0, 1, 3]),
        ttl=st.sampled_from([None, None, 2, 6]),
        priority=st.sampled_from([0, 0, 3]),
    )
    def add_with(self, count: int, delay: int | None, ttl: int | None, priority: int) -> None:
        """Add messages with options."""
        self.add(count, delay, ttl, priority, is_plain=False)

    def add(
        self,
        count: int,
        delay: int | None = None,
        ttl: int | None = None,
        priority: int = 0,
        *,
        is_plain: bool,
    ) -> None:
        """Add messages."""
        now_ns, queue_delay_ns = self.clock.now_ns(), self.queue.info.settings.delay_ns
        names = [b"%d" % (len(self.facts) + at) for at in range(count)]
        batch = [(b"", name) for name in names]
        delay_ns = queue_delay_ns if delay is None or is_plain else delay * NS_PER_S
        ttl_ns = 0 if ttl is None or is_plain else ttl * NS_PER_S
        for name in names:
            self.facts[name] = Fact(now_ns + delay_ns, now_ns + ttl_ns if ttl_ns else 0)
        if is_plain:
            self.run(self.broker.add_batch("jobs", batch))
            return
        asked = MessageOptions(
            delay_ns=None if delay is None else delay_ns, ttl_ns=ttl_ns or None, priority=priority
        )
        self.run(self.broker.add_batch_with("jobs", batch, dict.fromkeys(range(count), asked)))

    @precondition(lambda self: self.holding)
    @rule(
        verb=st.sampled_from(["ack", "ack", "release", "keep back", "extend"]),
        at=st.integers(0, 9),
    )
    def finish(self, verb: str, at: int) -> None:
        """Do something about the leases of one of those who have some."""
        arrival = self.holding[at % len(self.holding)]
        lease_ids = list(arrival.lease_ids.values())
        leasing = self.broker.leasing
        match verb:
            case "ack":
                results = self.run(leasing.ack("jobs", lease_ids))
            case "extend":
                results = self.run(leasing.extend("jobs", lease_ids, 9 * NS_PER_S))
            case _:
                delay_ns = 0 if verb == "release" else 2 * NS_PER_S
                kind = NackKind.RELEASE
                results = self.run(leasing.nack("jobs", lease_ids, kind, delay_ns=delay_ns))
        assert all(result is None or isinstance(result, int | LeaseLost) for result in results)
        if verb != "extend":
            self.holding.remove(arrival)

    def change(self, given: QueueSettings) -> None:
        """Change the settings."""
        if given.rate != self.queue.info.settings.rate:
            self.tokens, self.tokens_ns = Fraction(given.rate.burst_max), self.clock.now_ns()
        self.run(self.broker.update_queue("jobs", lambda _: given))

    @rule(
        verb=st.sampled_from(["change", "pause", "resume", "resume", "purge", "leave", "leave"]),
        given=gates,
        at=st.integers(0, 9),
    )
    def disturb(self, verb: str, given: QueueSettings, at: int) -> None:
        """Do something about the queue, or let one leave who waits."""
        match verb:
            case "change":
                self.change(given)
            case "pause":
                self.run(self.broker.pause("jobs", adds=False))
            case "resume":
                self.run(self.broker.resume("jobs"))
            case "purge":
                self.run(self.broker.purge("jobs"))
            case "leave" if self.line:
                arrival = self.line[at % len(self.line)]
                arrival.is_cancelled = True
                arrival.task.cancel()
                self.run(turns(0))
            case _:
                pass

    @rule(seconds=st.sampled_from([0.0005, 0.5, 1, 2]))
    def pass_a_moment(self, seconds: float) -> None:
        """Let some time pass."""
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from([1, 5, 30]))
    def pass_a_while(self, seconds: float) -> None:
        """Let more time pass."""
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, from one moment at which something may happen to the next."""
        until_ns = self.clock.now_ns() + round(seconds * NS_PER_S)
        while (now_ns := self.clock.now_ns()) < until_ns:
            moment_ns = self.queue.next_moment_ns()
            assert moment_ns is None or now_ns < moment_ns, "nothing has happened by itself"
            next_ns = until_ns if moment_ns is None else min(until_ns, moment_ns)

            async def advance(step_ns: int = next_ns - now_ns) -> None:
                self.clock.advance(step_ns / NS_PER_S)

            self.run(advance())

    def look(self) -> None:
        """See who was given what, and whether that may be."""
        served = [each for each in self.line if each.task.done()]
        waiting = [each for each in self.line if not each.task.done()]
        for arrival in served:
            self.note(arrival)
        came = [each for each in self.line if not each.is_cancelled]
        given = [bool(each.given) for each in came]
        # Who was served is a part of the line at its head.
        assert given == sorted(given, reverse=True), "somebody was passed"
        self.line = waiting

    def note(self, arrival: Arrival) -> None:
        """Take note of what a caller was given."""
        if arrival.task.cancelled():
            return
        result = arrival.task.result()
        messages: Sequence[pb.Message]
        if arrival.is_lease:
            leased = leased_messages(result)
            messages = [each.message for each in leased]
            arrival.lease_ids = {each.message.payload: each.lease_id for each in leased}
            self.holding.append(arrival)
        else:
            envelopes = result if isinstance(result, list) else [result]
            messages = list(map(pb.Message.FromString, envelopes))
        arrival.given = [each.payload for each in messages]
        now_ns = self.clock.now_ns()
        for payload in arrival.given:
            fact = self.facts[payload]
            assert fact.due_ns <= now_ns, "early"
            assert not fact.expires_ns or now_ns < fact.expires_ns, "late"
        if rate := self.queue.info.settings.rate.messages_per_second:
            self.fill()
            self.tokens -= len(arrival.given)
            # A rate that is not a part of a second is rounded.
            assert self.tokens >= -Fraction(1, 10**6), f"more than {rate} a second"

    def fill(self) -> None:
        """Let the tokens of the rate come that are due by now."""
        rate, now_ns = self.queue.info.settings.rate, self.clock.now_ns()
        come = Fraction(rate.messages_per_second) * (now_ns - self.tokens_ns) / NS_PER_S
        self.tokens = min(Fraction(rate.burst_max), self.tokens + come)
        self.tokens_ns = now_ns

    @invariant()
    def nobody_waits_beside_a_message(self) -> None:
        """Unless nothing may be handed out."""
        queue, how = self.queue, self.queue.info.settings
        assert problems_of(queue) == []
        if how.leased_max:
            assert queue.leases.leased <= max(how.leased_max, self.leased)
        self.leased = queue.leases.leased
        if queue.info.pause or (how.leased_max and queue.leases.leased >= how.leased_max):
            return
        if how.rate.messages_per_second:
            self.fill()
            # Those that are due within some milliseconds are handed out together.
            together = max(1.0, how.rate.messages_per_second / 100)
            if self.tokens < min(how.rate.burst_max, together):
                return
        assert not self.line or not queue.ready

    def teardown(self) -> None:
        """Let all leave, and take out what is left."""
        try:
            for arrival in self.line:
                arrival.is_cancelled = True
                arrival.task.cancel()
            self.run(self.broker.update_queue("jobs", _handing_out_all))
            self.run(self.broker.resume("jobs"))
            self.run(self.broker.pop_batch("jobs", 1_000))
            assert len(self.queue.ready) == 0
            self.run(self.broker.close())
        finally:
            self.runner.close()


def _handing_out_all(known: QueueSettings) -> QueueSettings:
    return replace(known, leased_max=0, rate=Rate())


def test_gates_starve_nobody_and_let_nothing_slip() -> None:
    """Whoever comes and goes in whatever order, whatever comes, and whenever."""
    run_state_machine_as_test(Gates, settings=settings(max_examples=60, stateful_step_count=25))
