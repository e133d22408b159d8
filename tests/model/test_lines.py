"""Groups and fair_keys: which message is next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from qmq.descriptions import Fairness, QueueSettings, Rate
from qmq.model.check import problems_of
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry, seq_of
from qmq.model.nacking import end_undone
from qmq.model.queue import Queue
from qmq.model.stats import stats_of
from qmq.testing import START_NS
from qmq.values import NS_PER_S, FairKeyStats, GroupState, NackKind
from tests.model.queues import EVERYTHING, LEASE_NS, SIZE, one_by_one, queue


def add(  # noqa: PLR0913 - All that a message can have.
    q: Queue,
    seq: int,
    group_id: str = "",
    fair_key: str = "",
    *,
    priority: int = 0,
    until_ns: int = 0,
) -> Delivery:
    """Put a message into a queue."""
    delivery = Delivery(entry(START_NS + seq, SIZE, priority))
    delivery.group_id, delivery.fair_key = group_id, fair_key
    if until_ns:
        delivery.state, delivery.until_ns = State.DELAYED, until_ns
    q.add_known(delivery)
    return delivery


def number(delivery: Delivery) -> int:
    """Return what `add` was given."""
    return delivery.seq - START_NS


def lease(q: Queue, count: int = 1, now_ns: int = START_NS) -> list[Delivery]:
    """Lease messages; the queue must be sound after that."""
    handed_out = q.lease(now_ns, LEASE_NS, count, EVERYTHING, "")
    assert problems_of(q) == []
    return one_by_one(q.leases, handed_out)


def leased(q: Queue, count: int = 1, now_ns: int = START_NS) -> list[int]:
    """Do the same, and return what `add` was given for each."""
    return [number(each) for each in lease(q, count, now_ns)]


def popped(q: Queue, count: int) -> list[int]:
    """Pop messages one by one, as far as there are any."""
    taken = []
    for _ in range(count):
        if not q.available:
            break
        taken.append(seq_of(q.pop()[0]) - START_NS)
        assert problems_of(q) == []
    return taken


def give_back(
    q: Queue,
    delivery: Delivery,
    kind: NackKind = NackKind.FAIL,
    delay_ns: int | None = 0,
    now_ns: int = START_NS,
) -> None:
    """Nack a message; the queue must be sound after that."""
    end_undone(q, delivery, kind, now_ns=now_ns, delay_ns=delay_ns, reason="", chance=0.0)
    assert problems_of(q) == []


def state(q: Queue, group_id: str) -> GroupState:
    """Return how a group is."""
    return q.lines.groups.info(group_id).state


# Groups.


def test_group_hands_out_one_batch_at_a_time() -> None:
    """What follows in the group waits until all of it is done; others do not."""
    q = queue()
    for seq, group_id in enumerate(["a", "a", "b", "", "a"]):
        add(q, seq, group_id)

    first = lease(q)
    assert [number(each) for each in first] == [0]
    assert state(q, "a") is GroupState.LEASED
    others = lease(q, 9)
    assert [number(each) for each in others] == [2, 3]
    told = stats_of(q, START_NS)
    assert (q.available, told.ready, told.blocked, told.oldest_age_ns) == (0, 2, 2, None)

    q.ack(first[0])
    assert problems_of(q) == []
    assert leased(q, 9) == [1, 4]


def test_one_call_takes_several_of_a_group_in_the_order_of_the_line() -> None:
    """As soon as one is taken, the next one of its group stands there."""
    q = queue()
    for seq, group_id in enumerate(["a", "b", "a", "b", "a"]):
        add(q, seq, group_id)

    assert leased(q, 4) == [0, 1, 2, 3]
    assert q.available == 0


def test_group_is_busy_until_all_of_its_batch_is_done() -> None:
    """Not only the first of it."""
    q = queue()
    for seq in range(4):
        add(q, seq, "a")
    one, two = lease(q, 2)

    q.ack(one)
    assert leased(q, 9) == []
    assert q.ack_all([(two.seq, two.fence)]) == [two.entry]

    assert leased(q, 9) == [2, 3]


def test_message_that_comes_back_is_the_next_of_its_group() -> None:
    """At its old place, whether it was released, has failed, or its lease ran out."""
    q = queue()
    for seq in range(3):
        add(q, seq, "a")
    [one] = lease(q)
    give_back(q, one, NackKind.RELEASE)
    [one] = lease(q)
    give_back(q, one)
    assert [number(each) for each in lease(q)] == [0]
    q.pass_time(START_NS + LEASE_NS)
    assert problems_of(q) == []

    assert leased(q, 9, START_NS + LEASE_NS) == [0, 1, 2]


def test_group_waits_for_its_first_message() -> None:
    """One that was added with a delay, and one that has failed and is kept back."""
    q = queue()
    add(q, 0, "a", until_ns=START_NS + 5)
    add(q, 1, "a")
    add(q, 2, "b")
    assert (leased(q, 9), state(q, "a")) == ([2], GroupState.DELAYED)
    q.pass_time(START_NS + 5)
    assert problems_of(q) == []
    [one] = lease(q, 1, START_NS + 5)
    give_back(q, one, delay_ns=10, now_ns=START_NS + 5)

    assert (leased(q, 9, START_NS + 5), state(q, "a")) == ([], GroupState.DELAYED)
    q.pass_time(START_NS + 15)
    assert leased(q, 9, START_NS + 15) == [0, 1]


def test_delayed_message_within_a_group_ends_a_batch() -> None:
    """What is behind it waits for it."""
    q = queue()
    add(q, 0, "a")
    add(q, 1, "a", until_ns=START_NS + 5)
    add(q, 2, "a")

    assert leased(q, 9) == [0]


def test_pops_take_a_group_one_by_one() -> None:
    """They make nobody wait."""
    q = queue()
    for seq, group_id in enumerate(["a", "a", "b", "a"]):
        add(q, seq, group_id)

    assert popped(q, 9) == [0, 1, 2, 3]
    assert len(q.lines.groups) == 0


def test_busy_group_is_not_popped_either() -> None:
    """It would be out of order."""
    q = queue()
    for seq, group_id in enumerate(["a", "a", "b"]):
        add(q, seq, group_id)
    lease(q)

    assert popped(q, 9) == [2]


@pytest.mark.parametrize("how", ["nack", "expiry"])
def test_group_parks_when_a_message_has_failed_too_often(how: str) -> None:
    """It hands out nothing until it is resumed; the others go on."""
    q = queue(settings=QueueSettings(park_after=2))
    for seq, group_id in enumerate(["a", "a", "b"]):
        add(q, seq, group_id)
    now_ns = START_NS
    for turn in range(2):
        assert state(q, "a") is GroupState.READY
        [one] = lease(q, 1, now_ns)
        assert number(one) == 0, turn
        if how == "nack":
            give_back(q, one, now_ns=now_ns)
        else:
            now_ns += LEASE_NS
            q.pass_time(now_ns)
            assert problems_of(q) == []

    assert state(q, "a") is GroupState.PARKED
    assert q.lines.groups.info("a").since_ns == now_ns
    assert q.lines.groups.take_changed() == [("a", 0, now_ns)]
    assert leased(q, 9, now_ns) == [2]
    q.lines.groups.resume("a")
    assert q.lines.groups.take_changed() == [("a", 0, 0)]
    assert leased(q, 9, now_ns) == [0, 1]


def test_released_messages_park_no_group() -> None:
    """Nothing has failed."""
    q = queue(settings=QueueSettings(park_after=1))
    add(q, 0, "a")

    [one] = lease(q)
    give_back(q, one, NackKind.RELEASE)

    assert state(q, "a") is GroupState.READY


def test_pause_of_a_group_outlives_its_messages_and_parking_does_not() -> None:
    """A pause is somebody's will; parking is about a message."""
    q = queue(settings=QueueSettings(park_after=1))
    add(q, 0, "a")
    [one] = lease(q)
    q.pause_group("a", START_NS + 7)
    give_back(q, one)
    assert (state(q, "a"), q.lines.groups.parked) == (GroupState.PAUSED, 1)

    q.drop_all()
    assert problems_of(q) == []

    assert (state(q, "a"), q.lines.groups.parked, len(q.lines.groups)) == (GroupState.PAUSED, 0, 1)
    add(q, 1, "a")
    assert leased(q) == []
    q.lines.groups.resume("a")
    assert leased(q) == [1]


