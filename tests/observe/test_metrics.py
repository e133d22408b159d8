"""What a scrape shows."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.broker import Broker
from qmq.errors import QueueEmpty, QueueFull, ShuttingDown
from qmq.observe.engine import EngineCollector
from qmq.observe.metrics import CallCollector, process_registry, render
from qmq.observe.queues import QueueCollector
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.status import code_of
from qmq.values import NS_PER_S, NackKind, Overflow, Store
from tests.leased import leased_messages

#: Name, type and help of the metrics that the original had.
ORIGINAL = {
    "queue_messages_enqueued_total": ("counter", "Number of queued messages."),
    "queue_messages_consumed_total": ("counter", "Number of consumed messages."),
    "queue_errors_total": (
        "counter",
        "Number of errors encountered while enqueuing or consuming messages.",
    ),
}


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the server."""
    return ManualClock()


@pytest.fixture
def broker(clock: ManualClock) -> Broker:
    """Return a broker without queues."""
    return Broker({Store.MEMORY: MemoryStore()}, clock=clock, timer=clock, new_id=seeded_ids())


@pytest.fixture
def registry(broker: Broker, clock: ManualClock) -> CollectorRegistry:
    """Return a registry with the metrics of queues alone."""
    registry = CollectorRegistry()
    registry.register(QueueCollector(broker.catalog, clock))
    return registry


def lines(registry: CollectorRegistry) -> list[str]:
    """Return the lines of a scrape."""
    return render(registry).decode().splitlines()


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a name, by the values of their labels in order of name."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(render(registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def described(registry: CollectorRegistry) -> Iterator[tuple[str, tuple[str, str]]]:
    """Go through the metrics of a scrape: name, type and help."""
    helps = {}
    for line in lines(registry):
        _, word, *rest = line.split(" ", 3)
        if line.startswith("# HELP"):
            helps[rest[0]] = rest[1]
        elif line.startswith("# TYPE"):
            assert word == "TYPE"
            yield rest[0], (rest[1], helps[rest[0]])


def test_metrics_of_the_original_are_there(registry: CollectorRegistry) -> None:
    """By name, type and help, before there is any queue."""
    shown = dict(described(registry))

    assert ORIGINAL.items() <= shown.items()
    assert {name: kind for name, (kind, _) in shown.items() if name not in ORIGINAL} == {
        "queue_messages": "gauge",
        "queue_bytes": "gauge",
        "queue_oldest_message_age_seconds": "gauge",
        "queue_paused": "gauge",
        "queue_takes_dead_letters": "gauge",
        "queue_info": "gauge",
        "queue_messages_acked_total": "counter",
        "queue_redeliveries_total": "counter",
        "queue_dead_lettered_total": "counter",
        "queue_messages_expired_total": "counter",
        "queue_messages_overflowed_total": "counter",
        "queue_messages_deduplicated_total": "counter",
        "queue_dedup_ids": "gauge",
        "queue_messages_deleted_total": "counter",
        "queue_messages_moved_in_total": "counter",
        "queue_messages_moved_out_total": "counter",
        "queue_groups": "gauge",
        "queue_groups_held": "gauge",
        "queue_messages_blocked": "gauge",
        "queue_fair_keys": "gauge",
    }


async def test_counters_have_the_labels_of_the_original(
    broker: Broker, registry: CollectorRegistry
) -> None:
    """The queue's id, and the type of an error: Full, NotFound or UnknownError."""
    info = await broker.new_queue(Store.MEMORY, limit=1, name="jobs")
    await broker.add(info.id, b"x")
    for _ in range(2):
        with pytest.raises(QueueFull):
            await broker.add(info.id, b"x")
    await broker.pop(info.id)
    for _ in range(3):
        with pytest.raises(QueueEmpty):
            await broker.pop(info.id)
    await broker.close()
    with pytest.raises(ShuttingDown):
        await broker.pop(info.id)

    shown = [line for line in lines(registry) if "_total{" in line]

    assert shown == [
        f'queue_messages_enqueued_total{{queue="{info.id}"}} 1.0',
        f'queue_messages_consumed_total{{queue="{info.id}"}} 1.0',
        f'queue_errors_total{{queue="{info.id}",type="Full"}} 2.0',
        f'queue_errors_total{{queue="{info.id}",type="NotFound"}} 3.0',
        f'queue_errors_total{{queue="{info.id}",type="UnknownError"}} 1.0',
    ]


