"""The log of calls, which there is at debug level only."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

from qmq.errors import QError

_Method = Callable[[bytes], Awaitable[bytes]]

_log = logging.getLogger(__name__)


def log_calls(methods: Mapping[str, _Method]) -> dict[str, _Method]:
    """Wrap methods, given by their gRPC path, so that each call is logged when it ends."""
    return {path: _logged(path, method) for path, method in methods.items()}


def _logged(path: str, method: _Method) -> _Method:
    async def logged(data: bytes) -> bytes:
        start = perf_counter()
        outcome = "OK"
        try:
            return await method(data)
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
