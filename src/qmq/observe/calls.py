"""The log of calls, which there is at debug level only."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Concatenate, ParamSpec

from qmq.errors import QError

_Rest = ParamSpec("_Rest")

_log = logging.getLogger(__name__)


def log_calls(
    methods: Mapping[str, Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]],
) -> dict[str, Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]]:
    """Wrap methods, given by their gRPC path, so that each call is logged when it ends."""
    return {path: _logged(path, method) for path, method in methods.items()}


def _logged(
    path: str, method: Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]
) -> Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]:
    async def logged(data: bytes, /, *args: _Rest.args, **kwargs: _Rest.kwargs) -> bytes:
        start = perf_counter()
        outcome = "OK"
        try:
            return await method(data, *args, **kwargs)
        except QError as error:
            outcome = f"{error.reason}: {error.message}"
            raise
        except BaseException as error:
            outcome = repr(error)
            raise
        finally:
            took_ms = round((perf_counter() - start) * 1e3, 3)
            fields = {"method": path, "request_bytes": len(data), "took_ms": took_ms}
            _log.debug("call", extra={**fields, "outcome": outcome})

    return logged
