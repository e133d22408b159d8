"""What the leader of a cluster has to know of its leadership."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from qmq.errors import DatabaseAway
from qmq.values import Durability

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

#: Opens a connection to the database's primary, wherever it is now; raises `DatabaseAway` when
#: none answers in time. Who asks closes it.
Connect = Callable[[], Awaitable["Connection[Record]"]]


class Term(Protocol):
    """A leadership, from the moment on at which it was won.

    It ends for good when another q has succeeded, which every commit finds out: each one names
    the epoch, and changes nothing if it is not the newest.
    """

    @property
    def epoch(self) -> int:
        """Its number; that of each later one is higher."""
        ...

    @property
    def durability_max(self) -> Durability:
        """How durable a commit is: REPLICATED where synchronous standbys confirm it, or FSYNC."""
        ...

    @property
    def refusal(self) -> DatabaseAway | None:
        """Why nothing may be changed now: there are too few standbys. None if all is well."""
        ...

    @property
    def is_certain(self) -> bool:
        """Whether no other q can have succeeded by now.

        So it is as long as the database has heard of this q within the time that is left to it.
        What is told without a commit, such as a Peek or "is empty", may only be told then.
        """
        ...

    async def make_certain(self) -> None:
        """Wait until it is certain again.

        Raises:
            NotLeading: another q has succeeded.
            DatabaseAway: the database does not answer.
        """
        ...
