"""Queues, their settings and counts: what requests mean, which are refused, what replies say."""

import asyncio
from collections.abc import Mapping
from math import inf, nan

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.errors import AddsPaused, QError, QueueEmpty, QueueInUse, QueueNotFound, QueuePaused
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Store
from qmq.wire import q_pb2 as pb
from tests.transport.service import Service, refusal_of

#: The settings of a queue of which a request says nothing.
DEFAULTS = pb.QueueSettings(
    lease_duration=Duration(seconds=30),
    delivery_count_max=0,
    dead_letter_queue_id="",
    back_off=pb.BackOff(base=Duration(seconds=1), factor=2, max=Duration(seconds=300), jitter=0.2),
    durability_min=pb.Durability.MEMORY,
    delay=Duration(),
    ttl=Duration(),
    dead_letter_expired=False,
    dedup_window=Duration(seconds=300),
    priority_ageing=Duration(),
    bytes_limit=0,
    overflow=pb.Overflow.REJECT,
    leased_max=0,
    rate=pb.Rate(messages_per_second=0, burst=0),
    park_after=0,
    fairness=pb.Fairness(leased_max=0, rate=pb.Rate(messages_per_second=0, burst=0)),
    weight=1,
)

#: All that settings can say, each other than by default, but for the dead-letter queue and
#: what needs one.
OTHERS = pb.QueueSettings(
    lease_duration=Duration(nanos=1_000_000),
    back_off=pb.BackOff(base=Duration(), factor=100, max=Duration(seconds=7 * 24 * 3600), jitter=0),
    durability_min=pb.Durability.OS,
    delay=Duration(seconds=3_653 * 24 * 3600),
    ttl=Duration(nanos=1_000_000),
    dedup_window=Duration(seconds=1),
    priority_ageing=Duration(seconds=24 * 3600),
    bytes_limit=2**63 - 1,
    overflow=pb.Overflow.DROP_OLDEST,
    leased_max=2**31 - 1,
    rate=pb.Rate(messages_per_second=1_000_000, burst=1_000_000),
    park_after=1_000,
    fairness=pb.Fairness(
        leased_max=2**31 - 1,
        rate=pb.Rate(messages_per_second=1_000_000, burst=1_000_000),
        weights={"a": 1_000},
    ),
    weight=1_000,
)


@pytest.fixture
async def service() -> Service:
    """Return a service with the DISK queues "jobs", for three messages at most, and "dead"."""
    service = Service()
    await service.broker.new_queue(Store.DISK, name="jobs", limit=3)
    await service.broker.new_queue(Store.DISK, name="dead")
    return service


async def id_of(service: Service, name: str) -> str:
    """Return the id of a queue."""
    return (await service.broker.get_queue(name)).id


def merged(settings: pb.QueueSettings, change: pb.QueueSettings) -> pb.QueueSettings:
    """Return what settings are after a change."""
    found = pb.QueueSettings()
    found.CopyFrom(settings)
    # A duration is one value, though it is a message: it has to be replaced as a whole.
    groups = ("back_off", "rate")
    for old, new in (
        (found, change),
        *((getattr(found, name), getattr(change, name)) for name in groups),
    ):
        for field, _ in new.ListFields():
            if field.name not in (*groups, "fairness"):
                old.ClearField(field.name)
    found.MergeFrom(change)
    return found


async def test_queue_has_the_documented_settings_unless_others_are_given(service: Service) -> None:
    """All are in the reply, those of 0 and of no text too."""
    reply = await service.call("NewQueue", store=pb.Queue.DISK)
    settings = reply.queue.settings

    assert settings == DEFAULTS
    assert settings.HasField("delivery_count_max")
    assert settings.HasField("dead_letter_queue_id")
    assert (reply.queue.limit, reply.queue.HasField("paused")) == (-1, False)


async def test_brief_counts_have_the_settings_that_are_not_as_by_default(service: Service) -> None:
    """Which is what distinguishes one queue of many from the others."""
    changed = pb.QueueSettings(leased_max=3, fairness=pb.Fairness(leased_max=2))
    await service.call("NewQueue", name="other", settings=changed)

    jobs, _, other = (await service.call("Stats", brief=True)).queues

    assert jobs.queue.settings == pb.QueueSettings()
    assert (other.queue.settings.leased_max, other.queue.settings.fairness.leased_max) == (3, 2)
    assert len(other.queue.settings.ListFields()) == 2
    assert (await service.call("Stats", queue_id="jobs")).queues[0].queue.settings == DEFAULTS


