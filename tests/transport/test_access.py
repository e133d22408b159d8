"""Every method of the service asks for the rights that it needs, and for no others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from qmq.access.granted import Granted
from qmq.access.quotas import Quotas
from qmq.access.rights import RIGHTS
from qmq.engine.broker import Broker
from qmq.errors import AccessDenied, QError
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.transport.api import api_methods
from qmq.transport.framing import Deframer, frame
from qmq.transport.methods import Methods
from qmq.transport.streams import Requests, StreamMethod
from qmq.values import Store, Tag
from qmq.wire import q_pb2 as pb
from tests.access.policies import identity

#: For each method, a request about the queue "x", and the rights to it that it needs. What is
#: done to "dead" needs what stands behind the plus sign.
METHODS: dict[str, tuple[dict[str, Any], str]] = {
    "ListQueues": ({}, ""),
    "NewQueue": ({"name": "x2"}, "manage"),
    "GetQueue": ({"queue_id": "x"}, "browse"),
    "UpdateQueue": ({"queue_id": "x", "limit": 9}, "manage"),
    "DeleteQueue": ({"queue_id": "x"}, "manage"),
    "AddQueueTag": ({"queue_id": "x", "tag": pb.Tag(key="k", value="v")}, "manage"),
    "DeleteQueueTag": ({"queue_id": "x", "tag": pb.Tag(key="k", value="v")}, "manage"),
    "Add": ({"queue_id": "x", "message": pb.NewMessage(payload=b"1")}, "produce"),
    "AddBatch": ({"queue_id": "x", "messages": [pb.NewMessage(payload=b"1")]}, "produce"),
    "Pop": ({"queue_id": "x"}, "consume"),
    "PopBatch": ({"queue_id": "x", "messages_max": 1}, "consume"),
    "Peek": ({"queue_id": "x"}, "browse"),
    "Lease": ({"queue_id": "x"}, "consume"),
    "Ack": ({"queue_id": "x", "lease_ids": ["a"]}, "consume"),
    "Nack": ({"queue_id": "x", "lease_ids": ["a"]}, "consume"),
    "Extend": ({"queue_id": "x", "lease_ids": ["a"]}, "consume"),
    "Complete": (
        {
            "acks": [pb.CompleteRequest.Ack(queue_id="x", lease_ids=["a"])],
            "adds": [
                pb.CompleteRequest.Add(queue_id="dead", messages=[pb.NewMessage(payload=b"1")])
            ],
        },
        "consume+produce",
    ),
    "Consume": ({"open": pb.ConsumeRequest.Open(queue_id="x", credit=1)}, "consume"),
    "Browse": ({"queue_id": "x"}, "browse"),
    "Explain": ({"queue_id": "x", "message_id": "a"}, "browse"),
    "Purge": ({"queue_id": "x"}, "manage"),
    "Pause": ({"queue_id": "x"}, "manage"),
    "Resume": ({"queue_id": "x"}, "manage"),
    "ListGroups": ({"queue_id": "x"}, "browse"),
    "PauseGroup": ({"queue_id": "x", "group_id": "g"}, "manage"),
    "ResumeGroup": ({"queue_id": "x", "group_id": "g"}, "manage"),
    "SkipGroup": ({"queue_id": "x", "group_id": "g"}, "manage"),
    "StartRedrive": (
        {"queue_id": "x", "target_queue_id": "dead", "dry_run": True},
        "manage+produce",
    ),
    "GetRedrive": ({"redrive_id": "REDRIVE"}, "browse"),
    "ListRedrives": ({}, ""),
    "StopRedrive": ({"redrive_id": "REDRIVE"}, "manage"),
    "PutSchedule": (
        {"queue_id": "x", "name": "s", "schedule": pb.Schedule(cron="0 0 * * *")},
        "manage,produce",
    ),
    "GetSchedule": ({"queue_id": "x", "name": "s"}, "browse"),
    "ListSchedules": ({"queue_id": "x"}, "browse"),
    "DeleteSchedule": ({"queue_id": "x", "name": "s"}, "manage"),
    "Stats": ({"queue_id": "x"}, "browse"),
    "GetIdentity": ({"queue_id": "x"}, ""),
    "ListIdentities": ({}, "admin"),
    "MakeToken": ({"identity": "one"}, "admin"),
    "RevokeToken": ({"identity": "one", "token_id": "a"}, "admin"),
    "GetServer": ({}, "browse"),
    "DeleteMessages": ({"queue_id": "x", "message_ids": ["a"]}, "manage"),
    "MoveMessages": (
        {"queue_id": "x", "message_ids": ["a"], "target_queue_id": "dead"},
        "manage+produce",
    ),
}

#: Those that are about the server as a whole: rights to some queues do not do.
ABOUT_ALL = ("GetServer",)

#: Those that are about all queues, and show those that the caller may browse.
LISTING = ("ListQueues", "ListRedrives", "ListSchedules", "Stats")


class Server:
    """A broker, and its service for callers of different rights."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.broker = Broker(
            {Store.MEMORY: MemoryStore()},
            clock=clock,
            timer=clock,
            new_id=seeded_ids(),
            chance=lambda: 0.0,
        )
        self.redrive_id = ""

    def methods(self, *grants: tuple[str, str]) -> Methods:
        """Return the service as one is served who has these grants."""
        quotas = Quotas((), self.broker.catalog, lambda: 0.0)
        one = identity("one", *grants)
        return api_methods(self.broker, Granted(one, self.broker.catalog, quotas, lambda: [one]))

    async def call(self, name: str, fields: dict[str, Any], *grants: tuple[str, str]) -> Any:  # noqa: ANN401
        """Call a method as one who has these grants, and return the reply."""
        methods = self.methods(*grants)
        kind = getattr(pb, f"{name}Request")
        if "redrive_id" in fields:
            fields = {"redrive_id": self.redrive_id}
        data = kind(**fields).SerializeToString()
        path = f"/proto.Q/{name}"
        if name == "Consume":
            return await _first(methods.streams[path], data)
        if path in methods.unary:
            reply = await methods.unary[path](data)
        else:
            reply = await methods.waiting[path](data, _stays, None)
        return getattr(pb, f"{name}Response").FromString(reply)


