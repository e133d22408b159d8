"""To which process of a world a task belongs: it ends with that."""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final, Protocol


class Process(Protocol):
    """What has tasks."""

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Have a task end with the process."""


#: Which process it is that runs, if any.
OWNER: Final[ContextVar[Process | None]] = ContextVar("OWNER", default=None)


def owned_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    *,
    context: Context | None = None,
) -> asyncio.Task[Any]:
    """Make a task that ends with the process that has begun it: a loop's task factory."""
    owner = context.get(OWNER) if context else OWNER.get()
    task = asyncio.Task(work, loop=loop, context=context)
    if owner:
        owner.owns(task)
    return task
