"""Random histories of one server, compared with the naive model after every step.

Hypothesis prints the shortest history that goes wrong, as a program. The calls of one
step are made at once, before any of them is answered, so that they meet in
transactions, and some of them are cancelled. A server with a data directory also ends
now and then, cleanly or by a crash, and its clock may have been set back until it starts
again.

Three things watch over a history: the naive model, which says what each call answers and
what each queue holds; the invariants of the queues themselves; and a ledger of what
consumers were told, which knows no more than what none may ever see.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
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

from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.model.check import problems_of
from qmq.model.delivery import State
from qmq.model.index import seq_of
from qmq.model.queue import Queue
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, UNBOUNDED, QueueInfo, QueueSettings, Rate, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.store.asked import Some, new_settings
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
)
from tests.store.disk import Commits, Disks
from tests.store.ledger import Ledger
from tests.store.naive import NaiveBroker
from tests.store.naive_queue import (
    DELAYED,
    LEASED,
    READY,
    NaiveLease,
    NaiveMessage,
    NaiveQueue,
)

_T = TypeVar("_T")

#: How many times as many histories as usual are made; Q_TEST_HISTORIES=1000 for a night.
SCALE: Final = int(os.environ.get("Q_TEST_HISTORIES", "1"))

#: A lease that nobody has ever been given.
NOBODYS: Final = "000000000000002a-00000001"

tags = st.builds(Tag, st.sampled_from("ab"), st.sampled_from(["", "1"]))


_STATES: Final = {
    State.LEASED: LEASED,
    State.DELAYED: DELAYED,
    State.RETURNED: READY,
    State.EXPIRED: READY,
}


class MemoryServer(RuleBasedStateMachine):
    """A server without a data directory."""

    def __init__(self) -> None:
        super().__init__()
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
        #: Leases that were given, by the ids of their queues.
        self.known: dict[str, list[str]] = {}
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
        return self.runner.run(coroutine)

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
        match call.verb:
            case "lease" | "pop" | "pop_batch":
                is_of_use = NaiveQueue.line
            case "ack" | "nack" | "extend" | "complete":
                is_of_use = NaiveQueue.to_be_acked
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

    @initialize(
        most=st.sampled_from([1, 2, 3]),
        limit=st.sampled_from([-1, -1, 3, 5]),
        others=new_settings,
    )
    def make_queues(self, most: int, limit: int, others: Some) -> None:
        """Begin with a queue and one for its dead letters."""
        plain = Change(0, None, base_s=0, lease_s=10, limit=None, others={})
        jobs = Change(most, 0, base_s=2, lease_s=10, limit=None, others=others)
        for name, most_held, change in (("dead", -1, plain), ("work", limit, jobs)):
            self.new_queue(Store.UNKNOWN, most_held, name, [], change)

    @rule(
        kind=st.sampled_from([Store.UNKNOWN, Store.UNKNOWN, Store.MEMORY]),
        limit=st.sampled_from([-1, -1, 0, 1, 2, 3]),
        name=st.sampled_from(["", "", "jobs", "mail"]),
        given=st.lists(tags, max_size=3),
        change=st.one_of(st.none(), changes),
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
        assert {**_fields(result), "id": ""} == _fields(info)

    @rule(place=places, tag=tags, verb=st.sampled_from(["add_queue_tag", "delete_queue_tag"]))
    def change_tags(self, place: int, tag: Tag, verb: str) -> None:
        """Add or remove a tag."""
        reference = self.reference(place, False)  # noqa: FBT003

        result = self.try_to(getattr(self.broker, verb)(reference, tag))

        assert outcome(result) == outcome(getattr(self.naive, verb)(reference, tag))

    @rule(some=several(4, add=1, add_batch=2))
    def add(self, some: list[Call]) -> None:
        """Add messages."""
        self.make(some)

    @precondition(lambda self: self.any_queue(NaiveQueue.line))
    @rule(some=several(3, lease=1))
    def lease(self, some: list[Call]) -> None:
        """Lease messages."""
        self.make(some)

    @precondition(lambda self: self.any_queue(NaiveQueue.to_be_acked))
    @rule(some=several(4, ack=1, nack=3, extend=1, complete=1))
    def finish(self, some: list[Call]) -> None:
        """Do something about leases."""
        self.make(some)

    @rule(some=several(10, **anything))
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
            assert answer(each.call.verb, result) == outcome(right)
            for payload, id_ in ids_of(result, right):
                assert self.ids.setdefault(payload, id_) == id_
            if each.call.verb == "lease" and isinstance(right, list):
                _are_named(leased_messages(result), right)
            self.ledger.note(each, result, self.timer.now_ns())

    @rule(seconds=st.sampled_from([1e-9, 1, 1, 5, 20, -3_600, 3_600]))
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
            for clock in (self.clock, self.timer):
                clock.advance((moment - now_ns) / NS_PER_S)
            now_ns = moment
            assert self.timer.now_ns() == now_ns
            self.run(self.broker.stats("", 0, ""))
            self.naive.pass_time()
            self.ledger.pass_time(now_ns)

    @invariant()
    def queues_are_those_of_the_model(self) -> None:
        """All are listed, page by page too, and the counts that are told are right."""
        listed, _ = self.run(self.broker.list_queues(0, ""))
        paged: list[QueueInfo] = []
        token: str | None = None
        while token != "":
            page, token = self.run(self.broker.list_queues(2, token or ""))
            paged += page
        assert listed == paged == self.naive.infos()

        counts, _ = self.run(self.broker.stats("", 0, ""))
        assert [each.info for each in counts] == listed
        for told, naive in zip(counts, self.naive.queues, strict=True):
            assert {
                READY: told.ready,
                LEASED: told.leased,
                DELAYED: told.delayed,
            } == naive.counts()
            assert dict(told.consumers) == naive.holders()
            assert told.bytes == sum(each.size for each in naive.messages)
            assert told.dedup_ids == len(naive.ids)
            assert (told.expired_total, told.overflowed_total, told.deduplicated_total) == (
                naive.expired_total,
                naive.overflowed_total,
                naive.deduplicated_total,
            )

    @invariant()
    def messages_are_those_of_the_model(self) -> None:
        """Each is where it should be, in order, and every queue is well."""
        self.learn_numbers()
        for queue, naive in zip(self.broker.catalog, self.naive.queues, strict=True):
            assert problems_of(queue) == []
            assert [seq_of(entry) for entry in queue.ready] == [each.seq for each in naive.line()]
            for message in naive.messages:
                _is_like(queue, message)
            head = self.try_to(self.broker.peek(naive.info.id))
            assert answer("peek", head) == outcome(self.naive.peek(naive.info.id))

    def learn_numbers(self) -> None:
        """Learn the names of leases; messages have the numbers that they should have."""
        for queue, naive in zip(self.broker.catalog, self.naive.queues, strict=True):
            out = [
                seq
                for seq, delivery in queue.leases.by_seq.items()
                if delivery.state in (State.LEASED, State.DELAYED)
            ]
            seqs = sorted([*out, *(seq_of(entry) for entry in queue.ready)])
            assert seqs == [message.seq for message in naive.messages]
            for message in naive.messages:
                self.learn_lease(naive, message)

    def learn_lease(self, queue: NaiveQueue, message: NaiveMessage) -> None:
        """Learn the name of the latest lease on a message, also if nobody was told."""
        known = self.known.setdefault(queue.info.id, [])
        if message.fence and message.lease_id not in known:
            known.append(message.lease_id)

    def teardown(self) -> None:
        """Let everything end, take out what is left, and compare it."""
        try:
            self.advance_to(max(self.naive.moments | {self.timer.now_ns()}))
            self.messages_are_those_of_the_model()
            for id_ in [info.id for info in self.naive.infos()]:
                for server in (self.broker, self.naive):
                    self.result_of(server.resume(id_))
                    self.result_of(server.update_queue(id_, _handing_out_all))
                left = self.result_of(self.broker.pop_batch(id_, 1_000))
                assert answer("pop_batch", left) == outcome(self.naive.pop_batch(id_, 1_000))
                assert self.broker.catalog.find(id_).message_count == 0
        finally:
            self.run(self.close())
            self.runner.close()

    def result_of(self, result: object) -> object:
        """Return what a broker or the naive model returns."""
        return self.run(result) if asyncio.iscoroutine(result) else result

    async def close(self) -> None:
        """Leave nothing open."""
        await self.broker.close()


def _handing_out_all(known: QueueSettings) -> QueueSettings:
    """Return settings of a queue that hands out whatever is ready."""
    return replace(known, leased_max=0, rate=Rate())


def _fields(info: QueueInfo) -> dict[str, object]:
    return {name: getattr(info, name) for name in QueueInfo.__slots__}


def _are_named(leased: Sequence[pb.LeasedMessage], rights: Sequence[NaiveLease]) -> None:
    """Leases have the names of their messages and deliveries, as far as those are known."""
    for each, right in zip(leased, rights, strict=True):
        seq, _, fence = each.lease_id.partition("-")
        assert int(fence, 16) == right.fence
        assert right.message.seq in (0, int(seq, 16))


def _is_like(queue: Queue, message: NaiveMessage) -> None:
    """What a queue knows of a message is what the model does."""
    delivery = queue.leases.by_seq.get(message.seq)
    assert message.is_known == (delivery is not None)
    if delivery is None:
        assert (message.state, message.fence) == (READY, 0)
        return
    assert (delivery.priority, delivery.expires_ns) == (message.priority, message.expires_ns)
    assert (_STATES[delivery.state], delivery.fence, delivery.count) == (
        message.state,
        message.fence,
        message.count,
    )
    assert (delivery.state is State.EXPIRED) == (message.before is LEASED)
    if message.state is not READY:
        assert delivery.until_ns == message.until_ns


class DiskServer(MemoryServer):
    """A server with a data directory, which ends and starts again."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="q-histories-"))
        self.images = 0
        self.cache_bytes_max = 0
        self.disks = Disks()
        super().__init__()

    @property
    def data(self) -> Path:
        """The data directory: each crash makes the next one."""
        return self.root / str(self.images)

    async def open(self) -> Broker:
        """Start a server on what the one before has left."""
        self.commits = Commits()
        disk = self.disk = self.disks.open(
            self.data, self.commits, cache_bytes_max=self.cache_bytes_max
        )
        broker = Broker(
            {Store.MEMORY: MemoryStore(), Store.DISK: disk},
            clock=self.clock,
            timer=self.timer,
            chance=lambda: 0.0,
            new_id=self.new_id,
            queues=disk.queues,
            last_queue_number=disk.last_queue_number,
        )
        broker.start()
        return broker

    def last_numbers(self) -> dict[Store, int]:
        """Return the highest numbers of the stores."""
        return {Store.MEMORY: 0, Store.DISK: self.disk.number(0, 0) - 1}

    def default_store(self) -> Store:
        """Return where a queue lives when nobody says."""
        return Store.DISK

    @initialize(cache_bytes_max=st.sampled_from([0, 2_000, 1_000_000]))
    def choose_cache(self, cache_bytes_max: int) -> None:
        """Keep nothing, little or everything in memory."""
        self.cache_bytes_max = cache_bytes_max
        self.end_and_start_again()

    @rule()
    def end_and_start_again(self) -> None:
        """End cleanly."""
        self.run(self.broker.close())
        self.start_again()

    def start_again(self) -> None:
        """Start on what there is; what measures time is right by the clock that was set."""
        self.timer = ManualClock(self.clock.now_ns())
        self.naive.restart(self.timer)
        self.broker = self.run(self.open())
        self.naive.last = self.last_numbers()
        # With a clock that was set back, the number of a message that is gone may come again.
        self.known = {
            queue.info.id: [
                lease_id
                for lease_id in self.known.get(queue.info.id, ())
                if int(lease_id.partition("-")[0], 16) in {each.seq for each in queue.messages}
            ]
            for queue in self.naive.queues
        }

    @rule(in_flight=several(5, **anything))
    def crash(self, in_flight: list[Call]) -> None:
        """Go on with what was on disk when a transaction with unanswered calls came to commit."""
        image = self.root / str(self.images + 1)
        self.commits.copy_next(image)
        made = self.made_ready(in_flight)

        async def make() -> None:
            await asyncio.gather(
                *(each.to(self.broker) for each in made),
                self.broker.new_queue(Store.DISK, name="unanswered"),
                return_exceptions=True,
            )
            await self.broker.close()

        self.run(make())
        assert (image / "q.db").exists()
        shutil.rmtree(self.data)
        self.images += 1
        self.start_again()

    async def close(self) -> None:
        """Leave nothing open, whichever server went wrong."""
        await self.broker.close()
        await self.disks.close()

    def teardown(self) -> None:
        """Compare what is left, and remove the directories."""
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.root)


@pytest.mark.timeout(120 * SCALE)
def test_memory_server_is_the_naive_model_but_faster() -> None:
    """Whatever is called in whatever order."""
    run_state_machine_as_test(
        MemoryServer, settings=settings(max_examples=150 * SCALE, stateful_step_count=40)
    )


@pytest.mark.timeout(120 * SCALE)
def test_disk_server_is_the_naive_model_but_remembers() -> None:
    """Whatever is called in whatever order, whenever it ends."""
    run_state_machine_as_test(
        DiskServer, settings=settings(max_examples=120 * SCALE, stateful_step_count=30)
    )
