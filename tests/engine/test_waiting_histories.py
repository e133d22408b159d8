"""Random histories of callers that wait, leave and are served, and of messages that come.

What happens in one step happens with no, few or many turns of the event loop in between,
so that callers leave before, while and after a message is promised to them.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qmq.engine.waiting import Gone
from qmq.errors import QueueEmpty, QueueFull, QueueNotFound, ShuttingDown
from qmq.testing import ManualClock
from tests.engine.callers import LONG_S, Caller, broker_with_jobs, payload_of, turns, waiting

_T = TypeVar("_T")

#: Messages that the queue holds at most.
LIMIT = 6


class Act(NamedTuple):
    """One thing that happens, and how many turns the event loop has after it."""

    verb: str
    #: How many messages, or which caller.
    number: int
    turns: int
    #: How many turns it takes to hear from a caller who comes now.
    slowness: int


acts = st.builds(
    Act,
    verb=st.sampled_from(
        ["wait", "wait", "wait_batch", "add", "add_batch", "ask", "ask_batch", "cancel", "go"]
    ),
    number=st.integers(1, 5),
    turns=st.sampled_from([0, 0, 1, 2, 3, 5]),
    slowness=st.sampled_from([0, 0, 1, 2, 5]),
)


@dataclass
class Arrival:
    """A caller, and what the machine knows of it."""

    caller: Caller
    #: By which time it was to be told, on the clock of the test.
    until_ns: int
    #: Whether it was told to leave.
    is_leaving: bool = False
    #: Whether it was seen waiting after it had had a turn: it was not served on arrival.
    was_in_line: bool = False

    @property
    def has_stayed_in_vain(self) -> bool:
        """Whether it is in line, so that no message may be free."""
        return self.caller.is_waiting and not self.is_leaving


class Line(RuleBasedStateMachine):
    """One queue, those who came for its messages in order of arrival, and the messages."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.broker = self.run(broker_with_jobs(self.clock, limit=LIMIT))
        self.queue = self.broker.catalog.find("jobs")
        self.arrivals: list[Arrival] = []
        self.added: list[bytes] = []

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end."""
        return self.runner.run(coroutine)

    @rule(some=st.lists(acts, min_size=1, max_size=8))
    def happen(self, some: list[Act]) -> None:
        """Let things happen, one after the other."""

        async def happen() -> None:
            for act in some:
                await self.do(act)
                await turns(act.turns)
                if act.turns:
                    for each in self.arrivals:
                        each.was_in_line |= each.caller.is_waiting
            await turns(80)

        self.run(happen())

    async def do(self, act: Act) -> None:
        """Let one thing happen."""
        match act.verb:
            case "wait" | "wait_batch":
                self.arrive(act, LONG_S * act.number / 5, is_batch=act.verb != "wait")
            case "ask" | "ask_batch":
                self.arrive(act, 0.0, is_batch=act.verb != "ask")
            case "add":
                await self.add([b"%d" % len(self.added)], partial=False)
            case "add_batch":
                fresh = [b"%d" % (len(self.added) + n) for n in range(act.number)]
                await self.add(fresh, partial=bool(act.turns % 2))
            case "cancel" | "go":
                in_line = [each for each in self.arrivals if each.has_stayed_in_vain]
                if in_line:
                    leaving = in_line[act.number % len(in_line)]
                    leaving.is_leaving = True
                    if act.verb == "cancel":
                        leaving.caller.cancel()
                    else:
                        leaving.caller.is_gone = True

    def arrive(self, act: Act, wait_s: float, *, is_batch: bool) -> None:
        """Let a caller come."""
        caller = Caller(
            self.broker,
            wait_s=wait_s,
            messages_max=act.number if is_batch else 0,
            slowness=act.slowness,
        )
        until_ns = self.clock.now_ns() + round(wait_s * 1e9)
        self.arrivals.append(Arrival(caller, until_ns))

    async def add(self, payloads: list[bytes], *, partial: bool) -> None:
        """Add messages, as far as there is room."""
        batch = [(b"", payload) for payload in payloads]
        room = LIMIT - len(self.queue.ready)
        try:
            metas = await self.broker.add_batch("jobs", batch, partial=partial)
        except QueueFull:
            assert room < len(payloads)
            return
        self.added += payloads[: len(metas)]

    @rule(seconds=st.sampled_from([0.1, 0.5, 3.0, 12.0, 60.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass, and those who have waited for long enough be told."""

        async def advance() -> None:
            self.clock.advance(seconds)
            await turns(40)

        self.run(advance())
        for each in self.arrivals:
            if each.until_ns <= self.clock.now_ns():
                assert not each.caller.is_waiting

    @precondition(lambda self: any(each.has_stayed_in_vain for each in self.arrivals))
    @rule()
    def end(self) -> None:
        """Begin the end of the server: nobody waits any more. Go on with another one."""

        async def stop() -> None:
            self.broker.stop_waiting()
            await turns(40)

        in_line = [each for each in self.arrivals if each.caller.is_waiting]
        self.run(stop())
        for each in in_line:
            assert isinstance(each.caller.error, ShuttingDown) or each.is_leaving
        self.everything_that_came_is_accounted_for()
        self.broker = self.run(broker_with_jobs(self.clock, limit=LIMIT))
        self.queue = self.broker.catalog.find("jobs")
        self.arrivals, self.added = [], []

    @rule()
    def delete(self) -> None:
        """Delete the queue while callers wait, and make another one of the name."""

        async def delete() -> None:
            await self.broker.delete_queue("jobs")
            await turns(40)

        in_line = [each for each in self.arrivals if each.caller.is_waiting]
        self.run(delete())
        for each in in_line:
            assert isinstance(each.caller.error, QueueNotFound) or each.is_leaving
        self.run(self.make_another())
        self.queue = self.broker.catalog.find("jobs")
        self.arrivals, self.added = [], []

    async def make_another(self) -> None:
        """Make a queue with the name of the one that was deleted."""
        await self.broker.new_queue(1, name="jobs", limit=LIMIT)

    @invariant()
    def nobody_waits_beside_a_message(self) -> None:
        """When everything that can go on has gone on, either is missing."""
        in_line = [each for each in self.arrivals if each.has_stayed_in_vain]
        assert not in_line or not self.queue.ready

    @invariant()
    def who_came_first_was_served_first(self) -> None:
        """Nobody who is still in line came before one who was served."""
        waits = [each.has_stayed_in_vain for each in self.arrivals]
        served = [bool(messages_of(each)) for each in self.arrivals]
        if True in waits:
            assert not any(served[waits.index(True) :])

    @invariant()
    def who_came_first_got_the_older_message(self) -> None:
        """Of those who had to wait, in order of arrival."""
        in_line = [each for each in self.arrivals if each.was_in_line]
        given = [int(payload) for each in in_line for payload in messages_of(each)]
        assert given == sorted(given)

    @invariant()
    def those_in_line_are_counted(self) -> None:
        """Those who have left without a word may be counted for another while."""
        staying = sum(each.has_stayed_in_vain for each in self.arrivals)
        leaving = sum(each.caller.is_waiting and each.is_leaving for each in self.arrivals)
        assert staying <= self.run(waiting(self.broker)) <= staying + leaving

    @invariant()
    def everything_that_came_is_accounted_for(self) -> None:
        """Each message was given to one caller, in order, or is still there, in order."""
        given = [payload for each in self.arrivals for payload in messages_of(each)]

        assert sorted(given, key=int) == self.added[: len(given)]
        for each in self.arrivals:
            assert messages_of(each) == sorted(messages_of(each), key=int)
        assert self.queue.consumed_total == len(given)
        assert len(self.queue.ready) == len(self.added) - len(given)

    def teardown(self) -> None:
        """Take out what is left."""
        try:
            left = self.run(self.broker.pop_batch("jobs", 1_000))
            assert list(map(payload_of, left)) == self.added[len(self.added) - len(left) :]
            self.run(self.close())
        finally:
            self.runner.close()

    async def close(self) -> None:
        """End everything."""
        await self.broker.close()
        await turns(40)
        assert not any(each.caller.is_waiting for each in self.arrivals)


def messages_of(arrival: Arrival) -> list[bytes]:
    """Return what a caller was given; one who leaves may have been given something before."""
    caller = arrival.caller
    if caller.is_waiting or caller.is_cancelled or caller.error:
        if not caller.is_waiting and not caller.is_cancelled:
            assert isinstance(caller.error, QueueEmpty | Gone | ShuttingDown)
        return []
    return caller.payloads


def test_lines_are_fair_and_lose_nothing() -> None:
    """Whoever comes and goes in whatever order, and whatever comes in between."""
    run_state_machine_as_test(Line, settings=settings(max_examples=60, stateful_step_count=20))
