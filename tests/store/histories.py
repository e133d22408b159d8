"""Histories of one server, compared with the naive model after every step.

The calls of one step are made at once, before any of them is answered, so that they meet in
transactions, and some of them are cancelled. Who plays a history draws what happens.

Three things watch over it: the naive model, which says what each call answers and what each
queue holds; the invariants of the queues themselves; and a ledger of what consumers were told,
which knows no more than what none may ever see.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from qmq.descriptions import Fairness, QueueInfo, QueueSettings, Rate
from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.model.check import problems_of
from qmq.model.index import seq_of
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, UNBOUNDED, Store, Tag
from tests.leased import leased_messages
from tests.store import drawing
from tests.store.asked import Some, changed_settings, new_settings, other_fairness
from tests.store.calls import (
    NOWHERE,
    Call,
    Change,
    Ready,
    answer,
    anything,
    changes,
    ids_of,
    outcome,
    places,
    ready,
    several,
    told_of,
)
from tests.store.commands import check, command, first
from tests.store.ledger import Ledger
from tests.store.likeness import are_named, is_like, is_told_alike, lines_are_alike, same
from tests.store.naive import NaiveBroker
from tests.store.naive_message import NaiveMessage
from tests.store.naive_queue import NaiveQueue

_T = TypeVar("_T")

#: A lease that nobody has ever been given.
NOBODYS: Final = "000000000000002a-00000001"

#: How many of the leases of a queue are remembered: a call names one of the last ten.
_KNOWN_MAX: Final = 10

tags = drawing.builds(Tag, drawing.sampled_from("ab"), drawing.sampled_from(["", "1"]))


class MemoryHistory:
    """A server without a data directory."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        #: What people set, and what nobody sets.
        self.clock, self.timer = ManualClock(), ManualClock()
        self.new_id = seeded_ids()
        self.naive = NaiveBroker(self.clock, self.timer)
        self.ledger = Ledger()
        self.broker = self.run(self.open())
        self.last_deleted_id = "00000000-0000-4000-8000-000000000000"
        #: What messages are called, by their payloads.
        self.ids: dict[bytes, str] = {}
        #: The latest leases that were given, by the ids of their queues.
        self.known: dict[str, list[str]] = {}
        self.learned: set[str] = set()
        self.payloads = 0

    async def open(self) -> Broker:
        """Start a server."""
        broker = Broker(
            {Store.MEMORY: MemoryStore()},
            clock=self.clock,
            timer=self.timer,
            new_id=self.new_id,
            chance=lambda: 0.0,
        )
        broker.start()
        return broker

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end in the server's event loop."""
        # `Runner.run` would take some time to set a handler of signals, for each coroutine.
        return self.runner.get_loop().run_until_complete(coroutine)

    def try_to(self, coroutine: Coroutine[Any, Any, object]) -> object:
        """Return what a call returned, or the error of q that it raised."""
        try:
            return self.run(coroutine)
        except QError as error:
            return error

    def default_store(self) -> Store:
        """Return where a queue lives when nobody says."""
        return Store.MEMORY

    def reference(self, place: int, by_name: bool) -> str:  # noqa: FBT001 - Drawn at random.
        """Return the id or name of the queue in a place, or an id that no queue has."""
        queues = self.naive.queues
        if place == NOWHERE or not queues:
            return self.last_deleted_id
        info = queues[place % len(queues)].info
        return info.name if by_name and info.name else info.id

    def lease_ids(self, queue_id: str, numbers: Sequence[int]) -> list[str]:
        """Return leases of a queue, as `calls.lease_numbers` says."""
        queue = self.naive.find(queue_id)
        held = queue.to_be_acked() if isinstance(queue, NaiveQueue) else []
        known = self.known.get(queue_id) or [NOBODYS]
        others = [each for id_, ids in self.known.items() if id_ != queue_id for each in ids]
        pools = [
            [each.lease_id for each in held] or known,
            known,
            [NOBODYS, "nonsense", *others],
        ]
        found = []
        for number in numbers:
            pool, which = pools[number // 10], number % 10
            found.append(pool[-1 - which % len(pool)])
        return found

    def apt(self, call: Call) -> Call:
        """Let a call be about a queue for which it is of use, if there is one."""
        is_of_use: Callable[[NaiveQueue], Sequence[object]]
        match call.verb:
            case "lease" | "pop_batch":
                is_of_use = NaiveQueue.free
            case "pop":
                is_of_use = NaiveQueue.line
            case "ack" | "nack" | "extend" | "complete":
                is_of_use = NaiveQueue.to_be_acked
            case "pause_group" | "skip_group":
                is_of_use = partial(NaiveQueue.members, group_id=call.text)
            case "resume_group":
                is_of_use = partial(NaiveQueue.held, group_id=call.text)
            case _:
                return call
        queues = self.naive.queues
        if call.place == NOWHERE:
            return call
        places = [(call.place + at) % len(queues) for at in range(len(queues))]
        place = next((each for each in places if is_of_use(queues[each])), call.place)
        return replace(call, place=place)

    def any_queue(self, has: Callable[[NaiveQueue], Sequence[NaiveMessage]]) -> bool:
        """Whether any queue has messages of a kind."""
        return any(has(queue) for queue in self.naive.queues)

    def new_payload(self, size: int) -> bytes:
        """Return a payload that there is only once."""
        self.payloads += 1
        return b"%d" % self.payloads + bytes(size)

    def made_ready(self, some: Sequence[Call]) -> list[Ready]:
        """Say of calls what they are about, as things are."""
        now_ns = self.clock.now_ns()
        return [
            ready(self.apt(call), self.reference, self.lease_ids, self.new_payload, now_ns)
            for call in some
        ]

    @first(
        most=drawing.sampled_from([0, 1, 2, 3]),
        limit=drawing.sampled_from([-1, -1, 3, 5]),
        park_after=drawing.sampled_from([0, 1, 1, 2]),
        others=new_settings,
        changed=drawing.one_of(drawing.just({}), other_fairness, changed_settings),
    )
    def make_queues(
        self, most: int, limit: int, park_after: int, others: Some, changed: Some
    ) -> None:
        """Begin with a queue and one for its dead letters; it may change before anything comes."""
        others = {"park_after": park_after} | others
        plain = Change(0, None, base_s=0, lease_s=10, limit=None, others={})
        jobs = Change(most, 0, base_s=2, lease_s=10, limit=None, others=others)
        for name, most_held, change in (("dead", -1, plain), ("work", limit, jobs)):
            self.new_queue(Store.UNKNOWN, most_held, name, [], change)
        if changed:
            jobs = jobs._replace(others=changed)
            self.make([Call("update_queue", 1, by_name=False, is_cancelled=False, change=jobs)])

    @command(
        weight=3,
        kind=drawing.sampled_from([Store.UNKNOWN, Store.UNKNOWN, Store.MEMORY]),
        limit=drawing.sampled_from([-1, -1, 0, 1, 2, 3]),
        name=drawing.sampled_from(["", "", "jobs", "mail"]),
        given=drawing.lists(tags, max_size=3),
        change=drawing.one_of(drawing.just(None), changes),
    )
    def new_queue(
        self, kind: Store, limit: int, name: str, given: list[Tag], change: Change | None
    ) -> None:
        """Create a queue."""
        how = QueueSettings()
        if change:
            dead = change.dead_letters
            how = change.settings(how, "" if dead is None else self.reference(dead, False))  # noqa: FBT003
        info = QueueInfo(
            id="",
            created_ns=self.clock.now_ns(),
            store=kind or self.default_store(),
            limit=limit or UNBOUNDED,
            name=name,
            tags=tuple(dict.fromkeys(given)),
            settings=how,
        )

        result = self.try_to(
            self.broker.new_queue(kind, limit=limit, name=name, tags=given, settings=how)
        )

        if error := self.naive.name_error(name) or self.naive.settings_error(info, how):
            assert outcome(result) == outcome(error)
            return
        assert isinstance(result, QueueInfo)
        assert result.id not in ["", *(each.id for each in self.naive.infos())]
        self.naive.new_queue(result)
        assert {**_fields(result), "id": "", "shard": 0} == _fields(info)

    @command(
        place=places, tag=tags, verb=drawing.sampled_from(["add_queue_tag", "delete_queue_tag"])
    )
    def change_tags(self, place: int, tag: Tag, verb: str) -> None:
        """Add or remove a tag."""
        reference = self.reference(place, False)  # noqa: FBT003

        result = self.try_to(getattr(self.broker, verb)(reference, tag))

        assert outcome(result) == outcome(getattr(self.naive, verb)(reference, tag))

    @command(some=several(4, add=1, add_batch=2))
    def add(self, some: list[Call]) -> None:
        """Add messages."""
        self.make(some)

    @command(when=lambda self: self.any_queue(NaiveQueue.line), some=several(3, lease=1))
    def lease(self, some: list[Call]) -> None:
        """Lease messages."""
        self.make(some)

    @command(
        when=lambda self: self.any_queue(NaiveQueue.to_be_acked),
        some=several(4, ack=1, nack=3, extend=1, complete=1),
    )
    def finish(self, some: list[Call]) -> None:
        """Do something about leases."""
        self.make(some)

    @command(
        weight=4,
        when=lambda self: self.any_queue(NaiveQueue.all),
        place=places,
        to_place=drawing.one_of(drawing.just(None), places),
        numbers=drawing.lists(drawing.integers(0, 39), min_size=1, max_size=4),
        leased=drawing.booleans(),
        moves=drawing.booleans(),
    )
    def pick(
        self,
        place: int,
        to_place: int | None,
        numbers: Sequence[int],
        *,
        leased: bool,
        moves: bool,
    ) -> None:
        """Delete or move messages by their ids: first some that are there, then any at all."""
        places = [(max(place, 0) + at) % len(self.naive.queues) for at in range(9)]
        queue_id = next(
            (self.reference(each, False) for each in places if self.naive.queues[each].messages),  # noqa: FBT003
            self.last_deleted_id,
        )
        queue = self.naive.find(queue_id)
        there = [each.payload for each in queue.messages] if isinstance(queue, NaiveQueue) else []
        pools = [[each for each in some if each in self.ids] for some in (there, self.ids)]
        if not all(pools):
            return
        chosen = [(pools[number // 30], number % 30) for number in numbers]
        payloads = [pool[which % len(pool)] for pool, which in chosen]
        ids = [self.ids[each] for each in payloads]
        picking, naive = self.broker.picking, self.naive
        right: object
        if moves:
            to = "" if to_place is None else self.reference(to_place, False)  # noqa: FBT003
            result = self.try_to(picking.move(queue_id, ids, to, leased=leased))
            right = naive.move_messages(queue_id, payloads, to, leased=leased)
        else:
            result = self.try_to(picking.delete(queue_id, ids, leased=leased))
            right = naive.delete_messages(queue_id, payloads, leased=leased)
        self.learn_numbers()
        if isinstance(right, dict):
            right = [right[each] for each in payloads]
            self.ledger.note_picked(payloads, right)
        same(told_of(result), told_of(right))

    @command(some=several(10, **anything))
    def call(self, some: list[Call]) -> None:
        """Do anything."""
        self.make(some)

    def make(self, some: Sequence[Call]) -> None:
        """Make calls at once, and cancel some of them before they are answered."""
        made = self.made_ready(some)

        async def answered() -> list[Any]:
            tasks = [asyncio.ensure_future(each.to(self.broker)) for each in made]
            await asyncio.sleep(0)
            for task, call in zip(tasks, some, strict=True):
                if call.is_cancelled:
                    task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = self.run(answered())

        rights = [each.to(self.naive) for each in made]
        self.learn_numbers()
        for each, result, right in zip(made, results, rights, strict=True):
            if each.call.verb == "delete_queue" and right is None:
                self.last_deleted_id = each.queue_id
            if isinstance(result, asyncio.CancelledError):
                self.ledger.note_unanswered(each)
                continue
            same(answer(each.call.verb, result), outcome(right))
            for payload, id_ in ids_of(result, right):
                same(id_, self.ids.setdefault(payload, id_))
            if each.call.verb == "lease" and isinstance(right, list):
                are_named(leased_messages(result), right)
            self.ledger.note(each, result, self.timer.now_ns())

    @command(seconds=drawing.sampled_from([1e-9, 1, 1, 5, 20, -3_600, 3_600]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass, or set the clock that people set, back or forwards."""
        if abs(seconds) == 3_600:
            self.clock.advance(seconds)
        else:
            self.advance_to(self.timer.now_ns() + round(seconds * NS_PER_S))

    def advance_to(self, until_ns: int) -> None:
        """Let time pass, from one moment at which something may end to the next.

        What ends in one step ends queue by queue: the order among them is nobody's business.
        """
        now_ns = self.timer.now_ns()
        while now_ns < until_ns:
            moment = min(each for each in (*self.naive.moments, until_ns) if each > now_ns)
            moment = min(moment, until_ns)
            self.run(self.look_later((moment - now_ns) / NS_PER_S))
            now_ns = moment
            assert self.timer.now_ns() == now_ns
            self.naive.pass_time()
            self.ledger.pass_time(now_ns)
            self.naive.moments = {each for each in self.naive.moments if each > now_ns}

    @check
    def queues_are_those_of_the_model(self) -> None:
        """What a server tells of its queues is what the model does."""
        self.run(is_told_alike(self.broker, self.naive))

    @check
    def messages_are_those_of_the_model(self) -> None:
        """Each is where it should be, in order, and every queue is well."""
        self.learn_numbers()
        for queue, naive in zip(self.broker.catalog, self.naive.queues, strict=True):
            same(problems_of(queue), [])
            lines_are_alike(queue, naive)
            for message in naive.messages:
                is_like(queue, message)

    async def look_later(self, seconds: float) -> None:
        """Let so many seconds pass, and ask for all queues before any alarm rings.

        Otherwise the order in which queues bury messages at one moment were that of the alarms.
        """
        for clock in (self.clock, self.timer):
            clock.advance(seconds)
        await self.broker.stats("", 0, "")

    def learn_numbers(self) -> None:
        """Learn the names of leases; messages have the numbers that they should have."""
        for queue, naive in zip(self.broker.catalog, self.naive.queues, strict=True):
            seqs = sorted([*queue.leases.by_seq, *map(seq_of, queue.ready.fresh)])
            same(seqs, [message.seq for message in naive.messages])
            for message in naive.messages:
                self.learn_lease(naive, message)

    def learn_lease(self, queue: NaiveQueue, message: NaiveMessage) -> None:
        """Learn the name of the latest lease on a message, also if nobody was told."""
        name = f"{queue.info.id} {message.lease_id}"
        if message.fence and name not in self.learned:
            self.learned.add(name)
            known = self.known.setdefault(queue.info.id, [])
            known.append(message.lease_id)
            del known[:-_KNOWN_MAX]

    def end(self) -> None:
        """Let everything end, take out what is left, and compare it."""
        try:
            self.advance_to(max(self.naive.moments | {self.timer.now_ns()}))
            self.queues_are_those_of_the_model()
            self.messages_are_those_of_the_model()
            for id_ in [info.id for info in self.naive.infos()]:
                for server in (self.broker, self.naive):
                    self.result_of(server.resume(id_))
                    self.result_of(server.update_queue(id_, _handing_out_all))
                for group in self.queue(id_).groups():
                    self.run(self.broker.grouping.resume_group(id_, group.id))
                    self.naive.resume_group(id_, group.id)
                left = self.result_of(self.broker.pop_batch(id_, 1_000))
                same(answer("pop_batch", left), outcome(self.naive.pop_batch(id_, 1_000)))
                assert self.broker.catalog.find(id_).message_count == 0
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Leave nothing open, whatever went wrong."""
        self.run(self.close())
        self.runner.close()

    def queue(self, id_: str) -> NaiveQueue:
        """Return a queue that there is."""
        queue = self.naive.find(id_)
        assert isinstance(queue, NaiveQueue)
        return queue

    def result_of(self, result: object) -> object:
        """Return what a broker or the naive model returns."""
        return self.run(result) if asyncio.iscoroutine(result) else result

    async def close(self) -> None:
        """End the server."""
        await self.broker.close()


def _handing_out_all(known: QueueSettings) -> QueueSettings:
    """Return settings of a queue that hands out whatever is ready."""
    return replace(known, leased_max=0, rate=Rate(), fairness=Fairness())


def _fields(info: QueueInfo) -> dict[str, object]:
    return {name: getattr(info, name) for name in QueueInfo.__slots__}
