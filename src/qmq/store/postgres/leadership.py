"""One q at a time leads a cluster: how it is known, won, held, lost and given up.

A row of the database says who leads, and until when if nothing more is heard of it. The leader
renews that every second, and is certain to lead for as long as the database cannot have let another
one succeed; its commits do not rest on that, since each one names the epoch. The others look at the
row every second, and as soon as the database notifies them.

Nobody takes over who has not seen the row unchanged for as long as a leadership lasts, by a clock
of its own: so it does no harm where clocks of servers differ, or are set.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import asyncpg

from qmq.clock import Clock
from qmq.errors import ConfigError, DatabaseAway, NotLeading, Unavailable
from qmq.store.postgres.connecting import ANSWER_S, asked, close, reason_of
from qmq.store.postgres.surroundings import NAME_SESSION, Surroundings, session_name
from qmq.store.postgres.term import Connect
from qmq.store.postgres.tries import Tries
from qmq.store.postgres.vacuum import HeldVacuum, Holder
from qmq.store.sql import load_statements
from qmq.values import NS_PER_S, Durability

if TYPE_CHECKING:
    from asyncpg.protocol.record import Record

    _Connection = asyncpg.Connection[Record]
else:
    _Connection = asyncpg.Connection

_SQL: Final = load_statements("qmq.store.postgres", "leadership.sql")
_CHANNEL: Final = "q_leader"

#: Seconds in which the schema has to be made, where there is none.
SCHEMA_S: Final = 10.0

_T = TypeVar("_T")


class Pace(NamedTuple):
    """How fast a cluster notices that its leader is gone, in seconds."""

    #: How long a leadership lasts of which nothing is heard: longer than a busy machine stands
    #: still, or a connection takes to be made anew; and short enough for callers to wait it out.
    ttl_s: float = 5.0
    #: From one renewal to the next: four may fail.
    renew_s: float = 1.0
    #: What a clock of one machine may go faster than that of another within `ttl_s`, with a lot to
    #: spare.
    margin_s: float = 0.5
    #: From one look at who leads to the next, where no notification comes.
    poll_s: float = 1.0
    #: From one look at what holds back vacuum to the next.
    vacuum_s: float = 10.0


class Setting(NamedTuple):
    """What all that has to do with leadership is made of; each but `connect` may be a test's."""

    #: Opens a connection to the primary.
    connect: Connect
    #: Where others reach this q: HOST:PORT.
    address: str
    #: The machine's clock.
    clock: Clock
    #: A clock that nobody sets, in nanoseconds.
    passed_ns: Callable[[], int]
    #: So that those that failed together do not try again together.
    random: Random
    #: Makes sure that the schema is the one that this q knows; see `migrating.make_ready`.
    make_ready: Callable[[_Connection], Awaitable[None]]
    #: How many synchronous standbys there must be for changes.
    replicas_min: int = 0
    #: The version of this q, which the others are told.
    version: str = ""
    #: Told what an operator should know, in a sentence.
    on_notice: Callable[[str], None] = lambda _: None
    pace: Pace = Pace()


class Sight(NamedTuple):
    """Who leads, as far as is known."""

    epoch: int = 0
    #: Where that q is reached; empty if nobody leads.
    address: str = ""
    #: Whether another q may take over.
    is_vacant: bool = False
    #: Why nothing newer is known; None if the database answers.
    away: Unavailable | None = None
    #: Why changes are refused, where there are fewer standbys than were asked for; or empty.
    lacks_standbys: str = ""
    #: As the database has it, to tell whether anything has changed.
    expires_at: datetime = datetime.min  # noqa: DTZ901  # compared with others from there only


