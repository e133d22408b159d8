"""What the broker decides itself, whichever store a queue lives in."""

import asyncio
from pathlib import Path

import pytest

from qmq.descriptions import QueueInfo
from qmq.engine.broker import Broker
from qmq.envelope import HANDED_OUT_OVERHEAD_BYTES, reply_with
from qmq.errors import (
    InvalidArgument,
    LimitReached,
    QError,
    QueueNotFound,
    ShuttingDown,
    StoreNotConfigured,
    TooLarge,
    UnknownStore,
)
from qmq.limits import MESSAGE_BYTES_MAX, PAGE_SIZE_MAX, QUEUES_MAX
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store, Tag
from tests.held import MadeUp


def memory_broker(
    *, queues_max: int = QUEUES_MAX, message_bytes_max: int = MESSAGE_BYTES_MAX
) -> Broker:
    """Make a broker without a data directory."""
    return Broker(
        {Store.MEMORY: MemoryStore()},
        clock=ManualClock(),
        new_id=seeded_ids(),
        queues_max=queues_max,
        message_bytes_max=message_bytes_max,
    )


async def test_default_store_is_disk_where_there_is_one(tmp_path: Path) -> None:
    """Who names no store gets the most durable one."""
    broker = Broker(
        {Store.MEMORY: MemoryStore(), Store.DISK: DiskStore.open(tmp_path)},
        clock=ManualClock(),
        new_id=seeded_ids(),
    )

    try:
        info = await broker.new_queue(Store.UNKNOWN)
    finally:
        await broker.close()

    assert info.store is Store.DISK


async def test_default_store_is_memory_without_a_data_directory() -> None:
    """A queue's store is always a real one."""
    info = await memory_broker().new_queue(Store.UNKNOWN)

    assert info.store is Store.MEMORY


@pytest.mark.parametrize("number", [4, 99, -1])
async def test_unknown_store_is_refused(number: int) -> None:
    """The error says which ones there are."""
    broker = memory_broker()

    with pytest.raises(UnknownStore) as refusal:
        await broker.new_queue(number)

    assert refusal.value.message == (
        f"unknown store type {number}; the stores are MEMORY (1), DISK (2) and CLUSTER (3)"
    )
    assert len(broker.catalog) == 0


async def test_disk_needs_a_data_directory() -> None:
    """The error says what to do about it."""
    broker = memory_broker()

    with pytest.raises(StoreNotConfigured, match=r"start q with --data DIR, or use MEMORY$"):
        await broker.new_queue(Store.DISK)

    assert len(broker.catalog) == 0


async def test_limit_below_minus_one_is_refused() -> None:
    """The error names field, rule and value."""
    broker = memory_broker()

    with pytest.raises(
        InvalidArgument, match=r"^limit: must be -1 or 0 \(no limit\) or more; got -2$"
    ):
        await broker.new_queue(Store.MEMORY, limit=-2)

    assert len(broker.catalog) == 0


async def test_bad_name_makes_no_queue() -> None:
    """A name is checked before anything is made."""
    broker = memory_broker()

    with pytest.raises(InvalidArgument, match=r"^name: "):
        await broker.new_queue(Store.MEMORY, name="a/b")

    assert len(broker.catalog) == 0


async def test_number_of_queues_is_bounded() -> None:
    """One more than allowed is refused, until another is deleted."""
    broker = memory_broker(queues_max=2)
    first = await broker.new_queue(Store.MEMORY)
    await broker.new_queue(Store.MEMORY)

    with pytest.raises(LimitReached, match="queues_max of 2"):
        await broker.new_queue(Store.MEMORY)
    await broker.delete_queue(first.id)

    await broker.new_queue(Store.MEMORY)


@pytest.mark.parametrize("tags", [b"", b"\x1a\x06\n\x01k\x12\x01v"])
async def test_largest_message_leaves_room_for_what_a_lease_adds(tags: bytes) -> None:
    """To the byte; one more is refused, since who leases it could not get it."""
    broker = memory_broker()
    await broker.new_queue(Store.MEMORY, name="jobs")
    overhead = len(await broker.add("jobs", b"x" * 2**21, tags)) - 2**21
    largest = MESSAGE_BYTES_MAX - HANDED_OUT_OVERHEAD_BYTES - overhead

    added = await broker.add("jobs", bytes(largest), tags)
    with pytest.raises(TooLarge) as refusal:
        await broker.add("jobs", bytes(largest + 1), tags)
    await broker.pop("jobs")

    assert len(added) == MESSAGE_BYTES_MAX - HANDED_OUT_OVERHEAD_BYTES
    assert len(reply_with(added)) < MESSAGE_BYTES_MAX
    assert await broker.pop("jobs") == added
    assert f"more than message_bytes_max of {MESSAGE_BYTES_MAX}" in refusal.value.message


