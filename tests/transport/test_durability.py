"""How durable a change is: what requests ask for, which are refused, and what replies tell."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.engine.broker import Broker
from qmq.errors import DurabilityNotReached, QueueNotFound
from qmq.limits import MESSAGE_BYTES_MAX
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.message_service import MessageService
from qmq.values import Durability, Store
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.store.disk import Commits, Disks
from tests.store.power import Machine, running_machine
from tests.transport.service import Service, refusal_of

UNKNOWN, MEMORY, OS, FSYNC = list(Durability)[:4]

#: Methods whose replies tell how durable a change is, and that answer a request with one reply.
METHODS: Final = [
    name
    for name, method in pb.DESCRIPTOR.services_by_name["Q"].methods_by_name.items()
    if "durability" in method.output_type.fields_by_name
]


def request(method: str, lease_id: str) -> dict[str, Any]:
    """Return what a method is called with, about the queue "jobs" and a lease on its messages."""
    new = pb.NewMessage(payload=b"new")
    fields: dict[str, dict[str, Any]] = {
        "Add": {"message": new},
        "AddBatch": {"messages": [new, new]},
        "Pop": {},
        "PopBatch": {"messages_max": 2},
        "Lease": {"messages_max": 2},
        "Ack": {"lease_ids": [lease_id]},
        "Nack": {"lease_ids": [lease_id], "kind": pb.NackRequest.RELEASE},
        "Extend": {"lease_ids": [lease_id]},
    }
    if method == "Complete":
        return {
            "acks": [{"queue_id": "jobs", "lease_ids": [lease_id]}],
            "adds": [{"queue_id": "jobs", "messages": [new]}],
        }
    return {"queue_id": "jobs", **fields[method]}


async def with_jobs(service: Service, store: Store, durability_min: Durability = MEMORY) -> str:
    """Make the queue "jobs" with five messages, one of them on lease; return its lease id."""
    settings = pb.QueueSettings(durability_min=durability_min.name)
    await service.call("NewQueue", store=store.value, name="jobs", settings=settings)
    await service.add(*[b"%d" % n for n in range(5)])
    return str((await service.call("Lease", queue_id="jobs")).messages[0].lease_id)


each_method = pytest.mark.parametrize("method", METHODS)


def test_methods_are_those_that_change_messages() -> None:
    """Their requests can all ask for a level; those of a stream are the same ones."""
    of_one_queue = {"Add", "AddBatch", "Pop", "PopBatch", "Lease", "Ack", "Nack", "Extend"}

    assert {*METHODS} == {*of_one_queue, "Complete"}
    for method in METHODS:
        assert "durability" in getattr(pb, f"{method}Request").DESCRIPTOR.fields_by_name


@each_method
@pytest.mark.parametrize(
    ("store", "asked", "told"),
    [
        (Store.MEMORY, UNKNOWN, MEMORY),
        (Store.MEMORY, MEMORY, MEMORY),
        (Store.DISK, UNKNOWN, FSYNC),
        (Store.DISK, MEMORY, MEMORY),
        (Store.DISK, OS, OS),
        (Store.DISK, FSYNC, FSYNC),
    ],
    ids=lambda value: value.name,
)
async def test_reply_tells_how_durable_the_change_is(
    method: str, store: Store, asked: Durability, told: Durability
) -> None:
    """As was asked for, or as durable as the store can make it."""
    service = Service()
    lease_id = await with_jobs(service, store)

    reply = await service.call(method, durability=asked.value, **request(method, lease_id))

    assert Durability(reply.durability) is told
    assert not any(result.code for result in getattr(reply, "results", []))


@each_method
@pytest.mark.parametrize(
    ("asked", "told"), [(MEMORY, OS), (OS, OS), (FSYNC, FSYNC), (UNKNOWN, FSYNC)]
)
async def test_reply_tells_the_least_level_of_the_queue(
    method: str, asked: Durability, told: Durability
) -> None:
    """Where less was asked for."""
    service = Service()
    lease_id = await with_jobs(service, Store.DISK, durability_min=OS)

    reply = await service.call(method, durability=asked.value, **request(method, lease_id))

    assert Durability(reply.durability) is told


@each_method
@pytest.mark.parametrize("store", [Store.MEMORY, Store.DISK], ids=lambda store: store.name)
async def test_more_than_the_store_can_is_refused(method: str, store: Store) -> None:
    """Nothing is changed."""
    service = Service()
    lease_id = await with_jobs(service, store)
    before = await service.call("Stats", queue_id="jobs")
    most = {Store.MEMORY: MEMORY, Store.DISK: FSYNC}[store]

    for asked in Durability:
        if asked > most:
            with pytest.raises(DurabilityNotReached) as refusal:
                await service.call(method, durability=asked.value, **request(method, lease_id))
            assert refusal.value.metadata["asked"] == asked.name
            assert refusal.value.metadata["durability_max"] == most.name

    assert await service.call("Stats", queue_id="jobs") == before


@each_method
@pytest.mark.parametrize("number", [-1, 5, 2**31 - 1])
async def test_level_that_there_is_not_is_refused(method: str, number: int) -> None:
    """By the field's name; nothing is changed."""
    service = Service()
    lease_id = await with_jobs(service, Store.DISK)
    before = await service.call("Stats", queue_id="jobs")

    refusal = await refusal_of(service.call(method, durability=number, **request(method, lease_id)))

    assert (refusal.field, refusal.rule) == (
        "durability",
        f"must be MEMORY (1), OS (2), FSYNC (3) or REPLICATED (4), or left out; got {number}",
    )
    assert await service.call("Stats", queue_id="jobs") == before