class Watch:
    """Looks who leads."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._connection: _Connection | None = None
        self._notified = asyncio.Event()
        self._is_ready = False
        self._tries = Tries(setting.random)
        self._has_warned = False
        #: Since when the row is as it is, by the clock that nobody sets.
        self._since_ns = 0
        #: What was seen last.
        self.sight = Sight()

    async def next(self) -> Sight:
        """Wait until there is something new: who leads, that nobody does, or that it is not known.

        While nobody leads, it returns after each look, so that whoever failed to take over tries
        again.

        Raises:
            ConfigError: the schema is none that this q may work with.
        """
        while True:
            before = self.sight
            await self._pause()
            self.sight = await self._look()
            told = self.sight._replace(expires_at=before.expires_at)
            if told != before or self.sight.is_vacant:
                return self.sight

    async def close(self) -> None:
        """Look no more."""
        if self._connection:
            await close(self._connection)
            self._connection = None

    async def _pause(self) -> None:
        """Wait for a notification, or until it is time to look again."""
        setting, pace = self._setting, self._setting.pace
        if not (self._since_ns or self._tries.failed):
            return
        if self._tries.failed:
            pause_s = self._tries.pause_s()
        else:
            # When the one that leads now has not been heard of for too long.
            end_ns = self._since_ns + round(pace.ttl_s * NS_PER_S)
            left_s = (end_ns - setting.passed_ns()) / NS_PER_S
            pause_s = min(pace.poll_s, left_s) if left_s > 0 else pace.poll_s
            # Others of the cluster look at the same moment.
            pause_s += setting.random.uniform(0, pace.poll_s / 10)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._notified.wait(), pause_s)
        self._notified.clear()

    async def _look(self) -> Sight:
        try:
            connection = self._connection or await self._connected()
            row = await ask(connection, connection.fetchrow(_SQL["select_leader"]))
            refusal = None
            if self._setting.replicas_min:
                refusal = (await standing_of(self._setting, connection)).refusal
        except Unavailable as error:
            if self._connection:
                self._connection.terminate()
                self._connection = None
            self._tries.fail()
            # One sight of it is enough, however the message differs from one time to the next.
            return self.sight._replace(is_vacant=False, away=self.sight.away or error)
        self._tries.succeed()
        now_ns = self._setting.passed_ns()
        epoch, expires_at = row["epoch"], row["expires_at"]
        if (epoch, row["address"]) == (self.sight.epoch, self._setting.address):
            self._warn_of_namesake(is_renewed=expires_at != self.sight.expires_at)
        if not self._since_ns or (epoch, expires_at) != (self.sight.epoch, self.sight.expires_at):
            self._since_ns = now_ns
        is_silent = now_ns - self._since_ns >= self._setting.pace.ttl_s * NS_PER_S
        return Sight(
            epoch=epoch,
            address=row["address"],
            is_vacant=not row["address"] or is_silent,
            lacks_standbys=refusal.message if refusal else "",
            expires_at=expires_at,
        )

    def _warn_of_namesake(self, *, is_renewed: bool) -> None:
        """Warn once that a leading q has the address of this one, which does not lead."""
        if is_renewed and not self._has_warned:
            self._has_warned = True
            address = self._setting.address
            self._setting.on_notice(
                f"another q leads the cluster, and is reached at {address}, as it says, which is"
                " where this one is: give each q an --advertise of its own"
            )

    async def _connected(self) -> _Connection:
        connection = await self._setting.connect()
        try:
            # Once only: a newer q may have changed the schema since, which keeps this one from
            # leading and not from looking.
            if not self._is_ready:
                await ask(connection, self._setting.make_ready(connection), seconds=SCHEMA_S)
                self._is_ready = True
            name = session_name(self._setting.version, self._setting.address)
            await ask(connection, connection.execute(NAME_SESSION, name))
            await ask(connection, connection.add_listener(_CHANNEL, self._on_notification))
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(self._on_notification)
        self._connection = connection
        return connection

    def _on_notification(self, *_: object) -> None:
        self._notified.set()


class LeaderTerm:
    """A leadership. It is a `qmq.store.postgres.term.Term`.

    It has to be started, so that it is renewed, and released at the end.
    """

    def __init__(
        self,
        setting: Setting,
        connection: _Connection,
        won: "Record",
        standing: "Standing",
        *,
        sent_ns: int,
    ) -> None:
        """Describe one that was won.

        Args:
            setting: what it is made of.
            connection: for its renewals; its own from now on.
            won: what the database said of it.
            standing: how many machines a commit is on.
            sent_ns: a moment before it was asked, by the clock that nobody sets.
        """
        self._setting = setting
        self._connection: _Connection | None = connection
        self._epoch: int = won["epoch"]
        #: The clock by which moments of messages are told goes on from the latest moment that the
        #: database or a leader before knew.
        self._clock_start_ns: int = won["clock_ns"] - setting.passed_ns()
        self._certain_until_ns = self._end_ns(sent_ns)
        self._standing = standing
        self._held = HeldVacuum(setting.passed_ns)
        #: Who is connected to the database, and since when this leadership lasts.
        self.surroundings = Surroundings(setting.passed_ns)
        self.won_ns = setting.clock.now_ns()
        self._looked_ns = 0
        #: Done, with the reason, when it has ended.
        self.ended: asyncio.Future[NotLeading] = asyncio.get_running_loop().create_future()
        #: What came of the latest renewal; done, and made anew, with each.
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._away: DatabaseAway | None = None
        self._tries = Tries(setting.random)
        self._renewing: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> int:
        """Its number; that of each later one is higher."""
        return self._epoch

    @property
    def clock_offset_ns(self) -> int:
        """By how much the clock by which moments of messages are told is ahead of the machine's.

        That is so at this moment: somebody may set the machine's while all messages are read.
        """
        return self._clock_ns() - self._setting.clock.now_ns()

    @property
    def durability_max(self) -> Durability:
        """How durable a commit is: REPLICATED where synchronous standbys confirm it, or FSYNC.

        An operator may change it while q runs; that is known with the next renewal.
        """
        return self._standing.durability_max

    @property
    def refusal(self) -> DatabaseAway | None:
        """Why nothing may be changed now: there are too few standbys. None if all is well."""
        return self._standing.refusal

    @property
    def is_silent(self) -> bool:
        """Whether the database has not answered the latest renewal."""
        return self._away is not None

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
        """Whether no other q can have succeeded by now."""
        return self._setting.passed_ns() < self._certain_until_ns

    async def make_certain(self) -> None:
        """Wait until it is certain again.

        Raises:
            NotLeading: another q has succeeded.
            DatabaseAway: the database does not answer.
        """
        while not self.is_certain:
            if self.ended.done():
                raise _again(self.ended.result())
            await asyncio.shield(self._news)
            if self._away and not self.is_certain:
                raise _again(self._away)

    def start(self) -> None:
        """Renew it from now on, in the event loop that runs."""
        self._renewing = asyncio.get_running_loop().create_task(self._renew_for_ever())

    def end(self, reason: NotLeading) -> None:
        """Take notice that it has ended, as who finds that out first may tell it."""
        self._certain_until_ns = 0
        if not self.ended.done():
            self.ended.set_result(reason)
        self._tell_news()

    async def release(self) -> None:
        """Give it up, so that another q takes over at once; nothing may be committed any more."""
        self.end(NotLeading("this q has stopped leading the cluster; call again"))
        if self._renewing:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        # If the database is away, the others find out by themselves that nothing is heard of it.
        with suppress(DatabaseAway):
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._setting.connect()
            released = self._connection.execute(_SQL["release"], *self._name, self._clock_ns())
            await ask(self._connection, released)
        if self._connection:
            await close(self._connection)

    async def renew(self) -> None:
        """Renew it once; what comes of it shows in its properties."""
        setting, pace = self._setting, self._setting.pace
        sent_ns = setting.passed_ns()
        try:
            connection = self._connection = self._connection or await setting.connect()
            ttl = timedelta(seconds=pace.ttl_s)
            renewed = await ask(
                connection,
                connection.fetchval(_SQL["renew"], *self._name, ttl, self._clock_ns()),
            )
            if renewed is None:
                self.end(NotLeading("another q leads the cluster by now; call again"))
                return
            self._note_standing(await standing_of(setting, connection))
        except DatabaseAway as error:
            if self._connection:
                self._connection.terminate()
                self._connection = None
            self._tries.fail()
            if self._away is None:
                setting.on_notice(f"the leadership cannot be renewed: {error.message}")
            self._away = error
        else:
            self._away = None
            self._tries.succeed()
            if not self.ended.done():
                self._certain_until_ns = self._end_ns(sent_ns)
        self._tell_news()

    async def look_around(self) -> None:
        """Find out who is connected to the database. That it cannot be known is no failure."""
        if connection := self._connection:
            with suppress(DatabaseAway):
                await ask(connection, self.surroundings.look(connection))

    async def look_at_vacuum(self) -> None:
        """Warn of what keeps vacuum from its work. That it cannot be known is no failure."""
        self._looked_ns = self._setting.passed_ns()
        if (connection := self._connection) is None:
            return
        with suppress(DatabaseAway):
            rows = await ask(connection, connection.fetch(_SQL["select_holders"]))
            for warning in self._held.note(Holder(*row) for row in rows):
                self._setting.on_notice(warning)

    async def _renew_for_ever(self) -> None:
        setting, pace = self._setting, self._setting.pace
        try:
            while not self.ended.done():
                await self.renew()
                is_time = self._is_time_to_look()
                if not self._away and is_time:
                    await self.look_at_vacuum()
                if not self._away and (is_time or self.surroundings.is_wanted):
                    await self.look_around()
                pause_s = self._tries.pause_s()
                await asyncio.sleep(pause_s or pace.renew_s * setting.random.uniform(0.8, 1))
        except Exception as error:  # noqa: BLE001 - Nobody may wait for news that never come.
            self.end(
                NotLeading(f"the leadership was not renewed ({type(error).__name__}: {error})")
            )

    def _is_time_to_look(self) -> bool:
        since_ns = self._setting.passed_ns() - self._looked_ns
        return not self._looked_ns or since_ns >= self._setting.pace.vacuum_s * NS_PER_S

    def _note_standing(self, standing: "Standing") -> None:
        before, self._standing = self._standing, standing
        if (standing.refusal is None) != (before.refusal is None):
            self._setting.on_notice(
                standing.refusal.message
                if standing.refusal
                else "the cluster's database has enough synchronous standbys again"
            )

    @property
    def _name(self) -> tuple[int, str]:
        return self._epoch, self._setting.address

    def _clock_ns(self) -> int:
        """The moment by the clock that moments of messages are told by."""
        return self._clock_start_ns + self._setting.passed_ns()

    def _end_ns(self, sent_ns: int) -> int:
        """When another may succeed, if the latest renewal was sent then."""
        pace = self._setting.pace
        return sent_ns + round((pace.ttl_s - pace.margin_s) * NS_PER_S)

    def _tell_news(self) -> None:
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        news.set_result(None)


class Standing(NamedTuple):
    """How many machines a commit is on."""

    durability_max: Durability
    refusal: DatabaseAway | None


async def campaign(setting: Setting, sight: Sight) -> LeaderTerm:
    """Take over a leadership that is vacant.

    From then on the one before cannot commit: what was under way of its commits is done or
    refused.

    Args:
        setting: what it is made of.
        sight: what was seen of the one before, and must not have changed since.

    Raises:
        NotLeading: another q was faster, the leader is heard of again, or the schema is of a newer
            q by now, so that this one may only follow.
        DatabaseAway: the database does not answer, a commit of the leader before is still under
            way, or there are too few standbys.
    """
    connection = await setting.connect()
    try:
        return await _won(setting, connection, sight)
    except BaseException:
        connection.terminate()
        raise


async def _won(setting: Setting, connection: _Connection, sight: Sight) -> LeaderTerm:
    try:
        await ask(connection, setting.make_ready(connection))
    except ConfigError as error:
        raise NotLeading(f"this q cannot lead any more: {error.message}") from error
    standing = await standing_of(setting, connection)
    if standing.refusal:
        raise standing.refusal
    sent_ns = setting.passed_ns()
    ttl = timedelta(seconds=setting.pace.ttl_s)
    won = await ask(
        connection,
        connection.fetchrow(_SQL["campaign"], sight.epoch, sight.expires_at, setting.address, ttl),
        # As long as it may wait for the row of the journal, and then for the standbys.
        seconds=2 * ANSWER_S,
    )
    if won is None:
        raise NotLeading("another q leads the cluster by now; call again")
    return LeaderTerm(setting, connection, won, standing, sent_ns=sent_ns)


async def standing_of(setting: Setting, connection: _Connection) -> Standing:
    """Find out how many machines a commit is on, and whether these are enough."""
    row = await ask(connection, connection.fetchrow(_SQL["standing"]))
    durability_max = Durability.REPLICATED if row["has_standbys"] else Durability.FSYNC
    wanted, found = setting.replicas_min, row["standbys"]
    if not wanted:
        return Standing(durability_max, None)
    if not row["sees_standbys"]:
        return Standing(
            durability_max,
            DatabaseAway(
                "q's role may not see the standbys of the cluster's database, so that nobody knows"
                f" whether there are {wanted}; grant it pg_read_all_stats"
            ),
        )
    if found < wanted or not row["has_standbys"]:
        return Standing(
            durability_max,
            DatabaseAway(
                f"the cluster's database has {found} synchronous standbys that receive, and"
                f" --require-replicas asks for {wanted}"
            ),
        )
    return Standing(durability_max, None)


async def ask(
    connection: _Connection,
    question: Awaitable[_T],
    *,
    seconds: float | None = ANSWER_S,
) -> Any:  # noqa: ANN401  # rows, whose columns have any types
    """Ask the database, to whom whatever it says instead of an answer may be over by the next time.

    Raises:
        DatabaseAway: there was no answer in time, or none that is of use.
    """

    async def answer() -> _T:
        return await question

    try:
        return await asked(connection, answer(), seconds)
    except asyncpg.PostgresError as error:
        raise DatabaseAway(f"the cluster's database {reason_of(error)}") from error


def _again(error: Unavailable) -> Unavailable:
    """Make the same error once more: what is raised twice keeps the frames of both."""
    return type(error)(error.message)
