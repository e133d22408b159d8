"""Lease and PopBatch on all queues that a selector matches: which, and whose turn it is."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from qmq.descriptions import Rate
from qmq.engine.broker import Broker
from qmq.errors import DurabilityNotReached, InvalidArgument, SelectionsFull
from qmq.limits import SELECTION_IDLE_S, SELECTIONS_MAX
from qmq.store.base import QueueStore
from qmq.store.local.memory import MemoryStore
from qmq.testing import ManualClock, seeded_ids
from qmq.values import NS_PER_S, Durability, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.engine.callers import LONG_S, turns
from tests.engine.selections import MAIL, add, lease, new_queue, waiters
from tests.engine.servers import Server, settings
from tests.leased import leased_messages
from tests.store.disk import Commits, Disks

# What is handed out.


async def test_lease_takes_from_queues_that_match(server: Server) -> None:
    """And says of which queue each message is, so that it can be acked."""
    mail, _ = await new_queue(server, "mail"), await new_queue(server, "web", Tag("team", "web"))
    await add(server, "mail", b"1")
    await add(server, "web", b"2")

    leased, level = await server.broker.selecting.lease(
        "team=mail", 9, wait_s=0.0, is_gone=None, consumer="me"
    )

    [message] = leased_messages(leased)
    assert (message.message.payload, message.queue_id) == (b"1", mail)
    assert level is (Durability.FSYNC if server.kind is Store.DISK else Durability.MEMORY)
    assert await server.broker.leasing.ack(message.queue_id, [message.lease_id]) == [None]
    assert await lease(server) == []


async def test_one_call_goes_on_with_the_next_queue(server: Server) -> None:
    """Until it has as many as it may: from each queue what it has, in its order."""
    ids = [await new_queue(server, name) for name in "abc"]
    await add(server, "a", b"a0", b"a1")
    await add(server, "b", b"b0")
    await add(server, "c", b"c0", b"c1", b"c2")

    leased, _ = await server.broker.selecting.lease("team=mail", 5, wait_s=0.0, is_gone=None)

    messages = leased_messages(leased)
    assert [each.message.payload for each in messages] == [b"a0", b"a1", b"b0", b"c0", b"c1"]
    assert [each.queue_id for each in messages] == [ids[0], ids[0], ids[1], ids[2], ids[2]]
    assert len({each.lease_id for each in messages}) == 5
    assert await lease(server, 9) == [b"c2"]


async def test_pop_batch_does_the_same(server: Server) -> None:
    """With the ids of the queues in the order of the messages."""
    a, b = await new_queue(server, "a"), await new_queue(server, "b")
    await add(server, "a", b"a0", b"a1")
    await add(server, "b", b"b0")

    popped = await server.broker.selecting.pop_batch("team=mail", 9, 0.0, None)

    payloads = [pb.Message.FromString(each).payload for each in popped.envelopes]
    assert payloads == [b"a0", b"a1", b"b0"]
    assert popped.queue_ids == [a, a, b]
    assert await lease(server) == []


async def test_leases_of_one_call_survive_a_restart(tmp_path: Path) -> None:
    """Each with the end that its queue gives it."""
    server = Server(Store.DISK, tmp_path)
    await server.start()
    await new_queue(server, "a", lease_duration=10)
    await new_queue(server, "b", lease_duration=20)
    await new_queue(server, "c", lease_duration=10)
    for name in "abc":
        await add(server, name, *[f"{name}{n}".encode() for n in range(3)])
    leased, _ = await server.broker.selecting.lease("team=mail", 9, wait_s=0.0, is_gone=None)
    messages = leased_messages(leased)
    ends = [each.lease_expires_at.ToNanoseconds() - server.timer.now_ns() for each in messages]
    assert [end // NS_PER_S for end in ends] == [10] * 3 + [20] * 3 + [10] * 3

    await server.start_again(after_s=5)

    assert await lease(server) == []
    assert await server.broker.leasing.ack("c", [messages[6].lease_id]) == [None]
    await server.pass_time(6)
    assert sorted(await lease(server, 9)) == [b"a0", b"a1", b"a2", b"c1", b"c2"]
    await server.pass_time(10)
    assert Counter(await lease(server, 3)) == Counter([b"b0", b"b1", b"b2"])
    await server.end()


async def test_leases_of_one_call_outlive_one_of_its_queues(tmp_path: Path) -> None:
    """And each other, through a restart: they are kept together."""
    server = Server(Store.DISK, tmp_path)
    await server.start()
    for name in "abc":
        await new_queue(server, name)
        await add(server, name, *[f"{name}{n}".encode() for n in range(2)])
    leased, _ = await server.broker.selecting.lease("team=mail", 6, wait_s=0.0, is_gone=None)
    messages = leased_messages(leased)
    await server.broker.delete_queue("a")
    await server.broker.purge("b")
    assert await server.broker.leasing.ack("c", [messages[4].lease_id]) == [None]

    await server.start_again()

    assert await lease(server, 9) == []
    assert await server.broker.leasing.ack("c", [messages[5].lease_id]) == [None]
    await server.start_again(after_s=60)
    assert await lease(server, 9) == []
    await server.end()


async def test_leases_of_one_call_are_one_commit(tmp_path: Path) -> None:
    """However many queues they are from, and whatever their leases last."""
    disks, commits = Disks(), Commits()
    clock = ManualClock()
    store = disks.open(tmp_path, commits)
    broker = Broker({Store.DISK: store}, clock=clock, timer=clock, new_id=seeded_ids())
    for n in range(20):
        lasts = settings(lease_duration=1 + n % 3)
        await broker.new_queue(Store.DISK, name=f"q{n}", tags=[MAIL], settings=lasts)
        await broker.add_batch(f"q{n}", [(b"", b"x")] * 2)
    before = commits.count

    leased, _ = await broker.selecting.lease("team=mail", 30, wait_s=0.0, is_gone=None)
    popped = await broker.selecting.pop_batch("team", 30, 0.0, None)

    assert (len(leased_messages(leased)), len(popped.envelopes)) == (30, 10)
    assert commits.count - before == 2
    await broker.close()
    await disks.close()


async def test_reply_is_not_longer_than_it_may_be(server: Server) -> None:
    """The messages of all queues together count; one goes in any case."""
    for name in "abc":
        await new_queue(server, name)
        await add(server, name, bytes(60_000), bytes(45_000))

    assert [len(each) for each in await lease(server, 9)] == [60_000]
    assert [len(each) for each in await lease(server, 9)] == [60_000]
    popped = await server.broker.selecting.pop_batch("team=mail", 9, 0.0, None)
    assert [len(pb.Message.FromString(each).payload) for each in popped.envelopes] == [60_000]
    assert [len(each) for each in await lease(server, 9)] == [45_000] * 2


async def test_one_call_stays_in_one_store(tmp_path: Path) -> None:
    """It ends where the turn is a queue's in another one, which is first in the next call."""
    disks, clock = Disks(), ManualClock()
    disk = disks.open(tmp_path, Commits())
    stores: dict[Store, QueueStore] = {Store.DISK: disk, Store.MEMORY: MemoryStore()}
    broker = Broker(stores, clock=clock, timer=clock, new_id=seeded_ids())
    for name, kind in (("a", Store.DISK), ("b", Store.MEMORY), ("c", Store.DISK)):
        await broker.new_queue(kind, name=name, tags=[MAIL])
        await broker.add(name, name.encode())
    level = Durability.UNKNOWN
    found = []
    for _ in range(4):
        leased, level = await broker.selecting.lease(
            "team=mail", 9, wait_s=0.0, is_gone=None, durability=level
        )
        found.append(([each.message.payload for each in leased_messages(leased)], level))
        level = Durability.UNKNOWN

    assert found == [
        ([b"a"], Durability.FSYNC),
        ([b"b"], Durability.MEMORY),
        ([b"c"], Durability.FSYNC),
        ([], Durability.UNKNOWN),
    ]
    await broker.close()
    await disks.close()