async def test_queue_is_made_with_settings(service: Service) -> None:
    """The dead-letter queue may be given by name, and is answered by id."""
    settings = merged(
        OTHERS,
        pb.QueueSettings(
            dead_letter_queue_id="dead",
            delivery_count_max=1_000,
            dead_letter_expired=True,
            overflow=pb.Overflow.DEAD_LETTER_OLDEST,
        ),
    )

    made = (await service.call("NewQueue", store=pb.Queue.DISK, limit=7, settings=settings)).queue

    settings.dead_letter_queue_id = await id_of(service, "dead")
    assert (made.settings, made.limit) == (settings, 7)
    assert (await service.call("GetQueue", queue_id=made.meta.id)).queue == made
    assert made in (await service.call("ListQueues")).queues


async def test_queues_are_listed_by_selector(service: Service) -> None:
    """Page by page, and refused with the place where it is wrong."""
    for n in range(3):
        tags = [pb.Tag(key="team", value="mail"), pb.Tag(key="n", value=str(n))]
        await service.call("NewQueue", name=f"mail-{n}", tags=tags)

    first = await service.call("ListQueues", selector="team=mail", page_size=2)
    rest = await service.call(
        "ListQueues", selector="team=mail", page_size=2, page_token=first.next_page_token
    )
    others = await service.call("ListQueues", selector="n notin (0,2),team")

    assert [queue.name for queue in first.queues] == ["mail-0", "mail-1"]
    assert [queue.name for queue in rest.queues] == ["mail-2"]
    assert rest.next_page_token == ""
    assert [queue.name for queue in others.queues] == ["mail-1"]
    refusal = await refusal_of(service.call("ListQueues", selector="team=mail room"))
    assert refusal.message == ("selector: at character 11: expected a comma or the end, got 'room'")


async def test_update_changes_what_it_names_and_nothing_else(service: Service) -> None:
    """One setting after the other, down to one of the back-off."""
    expected = pb.QueueSettings()
    expected.CopyFrom(DEFAULTS)
    changes = [
        pb.QueueSettings(dead_letter_queue_id=await id_of(service, "dead")),
        pb.QueueSettings(delivery_count_max=5),
        pb.QueueSettings(back_off=pb.BackOff(factor=1)),
        pb.QueueSettings(),
        OTHERS,
        pb.QueueSettings(back_off=pb.BackOff(jitter=1, base=Duration(seconds=12 * 3600))),
        pb.QueueSettings(lease_duration=Duration(seconds=12 * 3600)),
        pb.QueueSettings(dead_letter_expired=True),
        pb.QueueSettings(overflow=pb.Overflow.DEAD_LETTER_OLDEST, rate=pb.Rate(burst=0)),
        pb.QueueSettings(dead_letter_expired=False, overflow=pb.Overflow.REJECT, leased_max=0),
        pb.QueueSettings(ttl=Duration(), rate=pb.Rate(messages_per_second=0)),
        pb.QueueSettings(fairness=pb.Fairness(leased_max=7, weights={"a": 3}), weight=1),
        pb.QueueSettings(fairness=pb.Fairness(rate=pb.Rate(burst=0)), park_after=0),
        pb.QueueSettings(delivery_count_max=0, dead_letter_queue_id=""),
    ]
    for change in changes:
        reply = await service.call("UpdateQueue", queue_id="jobs", settings=change)
        expected = merged(expected, change)

        assert reply.queue.settings == expected
        assert (reply.queue.name, reply.queue.limit) == ("jobs", 3)
        assert (await service.call("GetQueue", queue_id="jobs")).queue == reply.queue


async def test_update_changes_the_limit(service: Service) -> None:
    """To any, also one below what the queue holds, and to none by -1 or 0."""
    await service.add(b"1", b"2", b"3")
    limits = [
        (await service.call("UpdateQueue", queue_id="jobs", limit=limit)).queue.limit
        for limit in (2, 0, 5, -1)
    ]
    untouched = await service.call("UpdateQueue", queue_id="jobs")

    assert limits == [2, -1, 5, -1]
    assert (untouched.queue.limit, untouched.queue.settings) == (-1, DEFAULTS)


