"""Logs: terse JSON lines on standard output, or text for people."""

import logging
import sys
from typing import Any

import structlog


def configure_logs(*, debug: bool) -> None:
    """Send all logs of the process to standard output.

    Args:
        debug: log at debug level, in a form for people, instead of JSON from info on.
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso" if debug else None, utc=True, key="ts"),
    ]
    if debug:
        rendering: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), event_key="event", timestamp_key="ts"
            ),
        ]
    else:
        rendering = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            _put_first,
            structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False),
        ]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _put_first(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Begin each line with level, ts and msg, as the original's lines did."""
    first = {key: event.pop(key) for key in ("level", "ts", "msg") if key in event}
    return first | event
