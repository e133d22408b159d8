"""The functions that workers call, as far as threads and event loops agree about them."""

import inspect
from collections.abc import Callable

from qmq.client.endings import WrongHandler


def name_of(handler: Callable[..., object]) -> str:
    """Return what a function is called, for people to read."""
    return getattr(handler, "__qualname__", repr(handler))


def check_runs(handler: Callable[..., object]) -> None:
    """Refuse what is nothing to call, or is certain to do nothing when it is called.

    Raises:
        WrongHandler: it is that.
    """
    if not callable(handler):
        raise WrongHandler(
            f"a worker is made of a function, not of {handler!r}; options go by name, such as"
            " concurrency=4"
        )
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise WrongHandler(
            f"{name_of(handler)} has a yield in it, so that to call it would do nothing: a worker"
            " is made of a function that does the work"
        )