@pytest.mark.parametrize(
    ("settings", "field", "rule"),
    [
        (
            {"lease_duration": Duration()},
            "lease_duration",
            "must be 1 millisecond to 12 hours; got 0 seconds",
        ),
        (
            {"lease_duration": Duration(seconds=12 * 3600, nanos=1)},
            "lease_duration",
            "must be 1 millisecond to 12 hours; got 43200 seconds",
        ),
        (
            {"delivery_count_max": -1},
            "delivery_count_max",
            "must be 1 to 1000, or 0 for no maximum; got -1",
        ),
        (
            {"delivery_count_max": 1_001},
            "delivery_count_max",
            "must be 1 to 1000, or 0 for no maximum; got 1001",
        ),
        (
            {"dead_letter_queue_id": "nobody"},
            "dead_letter_queue_id",
            "'nobody' is neither a UUID nor the name of a queue",
        ),
        (
            {"durability_min": 7},
            "durability_min",
            "must be one of MEMORY (1), OS (2), FSYNC (3), REPLICATED (4); got 7",
        ),
        (
            {"back_off": pb.BackOff(base=Duration(seconds=-1))},
            "back_off.base",
            "must be 0 to 12 hours; got -1 seconds",
        ),
        (
            {"back_off": pb.BackOff(max=Duration(seconds=7 * 24 * 3600 + 1))},
            "back_off.max",
            "must be 0 to 7 days; got 604801 seconds",
        ),
        ({"back_off": pb.BackOff(factor=0.5)}, "back_off.factor", "must be 1 to 100; got 0.5"),
        ({"back_off": pb.BackOff(factor=nan)}, "back_off.factor", "must be 1 to 100; got nan"),
        ({"back_off": pb.BackOff(factor=inf)}, "back_off.factor", "must be 1 to 100; got inf"),
        ({"back_off": pb.BackOff(jitter=-0.1)}, "back_off.jitter", "must be 0 to 1; got -0.1"),
        ({"back_off": pb.BackOff(jitter=nan)}, "back_off.jitter", "must be 0 to 1; got nan"),
    ],
)
async def test_settings_have_bounds(
    service: Service, settings: Mapping[str, object], field: str, rule: str
) -> None:
    """They are refused by name, for a new queue and for one that is there; nothing changes."""
    before = await service.call("ListQueues")

    refusals = [
        await refusal_of(service.call("NewQueue", store=pb.Queue.DISK, settings=settings)),
        await refusal_of(service.call("UpdateQueue", queue_id="jobs", settings=settings, limit=9)),
    ]

    assert [(each.field, each.rule) for each in refusals] == [(f"settings.{field}", rule)] * 2
    assert await service.call("ListQueues") == before


async def test_maximum_of_deliveries_needs_a_dead_letter_queue(service: Service) -> None:
    """Else there would be nowhere to go; so the queue cannot be taken away from it either."""
    settings = pb.QueueSettings(delivery_count_max=1)
    alone = await refusal_of(service.call("UpdateQueue", queue_id="jobs", settings=settings))
    settings.dead_letter_queue_id = "dead"
    await service.call("UpdateQueue", queue_id="jobs", settings=settings)
    without = pb.QueueSettings(dead_letter_queue_id="")
    taken = await refusal_of(service.call("UpdateQueue", queue_id="jobs", settings=without))

    assert [alone.field, taken.field] == ["settings.delivery_count_max"] * 2


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (pb.QueueSettings(dead_letter_expired=True), "dead_letter_expired"),
        (pb.QueueSettings(overflow=pb.Overflow.DEAD_LETTER_OLDEST), "overflow"),
    ],
    ids=["expired", "overflow"],
)
async def test_what_makes_dead_letters_needs_a_queue_for_them(
    service: Service, settings: pb.QueueSettings, field: str
) -> None:
    """Nobody who asks for dead letters wants them dropped."""
    new = await refusal_of(service.call("NewQueue", store=pb.Queue.DISK, settings=settings))
    alone = await refusal_of(service.call("UpdateQueue", queue_id="jobs", settings=settings))
    settings.dead_letter_queue_id = "dead"
    await service.call("UpdateQueue", queue_id="jobs", settings=settings)
    without = pb.QueueSettings(dead_letter_queue_id="")
    taken = await refusal_of(service.call("UpdateQueue", queue_id="jobs", settings=without))

    assert [each.field for each in (new, alone, taken)] == [f"settings.{field}"] * 3
    assert {each.rule for each in (new, alone, taken)} == {new.rule}
    assert new.rule.startswith("needs a dead_letter_queue_id: that is where ")


