"""What the client does, whatever its calls go over.

Two files subclass this and give it the fixtures `client`, `sync_client` and `pass_time`:
one with the broker of `qmq.testing`, one with a q that runs. So the one is as good as the
other for the tests of users.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

import qmq
from qmq.client.values import DurabilityName

#: Well-formed, and no queue's.
UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"

Queue = qmq.AsyncQueue[bytes | str]


def a_name() -> str:
    """A name that no queue has."""
    return f"q-{uuid.uuid4().hex[:12]}"


async def texts(messages: AsyncIterator[qmq.Message[bytes | str]]) -> list[str]:
    """Read the payloads of all messages."""
    return [message.text async for message in messages]


#: Lets so many seconds pass for those who wait.
PassTime = Callable[[float], Awaitable[None]]


async def has_waiting(queue: Queue, calls: int = 1) -> None:
    """Wait until so many calls wait for a message of the queue."""
    while (await queue.stats()).waiting < calls:
        pass


class QueuesConformance:
    """Making, finding, describing and deleting queues."""

    async def test_a_new_queue_is_as_it_was_asked_for(self, client: qmq.AsyncClient) -> None:
        """Name, store, limit and tags are kept, and the time is about now."""
        name = a_name()

        queue = await client.new_queue(name, store="MEMORY", limit=7, tags={"team": "web"})

        info = await queue.info()
        assert queue.queue_id == info.name == name
        assert info.store is qmq.Store.MEMORY
        assert info.tags == (qmq.Tag("team", "web"),)
        assert info.tag("team") == "web"
        assert info.tag("none") == ""
        assert uuid.UUID(info.id).version == 4
        assert info.created.tzinfo is UTC
        assert (await queue.stats()).limit == 7

    async def test_a_queue_without_a_name_goes_by_its_id(self, client: qmq.AsyncClient) -> None:
        """Its name is empty then."""
        queue = await client.new_queue(store=qmq.Store.MEMORY)

        info = await queue.info()

        assert (info.id, info.name) == (queue.queue_id, "")

    async def test_a_store_left_out_is_disk(self, client: qmq.AsyncClient) -> None:
        """The server has a data directory, or behaves like one that has."""
        queue = await client.new_queue()

        assert (await queue.info()).store is qmq.Store.DISK

    async def test_a_name_is_taken_once(self, client: qmq.AsyncClient) -> None:
        """The error names the queue that has it."""
        name = a_name()
        first = await (await client.new_queue(name)).info()

        with pytest.raises(qmq.NameTaken) as refusal:
            await client.new_queue(name)

        assert (refusal.value.code, refusal.value.reason) == ("ALREADY_EXISTS", "NAME_TAKEN")
        assert refusal.value.metadata == {"name": name, "queue_id": first.id}

    async def test_ensure_makes_a_queue_once(self, client: qmq.AsyncClient) -> None:
        """However many do so at once; what is there is left as it is."""
        name = a_name()

        queues = await asyncio.gather(
            *(client.ensure_queue(name, limit=limit, store="MEMORY") for limit in (3, 4, 5))
        )
        await queues[0].add("kept")
        again = await client.ensure_queue(name, limit=9)

        infos = [await queue.info() for queue in (*queues, again)]
        assert len({info.id for info in infos}) == 1
        assert (await again.pop()).text == "kept"
        assert (await again.stats()).limit in {3, 4, 5}

    async def test_ensure_tells_of_a_queue_in_another_store(self, client: qmq.AsyncClient) -> None:
        """Who counts on the disk must not be given memory; who names no store takes any."""
        name = a_name()
        await client.new_queue(name, store="MEMORY")

        with pytest.raises(ValueError, match=f"queue '{name}' is there already, and lives in MEM"):
            await client.ensure_queue(name, store="DISK")
        for store in (qmq.Store.MEMORY, None):
            assert (await client.ensure_queue(name, store=store)).queue_id == name

    async def test_ensure_tells_the_log_of_a_queue_that_is_otherwise(
        self, client: qmq.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Two programs that ensure it differently would not find out, but by what it does."""
        name, dead = a_name(), await client.new_queue(store="MEMORY")
        wanted = qmq.QueueSettings(
            lease_duration=0.1,
            delivery_count_max=3,
            dead_letter_queue_id=dead.queue_id,
            back_off=qmq.BackOff(base=1.1, factor=1.7, jitter=0.3),
            durability_min="MEMORY",
            ttl=7,
            overflow="DROP_OLDEST",
            rate=qmq.Rate(messages_per_second=0.3),
            fairness=qmq.Fairness(leased_max=2, weights={"ann": 2}),
        )
        await client.new_queue(name, store="MEMORY", settings=wanted)

        await client.ensure_queue(name)
        await client.ensure_queue(name, settings=wanted)
        assert caplog.messages == []
        await client.ensure_queue(
            name,
            settings=qmq.QueueSettings(
                delivery_count_max=5,
                dead_letter_queue_id="",
                back_off=qmq.BackOff(base=2),
                durability_min="OS",
            ),
        )

        assert caplog.messages == [
            (
                f"queue {name} is there already, and left as it is: delivery_count_max is 3, not 5;"
                f" dead_letter_queue_id is {dead.queue_id}, not none; back_off.base is"
                " 0:00:01.100000, not 0:00:02; durability_min is MEMORY, not OS; `update`"
                " changes that"
            )
        ]

    async def test_a_text_is_no_batch(self, client: qmq.AsyncClient) -> None:
        """Its characters are not messages."""
        queue = await client.ensure_queue(a_name(), store="MEMORY")

        with pytest.raises(TypeError, match="a single one is for add"):
            await queue.add_batch("abc")
        assert (await queue.stats()).ready == 0

    @pytest.mark.parametrize("queue_id", [UNKNOWN_ID, "no-such-queue", "nor this one"])
    async def test_each_call_on_no_queue_says_so(
        self, client: qmq.AsyncClient, queue_id: str
    ) -> None:
        """By id as by name, whatever the call."""
        queue = client.queue(queue_id)
        calls = [
            queue.add("x"),
            queue.add_batch(["x"]),
            queue.pop(),
            queue.pop(wait=1),
            queue.pop_batch(1),
            queue.peek(),
            queue.info(),
            queue.stats(),
            queue.tag("a", "b"),
            queue.untag("a", "b"),
        ]

        for call in calls:
            with pytest.raises(qmq.QueueNotFound, match=queue_id):
                await call

    async def test_deleting_makes_sure_that_it_is_gone(self, client: qmq.AsyncClient) -> None:
        """That it is gone already is no error."""
        queue = await client.new_queue(a_name())
        await queue.add("x")

        await queue.delete()
        await queue.delete()
        await client.queue(UNKNOWN_ID).delete()

        with pytest.raises(qmq.QueueNotFound):
            await queue.info()

    async def test_tags_come_and_go(self, client: qmq.AsyncClient) -> None:
        """One key may have several values; doing it twice is no error."""
        queue = await client.new_queue(tags=[("team", "web"), qmq.Tag("team", "mobile")])

        for _ in range(2):
            await queue.tag("env", "test")
            await queue.untag("team", "web")

        assert (await queue.info()).tags == (qmq.Tag("team", "mobile"), qmq.Tag("env", "test"))

    async def test_queues_are_listed_in_order_of_creation(self, client: qmq.AsyncClient) -> None:
        """With their stats as without."""
        ids = [(await client.new_queue(store="MEMORY")).queue_id for _ in range(3)]

        listed = [info.id for info in await client.list_queues() if info.id in ids]
        counted = [stats.info.id for stats in await client.stats() if stats.info.id in ids]

        assert listed == counted == ids

    async def test_queues_are_listed_by_selector(self, client: qmq.AsyncClient) -> None:
        """By their tags; one that is wrong is refused."""
        team = a_name()
        for env in ("prod", "stage", "test"):
            await client.new_queue(tags={"team": team, "env": env})

        selector = f"team={team},env in (prod,stage)"
        listed = await client.list_queues(selector=selector)

        envs = [tag.value for info in listed for tag in info.tags if tag.key == "env"]
        assert envs == ["prod", "stage"]
        with pytest.raises(qmq.InvalidArgument, match="selector: at its end: expected a value"):
            await client.list_queues(selector="team=")

    async def test_stats_count(self, client: qmq.AsyncClient) -> None:
        """What is there, and what went through."""
        queue = await client.new_queue()
        await queue.add_batch(["a", "b", "c"])
        await queue.pop()

        stats = await queue.stats()

        assert (stats.ready, stats.enqueued_total, stats.consumed_total) == (2, 3, 1)
        assert (stats.waiting, stats.limit) == (0, -1)
        assert stats.ready_bytes > 2 * 36
        assert isinstance(stats.oldest_age, timedelta)
        await queue.drain().__anext__()
        await queue.pop()
        assert (await queue.stats()).oldest_age is None

    @pytest.mark.parametrize(
        ("call", "field"),
        [
            ({"limit": -2}, "limit"),
            ({"name": "no spaces"}, "name"),
            ({"tags": {"k" * 1025: ""}}, "tags[0].key"),
        ],
    )
    async def test_what_breaks_a_rule_is_refused_by_name(
        self, client: qmq.AsyncClient, call: dict[str, object], field: str
    ) -> None:
        """The error's field is that of the wire, and its message begins with it."""
        with pytest.raises(qmq.InvalidArgument) as refusal:
            await client.new_queue(**call)  # type: ignore[arg-type]

        assert refusal.value.field == field
        assert refusal.value.message.startswith(f"{field}: ")
        assert refusal.value.code == "INVALID_ARGUMENT"


