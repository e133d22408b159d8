"""Which calls are repeated, and for how long."""

import itertools
import time

import pytest

import qmq
from qmq.client._async.client import AsyncClient
from qmq.client._sync.client import Client
from qmq.wire import q_pb2 as pb
from tests.client.scripted import Answer, ScriptedChannel, ScriptedSyncChannel

#: Repeats at once, and for long enough.
EAGER = qmq.Retry(duration=60, pause=0)

INFO = pb.GetQueueResponse(queue=pb.Queue(name="mail")).SerializeToString()
ADDED = pb.AddResponse(message=pb.Message(meta=pb.Metadata(id="1"))).SerializeToString()
POPPED = pb.PopResponse(message=pb.Message(payload=b"x")).SerializeToString()

NOT_REACHED = qmq.ServerNotReached("no server")
LOST = qmq.ConnectionLost("no answer")


async def attempts(call: str, answers: list[Answer], retry: qmq.Retry = EAGER) -> int | str:
    """How many times a call was made until it succeeded, or what it failed with."""
    channel = ScriptedChannel(answers)
    queue = AsyncClient.over(channel, retry=retry).queue("mail")
    arguments: dict[str, tuple[str, ...]] = {"add": ("x",), "tag": ("k", "v"), "untag": ("k", "v")}
    try:
        await getattr(queue, call)(*arguments.get(call, ()))
    except qmq.QmqError as error:
        return f"{type(error).__name__} after {len(channel.asked)}"
    return len(channel.asked)


@pytest.mark.parametrize(
    "nothing_done", [NOT_REACHED, qmq.ServerBusy("!"), qmq.ServerShuttingDown("!")]
)
@pytest.mark.parametrize(
    ("call", "reply"),
    [
        ("info", INFO),
        ("add", ADDED),
        ("pop", POPPED),
        ("tag", b""),
        ("untag", b""),
        ("delete", b""),
    ],
)
async def test_what_has_done_nothing_is_repeated(
    call: str, reply: bytes, nothing_done: qmq.Unavailable
) -> None:
    """Whatever the call."""
    assert await attempts(call, [nothing_done, nothing_done, reply]) == 3


@pytest.mark.parametrize(
    ("call", "reply"), [("info", INFO), ("tag", b""), ("untag", b""), ("delete", b"")]
)
async def test_what_may_happen_twice_is_repeated(call: str, reply: bytes) -> None:
    """When its answer was lost."""
    assert await attempts(call, [LOST, qmq.Unavailable("?"), reply]) == 3


@pytest.mark.parametrize("call", ["add", "pop"])
async def test_what_may_not_happen_twice_is_not_repeated(call: str) -> None:
    """When its answer was lost."""
    assert await attempts(call, [NOT_REACHED, LOST]) == "ConnectionLost after 2"


#: Repeats adds too.
ADDS = qmq.Retry(duration=60, pause=0, adds=True)


async def test_adds_are_repeated_on_demand() -> None:
    """They, and nothing else."""
    assert await attempts("add", [LOST, ADDED], ADDS) == 2
    assert await attempts("pop", [LOST], ADDS) == "ConnectionLost after 1"


def sent_ids(channel: ScriptedChannel) -> list[list[str]]:
    """The dedup_ids of the messages of each call that was made."""
    return [
        [pb.AddRequest.FromString(request).message.options.dedup_id]
        if method == "Add"
        else [each.options.dedup_id for each in pb.AddBatchRequest.FromString(request).messages]
        for method, request in zip(channel.asked, channel.requests, strict=True)
    ]


def batch_reply(count: int, *known: int) -> bytes:
    """The answer to a batch of so many messages, of which some were there already."""
    metas = [pb.Metadata(id=str(n)) for n in range(count)]
    return pb.AddBatchResponse(messages=metas, deduplicated=known).SerializeToString()


KNOWN = pb.AddResponse(
    message=pb.Message(meta=pb.Metadata(id="1")), deduplicated=True
).SerializeToString()


