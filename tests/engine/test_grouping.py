"""Groups: who looks after them, who waits for them, and what a restart leaves of them."""

import asyncio

import pytest

from qmq.descriptions import Fairness, GroupInfo, Rate
from qmq.errors import GroupsFull
from qmq.model.check import problems_of
from qmq.values import GroupState, NackKind, Store
from tests.engine.callers import turns
from tests.engine.consumers import LONG_S, ack, lease, nack, never_gone
from tests.engine.pairs import redriven
from tests.engine.servers import Server
from tests.leased import leased_messages

on_disk = pytest.mark.parametrize("server", [Store.DISK], indirect=True)


async def put(server: Server, *payloads: str) -> None:
    """Add messages; the first character of each is its group, or - for none."""
    for payload in payloads:
        group = {} if payload[0] == "-" else {"group_id": payload[0]}
        await server.put(payload.encode(), **group)


async def leased(server: Server, count: int = 9) -> list[str]:
    """Lease messages, and return their payloads; the queue must be sound after that."""
    held = await lease(server.broker, count, duration_s=LONG_S)
    assert problems_of(server.broker.catalog.find("jobs")) == []
    return [each.payload.decode() for each in held]


async def listed(server: Server, *states: GroupState) -> dict[str, tuple[GroupState, int, int]]:
    """Return the groups: state, and how many wait and are on lease."""
    found, token = await server.broker.grouping.list_groups("jobs", states=states)
    assert token == ""
    return {each.id: (each.state, each.waiting, each.leased) for each in found}


async def fail(server: Server, kind: NackKind = NackKind.FAIL) -> str:
    """Lease a message, give it back, and return its payload."""
    [held] = await lease(server.broker)
    assert await nack(server.broker, kind, held.lease_id, delay_s=0) == [""]
    return held.payload.decode()


async def test_parked_group_is_resumed_by_hand(server: Server) -> None:
    """It is told of, others go on meanwhile, and it goes on where it was."""
    await server.change("jobs", park_after=2)
    await put(server, "a1", "a2", "b1")
    assert [await fail(server) for _ in range(2)] == ["a1", "a1"]

    assert await listed(server, GroupState.PARKED) == {"a": (GroupState.PARKED, 2, 0)}
    assert await leased(server) == ["b1"]
    info = await server.broker.grouping.resume_group("jobs", "a")

    assert info == GroupInfo(id="a", state=GroupState.READY, waiting=2, leased=0)
    assert await leased(server) == ["a1", "a2"]


async def test_skipped_messages_are_dead_letters(server: Server) -> None:
    """With the reason; the group goes on with what is behind them."""
    await server.change("jobs", park_after=1)
    await put(server, "a1", "a2", "a3")
    await fail(server)

    skipped, info = await server.broker.grouping.skip_group("jobs", "a", 2)

    assert (skipped, info.state, info.waiting) == (2, GroupState.READY, 1)
    assert await server.dead() == [(b"a1", 5), (b"a2", 5)]
    assert await leased(server) == ["a3"]


async def test_skipped_messages_are_gone_without_a_dead_letter_queue(server: Server) -> None:
    """There is no other place for them."""
    await server.change("jobs", dead_letter_queue_id="")
    await put(server, "a1", "a2")

    assert (await server.broker.grouping.skip_group("jobs", "a"))[0] == 1

    assert server.broker.catalog.find("jobs").message_count == 1
    assert await leased(server) == ["a2"]


async def test_redrive_brings_a_message_back_to_its_group(server: Server) -> None:
    """At its end; in the dead-letter queue it waited for nobody."""
    await put(server, "a1", "a2", "a3")
    await server.broker.grouping.skip_group("jobs", "a", 2)
    held = await lease(server.broker, 9, queue="dead")
    assert [each.payload for each in held] == [b"a1", b"a2"]
    await nack(server.broker, NackKind.RELEASE, *[each.lease_id for each in held], queue="dead")

    await redriven(server)

    assert await listed(server) == {"a": (GroupState.READY, 3, 0)}
    assert await leased(server, 1) == ["a3"]
    assert await leased(server) == []


async def test_group_that_is_unknown_can_be_paused(server: Server) -> None:
    """And is, before its first message comes."""
    grouping = server.broker.grouping
    paused = await grouping.pause_group("jobs", "a")
    assert paused.state is GroupState.PAUSED
    await server.pass_time(1)
    assert await grouping.pause_group("jobs", "a") == paused
    await put(server, "a1", "b1")

    assert await leased(server) == ["b1"]
    assert await grouping.resume_group("jobs", "x") == GroupInfo(
        id="x", state=GroupState.READY, waiting=0, leased=0
    )
    assert (await grouping.skip_group("jobs", "x"))[0] == 0
    await grouping.resume_group("jobs", "a")
    assert await leased(server) == ["a1"]


