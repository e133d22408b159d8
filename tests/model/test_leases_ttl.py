"""Messages that are of use for a time only, by their own word or that of their queue.

Moments are nanoseconds here, and the first message came at 1,000.
"""

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qmq.limits import MOMENTS_AT_ONCE_MAX
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry, seq_of
from qmq.model.leases import Leases
from qmq.model.ready import Ready
from qmq.values import NackKind, Outcome
from tests.model.queues import EVERYTHING, SIZE, one_by_one


def leases_with(*messages: Delivery, ttl_ns: int = 0) -> Leases:
    """Make leases over a line of messages with options."""
    leases = Leases(Ready())
    leases.set_ttl(ttl_ns)
    for message in messages:
        leases.restore(message)
    return leases


def message(
    seq: int = 1_000, *, expires_ns: int = 0, until_ns: int = 0, priority: int = 0
) -> Delivery:
    """Make a message that is of use, and kept back, until some moment; 0 is not at all."""
    delivery = Delivery(entry(seq, SIZE, priority))
    delivery.expires_ns = expires_ns
    if until_ns:
        delivery.state, delivery.until_ns = State.DELAYED, until_ns
    return delivery


def hand_out(leases: Leases, now_ns: int, until_ns: int, count: int = 1) -> list[Delivery]:
    """Put messages at the head on lease."""
    return one_by_one(leases, leases.hand_out(now_ns, until_ns, count, EVERYTHING, ""))


def test_message_expires_when_its_time_is_over() -> None:
    """To the nanosecond; and it is told once."""
    mine = message(expires_ns=1_500)
    leases = leases_with(mine, message(1_001))

    assert leases.next_moment_ns() == 1_500
    assert leases.pass_time(1_499, 0) == ([], [])
    assert leases.pass_time(1_500, 0) == ([], [mine])
    leases.forget(mine)
    assert leases.pass_time(9_999, 0) == ([], [])
    assert list(leases.by_seq) == [1_001]


@pytest.mark.parametrize(
    ("own_ns", "queue_ns", "expires_ns"),
    [(1_500, 0, 1_500), (0, 300, 1_300), (1_500, 300, 1_300), (1_200, 300, 1_200)],
)
def test_the_shorter_of_both_times_counts(own_ns: int, queue_ns: int, expires_ns: int) -> None:
    """That of the queue from the message's arrival."""
    mine = message(expires_ns=own_ns)
    leases = leases_with(mine, ttl_ns=queue_ns)

    assert leases.pass_time(expires_ns - 1, 0) == ([], [])
    assert leases.pass_time(expires_ns, 0) == ([], [mine])


@pytest.mark.parametrize("releases", [1, 2, 5])
def test_message_that_came_back_expires_once(releases: int) -> None:
    """However often it was handed out before."""
    mine = message(expires_ns=1_500)
    leases = leases_with(mine)
    for at in range(releases):
        (delivery,) = hand_out(leases, 1_010 + at, 1_300)
        leases.give_back(delivery, NackKind.RELEASE, 1_010 + at, 0, "")

    assert leases.pass_time(2_000, 0) == ([], [mine])
    leases.forget(mine)
    assert leases.pass_time(2_000, 0) == ([], [])
    assert (len(leases.by_seq), len(leases._ready)) == (0, 0)  # noqa: SLF001 - Its line.


def test_message_on_lease_does_not_expire() -> None:
    """Its consumer goes on; when the lease ends, the message is of no use any more."""
    mine = message(expires_ns=1_500)
    leases = leases_with(mine)
    (delivery,) = hand_out(leases, 1_100, 2_000)

    assert leases.pass_time(1_999, 0) == ([], [])
    assert (delivery.state, leases.find(1_000, 1)) == (State.LEASED, mine)
    assert leases.pass_time(2_000, 0) == ([], [mine])

    assert delivery.state is State.EXPIRED
    assert [each.outcome for each in delivery.attempts] == [Outcome.EXPIRED]


def test_extended_lease_goes_on_beyond_the_end_of_use() -> None:
    """And can be acked."""
    leases = leases_with(message(expires_ns=1_500))
    (delivery,) = hand_out(leases, 1_100, 1_200)
    leases.extend(delivery, 5_000)

    assert leases.pass_time(4_999, 0) == ([], [])
    leases.forget(delivery)

    assert (leases.leased, leases.bytes, len(leases.by_seq)) == (0, 0, 0)


@pytest.mark.parametrize("delay_ns", [0, 50, 5_000])
def test_message_that_comes_back_too_late_expires(delay_ns: int) -> None:
    """Whatever it is kept back for."""
    mine = message(expires_ns=1_500)
    leases = leases_with(mine)
    (delivery,) = hand_out(leases, 1_100, 9_000)

    leases.give_back(delivery, NackKind.FAIL, 1_600, delay_ns, "")

    assert leases.pass_time(1_600, 0) == ([], [mine])
    assert delivery.state is State.RETURNED
    leases.forget(mine)
    assert (leases.delayed, leases.bytes) == (0, 0)


