"""The last numbers of a kind."""

import pytest

from qmq.engine.recent import Recent


def test_number_is_remembered() -> None:
    """Until it is old; others are not, nor is it as one of another kind."""
    recent = Recent(10)

    recent.update("a", [7])

    assert recent.has("a", 7)
    assert not recent.has("a", 8)
    assert not recent.has("b", 7)


@pytest.mark.parametrize("at_once", [1, 3, 10, 25])
def test_last_numbers_are_remembered_and_old_ones_are_not(at_once: int) -> None:
    """So many at least; at most twice as many, and what came together with each half's last."""
    recent = Recent(10)
    most = 2 * (10 + at_once - 1)

    for start in range(0, 1_000, at_once):
        end = start + at_once
        recent.update("a", range(start, end))
        assert all(recent.has("a", n) for n in range(max(0, end - max(10, at_once)), end))
        assert not any(recent.has("a", n) for n in range(end - most))


def test_number_that_comes_again_is_young_again() -> None:
    """Others are forgotten before it."""
    recent = Recent(3)

    for number in (1, 2, 3, 1, 4, 5, 6):
        recent.update("a", [number])

    assert recent.has("a", 1)
    assert not recent.has("a", 2)


def test_nothing_makes_nothing_old() -> None:
    """However often it comes: what was remembered as the last still is."""
    recent = Recent(3)
    recent.update("a", [1, 2, 3])

    for _ in range(9):
        recent.update("a", [])

    assert all(recent.has("a", n) for n in (1, 2, 3))
