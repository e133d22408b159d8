"""A look at a queue's messages shows them in order, whatever has become of them."""

from itertools import chain

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from qmq.model.browse import look, state_of
from qmq.model.delivery import Delivery, State
from qmq.model.index import entry, seq_of
from qmq.model.nacking import end_undone
from qmq.values import MessageState, NackKind
from tests.model.queues import one_by_one, queue

#: Higher than any sequence number of a test.
LAST = 10**9


class Looks(RuleBasedStateMachine):
    """Any commands on a queue, and after each of them a look at all of it, part by part."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = queue()
        self.seq = 0
        self.now_ns = 0
        #: How many messages to look at with one look.
        self.count_max = 1

    def entries(self) -> list[int]:
        """Return all messages, found the simplest way."""
        known = (delivery.entry for delivery in self.queue.leases.by_seq.values())
        return sorted(chain(self.queue.ready.fresh, known))

    def leased(self) -> list[Delivery]:
        """Return those on lease."""
        known = self.queue.leases.by_seq.values()
        return [delivery for delivery in known if delivery.state is State.LEASED]

    @rule(sizes=st.lists(st.integers(1, 99), max_size=5))
    def add(self, sizes: list[int]) -> None:
        """Add messages."""
        self.seq += 3
        self.queue.add_batch(self.seq, sizes)
        self.seq += len(sizes)

    @rule()
    def take_in_with_a_history(self) -> None:
        """Take in a message that a redrive has moved here."""
        self.seq += 1
        self.queue.leases.restore(Delivery(entry(self.seq, 9)))

    @rule(count=st.integers(1, 5))
    def lease(self, count: int) -> None:
        """Hand out messages."""
        self.queue.lease(self.now_ns, 10, count, 10_000, "")

    @rule(data=st.data(), how=st.sampled_from(["ack", "release", "delay"]))
    def end_lease(self, data: st.DataObject, how: str) -> None:
        """End one of the leases."""
        if not self.leased():
            return
        delivery = data.draw(st.sampled_from(self.leased()))
        if how == "ack":
            self.queue.ack(delivery)
            return
        end_undone(
            self.queue,
            delivery,
            NackKind.RELEASE,
            now_ns=self.now_ns,
            delay_ns=0 if how == "release" else 5,
            reason="",
            chance=0.0,
        )

    @rule(count=st.integers(1, 5))
    def pop(self, count: int) -> None:
        """Take messages out."""
        self.queue.pop_batch(count, 10_000)

    @rule(passed_ns=st.integers(0, 12))
    def pass_time(self, passed_ns: int) -> None:
        """End leases and delays."""
        self.now_ns += passed_ns
        self.queue.pass_time(self.now_ns)

    @rule()
    def purge(self) -> None:
        """Remove all."""
        self.queue.drop_all()

    @rule(count_max=st.integers(1, 4))
    def look_at_more(self, count_max: int) -> None:
        """Look at more or fewer at once from now on."""
        self.count_max = count_max

    @invariant()
    def parts_together_are_the_queue(self) -> None:
        """Each message is in one part; no part has more than it may."""
        found: list[int] = []
        first_seq, has_more = 0, True
        while has_more:
            part = look(self.queue, first_seq, LAST, self.count_max)
            assert len(part.entries) <= self.count_max
            assert part.last_seq >= first_seq
            found += part.entries
            first_seq, has_more = part.last_seq + 1, part.has_more
        assert found == self.entries()

    @invariant()
    def range_holds_what_is_in_it(self) -> None:
        """Its ends included."""
        entries = self.entries()
        if entries:
            first_seq, last_seq = seq_of(entries[len(entries) // 3]), seq_of(entries[-1]) - 1
            part = look(self.queue, first_seq, last_seq, 1_000)
            assert part.entries == [e for e in entries if first_seq <= seq_of(e) <= last_seq]
            assert not part.has_more

    @invariant()
    def those_never_handed_out_can_be_left_out(self) -> None:
        """They are all ready, which may not be what is looked for."""
        part = look(self.queue, 0, LAST, 1_000, with_fresh=False)
        assert part.entries == sorted(set(self.entries()) - set(self.queue.ready.fresh))


def test_looks_after_any_commands() -> None:
    """In order, complete, and whatever has come and gone between two looks."""
    run_state_machine_as_test(Looks)


@pytest.mark.parametrize("count", [1, 500, 501, 999, 1_000])
def test_long_line_is_reached_from_either_end(count: int) -> None:
    """What is shown is the same, whichever is nearer."""
    q = queue()
    q.add_batch(1, [7] * 1_000)

    part = look(q, count, LAST, 3)

    assert [seq_of(e) for e in part.entries] == list(range(count, min(count + 3, 1_001)))
    assert part.has_more == (count < 998)


def test_many_that_have_left_are_dropped_from_the_order() -> None:
    """What was browsed once takes no memory for what has gone since."""
    q = queue()
    for start in range(1, 100_000, 1_000):
        q.add_batch(start, [7] * 1_000)
        held = one_by_one(q.leases, q.lease(0, 10, 1_000, 10**9, ""))
        look(q, 0, LAST, 1)
        for delivery in held:
            q.ack(delivery)

    assert len(q.leases.seqs_between(0, LAST, LAST)) < 5_000


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.RETURNED, MessageState.READY),
        (State.EXPIRED, MessageState.READY),
        (State.LEASED, MessageState.LEASED),
        (State.DELAYED, MessageState.DELAYED),
    ],
)
def test_state_of_what_was_handed_out(state: State, expected: MessageState) -> None:
    """What has come back is ready, however that came."""
    delivery = Delivery(entry(1, 1))
    delivery.state = state

    assert state_of(delivery) is expected


def test_state_of_what_was_never_handed_out() -> None:
    """It is ready."""
    assert state_of(None) is MessageState.READY