def test_worn_out_message_that_is_of_no_use_has_expired() -> None:
    """It is one of the two, and not both."""
    mine, other = message(expires_ns=1_500), message(1_001)
    leases = leases_with(mine, other)
    hand_out(leases, 1_100, 1_600, count=2)

    assert leases.pass_time(1_600, 1) == ([other], [mine])


def test_message_that_is_kept_back_expires_before_it_is_ready() -> None:
    """Then it never is."""
    mine = message(until_ns=2_000, expires_ns=1_500)
    leases = leases_with(mine)

    assert leases.pass_time(1_499, 0) == ([], [])
    assert leases.delayed == 1
    assert leases.pass_time(1_500, 0) == ([], [mine])
    assert leases.delayed == 0


def test_message_that_is_kept_back_is_ready_when_that_is_over_and_expires_later() -> None:
    """One after the other."""
    mine = message(until_ns=1_200, expires_ns=1_500)
    leases = leases_with(mine)

    assert leases.pass_time(1_200, 0) == ([], [])
    assert (mine.state, leases.delayed, leases.bytes) == (State.RETURNED, 0, 0)
    assert leases.pass_time(1_500, 0) == ([], [mine])


def test_both_ends_of_a_message_may_have_come() -> None:
    """It is told once."""
    mine = message(until_ns=1_200, expires_ns=1_500)

    assert leases_with(mine).pass_time(9_000, 0) == ([], [mine])


def in_every_state(ttl_ns: int = 0) -> tuple[Leases, dict[State, Delivery]]:
    """Make a message in each state, in order of arrival from 1,000 on; it is 1,100 then."""
    leases = leases_with(*(message(1_000 + at, priority=at % 2) for at in range(4)), ttl_ns=ttl_ns)
    expired, other = (hand_out(leases, 1_010, 1_100)[0] for _ in range(2))
    leased, delayed = hand_out(leases, 1_020, 1_400, count=2)
    leases.give_back(other, NackKind.RELEASE, 1_050, 0, "")
    leases.give_back(delayed, NackKind.FAIL, 1_060, 200, "")
    assert leases.pass_time(1_100, 0) == ([], [])
    states = {each.state: each for each in (expired, other, leased, delayed)}
    assert set(states) == set(State)
    return leases, states


def test_time_of_use_may_change_with_messages_in_every_state() -> None:
    """It counts for those that are there too; who has one on lease may go on."""
    leases, states = in_every_state()

    leases.set_ttl(150)
    ended = leases.pass_time(1_200, 0)[1]
    for each in ended:
        leases.forget(each)

    assert {each.state for each in ended} == {State.RETURNED, State.EXPIRED}
    assert len(ended) == 3
    assert leases.by_seq == {states[State.LEASED].seq: states[State.LEASED]}
    assert leases.pass_time(1_399, 0) == ([], [])
    assert leases.pass_time(1_400, 0) == ([], [states[State.LEASED]])


def test_time_of_use_may_become_longer() -> None:
    """Nothing expires by the former one."""
    leases, _ = in_every_state(ttl_ns=150)

    leases.set_ttl(1_000)
    assert leases.pass_time(1_999, 0) == ([], [])
    assert len(leases.pass_time(2_003, 0)[1]) == 4


def test_time_of_use_may_come_to_be_for_ever() -> None:
    """Nothing expires any more, and nothing is left to wait for."""
    leases, _ = in_every_state(ttl_ns=150)

    leases.set_ttl(0)

    assert leases.pass_time(10**9, 0) == ([], [])
    assert leases.next_moment_ns() is None
    assert len(leases.by_seq) == 4


def test_changes_of_the_time_of_use_leave_nothing_behind() -> None:
    """However often it changes."""
    leases, _ = in_every_state()

    for ttl_ns in range(10_000, 20_000):
        leases.set_ttl(ttl_ns)

    assert len(list(leases.moments())) < 1_100


def test_very_many_expire_step_by_step() -> None:
    """Each once, and as long as there are more, that is told."""
    count = MOMENTS_AT_ONCE_MAX * 2 + 5
    leases = leases_with(*(message(1_000 + at, expires_ns=9_000) for at in range(count)))
    told: list[int] = []
    steps = 0

    while (next_ns := leases.next_moment_ns()) is not None and next_ns <= 9_000:
        expired = leases.pass_time(9_000, 0)[1]
        told += [each.seq for each in expired]
        for each in expired:
            leases.forget(each)
        steps += 1

    assert told == list(range(1_000, 1_000 + count))
    assert steps == 3


