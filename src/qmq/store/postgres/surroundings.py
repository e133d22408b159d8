"""What a primary tells of its standbys, and of the q of the cluster.

Each q looks who leads, on a session of its own that bears its address as a name. So the database
knows which q there are, without a row that each would have to renew: a session ends with its
process, and within seconds of its machine, and PostgreSQL says when it last asked something.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from qmq.store.sql import load_statements
from qmq.values import NS_PER_S

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.protocol.record import Record

    _Connection = asyncpg.Connection[Record]

_SQL: Final = load_statements("qmq.store.postgres", "surroundings.sql")

#: Gives a session the name that `session_name` returns.
NAME_SESSION: Final = _SQL["name_session"]

#: Bytes that the name of a session may have; PostgreSQL cuts off the rest.
_NAME_BYTES_MAX: Final = 63

#: Seconds for which every renewal is followed by a look, when somebody has asked.
_WANTED_S: Final = 10.0


class Standby(NamedTuple):
    """A standby, as its primary sees it."""

    name: str
    #: Where it connects from, and what it does; empty if q may not see that.
    address: str
    state: str
    #: Whether commits wait for it, or for others of which it is one.
    is_synchronous: bool
    #: Of the log, what it has not synced to disk; and how long that took the last time.
    lag_bytes: int
    lag_s: float


class Peer(NamedTuple):
    """A q of the cluster, as the first database sees it."""

    version: str
    address: str
    #: For how long it has been connected, and how long ago it last asked something, in seconds;
    #: None if q may not see that.
    connected_s: float | None
    silent_s: float | None


class Surroundings:
    """What was seen when somebody last looked."""

    def __init__(self, passed_ns: Callable[[], int]) -> None:
        """Begin without a look.

        Args:
            passed_ns: a clock that nobody sets, in nanoseconds.
        """
        self._passed_ns = passed_ns
        self._wanted_until_ns = 0
        #: When it was looked, by that clock; 0 if never.
        self.looked_ns = 0
        self.standbys: tuple[Standby, ...] = ()
        #: Including the q that looks.
        self.peers: tuple[Peer, ...] = ()

    def want(self) -> None:
        """Have every renewal followed by a look for some seconds from now on."""
        self._wanted_until_ns = self._passed_ns() + round(_WANTED_S * NS_PER_S)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has asked of late."""
        return self._passed_ns() < self._wanted_until_ns

    async def look(self, connection: "_Connection") -> None:
        """Ask the primary.

        Raises:
            asyncpg.PostgresError: it fails; what was seen before stays.
        """
        standbys = await connection.fetch(_SQL["select_standbys"])
        peers = await connection.fetch(_SQL["select_peers"])
        self.standbys = tuple(Standby(*row) for row in standbys)
        found = (_peer(*row) for row in peers)
        self.peers = tuple(peer for peer in found if peer)
        self.looked_ns = self._passed_ns()


def session_name(version: str, address: str) -> str:
    """Return the name of the session in which a q looks who leads.

    Args:
        version: its own.
        address: where others reach it, HOST:PORT. Of one that is too long, the end of the host's
            first part, and then what follows that, is left out.
    """
    name = f"q {version} {address}"
    if len(name) <= _NAME_BYTES_MAX:
        return name
    host, _, port = address.rpartition(":")
    room = _NAME_BYTES_MAX - len(f"q {version} ...:{port}")
    return f"q {version} {host.partition('.')[0][: max(0, room)]}...:{port}"


def named(session: str) -> tuple[str, str] | None:
    """Return the version and address that the name of a session says; None if it is no q's."""
    match session.split(" "):
        case ["q", version, address]:
            return version, address
        case _:
            return None


def _peer(session: str, connected_s: float | None, silent_s: float | None) -> Peer | None:
    found = named(session)
    return Peer(*found, connected_s, silent_s) if found else None