@each_method
async def test_queue_that_is_not_there_is_what_is_wrong(method: str) -> None:
    """Whatever level is asked for: there is no store that could be too weak."""
    service = Service()
    lease_id = await with_jobs(service, Store.DISK)
    (queue,) = (await service.call("ListQueues")).queues
    await service.call("DeleteQueue", queue_id="jobs")

    for asked in Durability:
        fields = request(method, lease_id)
        for each in [fields, *fields.get("acks", []), *fields.get("adds", [])]:
            if "queue_id" in each:
                each["queue_id"] = queue.meta.id
        with pytest.raises(QueueNotFound):
            await service.call(method, durability=asked.value, **fields)


async def test_reply_without_content_tells_it_too() -> None:
    """That there is nothing, or that it is refused, lasts as long as a change does."""
    service = Service()
    lease_id = await with_jobs(service, Store.DISK)
    await service.call("UpdateQueue", queue_id="jobs", limit=5)
    messages = [pb.NewMessage()] * 9

    nothing = await service.call("AddBatch", queue_id="jobs")
    await service.call("Pop", queue_id="jobs")
    refused = await service.call(
        "AddBatch", queue_id="jobs", messages=messages, partial=True, durability=OS.value
    )
    await service.call("Purge", queue_id="jobs")
    lost = await service.call("Ack", queue_id="jobs", lease_ids=[lease_id], durability=OS.value)
    fields: dict[str, Any] = {"messages_max": 1, "durability": MEMORY.value}
    empty = [
        await service.call(method, queue_id="jobs", **fields) for method in ("PopBatch", "Lease")
    ]

    assert nothing == pb.AddBatchResponse(durability=pb.Durability.FSYNC)
    assert (len(refused.messages), refused.refused, refused.durability) == (1, 8, OS)
    assert [result.code for result in lost.results] == [9]
    assert lost.durability == OS
    assert empty == [
        pb.PopBatchResponse(durability=pb.Durability.MEMORY),
        pb.LeaseResponse(durability=pb.Durability.MEMORY),
    ]


@pytest.mark.parametrize("method", ["Pop", "PopBatch", "Lease"])
async def test_reply_to_who_waited_tells_it_too(method: str) -> None:
    """The level is what the queue demanded when the call came."""
    service = Service()
    await service.call("NewQueue", store=pb.Queue.DISK, name="jobs")
    fields: dict[str, Any] = {"wait": Duration(seconds=9), "durability": MEMORY.value}
    if method != "Pop":
        fields["messages_max"] = 1

    waiting = asyncio.ensure_future(service.call(method, queue_id="jobs", **fields))
    await service.clock.until_waiting()
    settings = pb.QueueSettings(durability_min=pb.Durability.OS)
    await service.call("UpdateQueue", queue_id="jobs", settings=settings)
    await service.add(b"1")

    assert (await waiting).durability == MEMORY


