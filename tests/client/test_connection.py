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


async def test_adds_are_repeated_on_demand() -> None:
    """The message may be stored twice then."""
    twice = qmq.Retry(duration=60, pause=0, adds=True)

    assert await attempts("add", [LOST, ADDED], twice) == 2
    assert await attempts("pop", [LOST], twice) == "ConnectionLost after 1"


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
    assert time.monotonic() - start < 1


async def test_repeats_share_the_time_that_the_call_may_take() -> None:
    """What a call is asked to wait comes on top of it."""
    channel = ScriptedChannel([NOT_REACHED, POPPED])
    queue = AsyncClient.over(channel, timeout=20, retry=EAGER).queue("mail")

    await queue.pop(wait=40)

    first_s, second_s = channel.timeouts_s
    assert 59 < second_s < first_s <= 60


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