async def test_durability_that_is_not_reached_is_refused(tmp_path: Path) -> None:
    """By the queue whose turn it is; nothing is taken, and its message is there for others."""
    server = Server(Store.MEMORY, tmp_path)
    await server.start()
    await new_queue(server, "a")
    asking = asyncio.ensure_future(
        server.broker.selecting.pop_batch("team=mail", 9, LONG_S, None, durability=Durability.FSYNC)
    )
    await turns()
    [after] = await waiters(server, "team=mail")

    await add(server, "a", b"1")

    with pytest.raises(DurabilityNotReached):
        await asking
    assert await after.payloads() == [b"1"]
    await server.end()


@pytest.mark.parametrize("selector", ["", "team=", "a b", "team=mail room"])
async def test_what_is_no_selector_is_refused(server: Server, selector: str) -> None:
    """By its name, and nothing is remembered of it."""
    with pytest.raises(InvalidArgument) as refusal:
        await lease(server, selector=selector)

    assert refusal.value.field == "selector"
    assert len(server.broker.selecting) == 0


# Whose turn it is.


async def test_queues_take_turns(server: Server) -> None:
    """One with many messages does not hold up those with few."""
    for name in "abc":
        await new_queue(server, name)
    await add(server, "a", *[b"a"] * 9)
    await add(server, "b", *[b"b"] * 2)
    await add(server, "c", *[b"c"] * 3)

    assert b"".join([(await lease(server))[0] for _ in range(14)]) == b"abcabcacaaaaaa"