async def test_gauges_show_depth_and_age(
    broker: Broker, registry: CollectorRegistry, clock: ManualClock
) -> None:
    """What no counter can answer: how many wait, and how long the oldest has waited."""
    info = await broker.new_queue(Store.MEMORY)
    idle = await broker.new_queue(Store.MEMORY)
    await broker.add(info.id, b"x")
    clock.advance(1.5)
    await broker.add(info.id, b"x")
    clock.advance(1)

    assert samples(registry, "queue_messages") == {(info.id, "ready"): 2, (idle.id, "ready"): 0}
    assert samples(registry, "queue_oldest_message_age_seconds") == {
        (info.id,): 2.5,
        (idle.id,): 0,
    }


async def present() -> bool:
    """Tell that a caller has not left."""
    return False


async def leased(broker: Broker, queue: str, count: int = 1) -> list[str]:
    """Lease messages for 30 seconds, and return their lease ids."""
    found = await broker.leasing.lease(queue, count, wait_s=0, is_gone=present)
    return [each.lease_id for each in leased_messages(found)]


async def test_gauges_show_where_messages_are(
    broker: Broker, registry: CollectorRegistry, clock: ManualClock
) -> None:
    """A message is in one state: ready, leased or delayed."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add_batch("jobs", [(b"", b"x")] * 9)
    first, *_ = await leased(broker, "jobs", 5)
    await broker.leasing.nack("jobs", [first], NackKind.FAIL, delay_ns=60 * NS_PER_S)

    def shown() -> dict[tuple[str, ...], float]:
        return samples(registry, "queue_messages")

    assert shown() == {(info.id, "ready"): 4, (info.id, "leased"): 4, (info.id, "delayed"): 1}
    clock.advance(30)
    await broker.stats("jobs", 0, "")
    assert shown() == {(info.id, "ready"): 8, (info.id, "leased"): 0, (info.id, "delayed"): 1}
    await broker.purge("jobs")
    assert shown() == {(info.id, "ready"): 0, (info.id, "leased"): 0, (info.id, "delayed"): 0}


async def test_deliveries_are_counted(broker: Broker, registry: CollectorRegistry) -> None:
    """What was acked, and what was handed out again."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add_batch("jobs", [(b"", b"x")] * 3)
    await broker.leasing.nack("jobs", await leased(broker, "jobs", 3), NackKind.RELEASE)
    await broker.leasing.ack("jobs", await leased(broker, "jobs", 2))

    assert samples(registry, "queue_redeliveries_total") == {(info.id,): 2}
    assert samples(registry, "queue_messages_acked_total") == {(info.id,): 2}
    assert samples(registry, "queue_messages_consumed_total") == {(info.id,): 0}


async def test_queue_without_leases_has_no_lines_about_them(
    broker: Broker, registry: CollectorRegistry
) -> None:
    """Most queues may never have one. They come with the first lease, and stay."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add("jobs", b"x")
    before = [line for line in lines(registry) if info.id in line]

    await leased(broker, "jobs")
    after = [line for line in lines(registry) if info.id in line]

    await broker.purge("jobs")
    assert (len(before), len(after)) == (6, 10)
    assert len([line for line in lines(registry) if info.id in line]) == 10


async def test_dead_letters_are_counted_by_reason(
    broker: Broker, registry: CollectorRegistry
) -> None:
    """From 0 on, so that the first one is an increase; at the queue that they have left."""
    await broker.new_queue(Store.MEMORY, name="dead")
    settings = QueueSettings(dead_letter_queue_id="dead", delivery_count_max=1)
    info = await broker.new_queue(Store.MEMORY, name="jobs", settings=settings)
    before = samples(registry, "queue_dead_lettered_total")
    await broker.add_batch("jobs", [(b"", b"x")] * 5)
    held = await leased(broker, "jobs", 5)
    await broker.leasing.nack("jobs", held[:3], NackKind.FAIL)
    await broker.leasing.nack("jobs", held[3:4], NackKind.REJECT)
    await broker.update_queue(
        "jobs", lambda old: replace(old, dead_letter_queue_id="", delivery_count_max=0)
    )

    reasons = ("rejected", "delivery_count_max", "expired", "overflow", "skipped")
    assert before == {(info.id, reason): 0 for reason in reasons}
    assert samples(registry, "queue_dead_lettered_total") == {
        (info.id, reason): count for reason, count in zip(reasons, (1, 3, 0, 0, 0), strict=True)
    }


async def test_gauge_shows_what_messages_take(broker: Broker, registry: CollectorRegistry) -> None:
    """Of whatever state, as Stats does."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.add_batch("jobs", [(b"", bytes(100))] * 3)
    await leased(broker, "jobs")
    await broker.add_with("jobs", bytes(100), b"", MessageOptions(delay_ns=NS_PER_S))

    ((stats,), _) = await broker.stats("jobs", 0, "")

    assert stats.ready_bytes < stats.bytes
    assert 400 < stats.bytes < 1_000
    assert samples(registry, "queue_bytes") == {(info.id,): stats.bytes}