async def test_an_add_is_repeated_under_an_id_that_the_client_makes() -> None:
    """So it is stored once; only of an id of their own users are told that it was known."""
    channel = ScriptedChannel(
        [
            *(LOST, KNOWN),
            *(LOST, batch_reply(3, 0, 1, 2)),
            batch_reply(1, 0),
            *(LOST, batch_reply(1, 0)),
        ]
    )
    queue = AsyncClient.over(channel, retry=ADDS).queue("mail")

    added = [await queue.add("x")]
    added += await queue.add_batch(["a", qmq.NewMessage("b", dedup_id="own"), "c"])
    async with queue.producer() as producer:
        added += [await producer.add("y", dedup_id="mine"), await producer.add("z")]

    assert [each.deduplicated for each in added] == [False, False, True, False, True, False]
    add, add_again, batch, batch_again, mine, made, made_again = sent_ids(channel)
    assert (add, batch, made) == (add_again, batch_again, made_again)
    assert (batch[1], mine) == ("own", ["mine"])
    by_client = {*add, batch[0], batch[2], *made}
    assert len(by_client) == 4
    assert all(by_client)


@pytest.mark.parametrize("retry", [EAGER, qmq.Retry(duration=0, adds=True)])
async def test_no_id_is_made_that_is_of_no_use(retry: qmq.Retry) -> None:
    """Since the server has to remember it; such adds are not repeated."""
    channel = ScriptedChannel([ADDED, batch_reply(2), batch_reply(1), LOST, LOST, LOST])
    queue = AsyncClient.over(channel, retry=retry).queue("mail")

    await queue.add("x")
    await queue.add_batch(["a", "b"])
    async with queue.producer() as producer:
        await producer.add("y")
        with pytest.raises(qmq.ConnectionLost):
            await queue.add("x")
        with pytest.raises(qmq.ConnectionLost):
            await queue.add_batch(["a", "b"])
        with pytest.raises(qmq.ConnectionLost):
            await producer.add("y")

    assert {each for ids in sent_ids(channel) for each in ids} == {""}


async def test_what_has_an_id_of_its_own_is_repeated() -> None:
    """A batch if that is so of all of its messages."""
    one, two = qmq.NewMessage("a", dedup_id="1"), qmq.NewMessage("b", dedup_id="2")
    channel = ScriptedChannel(
        [
            *(LOST, KNOWN),
            *(LOST, batch_reply(2, 1)),
            LOST,
            *(LOST, batch_reply(2, 0)),
            LOST,
        ]
    )
    queue = AsyncClient.over(channel, retry=EAGER).queue("mail")

    assert (await queue.add("x", dedup_id="0")).deduplicated
    assert [each.deduplicated for each in await queue.add_batch([one, two])] == [False, True]
    with pytest.raises(qmq.ConnectionLost):
        await queue.add_batch([one, "c"])
    async with queue.producer(linger=60) as producer:
        pending = [await producer.submit(text, dedup_id=text) for text in "ab"]
        await producer.flush()
        results = [await each.result() for each in pending]
        pending = [await producer.submit("c", dedup_id="c"), await producer.submit("d")]
        with pytest.raises(qmq.AddsFailed) as failure:
            await producer.flush()

    assert [each.deduplicated for each in results] == [True, False]
    assert [each.message for each in failure.value.failed] == [
        qmq.NewMessage(b"c", dedup_id="c"),
        qmq.NewMessage(b"d"),
    ]


@pytest.mark.parametrize(
    "refusal", [qmq.QueueEmpty("!"), qmq.DeadlineExceeded("!"), qmq.QmqError("!", code="INTERNAL")]
)
async def test_a_refusal_is_not_repeated(refusal: qmq.QmqError) -> None:
    """It would be refused again."""
    assert await attempts("info", [refusal]) == f"{type(refusal).__name__} after 1"


async def test_repeating_has_an_end() -> None:
    """The last error is raised; a duration of 0 never repeats."""
    never = qmq.Retry(duration=0)
    briefly = qmq.Retry(duration=0.05, pause=0.02)

    assert await attempts("info", [NOT_REACHED], never) == "ServerNotReached after 1"
    outcome = await attempts("info", [NOT_REACHED] * 100, briefly)

    assert outcome in {f"ServerNotReached after {count}" for count in range(1, 6)}


