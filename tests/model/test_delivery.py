"""What is known of a message that was handed out, and the names of leases."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.errors import InvalidArgument
from qmq.limits import ATTEMPTS_MAX
from qmq.model.delivery import (
    FIRST_LEASE,
    Delivery,
    State,
    lease_id_of,
    lease_id_starts,
    lease_ids_of,
    parse_first_lease_ids,
    parse_lease_id,
    parse_lease_ids,
)
from qmq.model.index import entry
from qmq.testing import START_NS
from qmq.values import NS_PER_S, Attempt, Outcome

seqs = st.integers(0, 2**64 - 1)
fences = st.integers(0, 2**32 - 1)


def delivery_of(*, fence: int = 1, consumer: str = "", leased_ns: int = START_NS) -> Delivery:
    """Make what is known of a message that is on lease."""
    delivery = Delivery(entry(0xABC, 10))
    delivery.fence = delivery.count = fence
    delivery.consumer = consumer
    delivery.leased_ns = leased_ns
    delivery.until_ns = leased_ns + 30 * NS_PER_S
    delivery.state = State.LEASED
    return delivery


@given(seqs, fences)
def test_name_of_a_lease_tells_message_and_delivery(seq: int, fence: int) -> None:
    """Whatever they are."""
    assert parse_lease_id(lease_id_of(seq, fence)) == (seq, fence)


@given(st.lists(st.tuples(seqs, fences), min_size=2, max_size=8))
def test_names_of_leases_are_ordered_as_text(leases: list[tuple[int, int]]) -> None:
    """A later lease on a message has a greater name, so that others can fence with it too."""
    names = [lease_id_of(*lease) for lease in sorted(leases)]

    assert names == sorted(names)


def test_name_of_a_lease_is_short_and_plain() -> None:
    """Sixteen and eight hexadecimal digits."""
    assert lease_id_of(0x17979CFE362A0000, 3) == "17979cfe362a0000-00000003"
    assert delivery_of(fence=2).lease_id == "0000000000000abc-00000002"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1-1",
        "17979cfe362a0000",
        "17979cfe362a000000000003",
        "17979CFE362A0000-00000003",
        "17979cfe362a0000-00000003\n",
        " 17979cfe362a0000-00000003",
        "17979cfe362a0000-0000000g",
        "0x979cfe362a0000-00000003",
        "17979cfe362a0000-0000_003",
        "17979cfe362a0000-0000000\u0663",
        "17979cfe362a0000--0000003",
    ],
)
def test_other_text_is_no_name_of_a_lease(text: str) -> None:
    """It is quoted and refused."""
    with pytest.raises(InvalidArgument) as refusal:
        parse_lease_id(text)

    assert refusal.value.message == (f"lease_ids: {text!r} is no lease_id as Lease hands them out")


@given(st.lists(st.tuples(seqs, fences), max_size=8))
def test_names_of_several_leases_are_those_of_each(leases: list[tuple[int, int]]) -> None:
    """In order."""
    of_seqs, of_fences = [seq for seq, _ in leases], [fence for _, fence in leases]

    assert [name.decode() for name in lease_ids_of(of_seqs, of_fences)] == [
        lease_id_of(*lease) for lease in leases
    ]


@given(st.lists(seqs, min_size=1, max_size=8))
def test_names_of_first_leases_have_the_same_end(of_seqs: list[int]) -> None:
    """And begin with the numbers of their messages, as which they are read."""
    names = [(start + FIRST_LEASE).decode() for start in lease_id_starts(of_seqs)]

    assert names == [lease_id_of(seq, 1) for seq in of_seqs]
    assert parse_first_lease_ids(names) == of_seqs


def spoiled(name: str, at: int, cut: int, text: str) -> str:
    """Return the name of a lease with another text in place of a part of it."""
    return name[:at] + text + name[at + cut :]


names = st.builds(lease_id_of, seqs, fences)
spoiled_names = st.builds(
    spoiled,
    names,
    st.integers(0, 25),
    st.integers(0, 2),
    st.text(st.sampled_from("-0aAg _\n\u0663\u0130"), max_size=2),
)


@given(st.lists(st.one_of(names, names, spoiled_names), min_size=1, max_size=5))
@example(["-" * 25])
@example([" " * 16 + "-" + " " * 8, "17979cfe362a0000-00000003"])
@example(["17979cfe362a00000-0000003"])
@example(["17979cfe362a000-000000003", "17979cfe362a0000-00000003"])
@example(["17979cfe362a0000-0000000-"])
@example(["17979cfe362a000--00000003"])
@example(["17979cfe362a000 -00000003"])
@example(["17979cfe362a0000-00000003", "17979cfe362a0000-0000000A"])
@example(["17979cfe362a0000-00000003-", "7979cfe362a0000-00000003"])
def test_names_are_read_at_once_as_one_by_one(texts: list[str]) -> None:
    """If one of them is none, none is read."""
    try:
        leases = [parse_lease_id(text) for text in texts]
    except InvalidArgument:
        assert parse_lease_ids(texts) is None
    else:
        assert parse_lease_ids(texts) == leases


def test_refused_name_of_a_lease_is_quoted_in_part() -> None:
    """An error is no longer for a long text."""
    with pytest.raises(InvalidArgument) as refusal:
        parse_lease_id("x" * 1_000_000)

    assert len(refusal.value.message) < 200


def test_end_of_a_lease_is_written_down() -> None:
    """Who had it, from when to when, how it ended, and what was said about it."""
    delivery = delivery_of(fence=3, consumer="w7")

    delivery.end(Outcome.FAILED, START_NS + 5, "no disk")

    assert delivery.attempts == (
        Attempt(3, "w7", START_NS, START_NS + 5, Outcome.FAILED, "no disk"),
    )


def test_only_the_last_attempts_are_remembered() -> None:
    """So many, in order."""
    delivery = delivery_of()

    for fence in range(1, ATTEMPTS_MAX + 6):
        delivery.fence = fence
        delivery.end(Outcome.EXPIRED, START_NS + fence)

    assert [each.fence for each in delivery.attempts] == list(range(6, ATTEMPTS_MAX + 6))


@pytest.mark.parametrize(
    ("outcome", "ended"),
    [
        (Outcome.RELEASED, "was released at 2023-11-14T22:13:21.500Z"),
        (Outcome.FAILED, "was given back at 2023-11-14T22:13:21.500Z"),
        (Outcome.REJECTED, "was rejected at 2023-11-14T22:13:21.500Z"),
        (Outcome.EXPIRED, "expired at 2023-11-14T22:13:21.500Z"),
    ],
)
def test_history_tells_how_a_lease_ended_and_where_the_message_is(
    outcome: Outcome, ended: str
) -> None:
    """For who asks about a lease that it no longer has."""
    delivery = delivery_of()
    delivery.end(outcome, START_NS + 3 * NS_PER_S // 2)
    delivery.state = State.RETURNED

    assert delivery.history_of(1) == f"{ended}; its message is ready to be handed out again"


def test_history_of_an_attempt_that_is_forgotten() -> None:
    """It ended long ago, which is what is still known."""
    delivery = delivery_of(fence=1)
    delivery.end(Outcome.FAILED, START_NS)
    for fence in range(2, ATTEMPTS_MAX + 2):
        delivery.fence = fence
        delivery.end(Outcome.RELEASED, START_NS)

    delivery.state = State.RETURNED
    assert delivery.history_of(1).startswith("ended long ago; ")
    assert delivery.history_of(2).startswith("was released at ")


@pytest.mark.parametrize(
    ("state", "consumer", "whereabouts"),
    [
        (State.LEASED, "w7", "leased to 'w7' until 2023-11-14T22:13:50.000Z now"),
        (State.LEASED, "", "leased again until 2023-11-14T22:13:50.000Z now"),
        (State.DELAYED, "w7", "kept back until 2023-11-14T22:13:50.000Z now"),
        (State.RETURNED, "w7", "ready to be handed out again"),
        (State.EXPIRED, "w7", "ready to be handed out again"),
    ],
)
def test_whereabouts_of_a_message(state: State, consumer: str, whereabouts: str) -> None:
    """For people to read: who has it, and until when."""
    delivery = delivery_of(consumer=consumer)
    delivery.state = state

    assert delivery.whereabouts() == whereabouts


def test_repr_says_which_lease_and_where_the_message_is() -> None:
    """And how often it was delivered."""
    assert repr(delivery_of(fence=2)) == "<Delivery 0000000000000abc-00000002 LEASED count=2>"