async def test_queues_take_turns_by_their_weights(server: Server) -> None:
    """Three messages of one for each of the other, whatever a call takes at once."""
    await new_queue(server, "a", weight=3)
    await new_queue(server, "b")
    await add(server, "a", *[b"a"] * 300)
    await add(server, "b", *[b"b"] * 300)

    taken: Counter[bytes] = Counter()
    for _ in range(40):
        taken.update(await lease(server, 4))

    assert sum(taken.values()) == 160
    assert abs(taken[b"a"] - 120) <= 8


async def test_weight_counts_from_the_next_message_on(server: Server) -> None:
    """When it is changed."""
    for name in "ab":
        await new_queue(server, name)
        await add(server, name, *[name.encode()] * 60)
    await lease(server, 1)

    await server.change("a", weight=5)

    taken = Counter([(await lease(server))[0] for _ in range(24)])
    assert abs(taken[b"a"] - 20) <= 2


async def test_nobody_starves_beside_one_that_always_has_messages(server: Server) -> None:
    """What comes to a queue that was empty is next but one at the latest."""
    for name in "ab":
        await new_queue(server, name)
    await add(server, "a", *[b"a"] * 100)
    for _ in range(30):
        await lease(server)

    await add(server, "b", b"b")

    assert b"b" in [(await lease(server))[0] for _ in range(2)]
    # To have been empty earns nothing.
    await add(server, "b", *[b"b"] * 20)
    taken = Counter([(await lease(server))[0] for _ in range(20)])
    assert abs(taken[b"b"] - 10) <= 1


async def test_what_others_take_counts_for_nobody(server: Server) -> None:
    """Calls on a queue itself take no turns, and a queue that they empty has none."""
    for name in "ab":
        await new_queue(server, name)
        await add(server, name, *[name.encode()] * 3)
    await server.broker.pop_batch("a", 2)
    assert [(await lease(server))[0] for _ in range(2)] == [b"a", b"b"]
    await server.broker.pop_batch("b", 9)

    assert await lease(server, 9) == []
    await add(server, "b", b"late")
    assert await lease(server, 9) == [b"late"]


async def test_selectors_take_turns_for_themselves(server: Server) -> None:
    """Two that match the same queues see the same messages, each only once."""
    for name in "ab":
        await new_queue(server, name)
        await add(server, name, *[name.encode()] * 4)

    taken = [
        (await lease(server, selector=selector))[0]
        for selector in ("team=mail", "team", "team in (mail)", "team") * 2
    ]

    assert Counter(taken) == Counter({b"a": 4, b"b": 4})
    # The first and the third mean the same.
    assert len(server.broker.selecting) == 2


async def test_gates_of_queues_hold(server: Server) -> None:
    """A pause, a rate and leased_max: others have their turns meanwhile."""
    await new_queue(server, "paused")
    await new_queue(server, "slow", rate=Rate(messages_per_second=1.0, burst=1))
    await new_queue(server, "narrow", leased_max=2)
    for name in ("paused", "slow", "narrow"):
        await add(server, name, *[name.encode()] * 5)
    await server.broker.pause("paused", adds=False)

    taken = await lease(server, 9)

    assert Counter(taken) == Counter({b"slow": 1, b"narrow": 2})
    assert await lease(server, 9) == []
    await server.pass_time(1)
    assert await lease(server, 9) == [b"slow"]
    await server.broker.resume("paused")
    assert await lease(server, 9) == [b"paused"] * 5


async def test_messages_that_come_back_and_expire(server: Server) -> None:
    """Leases end, delays pass, and what is of no use any more is not handed out."""
    await new_queue(server, "a", lease_duration=10)
    await new_queue(server, "b", ttl=5)
    await add(server, "a", b"a")
    await add(server, "b", b"b")
    assert await lease(server, 1) == [b"a"]
    await server.put(b"late", "a", delay=7)

    await server.pass_time(6)
    assert await lease(server, 9) == []
    await server.pass_time(2)
    assert await lease(server, 9) == [b"late"]
    await server.pass_time(3)
    assert await lease(server, 9) == [b"a"]


