"""Whose turn it is: shares by weight, and nothing for those who were away."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.model.turns import Turn, Turns


def having_entered(*weights: int) -> tuple[Turns[int], list[Turn[int]]]:
    """Return turns for which ones of these weights wait, known by their places."""
    turns: Turns[int] = Turns()
    each = [Turn(at, weight) for at, weight in enumerate(weights)]
    for turn in each:
        turns.enter(turn)
    return turns, each


def taken(turns: Turns[int], each: list[Turn[int]], count: int) -> list[int]:
    """Let so many have their turn."""
    order = []
    for _ in range(count):
        first = turns.first()
        assert first is not None
        turns.take(each[first])
        order.append(first)
    return order


def test_equal_weights_take_turns_in_the_order_they_came() -> None:
    """First come, first served, and then again."""
    turns, each = having_entered(1, 1, 1)

    assert taken(turns, each, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_weight_is_the_share() -> None:
    """One with weight 3 gets three times as much as one with weight 1."""
    turns, each = having_entered(1, 3)

    assert Counter(taken(turns, each, 400)) == {0: 100, 1: 300}


def test_who_has_left_has_no_turn() -> None:
    """And nobody is first if all have."""
    turns, each = having_entered(1, 1)
    turns.leave(each[0])

    assert (taken(turns, each, 2), len(turns)) == ([1, 1], 1)
    turns.leave(each[1])
    assert (turns.first(), len(turns)) == (None, 0)


def test_who_was_away_does_not_catch_up() -> None:
    """It goes on at the time of the others, rather than have all that it has missed."""
    turns, each = having_entered(1, 1)
    turns.leave(each[0])
    taken(turns, each, 100)
    turns.enter(each[0])

    assert Counter(taken(turns, each, 20)) == {0: 10, 1: 10}


def test_who_leaves_after_each_turn_gets_no_more_than_the_others() -> None:
    """One with a single message at a time would be served each time it comes back otherwise."""
    turns, each = having_entered(1, 1, 1)
    order = []
    for _ in range(90):
        order += taken(turns, each, 1)
        if order[-1] == 0:
            turns.leave(each[0])
            assert not turns.is_idle(each[0])
            turns.enter(each[0])

    assert Counter(order) == {0: 30, 1: 30, 2: 30}


def test_several_taken_at_once_are_several_turns() -> None:
    """Who got ten is not served again before the others had ten each."""
    turns, each = having_entered(1, 1)
    turns.take(each[0], 10)

    assert taken(turns, each, 11) == [1] * 10 + [0]


def test_many_who_come_and_leave_take_no_memory() -> None:
    """Also behind one who is first and stays there."""
    turns, each = having_entered(1, 1)
    taken(turns, each, 1)
    for _ in range(10_000):
        turns.leave(each[0])
        turns.enter(each[0])

    assert turns.places < 2_000
    assert taken(turns, each, 2) == [1, 0]


@given(st.lists(st.integers(1, 1_000), min_size=2, max_size=6), st.integers(1, 3_000))
def test_no_share_is_ever_off_by_more_than_a_turn(weights: list[int], count: int) -> None:
    """Of those who wait all the time, each is within one message of its share."""
    turns, each = having_entered(*weights)
    got = Counter(taken(turns, each, count))

    for at, weight in enumerate(weights):
        for other, its_weight in enumerate(weights):
            assert abs(got[at] / weight - got[other] / its_weight) <= 1 / weight + 1 / its_weight


def test_idle_is_who_owes_nothing() -> None:
    """So that it can be forgotten."""
    turns, each = having_entered(1, 1)
    taken(turns, each, 1)
    turns.leave(each[0])
    assert not turns.is_idle(each[0])

    taken(turns, each, 2)

    assert turns.is_idle(each[0])
    assert not turns.is_idle(each[1])


@pytest.mark.parametrize("is_waiting", [False, True])
def test_turn_tells_whether_it_waits(is_waiting: bool) -> None:  # noqa: FBT001
    """From when it has entered."""
    turns: Turns[str] = Turns()
    turn = Turn("a", 1)
    if is_waiting:
        turns.enter(turn)

    assert turn.is_waiting is is_waiting
