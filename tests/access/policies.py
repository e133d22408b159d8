"""Policies, identities and tokens for tests."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from qmq.access.policy import Bounds, Identity, Policy
from qmq.access.rights import RIGHTS, Grant, Right
from qmq.access.tokens import Token, make_token
from qmq.model.selector import parse

#: When all of this is made.
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)

_bytes = itertools.count()


def some_bytes(count: int) -> bytes:
    """Return other bytes each time; nobody has to guess them here."""
    return next(_bytes).to_bytes(count, "big")


def token(expires: datetime | None = None) -> tuple[str, Token]:
    """Return a token, and what is kept of it."""
    return make_token(some_bytes, created=NOW, expires=expires)


def rights(names: str) -> Right:
    """Return the rights of these names, with commas between them."""
    found = Right(0)
    for name in names.split(","):
        found |= RIGHTS[name]
    return found


def grant(which: str, may: str) -> Grant:
    """Return a grant; `which` is a selector if it has an equals sign, else a pattern."""
    if "=" in which or "!" in which:
        return Grant(rights(may), selector=parse(which))
    return Grant(rights(may), pattern=which)


def identity(
    name: str,
    *grants: tuple[str, str],
    tokens: Sequence[Token] = (),
    bounds: Bounds = Bounds(),  # noqa: B008 - Frozen.
) -> Identity:
    """Return one who may do this."""
    return Identity(
        name=name,
        tokens=tuple(tokens),
        grants=tuple(grant(which, may) for which, may in grants),
        bounds=bounds,
    )


def policy(*identities: Identity) -> Policy:
    """Return a policy of these."""
    return Policy(identities={each.name: each for each in identities})