async def _stays() -> bool:
    return False


async def _first(method: StreamMethod, data: bytes) -> None:
    """Open a stream and end it: it is refused, or it was opened."""
    events = [{"type": "http.request", "body": frame(data), "more_body": True}]

    async def receive() -> dict[str, Any]:
        if not events:
            await asyncio.Event().wait()
        return events.pop()

    requests = Requests(receive, Deframer(100_000, b"identity"))
    reading = asyncio.ensure_future(requests.read_all())
    async with aclosing(method(requests)) as replies:
        await anext(replies)
    reading.cancel()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Return a server with the queues "x", its dead-letter queue "dead", and another one."""
    server = Server()
    for name in ("dead", "x", "other"):
        await server.broker.new_queue(Store.MEMORY, name=name)
        await server.call("Add", METHODS["Add"][0] | {"queue_id": name}, ("*", "admin"))
    for name in ("x", "other"):
        put = METHODS["PutSchedule"][0] | {"queue_id": name}
        await server.call("PutSchedule", put, ("*", "admin"))
    started = await server.call("StartRedrive", METHODS["StartRedrive"][0], ("*", "admin"))
    server.redrive_id = started.redrive.id
    yield server
    await server.broker.close()


def test_no_method_is_forgotten() -> None:
    """A new one has its line in the table above."""
    methods = pb.DESCRIPTOR.services_by_name["Q"].methods

    assert list(METHODS) == [method.name for method in methods]


def needed(name: str) -> list[tuple[str, str]]:
    """Return exactly the grants that a method needs."""
    own, _, target = METHODS[name][1].partition("+")
    about_all = own == "admin" or name in ABOUT_ALL
    which = "*" if about_all else "x*" if name == "NewQueue" else "x"
    return [(which, own), *([("dead", target)] if target else [])]


NEEDING = [name for name, (_, rights) in METHODS.items() if rights]


@pytest.mark.parametrize("name", NEEDING)
async def test_a_method_is_refused_to_who_has_no_right(server: Server, name: str) -> None:
    """Neither is it to who has all rights to another queue."""
    for grants in ((), (("other", "admin"),), (("team=x", "admin"),)):
        with pytest.raises(AccessDenied):
            await server.call(name, METHODS[name][0], *grants)


@pytest.mark.parametrize("name", NEEDING)
async def test_a_method_is_served_to_who_has_exactly_its_rights(server: Server, name: str) -> None:
    """Whatever else it may fail with."""
    try:
        await server.call(name, METHODS[name][0], *needed(name))
    except QError as error:
        assert not isinstance(error, AccessDenied), error.message  # noqa: PT017 - It may succeed.


@pytest.mark.parametrize("name", NEEDING)
async def test_each_right_that_a_method_needs_is_asked_for(server: Server, name: str) -> None:
    """Whoever has all but one of them is refused."""
    grants = needed(name)
    for at, (which, own) in enumerate(grants):
        for right in own.split(","):
            rest = ",".join(each for each in RIGHTS if each not in {right, "admin"})
            others = [grant for place, grant in enumerate(grants) if place != at]
            with pytest.raises(AccessDenied):
                await server.call(name, METHODS[name][0], (which, rest), *others)


@pytest.mark.parametrize("name", LISTING)
async def test_lists_show_what_the_caller_may_browse(server: Server, name: str) -> None:
    """By pages, too."""

    def names(reply: Any) -> set[str]:  # noqa: ANN401 - Any reply.
        field = {"ListRedrives": "redrives", "ListSchedules": "schedules"}.get(name, "queues")
        by_id = {queue.info.id: queue.info.name for queue in server.broker.catalog}
        ids: dict[str, Callable[[Any], str]] = {
            "ListQueues": lambda each: each.meta.id,
            "ListRedrives": lambda each: each.request.queue_id,
            "Stats": lambda each: each.queue.meta.id,
        }
        id_of = ids.get(name, lambda each: str(each.queue_id))
        return {by_id[id_of(each)] for each in getattr(reply, field)}

    size = {} if name == "ListRedrives" else {"page_size": 1}
    everything = names(await server.call(name, {}, ("*", "browse")))

    assert names(await server.call(name, {}, ("x", "browse"))) == {"x"}
    assert names(await server.call(name, size, ("x", "browse"), ("dead", "manage"))) == {"x"}
    assert names(await server.call(name, {})) == set()
    assert names(await server.call(name, {}, ("*", "produce,consume,manage"))) == set()
    assert {"x"} < everything or name == "ListRedrives"


async def test_pages_end_where_nothing_follows_that_is_shown(server: Server) -> None:
    """A token that leads to nothing would tell that there is more."""
    reply = await server.call("ListQueues", {"page_size": 1}, ("x", "browse"))

    assert len(reply.queues) == 1
    assert not reply.next_page_token


@pytest.mark.parametrize("name", ["Lease", "PopBatch"])
async def test_selectors_take_from_queues_that_the_caller_may_consume(
    server: Server, name: str
) -> None:
    """Those of others are not even counted."""
    for queue in ("x", "other"):
        await server.broker.add_queue_tag(queue, Tag("team", "mail"))
    fields = {"selector": "team=mail", "messages_max": 10}

    nothing = await server.call(name, fields, ("dead", "consume"), ("*", "browse"))
    ours = await server.call(name, fields, ("x", "consume"))
    rest = await server.call(name, fields, ("*", "consume"))

    ids = {queue.info.id: queue.info.name for queue in server.broker.catalog}
    taken = [
        [ids[each.queue_id] for each in reply.messages]
        if name == "Lease"
        else [ids[each] for each in reply.queue_ids]
        for reply in (nothing, ours, rest)
    ]
    assert taken == [[], ["x"], ["other"]]


async def test_dead_letters_go_where_one_may_produce(server: Server) -> None:
    """Neither a new queue nor one that is there sends them elsewhere."""
    settings = pb.QueueSettings(dead_letter_queue_id="other")
    for name, fields in (("NewQueue", {"name": "x2"}), ("UpdateQueue", {"queue_id": "x"})):
        with pytest.raises(AccessDenied, match=r"^settings\.dead_letter_queue_id: "):
            await server.call(name, {**fields, "settings": settings}, ("x*", "manage,produce"))
        await server.call(
            name, {**fields, "settings": settings}, ("x*", "manage"), ("other", "produce")
        )


async def test_a_redrive_without_a_target_needs_the_sources(server: Server) -> None:
    """Messages go back to where they came from."""
    settings = pb.QueueSettings(dead_letter_queue_id="dead")
    admin = ("*", "admin")
    await server.call("UpdateQueue", {"queue_id": "x", "settings": settings}, admin)

    with pytest.raises(AccessDenied):
        await server.call("StartRedrive", {"queue_id": "dead"}, ("dead", "admin"))
    await server.call("StartRedrive", {"queue_id": "dead"}, ("dead", "manage"), ("x", "produce"))


@pytest.mark.parametrize("grants", [(), (("x", "produce"),)], ids=["none", "produce"])
async def test_a_redrive_takes_back_only_what_one_may_add(
    server: Server, grants: Sequence[tuple[str, str]]
) -> None:
    """Also to a queue that has sent its dead letters there, and sends them elsewhere by now."""
    admin = ("*", "admin")
    for target in ("dead", "other"):
        settings = pb.QueueSettings(dead_letter_queue_id=target)
        await server.call("UpdateQueue", {"queue_id": "x", "settings": settings}, admin)
        leased = await server.call("Lease", {"queue_id": "x"}, admin)
        lease_ids = [each.lease_id for each in leased.messages]
        if lease_ids:
            await server.call("Nack", {"queue_id": "x", "lease_ids": lease_ids, "kind": 3}, admin)

    started = await server.call("StartRedrive", {"queue_id": "dead"}, ("dead", "manage"), *grants)
    for _ in range(20):
        await asyncio.sleep(0)
    server.redrive_id = started.redrive.id
    ended = (await server.call("GetRedrive", {"redrive_id": ""}, admin)).redrive

    assert ended.state == pb.Redrive.DONE
    assert ended.moved == len(grants)
    assert server.broker.catalog.find("x").message_count == len(grants)


async def test_a_redrive_that_there_is_not_looks_like_one_of_others(server: Server) -> None:
    """But to those who may see all."""
    unknown = "00000000-0000-4000-8000-00000000ffff"
    told = []
    theirs = server.redrive_id
    for redrive_id in (theirs, unknown):
        server.redrive_id = redrive_id
        with pytest.raises(AccessDenied) as error:
            await server.call("GetRedrive", {"redrive_id": ""}, ("other", "browse"))
        told.append(error.value.message)
    with pytest.raises(QError, match="cannot find redrive"):
        await server.call("GetRedrive", {"redrive_id": ""}, ("*", "browse"))

    assert told[0].replace(theirs, unknown) == told[1]


class Stream:
    """A stream of Consume that stays open."""

    def __init__(
        self, server: Server, opened: pb.ConsumeRequest.Open, *grants: tuple[str, str]
    ) -> None:
        request = pb.ConsumeRequest(open=opened)
        events = [{"body": frame(request.SerializeToString()), "more_body": True}]

        async def receive() -> dict[str, Any]:
            if not events:
                await asyncio.Event().wait()
            return {"type": "http.request", **events.pop()}

        requests = Requests(receive, Deframer(100_000, b"identity"))
        self._reading = asyncio.ensure_future(requests.read_all())
        self._replies = server.methods(*grants).streams["/proto.Q/Consume"](requests)

    async def next(self) -> list[bytes]:
        """Wait for messages, and return their payloads."""
        replies = map(pb.ConsumeResponse.FromString, await anext(self._replies))
        leased = [each for reply in replies for each in reply.messages.messages]
        return [each.message.payload for each in leased]

    async def close(self) -> None:
        """Leave."""
        self._reading.cancel()
        await self._replies.aclose()


async def test_a_stream_by_selector_is_of_what_the_caller_may_consume(server: Server) -> None:
    """Also of queues that come to be of the selector while it is open."""
    opened = pb.ConsumeRequest.Open(selector="team=mail", credit=9)
    stream = Stream(server, opened, ("x", "consume"))
    waiting = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    for queue in ("other", "x"):
        await server.broker.add_queue_tag(queue, Tag("team", "mail"))
        await server.broker.add(queue, queue.encode())

    found = await waiting
    while len(found) < 2:
        found += await stream.next()
    assert found == [b"1", b"x"]
    await stream.close()


async def test_a_stream_ends_when_the_queue_is_somebody_elses(server: Server) -> None:
    """By its tags; what was about to be handed out stays."""
    await server.call("Purge", {"queue_id": "x"}, ("*", "admin"))
    await server.broker.add_queue_tag("x", Tag("team", "mail"))
    opened = pb.ConsumeRequest.Open(queue_id="x", credit=9)
    stream = Stream(server, opened, ("team=mail", "consume"))
    waiting = asyncio.ensure_future(stream.next())
    for _ in range(9):
        await asyncio.sleep(0)
    await server.broker.delete_queue_tag("x", Tag("team", "mail"))

    await server.broker.add("x", b"theirs")

    with pytest.raises(AccessDenied):
        await waiting
    await stream.close()
    popped = await server.call("Pop", {"queue_id": "x"}, ("*", "admin"))
    assert popped.message.payload == b"theirs"