async def test_complete_tells_the_level_of_the_queue_that_wants_most() -> None:
    """Whether it takes from that queue or adds to it; it is one change."""
    service = Service()
    for name, durability_min in (("any", MEMORY), ("safe", FSYNC), ("safer", OS)):
        settings = pb.QueueSettings(durability_min=durability_min.name)
        await service.call("NewQueue", store=pb.Queue.DISK, name=name, settings=settings)

    async def told(source: str, *targets: str) -> Durability:
        await service.add(b"1", queue_id=source)
        (leased,) = (await service.call("Lease", queue_id=source)).messages
        reply = await service.call(
            "Complete",
            acks=[{"queue_id": source, "lease_ids": [leased.lease_id]}],
            adds=[{"queue_id": target, "messages": [pb.NewMessage()]} for target in targets],
            durability=MEMORY.value,
        )
        return Durability(reply.durability)

    assert await told("any", "any") is MEMORY
    assert await told("any", "any", "safer") is OS
    assert await told("safer", "any") is OS
    assert await told("any", "safe", "safer") is FSYNC
    assert await told("safe", "any") is FSYNC


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data directory."""
    return tmp_path / "data"


@pytest.fixture
def machine(data: Path) -> Iterator[Machine]:
    """Return the machine that the data is on."""
    with running_machine(data) as machine:
        yield machine


@pytest.fixture
async def commits() -> Commits:
    """Return the hand on the store's commits."""
    return Commits()


@pytest.fixture
async def on_disk(machine: Machine, data: Path, commits: Commits) -> AsyncIterator[Service]:
    """Return a service whose DISK queues are on that machine's disk."""
    assert machine.syncs == 0
    disks = Disks()
    yield Service(disks.open(data, commits))
    await disks.close()


@each_method
@pytest.mark.parametrize(
    ("asked", "is_answered_at_once", "is_synced"),
    [(MEMORY, True, False), (OS, False, False), (FSYNC, False, True), (UNKNOWN, False, True)],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_what_is_told_is_true(  # noqa: PLR0913 - Each matters.
    on_disk: Service,
    machine: Machine,
    commits: Commits,
    *,
    method: str,
    asked: Durability,
    is_answered_at_once: bool,
    is_synced: bool,
) -> None:
    """A reply that tells MEMORY waits for no commit, and only FSYNC for a disk."""
    lease_id = await with_jobs(on_disk, Store.DISK)
    before, syncs = commits.count, machine.syncs
    commits.hold()

    call = asyncio.ensure_future(
        on_disk.call(method, durability=asked.value, **request(method, lease_id))
    )
    await commits.reach(before + 1)
    await turns()
    was_answered = call.done()
    commits.release_all()
    reply = await call

    assert reply.durability == asked or (asked, reply.durability) == (UNKNOWN, FSYNC)
    assert was_answered is is_answered_at_once
    assert (machine.syncs > syncs) is is_synced


@pytest.mark.parametrize("excess", [1, 0, -1, -2])
async def test_level_has_room_in_the_largest_reply(excess: int) -> None:
    """Two messages of which the reply takes about as much as it may, level included."""
    broker = Broker({Store.MEMORY: MemoryStore()}, clock=ManualClock(), new_id=seeded_ids())
    await broker.new_queue(Store.MEMORY, name="jobs")
    service = MessageService(broker)

    async def is_gone() -> bool:
        return False

    async def popped() -> bytes:
        request = pb.PopBatchRequest(queue_id="jobs", messages_max=9).SerializeToString()
        return await service.pop_batch(request, is_gone, None)

    sizes = [2**21 + 1_000, 1_000_000]
    await broker.add_batch("jobs", [(b"", bytes(size)) for size in sizes])
    # A byte more of payload is a byte more of the reply, at these sizes.
    sizes[1] += MESSAGE_BYTES_MAX + excess - len(await popped())
    await broker.add_batch("jobs", [(b"", bytes(size)) for size in sizes])
    replies = [await popped(), await popped()]

    assert all(len(reply) <= MESSAGE_BYTES_MAX for reply in replies)
    found = [pb.PopBatchResponse.FromString(reply) for reply in replies]
    assert [len(each.payload) for reply in found for each in reply.messages] == sizes
    # Of the five bytes that are set aside for each message, the second needs four.
    assert len(found[0].messages) == (1 if excess >= 0 else 2)
    assert {reply.durability for reply in found} == {pb.Durability.MEMORY}
