"""The log of calls, which there is at debug level only."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Concatenate, Final, ParamSpec

from qmq.errors import QError
from qmq.ids import request_id_of

_Rest = ParamSpec("_Rest")

#: The id of the request that is being answered.
_REQUEST_ID: Final = ContextVar("_REQUEST_ID", default="")

_log = logging.getLogger(__name__)


def log_calls(
    methods: Mapping[str, Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]],
) -> dict[str, Callable[Concatenate[bytes, _Rest], Awaitable[bytes]]]:
    """Wrap methods, given by their gRPC path, so that each call is logged when it ends."""
    return {path: _logged(path, method) for path, method in methods.items()}


def identified(serve: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Wrap an ASGI application, so that the log of its calls has their requests' ids."""

    async def serve_identified(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - As ASGI has it.
        token = _REQUEST_ID.set(request_id_of(dict(scope.get("headers", ()))))
        try:
            await serve(scope, receive, send)
        finally:
            _REQUEST_ID.reset(token)

    return serve_identified


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
            told = {"outcome": outcome, "request_id": _REQUEST_ID.get()}
            _log.debug("call", extra={**fields, **told})

    return logged