class MessagesConformance:
    """Adding, popping, peeking, waiting."""

    @pytest.fixture(params=["MEMORY", "DISK"])
    async def queue(self, client: qmq.AsyncClient, request: pytest.FixtureRequest) -> Queue:
        """A new queue."""
        return await client.new_queue(store=request.param)

    async def test_a_message_comes_out_as_it_went_in(self, queue: Queue) -> None:
        """Payload, tags in order, id and time, peeked at and popped."""
        tags = [("kind", "greeting"), ("lang", "en"), ("lang", "de")]

        added = await queue.add(b"\x00\xffhello", tags=tags)
        peeked = await queue.peek()
        popped = await queue.pop()

        assert peeked == popped
        assert popped.payload == popped.value == b"\x00\xffhello"
        assert (popped.id, popped.created_ns, popped.tags) == (
            added.id,
            added.created_ns,
            added.tags,
        )
        assert popped.tags == tuple(qmq.Tag(*tag) for tag in tags)
        assert popped.tag("lang") == "en"
        assert isinstance(popped.created, datetime)
        assert abs(popped.created.timestamp() - popped.created_ns / 1e9) < 2e-6

    @pytest.mark.parametrize(
        "payload",
        ["", "hällo", b"", bytes(1_000_000)],
        ids=["no text", "text", "no bytes", "many bytes"],
    )
    async def test_payloads_of_any_kind(self, queue: Queue, payload: bytes | str) -> None:
        """Empty ones, long ones; text is UTF-8."""
        await queue.add(payload)

        popped = await queue.pop()

        assert popped.payload == (payload.encode() if isinstance(payload, str) else payload)

    async def test_first_in_first_out(self, queue: Queue) -> None:
        """Over single messages and batches alike."""
        await queue.add("a")
        added = await queue.add_batch(["b", "c"], tags={"n": "1"})
        await queue.add("d")

        messages = [*await queue.pop_batch(3), await queue.pop()]

        assert [message.text for message in messages] == ["a", "b", "c", "d"]
        assert [message.id for message in messages[1:3]] == [meta.id for meta in added]
        assert [message.tag("n") for message in messages] == ["", "1", "1", ""]

    @pytest.mark.parametrize(
        ("store", "asked", "told"),
        [
            (qmq.Store.MEMORY, None, qmq.Durability.MEMORY),
            (qmq.Store.MEMORY, "MEMORY", qmq.Durability.MEMORY),
            (qmq.Store.DISK, None, qmq.Durability.FSYNC),
            (qmq.Store.DISK, "MEMORY", qmq.Durability.MEMORY),
            (qmq.Store.DISK, "OS", qmq.Durability.OS),
            (qmq.Store.DISK, qmq.Durability.FSYNC, qmq.Durability.FSYNC),
        ],
    )
    async def test_an_add_says_how_durable_it_is(
        self,
        client: qmq.AsyncClient,
        store: qmq.Store,
        asked: DurabilityName | None,
        told: qmq.Durability,
    ) -> None:
        """However it is made: what was asked for, or else the most that the store can do."""
        queue = await client.new_queue(store=store)

        added = [await queue.add("a", durability=asked)]
        added += await queue.add_batch(["b", "c"], durability=asked)
        async with queue.producer(durability=asked) as producer:
            added.append(await producer.add("d"))
        leased = await queue.lease(2, durability=asked)
        added += await client.complete(acks=leased, adds=[(queue, ["e", "f"])], durability=asked)

        assert [each.durability for each in added] == [told] * 6
        popped = await queue.pop(durability=asked)
        rest = await queue.pop_batch(9, durability=asked)
        assert [each.text for each in (popped, *rest)] == ["c", "d", "e", "f"]

    async def test_a_queue_has_a_least_durability(self, client: qmq.AsyncClient) -> None:
        """Who asks for less is told that it is more."""
        settings = qmq.QueueSettings(durability_min="OS")
        queue = await client.new_queue(store="DISK", settings=settings)

        asked: list[DurabilityName | None] = ["MEMORY", "OS", "FSYNC", None]
        told = [(await queue.add("x", durability=level)).durability.name for level in asked]

        assert told == ["OS", "OS", "FSYNC", "FSYNC"]

    async def test_more_durability_than_a_store_has_is_refused(
        self, client: qmq.AsyncClient, queue: Queue
    ) -> None:
        """By every call that can ask for it, and none of them does anything."""
        store = (await queue.info()).store
        more: DurabilityName = "OS" if store is qmq.Store.MEMORY else "REPLICATED"
        await queue.add_batch(["a", "b"])
        (message,) = await queue.lease()

        for call in (
            queue.add("x", durability=more),
            queue.add_batch(["x"], durability=more),
            queue.pop(durability=more),
            queue.pop(wait=1, durability=more),
            queue.pop_batch(1, durability=more),
            anext(queue.drain(durability=more)),
            queue.lease(durability=more),
            queue.ack([message], durability=more),
            queue.nack([message], durability=more),
            queue.extend([message], durability=more),
            message.ack(durability=more),
            message.extend(60, durability=more),
            message.release(durability=more),
            message.fail(durability=more),
            message.reject(durability=more),
            client.complete(acks=[message], adds=[(queue, ["x"])], durability=more),
        ):
            with pytest.raises(qmq.DurabilityNotReached, match=f"as durable as {more}") as refusal:
                await call
            assert refusal.value.code == "FAILED_PRECONDITION"
            assert refusal.value.reason == "DURABILITY_NOT_REACHED"
            assert refusal.value.metadata["asked"] == more
        for using in (self._produce, self._pop_ahead, self._consume):
            with pytest.raises(qmq.DurabilityNotReached):
                await using(queue, more)

        stats = await queue.stats()
        assert (stats.ready, stats.leased, stats.enqueued_total) == (1, 1, 2)
        assert not message.is_lost
        await message.ack()

    async def _produce(self, queue: Queue, durability: DurabilityName) -> None:
        async with queue.producer(durability=durability) as producer:
            await producer.add("x")

    async def _pop_ahead(self, queue: Queue, durability: DurabilityName) -> None:
        async with queue.popping(durability=durability) as messages:
            await anext(messages)

    async def _consume(self, queue: Queue, durability: DurabilityName) -> None:
        async with queue.consume(durability=durability) as messages:
            await anext(messages)

    async def test_an_empty_queue_says_so(self, queue: Queue) -> None:
        """As an error of its own where one message is asked for, as nothing otherwise."""
        for call in (queue.pop(), queue.peek()):
            with pytest.raises(qmq.QueueEmpty, match="is empty") as refusal:
                await call
            assert (refusal.value.code, refusal.value.reason) == ("NOT_FOUND", "QUEUE_EMPTY")
            assert "queue_id" in refusal.value.metadata

        assert await queue.pop_batch(10) == []
        assert await texts(queue.drain()) == []

    async def test_waiting_in_vain_has_an_end(self, queue: Queue, pass_time: PassTime) -> None:
        """The same end as not waiting."""
        pop = asyncio.create_task(queue.pop(wait=0.2))
        await pass_time(0.2)
        with pytest.raises(qmq.QueueEmpty, match="is empty"):
            await pop

        pop_batch = asyncio.create_task(queue.pop_batch(10, wait=timedelta(seconds=0.2)))
        await pass_time(0.2)
        assert await pop_batch == []

        async with queue.popping(wait=0.2) as messages:
            rest = asyncio.create_task(texts(messages))
            await pass_time(0.2)
            assert await rest == []

    async def test_a_full_queue_says_so(self, client: qmq.AsyncClient) -> None:
        """A batch is taken as a whole or not at all, unless part of it is welcome."""
        queue = await client.new_queue(store="MEMORY", limit=3)
        await queue.add("a")

        with pytest.raises(qmq.QueueFull, match="has reached limit of 3 messages") as refusal:
            await queue.add_batch(["b", "c", "d"])
        assert (await queue.stats()).ready == 1
        stored = await queue.add_batch(["b", "c", "d"], partial=True)
        with pytest.raises(qmq.QueueFull):
            await queue.add("d")
        with pytest.raises(qmq.QueueFull):
            await queue.add_batch(["d"], partial=True)

        assert len(stored) == 2
        assert refusal.value.code == "RESOURCE_EXHAUSTED"
        assert refusal.value.metadata["value"] == "3"
        assert await texts(queue.drain()) == ["a", "b", "c"]

    async def test_what_is_too_large_is_refused(self, queue: Queue) -> None:
        """Before it is stored, with the limit."""
        for call in (
            queue.add(bytes(5_000_000)),
            queue.add_batch([bytes(4_190_000), bytes(90_000)]),
        ):
            with pytest.raises(qmq.MessageTooLarge) as refusal:
                await call
            assert refusal.value.code == "RESOURCE_EXHAUSTED"

        assert await queue.pop_batch(10) == []

    async def test_batches_have_bounds(self, queue: Queue) -> None:
        """1,000 messages, one way and the other."""
        with pytest.raises(qmq.InvalidArgument, match=r"^messages: "):
            await queue.add_batch(["x"] * 1_001)
        with pytest.raises(qmq.InvalidArgument, match=r"^messages_max: "):
            await queue.pop_batch(1_001)
        with pytest.raises(qmq.InvalidArgument, match=r"^messages_max: "):
            await queue.pop_batch(0)

        assert await queue.add_batch([]) == []

    async def test_who_waits_gets_the_next_message(self, queue: Queue) -> None:
        """First come, first served."""
        waiting = []
        for count in range(1, 4):
            waiting.append(asyncio.create_task(queue.pop(wait=None if count == 2 else 50)))
            await has_waiting(queue, count)

        await queue.add_batch(["a", "b"])
        await queue.add("c")

        assert [(await pop).text for pop in waiting] == ["a", "b", "c"]

    async def test_a_batch_is_waited_for_too(self, queue: Queue) -> None:
        """It comes with the first message, and has what is there then."""
        waiting = asyncio.create_task(queue.pop_batch(10, wait=timedelta(seconds=50)))
        await has_waiting(queue)

        await queue.add("a")

        assert [message.text for message in await waiting] == ["a"]

    async def test_who_is_cancelled_while_waiting_takes_nothing(self, queue: Queue) -> None:
        """The message is for the next one."""
        waiting = asyncio.create_task(queue.pop(wait=50))
        await has_waiting(queue)

        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await queue.add("a")

        assert (await queue.pop(wait=50)).text == "a"

    async def test_iteration_waits_for_ever(self, queue: Queue) -> None:
        """It hands out what is there and what comes, and ends when it is cancelled."""
        await queue.add("a")
        got: asyncio.Queue[str] = asyncio.Queue()

        async def read() -> None:
            async for message in queue:
                await got.put(message.text)

        reader = asyncio.create_task(read())
        await has_waiting(queue)
        await queue.add("b")
        both = [await got.get(), await got.get()]
        await has_waiting(queue)

        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await queue.add("c")

        assert both == ["a", "b"]
        assert got.empty()
        assert (await queue.pop(wait=50)).text == "c"

    async def test_draining_ends_with_the_last_message(self, queue: Queue) -> None:
        """In order."""
        await queue.add_batch([str(n) for n in range(20)])

        assert await texts(queue.drain()) == [str(n) for n in range(20)]

    async def test_a_codec_makes_a_queue_of_values(self, queue: Queue) -> None:
        """The payload stays what it is for those who do not know the codec."""
        values = queue.with_codec(qmq.JsonCodec())

        await values.add({"n": 1})
        await values.add_batch([[2], "three"])
        async with values.producer() as producer:
            await producer.add(None)

        assert (await queue.peek()).payload == b'{"n":1}'
        assert (await queue.peek()).json() == {"n": 1}
        assert [message.value async for message in values.drain()] == [{"n": 1}, [2], "three", None]

    async def test_what_is_no_payload_is_refused_before_it_is_sent(self, queue: Queue) -> None:
        """The error tells what to do."""
        with pytest.raises(TypeError, match="give the queue a codec"):
            await queue.add({"n": 1})  # type: ignore[arg-type]
