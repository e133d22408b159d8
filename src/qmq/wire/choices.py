"""Enumerations on the wire: a number that this q does not know is refused."""

from collections.abc import Iterable
from enum import IntEnum
from typing import TypeVar

from qmq.errors import InvalidArgument

_Choice = TypeVar("_Choice", bound=IntEnum)


def choice(kind: type[_Choice], number: int, field: str) -> _Choice:
    """Return what a number stands for.

    Raises:
        InvalidArgument: nothing; `field` names it. Of what it may be, 0 is left out: it stands for
            that nothing was said.
    """
    try:
        return kind(number)
    except ValueError:
        known = ", ".join(f"{each.name} ({each.value})" for each in kind if each)
        raise InvalidArgument(field, f"must be one of {known}; got {number}") from None


def choices(kind: type[_Choice], numbers: Iterable[int], field: str) -> list[_Choice]:
    """Return what the numbers of a repeated field stand for. Raises as `choice` does."""
    return [choice(kind, number, f"{field}[{at}]") for at, number in enumerate(numbers)]