def test_skipping_takes_the_first_messages_and_ends_parking() -> None:
    """Those on lease stay; what is kept back is skipped like others."""
    q = queue(settings=QueueSettings(park_after=1))
    add(q, 0, "a")
    add(q, 1, "a", until_ns=START_NS + 5)
    add(q, 2, "a")
    [one] = lease(q)
    give_back(q, one)

    skipped = q.skip("a", 2)
    for delivery in skipped:
        q.leases.forget(delivery)
    assert problems_of(q) == []

    assert [number(each) for each in skipped] == [0, 1]
    assert leased(q) == [2]
    assert q.skip("none", 1) == []


def test_one_that_leaves_from_within_a_group_is_not_missed() -> None:
    """As when its ttl has passed."""
    q = queue()
    one, two, three = (add(q, seq, "a") for seq in range(3))
    q.leases.forget(two)
    assert problems_of(q) == []
    q.leases.forget(one)
    assert problems_of(q) == []

    assert [each.seq for each in lease(q, 9)] == [three.seq]


def test_priority_of_a_group_is_that_of_its_first_message() -> None:
    """Order within the group comes first."""
    q = queue()
    add(q, 0, "a")
    add(q, 1, "a", priority=9)
    add(q, 2, "b", priority=5)

    assert leased(q, 9) == [2, 0, 1]


