"""A world with a cluster in it: some q over real PostgreSQL, and all that befalls them.

What PostgreSQL does it does for real, and when it is asked follows from the seed (see `relay`).
"""

import asyncio
import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import Context
from functools import partial
from random import Random
from typing import Any, Final

from qmq.errors import DataLoss, QError, StoreFailed, Unavailable
from qmq.model.check import problems_of
from qmq.store.postgres.dsn import FIRST
from qmq.values import Durability
from tests.world.clients import Keeper
from tests.world.database import Database
from tests.world.freezing import FreezingLoop
from tests.world.history import NEVER, Op
from tests.world.judge import RULES_OF_CLUSTERS
from tests.world.member import Lead, Member
from tests.world.network import Network, Serves, Weather
from tests.world.owning import OWNER, owned_task
from tests.world.play import Play
from tests.world.queues import in_a_cluster, some_queues
from tests.world.relay import COMMIT, Relay, Trouble, What

#: Seconds for which a world goes on, and between two faults, on average.
SECONDS: Final = 40.0
_BETWEEN_FAULTS_S: Final = 2.0

#: The q that there are: one stands by while the other one leads.
_NAMES: Final = ("q1", "q2")

#: Seconds after which a call must have been answered, besides what it has asked to wait: q lets
#: callers wait for a database for ten, and may be in the middle of a try to reach it then.
_ANSWERED_S: Final = 25.0

#: Seconds after which all is well again, once no fault comes any more.
_SETTLES_S: Final = 25.0

#: Seconds after which somebody tries again what has to be.
_AGAIN_S: Final = 0.5

#: Seconds after which the world is over: somebody waits for what does not come.
_ENDS_S: Final = 3_600.0

#: Why PostgreSQL refuses a commit, by its codes, so that the same succeeds later: serialization,
#: deadlock, no room, no memory, a lock, a cancelled query, a server that is shut down, the disk.
_PASSING: Final = ("40001", "40P01", "53100", "53200", "55P03", "57014", "57P01", "58030")
#: And for good, which ends a leadership: something is wrong with its tables, or with PostgreSQL.
_LASTING: Final = ("23514", "42501", "XX000")

#: What may end a leadership: a commit that comes so late that it was made again meanwhile.
_HARSH: Final = frozenset({What.LATE_REQUEST})

#: Seconds for which something that is wrong stays so.
_LASTS_S: Final = (0.3, 0.3, 2.0, 2.0, 6.0, 14.0)


