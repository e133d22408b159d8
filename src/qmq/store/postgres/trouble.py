"""Which errors of PostgreSQL pass by themselves, so that the same is to be tried again."""

from typing import Final

import asyncpg

#: Classes of SQLSTATE, see https://www.postgresql.org/docs/15/errcodes-appendix.html:
#: connections, invalid snapshots of a server that has just been promoted, transactions that are
#: to be repeated, want of resources, objects in use, the operator's intervention, the system's.
_PASSING_CLASSES: Final = ("08", "40", "53", "55", "57", "58")

#: A server that was the primary, and is a standby now or is being made one.
_READ_ONLY: Final = "25006"


def is_passing(error: Exception) -> bool:
    """Whether the same may succeed later, on this connection or on another."""
    if not isinstance(error, asyncpg.PostgresError):
        return True
    state = error.sqlstate or ""
    return state == _READ_ONLY or state.startswith(_PASSING_CLASSES)