def test_groups_are_listed_by_their_ids() -> None:
    """Page by page, and by their state."""
    q = queue()
    for seq, group_id in enumerate(["c", "a", "b", "a"]):
        add(q, seq, group_id)
    q.pause_group("d", START_NS)
    lease(q)

    groups = q.lines.groups
    ids = [group.id for group in groups.all()]
    assert groups.first_of(ids, "", 9, frozenset()) == ["a", "b", "c", "d"]
    assert groups.first_of(ids, "a", 2, frozenset()) == ["b", "c"]
    assert groups.first_of(ids, "", 9, frozenset({GroupState.LEASED})) == ["c"]
    assert groups.first_of(["b", "gone"], "", 9, frozenset()) == ["b"]
    first = groups.info("a")
    assert (first.waiting, first.leased, first.since_ns) == (2, 0, 0)


# Fair keys.


def of_keys(counts: dict[str, int], settings: QueueSettings | None = None) -> Queue:
    """Make a queue with so many messages of each key, one key after the other."""
    q = queue(settings=settings or QueueSettings())
    seq = 0
    for key, count in counts.items():
        for _ in range(count):
            add(q, seq, "", key)
            seq += 1
    return q


def with_rate(messages_per_second: float) -> QueueSettings:
    """Return settings with a rate of each key."""
    return QueueSettings(fairness=Fairness(rate=Rate(messages_per_second=messages_per_second)))


def change(q: Queue, **changed: object) -> None:
    """Change settings of a queue; it must be sound after that."""
    settings = replace(q.info.settings, **changed)  # type: ignore[arg-type]
    q.set_info(replace(q.info, settings=settings))
    assert problems_of(q) == []


def keys_of(deliveries: Sequence[Delivery]) -> str:
    """Return the keys of messages, each of one character."""
    return "".join(each.fair_key or "-" for each in deliveries)


def test_keys_take_turns() -> None:
    """Whoever has a million messages waits for who has one."""
    q = of_keys({"a": 6, "b": 2, "c": 1})

    assert keys_of(lease(q, 9)) == "abcabaaaa"


def test_messages_without_a_key_share_a_turn() -> None:
    """They are one like the others."""
    q = of_keys({"a": 3, "": 3})

    assert keys_of(lease(q, 9)) == "a-a-a-"


def test_plain_messages_share_that_turn() -> None:
    """Also those of which nothing is known."""
    q = queue()
    q.add_plain(entry(START_NS, SIZE))
    q.add_plain(entry(START_NS + 1, SIZE))
    add(q, 2, "", "a")
    add(q, 3, "", "a")

    assert leased(q, 9) == [0, 2, 1, 3]


def test_weights_are_shares() -> None:
    """Three for one."""
    fairness = Fairness(weights=(("a", 3),))
    q = of_keys({"a": 60, "b": 60}, QueueSettings(fairness=fairness))

    assert Counter(keys_of(lease(q, 40))) == {"a": 30, "b": 10}


