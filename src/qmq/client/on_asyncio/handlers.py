"""The functions that workers call, for asyncio."""

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qmq.client.endings import WrongHandler
from qmq.client.handlers import check_runs, name_of

M = TypeVar("M")
R = TypeVar("R")

# Whether a function returns something to wait for, its calls tell.
check_handler = check_runs


async def called(handler: Callable[[M], Awaitable[R]], message: M) -> R:
    """Call a function with a message, and await it.

    Raises:
        WrongHandler: it is no `async def`.
    """
    result = handler(message)
    if not inspect.isawaitable(result):
        raise WrongHandler(
            f"{name_of(handler)} is no `async def`, as the worker of an AsyncClient needs it; call"
            " what blocks by `await asyncio.to_thread(...)`"
        )
    return await result
