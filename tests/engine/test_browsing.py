"""Browse shows a queue page by page."""

from pathlib import Path

import pytest

from qmq.engine.broker import Broker
from qmq.envelope import encode_tags
from qmq.errors import InvalidArgument
from qmq.limits import BROWSED_MESSAGES_MAX
from qmq.testing import START_NS, ManualClock
from qmq.values import NS_PER_S, MessageState, NackKind, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.engine.looking import (
    DELAYED,
    LEASED,
    READY,
    REPLY_BYTES_MAX,
    CountingStore,
    broker_on_disk,
    broker_to_browse,
    browsed,
    in_each_state,
    largest,
    leased,
    page,
    payloads,
    put,
    put_with,
)


@pytest.fixture
def store() -> CountingStore:
    """Return the store of the server."""
    return CountingStore()


@pytest.fixture
async def broker(clock: ManualClock, store: CountingStore) -> Broker:
    """Return a broker with the empty queue "jobs", whose dead letters go to "dead"."""
    return await broker_to_browse(store, clock)


async def test_messages_are_shown_in_order_whatever_their_state(
    broker: Broker, clock: ManualClock
) -> None:
    """Those on lease, kept back, given back and never handed out, as they were added."""
    await in_each_state(broker, clock)

    found, token = await page(broker)

    assert [(each.message.payload, each.state) for each in found] == [
        (b"expired", READY),
        (b"leased", LEASED),
        (b"released", READY),
        (b"delayed", DELAYED),
        (b"fresh", READY),
    ]
    assert token == ""


async def test_each_message_says_who_has_it_and_until_when(
    broker: Broker, clock: ManualClock
) -> None:
    """A lease has a holder and an end, a delay has an end, what is ready has neither."""
    await in_each_state(broker, clock)

    found, _ = await page(broker)

    assert [
        (each.consumer, each.delivery_count, each.until.ToNanoseconds() and each.until.seconds)
        for each in found
    ] == [
        ("", 1, 0),
        ("worker", 1, START_NS // NS_PER_S + 20 + 30),
        ("", 0, 0),
        ("", 1, START_NS // NS_PER_S + 20 + 100),
        ("", 0, 0),
    ]
    assert [each.HasField("until") for each in found] == [False, True, False, True, False]
    # One nanosecond later each, since no two have the same place.
    assert [each.age.ToNanoseconds() for each in found] == [30 * NS_PER_S - n for n in range(5)]


async def test_attempts_are_shown(broker: Broker, clock: ManualClock) -> None:
    """What a Lease would tell of a message's history is told here as well."""
    await in_each_state(broker, clock)

    found, _ = await page(broker)

    outcome = pb.Attempt.Outcome
    assert [
        [(attempt.consumer, attempt.outcome) for attempt in each.message.attempts] for each in found
    ] == [
        [("gone", outcome.EXPIRED)],
        [],
        [("worker", outcome.RELEASED)],
        [("worker", outcome.FAILED)],
        [],
    ]


async def test_browsing_changes_nothing(broker: Broker, clock: ManualClock) -> None:
    """Not what is counted, nor what is handed out next."""
    await in_each_state(broker, clock)
    before = await broker.stats("jobs", 0, "")

    await browsed(broker, page_size=1)
    await browsed(broker, tags=(Tag("k", "v"),))

    assert await broker.stats("jobs", 0, "") == before
    _, second = await leased(broker, 2)
    assert second.endswith("-00000002")


async def test_paused_queue_can_be_browsed(broker: Broker) -> None:
    """A pause is when one wants to look."""
    await put(broker, b"x")
    await broker.pause("jobs", adds=True)

    assert payloads(await browsed(broker)) == [b"x"]


async def test_empty_queue_is_an_empty_page(broker: Broker) -> None:
    """And no error."""
    assert await page(broker) == ([], "")


async def test_leases_that_have_ended_meanwhile_have_ended(
    broker: Broker, clock: ManualClock
) -> None:
    """Time passes whether somebody looks or not."""
    await put(broker, b"x")
    await leased(broker)
    (before,), _ = await page(broker)

    clock.advance(30)
    (after,), _ = await page(broker)

    assert (before.state, after.state) == (LEASED, READY)


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 7])
async def test_pages_together_are_the_queue(
    broker: Broker, clock: ManualClock, page_size: int
) -> None:
    """Each message is on one page, and the last page has no token."""
    await in_each_state(broker, clock)
    whole = payloads(await browsed(broker))

    found, token = await page(broker, page_size=page_size)
    sizes = [len(found)]
    while token:
        more, token = await page(broker, token, page_size=page_size)
        sizes.append(len(more))
        found += more

    assert payloads(found) == whole
    assert all(size == page_size for size in sizes[:-1])
    assert 1 <= sizes[-1] <= page_size


