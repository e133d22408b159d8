"""How programs use the client, as type checkers see it: mypy and basedpyright check this file.

It is not run. `assert_type` fails the check when a type is not what it says.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import pydantic

import qmq
from qmq.testing import ManualClock, running_broker, running_broker_in_thread


class Order(pydantic.BaseModel):
    """A model."""

    number: int


@dataclass
class Point:
    """A dataclass."""

    x: float


class Celsius:
    """Any object with these two methods is a codec."""

    def encode(self, value: float, /) -> bytes:
        """Write a temperature."""
        return f"{value}".encode()

    def decode(self, payload: bytes, /) -> float:
        """Read a temperature."""
        return float(payload)


async def queues(client: qmq.AsyncClient) -> None:
    """Queues and what they are."""
    queue = await client.new_queue("mail", store="DISK", limit=10, tags={"team": "web"})
    assert_type(queue, qmq.AsyncQueue[bytes | str])
    assert_type(await client.ensure_queue("m", store=qmq.Store.DISK), qmq.AsyncQueue[bytes | str])
    assert_type(client.queue("mail"), qmq.AsyncQueue[bytes | str])
    assert_type(await client.list_queues(), list[qmq.QueueInfo])
    assert_type(await client.list_queues(selector="team=mail"), list[qmq.QueueInfo])
    assert_type(await client.stats(), list[qmq.QueueStats])
    info = await queue.info()
    assert_type(info.created, datetime)
    assert_type(info.tags, tuple[qmq.Tag, ...])
    stats = await queue.stats()
    assert_type(stats.oldest_age, timedelta | None)
    await queue.tag("key", "value")
    await queue.untag("key", "value")
    await queue.delete()


async def settings(client: qmq.AsyncClient) -> None:
    """How queues hand out messages."""
    settings = qmq.QueueSettings(
        lease_duration=60,
        delivery_count_max=5,
        dead_letter_queue_id="dead",
        back_off=qmq.BackOff(base=timedelta(seconds=1), max=60.5),
        durability_min="FSYNC",
        delay=5,
        ttl=timedelta(days=1),
        dead_letter_expired=True,
        dedup_window=3600,
        priority_ageing=0.5,
        bytes_limit=10_000,
        overflow="DROP_OLDEST",
        leased_max=20,
        rate=qmq.Rate(messages_per_second=0.5, burst=3),
    )
    queue = await client.new_queue("mail", settings=settings)
    await client.ensure_queue("mail", settings=settings)
    info = await queue.update(qmq.QueueSettings(delivery_count_max=6), limit=10)
    assert_type(info, qmq.QueueInfo)
    assert_type(info.settings.lease_duration, timedelta | None)
    assert_type(info.settings.back_off, qmq.BackOff | None)
    assert_type(info.settings.durability_min, qmq.Durability | None)
    assert_type(info.settings.ttl, timedelta | None)
    assert_type(info.settings.overflow, qmq.Overflow | None)
    assert_type(info.settings.rate, qmq.Rate | None)
    assert_type(info.limit, int)
    assert_type((await queue.pause(adds=True)).paused, qmq.Pause | None)
    assert_type(await queue.resume(), qmq.QueueInfo)
    assert_type(await queue.purge(), int)
    assert_type((await queue.stats()).consumers, tuple[qmq.ConsumerStats, ...])
    qmq.QueueSettings(overflow="BURN")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    qmq.QueueSettings(durability_min="PAPER")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def leases(client: qmq.AsyncClient) -> None:
    """Messages on lease, by hand."""
    orders = client.queue("orders", codec=qmq.PydanticCodec(Order))
    leased = await orders.lease(10, wait=None, lease_duration=timedelta(minutes=1), consumer="ann")
    assert_type(leased, list[qmq.AsyncLeasedMessage[Order]])
    message = leased[0]
    assert_type(message.value, Order)
    assert_type(message.lease_expires_at, datetime)
    assert_type((message.lease_id, message.delivery_count, message.is_lost), tuple[str, int, bool])
    assert_type(message.attempts, tuple[qmq.Attempt, ...])
    assert_type(message.dead_letter, qmq.DeadLetter | None)
    await message.extend(10)
    await message.ack()
    await message.release(delay=1)
    await message.fail("why", delay=timedelta(seconds=1))
    await message.reject("why")
    assert_type(await orders.ack([message, "some-id"]), list[qmq.QmqError | None])
    assert_type(await orders.nack(leased, "REJECT"), list[qmq.QmqError | None])
    assert_type(await orders.extend(leased, 60), list[qmq.QmqError | None])
    added = await client.complete(
        acks=leased,
        adds=[(orders, [Order(number=1)]), (client.queue("log"), ["done"], {"kind": "order"})],
    )
    assert_type(added, list[qmq.Metadata])
    await orders.nack(leased, "LOSE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def consuming(client: qmq.AsyncClient) -> None:
    """Messages one by one, at least once."""
    orders = client.queue("orders", codec=qmq.PydanticCodec(Order))
    async with orders.consume(concurrency=2, prefetch=10, lease_duration=5) as consumer:
        assert_type(consumer, qmq.AsyncConsumer[Order])
        async for message in consumer:
            assert_type(message, qmq.AsyncLeasedMessage[Order])
            consumer.stop()

    @orders.worker(concurrency=4)
    async def ship(message: qmq.AsyncLeasedMessage[Order]) -> int:
        if message.value.number < 0:
            raise qmq.Reject("no such order")
        if message.delivery_count > 1:
            raise qmq.Release(delay=timedelta(minutes=1))
        return message.value.number

    assert_type(ship, qmq.AsyncWorker[Order, int])
    await ship.run(grace=5, handle_signals=False)
    ship.stop()
    assert_type(await ship((await orders.lease())[0]), int)

    @orders.worker
    async def weigh(message: qmq.AsyncLeasedMessage[Order]) -> int:
        return message.value.number

    assert_type(weigh, qmq.AsyncWorker[Order, int])
    orders.worker(4)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]

    @orders.worker()
    async def count(_message: qmq.Message[Any]) -> None:
        """A function of any message is one of these too."""

    assert_type(count, qmq.AsyncWorker[Order, None])


async def selecting(client: qmq.AsyncClient) -> None:
    """Messages of all queues that a selector matches."""
    assert_type(client.selection("team=mail"), qmq.AsyncSelection[bytes | str])
    orders = client.selection("kind=orders,!old", codec=qmq.PydanticCodec(Order))
    assert_type(orders, qmq.AsyncSelection[Order])
    leased = await orders.lease(10, wait=None)
    assert_type(leased, list[qmq.AsyncLeasedMessage[Order]])
    assert_type(leased[0].queue_id, str)
    assert_type(await orders.ack(leased), list[qmq.QmqError | None])
    assert_type(await orders.nack(leased, "FAIL"), list[qmq.QmqError | None])
    assert_type(await orders.extend(leased), list[qmq.QmqError | None])
    await orders.ack(["some-id"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    assert_type(await orders.pop_batch(10), list[qmq.Message[Order]])
    async with orders.consume(prefetch=10) as consumer:
        assert_type(consumer, qmq.AsyncConsumer[Order])

    @orders.worker(concurrency=4)
    async def ship(message: qmq.AsyncLeasedMessage[Order]) -> int:
        return message.value.number

    assert_type(ship, qmq.AsyncWorker[Order, int])


async def oversight(client: qmq.AsyncClient) -> None:
    """Looking after queues."""
    dead = client.queue("dead", codec=qmq.TextCodec())
    async for message in dead.browse(states=["READY", qmq.MessageState.DELAYED], age_min=60):
        assert_type(message, qmq.BrowsedMessage[str])
        assert_type(message.state, qmq.MessageState | None)
        assert_type(message.until, datetime | None)
        if message.dead_letter:
            assert_type(message.dead_letter.reason, qmq.DeadLetterReason | None)
        for attempt in message.attempts:
            assert_type(attempt.outcome, qmq.Outcome | None)
        explanation = await dead.explain(message)
        assert_type(explanation, qmq.Explanation[str])
        assert_type(explanation.reasons, tuple[str, ...])
    redrive = await dead.redrive("mail", reasons=["REJECTED"], messages_per_second=0.5)
    assert_type(redrive, qmq.Redrive)
    assert_type(await client.redrives(), list[qmq.Redrive])
    assert_type((await client.redrive(redrive.id)).state, qmq.RedriveState)
    assert_type(await client.stop_redrive(redrive.id), qmq.Redrive)


async def schedules(client: qmq.AsyncClient, orders: qmq.AsyncQueue[str]) -> None:
    """Messages that come by themselves."""
    made = await orders.put_schedule("daily", "report", cron="0 8 * * *", missed="SKIP")
    assert_type(made, qmq.Schedule[str])
    assert_type(made.value, str)
    assert_type(made.message, qmq.NewMessage[bytes])
    assert_type(made.missed, qmq.Missed)
    assert_type(made.next, datetime | None)
    new = qmq.NewMessage("report", priority=3)
    await orders.put_schedule("often", new, interval=timedelta(minutes=5), missed=qmq.Missed.ALL)
    assert_type(await orders.schedules(), list[qmq.Schedule[str]])
    assert_type(await orders.schedule("daily"), qmq.Schedule[str])
    assert_type(await client.schedules(), list[qmq.Schedule[bytes | str]])
    await orders.delete_schedule("daily")


async def access(client: qmq.AsyncClient) -> None:
    """Who calls, who may, and tokens."""
    caller = await client.identity("orders")
    assert_type(caller, qmq.Caller)
    assert_type(caller.may(qmq.Right.PRODUCE), bool)
    assert_type(caller.expires_at, datetime | None)
    for identity in await client.identities():
        assert_type(identity.rights, tuple[qmq.Grant, ...])
        assert_type([token.used for token in identity.tokens], list[datetime | None])
    made = await client.make_token("worker", ttl=timedelta(days=90), note="cron")
    assert_type(made.text, str)
    await client.revoke_token("worker", made.token.id)


async def messages(queue: qmq.AsyncQueue[bytes | str]) -> None:
    """Messages without a codec."""
    added = await queue.add("text", tags=[("k", "v"), qmq.Tag("k", "w")])
    assert_type(added, qmq.Metadata)
    assert_type(await queue.add_batch([b"x", "y"], partial=True), list[qmq.Metadata])
    message = await queue.pop(wait=timedelta(seconds=1))
    assert_type(message, qmq.Message[bytes | str])
    assert_type(message.payload, bytes)
    assert_type(message.text, str)
    assert_type(message.tag("k"), str)
    assert_type(await queue.pop_batch(10, wait=None), list[qmq.Message[bytes | str]])
    async for each in queue:
        assert_type(each, qmq.Message[bytes | str])
    async for each in queue.drain():
        assert_type(each.value, bytes | str)


async def options(client: qmq.AsyncClient) -> None:
    """When messages are handed out, and how often they are added."""
    orders = client.queue("orders", codec=qmq.PydanticCodec(Order))
    soon = datetime.now(UTC) + timedelta(hours=1)
    added = await orders.add(Order(number=1), delay=5, ttl=timedelta(days=1), dedup_id="1")
    assert_type(added.deduplicated, bool)
    await orders.add(Order(number=1), available_at=soon, expires_at=soon, priority=9)
    new = qmq.NewMessage(Order(number=2), tags={"k": "v"}, priority=9, delay=0.5)
    assert_type(new, qmq.NewMessage[Order])
    assert_type(await orders.add_batch([new, Order(number=3)]), list[qmq.Metadata])
    await client.complete(adds=[(orders, [new]), (orders, [new, Order(number=4)], {"k": "v"})])
    async with orders.producer() as producer:
        await producer.submit(Order(number=5), priority=9, available_at=soon)
        assert_type(await producer.add(Order(number=6), ttl=60, dedup_id="6"), qmq.Metadata)
    texts = client.queue("texts")
    await texts.add_batch([qmq.NewMessage("x", priority=1), b"y", qmq.NewMessage(b"z")])
    message = await orders.pop()
    assert_type((message.priority, message.dedup_id), tuple[int, str])
    assert_type((message.available_at, message.expires_at), tuple[datetime | None, datetime | None])

    await orders.add_batch([qmq.NewMessage("x")])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await orders.add(Order(number=1), delay="5m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def groups(client: qmq.AsyncClient) -> None:
    """Messages that are handed out one after the other, or in turns."""
    fairness = qmq.Fairness(
        leased_max=5, rate=qmq.Rate(messages_per_second=0.5), weights={"acme": 3}
    )
    settings = qmq.QueueSettings(park_after=3, fairness=fairness, weight=2)
    queue = await client.new_queue("steps", settings=settings)
    await queue.add("1", group_id="account-4", fair_key="acme")
    await queue.add_batch([qmq.NewMessage("2", group_id="account-4", fair_key="acme")])
    async with queue.producer() as producer:
        await producer.add("3", group_id="account-4", fair_key="acme")
    async for group in queue.groups(states=["PARKED", qmq.GroupState.PAUSED]):
        assert_type(group, qmq.GroupInfo)
        assert_type((group.state, group.since), tuple[qmq.GroupState | None, datetime | None])
    assert_type(await queue.delete_messages(["id"], leased=True), list[qmq.QmqError | None])
    assert_type(
        await queue.move_messages([await queue.add("4")], to="other"),
        list[qmq.MovedMessage | qmq.QmqError],
    )
    assert_type(await queue.pause_group("account-4"), qmq.GroupInfo)
    assert_type(await queue.resume_group("account-4"), qmq.GroupInfo)
    assert_type(await queue.skip_group("account-4", 2), int)
    stats = await queue.stats()
    assert_type(stats.top_fair_keys, tuple[qmq.FairKeyStats, ...])
    assert_type(stats.info.settings.fairness, qmq.Fairness | None)
    message = await queue.pop()
    assert_type((message.group_id, message.fair_key), tuple[str, str])

    queue.groups(states=["BUSY"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


async def values(client: qmq.AsyncClient) -> None:
    """Messages with a codec."""
    orders = client.queue("orders", codec=qmq.PydanticCodec(Order))
    assert_type(orders, qmq.AsyncQueue[Order])
    await orders.add(Order(number=1))
    assert_type((await orders.pop()).value, Order)
    async with orders.producer(linger=0.001) as producer:
        assert_type(producer, qmq.AsyncProducer[Order])
        pending = await producer.submit(Order(number=2))
        assert_type(pending, qmq.AsyncPendingAdd)
        assert_type(await pending.result(), qmq.Metadata)
    async with orders.popping(prefetch=10) as popping:
        assert_type(popping, qmq.AsyncPopping[Order])
        async for message in popping:
            assert_type(message.value.number, int)
        assert_type(popping.leftover, tuple[qmq.Message[Order], ...])

    assert_type(client.queue("t", codec=qmq.TextCodec()), qmq.AsyncQueue[str])
    assert_type(client.queue("j").with_codec(qmq.JsonCodec()), qmq.AsyncQueue[Any])
    assert_type(client.queue("c", codec=Celsius()), qmq.AsyncQueue[float])
    assert_type(client.queue("p", codec=qmq.MsgspecCodec(list[Point])), qmq.AsyncQueue[list[Point]])

    await orders.add("no order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def threads() -> None:
    """The same without asyncio."""
    tls = qmq.TLS(ca_file="ca.pem")
    retry = qmq.Retry(duration=10, adds=True)
    with qmq.Client("q.example:10002", tls=tls, token="...", timeout=5, retry=retry) as client:  # noqa: S106
        queue = client.queue("orders", codec=qmq.PydanticCodec(Order))
        assert_type(queue, qmq.Queue[Order])
        assert_type(queue.add(Order(number=1)), qmq.Metadata)
        assert_type(queue.pop().value, Order)
        for message in queue:
            assert_type(message, qmq.Message[Order])
        with queue.producer() as producer, queue.popping(prefetch=5) as popping:
            assert_type(producer.submit(Order(number=2)), qmq.PendingAdd)
            assert_type(next(popping), qmq.Message[Order])
        with queue.consume() as consumer:
            assert_type(consumer, qmq.Consumer[Order])
            for leased in consumer:
                assert_type(leased, qmq.LeasedMessage[Order])
                leased.ack()
        assert_type(queue.lease(), list[qmq.LeasedMessage[Order]])
        assert_type(next(queue.browse()), qmq.BrowsedMessage[Order])
        client.complete(acks=queue.lease(), adds=[(queue, [Order(number=1)])])

        @queue.worker
        def weigh(message: qmq.LeasedMessage[Order]) -> int:
            return message.value.number

        assert_type(weigh, qmq.Worker[Order, int])

        @queue.worker(concurrency=2)
        def ship(message: qmq.LeasedMessage[Order]) -> int:
            return message.value.number

        assert_type(ship, qmq.Worker[Order, int])
        ship.run()
        assert_type(ship(queue.lease()[0]), int)


def errors(queue: qmq.Queue[bytes | str]) -> None:
    """What errors say."""
    try:
        queue.pop()
    except qmq.InvalidArgument as error:
        assert_type(error.field, str)
    except qmq.Unavailable as error:
        assert_type(error.may_have_happened, bool)
        assert_type(error.retry_after_s, float | None)
    except qmq.AddsFailed as error:
        assert_type(error.failed, tuple[qmq.FailedAdd, ...])
        queue.add_batch([failed.message for failed in error.failed])
    except qmq.LimitReached as error:
        assert_type((error.limit, error.value, error.current), tuple[str, int | None, int | None])
    except qmq.QmqError as error:
        assert_type((error.code, error.reason, error.message), tuple[str, str, str])


def server(client: qmq.Client) -> None:
    """What a server tells of itself."""
    found = client.server()
    assert_type(found.role, qmq.ServerRole | None)
    assert_type(found.warnings, tuple[qmq.ServerWarning, ...])
    if found.cluster:
        assert_type(found.cluster.databases[0].standbys[0].lag, timedelta)


async def tests() -> None:
    """What tests of programs use."""
    async with running_broker(seed=1) as (client, clock):
        assert_type(client, qmq.AsyncClient)
        assert_type(clock, ManualClock)
        clock.advance(1.5)
        await asyncio.gather(clock.until_waiting(), client.queue("mail").pop(wait=1))
    with running_broker_in_thread() as (sync_client, _):
        assert_type(sync_client, qmq.Client)
