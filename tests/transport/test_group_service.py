"""The methods about groups, as they are on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from qmq.envelope import reply_with
from qmq.errors import GroupsFull, QueueNotFound
from qmq.limits import GROUPS_HELD_MAX
from qmq.testing import START_NS
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from qmq.wire.times import moment_message
from tests.transport.service import Service, refusal_of

#: How a group_id is refused that holds a line break.
NO_CONTROL = "must have no control characters, such as line breaks; U+000A is at 1"
#: How one that is none is.
STATES = "must be one of READY (1), LEASED (2), DELAYED (3), PAUSED (4), PARKED (5)"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Return a server with the queue "jobs", whose dead-letter queue is "dead"."""
    service = Service()
    await service.call("NewQueue", name="dead", store=pb.Queue.MEMORY)
    settings = pb.QueueSettings(dead_letter_queue_id="dead", park_after=1)
    await service.call("NewQueue", name="jobs", store=pb.Queue.MEMORY, settings=settings)
    yield service
    await service.broker.close()


async def add(service: Service, group_id: str, *payloads: bytes) -> None:
    """Add messages of one group."""
    options = pb.MessageOptions(group_id=group_id)
    messages = [pb.NewMessage(payload=payload, options=options) for payload in payloads]
    await service.call("AddBatch", queue_id="jobs", messages=messages)


async def listed(service: Service, *states: str) -> list[pb.Group]:
    """Return the groups in these states, or all."""
    return list((await service.call("ListGroups", queue_id="jobs", states=states)).groups)


async def test_groups_tell_what_they_hold(service: Service) -> None:
    """In the order of their ids, with since when one is paused or parked."""
    await add(service, "leased", b"1", b"2")
    await service.call("Lease", queue_id="jobs", messages_max=1)
    await add(service, "parked", b"3")
    lease = (await service.call("Lease", queue_id="jobs", messages_max=1)).messages[0]
    service.clock.advance(1)
    nack = pb.NackRequest.FAIL
    await service.call("Nack", queue_id="jobs", lease_ids=[lease.lease_id], kind=nack)
    await add(service, "ready", b"4", b"5", b"6")
    service.clock.advance(1)
    paused = (await service.call("PauseGroup", queue_id="jobs", group_id="a paused one")).group

    groups = await listed(service)

    at = [moment_message(START_NS + seconds * NS_PER_S) for seconds in range(3)]
    assert groups == [
        pb.Group(group_id="a paused one", state=pb.Group.PAUSED, since=at[2]),
        pb.Group(group_id="leased", state=pb.Group.LEASED, waiting=1, leased=1),
        pb.Group(group_id="parked", state=pb.Group.PARKED, waiting=1, since=at[1]),
        pb.Group(group_id="ready", state=pb.Group.READY, waiting=3),
    ]
    assert groups[0] == paused
    assert await listed(service, "PARKED", "LEASED") == groups[1:3]
    assert await listed(service, "DELAYED") == []


async def test_groups_are_listed_by_pages(service: Service) -> None:
    """Each once; a page that is full and the last one has no token."""
    for number in range(5):
        await add(service, f"g{number}", b"x")

    first = await service.call("ListGroups", queue_id="jobs", page_size=3)
    token = first.next_page_token
    rest = await service.call("ListGroups", queue_id="jobs", page_size=2, page_token=token)

    found = [each.group_id for each in (*first.groups, *rest.groups)]
    assert found == ["g0", "g1", "g2", "g3", "g4"]
    assert (len(first.groups), rest.next_page_token) == (3, "")


async def test_group_stands_still_and_goes_on(service: Service) -> None:
    """The others go on meanwhile."""
    await add(service, "a", b"1")
    await add(service, "b", b"2")

    paused = (await service.call("PauseGroup", queue_id="jobs", group_id="a")).group
    others = await service.payloads()
    resumed = (await service.call("ResumeGroup", queue_id="jobs", group_id="a")).group

    assert (paused.state, paused.waiting) == (pb.Group.PAUSED, 1)
    assert others == [b"2"]
    assert resumed == pb.Group(group_id="a", state=pb.Group.READY, waiting=1)
    assert await service.payloads() == [b"1"]