async def test_page_holds_a_hundred_unless_told_otherwise(broker: Broker) -> None:
    """Few enough to read, and up to 1,000 on request."""
    await put(broker, *[b"x"] * 101)

    assert len((await page(broker))[0]) == 100
    assert len((await page(broker, page_size=1_000))[0]) == 101


async def test_what_stays_is_shown_once_whatever_comes_and_goes(broker: Broker) -> None:
    """The token is a place in the order, which a message never changes."""
    await put(broker, *(b"%d" % n for n in range(10)))
    first, token = await page(broker, page_size=4)

    await broker.pop("jobs")
    held = await leased(broker, 5)
    await broker.leasing.ack("jobs", held[-1:])
    await broker.leasing.nack("jobs", held[:1], NackKind.RELEASE)
    await put(broker, b"new")
    rest, end = await page(broker, token, page_size=10)

    assert payloads(first) == [b"0", b"1", b"2", b"3"]
    assert payloads(rest) == [b"4", b"6", b"7", b"8", b"9", b"new"]
    assert end == ""


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((MessageState.READY,), [b"expired", b"released", b"fresh"]),
        ((MessageState.LEASED,), [b"leased"]),
        ((MessageState.DELAYED,), [b"delayed"]),
        ((MessageState.LEASED, MessageState.DELAYED), [b"leased", b"delayed"]),
    ],
)
async def test_filter_by_state(
    broker: Broker, clock: ManualClock, states: tuple[MessageState, ...], expected: list[bytes]
) -> None:
    """Only those in one of the states, page by page."""
    await in_each_state(broker, clock)

    assert payloads(await browsed(broker, states=states, page_size=1)) == expected


async def test_filter_by_tags_takes_those_that_have_all(broker: Broker) -> None:
    """Key and value count, the order does not."""
    red, big, small = Tag("colour", "red"), Tag("size", "big"), Tag("size", "small")
    await put(broker, b"none")
    await put(broker, b"both", tags=(red, big))
    await put(broker, b"turned", tags=(big, red))
    await put(broker, b"small", tags=(red, small))
    await put(broker, b"sly", tags=(Tag("", f"x{encode_tags([big]).decode()}"), red))

    assert payloads(await browsed(broker, tags=(red, big))) == [b"both", b"turned"]
    assert payloads(await browsed(broker, tags=(red,), page_size=1)) == [
        b"both",
        b"turned",
        b"small",
        b"sly",
    ]
    assert payloads(await browsed(broker, tags=(Tag("size", ""),))) == []


@pytest.mark.parametrize("page_size", [1, 100])
@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("colour=red", [b"red", b"both"]),
        ("colour in (red, blue), !size", [b"red", b"blue"]),
        ("colour=red,colour=blue", [b"both"]),
        ("colour!=red", [b"none", b"blue"]),
        ("size", [b"both"]),
        ("!size", [b"none", b"red", b"blue"]),
        ("colour=green", []),
    ],
)
async def test_filter_by_selector(
    broker: Broker, selector: str, expected: list[bytes], page_size: int
) -> None:
    """On the tags of messages, page by page."""
    red, blue = Tag("colour", "red"), Tag("colour", "blue")
    await put(broker, b"none")
    await put(broker, b"red", tags=(red,))
    await put(broker, b"blue", tags=(blue,))
    await put(broker, b"both", tags=(red, blue, Tag("size", "")))

    found = await browsed(broker, selector=selector, page_size=page_size)

    assert payloads(found) == expected