async def test_dead_letters_go_in_no_circle(service: Service) -> None:
    """Not to the queue itself, and not to one from which they would come back."""
    to_dead = pb.QueueSettings(dead_letter_queue_id="dead")
    await service.call("UpdateQueue", queue_id="jobs", settings=to_dead)

    for queue_id, target in (("jobs", "jobs"), ("dead", "jobs")):
        settings = pb.QueueSettings(dead_letter_queue_id=target)
        refusal = await refusal_of(
            service.call("UpdateQueue", queue_id=queue_id, settings=settings)
        )
        assert refusal.field == "settings.dead_letter_queue_id"
        assert refusal.rule.startswith("dead letters would go in a circle: ")


async def test_dead_letters_stay_in_their_store(service: Service) -> None:
    """A queue of another store is refused."""
    settings = pb.QueueSettings(dead_letter_queue_id="dead")

    refusal = await refusal_of(service.call("NewQueue", store=pb.Queue.MEMORY, settings=settings))

    assert refusal.field == "settings.dead_letter_queue_id"
    assert "lives in DISK, this one in MEMORY" in refusal.rule


@pytest.mark.parametrize("store", [pb.Queue.MEMORY, pb.Queue.DISK])
async def test_least_durability_is_one_that_the_store_reaches(
    service: Service, store: pb.Queue.Store
) -> None:
    """Else no message could ever be added."""
    settings = pb.QueueSettings(durability_min=pb.Durability.REPLICATED)

    refusal = await refusal_of(service.call("NewQueue", store=store, settings=settings))

    assert refusal.field == "settings.durability_min"


async def test_dead_letter_queue_is_not_deleted(service: Service) -> None:
    """Until the queue whose dead letters it has is deleted, or has another."""
    settings = pb.QueueSettings(dead_letter_queue_id="dead")
    await service.call("UpdateQueue", queue_id="jobs", settings=settings)

    with pytest.raises(QueueInUse):
        await service.call("DeleteQueue", queue_id="dead")
    await service.call("DeleteQueue", queue_id="jobs")
    await service.call("DeleteQueue", queue_id="dead")

    assert len((await service.call("ListQueues")).queues) == 0


