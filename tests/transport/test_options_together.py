"""How options and settings go together: a test for each line of the table in docs/ordering.md."""

from collections.abc import AsyncIterator

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.errors import QueueEmpty, QueueFull
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from tests.documents import page, section
from tests.engine.callers import turns
from tests.transport.service import Service

Settings = pb.QueueSettings


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Return a service with the queues "jobs" and "dead", both empty."""
    service = Service()
    await service.broker.new_queue(Store.MEMORY, name="dead")
    await service.broker.new_queue(Store.MEMORY, name="jobs")
    yield service
    await service.broker.close()


def seconds(number: float) -> Duration:
    """Return a duration of so many seconds."""
    duration = Duration()
    duration.FromMilliseconds(round(number * 1_000))
    return duration


async def add(service: Service, payload: bytes, **options: object) -> pb.AddResponse:
    """Add a message with options."""
    message = {"payload": payload, "options": options}
    reply: pb.AddResponse = await service.call("Add", queue_id="jobs", message=message)
    return reply


async def update(service: Service, settings: pb.QueueSettings, limit: int | None = None) -> None:
    """Change the settings of the queue "jobs"."""
    fields = {} if limit is None else {"limit": limit}
    await service.call("UpdateQueue", queue_id="jobs", settings=settings, **fields)


async def stats(service: Service) -> pb.QueueStats:
    """Return what is counted of the queue "jobs"."""
    reply: pb.StatsResponse = await service.call("Stats", queue_id="jobs")
    return reply.queues[0]


async def leased(service: Service, queue_id: str = "jobs") -> list[bytes]:
    """Lease what there is to be had."""
    reply = await service.call("Lease", queue_id=queue_id, messages_max=100)
    return [each.message.payload for each in reply.messages]


def test_every_line_of_the_table_has_its_test() -> None:
    """By what stands at its front."""
    table = section(page("docs/ordering.md"), "How they work together")
    lines = [line for line in table.splitlines() if line.startswith("| ") and line != "| | |"]

    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == [
        "delay and ttl",
        "delay and priority",
        "delay, ttl and dedup_id",
        "limits and delay",
        "groups and delay, priority",
        "groups and ttl",
        "groups and fair keys",
        "groups and limits",
        "limits and dedup_id",
        "`partial` and dedup_id",
        "rate or `leased_max`, and priority",
        "rate or `leased_max`, and ttl",
        "a pause, and all of these",
        "dead letters",
        "redrive",
        "Complete",
    ]


async def test_delay_and_ttl(service: Service) -> None:
    """The ttl counts from the arrival: what is due later than that is never handed out."""
    await add(service, b"never", delay=seconds(5), ttl=seconds(3))
    await add(service, b"in time", delay=seconds(3), ttl=seconds(5))

    service.clock.advance(4)
    after_four = await service.payloads()
    service.clock.advance(4)

    assert (after_four, await service.payloads()) == ([b"in time"], [])
    assert (await stats(service)).expired_total == 1


async def test_delay_and_priority(service: Service) -> None:
    """When they are due they stand by priority; until then they are behind all others."""
    await add(service, b"due, high", delay=seconds(5), priority=9)
    await add(service, b"due", delay=seconds(5))
    await add(service, b"low", priority=1)
    await add(service, b"plain")

    first = (await service.call("Pop", queue_id="jobs")).message.payload
    service.clock.advance(5)

    assert (first, await service.payloads()) == (b"low", [b"due, high", b"due", b"plain"])


async def test_dedup_id_with_delay_and_ttl(service: Service) -> None:
    """It is known whatever becomes of its message."""
    for payload, options in (
        (b"delayed", {"delay": seconds(60)}),
        (b"expires", {"ttl": seconds(1)}),
        (b"taken", {}),
    ):
        await add(service, payload, dedup_id=payload.decode(), **options)
    taken = await service.payloads()
    service.clock.advance(2)

    repeats = [
        (await add(service, b"again", dedup_id=name)).deduplicated
        for name in ("delayed", "expires", "taken")
    ]

    assert taken == [b"expires", b"taken"]
    assert repeats == [True, True, True]


async def test_limits_and_delay(service: Service) -> None:
    """What is kept back counts, and makes no room."""
    await update(service, Settings(overflow=pb.Overflow.DROP_OLDEST), limit=2)
    await add(service, b"kept back", delay=seconds(60))
    await service.add(b"1")
    await service.add(b"2")
    await add(service, b"kept back too", delay=seconds(60))

    with pytest.raises(QueueFull):
        await service.add(b"3")

    counts = await stats(service)
    assert (counts.ready, counts.delayed, counts.overflowed_total) == (0, 2, 2)


async def test_groups_with_delay_and_priority(service: Service) -> None:
    """What is kept back holds up its group; a priority counts for what is next in its group."""
    await add(service, b"g1", group_id="g", delay=seconds(5))
    await add(service, b"g2", group_id="g", priority=9)
    await add(service, b"h1", group_id="h")
    await add(service, b"h2", group_id="h", priority=9)
    await add(service, b"other", priority=5)

    at_once = await service.payloads()
    service.clock.advance(5)

    assert (at_once, await service.payloads()) == ([b"other", b"h1", b"h2"], [b"g1", b"g2"])


async def test_groups_and_ttl(service: Service) -> None:
    """An expired message leaves its group: the first one, or one in its midst."""
    await add(service, b"1", group_id="g", ttl=seconds(5))
    await add(service, b"2", group_id="g")
    await add(service, b"3", group_id="g", ttl=seconds(5))
    await add(service, b"4", group_id="g")

    service.clock.advance(5)

    counts = await stats(service)
    assert (counts.ready, counts.blocked, counts.groups, counts.expired_total) == (2, 1, 1, 2)
    assert await service.payloads() == [b"2", b"4"]


async def test_groups_and_fair_keys(service: Service) -> None:
    """What is next in its group waits for a turn of its own fair_key."""
    await add(service, b"a1", fair_key="a", group_id="g")
    await add(service, b"a2", fair_key="a")
    await add(service, b"b1", fair_key="b")
    await add(service, b"b2", fair_key="b", group_id="g")

    assert await leased(service) == [b"a1", b"b1", b"a2", b"b2"]
    assert (await stats(service)).fair_keys == 2


async def test_groups_and_limits(service: Service) -> None:
    """The oldest ready message makes room, whatever its group waits for."""
    await update(service, Settings(overflow=pb.Overflow.DROP_OLDEST), limit=3)
    await add(service, b"1", group_id="g")
    await add(service, b"2", group_id="g")
    await service.call("PauseGroup", queue_id="jobs", group_id="g")
    await service.add(b"3", b"4")
    await service.call("ResumeGroup", queue_id="jobs", group_id="g")

    assert await service.payloads() == [b"2", b"3", b"4"]


async def test_limits_and_dedup_id(service: Service) -> None:
    """A repeat takes no room, and pushes nothing out."""
    await update(service, Settings(bytes_limit=1_000), limit=1)
    await add(service, b"1", dedup_id="a")
    refused = await add(service, b"1", dedup_id="a")
    await update(service, Settings(overflow=pb.Overflow.DROP_OLDEST))
    dropping = await add(service, b"1", dedup_id="a")

    assert (refused.deduplicated, dropping.deduplicated) == (True, True)
    assert ((await stats(service)).overflowed_total, await service.payloads()) == (0, [b"1"])


async def test_partial_and_dedup_id(service: Service) -> None:
    """Repeats before the first message without room are answered; what follows it is refused."""
    await update(service, Settings(), limit=1)
    messages = [
        {"options": {"dedup_id": dedup_id}, "payload": b"%d" % at}
        for at, dedup_id in enumerate(["a", "a", "b", "a"])
    ]

    reply = await service.call("AddBatch", queue_id="jobs", messages=messages, partial=True)

    assert (len(reply.messages), list(reply.deduplicated), reply.refused) == (2, [1], 2)
    assert await service.payloads() == [b"0"]


async def test_rate_and_priority(service: Service) -> None:
    """What may go out is what comes first by priority."""
    await update(service, Settings(rate=pb.Rate(messages_per_second=1, burst=1)))
    for priority in (0, 5, 9):
        await add(service, b"%d" % priority, priority=priority)

    found = []
    for _ in range(4):
        found += await leased(service)
        found += await leased(service)
        service.clock.advance(1)

    assert found == [b"9", b"5", b"0"]


async def test_leased_max_and_priority(service: Service) -> None:
    """Likewise: a message of a higher priority that comes late is the next one."""
    await update(service, Settings(leased_max=1))
    await add(service, b"0")
    reply = await service.call("Lease", queue_id="jobs")
    await add(service, b"5", priority=5)
    await add(service, b"9", priority=9)
    meanwhile = await leased(service)
    await service.call("Ack", queue_id="jobs", lease_ids=[reply.messages[0].lease_id])

    assert (meanwhile, await leased(service)) == ([], [b"9"])


@pytest.mark.parametrize(
    "settings",
    [Settings(rate=pb.Rate(messages_per_second=0.1, burst=1)), Settings(leased_max=1)],
    ids=["rate", "leased_max"],
)
async def test_gates_and_ttl(service: Service, settings: pb.QueueSettings) -> None:
    """Who has to stand in line too long expires, and is not handed out when the gate opens."""
    await update(service, settings)
    for payload in (b"1", b"2", b"3"):
        await add(service, payload, ttl=seconds(5))

    first = await leased(service)
    service.clock.advance(60)

    assert (first, await leased(service)) == ([b"1"], [])
    # The one on lease has come back after thirty seconds, and was of no use then either.
    assert (await stats(service)).expired_total == 3


async def test_pause_and_all_of_these(service: Service) -> None:
    """Delays end, messages expire, ids are forgotten; nothing is handed out until Resume."""
    await update(service, Settings(dedup_window=seconds(5)))
    await add(service, b"due", delay=seconds(5), priority=1)
    await add(service, b"expires", ttl=seconds(5))
    await add(service, b"known", dedup_id="a")
    await service.call("Pause", queue_id="jobs")

    service.clock.advance(6)
    paused = await leased(service)
    with pytest.raises(QueueEmpty):
        await service.call("Pop", queue_id="jobs")
    again = await add(service, b"known no more", dedup_id="a")
    counts = await stats(service)
    await service.call("Resume", queue_id="jobs")

    assert (paused, again.deduplicated) == ([], False)
    assert (counts.ready, counts.delayed, counts.expired_total) == (3, 0, 1)
    assert await service.payloads() == [b"due", b"known", b"known no more"]


async def bury_all(service: Service) -> None:
    """Reject all messages of "jobs", whose dead letters go to "dead"."""
    await update(service, Settings(dead_letter_queue_id="dead"))
    reply = await service.call("Lease", queue_id="jobs", messages_max=100)
    lease_ids = [each.lease_id for each in reply.messages]
    kind = pb.NackRequest.REJECT
    await service.call("Nack", queue_id="jobs", lease_ids=lease_ids, kind=kind)


async def test_dead_letters_keep_their_options_to_look_at(service: Service) -> None:
    """In their queue they stand by arrival, and no ttl of their own counts."""
    await add(service, b"low", priority=1, ttl=seconds(5))
    await bury_all(service)
    await add(service, b"high", priority=9, dedup_id="a")
    await bury_all(service)
    service.clock.advance(6)

    envelopes = await service.broker.pop_batch("dead", 9)

    low, high = (pb.Message.FromString(envelope) for envelope in envelopes)
    assert (low.payload, high.payload) == (b"low", b"high")
    assert high.options == pb.MessageOptions(priority=9, dedup_id="a")
    assert high.dead_letter.reason == pb.DeadLetter.REJECTED
    assert low.options.HasField("expires_at")


async def test_redrive_keeps_the_priority_and_nothing_else(service: Service) -> None:
    """No delay, no ttl, and no question whether the id is known; nor is it remembered."""
    await update(service, Settings(dedup_window=seconds(60)))
    await add(service, b"low", dedup_id="a", ttl=seconds(50))
    await add(service, b"high", priority=9, delay=seconds(5))
    service.clock.advance(5)
    await bury_all(service)
    await add(service, b"meanwhile", priority=5)
    service.clock.advance(56)

    await service.call("StartRedrive", queue_id="dead")
    await turns()
    counts = await stats(service)
    back = await service.payloads()
    repeat = await add(service, b"low", dedup_id="a")

    assert (counts.ready, counts.delayed, counts.expired_total) == (3, 0, 0)
    assert back == [b"high", b"meanwhile", b"low"]
    assert not repeat.deduplicated


async def test_complete(service: Service) -> None:
    """Its messages have options as those of AddBatch; repeats are answered as there."""
    await add(service, b"0", dedup_id="a")
    reply = await service.call("Lease", queue_id="jobs")
    messages = [
        {"payload": b"1", "options": {"dedup_id": "a"}},
        {"payload": b"2", "options": {"delay": seconds(5)}},
        {"payload": b"3", "options": {"dedup_id": "b", "ttl": seconds(5)}},
        {"payload": b"4", "options": {"priority": 3}},
        {"payload": b"5", "options": {"dedup_id": "b"}},
    ]
    acks = [{"queue_id": "jobs", "lease_ids": [reply.messages[0].lease_id]}]

    done = await service.call(
        "Complete", acks=acks, adds=[{"queue_id": "jobs", "messages": messages}]
    )
    now = await service.payloads()
    service.clock.advance(5)

    assert done.messages[0] == reply.messages[0].message.meta
    assert done.messages[4] == done.messages[2]
    assert (now, await service.payloads()) == ([b"4", b"3"], [b"2"])