async def test_message_that_is_kept_back_is_delayed(
    broker: Broker, registry: CollectorRegistry, clock: ManualClock
) -> None:
    """Also in a queue that never had a lease; one that has a delay shows that there is none."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    settings = QueueSettings(delay_ns=NS_PER_S)
    later = await broker.new_queue(Store.MEMORY, name="later", settings=settings)
    await broker.add_with("jobs", b"x", b"", MessageOptions(delay_ns=NS_PER_S))

    def shown() -> dict[tuple[str, ...], float]:
        return samples(registry, "queue_messages")

    assert shown() == {
        (info.id, "ready"): 0,
        (info.id, "delayed"): 1,
        (later.id, "ready"): 0,
        (later.id, "delayed"): 0,
    }
    clock.advance(1)
    await broker.stats("jobs", 0, "")
    assert shown() == {(info.id, "ready"): 1, (later.id, "ready"): 0, (later.id, "delayed"): 0}


async def test_messages_that_expire_are_counted(
    broker: Broker, registry: CollectorRegistry, clock: ManualClock
) -> None:
    """From 0 on where the queue has a ttl, and where it has none from the first one on."""
    settings = QueueSettings(ttl_ns=5 * NS_PER_S)
    all_of_it = await broker.new_queue(Store.MEMORY, name="all", settings=settings)
    one = await broker.new_queue(Store.MEMORY, name="one")
    await broker.new_queue(Store.MEMORY, name="other")
    await broker.add_batch("all", [(b"", b"x")] * 3)
    await broker.add("one", b"x")
    await broker.add_with("one", b"x", b"", MessageOptions(ttl_ns=NS_PER_S))
    before = samples(registry, "queue_messages_expired_total")

    clock.advance(6)
    await broker.stats("", 0, "")

    assert before == {(all_of_it.id,): 0}
    assert samples(registry, "queue_messages_expired_total") == {(all_of_it.id,): 3, (one.id,): 1}
    assert samples(registry, "queue_messages_enqueued_total")[one.id,] == 2


async def test_messages_that_make_room_are_counted(
    broker: Broker, registry: CollectorRegistry
) -> None:
    """Dropped or made dead letters, from 0 on."""
    await broker.new_queue(Store.MEMORY, name="dead")
    drops, buries = [
        await broker.new_queue(Store.MEMORY, name=name, limit=1, settings=settings)
        for name, settings in (
            ("drops", QueueSettings(overflow=Overflow.DROP_OLDEST)),
            (
                "buries",
                QueueSettings(overflow=Overflow.DEAD_LETTER_OLDEST, dead_letter_queue_id="dead"),
            ),
        )
    ]
    before = samples(registry, "queue_messages_overflowed_total")
    for name in ("drops", "drops", "drops", "buries", "buries"):
        await broker.add(name, b"x")

    assert before == {(drops.id,): 0, (buries.id,): 0}
    assert samples(registry, "queue_messages_overflowed_total") == {(drops.id,): 2, (buries.id,): 1}
    assert samples(registry, "queue_dead_lettered_total")[buries.id, "overflow"] == 1


async def test_repeats_are_counted(
    broker: Broker, registry: CollectorRegistry, clock: ManualClock
) -> None:
    """And how many dedup_ids the queue knows; nothing is shown of a queue that never had one."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.new_queue(Store.MEMORY, name="other")
    await broker.add("other", b"x")
    await broker.add_with("jobs", b"x", b"", MessageOptions(dedup_id="a"))
    first = samples(registry, "queue_messages_deduplicated_total")
    for dedup_id in ("a", "b", "a"):
        await broker.add_with("jobs", b"x", b"", MessageOptions(dedup_id=dedup_id))

    assert first == {(info.id,): 0}
    assert samples(registry, "queue_messages_deduplicated_total") == {(info.id,): 2}
    assert samples(registry, "queue_dedup_ids") == {(info.id,): 2}
    clock.advance(301)
    await broker.add_with("jobs", b"x", b"", MessageOptions(dedup_id="c"))
    assert samples(registry, "queue_dedup_ids") == {(info.id,): 1}