async def test_pause_ends_with_resume(service: Service) -> None:
    """Nothing is handed out, but it can be looked at and added to; the moment is told."""
    paused = (await service.call("Pause", queue_id="jobs")).queue
    service.clock.advance(5)
    again = (await service.call("Pause", queue_id="jobs", adds=False)).queue
    await service.add(b"1")
    with pytest.raises(QueuePaused):
        await service.call("Pop", queue_id="jobs")
    nothing = [
        *(await service.call("Lease", queue_id="jobs")).messages,
        *(await service.call("PopBatch", queue_id="jobs", messages_max=1)).messages,
    ]
    peeked = (await service.call("Peek", queue_id="jobs")).message.payload
    resumed = (await service.call("Resume", queue_id="jobs")).queue

    since = Timestamp(seconds=START_NS // NS_PER_S)
    assert paused.paused == again.paused == pb.PausedQueue(since=since)
    assert (nothing, peeked) == ([], b"1")
    assert not resumed.HasField("paused")
    assert await service.payloads() == [b"1"]


async def test_pause_may_stop_adds_too(service: Service) -> None:
    """And may let them in again without an end of the pause."""
    paused = (await service.call("Pause", queue_id="jobs", adds=True)).queue
    with pytest.raises(AddsPaused):
        await service.call("Add", queue_id="jobs", message=pb.NewMessage())
    with pytest.raises(AddsPaused):
        await service.add(b"1")
    open_again = (await service.call("Pause", queue_id="jobs")).queue
    await service.add(b"2")

    assert (paused.paused.adds, open_again.paused.adds) == (True, False)
    await service.call("Resume", queue_id="jobs")
    assert await service.payloads() == [b"2"]


async def test_purge_tells_how_many_there_were(service: Service) -> None:
    """Ready, leased and delayed ones."""
    await service.add(b"1", b"2", b"3")
    (leased, _) = (await service.call("Lease", queue_id="jobs", messages_max=2)).messages
    await service.call(
        "Nack", queue_id="jobs", lease_ids=[leased.lease_id], delay=Duration(seconds=9)
    )

    removed = [(await service.call("Purge", queue_id="jobs")).removed for _ in range(2)]

    assert removed == [3, 0]
    with pytest.raises(QueueEmpty):
        await service.call("Pop", queue_id="jobs")


async def test_stats_tell_of_one_queue_or_of_all(service: Service) -> None:
    """With what each is, what it holds and what went through it."""
    await service.add(b"1", b"22")
    await service.call("Pop", queue_id="jobs")
    service.clock.advance(61.5)

    one = (await service.call("Stats", queue_id="jobs")).queues
    everything = (await service.call("Stats")).queues
    first_page = await service.call("Stats", page_size=1)

    (jobs,) = one
    assert (jobs.queue.name, jobs.limit, jobs.ready, jobs.waiting) == ("jobs", 3, 1, 0)
    assert (jobs.enqueued_total, jobs.consumed_total) == (2, 1)
    assert jobs.ready_bytes == service.broker.catalog.find("jobs").ready.bytes > 0
    assert jobs.oldest_age == Duration(seconds=61, nanos=499_999_999)
    assert (len(everything), everything[0]) == (2, jobs)
    assert everything[1].queue.name == "dead"
    assert (everything[1].limit, everything[1].HasField("oldest_age")) == (-1, False)
    assert list(first_page.queues) == [jobs]
    second_page = await service.call("Stats", page_token=first_page.next_page_token)
    assert list(second_page.queues) == [everything[1]]


async def test_stats_count_who_waits(service: Service) -> None:
    """Now, not since the start."""
    call = asyncio.ensure_future(service.call("Pop", queue_id="jobs", wait=Duration(seconds=9)))
    await service.clock.until_waiting()

    during = (await service.call("Stats", queue_id="jobs")).queues[0].waiting
    await service.add(b"1")
    await call
    after = (await service.call("Stats", queue_id="jobs")).queues[0].waiting

    assert (during, after) == (1, 0)


async def test_stats_count_by_state_and_by_consumer(service: Service) -> None:
    """What is on lease and kept back, who has it, and what became of the others."""
    settings = pb.QueueSettings(dead_letter_queue_id="dead")
    await service.call("UpdateQueue", queue_id="jobs", limit=-1, settings=settings)
    await service.add(b"1", b"2", b"3", b"4", b"5", b"6")

    async def lease(count: int, consumer: str = "") -> list[str]:
        reply = await service.call("Lease", queue_id="jobs", messages_max=count, consumer=consumer)
        return [message.lease_id for message in reply.messages]

    first, second, third, _ = await lease(4, "b")
    await lease(1, "a")
    await service.call("Ack", queue_id="jobs", lease_ids=[first])
    await service.call("Nack", queue_id="jobs", lease_ids=[second], kind=pb.NackRequest.REJECT)
    await service.call("Nack", queue_id="jobs", lease_ids=[third], kind=pb.NackRequest.RELEASE)
    (third,) = await lease(1)
    await service.call("Nack", queue_id="jobs", lease_ids=[third], delay=Duration(seconds=9))
    (jobs, dead) = (await service.call("Stats")).queues

    assert (jobs.ready, jobs.leased, jobs.delayed) == (1, 2, 1)
    assert (jobs.enqueued_total, jobs.consumed_total, jobs.acked_total) == (6, 0, 1)
    assert (jobs.redelivered_total, jobs.dead_lettered_total) == (1, 1)
    assert [(each.consumer, each.leased) for each in jobs.consumers] == [("a", 1), ("b", 1)]
    assert (dead.ready, dead.leased, list(dead.consumers)) == (1, 0, [])


@pytest.mark.parametrize("reference", ["nobody", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("method", ["GetQueue", "UpdateQueue", "Purge", "Pause", "Resume", "Stats"])
async def test_call_about_no_queue_is_refused(
    service: Service, method: str, reference: str
) -> None:
    """By what was given."""
    with pytest.raises(QError, match=reference) as refusal:
        await service.call(method, queue_id=reference)

    assert refusal.value.reason in {"INVALID_ARGUMENT", "QUEUE_NOT_FOUND"}


async def test_dead_letter_queue_that_is_none_is_refused(service: Service) -> None:
    """Also by an id that no queue has."""
    settings = pb.QueueSettings(dead_letter_queue_id="00000000-0000-0000-0000-000000000000")

    with pytest.raises(QueueNotFound):
        await service.call("NewQueue", store=pb.Queue.DISK, settings=settings)
    with pytest.raises(QueueNotFound):
        await service.call("UpdateQueue", queue_id="jobs", settings=settings)