def test_priority_counts_within_a_key() -> None:
    """Nobody gets the share of others by it."""
    q = queue()
    add(q, 0, "", "a")
    add(q, 1, "", "a", priority=9)
    add(q, 2, "", "b")
    add(q, 3, "", "a", priority=9)

    assert leased(q, 9) == [1, 2, 3, 0]


def test_key_has_no_more_on_lease_than_it_may() -> None:
    """In one call, and in several; a pop takes no place."""
    settings = QueueSettings(fairness=Fairness(leased_max=2))
    q = of_keys({"a": 5, "b": 1}, settings)
    first = lease(q, 9)
    assert keys_of(first) == "aba"
    assert (q.available, q.lines.keys.obstacle(q.lines.keys.get("a"))) == (
        0,
        "2 messages of its fair_key 'a' are on lease, as many as fairness.leased_max of 2 allows",
    )

    q.ack(first[0])
    assert problems_of(q) == []

    assert q.available == 1
    assert popped(q, 9) == [2, 3, 4]
    assert q.available == 0


def test_messages_without_a_key_are_bounded_like_those_of_one() -> None:
    """Also in a queue in which none has one."""
    q = queue(settings=QueueSettings(fairness=Fairness(leased_max=1)))
    q.add_plain(entry(START_NS, SIZE))
    q.add_plain(entry(START_NS + 1, SIZE))

    [one] = lease(q, 9)
    assert leased(q, 9) == []
    q.ack(one)

    assert leased(q, 9) == [1]


def test_leases_from_before_count() -> None:
    """When the bound is set, and when the first key comes."""
    q = queue()
    for seq in range(3):
        q.add_plain(entry(START_NS + seq, SIZE))
    lease(q, 2)
    add(q, 3, "", "a")

    change(q, fairness=Fairness(leased_max=2))

    assert leased(q, 9) == [3]


def test_key_is_handed_out_at_its_rate() -> None:
    """Others meanwhile go on; time brings the next."""
    rate = Rate(messages_per_second=1, burst=2)
    q = of_keys({"a": 5, "b": 1}, QueueSettings(fairness=Fairness(rate=rate)))
    q.pass_time(START_NS)
    assert keys_of(lease(q, 9)) == "aba"
    assert q.next_moment_ns() == START_NS + NS_PER_S

    q.pass_time(START_NS + NS_PER_S)
    assert problems_of(q) == []

    assert keys_of(lease(q, 9, START_NS + NS_PER_S)) == "a"
    assert q.lines.keys.obstacle(q.lines.keys.get("a")) == (
        "messages of its fair_key 'a' are handed out at fairness.rate, no more than 1 a second"
    )


def test_rate_of_a_key_without_messages_is_known_when_there_are_some_again() -> None:
    """Its bucket fills up meanwhile, though nobody looks."""
    q = queue(settings=with_rate(1))
    q.pass_time(START_NS)
    add(q, 0, fair_key="x")
    assert leased(q) == [0]

    q.pass_time(START_NS + NS_PER_S)
    add(q, 1, fair_key="x")
    assert leased(q, now_ns=START_NS + NS_PER_S) == [1]


def test_keys_that_go_on_by_other_settings_do_so_in_order() -> None:
    """As text: nothing else tells which one came first."""
    q = of_keys({"b": 2, "a": 2}, QueueSettings(fairness=Fairness(leased_max=1)))
    assert keys_of(lease(q, 9)) == "ba"

    change(q, fairness=Fairness(leased_max=2))

    assert keys_of(lease(q, 9)) == "ab"


def test_key_keeps_its_turn_when_the_head_of_its_group_leaves_for_the_next_one() -> None:
    """There is no moment at which it has no message in the line."""
    q = queue()
    head = add(q, 0, "g", "a")
    add(q, 1, "", "b")
    add(q, 2, "g", "a")

    q.leases.forget(head)
    assert leased(q, 2) == [2, 1]


@pytest.mark.parametrize("others", [{}, {"b": 1}])
def test_rate_that_nobody_waits_for_allows_more_as_time_passes(others: dict[str, int]) -> None:
    """Though no moment is waited for as long as it allows one message."""
    rate = Rate(messages_per_second=1, burst=2)
    q = of_keys({"": 3} | others, QueueSettings(fairness=Fairness(rate=rate)))
    q.pass_time(START_NS)
    assert leased(q) == [0]

    q.pass_time(START_NS + NS_PER_S)
    assert keys_of(lease(q, 9, START_NS + NS_PER_S)).count("-") == 2