async def test_the_server_says_when_it_is_worth_it() -> None:
    """A pause that is longer than repeating lasts is not waited for."""
    later = qmq.ServerBusy("busy", retry_after_s=10)

    start = time.monotonic()
    outcome = await attempts("add", [later], qmq.Retry(duration=5))

    assert outcome == "ServerBusy after 1"
    assert time.monotonic() - start < 5


async def test_repeats_share_the_time_that_the_call_may_take() -> None:
    """What a call is asked to wait comes on top of it."""
    channel = ScriptedChannel([NOT_REACHED, POPPED])
    queue = AsyncClient.over(channel, timeout=20, retry=EAGER).queue("mail")

    await queue.pop(wait=40)

    first_s, second_s = channel.timeouts_s
    assert 50 < second_s < first_s <= 60


async def test_a_long_wait_is_made_of_several_calls() -> None:
    """None of which is longer than the server allows."""
    empty = qmq.QueueEmpty("empty")
    channel = ScriptedChannel([empty, empty, empty])
    queue = AsyncClient.over(channel, timeout=1).queue("mail")

    with pytest.raises(qmq.QueueEmpty):
        await queue.pop(wait=130)

    assert [round(timeout_s - 1) for timeout_s in channel.timeouts_s] == [60, 60, 10]


async def test_a_wait_without_end_goes_on() -> None:
    """For one message as for a batch."""
    batch = pb.PopBatchResponse(messages=[pb.Message(payload=b"x")]).SerializeToString()
    channel = ScriptedChannel([qmq.QueueEmpty("!"), POPPED, b"", b"", batch])
    queue = AsyncClient.over(channel).queue("mail")

    assert (await queue.pop(wait=None)).text == "x"
    assert [message.text for message in await queue.pop_batch(5, wait=None)] == ["x"]

    assert channel.asked == ["Pop", "Pop", "PopBatch", "PopBatch", "PopBatch"]


async def test_who_waits_for_ever_outlives_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """By iteration and by popping; the log tells once that the server is away."""
    batch = pb.PopBatchResponse(messages=[pb.Message(payload=b"x")]).SerializeToString()
    away: list[Answer] = [LOST, NOT_REACHED, qmq.DeadlineExceeded("no answer")]
    retry = qmq.Retry(duration=0, pause=0.001)

    async for message in AsyncClient.over(ScriptedChannel([*away, batch]), retry=retry).queue("m"):
        assert message.text == "x"
        break
    told = [record.getMessage() for record in caplog.records]
    queue = AsyncClient.over(ScriptedChannel([*away, batch]), retry=retry).queue("m")
    async with queue.popping() as messages:
        assert (await anext(messages)).text == "x"

    assert told == ["waiting for queue m: no answer; trying again"]


async def test_who_does_not_wait_for_ever_is_told() -> None:
    """That the server is away."""
    retry = qmq.Retry(duration=0)

    async with (
        AsyncClient.over(ScriptedChannel([LOST]), retry=retry)
        .queue("m")
        .popping(wait=5) as messages
    ):
        with pytest.raises(qmq.ConnectionLost):
            await anext(messages)


def test_threads_repeat_alike() -> None:
    """The same code, generated."""
    channel = ScriptedSyncChannel([NOT_REACHED, LOST, INFO, NOT_REACHED, LOST])
    queue = Client.over(channel, retry=EAGER).queue("mail")

    assert queue.info().name == "mail"
    with pytest.raises(qmq.ConnectionLost):
        queue.add("x")

    assert channel.asked == ["GetQueue"] * 3 + ["Add"] * 2


def test_pauses_grow_up_to_a_bound_and_differ() -> None:
    """Each is between half of its length and all of it."""
    retry = qmq.Retry(pause=0.1, pause_max=1)

    runs = [[*itertools.islice(retry.pauses_s(), 8)] for _ in range(20)]

    for longest, pauses in zip(
        [0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1], zip(*runs, strict=True), strict=True
    ):
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1
