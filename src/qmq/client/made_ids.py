"""The dedup_ids that the client makes, so that an add may be repeated and happen once."""

from collections.abc import Iterator
from itertools import count
from typing import Final
from uuid import uuid4

#: Tells them from those of users, who are told when the queue knows theirs.
_PREFIX: Final = "qmq:"


def made_ids() -> Iterator[str]:
    """Go through ids that nobody else makes, for ever. Many threads may share them.

    A process that was forked must not go on with those of its parent.
    """
    return map(f"{_PREFIX}{uuid4().hex}:{{}}".format, count())


def is_made(dedup_id: str) -> bool:
    """Tell whether an id is one of these."""
    return dedup_id.startswith(_PREFIX)
