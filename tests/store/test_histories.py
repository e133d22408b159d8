"""Random histories of one server, compared with the naive model after every step.

Hypothesis prints the shortest history that goes wrong, as a program. The calls of one
step are made at once, before any of them is answered, so that they meet in
transactions, and some of them are cancelled. A server with a data directory also ends
now and then, cleanly or by a crash.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from qmq.engine.broker import Broker
from qmq.errors import QError
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import UNBOUNDED, QueueInfo, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.store.disk import Commits, Disks
from tests.store.naive import NaiveBroker

_T = TypeVar("_T")

tags = st.builds(Tag, st.sampled_from("ab"), st.sampled_from(["", "1"]))
#: Which queue a call is about: a place in the list of all, or beyond it for none.
places = st.integers(0, 4)
payloads = st.one_of(st.binary(max_size=3), st.sampled_from([bytes(300), bytes(5_000)]))


class Call(NamedTuple):
    """One call to a queue."""

    verb: str
    place: int
    by_name: bool
    payloads: list[bytes]
    partial: bool
    is_cancelled: bool

    def make(self, server: Broker | NaiveBroker, reference: str) -> Any:  # noqa: ANN401
        """Call a broker or the naive model, and return what it returns."""
        method = getattr(server, self.verb)
        match self.verb:
            case "add":
                return method(reference, self.payloads[0])
            case "add_batch" if isinstance(server, Broker):
                batch = [(b"", payload) for payload in self.payloads]
                return method(reference, batch, partial=self.partial)
            case "add_batch":
                return method(reference, self.payloads, partial=self.partial)
            case "pop_batch":
                return method(reference, len(self.payloads))
            case _:
                return method(reference)


calls = st.builds(
    Call,
    verb=st.sampled_from(
        [
            *("add", "add", "add", "pop", "pop", "peek", "delete_queue"),
            *("add_batch", "add_batch", "pop_batch"),
        ]
    ),
    place=places,
    by_name=st.booleans(),
    payloads=st.lists(payloads, min_size=1, max_size=5),
    partial=st.booleans(),
    is_cancelled=st.sampled_from([False, False, False, True]),
)


def outcome(result: object) -> object:
    """Reduce what a call returned or raised to what the naive model can say of it."""
    if isinstance(result, QError):
        return type(result), result.message
    if isinstance(result, BaseException):
        raise result
    return result


def payload_of(result: object) -> object:
    """Reduce a message to its payload, and messages to theirs."""
    match result:
        case bytes():
            return pb.Message.FromString(result).payload
        case list():
            return [payload_of(each) for each in result]
        case _:
            return result


def shown(verb: str, result: object) -> object:
    """Reduce what a broker returned or raised to what the naive model can say of it."""
    if verb == "add_batch" and isinstance(result, list):
        return len(result)
    return payload_of(outcome(result))


def expected(verb: str, result: object) -> object:
    """The same of what the naive model returned."""
    if verb == "add_batch" and isinstance(result, list):
        return len(result)
    return outcome(result)


class MemoryServer(RuleBasedStateMachine):
    """A server without a data directory."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.new_id = seeded_ids()
        self.naive = NaiveBroker()
        self.broker = self.run(self.open())
        self.last_deleted_id = "00000000-0000-4000-8000-000000000000"

    async def open(self) -> Broker:
        """Start a server."""
        return Broker({Store.MEMORY: MemoryStore()}, clock=self.clock, new_id=self.new_id)

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

    def reference(self, place: int, *, by_name: bool) -> str:
        """Return the id or name of the queue in a place, or an id that no queue has."""
        if place >= len(self.naive.queues):
            return self.last_deleted_id
        info = self.naive.queues[place].info
        return info.name if by_name and info.name else info.id

    def start(self, some: Sequence[Call]) -> list[asyncio.Task[Any]]:
        """Make calls, all at once."""
        references = [self.reference(call.place, by_name=call.by_name) for call in some]
        return [
            asyncio.ensure_future(call.make(self.broker, reference))
            for call, reference in zip(some, references, strict=True)
        ]

    @rule(
        kind=st.sampled_from([Store.UNKNOWN, Store.MEMORY]),
        limit=st.sampled_from([-1, -1, 0, 1, 2, 3]),
        name=st.sampled_from(["", "", "jobs", "mail"]),
        given=st.lists(tags, max_size=3),
    )
    def new_queue(self, kind: Store, limit: int, name: str, given: list[Tag]) -> None:
        """Create a queue."""
        result = self.try_to(self.broker.new_queue(kind, limit=limit, name=name, tags=given))

        if error := self.naive.name_error(name):
            assert outcome(result) == outcome(error)
            return
        assert isinstance(result, QueueInfo)
        assert result == QueueInfo(
            id=result.id,
            created_ns=self.clock.now_ns(),
            store=kind or self.default_store(),
            limit=limit or UNBOUNDED,
            name=name,
            tags=tuple(dict.fromkeys(given)),
        )
        assert result.id not in [info.id for info in self.naive.infos()]
        self.naive.new_queue(result)

    @rule(place=places, tag=tags, verb=st.sampled_from(["add_queue_tag", "delete_queue_tag"]))
    def change_tags(self, place: int, tag: Tag, verb: str) -> None:
        """Add or remove a tag."""
        reference = self.reference(place, by_name=False)

        result = self.try_to(getattr(self.broker, verb)(reference, tag))

        assert outcome(result) == outcome(getattr(self.naive, verb)(reference, tag))

    @rule(some=st.lists(calls, min_size=1, max_size=12))
    def call(self, some: list[Call]) -> None:
        """Make calls at once, and cancel some of them before they are answered."""
        references = [self.reference(call.place, by_name=call.by_name) for call in some]

        async def make() -> list[Any]:
            tasks = self.start(some)
            await asyncio.sleep(0)
            for task, call in zip(tasks, some, strict=True):
                if call.is_cancelled:
                    task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = self.run(make())

        for call, reference, result in zip(some, references, results, strict=True):
            right = call.make(self.naive, reference)
            if call.verb == "delete_queue" and right is None and len(reference) > 4:
                self.last_deleted_id = reference
            if not isinstance(result, asyncio.CancelledError):
                assert shown(call.verb, result) == expected(call.verb, right)

    @rule(seconds=st.sampled_from([1e-9, 1.0, -3600.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass, or the clock be set back."""
        self.clock.advance(seconds)

    @invariant()
    def queues_are_those_of_the_model(self) -> None:
        """All are listed, page by page too, and each holds as much and has the same head.

        So say the counts that are told, too.
        """
        listed, _ = self.run(self.broker.list_queues(0, ""))
        paged: list[QueueInfo] = []
        token: str | None = None
        while token != "":
            page, token = self.run(self.broker.list_queues(2, token or ""))
            paged += page
        assert listed == paged == self.naive.infos()

        counts, _ = self.run(self.broker.stats("", 0, ""))
        assert [each.info for each in counts] == listed
        assert [each.ready for each in counts] == [len(q.payloads) for q in self.naive.queues]
        for queue, naive in zip(self.broker.catalog, self.naive.queues, strict=True):
            assert len(queue.ready) == len(naive.payloads)
            assert list(queue.ready) == sorted(set(queue.ready))
            head = self.try_to(self.broker.peek(naive.info.id))
            assert payload_of(outcome(head)) == outcome(self.naive.peek(naive.info.id))

    def teardown(self) -> None:
        """Take out everything that is left, and compare it."""
        try:
            for naive in self.naive.queues:
                left = [self.run(self.broker.pop(naive.info.id)) for _ in naive.payloads]
                assert [payload_of(message) for message in left] == naive.payloads
        finally:
            self.run(self.close())
            self.runner.close()

    async def close(self) -> None:
        """Leave nothing open."""
        await self.broker.close()


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
        disk = self.disks.open(self.data, self.commits, cache_bytes_max=self.cache_bytes_max)
        return Broker(
            {Store.MEMORY: MemoryStore(), Store.DISK: disk},
            clock=self.clock,
            new_id=self.new_id,
            queues=disk.queues,
            last_queue_number=disk.last_queue_number,
        )

    def default_store(self) -> Store:
        """Return where a queue lives when nobody says."""
        return Store.DISK

    @initialize(cache_bytes_max=st.sampled_from([0, 500, 1_000_000]))
    def choose_cache(self, cache_bytes_max: int) -> None:
        """Keep nothing, little or everything in memory."""
        self.cache_bytes_max = cache_bytes_max
        self.end_and_start_again()

    @rule()
    def end_and_start_again(self) -> None:
        """End cleanly."""
        self.run(self.broker.close())
        self.naive.restart()
        self.broker = self.run(self.open())

    @rule(in_flight=st.lists(calls, max_size=5))
    def crash(self, in_flight: list[Call]) -> None:
        """Go on with what was on disk when a transaction with unanswered calls came to commit."""
        image = self.root / str(self.images + 1)
        self.commits.copy_next(image)

        async def make() -> None:
            await asyncio.gather(
                *self.start(in_flight),
                self.broker.new_queue(Store.DISK, name="unanswered"),
                return_exceptions=True,
            )
            await self.broker.close()

        self.run(make())
        assert (image / "q.db").exists()
        shutil.rmtree(self.data)
        self.images += 1
        self.naive.restart()
        self.broker = self.run(self.open())

    async def close(self) -> None:
        """Leave nothing open, whichever server went wrong."""
        await self.disks.close()

    def teardown(self) -> None:
        """Compare what is left, and remove the directories."""
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.root)


def test_memory_server_is_the_naive_model_but_faster() -> None:
    """Whatever is called in whatever order."""
    run_state_machine_as_test(MemoryServer, settings=settings(stateful_step_count=40))


def test_disk_server_is_the_naive_model_but_remembers() -> None:
    """Whatever is called in whatever order, whenever it ends."""
    run_state_machine_as_test(
        DiskServer, settings=settings(max_examples=80, stateful_step_count=30)
    )