async def test_groups_and_fair_keys_hold(server: Server) -> None:
    """Within each queue; what was taken of a group makes it busy until it is acked."""
    await new_queue(server, "a")
    await new_queue(server, "b")
    for n in range(2):
        await server.put(b"g%d" % n, "a", group_id="g")
        await server.put(b"x%d" % n, "b", fair_key="x")
        await server.put(b"y%d" % n, "b", fair_key="y")

    assert await lease(server, 1) == [b"g0"]
    assert await lease(server, 1) == [b"x0"]
    assert await lease(server, 9) == [b"y0", b"x1", b"y1"]

    [held] = [each for each in server.broker.catalog.find("a").leases.by_seq.values() if each.fence]
    assert await server.broker.leasing.ack("a", [held.lease_id]) == [None]
    assert await lease(server, 9) == [b"g1"]


# What matches.


async def test_what_matches_changes(server: Server) -> None:
    """Queues come, go, and get and lose tags."""
    assert await lease(server) == []
    await new_queue(server, "a")
    await new_queue(server, "b", Tag("team", "web"))
    await add(server, "a", b"a0", b"a1")
    await add(server, "b", b"b0", b"b1")
    assert await lease(server) == [b"a0"]

    await server.broker.add_queue_tag("b", MAIL)
    await server.broker.delete_queue_tag("a", MAIL)
    assert await lease(server, 9) == [b"b0", b"b1"]

    await server.broker.add_queue_tag("a", MAIL)
    await server.broker.add_queue_tag("a", MAIL)
    assert await lease(server, 9) == [b"a1"]

    await add(server, "a", b"a2")
    await server.broker.delete_queue("a")
    assert await lease(server, 9) == []


async def test_many_queues_are_found_in_slices(tmp_path: Path) -> None:
    """Also those that come, change and go meanwhile, and by all who ask meanwhile."""
    server = Server(Store.MEMORY, tmp_path)
    await server.start()
    for n in range(1_500):
        await new_queue(server, f"q{n}")
    await add(server, "q1499", b"last")
    await add(server, "q0", b"first")
    await add(server, "q1", b"second")

    callers = [asyncio.ensure_future(lease(server)) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not any(each.done() for each in callers)
    await server.broker.delete_queue("q1499")
    await server.broker.delete_queue_tag("q1", MAIL)
    await new_queue(server, "new")
    await add(server, "new", b"new")

    assert [await each for each in callers] == [[b"first"], [b"new"], [], []]
    await server.end()


# How many selectors are in use.


async def test_selector_is_forgotten_when_nobody_uses_it(server: Server) -> None:
    """A minute after the last call, unless somebody waits."""
    await new_queue(server, "a")
    await lease(server, selector="team")
    await server.pass_time(SELECTION_IDLE_S / 2)
    await lease(server, selector="team=mail")
    [waiter] = await waiters(server, "team,env")
    assert len(server.broker.selecting) == 3

    await server.pass_time(SELECTION_IDLE_S / 2)
    assert len(server.broker.selecting) == 2
    await server.pass_time(SELECTION_IDLE_S / 2)

    await turns()
    assert not waiter.is_waiting
    assert len(server.broker.selecting) == 1
    await server.pass_time(SELECTION_IDLE_S)
    assert len(server.broker.selecting) == 0
    await add(server, "a", b"1")
    assert await lease(server, selector="team") == [b"1"]


async def test_no_more_selectors_than_may_be(server: Server) -> None:
    """The refusal says which limit it is, and when it may be another."""
    for n in range(SELECTIONS_MAX):
        await lease(server, selector=f"n={n}")
    await server.pass_time(20)

    with pytest.raises(SelectionsFull) as refusal:
        await lease(server, selector="one=more")

    assert refusal.value.metadata == {
        "limit": "selections_max",
        "value": str(SELECTIONS_MAX),
        "current": str(SELECTIONS_MAX),
    }
    assert refusal.value.retry_after_s == SELECTION_IDLE_S - 20
    assert await lease(server, selector="n=1") == []
    await server.pass_time(SELECTION_IDLE_S - 20)
    assert await lease(server, selector="one=more") == []
