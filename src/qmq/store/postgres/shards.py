"""The databases of a cluster that are divided into several: which they are, and a leader's part.

The first database decides who leads, and knows the names and numbers of the others. Each of those
knows its own, so that none is taken for another, and takes only commits of the leader that was the
last to say so in it. A leader says so when the first one has elected it, and so before it reads.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import asyncpg

from qmq.errors import ConfigError, DatabaseAway, NotLeading
from qmq.store.postgres.connecting import close
from qmq.store.postgres.dsn import FIRST
from qmq.store.postgres.leadership import SCHEMA_S, Setting, Standing, ask, standing_of
from qmq.store.postgres.surroundings import Surroundings
from qmq.store.postgres.term import Connect, Term
from qmq.store.postgres.vacuum import HeldVacuum, Holder
from qmq.store.sql import load_statements
from qmq.values import NS_PER_S, Durability

if TYPE_CHECKING:
    from asyncpg.protocol.record import Record

    _Connection = asyncpg.Connection[Record]
else:
    _Connection = asyncpg.Connection

_SQL: Final = load_statements("qmq.store.postgres", "shards.sql")
_HOLDERS: Final = load_statements("qmq.store.postgres", "leadership.sql")["select_holders"]


class Registry(NamedTuple):
    """What the first database knows of the others."""

    #: What all databases of the cluster have in common.
    cluster: str
    #: The number of each, by its name; that of the first is 0.
    numbers: Mapping[str, int]
    #: The names of those that were there once.
    removed: Collection[str]


async def check_first(connection: _Connection, names: Collection[str]) -> None:
    """Refuse to lead from a database that is not the first, or without one of the others.

    Args:
        connection: to the database that is said to be the first.
        names: those of all that this q was given, the first included.

    Raises:
        ConfigError: it is another one, or there is one more.
        asyncpg.PostgresError: the database fails.
    """
    rows = await connection.fetch(_SQL["select_shards"])
    if rows and rows[0]["number"]:
        name = rows[0]["name"]
        raise ConfigError(
            f"the database that --postgres has without a name is shard {name} of its cluster, and"
            f" not the first one; write {name}=postgresql://... for it, and the first one without"
            " a name"
        )
    for row in rows:
        if not row["is_removed"] and row["name"] not in names:
            raise ConfigError(
                f"the cluster has a database {row['name']} that this q was not given; add"
                f" --postgres {row['name']}=postgresql://..., or remove it by `q migrate"
                f" --remove-shard {row['name']}` when no queue is left in it"
            )


async def check_further(connection: _Connection, name: str) -> None:
    """Refuse a database that knows itself to be another one than it is said to be.

    Args:
        connection: to the database.
        name: what it is said to be called.

    Raises:
        ConfigError: it is another one.
        asyncpg.PostgresError: the database fails.
    """
    rows = await connection.fetch(_SQL["select_shards"])
    if not rows:
        if await connection.fetchval("select max(epoch) > 0 from q.leader"):
            raise ConfigError(
                f"the database that is to be shard {name} has been a cluster of its own; give q"
                " one that is new"
            )
        return
    own = FIRST if rows[0]["number"] == 0 else rows[0]["name"]
    if own != name:
        raise ConfigError(
            f"the database that --postgres calls {name} is shard {own} of its cluster, and stays"
            " that; give each database the name that it has"
        )


async def enlisted(connect: Connect, term: Term, settings: Mapping[str, Setting]) -> Registry:
    """Read which databases there are, and number new ones that answer.

    A database that does not answer has no number yet: nothing can be in it, so nobody has to wait
    for it. It is asked again at the next takeover.

    Args:
        connect: opens connections to the first one.
        term: the leadership.
        settings: how the others are reached that this q was given, by their names.

    Raises:
        DatabaseAway: the first one does not answer.
        NotLeading: another q leads.
    """
    connection = await connect()
    try:
        await ask(connection, connection.execute(_SQL["begin_cluster"], term.epoch, FIRST))
        rows: list[Any] = await ask(connection, connection.fetch(_SQL["select_shards"]))
        if not rows:
            raise NotLeading("another q leads the cluster by now; call again")
        cluster: str = rows[0]["cluster"]
        numbers = {row["name"]: row["number"] for row in rows if not row["is_removed"]}
        removed = {row["name"] for row in rows if row["is_removed"]}
        for name in sorted(settings.keys() - numbers.keys() - removed):
            if not await _is_new(name, settings[name]):
                continue
            added = connection.fetchval(_SQL["register"], term.epoch, name, cluster)
            if (number := await ask(connection, added)) is None:
                raise NotLeading("another q leads the cluster by now; call again")
            numbers[name] = number
        return Registry(cluster, numbers, removed)
    finally:
        await close(connection)


async def make_further_ready(name: str, setting: Setting) -> None:
    """Prepare a further database for q, and check that it is the one of that name.

    Raises:
        ConfigError: it is another one, or of another version.
        DatabaseAway: it does not answer.
    """
    connection = await setting.connect()
    try:
        await ask(connection, setting.make_ready(connection), seconds=SCHEMA_S)
        await ask(connection, check_further(connection, name))
    finally:
        await close(connection)


async def _is_new(name: str, setting: Setting) -> bool:
    """Whether a database answers, and may become a further one of a cluster."""
    try:
        await make_further_ready(name, setting)
    except (ConfigError, DatabaseAway) as error:
        setting.on_notice(f"it is not of the cluster yet, and takes no queues: {error.message}")
        return False
    return True


class ShardTerm:
    """A leadership's part in a further database. It is a `qmq.store.postgres.term.Term`.

    It lasts as long as the leadership, and has to be released at its end.
    """

    def __init__(
        self, name: str, setting: Setting, first: Term, connection: _Connection, standing: Standing
    ) -> None:
        """Describe one that was begun; see `begin`."""
        self._name = name
        self._setting = setting
        self._first = first
        self._connection: _Connection | None = connection
        self._standing = standing
        self._held = HeldVacuum(setting.passed_ns)
        #: Who is connected to the database.
        self.surroundings = Surroundings(setting.passed_ns)
        self._looked_ns = 0
        #: Why nothing may be changed, if it has not answered when it was looked at last.
        self._silence: DatabaseAway | None = None
        #: Held by who asks the database something: a connection answers one question at a time.
        self._turn = asyncio.Lock()
        self._looking = asyncio.get_running_loop().create_task(self._look_for_ever())

    @classmethod
    async def begin(cls, name: str, setting: Setting, first: Term, registry: Registry) -> Self:
        """Have a database take the commits of this leader, and of no other before.

        Args:
            name: what it is called.
            setting: how it is reached.
            first: the leadership, as the first database has it.
            registry: which one it has to be.

        Raises:
            ConfigError: it is another one, or of another version.
            DatabaseAway: it does not answer, or has too few standbys.
            NotLeading: it takes the commits of a later leader, or was removed.
        """
        connection = await setting.connect()
        try:
            await ask(connection, setting.make_ready(connection), seconds=SCHEMA_S)
            await _join(connection, name, registry)
            standing = await _fenced(connection, setting, first.epoch)
        except BaseException:
            connection.terminate()
            raise
        return cls(name, setting, first, connection, standing)

    @property
    def epoch(self) -> int:
        """Its number, which is that of the leadership."""
        return self._first.epoch

    @property
    def durability_max(self) -> Durability:
        """How durable a commit is: REPLICATED where synchronous standbys confirm it, or FSYNC."""
        return self._standing.durability_max

    @property
    def refusal(self) -> DatabaseAway | None:
        """Why nothing may be changed now: it is silent, or has too few standbys, or None."""
        return self._silence or self._standing.refusal

    @property
    def is_silent(self) -> bool:
        """Whether it has not answered when it was looked at last."""
        return self._silence is not None

    @property
    def vacuum_held_s(self) -> float:
        """Seconds for which vacuum has been held back by the oldest transaction or slot."""
        return self._held.held_s

    @property
    def vacuum_holder(self) -> str:
        """Say what that is; empty if nothing holds it back."""
        return self._held.oldest

    @property
    def is_certain(self) -> bool:
        """Whether no other q can have succeeded: none does that the first database has not."""
        return self._first.is_certain

    async def make_certain(self) -> None:
        """Wait until it is certain that nobody had succeeded here when this was called.

        Where the first database does not say so, this one does by a commit of nothing.

        Raises:
            NotLeading: another q has succeeded.
            DatabaseAway: the database does not answer.
        """
        if self._first.is_certain:
            return
        async with self._turn:
            touched = await self._asked(_SQL["touch_shard"], self.epoch)
        if not touched:
            raise NotLeading("another q leads the cluster by now; call again")

    async def look(self) -> None:
        """Find out how many standbys there are, and now and then what holds back vacuum."""
        setting = self._setting
        async with self._turn:
            try:
                standing = await self._stands()
            except DatabaseAway as error:
                self._silence = DatabaseAway(
                    f"shard {self._name} of the cluster does not answer ({error.message}); q goes"
                    " on by itself when it does",
                    effect="none",
                )
                return
        self._silence = None
        if (standing.refusal is None) != (self._standing.refusal is None):
            setting.on_notice(
                standing.refusal.message if standing.refusal else "there are enough standbys again"
            )
        self._standing = standing
        now_ns = setting.passed_ns()
        is_time = not self._looked_ns or (
            now_ns - self._looked_ns >= setting.pace.vacuum_s * NS_PER_S
        )
        if is_time or self.surroundings.is_wanted:
            await self._look_around()
        if not is_time:
            return
        self._looked_ns = now_ns
        with suppress(DatabaseAway):
            async with self._turn:
                rows = await self._asked(_HOLDERS)
            for warning in self._held.note(Holder(*row) for row in rows):
                setting.on_notice(warning)

    async def release(self) -> None:
        """Look no more. Who leads next is told by the first database."""
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        if self._connection:
            await close(self._connection)

    async def _look_around(self) -> None:
        async with self._turn:
            if connection := self._connection:
                with suppress(DatabaseAway):
                    await ask(connection, self.surroundings.look(connection))

    async def _stands(self) -> Standing:
        """Ask how many standbys there are, on a new connection if the one that there is is lost."""
        if self._connection:
            with suppress(DatabaseAway):
                return await standing_of(self._setting, self._connection)
            self._let_go()
        connection = self._connection = await self._setting.connect()
        return await standing_of(self._setting, connection)

    async def _look_for_ever(self) -> None:
        pace = self._setting.pace
        while True:
            await asyncio.sleep(pace.renew_s * self._setting.random.uniform(0.8, 1))
            await self.look()

    async def _asked(self, statement: str, *parameters: object) -> list[Any]:
        try:
            connection = self._connection = self._connection or await self._setting.connect()
            rows: list[Any] = await ask(connection, connection.fetch(statement, *parameters))
        except DatabaseAway:
            self._let_go()
            raise
        return rows

    def _let_go(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None


async def _fenced(connection: _Connection, setting: Setting, epoch: int) -> Standing:
    """Have a database take the commits of a leader, and return how many machines they are on."""
    standing = await standing_of(setting, connection)
    if standing.refusal:
        raise standing.refusal
    if await ask(connection, connection.fetchval(_SQL["fence_shard"], epoch)) is None:
        raise NotLeading("it takes the commits of a later leader, or was removed")
    return standing


async def _join(connection: _Connection, name: str, registry: Registry) -> None:
    """Make sure that a database is the one that it is said to be, or make it that if it is new.

    Raises:
        ConfigError: it is another one.
        DatabaseAway: it does not answer.
    """
    number = registry.numbers[name]
    added = connection.execute(_SQL["join_cluster"], number, name, registry.cluster)
    await ask(connection, added)
    await ask(connection, check_further(connection, name))
    [row] = await ask(connection, connection.fetch(_SQL["select_shards"]))
    if row["cluster"] != registry.cluster or row["number"] != number:
        raise ConfigError(
            f"the database that --postgres calls {name} is of another cluster; give q one that is"
            " new"
        )


async def remove(first: Connect, further: Connect, name: str) -> None:
    """Take an empty database out of a cluster, for good. Any number of q may run meanwhile.

    Args:
        first: opens connections to the first database.
        further: likewise to the one that is to go.
        name: what that is called.

    Raises:
        ConfigError: it is another one, or has queues.
        DatabaseAway: one of them does not answer.
    """
    connection = await further()
    try:
        await check_further(connection, name)
        async with connection.transaction():
            # Whoever commits is done by then, or will be refused.
            await connection.execute(_SQL["lock_journal"])
            if await connection.fetchval(_SQL["has_queues"]):
                raise ConfigError(
                    f"shard {name} has queues; delete them, or let them become empty and delete"
                    " them, and run this again. `qcli list` shows them: their ids have an 8 where"
                    " others have a 4"
                )
            await connection.execute(_SQL["close_shard"])
    finally:
        await close(connection)
    connection = await first()
    try:
        await connection.execute(_SQL["remove_shard"], name)
    finally:
        await close(connection)
