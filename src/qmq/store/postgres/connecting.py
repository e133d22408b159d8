"""Connections to the primary of a cluster's database, wherever it is at the moment.

All servers of the DSN are tried at once and the first that takes writes is it: one that is
paused or gone, which would say nothing for minutes, holds nobody up.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import PostgresLogMessage

from qmq.errors import DatabaseAway
from qmq.store.postgres.dsn import Dsn, Host

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy
    from asyncpg.protocol.record import Record

    _Connection = asyncpg.Connection[Record]
else:
    _Connection = asyncpg.Connection

_T = TypeVar("_T")
_Try = asyncio.Task[_Connection]

#: Seconds in which a server has to have let q in and answered a first question.
CONNECT_S: Final = 2.0

#: Seconds in which any other question has to be answered that waits for no standby for long.
ANSWER_S: Final = 2.0

_VERSION_MIN: Final = 15

#: What makes a failure of what there is between two machines known within seconds, on both sides.
_KEEPALIVE_IDLE_S: Final = 5
_KEEPALIVE_INTERVAL_S: Final = 2
_KEEPALIVE_COUNT: Final = 3
_UNACKNOWLEDGED_MS: Final = 10_000

#: How each session is set, whatever the server, the database or the role have for others.
_SETTINGS: Final = {
    "application_name": "q",
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read committed",
    # A commit is answered when it is synced, and by standbys where there are synchronous ones.
    "synchronous_commit": "on",
    # Never another value: where it ends a commit that waits for standbys, the server makes it all
    # the same, on this machine alone, and reports success.
    "statement_timeout": "0",
    # Rows are locked for the time of a commit. Who waits longer than this had better look again
    # who leads.
    "lock_timeout": "2s",
    # A q that stops in the middle of a transaction must not hold up its successor.
    "idle_in_transaction_session_timeout": "5s",
    # One that has nothing to commit for long is no reason to connect anew.
    "idle_session_timeout": "0",
    # So the server ends sessions of machines that are gone, with what they have locked.
    "tcp_keepalives_idle": str(_KEEPALIVE_IDLE_S),
    "tcp_keepalives_interval": str(_KEEPALIVE_INTERVAL_S),
    "tcp_keepalives_count": str(_KEEPALIVE_COUNT),
    "tcp_user_timeout": str(_UNACKNOWLEDGED_MS),
    # Statements take microseconds; to compile one takes a hundred milliseconds.
    "jit": "off",
    # Means nothing to PostgreSQL; it tells that what was asked for has arrived.
    "q.session": "own",
}

#: SQL_ASCII takes what comes, as it is.
_ENCODINGS: Final = ("UTF8", "SQL_ASCII")

#: What else takes a session's settings for its own affair.
_POOLER: Final = (
    "is there a pooler in between, such as PgBouncer? q needs sessions of its own: give it"
    " PostgreSQL's own address"
)

_STANDING: Final = """
select pg_is_in_recovery() as is_standby,
    current_setting('default_transaction_read_only') = 'on' as is_read_only,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('q.session', true) is distinct from 'own' as is_shared,
    current_setting('server_encoding') as encoding,
    case when pg_is_in_recovery() then '' else pg_walfile_name(pg_current_wal_lsn()) end as wal_file