async def test_too_large_message_changes_nothing() -> None:
    """Neither the queue, nor its counts, nor what fits."""
    broker = memory_broker(message_bytes_max=300)
    info = await broker.new_queue(Store.MEMORY, limit=1)

    with pytest.raises(TooLarge) as refusal:
        await broker.add(info.id, bytes(100))
    await broker.add(info.id, b"fits")

    queue = broker.catalog.find(info.id)
    assert (len(queue.ready), queue.enqueued_total, queue.full_total) == (1, 1, 0)
    assert refusal.value.metadata["limit"] == "message_bytes_max"
    assert refusal.value.metadata["value"] == "300"
    assert int(refusal.value.metadata["current"]) > 300


async def test_pages_go_on_where_the_last_one_ended() -> None:
    """Also when the queue that the token stands for has been deleted meanwhile."""
    broker = memory_broker()
    infos = [await broker.new_queue(Store.MEMORY) for _ in range(5)]

    first, token = await broker.list_queues(2, "")
    await broker.delete_queue(infos[1].id)
    await broker.delete_queue(infos[2].id)
    second, end = await broker.list_queues(2, token)

    assert first == infos[:2]
    assert second == infos[3:]
    assert end == ""


async def test_queues_are_selected_by_their_tags() -> None:
    """As they are now; an empty selector selects all."""
    broker = memory_broker()
    mail, stage = Tag("team", "mail"), Tag("env", "stage")
    infos = [
        await broker.new_queue(Store.MEMORY, tags=tags)
        for tags in ((mail,), (mail, stage), (), (stage,))
    ]

    async def selected(selector: str) -> list[QueueInfo]:
        return (await broker.list_queues(0, "", selector))[0]

    assert await selected("team=mail") == infos[:2]
    assert await selected("!team") == infos[2:]
    assert await selected("env in (stage,prod),team!=mail") == [infos[3]]
    assert await selected("") == infos
    await broker.add_queue_tag(infos[2].id, mail)
    assert [info.id for info in await selected("team=mail")] == [info.id for info in infos[:3]]
    await broker.delete_queue(infos[0].id)
    assert [info.id for info in await selected("team=mail")] == [info.id for info in infos[1:3]]


@pytest.mark.parametrize("page_size", [0, 1, 2, 3, 4, 999])
async def test_pages_of_selected_queues_are_full(page_size: int) -> None:
    """Also where those that are looked at are more than a page; the last page has no token."""
    broker = memory_broker()
    queues_looked_at = 2 * PAGE_SIZE_MAX + 10
    every = 700
    expected = []
    for n in range(queues_looked_at):
        tags = (Tag("n", "every"),) if n % every == 0 else ()
        info = await broker.new_queue(Store.MEMORY, tags=tags)
        if tags:
            expected.append(info)

    found, token = await broker.list_queues(page_size, "", "n")
    pages = [found]
    while token:
        found, token = await broker.list_queues(page_size, token, "n")
        pages.append(found)

    assert [info for found in pages for info in found] == expected
    assert all(len(found) == page_size for found in pages[:-1])
    assert pages[-1]


async def test_others_have_their_turn_while_queues_are_selected() -> None:
    """What is added behind those that were looked at is found; so is what is deleted not."""
    broker = memory_broker()
    infos = [await broker.new_queue(Store.MEMORY, tags=(Tag("k", "v"),)) for _ in range(1_001)]

    listing = asyncio.create_task(broker.list_queues(0, "", "k=v"))
    await asyncio.sleep(0)
    await broker.delete_queue(infos[-1].id)
    last = await broker.new_queue(Store.MEMORY, tags=(Tag("k", "v"),))

    assert await listing == ([*infos[:-1], last], "")


@pytest.mark.parametrize(
    ("page_size", "token", "selector", "field"),
    [(0, "", "a=", "selector"), (0, "", " ", "selector"), (1_001, "", "a", "page_size"),
     (-1, "", "a", "page_size"), (0, "x", "a", "page_token")],
)  # fmt: skip
async def test_selection_that_breaks_a_rule_is_refused(
    page_size: int, token: str, selector: str, field: str
) -> None:
    """By the name of the field."""
    with pytest.raises(InvalidArgument) as refusal:
        await memory_broker().list_queues(page_size, token, selector)

    assert refusal.value.field == field