async def test_filter_by_selector_and_tags(broker: Broker) -> None:
    """Both have to fit."""
    big = Tag("size", "big")
    await put(broker, b"red", tags=(Tag("colour", "red"), big))
    await put(broker, b"blue", tags=(Tag("colour", "blue"), big))
    await put(broker, b"small", tags=(Tag("colour", "blue"),))

    assert payloads(await browsed(broker, tags=(big,), selector="colour!=red")) == [b"blue"]


async def test_selector_that_is_none_is_refused(broker: Broker) -> None:
    """With the place in it."""
    with pytest.raises(InvalidArgument, match=r"^selector: at its end: expected a value"):
        await page(broker, selector="a=")


@pytest.mark.parametrize("page_size", [1, 100])
async def test_filter_by_group_and_fair_key(
    broker: Broker, clock: ManualClock, page_size: int
) -> None:
    """Whatever the state of a message; those without are shown if nothing is asked for."""
    await put_with(broker, b"g", group_id="g")
    await put_with(broker, b"g of k", group_id="g", fair_key="k")
    await put_with(broker, b"h of k", group_id="h", fair_key="k")
    await put(broker, b"plain")
    await leased(broker)
    clock.advance(1)

    async def shown(**wanted: str) -> list[bytes]:
        return payloads(await browsed(broker, page_size=page_size, **wanted))

    assert await shown(group_id="g") == [b"g", b"g of k"]
    assert await shown(fair_key="k") == [b"g of k", b"h of k"]
    assert await shown(group_id="h", fair_key="k") == [b"h of k"]
    assert await shown(group_id="k") == await shown(fair_key="g") == []
    assert len(await shown()) == 4


async def test_dead_letters_are_found_by_the_group_that_they_had(broker: Broker) -> None:
    """A message keeps what it was added with."""
    await put_with(broker, b"bad", group_id="g", fair_key="k")
    await broker.leasing.nack("jobs", await leased(broker), NackKind.REJECT)

    assert payloads(await browsed(broker, queue="dead", group_id="g")) == [b"bad"]
    assert payloads(await browsed(broker, queue="dead", fair_key="j")) == []


async def test_filter_by_age(broker: Broker, clock: ManualClock, store: CountingStore) -> None:
    """How long they have been in the queue, ends included; nothing else is read."""
    for payload in (b"old", b"middle", b"young"):
        await put(broker, payload)
        clock.advance(10)
    store.reads.clear()

    assert payloads((await page(broker, age_min_s=20))[0]) == [b"old", b"middle"]
    assert payloads((await page(broker, age_max_s=20))[0]) == [b"middle", b"young"]
    assert payloads((await page(broker, age_min_s=20, age_max_s=20))[0]) == [b"middle"]
    assert await page(broker, age_min_s=31) == ([], "")
    assert await page(broker, age_max_s=9) == ([], "")
    assert store.reads == [2, 2, 1, 0, 0]


async def test_age_is_that_in_this_queue(broker: Broker, clock: ManualClock) -> None:
    """A dead letter is as old there as it is dead; its metadata tells when it was made."""
    await put(broker, b"x")
    clock.advance(100)
    await broker.leasing.nack("jobs", await leased(broker), NackKind.REJECT)
    clock.advance(5)

    ((found,), _) = await page(broker, queue="dead", age_max_s=5)

    assert found.age.seconds == 5
    assert found.message.meta.created.ToNanoseconds() == START_NS


async def test_clock_that_was_set_back_makes_no_age_below_0(
    broker: Broker, clock: ManualClock
) -> None:
    """What came in the future is 0 seconds old."""
    await put(broker, b"x")
    clock.advance(-1000)

    ((found,), _) = await page(broker, age_max_s=0)

    assert found.HasField("age")
    assert found.age.ToNanoseconds() == 0


