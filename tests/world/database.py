"""One database of a world: a real one, made anew, with a clock of the world and errors at will."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from tests.postgres.installation import ROLE, SUPERUSER
from tests.store.clusters import emptied
from tests.world.wire import Backend, Frame, Refused, first_packet

#: What q finds before PostgreSQL's own: the time of the world, as it was told to the session. A
#: statement that writes fails if its session was told so.
_WORLD: Final = """
drop schema if exists world cascade;
create schema world;
grant usage on schema world to public;
create function world.clock_timestamp() returns timestamptz language sql volatile as $$
    select timestamptz 'epoch'
        + current_setting('world.now_us')::bigint * interval '1 microsecond'
$$;
create function world.trouble() returns trigger language plpgsql as $$
begin
    if current_setting('world.raise', true) <> '' then
        raise exception 'so says the world' using errcode = current_setting('world.raise');
    end if;
    return null;
end
$$;
create trigger trouble after update on q.journal
for each statement execute function world.trouble();
"""

#: What PostgreSQL says to whose statement was cancelled, and to who has waited for a lock for too
#: long.
_CANCELLED: Final = b"canceling statement due to user request"
_TIMED_OUT: Final = b"canceling statement due to lock timeout"

#: What q asks of a session, and is the world's affair.
_SESSION: Final = {
    "search_path": "world, pg_catalog",
    "idle_in_transaction_session_timeout": "0",
}


async def _empty(dsn: str) -> None:
    async with emptied(dsn):
        pass


class Database:
    """One that q connects to by way of a `Relay`, as the directory `/name` of Unix sockets."""

    def __init__(self, name: str, port: int, database: str) -> None:
        """Empty it.

        Args:
            name: what it is called.
            port: where its server listens on this machine.
            database: what PostgreSQL calls it; q's role owns it, and nobody else uses it.
        """
        self.name = name
        self.dsn = f"postgresql://{ROLE}@/{database}?host=/{name}"
        #: Whether somebody holds what every commit needs.
        self.is_locked = False
        self._port = port
        self._database = database
        asyncio.run(_empty(f"postgresql://{ROLE}@127.0.0.1:{port}/{database}"))
        self._admin = Backend.to(port, user=SUPERUSER, database=database)
        self._admin.ask("set client_min_messages = error")
        self._admin.ask(_WORLD)

    def begin(self, parameters: dict[str, str]) -> Backend:
        """Open a connection as q asks for it, or be refused."""
        asked = {**parameters, "database": self._database}
        return Backend(self._port, first_packet({**asked, **_SESSION}))

    def end(self, backend: Backend) -> None:
        """Close a connection; what it had locked is free then."""
        was_in_transaction = backend.status != b"I"
        backend.close()
        while was_in_transaction and self._admin.ask(
            f"select 1 from pg_stat_activity where pid = {backend.pid}"  # noqa: S608 - A number.
        ):
            pass

    def waits_for_lock(self, backend: Backend) -> bool:
        """Whether what a connection does waits for somebody's lock."""
        [[count]] = self._admin.ask(f"select cardinality(pg_blocking_pids({backend.pid}))")
        return count != "0"

    def end_waiting(self, backend: Backend) -> None:
        """Have a connection wait for a lock no longer."""
        self._admin.ask(f"select pg_cancel_backend({backend.pid})")

    def told(self, answer: Sequence[Frame]) -> list[Frame]:
        """Return an answer as PostgreSQL gives it if the time is over that q waits for a lock."""
        return [
            Frame(kind, body.replace(_CANCELLED, _TIMED_OUT).replace(b"C57014", b"C55P03"))
            if kind == b"E" and _CANCELLED in body
            else Frame(kind, body)
            for kind, body in answer
        ]

    def terminate(self, backend: Backend) -> None:
        """End a session as an administrator does."""
        self._admin.ask(f"select pg_terminate_backend({backend.pid}, 10000)")

    def make_read_only(self, backend: Backend) -> None:
        """Have a session refuse to write, as that of a server that was demoted."""
        backend.ask("set default_transaction_read_only = on")

    def change(self, setting: str) -> None:
        """Change the database itself; who is connected does not notice."""
        self._admin.ask(f"alter database {self._database} {setting}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold what every commit needs, unless somebody has it at the moment."""
        backend = Backend.to(self._port, user=SUPERUSER, database=self._database)
        self.is_locked = True
        try:
            backend.ask("begin")
            with suppress(Refused):
                backend.ask("set local lock_timeout = '100ms'; select from q.journal for update")
            yield
        finally:
            self.end(backend)
            self.is_locked = False

    def close(self) -> None:
        """Let go of it, as it was."""
        self.change("connection limit -1")
        self.change("reset default_transaction_read_only")
        self._admin.close()
