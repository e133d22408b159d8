"""What all errors have, and the one of a request that breaks a rule."""

from collections.abc import Mapping
from typing import ClassVar, Self


class QError(Exception):
    """Base of everything q refuses or fails with."""

    #: Stable machine-readable name of the cause, sent as google.rpc.ErrorInfo.reason.
    reason: ClassVar[str]
    #: What the message says, for programs: sent as google.rpc.ErrorInfo.metadata.
    metadata: Mapping[str, str]
    #: Seconds after which a repeat may succeed, sent as google.rpc.RetryInfo;
    #: None when waiting does not help.
    retry_after_s: float | None = None

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata

    @property
    def message(self) -> str:
        """The sentence the user reads."""
        return str(self.args[0])


class InvalidArgument(QError):
    """A field of the request breaks a rule."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", field=field)
        self.field = field
        self.rule = rule

    @classmethod
    def over(cls, field: str, rule: str, limit_name: str, limit: int, current: int) -> Self:
        """Make one about a field that holds more than it may, as `LimitReached` tells it."""
        error = cls(field, rule)
        error.metadata = {
            **error.metadata,
            "limit": limit_name,
            "value": str(limit),
            "current": str(current),
        }
        return error