async def test_messages_of_a_group_are_skipped(service: Service) -> None:
    """One, if nothing is said; they say so as dead letters."""
    await add(service, "a", b"1", b"2", b"3", b"4")

    one = await service.call("SkipGroup", queue_id="jobs", group_id="a")
    two = await service.call("SkipGroup", queue_id="jobs", group_id="a", messages_max=2)
    rest = await service.call("SkipGroup", queue_id="jobs", group_id="a", messages_max=1_000)
    none = await service.call("SkipGroup", queue_id="jobs", group_id="a")

    assert [each.skipped for each in (one, two, rest, none)] == [1, 2, 1, 0]
    assert one.group == pb.Group(group_id="a", state=pb.Group.READY, waiting=3)
    assert none.group == pb.Group(group_id="a", state=pb.Group.READY)
    # Their fields are in another order than protobuf would write them.
    dead = [
        pb.PopResponse.FromString(each).message
        for each in map(reply_with, await service.broker.pop_batch("dead", 9))
    ]
    assert [letter.payload for letter in dead] == [b"1", b"2", b"3", b"4"]
    assert {letter.dead_letter.reason for letter in dead} == {pb.DeadLetter.SKIPPED}


async def test_so_many_groups_are_paused_and_no_more(service: Service) -> None:
    """One that is paused may be paused again; each that goes on makes room for another."""
    queue = service.broker.catalog.find("jobs")
    assert queue is not None
    for number in range(GROUPS_HELD_MAX - 1):
        queue.hold_group(f"g{number}", START_NS, 0)
    await service.call("PauseGroup", queue_id="jobs", group_id="last")

    with pytest.raises(GroupsFull) as refusal:
        await service.call("PauseGroup", queue_id="jobs", group_id="more")
    await service.call("PauseGroup", queue_id="jobs", group_id="last")
    await service.call("ResumeGroup", queue_id="jobs", group_id="g0")
    await service.call("PauseGroup", queue_id="jobs", group_id="more")

    assert refusal.value.metadata == {
        "limit": "groups_held_max",
        "value": "100000",
        "current": "100000",
    }
    assert len(await listed(service, "PAUSED")) == 100


@pytest.mark.parametrize("method", ["ListGroups", "PauseGroup", "ResumeGroup", "SkipGroup"])
async def test_queue_that_is_not_there_is_not_found(service: Service, method: str) -> None:
    """Whatever is asked of its groups."""
    group: dict[str, Any] = {} if method == "ListGroups" else {"group_id": "a"}
    with pytest.raises(QueueNotFound):
        await service.call(method, queue_id="00000000-0000-0000-0000-000000000000", **group)


@pytest.mark.parametrize("method", ["PauseGroup", "ResumeGroup", "SkipGroup"])
@pytest.mark.parametrize(
    ("group_id", "rule"),
    [("", "must be given"), ("a\n", NO_CONTROL), ("\u00e9" * 65, "takes 130 bytes, more than 128")],
    ids=["none", "control", "long"],
)
async def test_group_needs_an_id(service: Service, method: str, group_id: str, rule: str) -> None:
    """Of the same form as messages have it."""
    refusal = await refusal_of(service.call(method, queue_id="jobs", group_id=group_id))

    assert (refusal.field, refusal.rule) == ("group_id", rule)


@pytest.mark.parametrize(
    ("method", "fields", "message"),
    [
        ("ListGroups", {"page_size": -1}, "page_size: must be 1 to 1000, or 0 for 100; got -1"),
        (
            "ListGroups",
            {"page_size": 1_001},
            "page_size: must be 1 to 1000, or 0 for 100; got 1001",
        ),
        (
            "ListGroups",
            {"states": [1, 6]},
            f"states[1]: {STATES}; got 6",
        ),
        (
            "ListGroups",
            {"states": [0]},
            f"states[0]: {STATES}; got 0",
        ),
        (
            "SkipGroup",
            {"group_id": "a", "messages_max": -1},
            "messages_max: must be 1 to 1000, or 0 for 1; got -1",
        ),
        (
            "SkipGroup",
            {"group_id": "a", "messages_max": 1_001},
            "messages_max: must be 1 to 1000, or 0 for 1; got 1001",
        ),
    ],
)
async def test_request_that_breaks_a_rule_is_refused(
    service: Service, method: str, fields: dict[str, Any], message: str
) -> None:
    """By name and rule."""
    refusal = await refusal_of(service.call(method, queue_id="jobs", **fields))

    assert refusal.message == message