class Uses(RuleBasedStateMachine):
    """Leases beside plain facts about each message: since when it is where, and until when."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = Ready()
        self.leases = Leases(self.ready)
        self.now = 1_000
        self.next_seq = 1_000
        self.ttl = 0
        self.messages: list[Delivery] = []

    def expires(self, each: Delivery) -> int:
        """Return when the use of a message ends; a moment that never comes if it does not."""
        ends = [each.expires_ns or 10**9]
        ends += [each.seq + self.ttl] if self.ttl else []
        return min(ends)

    def in_state(self, *states: State) -> list[Delivery]:
        """Return messages in some states."""
        return [each for each in self.messages if each.state in states]

    @rule(
        ttl=st.sampled_from([0, 0, 5, 30, 200]),
        delay=st.sampled_from([0, 0, 10, 40]),
        priority=st.integers(0, 2),
    )
    def add(self, ttl: int, delay: int, priority: int) -> None:
        """Add a message."""
        self.next_seq = max(self.next_seq + 1, self.now)
        made = message(
            self.next_seq,
            expires_ns=self.now + ttl if ttl else 0,
            until_ns=self.now + delay if delay else 0,
            priority=priority,
        )
        self.messages.append(made)
        self.leases.restore(made)

    @precondition(lambda self: len(self.ready) > 0)
    @rule(lasts=st.sampled_from([5, 20, 100]), count=st.integers(1, 2))
    def lease(self, lasts: int, count: int) -> None:
        """Hand out messages: none that is of no use."""
        for each in hand_out(self.leases, self.now, self.now + lasts, count):
            assert self.now < self.expires(each)

    @precondition(lambda self: self.in_state(State.LEASED))
    @rule(data=st.data(), delay=st.sampled_from([0, 0, 7]))
    def give_back(self, data: st.DataObject, delay: int) -> None:
        """Give a message back."""
        each = data.draw(st.sampled_from(self.in_state(State.LEASED)))
        self.leases.give_back(each, NackKind.RELEASE, self.now, delay, "")
        self.pass_time(0)

    @precondition(lambda self: self.in_state(State.LEASED))
    @rule(data=st.data(), lasts=st.sampled_from([1, 50]))
    def extend(self, data: st.DataObject, lasts: int) -> None:
        """Make a lease end at another moment."""
        each = data.draw(st.sampled_from(self.in_state(State.LEASED)))
        self.leases.extend(each, self.now + lasts)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        """Take a message out."""
        each = data.draw(st.sampled_from(self.messages))
        self.messages.remove(each)
        self.leases.forget(each)

    @rule(ttl=st.sampled_from([0, 3, 25, 300]))
    def set_ttl(self, ttl: int) -> None:
        """Let all be of use for another time."""
        self.ttl = ttl
        self.leases.set_ttl(ttl)
        self.pass_time(0)

    @rule(passed=st.integers(0, 60))
    def pass_time(self, passed: int) -> None:
        """Let time pass; what expires leaves at once."""
        self.now += passed
        before = {each.seq: (each.state, each.until_ns) for each in self.messages}

        _, expired = self.leases.pass_time(self.now, 0)

        right: list[int] = []
        for each in self.messages:
            state, until_ns = before[each.seq]
            is_over = state in (State.LEASED, State.DELAYED) and until_ns <= self.now
            if self.expires(each) <= self.now and (state is not State.LEASED or is_over):
                right.append(each.seq)
            elif is_over:
                returned = State.EXPIRED if state is State.LEASED else State.RETURNED
                assert each.state is returned
            else:
                assert (each.state, each.until_ns) == (state, until_ns)
        assert sorted(each.seq for each in expired) == sorted(right)
        for each in expired:
            self.messages.remove(each)
            self.leases.forget(each)

    @invariant()
    def all_is_where_it_should_be(self) -> None:
        """By state, with what it takes, and it will be looked at in time."""
        in_line = self.in_state(State.RETURNED, State.EXPIRED)
        assert seqs(self.ready) == [
            each.seq for each in sorted(in_line, key=lambda each: (-each.priority, each.seq))
        ]
        out = self.in_state(State.LEASED, State.DELAYED)
        assert self.leases.leased + self.leases.delayed == len(out)
        assert self.leases.bytes == len(out) * SIZE
        ends = [each.until_ns for each in out]
        ends += [self.expires(each) for each in self.messages if each.state is not State.LEASED]
        next_ns = self.leases.next_moment_ns()
        assert next_ns is not None or not [end for end in ends if end < 10**9]
        assert next_ns is None or not ends or next_ns <= min(ends)


def seqs(ready: Ready) -> Sequence[int]:
    """Return the numbers of the messages in a line, in order."""
    return [seq_of(each) for each in ready]


def test_no_message_is_ready_when_it_is_of_no_use() -> None:
    """Whatever happens to it, in whatever order."""
    run_state_machine_as_test(Uses)
