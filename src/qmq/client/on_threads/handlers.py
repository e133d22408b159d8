"""The functions that workers call, for threads."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from qmq.client.endings import WrongHandler
from qmq.client.handlers import check_runs, name_of

M = TypeVar("M")
R = TypeVar("R")


def check_handler(handler: Callable[..., object]) -> None:
    """Do what `check_runs` does, and refuse what would have to be awaited.

    Raises:
        WrongHandler: a worker cannot call it.
    """
    check_runs(handler)
    if inspect.iscoroutinefunction(handler):
        raise _is_async(handler)


def called(handler: Callable[[M], R], message: M) -> R:
    """Call a function with a message.

    Raises:
        WrongHandler: what it returns would have to be awaited.
    """
    result = handler(message)
    if inspect.iscoroutine(result):
        result.close()
        raise _is_async(handler)
    return result


def _is_async(handler: Callable[..., object]) -> WrongHandler:
    return WrongHandler(
        f"{name_of(handler)} is an `async def`, which the worker of a Client would not await: write"
        " `def`, or use an AsyncClient"
    )