@pytest.mark.parametrize("token", ["x", "-1", "1.0", " 1", "1\n", "\u0661", "9" * 19, "1e3"])
async def test_foreign_page_token_is_refused(token: str) -> None:
    """It says where a token comes from."""
    with pytest.raises(InvalidArgument) as refusal:
        await memory_broker().list_queues(10, token)

    assert refusal.value.message == ("page_token: must be a next_page_token from an earlier reply")


@pytest.mark.parametrize("size", [-1, PAGE_SIZE_MAX + 1])
async def test_page_size_is_bounded(size: int) -> None:
    """The error names the bounds."""
    with pytest.raises(InvalidArgument, match=r"^page_size: must be 0 "):
        await memory_broker().list_queues(size, "")


async def test_every_call_on_an_unknown_queue_is_refused() -> None:
    """By the id that was asked for."""
    broker = memory_broker()
    nobody = "00000000-0000-0000-0000-000000000000"

    for call in (
        broker.get_queue(nobody),
        broker.delete_queue(nobody),
        broker.add_queue_tag(nobody, Tag("a", "1")),
        broker.delete_queue_tag(nobody, Tag("a", "1")),
        broker.add(nobody, b"x"),
        broker.pop(nobody),
        broker.pop(nobody, wait_s=60),
        broker.peek(nobody),
        broker.add_batch(nobody, [(b"", b"x")]),
        broker.pop_batch(nobody, 9),
        broker.stats(nobody, 0, ""),
    ):
        with pytest.raises(QueueNotFound, match=f"^cannot find queue with id {nobody}$"):
            await call


async def test_queues_that_stores_hold_are_served_and_numbers_go_on() -> None:
    """A new queue gets a number that no queue of a store ever had."""
    store = MemoryStore()
    before = Broker({Store.MEMORY: store}, clock=ManualClock(), new_id=seeded_ids(1))
    info = await before.new_queue(Store.MEMORY, name="jobs")
    added = await before.add("jobs", b"x")

    after = Broker(
        {Store.MEMORY: store},
        clock=ManualClock(),
        new_id=seeded_ids(2),
        held=MadeUp(list(before.catalog), last_queue_number=41),
    )
    fresh = await after.new_queue(Store.MEMORY)

    assert await after.list_queues(0, "") == ([info, fresh], "")
    assert await after.pop("jobs") == added
    assert after.catalog.find(fresh.id).number == 42


async def test_closed_broker_takes_no_calls_that_change_anything() -> None:
    """A caller is told to try the successor; what is there can still be described."""
    broker = memory_broker()
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add("jobs", b"x")

    await broker.close()

    for call in (
        broker.delete_queue("jobs"),
        broker.add_queue_tag("jobs", Tag("a", "1")),
        broker.delete_queue_tag("jobs", Tag("a", "1")),
        broker.add("jobs", b"x"),
        broker.pop("jobs"),
        broker.pop("jobs", wait_s=60),
        broker.peek("jobs"),
        broker.add_batch("jobs", [(b"", b"x")]),
        broker.pop_batch("jobs", 9),
        broker.new_queue(Store.MEMORY),
    ):
        with pytest.raises(ShuttingDown):
            await call
    assert await broker.get_queue("jobs") == info
    assert await broker.list_queues(0, "") == ([info], "")
    assert (await broker.stats("jobs", 0, ""))[0][0].ready == 1
    assert broker.catalog.find("jobs").failed_total == 6


async def test_names_are_references_everywhere() -> None:
    """What takes an id takes the name, and an id in any form."""
    broker = memory_broker()
    info = await broker.new_queue(Store.MEMORY, name="jobs")

    for reference in ("jobs", info.id, info.id.upper(), f"urn:uuid:{info.id}"):
        await broker.add_queue_tag(reference, Tag("a", "1"))
        await broker.delete_queue_tag(reference, Tag("a", "1"))
        added = await broker.add(reference, b"x")
        assert await broker.peek(reference) == added
        assert await broker.pop(reference) == added
        assert await broker.get_queue(reference) == info
        await broker.add_batch(reference, [(b"", b"x")])
        assert len(await broker.pop_batch(reference, 9)) == 1
        assert [each.info for each in (await broker.stats(reference, 0, ""))[0]] == [info]


async def test_errors_are_of_the_family() -> None:
    """Every refusal is a QError, which transports know how to answer."""
    broker = memory_broker()

    with pytest.raises(QError):
        await broker.get_queue("\ud800 is no text that can be sent")
