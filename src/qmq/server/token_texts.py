"""What `q tokens` reads and says."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from qmq.access.policy import Policy
from qmq.access.tokens import Token

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def moment_in(span: str) -> datetime:
    """Return when a time from now on is over: 12h, 90d or 52w.

    Raises:
        ValueError: it is none, or too long.
    """
    found = _SPAN.fullmatch(span)
    if not found:
        raise ValueError(f"{span!r} is no time such as 12h, 90d or 52w")
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        return now + timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise ValueError(f"{span!r} is too far ahead") from None


def grants_of(may: str | None, queues: str | None, selector: str | None) -> list[dict[str, Any]]:
    """Return rights as the file has them; none without `may`.

    Raises:
        ValueError: it is not said to which queues, or twice.
    """
    if may is None:
        if queues or selector:
            raise ValueError("--queues and --selector say where --may applies, which is missing")
        return []
    if (queues is None) is (selector is None):
        raise ValueError("--may needs --queues or --selector, one of the two")
    which = {"selector": selector} if queues is None else {"queues": queues}
    return [{**which, "may": [each.strip() for each in may.split(",")]}]


def lines_of(policy: Policy) -> Iterator[str]:
    """Describe identities and their tokens, a line each."""
    now_s = datetime.now(UTC).timestamp()
    for identity in policy.identities.values():
        for token in identity.tokens:
            parts = (identity.name, token.id, _until(token, now_s), token.note)
            yield "  ".join(filter(None, parts))
        if not identity.tokens:
            yield f"{identity.name}  has no token"


def _until(token: Token, now_s: float) -> str:
    if token.expires is None:
        return "never expires"
    word = "expired" if token.has_expired(now_s) else "expires"
    return f"{word} {token.expires:%Y-%m-%d %H:%M}"