"""

#: Hexadecimal digits of a timeline, with which the names of files of the log begin.
_TIMELINE_DIGITS: Final = 8


#: Parameters about TLS that are files.
_FILES: Final = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})


class _Refused(Exception):
    """A server lets q in, and is not one that it may work with; the text says why."""


class _KeptAlive(_Connection):
    """A connection that ends within seconds when the other machine is gone."""

    def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:  # noqa: ANN401  # asyncpg's
        super().__init__(protocol, transport, *rest)
        found = transport.get_extra_info("socket")
        if found.family == socket.AF_UNIX:
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_S),
            ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL_S),
            ("TCP_KEEPCNT", _KEEPALIVE_COUNT),
            ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
        ):
            # Not every system has all of them.
            if (number := getattr(socket, option, None)) is not None:
                found.setsockopt(socket.IPPROTO_TCP, number, value)


class Connector:
    """Opens connections to the primary. It is a `qmq.store.postgres.term.Connect`."""

    def __init__(
        self, dsn: Dsn, *, takes_unsynced: bool = False, timeout_s: float = CONNECT_S
    ) -> None:
        """Describe where to connect.

        Args:
            dsn: the servers, of which one is the primary, the database and the role.
            takes_unsynced: take a server also if a failure of its machine can lose commits.
            timeout_s: seconds after which a server has had its chance.
        """
        self.dsn = dsn
        self._takes_unsynced = takes_unsynced
        self._timeout_s = timeout_s
        #: The highest that a primary was seen with; each promotion begins a new one.
        self._timeline = 0
        #: The one that took writes when a connection was opened last; None if none did yet.
        self.primary: Host | None = None

    async def __call__(self) -> _Connection:
        """Open a connection to the server that takes writes; who asks closes it.

        Raises:
            DatabaseAway: none does, or answers in time; the message says of each server why.
        """
        tries = {asyncio.create_task(self._try(host)): host for host in self.dsn.hosts}
        reasons = dict.fromkeys(
            self.dsn.hosts, f"has not answered within {self._timeout_s:g} seconds"
        )
        chosen: _Connection | None = None
        try:
            async for each in _as_done(tries, self._timeout_s):
                try:
                    chosen = each.result()
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                    reasons[tries[each]] = reason_of(error)
                except DatabaseAway as error:
                    reasons[tries[each]] = f"was lost: {error.message}"
                except _Refused as error:
                    reasons[tries[each]] = str(error)
                except Exception as error:  # noqa: BLE001 - What a server that is none says.
                    reasons[tries[each]] = f"cannot be used: {type(error).__name__}: {error}"
                else:
                    self.primary = tries[each]
                    return chosen
        finally:
            await _give_up(tries, chosen)
        raise DatabaseAway(
            "no server of the cluster's database takes writes: "
            + "; ".join(f"{host} {reason}" for host, reason in reasons.items())
        )

    async def _try(self, host: Host) -> _Connection:
        dsn = self.dsn
        for name in _FILES & dsn.tls.keys():
            # Python's own error does not say which one it was.
            if not os.access(dsn.tls[name], os.R_OK):
                raise _Refused(f"was not asked: the {name} {dsn.tls[name]} cannot be read")
        connection: _Connection = await asyncpg.connect(
            # Of which only this is in it: all else is told apart, and so cannot be misread.
            f"postgresql://?{urlencode(dsn.tls)}" if dsn.tls else None,
            host=host.name,
            port=host.port,
            user=dsn.user,
            password=dsn.password,
            passfile=dsn.passfile,
            database=dsn.database,
            target_session_attrs=SessionAttribute.any,
            server_settings=_SETTINGS,
            connection_class=_KeptAlive,
        )
        try:
            await self._check(connection)
        except BaseException:
            connection.terminate()
            raise
        connection.add_log_listener(_distrust)
        return connection

    async def _check(self, connection: _Connection) -> None:
        """Refuse a server that cannot, or must not, keep a cluster's messages."""
        major = connection.get_server_version().major
        if major < _VERSION_MIN:
            raise _Refused(f"is PostgreSQL {major}; q needs {_VERSION_MIN} or later")
        found = await asked(connection, connection.fetchrow(_STANDING), self._timeout_s)
        assert found is not None
        if found["is_standby"]:
            raise _Refused("is a standby")
        if found["is_read_only"]:
            raise _Refused("is read-only: default_transaction_read_only is on")
        for name in ("fsync", "full_page_writes"):
            if found[name] == "off" and not self._takes_unsynced:
                raise _Refused(
                    f"has {name} off, so that a power failure would lose what q has acknowledged"
                )
        if found["encoding"] not in _ENCODINGS:
            raise _Refused(
                f"has the encoding {found['encoding']}, which cannot keep all texts that q takes;"
                " make the database anew with encoding 'UTF8' template template0"
            )
        if found["is_shared"]:
            raise _Refused(f"does not take a session's settings; {_POOLER}")
        if found["synchronous_commit"] not in ("on", "remote_apply"):
            raise _Refused(
                f"has synchronous_commit {found['synchronous_commit']}, though q asks for on"
            )
        timeline = int(found["wal_file"][:_TIMELINE_DIGITS], 16)
        if timeline < self._timeline:
            # It was the primary, and does not know that it is not any more.
            raise _Refused(
                f"is at timeline {timeline}, and another server was promoted to {self._timeline};"
                " make it a standby, or start q again if all servers were put back"
            )
        self._timeline = timeline