async def test_groups_are_listed_page_by_page_however_many_there_are(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few at a time, so that others have their turn."""
    monkeypatch.setattr("qmq.engine.grouping._SLICE_GROUPS", 3)
    await put(server, *"hgfedcba")
    pages, token = [], ""
    while True:
        found, token = await server.broker.grouping.list_groups(
            "jobs", page_size=3, page_token=token
        )
        pages.append("".join(each.id for each in found))
        if not token:
            break

    assert pages == ["abc", "def", "gh"]


async def test_number_of_paused_groups_is_bounded(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says by what."""
    monkeypatch.setattr("qmq.engine.grouping.GROUPS_HELD_MAX", 2)
    await server.broker.grouping.pause_group("jobs", "a")
    await server.broker.grouping.pause_group("jobs", "b")

    with pytest.raises(GroupsFull) as refusal:
        await server.broker.grouping.pause_group("jobs", "c")

    assert "as many as groups_held_max of 2 allows" in refusal.value.message


@pytest.mark.parametrize("verb", ["lease", "pop"])
async def test_who_waits_gets_what_an_ack_frees(server: Server, verb: str) -> None:
    """The next message of the group, at once."""
    await put(server, "a1", "a2", "a3")
    [held] = await lease(server.broker)
    waits = asyncio.ensure_future(
        server.broker.pop("jobs", 60, never_gone)
        if verb == "pop"
        else server.broker.leasing.lease("jobs", 9, wait_s=60, is_gone=never_gone)
    )
    await turns()
    assert not waits.done()

    await ack(server.broker, held.lease_id)

    async with asyncio.timeout(10):
        got = await waits
    if verb == "pop":
        assert b"a2" in got
    else:
        assert [each.message.payload for each in leased_messages(got)] == [b"a2", b"a3"]


async def test_those_who_wait_share_a_group_one_after_the_other(server: Server) -> None:
    """Pops make nobody wait; each gets the next one."""
    waits = [asyncio.ensure_future(server.broker.pop("jobs", 60, never_gone)) for _ in range(3)]
    await turns()

    await put(server, "a1", "a2", "a3")

    async with asyncio.timeout(10):
        envelopes = await asyncio.gather(*waits)
    for envelope, payload in zip(envelopes, (b"a1", b"a2", b"a3"), strict=True):
        assert payload in envelope


async def test_who_waits_for_a_key_gets_a_message_when_its_rate_allows(server: Server) -> None:
    """By itself: nobody has to ask again."""
    await server.change("jobs", fairness=Fairness(rate=Rate(messages_per_second=1, burst=1)))
    for payload in (b"1", b"2"):
        await server.put(payload, fair_key="ann")
    await server.broker.pop("jobs")
    waits = asyncio.ensure_future(server.broker.pop("jobs", 60, never_gone))
    await turns()
    assert not waits.done()

    await server.pass_time(1)

    async with asyncio.timeout(10):
        assert b"2" in await waits


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("behind", "1 message is handed out before it"),
        ("busy", "its group 'a' has 1 on lease, and waits for that"),
        ("paused", "its group 'a' is paused since 2023-"),
        ("parked", "its group 'a' has parked at 2023-"),
        ("delayed", "its group 'a' waits for its first message, which came at 2023-"),
    ],
)
async def test_explain_tells_what_a_group_waits_for(
    server: Server, state: str, sentence: str
) -> None:
    """In the words of the features."""
    await server.change("jobs", park_after=1)
    if state == "delayed":
        await server.put(b"a1", group_id="a", delay=5)
    else:
        await put(server, "a1")
    last = await server.put(b"a2", group_id="a")
    match state:
        case "busy":
            await lease(server.broker)
        case "paused":
            await server.broker.grouping.pause_group("jobs", "a")
        case "parked":
            await fail(server)

    told = await server.broker.browsing.explain("jobs", last.meta.id)

    assert any(sentence in reason for reason in told.reasons), told.reasons


@on_disk
async def test_pauses_and_parking_outlive_a_restart(server: Server) -> None:
    """So does what is on lease, and with it that its group is busy."""
    await server.change("jobs", park_after=1)
    await put(server, "p1", "b1", "b2", "r1", "-1")
    await fail(server)
    await server.broker.grouping.pause_group("jobs", "r")
    await server.broker.grouping.pause_group("jobs", "empty")
    [held] = await lease(server.broker, duration_s=LONG_S)
    assert held.payload == b"b1"
    before = await listed(server)

    await server.start_again()

    assert await listed(server) == before
    assert before == {
        "b": (GroupState.LEASED, 1, 1),
        "empty": (GroupState.PAUSED, 0, 0),
        "p": (GroupState.PARKED, 1, 0),
        "r": (GroupState.PAUSED, 1, 0),
    }
    assert await leased(server) == ["-1"]
    assert await ack(server.broker, held.lease_id) == [""]
    assert await leased(server) == ["b2"]


@on_disk
async def test_parking_that_has_ended_stays_so(server: Server) -> None:
    """However it ended: by hand, by a purge, or since its last message has left."""
    await server.change("jobs", park_after=1)
    await put(server, "a1", "b1", "c1")
    assert [await fail(server) for _ in range(3)] == ["a1", "b1", "c1"]
    await server.broker.grouping.resume_group("jobs", "a")
    await server.broker.grouping.skip_group("jobs", "b")
    await server.broker.purge("jobs")

    await put(server, "a2", "b2", "c2")
    await server.start_again()

    assert await leased(server) == ["a2", "b2", "c2"]


@on_disk
async def test_lease_that_has_run_out_parks_its_group_once(server: Server) -> None:
    """Who resumed it finds it so after a restart; a late ack still comes in time."""
    await server.change("jobs", park_after=1)
    await put(server, "a1", "a2", "a3")
    first, second = await lease(server.broker, 2, duration_s=1)
    await server.pass_time(1)
    assert await listed(server) == {"a": (GroupState.PARKED, 3, 0)}
    await server.broker.grouping.resume_group("jobs", "a")

    await server.start_again()

    assert await listed(server) == {"a": (GroupState.READY, 3, 0)}
    assert await ack(server.broker, first.lease_id) == [""]
    assert await leased(server, 1) == ["a2"]
    assert await ack(server.broker, second.lease_id) != [""]


@on_disk
async def test_groups_of_a_deleted_queue_are_nobodys(server: Server) -> None:
    """A new queue of the same name knows nothing of them."""
    await server.broker.grouping.pause_group("jobs", "a")
    await server.broker.delete_queue("jobs")
    await server.new_queue("jobs")

    await server.start_again()

    assert await listed(server) == {}