async def test_one_call_looks_at_so_many_messages_and_no_more(
    broker: Broker, store: CountingStore
) -> None:
    """A page may be empty and yet not be the last."""
    await broker.add_batch("jobs", [(b"", b"x")] * BROWSED_MESSAGES_MAX)
    await broker.add_batch("jobs", [(b"", b"x")] * (BROWSED_MESSAGES_MAX - 1))
    rare = Tag("rare", "")
    await put(broker, b"wanted", tags=(rare,))
    store.reads.clear()

    first, token = await page(broker, tags=(rare,))
    second, end = await page(broker, token, tags=(rare,))

    assert (payloads(first), payloads(second), end) == ([], [b"wanted"], "")
    assert store.reads == [BROWSED_MESSAGES_MAX, BROWSED_MESSAGES_MAX]


async def test_those_of_other_states_are_looked_at_without_being_read(
    broker: Broker, store: CountingStore
) -> None:
    """The index tells the state of a message."""
    await broker.add_batch("jobs", [(b"", b"x")] * 10)
    await leased(broker, 3)
    store.reads.clear()

    found, token = await page(broker, states=(MessageState.LEASED,))

    assert (len(found), token) == (3, "")
    assert store.reads == [3]


async def test_page_is_no_larger_than_a_reply_may_be(broker: Broker) -> None:
    """Histories, names and all; the rest comes on further pages."""
    count = 20
    await put(broker, *(bytes([n]) * 60_000 for n in range(count)))
    for _ in range(3):
        for _ in range(count):
            held = await leased(broker, 1, "c" * 200)
            await broker.leasing.nack("jobs", held, NackKind.FAIL, delay_ns=0, reason="r" * 1_024)

    found: list[pb.BrowsedMessage] = []
    token, sizes = "", list[int]()
    while token or not sizes:
        messages, token = await broker.browsing.browse("jobs", page_token=token, page_size=1_000)
        reply = pb.BrowseResponse(
            messages=map(pb.BrowsedMessage.FromString, messages), next_page_token=token
        )
        sizes.append(reply.ByteSize())
        found += reply.messages

    assert [each.message.payload[0] for each in found] == list(range(count))
    assert max(sizes) <= REPLY_BYTES_MAX
    assert len(sizes) == 7


async def test_largest_message_with_the_longest_history_fits_into_a_page(broker: Broker) -> None:
    """What has no room is left out: the oldest attempts, the consumer."""
    await largest(broker)
    for _ in range(16):
        held = await leased(broker, 1, "c" * 200)
        await broker.leasing.nack("jobs", held, NackKind.FAIL, delay_ns=0, reason="r" * 1_024)
    await leased(broker, 1, "c" * 200)

    messages, token = await broker.browsing.browse("jobs")

    page_bytes = pb.BrowseResponse(
        messages=map(pb.BrowsedMessage.FromString, messages), next_page_token=token
    ).ByteSize()
    assert REPLY_BYTES_MAX - 200 < page_bytes <= REPLY_BYTES_MAX


@pytest.mark.parametrize("page_size", [-1, BROWSED_MESSAGES_MAX + 1])
async def test_page_size_out_of_range_is_refused(broker: Broker, page_size: int) -> None:
    """The error says what may be asked for."""
    with pytest.raises(
        InvalidArgument, match=rf"^page_size: must be 0 \(100\) to 1000; got {page_size}$"
    ):
        await page(broker, page_size=page_size)


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "9" * 20, "¹"])
async def test_foreign_page_token_is_refused(broker: Broker, token: str) -> None:
    """Only what was answered before can be handed in."""
    with pytest.raises(InvalidArgument, match=r"^page_token: must be a next_page_token"):
        await page(broker, token)


async def test_browsing_goes_on_from_disk_after_a_restart(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A page token is good for as long as the queue is, whether messages are in memory or not."""
    async with broker_on_disk(tmp_path, clock, cache_bytes_max=1_000_000) as broker:
        await broker.new_queue(Store.DISK, name="jobs")
        await put(broker, b"0", b"1", b"2", b"3")
        await leased(broker, 3, "worker")
        first, token = await page(broker, page_size=2)

    async with broker_on_disk(tmp_path, clock, cache_bytes_max=0) as broker:
        rest, _ = await page(broker, token)

    assert payloads(first + rest) == [b"0", b"1", b"2", b"3"]
    assert [each.state for each in first + rest] == [LEASED, LEASED, LEASED, READY]