async def test_dead_letter_queue_has_a_line(broker: Broker, registry: CollectorRegistry) -> None:
    """As long as another queue sends what has failed there: old letters are no news."""
    dead = await broker.new_queue(Store.MEMORY, name="dead")
    settings = QueueSettings(dead_letter_queue_id="dead", delivery_count_max=2)
    jobs = await broker.new_queue(Store.MEMORY, name="jobs", settings=settings)
    told = samples(registry, "queue_takes_dead_letters")

    await broker.delete_queue(jobs.id)

    assert told == {(dead.id,): 1}
    assert samples(registry, "queue_takes_dead_letters") == {}


async def test_paused_queue_has_a_line(broker: Broker, registry: CollectorRegistry) -> None:
    """For as long as it is paused."""
    info = await broker.new_queue(Store.MEMORY, name="jobs")
    await broker.new_queue(Store.MEMORY, name="other")
    before = samples(registry, "queue_paused")

    await broker.pause("jobs", adds=False)
    paused = samples(registry, "queue_paused")
    await broker.resume("jobs")

    assert (before, paused) == ({}, {(info.id,): 1})
    assert samples(registry, "queue_paused") == {}


async def test_ids_can_be_joined_with_names(broker: Broker, registry: CollectorRegistry) -> None:
    """One line a queue tells what its id stands for."""
    jobs = await broker.new_queue(Store.MEMORY, name="jobs")
    unnamed = await broker.new_queue(Store.MEMORY)

    assert samples(registry, "queue_info") == {
        ("jobs", jobs.id, "MEMORY"): 1,
        ("", unnamed.id, "MEMORY"): 1,
    }


async def test_lines_of_a_deleted_queue_vanish(broker: Broker, registry: CollectorRegistry) -> None:
    """All of them, at once, and nobody else's."""
    gone, kept = await broker.new_queue(Store.MEMORY), await broker.new_queue(Store.MEMORY)
    for info in (gone, kept):
        with pytest.raises(QueueEmpty):
            await broker.pop(info.id)
    before = lines(registry)

    await broker.delete_queue(gone.id)

    assert lines(registry) == [line for line in before if gone.id not in line]
    assert any(kept.id in line for line in before)


async def test_scrape_grows_by_a_few_lines_a_queue(
    broker: Broker, registry: CollectorRegistry
) -> None:
    """10,000 queues are 10,000 times what one queue is, which is some hundred bytes."""
    empty = len(render(registry))
    for _ in range(10_000):
        info = await broker.new_queue(Store.MEMORY)
        await broker.add(info.id, b"x")

    size = len(render(registry)) - empty

    assert 10_000 * 100 < size < 10_000 * 800


async def test_calls_are_counted_by_method_and_by_how_they_end() -> None:
    """Each call is in the histogram of its method; who failed is counted by reason too."""
    calls = CallCollector(lambda error: code_of(error).name)

    async def echo(data: bytes) -> bytes:
        if data == b"empty":
            raise QueueEmpty("id")
        if data == b"bug":
            raise ZeroDivisionError
        return data

    watched = calls.watch({"/proto.Q/Pop": echo, "/proto.Q/Add": echo})
    registry = CollectorRegistry()
    registry.register(calls)

    assert await watched["/proto.Q/Pop"](b"x") == b"x"
    for data, error in (
        (b"empty", QueueEmpty),
        (b"empty", QueueEmpty),
        (b"bug", ZeroDivisionError),
    ):
        with pytest.raises(error):
            await watched["/proto.Q/Pop"](data)

    assert samples(registry, "q_call_duration_seconds_count") == {("Pop",): 4, ("Add",): 0}
    assert samples(registry, "q_call_failures_total") == {
        ("Pop", "QUEUE_EMPTY"): 2,
        ("Pop", "ZeroDivisionError"): 1,
    }
    assert samples(registry, "q_calls_total") == {
        ("OK", "Pop"): 1,
        ("NOT_FOUND", "Pop"): 2,
        ("INTERNAL", "Pop"): 1,
        ("OK", "Add"): 0,
    }


