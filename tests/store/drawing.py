"""What is drawn at random, described once, for Hypothesis and for a seeded generator.

Hypothesis searches, and makes what went wrong short; a generator goes on for as long as it is
asked to, and draws the same again from the same seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

from hypothesis import strategies as st

_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclass(frozen=True)
class Draw(Generic[_T]):
    """Something to be drawn."""

    #: How Hypothesis draws it.
    strategy: st.SearchStrategy[_T]
    #: How a generator does.
    by: Callable[[Random], _T]

    def map(self, make: Callable[[_T], _U]) -> "Draw[_U]":
        """Draw it, and return what is made of it."""
        return Draw(self.strategy.map(make), lambda chance: make(self.by(chance)))

    def flatmap(self, others: Callable[[_T], "Draw[_U]"]) -> "Draw[_U]":
        """Draw it, and then something that depends on it."""
        return Draw(
            self.strategy.flatmap(lambda value: others(value).strategy),
            lambda chance: others(self.by(chance)).by(chance),
        )


def just(value: _T) -> Draw[_T]:
    """Draw always the same."""
    return Draw(st.just(value), lambda _: value)


def sampled_from(some: Sequence[_T]) -> Draw[_T]:
    """Draw one of some; what is in it several times is drawn so much more often."""
    return Draw(st.sampled_from(some), lambda chance: chance.choice(some))


def booleans() -> Draw[bool]:
    """Draw yes or no."""
    return Draw(st.booleans(), lambda chance: chance.random() < 1 / 2)


def integers(least: int, most: int) -> Draw[int]:
    """Draw a number, the ends included."""
    return Draw(st.integers(least, most), lambda chance: chance.randint(least, most))


def lists(of: Draw[_T], *, min_size: int = 0, max_size: int) -> Draw[list[_T]]:
    """Draw several, the ends included."""
    return Draw(
        st.lists(of.strategy, min_size=min_size, max_size=max_size),
        lambda chance: [of.by(chance) for _ in range(chance.randint(min_size, max_size))],
    )


def one_of(*some: Draw[Any]) -> Draw[Any]:
    """Draw by one of several ways."""
    return Draw(
        st.one_of(*(each.strategy for each in some)),
        lambda chance: chance.choice(some).by(chance),
    )


def builds(make: Callable[..., _T], *args: Draw[Any], **fields: Draw[Any]) -> Draw[_T]:
    """Draw all arguments of something, and make it."""
    return Draw(
        st.builds(
            make,
            *(each.strategy for each in args),
            **{name: each.strategy for name, each in fields.items()},
        ),
        lambda chance: make(
            *(each.by(chance) for each in args),
            **{name: each.by(chance) for name, each in fields.items()},
        ),
    )