async def asked(
    connection: _Connection,
    question: Coroutine[Any, Any, _T],
    timeout_s: float | None,
) -> _T:
    """Wait for the answer to a question, for so many seconds; then the connection is of no use.

    It is cut off rather than asked to stop: a commit that waits for standbys, and is asked to
    stop, is made without them.

    Raises:
        DatabaseAway: there was no answer in time, or the connection was lost.
        asyncpg.PostgresError: it was refused.
    """
    task = asyncio.ensure_future(question)
    try:
        await asyncio.wait((task,), timeout=timeout_s)
        if task.done():
            answer = task.result()
            if connection.is_closed():
                raise DatabaseAway("the cluster's database has committed without its standbys")
            return answer
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError) as error:
        raise DatabaseAway(f"the cluster's database is away: {reason_of(error)}") from error
    except (asyncpg.OperatorInterventionError, asyncpg.InternalClientError) as error:
        # It is shut down, or somebody has ended this session. Asked in the very moment in which it
        # hears of that, the driver says that it is in the midst of something else.
        connection.terminate()
        raise DatabaseAway(f"the cluster's database is away: {reason_of(error)}") from error
    finally:
        if not task.done():
            connection.terminate()
            # Its end is the connection's, and nobody's concern.
            task.add_done_callback(_ignore)
    raise DatabaseAway(f"the cluster's database has not answered within {timeout_s:g} seconds")


async def close(connection: _Connection) -> None:
    """Take leave of the server, but do not wait for it for long."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        # Unlike what `asked` asks, there is nothing in this that must not be cancelled.
        await connection.close(timeout=ANSWER_S)


def reason_of(error: BaseException) -> str:
    """Return what a server, or the way to it, says, as the end of a sentence about it."""
    if isinstance(error, asyncpg.PostgresError):
        hint = f"; {_POOLER}" if isinstance(error, asyncpg.ProtocolViolationError) else ""
        return f"says: {error.message or error}{hint}"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return f"cannot be reached: {text}"


async def _as_done(tries: Collection[_Try], timeout_s: float) -> AsyncIterator[_Try]:
    """Yield those that have come to an end within so many seconds, soonest first."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    pending = set(tries)
    while pending:
        left_s = max(0.0, deadline_s - loop.time())
        done, pending = await asyncio.wait(
            pending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return
        for each in done:
            yield each


async def _give_up(tries: Iterable[_Try], chosen: _Connection | None) -> None:
    """End all tries, and close what they have led to, but for the connection that was chosen."""
    for each in tries:
        each.cancel()
    for result in await asyncio.gather(*tries, return_exceptions=True):
        if isinstance(result, asyncpg.Connection) and result is not chosen:
            result.terminate()


def _distrust(
    connection: "_Connection | PoolConnectionProxy[Record]", message: PostgresLogMessage
) -> None:
    """End a session whose commit was told to wait for standbys no more, as an operator can do.

    The server reports success and warns of this before: so whoever waits finds it closed.
    """
    if message.server_source_function == "SyncRepWaitForLSN":
        connection.terminate()


def _ignore(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
