"""The naive model itself: groups and fair keys by hand, since it is what all else is held to."""

from typing import Any

import pytest

from qmq.descriptions import (
    BackOff,
    Fairness,
    GroupInfo,
    MessageOptions,
    QueueInfo,
    QueueSettings,
    Rate,
)
from qmq.testing import ManualClock
from qmq.values import NS_PER_S, DeadLetterReason, GroupState, NackKind, Store
from tests.store.naive import NaiveBroker
from tests.store.naive_message import NaiveLease, Shown
from tests.store.naive_queue import NaiveQueue

_PLAIN = QueueSettings(back_off=BackOff(base_ns=0))


class Naive:
    """A queue "q" of the naive model, and "dead", where messages are called by their payloads."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broker = NaiveBroker(self.clock, self.clock)
        self.new_queue("dead", _PLAIN)
        self.new_queue("q", _PLAIN)
        #: The latest lease on each message.
        self.leases: dict[str, str] = {}

    def new_queue(self, name: str, settings: QueueSettings) -> None:
        """Make a queue."""
        self.broker.new_queue(QueueInfo(id=name, created_ns=0, store=Store.DISK, settings=settings))

    @property
    def queue(self) -> NaiveQueue:
        """The queue."""
        found = self.broker.find("q")
        assert isinstance(found, NaiveQueue)
        return found

    def set(self, **settings: Any) -> None:  # noqa: ANN401 - Any of them.
        """Change its settings."""
        changed = QueueSettings(back_off=BackOff(base_ns=0), **settings)
        assert isinstance(self.broker.update_queue("q", lambda _: changed), QueueInfo)

    def add(
        self,
        *names: str,
        reference: str = "q",
        **options: Any,  # noqa: ANN401 - Any of them.
    ) -> None:
        """Add messages."""
        for name in names:
            added = self.broker.add_with(reference, name.encode(), b"", MessageOptions(**options))
            assert isinstance(added, Shown)

    def lease(self, most: int = 1, seconds: int = 30) -> str:
        """Lease messages; return their names."""
        leased = self.broker.lease("q", most, duration_ns=seconds * NS_PER_S, consumer="")
        assert isinstance(leased, list)
        for each in leased:
            assert isinstance(each, NaiveLease)
            self.leases[each.shown.payload.decode()] = each.message.lease_id
        return " ".join(each.shown.payload.decode() for each in leased)

    def pop(self, most: int = 1, reference: str = "q") -> str:
        """Pop messages; return their names."""
        popped = self.broker.pop_batch(reference, most)
        assert isinstance(popped, list)
        return " ".join(each.payload.decode() for each in popped)

    def ack(self, *names: str) -> None:
        """Ack messages."""
        assert self.broker.ack("q", [self.leases[each] for each in names]) == [None] * len(names)

    def nack(self, name: str, kind: NackKind = NackKind.FAIL, delay_s: int = 0) -> None:
        """Nack a message."""
        result = self.broker.nack(
            "q", [self.leases[name]], kind, delay_ns=delay_s * NS_PER_S, reason=""
        )
        assert result == [None]

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.broker.pass_time()

    def state(self, group_id: str) -> GroupState:
        """Return the state of a group."""
        return self.queue.group(group_id).state


@pytest.fixture
def naive() -> Naive:
    """Return a queue."""
    return Naive()


def test_group_is_busy_while_one_of_its_messages_is_on_lease(naive: Naive) -> None:
    """The others of it wait, and what is in no group does not."""
    naive.add("a1", "a2", group_id="a")
    naive.add("b1", group_id="b")
    naive.add("p1")

    assert naive.lease() == "a1"
    assert (naive.state("a"), naive.queue.blocked()) == (GroupState.LEASED, 1)
    assert naive.lease(10) == "b1 p1"
    assert naive.pop(10) == ""
    naive.ack("a1")
    assert naive.lease() == "a2"


def test_one_lease_takes_several_of_a_group(naive: Naive) -> None:
    """The next one stands in line as soon as the head is taken, until the call ends."""
    naive.add("a1", "a2", "a3", group_id="a")
    naive.add("p1")

    assert naive.lease(2) == "a1 a2"
    assert naive.lease(2) == "p1"
    naive.ack("a1")
    assert naive.lease() == ""
    naive.nack("a2")
    assert naive.lease(3) == "a2 a3"


def test_pop_makes_no_group_busy(naive: Naive) -> None:
    """Its heads are taken one after the other."""
    naive.add("a1", "a2", "a3", group_id="a")

    assert (naive.pop(), naive.pop(2)) == ("a1", "a2 a3")
    assert naive.queue.groups() == []


def test_priority_counts_at_the_head_of_a_group_alone(naive: Naive) -> None:
    """Nothing overtakes within a group."""
    naive.add("a1", group_id="a")
    naive.add("a2", group_id="a", priority=9)
    naive.add("p1", "p2", priority=1)

    assert naive.pop(4) == "p1 p2 a1 a2"
    naive.add("a1", group_id="a", priority=2)
    naive.add("p1", priority=1)
    naive.add("a2", group_id="a")
    assert naive.lease(3) == "a1 p1 a2"


def test_delayed_head_holds_its_group_up(naive: Naive) -> None:
    """Also one that comes back with a delay, to its old place."""
    naive.add("a1", group_id="a", delay_ns=5 * NS_PER_S)
    naive.add("a2", "a3", group_id="a")
    assert (naive.lease(), naive.state("a"), naive.queue.blocked()) == ("", GroupState.DELAYED, 2)
    naive.advance(5)
    assert naive.lease(2) == "a1 a2"

    naive.nack("a1", NackKind.RELEASE, delay_s=3)
    naive.ack("a2")
    assert naive.lease() == ""
    naive.advance(3)
    assert naive.lease(5) == "a1 a3"


def test_delayed_message_behind_the_head_ends_what_a_lease_takes(naive: Naive) -> None:
    """What is kept back is not overtaken."""
    naive.add("a1", group_id="a")
    naive.add("a2", group_id="a", delay_ns=NS_PER_S)
    naive.add("a3", group_id="a")

    assert naive.lease(3) == "a1"


def test_group_parks_when_a_message_has_failed_too_often(naive: Naive) -> None:
    """By a failure or by a lease that runs out; it goes on when it is resumed."""
    naive.set(park_after=2)
    naive.add("a1", "a2", group_id="a")

    naive.lease()
    naive.nack("a1")
    assert naive.state("a") is GroupState.READY
    naive.lease(seconds=1)
    naive.advance(1)
    assert naive.broker.list_groups("q", states=[GroupState.PARKED]) == [
        GroupInfo(
            id="a",
            state=GroupState.PARKED,
            waiting=2,
            leased=0,
            since_ns=naive.clock.now_ns(),
        )
    ]
    assert (naive.pop(), naive.queue.blocked()) == ("", 2)

    naive.broker.resume_group("q", "a")
    assert naive.lease() == "a1"
    naive.nack("a1")
    assert naive.state("a") is GroupState.PARKED


def test_late_ack_leaves_a_group_parked_until_it_is_empty(naive: Naive) -> None:
    """A group that has no message any more has nothing to be parked for."""
    naive.set(park_after=1)
    naive.add("a1", "a2", group_id="a")
    naive.lease(seconds=1)
    naive.advance(1)

    naive.ack("a1")
    assert naive.state("a") is GroupState.PARKED
    naive.broker.skip_group("q", "a", 1)
    assert naive.queue.groups() == []


def test_dead_letter_does_not_park_its_group(naive: Naive) -> None:
    """It is out of the way."""
    naive.set(park_after=1, delivery_count_max=1, dead_letter_queue_id="dead")
    naive.add("a1", "a2", group_id="a")

    naive.lease()
    naive.nack("a1")
    assert (naive.state("a"), naive.lease()) == (GroupState.READY, "a2")


def test_skip_takes_the_first_messages_that_are_not_on_lease(naive: Naive) -> None:
    """They are dead letters, which stand by themselves; it ends parking, but no pause."""
    naive.set(park_after=1, dead_letter_queue_id="dead")
    naive.add("a1", "a2", group_id="a", fair_key="k")
    naive.add("a3", group_id="a", delay_ns=NS_PER_S)
    naive.add("a4", group_id="a")
    naive.lease(2)
    naive.nack("a2")
    assert naive.state("a") is GroupState.PARKED

    skipped = naive.broker.skip_group("q", "a", 2)
    assert skipped == (2, GroupInfo(id="a", state=GroupState.LEASED, waiting=1, leased=1))
    dead = naive.broker.find("dead")
    assert isinstance(dead, NaiveQueue)
    assert [each.payload for each in dead.line()] == [b"a2", b"a3"]
    assert [each.dead.reason for each in dead.messages if each.dead] == [
        DeadLetterReason.SKIPPED,
        DeadLetterReason.SKIPPED,
    ]
    naive.ack("a1")
    naive.broker.pause_group("q", "a")
    naive.broker.skip_group("q", "a", 5)
    assert naive.state("a") is GroupState.PAUSED


def test_pause_needs_no_message_and_outlives_parking_and_a_restart(naive: Naive) -> None:
    """Nothing but a resumption ends it."""
    first = naive.broker.pause_group("q", "a")
    naive.add("a1", group_id="a")
    naive.advance(1)

    assert isinstance(first, GroupInfo)
    again = naive.broker.pause_group("q", "a")
    assert again == GroupInfo(
        id="a", state=GroupState.PAUSED, waiting=1, leased=0, since_ns=first.since_ns
    )
    assert naive.lease() == ""
    naive.broker.restart(naive.clock)
    naive.broker.purge("q")
    assert naive.state("a") is GroupState.PAUSED
    naive.broker.resume_group("q", "a")
    assert naive.queue.groups() == []


def test_expired_message_leaves_its_group_wherever_it_is(naive: Naive) -> None:
    """The others move up."""
    naive.add("a1", group_id="a")
    naive.add("a2", group_id="a", ttl_ns=NS_PER_S)
    naive.add("a3", group_id="a")
    naive.advance(1)

    assert naive.lease(3) == "a1 a3"


def test_fair_keys_take_turns(naive: Naive) -> None:
    """Whatever their numbers are; none is one like the others."""
    naive.add("x1", "x2", "x3", fair_key="x")
    naive.add("p1", "p2")
    naive.add("y1", fair_key="y")

    assert naive.pop(6) == "x1 p1 y1 x2 p2 x3"


def test_priority_counts_among_messages_of_one_key(naive: Naive) -> None:
    """It buys no turn."""
    naive.add("x1", fair_key="x")
    naive.add("y1", fair_key="y")
    naive.add("y2", fair_key="y", priority=9)

    assert naive.pop(3) == "x1 y2 y1"


def test_weights_give_more_at_a_turn(naive: Naive) -> None:
    """Twice the weight, twice the messages."""
    naive.set(fairness=Fairness(weights=(("x", 2),)))
    naive.add(*(f"x{at}" for at in range(4)), fair_key="x")
    naive.add(*(f"y{at}" for at in range(3)), fair_key="y")

    # Virtual times: x at 0, 1/2, 1, 3/2; y at 0, 1, 2; who came first goes first.
    assert naive.pop(7) == "x0 y0 x1 y1 x2 x3 y2"


def test_key_has_so_many_on_lease_at_most(naive: Naive) -> None:
    """In one call too; what is popped does not count."""
    naive.set(fairness=Fairness(leased_max=1))
    naive.add("x1", "x2", "x3", fair_key="x")
    naive.add("y1", fair_key="y")

    assert naive.lease(4) == "x1 y1"
    assert naive.pop(4) == ""
    naive.ack("x1")
    assert naive.pop(4) == "x2 x3"


def test_key_is_handed_out_no_faster_than_its_rate(naive: Naive) -> None:
    """Leased or popped."""
    naive.set(fairness=Fairness(rate=Rate(messages_per_second=1.0, burst=2)))
    naive.add("x1", "x2", "x3", fair_key="x")
    naive.add("y1", fair_key="y")

    assert naive.lease() == "x1"
    assert naive.pop(4) == "y1 x2"
    naive.advance(0.5)
    assert naive.pop() == ""
    naive.advance(0.5)
    assert naive.pop() == "x3"


def test_turns_are_taken_from_the_first_bound_on(naive: Naive) -> None:
    """A queue that began with one remembers whose turn it was, though the bound has gone since."""
    bounded = QueueSettings(fairness=Fairness(leased_max=1))
    naive.new_queue("bounded", bounded)
    unbound = naive.broker.update_queue("bounded", lambda _: _PLAIN)
    assert isinstance(unbound, QueueInfo)
    naive.add("p1", "p2", reference="bounded")
    assert naive.pop(reference="bounded") == "p1"

    naive.add("x1", fair_key="x", reference="bounded")

    assert naive.pop(2, "bounded") == "x1 p2"


def test_key_keeps_its_turn_when_time_passes_in_a_queue_with_a_rate(naive: Naive) -> None:
    """What its bucket holds at the present counts, also when time passes for the first time."""
    rate = Rate(messages_per_second=1.0, burst=2)
    naive.new_queue("slow", QueueSettings(fairness=Fairness(rate=rate)))
    naive.add("y1", "y2", fair_key="y", reference="slow")
    naive.add("x1", "x2", fair_key="x", reference="slow")
    assert naive.pop(2, "slow") == "y1 x1"

    naive.broker.pass_time()

    assert naive.pop(2, "slow") == "y2 x2"


def test_head_of_a_group_stands_among_those_of_its_own_key(naive: Naive) -> None:
    """A group may have messages of several keys, and none overtakes."""
    naive.add("a1", group_id="a", fair_key="x")
    naive.add("a2", group_id="a", fair_key="y")
    naive.add("x1", fair_key="x")
    naive.add("y1", fair_key="y")

    assert naive.pop(4) == "a1 a2 x1 y1"


def test_turns_start_anew_after_a_restart(naive: Naive) -> None:
    """In the order of arrival."""
    naive.add("x1", "x2", fair_key="x")
    naive.add("y1", fair_key="y")
    assert naive.pop() == "x1"

    naive.broker.restart(naive.clock)

    assert naive.pop(2) == "x2 y1"
