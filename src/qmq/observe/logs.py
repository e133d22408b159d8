"""Logs: terse JSON lines on standard output, or text for people.

Everything logs through the standard library's `logging`, with fields by `extra`.
"""

import logging
import sys
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter


class _JsonLines(JsonFormatter):
    """Writes {"level": ..., "ts": seconds, "msg": ..., and the fields}."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(created)f %(message)s",
            rename_fields={"levelname": "level", "created": "ts", "message": "msg"},
            json_ensure_ascii=False,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data["level"] = log_data["level"].lower()
        return super().process_log_record(log_data)


class _Text(logging.Formatter):
    """Writes the time, the level, the message, and the fields as key=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - It overrides.
        fields = [
            f"{key}={value}"
            for key, value in record.__dict__.items()
            if key not in RESERVED_ATTRS and key not in ("message", "asctime")
        ]
        return "  ".join((super().formatMessage(record), *fields))


def configure_logs(*, debug: bool) -> None:
    """Send all logs of the process to standard output.

    Args:
        debug: log at debug level, in a form for people, instead of JSON from info on.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Text() if debug else _JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    # At debug level the event loop would only say which selector it uses.
    logging.getLogger("asyncio").setLevel(logging.INFO)