async def test_call_that_is_cancelled_is_counted() -> None:
    """A client that went away is a call that ended."""
    calls = CallCollector(lambda error: code_of(error).name)

    async def wait(data: bytes) -> bytes:
        await asyncio.Event().wait()
        return data

    watched = calls.watch({"/proto.Q/Pop": wait})
    task = asyncio.ensure_future(watched["/proto.Q/Pop"](b""))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    registry = CollectorRegistry()
    registry.register(calls)

    assert samples(registry, "q_call_failures_total") == {("Pop", "CancelledError"): 1}
    assert samples(registry, "q_calls_total") == {("OK", "Pop"): 0, ("CANCELLED", "Pop"): 1}


async def test_histogram_is_cumulative_and_in_seconds() -> None:
    """The buckets rise to the count, and the bounds are those of a call, 0.1 ms to 10 s."""
    calls = CallCollector(lambda error: code_of(error).name)

    async def answer(data: bytes) -> bytes:
        return data

    watched = calls.watch({"/proto.Q/Pop": answer})
    for _ in range(10):
        await watched["/proto.Q/Pop"](b"")
    registry = CollectorRegistry()
    registry.register(calls)

    buckets = samples(registry, "q_call_duration_seconds_bucket")
    bounds = [float(bound) for bound, _ in buckets]
    assert bounds == sorted(bounds)
    assert (bounds[0], bounds[-2], bounds[-1]) == (0.0001, 10, float("inf"))
    counts = list(buckets.values())
    assert counts == sorted(counts)
    assert counts[-1] == 10
    assert 0 < samples(registry, "q_call_duration_seconds_sum")[("Pop",)] < 10


def test_process_shows_its_own_metrics() -> None:
    """Those of the process that the original had as well."""
    shown = {line.split()[0] for line in lines(process_registry()) if line.startswith("process_")}

    assert {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    } <= shown


async def test_groups_and_fair_keys_are_counted(
    broker: Broker, registry: CollectorRegistry
) -> None:
    """Never one by one: there may be as many as messages. A queue without has no lines."""
    info = await broker.new_queue(Store.MEMORY, name="jobs", settings=QueueSettings(park_after=1))
    await broker.new_queue(Store.MEMORY, name="other")
    await broker.add("other", b"x")
    for group_id, fair_key in (("a", ""), ("a", "x"), ("b", "y"), ("c", "")):
        options = MessageOptions(group_id=group_id, fair_key=fair_key)
        await broker.add_with("jobs", b"x", b"", options)
    (lease_id,) = await leased(broker, "jobs", 1)
    await broker.leasing.nack("jobs", [lease_id], NackKind.FAIL, delay_ns=0)
    await broker.grouping.pause_group("jobs", "c")
    await broker.grouping.pause_group("jobs", "d")

    assert samples(registry, "queue_groups") == {(info.id,): 4}
    assert samples(registry, "queue_groups_held") == {
        (info.id, "paused"): 2,
        (info.id, "parked"): 1,
    }
    assert samples(registry, "queue_messages_blocked") == {(info.id,): 3}
    assert samples(registry, "queue_fair_keys") == {(info.id,): 2}
    assert samples(registry, "queue_messages")[info.id, "ready"] == 4


async def test_selectors_in_use_are_counted(broker: Broker) -> None:
    """Each once, however it is written; whatever it matches."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(broker))
    assert samples(registry, "q_selectors") == {(): 0}

    for selector in ("team=mail", "team = mail", "env"):
        await broker.selecting.pop_batch(selector, 1, 0.0, None)

    assert samples(registry, "q_selectors") == {(): 2}
    await broker.close()