class ClusterWorld(Play):
    """A cluster of one database, or two."""

    rules = RULES_OF_CLUSTERS
    # Each second costs some questions to PostgreSQL.
    last_wait_s = 1.0

    def __init__(
        self, addresses: Sequence[tuple[int, str]], seed: int, seconds: float = SECONDS
    ) -> None:
        """Make a world.

        Args:
            addresses: for each database, where its server listens on this machine, and what the
                database is called; all that is in it is removed. Half of the worlds have the
                first one only.
            seed: decides what happens.
            seconds: how long it goes on, of its own time, until all faults end.
        """
        names = (FIRST, "second")[: 1 + seed % 2] if len(addresses) > 1 else (FIRST,)

        def kinds(chance: Random) -> Any:  # noqa: ANN401 - As `in_a_cluster` has it.
            return in_a_cluster(some_queues(chance), names, chance)

        super().__init__(f"cluster {seed}", kinds)
        self.history.settled_from = NEVER
        self._addresses = dict(zip(names, addresses, strict=False))
        self._seconds = seconds
        #: Whether nothing befalls it that anybody but q has to notice, who leads on.
        self._is_gentle = seed % 5 == 4
        self._members: dict[str, Member] = {}
        #: Those that were killed, or have failed.
        self._dead: list[Member] = []
        self._background: list[asyncio.Task[Any]] = []

    def play(self) -> None:
        """Let it all happen."""
        loop = FreezingLoop(self._chance)
        self._begin(loop)
        loop.set_task_factory(owned_task)
        loop.set_exception_handler(self._note_surprise)
        databases = [Database(name, *at) for name, at in self._addresses.items()]
        self._relay = Relay(loop, self._chance, databases, _process)
        self._relay.on_trouble = lambda what: self.faults.update([what.value])
        loop.connect = self._relay.connect
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(asyncio.wait_for(self._live(), _ENDS_S))
        except TimeoutError:
            self.surprises.append(f"it has not come to an end in {_ENDS_S:g} s")
        finally:
            self._relay.close()
            for database in databases:
                database.close()

    async def _live(self) -> None:
        self._network = Network(self._loop, self._chance, self.kinds, self._server)
        self._network.lingers_s = 2 * _ANSWERED_S
        self._network.on_call = self._watch
        self._setup: Keeper = self._client(Keeper, "setup")
        for name in _NAMES:
            self._start(name)
        for name in self.kinds:
            await self._make_certainly(name)
        await self._while_clients_live(self._befall_for_a_time)
        await self._drain()

    async def _befall_for_a_time(self) -> None:
        until_s = self._loop.time() + self._seconds
        while self._loop.time() < until_s:
            await asyncio.sleep(self._chance.expovariate(1 / _BETWEEN_FAULTS_S))
            await self._befall()
            self._look_after_members()

    async def _befall(self) -> None:
        """Have one thing go wrong."""
        if self._is_gentle:
            await self._have_happen([(3, self._trouble_commits), (1, self._trouble_others)])
            return
        await self._have_happen(
            [
                (3, self._kill),
                (2, self._stop),
                (4, self._freeze),
                (4, self._cut_off),
                (3, self._shut_database_down),
                (2, self._silence_database),
                (12, self._trouble_commits),
                (3, self._trouble_others),
                (3, self._hold_lock),
                (2, self._let_nobody_in),
                (2, self._take_no_writes),
                (2, self._slow_down),
                (1, self._set_clock),
                (2, self._spoil_weather),
            ]
        )

    # Those that serve.

    def _server(self) -> Serves | None:
        """Return one that thinks that it leads, most likely the last that was elected."""
        leads = sorted(self._leads(), key=lambda each: each.term.epoch)
        if len(leads) > 1 and self._chance.random() < 0.3:
            return leads[0]
        return leads[-1] if leads else None

    def _leads(self) -> list[Lead]:
        found = [each.lead for each in self._members.values()]
        return [each for each in found if each and each.is_serving]

    def _start(self, name: str) -> None:
        member = self._members[name] = Member(
            name,
            {each.name: each.dsn for each in self._relay.databases.values()},
            self._loop,
            self._wall,
            chance=self._chance,
            new_id=self._new_id,
            on_lead=self._note_lead,
            on_end=lambda _: self._note("kill"),
        )
        member.start()

    def _note_lead(self, lead: Lead) -> None:
        if any(each is not lead for each in self._leads()):
            # Another one does not know yet: what it has not committed is lost.
            self._note("kill")
        self._note("boot", lead.ahead_ns)

    async def _make_certainly(self, name: str) -> None:
        """Make a queue, if it is not there, as soon as that can be."""
        op = await self._make_queue(name)
        while not (op.is_ok or op.why == "NameTaken"):
            await asyncio.sleep(_AGAIN_S)
            op = await self._make_queue(name)

    def _do_beside(self, work: Any) -> None:  # noqa: ANN401 - Any coroutine.
        self._background.append(self._loop.create_task(work, context=Context()))

    def _look_after_members(self) -> None:
        """Take note of those that have failed by themselves, and start them again."""
        for name, member in list(self._members.items()):
            if failure := member.failure():
                self.surprises.append(f"{name} has failed: {failure!r}")
                self._end(name)

    def _end(self, name: str) -> None:
        member = self._members.pop(name)
        self._relay.leave(member)
        member.kill()
        self._dead.append(member)

    def _watch(self, server: Serves, op: Op, answer: asyncio.Task[Any]) -> None:
        """See that a call is answered in time, and by what."""
        assert isinstance(server, Lead)
        member = server.member
        frozen_s = member.frozen_s
        answer.add_done_callback(partial(self._judge_answer, op, self._is_succeeded(server, op)))

        def look() -> None:
            nonlocal frozen_s
            if answer.done():
                return
            if member.is_frozen or member.frozen_s > frozen_s:
                frozen_s = member.frozen_s
                self._loop.call_later(_ANSWERED_S, look)
                return
            self.surprises.append(f"#{op.number} {op.verb} has no answer in {_ANSWERED_S:g} s")

        self._loop.call_later(op.seconds + _ANSWERED_S, look)

    def _is_succeeded(self, server: Lead, op: Op) -> bool:
        """Whether another q has read by now what a call to add something wants to change."""
        kind = self.kinds.get(op.queue)
        if op.verb not in {"add", "add_batch"} or not kind:
            return False
        number = list(self._addresses).index(kind.shard or FIRST)
        # What is known already is not added again.
        return not kind.has_dedup_ids and any(
            each.term.epoch > server.term.epoch and number in each.shards.shards.stores
            for each in self._leads()
        )

    def _judge_answer(self, op: Op, is_succeeded: bool, answer: asyncio.Task[Any]) -> None:  # noqa: FBT001
        if answer.cancelled():
            return
        if not (error := answer.exception()):
            if is_succeeded and op.level >= Durability.OS:
                self.surprises.append(f"#{op.number} was carried out by a q that was succeeded")
            return
        is_wrong = isinstance(error, DataLoss | StoreFailed) or not isinstance(error, QError)
        if isinstance(error, Unavailable) and not error.retry_after_s:
            is_wrong = True
        if is_wrong and type(error).__name__ != "Gone":
            self.surprises.append(f"#{op.number} {op.verb} was answered with {error!r}")

    # What befalls them.

    def _count(self, fault: str) -> None:
        self.faults[fault] += 1

    def _any_name(self) -> str:
        """Return the name of a q, most likely of the one that leads."""
        if (leads := self._leads()) and self._chance.random() < 0.75:
            return self._chance.choice(leads).member.name
        return self._chance.choice(sorted(self._members))

    async def _start_again(self, name: str) -> None:
        await asyncio.sleep(self._chance.choice((0.1, 1.0, 8.0)))
        self._start(name)

    def _kill(self) -> None:
        if len(self._members) > 1 or self._chance.random() < 0.3:
            self._count("q killed")
            self._end(name := self._any_name())
            self._do_beside(self._start_again(name))

    def _stop(self) -> None:
        if len(self._members) > 1:
            self._count("q stopped")
            self._do_beside(self._stop_and_start(self._any_name()))

    async def _stop_and_start(self, name: str) -> None:
        member = self._members[name]
        if member.is_frozen:
            return
        await asyncio.wait((member.run(member.stop()),))
        if self._members.get(name) is member:
            self._end(name)
            await self._start_again(name)

    def _for_a_time(self, begin: Callable[[], object], end: Callable[[], object]) -> None:
        """Have something be wrong, and right again after some seconds."""

        async def last() -> None:
            begin()
            try:
                await asyncio.sleep(self._chance.choice(_LASTS_S))
            finally:
                end()

        self._do_beside(last())

    def _freeze(self) -> None:
        self._count("q frozen")
        member = self._members.get(self._any_name())
        if member and not member.is_frozen:
            self._for_a_time(member.freeze, member.thaw)

    def _cut_off(self) -> None:
        self._count("q cut off")
        member, database = self._members[self._any_name()], self._any_database()
        self._for_a_time(
            partial(self._relay.hush, member, database.name),
            partial(self._relay.mend, member, database.name),
        )

    def _any_database(self) -> Database:
        return self._chance.choice(list(self._relay.databases.values()))

    def _shut_database_down(self) -> None:
        self._count("database down")
        database = self._any_database()

        def begin() -> None:
            self._relay.refusing.add(database.name)
            self._relay.cut(database.name)

        self._for_a_time(begin, partial(self._relay.refusing.discard, database.name))

    def _silence_database(self) -> None:
        self._count("database silent")
        database, members = self._any_database(), list(self._members.values())
        for member in members:
            self._for_a_time(
                partial(self._relay.hush, member, database.name),
                partial(self._relay.mend, member, database.name),
            )

    def _trouble_commits(self) -> None:
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            self._trouble(COMMIT)

    def _trouble_others(self) -> None:
        self._trouble("")

    def _trouble(self, text: str) -> None:
        chance = self._chance
        states = _LASTING if chance.random() < 0.1 and not self._is_gentle else _PASSING
        whats = [each for each in What if each not in _HARSH or not self._is_gentle]
        self._relay.troubles.append(
            Trouble(
                chance.choice(whats),
                self._any_database().name,
                text=text,
                seconds=chance.choice((0.5, 2.5, 4.0, 9.0)),
                state=chance.choice(states),
            )
        )

    def _hold_lock(self) -> None:
        self._count("lock held")
        database, locked = self._any_database(), ExitStack()

        def begin() -> None:
            if not database.is_locked:
                locked.enter_context(database.locked())

        def end() -> None:
            locked.close()
            self._relay.look_at_locks(database)

        self._for_a_time(begin, end)

    def _let_nobody_in(self) -> None:
        self._count("too many connections")
        database = self._any_database()

        def begin() -> None:
            database.change("connection limit 0")
            self._relay.cut(database.name)

        self._for_a_time(begin, partial(database.change, "connection limit -1"))

    def _take_no_writes(self) -> None:
        self._count("read-only")
        database = self._any_database()

        def begin() -> None:
            database.change("set default_transaction_read_only = on")
            self._relay.troubles.append(Trouble(What.READ_ONLY, database.name, text=COMMIT))

        self._for_a_time(begin, partial(database.change, "reset default_transaction_read_only"))

    def _slow_down(self) -> None:
        self._count("slow database")
        slowness = self._chance.choice((30, 300, 2_000))

        def be(slowness: float) -> None:
            self._relay.slowness = slowness

        self._for_a_time(partial(be, slowness), partial(be, 1.0))

    def _spoil_weather(self) -> None:
        self._count("bad network")
        weather = Weather(
            lost=self._chance.choice((0.02, 0.2, 1.0)), slowness=self._chance.choice((1, 20, 200))
        )

        def be(weather: Weather) -> None:
            self._network.weather = weather

        self._for_a_time(partial(be, weather), partial(be, Weather()))

    # The end.

    async def _drain(self) -> None:
        """Let everything come to its end, and take out all that is left."""
        self._is_peace = True
        self._relay.troubles.clear()
        await asyncio.sleep(_SETTLES_S)
        self._network.weather = Weather(lost=0.0)
        self._relay.troubles.clear()
        await asyncio.sleep(_SETTLES_S)
        self._look_after_members()
        if self._is_gentle and self.faults["boot"] > 1:
            self.surprises.append("a leadership has ended, and nothing was in the way")
        if not self._leads():
            self.surprises.append("nobody leads, and nothing is in the way")
            return
        self.history.settled_from = self.history.length
        await self._come_to_an_end()
        (lead,) = self._leads()
        self.surprises += [
            problem for queue in lead.broker.catalog for problem in problems_of(queue)
        ]
        await self._take_everything_out()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for member in list(self._members.values()):
            await asyncio.wait((member.run(member.stop()),))
            self._relay.leave(member)
        # What failed and was heard by nobody is told now, and not whenever there is time.
        gc.collect()

    def _note_surprise(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.surprises.append(f"{context['message']}: {error!r} {context.get('future')}")


def _process() -> Any:  # noqa: ANN401 - A member, or there is a mistake.
    return OWNER.get()
