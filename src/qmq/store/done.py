"""A result that exists already, in the form of one that has to be awaited."""

from collections.abc import Awaitable, Generator
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Done(Awaitable[_T], Generic[_T]):
    """A result that is there already. It can be awaited more often than once."""

    __slots__ = ("_result",)

    def __init__(self, result: _T) -> None:
        self._result = result

    def __await__(self) -> Generator[None, None, _T]:
        yield from ()
        return self._result