def test_other_rate_does_not_wait_for_the_moment_of_the_one_before() -> None:
    """Which may have been a slow one."""
    q = of_keys({"a": 3}, with_rate(0.001))
    q.pass_time(START_NS)
    assert keys_of(lease(q, 9)) == "a"

    change(q, fairness=with_rate(1).fairness)
    assert keys_of(lease(q, 9)) == "a"
    q.pass_time(START_NS + NS_PER_S)
    assert keys_of(lease(q, 9, START_NS + NS_PER_S)) == "a"


@pytest.mark.parametrize("key", ["", "a"])
def test_pop_takes_more_than_may_be_on_lease(key: str) -> None:
    """It puts nothing on lease; but it takes nothing of a key that has as many."""
    q = of_keys({key: 4}, QueueSettings(fairness=Fairness(leased_max=2)))
    assert len(q.pop_batch(3, EVERYTHING)[0]) == 3

    q = of_keys({key: 4}, QueueSettings(fairness=Fairness(leased_max=2)))
    lease(q, 2)
    assert q.pop_batch(3, EVERYTHING)[0] == []


def test_first_key_that_comes_makes_up_for_nothing() -> None:
    """However many messages without one were taken in one call before."""
    q = of_keys({"": 9}, QueueSettings(fairness=Fairness(leased_max=99)))
    lease(q, 6)

    for seq in range(3):
        add(q, 100 + seq, fair_key="a")
    assert [each.fair_key for each in lease(q, 5)] == ["a", "", "a", "", "a"]


def test_turns_are_taken_from_the_first_bound_on() -> None:
    """A queue remembers whose turn it was, though nothing was bounded when that was taken."""
    q = queue(settings=QueueSettings(fairness=Fairness(leased_max=1)))
    change(q, fairness=Fairness())
    for seq in range(2):
        q.add_plain(entry(START_NS + seq, SIZE))
    assert popped(q, 1) == [0]

    add(q, 2, fair_key="a")

    assert popped(q, 2) == [2, 1]


def test_key_of_a_group_is_that_of_its_first_message() -> None:
    """There the group stands, for as long as that is its first one."""
    q = queue()
    add(q, 0, "g", "a")
    add(q, 1, "", "b")
    add(q, 2, "g", "b")
    add(q, 3, "", "a")

    assert leased(q, 9) == [0, 1, 3, 2]


def test_stats_tell_of_the_keys_with_most_messages() -> None:
    """The first ten, and that without one is among them."""
    counts = {chr(ord("a") + n): n + 1 for n in range(12)}
    fairness = Fairness(weights=(("l", 5),))
    q = of_keys({**counts, "": 100}, QueueSettings(fairness=fairness))
    lease(q, 13)

    stats = stats_of(q, START_NS, with_top=True)
    assert stats.fair_keys == 12
    assert len(stats.top_fair_keys) == 10
    assert stats.top_fair_keys[:2] == (
        FairKeyStats("", 1, 99, 1),
        FairKeyStats("l", 5, 11, 1),
    )
    assert stats_of(q, START_NS).top_fair_keys == ()


def test_keys_that_have_come_and_gone_take_no_memory_for_long() -> None:
    """Also where others stay."""
    q = queue()
    add(q, 0, "", "stays")
    for seq in range(1, 10_000):
        add(q, seq, "", f"key {seq}")
        for delivery in lease(q, 2):
            if delivery.fair_key == "stays":
                q.leases.give_back(delivery, NackKind.RELEASE, START_NS, 0, "")
            else:
                q.ack(delivery)

    assert len(q.lines.keys.all()) < 3_000
    assert q.lines.keys.used == 1
    assert problems_of(q) == []


def test_ageing_orders_the_lines_of_keys_too() -> None:
    """When it is set while messages wait."""
    q = queue()
    add(q, 0, "", "a")
    add(q, 10, "", "a", priority=1)

    change(q, priority_ageing_ns=5)

    assert leased(q, 9) == [0, 10]
