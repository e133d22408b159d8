"""What can happen in a history of a server, in whatever order, and what holds after each step.

A history is a class whose methods are such commands. Hypothesis plays them as a state machine
(`test_histories`), and a seeded generator for as long as one wants (`simulation`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tests.store.drawing import Draw

_Method = TypeVar("_Method", bound=Callable[..., None])

_COMMAND: Final = "_command"
_CHECK: Final = "_check"


@dataclass(frozen=True)
class Command:
    """One thing that can happen."""

    name: str
    #: A method of a history, and what it is given.
    method: Callable[..., None]
    draws: Mapping[str, Draw[Any]]
    #: Whether it is of use, given the history.
    when: Callable[[Any], bool] | None
    #: How often a generator chooses it in comparison with others.
    weight: int
    #: Whether it happens once, before all that are not so.
    is_first: bool


def command(
    *, weight: int = 10, when: Callable[[Any], bool] | None = None, **draws: Draw[Any]
) -> Callable[[_Method], _Method]:
    """Have a method happen now and then; the arguments are those of `Command`."""

    def mark(method: _Method) -> _Method:
        name = method.__name__
        setattr(method, _COMMAND, Command(name, method, draws, when, weight, is_first=False))
        return method

    return mark


def first(**draws: Draw[Any]) -> Callable[[_Method], _Method]:
    """Have a method happen once, in the beginning."""

    def mark(method: _Method) -> _Method:
        name = method.__name__
        setattr(method, _COMMAND, Command(name, method, draws, None, 0, is_first=True))
        return method

    return mark


def check(method: _Method) -> _Method:
    """Have a method look after each step whether all is well."""
    setattr(method, _CHECK, True)
    return method


def commands_of(history: type[object]) -> list[Command]:
    """Return the commands of a history, in the order in which they are written."""
    return [getattr(each, _COMMAND) for each in _methods_of(history) if hasattr(each, _COMMAND)]


def checks_of(history: type[object]) -> list[Callable[[Any], None]]:
    """Return its checks, likewise."""
    return [each for each in _methods_of(history) if hasattr(each, _CHECK)]


def _methods_of(history: type[object]) -> list[Any]:
    names = dict.fromkeys(name for kind in reversed(history.__mro__) for name in vars(kind))
    return [getattr(history, name) for name in names]
