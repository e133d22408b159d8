"""The life of a q in a cluster: it follows, is elected, reads what there is, and leads.

While it follows, Envoy sends calls on to the leader, see `transport.envoy.forwarding`. When it
leads, everything is as in a q that is alone: a broker and an application on top of it, made
for this one term. When the term ends, they are dropped with all that they know, since who
leads next may change anything; MEMORY queues end with them.
"""

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from random import Random
from typing import TYPE_CHECKING, Self

from qmq.access.granted import Rights
from qmq.clock import SystemClock, passed_ns
from qmq.condition import ServerCondition, ServerWarning
from qmq.engine.waiting import SteadyTimer
from qmq.errors import DatabaseAway, NotLeading, QError, Unavailable
from qmq.model.catalog import Catalog
from qmq.model.footprint import Footprint
from qmq.observe.cluster import DatabaseCollector, Role, RoleCollector
from qmq.server.forwarding import Forwarding, found
from qmq.server.overseen_cluster import Leading, OverseenCluster
from qmq.server.readiness import Look
from qmq.server.serving import (
    LEADER_SERVICE,
    SERVICES,
    Contents,
    Process,
    Serving,
    app_of,
    bounds_of,
    ending,
    log_progress,
    log_redrive,
    undisturbed_by_gc,
)
from qmq.server.shards import SHARD_SERVICE, Opening, TermShards
from qmq.store.local.memory import MemoryStore
from qmq.store.postgres.connecting import Connector
from qmq.store.postgres.dsn import FIRST
from qmq.store.postgres.leadership import (
    LeaderTerm,
    Setting,
    Sight,
    Watch,
    campaign,
)
from qmq.store.postgres.migrating import make_ready
from qmq.store.postgres.shards import check_first, enlisted, make_further_ready
from qmq.transport.following import Following
from qmq.transport.grpc import GrpcApp
from qmq.transport.methods import Methods
from qmq.transport.server_service import ServerService
from qmq.values import ServerRole, Store, WarningLevel

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.protocol.record import Record

_log = logging.getLogger(__name__)


class Cluster:
    """One q of a cluster, from when it starts until it is shut down."""

    def __init__(  # noqa: PLR0913 - What it is made of, each by name.
        self,
        process: Process,
        setting: Setting,
        further: Mapping[str, Setting],
        forwarding: Forwarding,
        *,
        connectors: Mapping[str, Connector],
        serve: Callable[[GrpcApp], None],
    ) -> None:
        """Make one that does nothing yet. To be made in the event loop that serves.

        Args:
            process: what there is already.
            setting: the first database, and how this q takes part in electing a leader.
            further: how the others are reached, by their names.
            forwarding: tells Envoy where calls go.
            connectors: what connects to each database, by its name.
            serve: has an application serve the calls that reach this q, from now on.
        """
        self._process = process
        self._setting = setting
        self._further = further
        self._forwarding = forwarding
        self._connectors = connectors
        self._serve = serve
        self._following = Following()
        # It has no queues, and does nothing for anybody.
        self._idle = app_of(process, Catalog(), self._idle_methods)
        self._watch = Watch(setting)
        #: The present leadership, and what serves in it once everything was read.
        self._term: LeaderTerm | None = None
        self._serving: Serving | None = None
        self._shards: TermShards | None = None
        self._is_led = False
        #: Since when nobody leads, as far as this q knows.
        self._unled_ns = time.time_ns()
        #: Which databases answer, as far as this q needs to know.
        self._there: Mapping[str, bool] = dict.fromkeys((FIRST, *further), False)
        #: How things are, in a sentence.
        self._how = ""
        #: Why changes are refused, since there are too few standbys; empty if there are enough.
        self._lacks_standbys = ""
        #: For how many seconds no database has answered the q that leads.
        self._away_s = 0.0
        #: Where calls are sent on to; empty if they are not.
        self._leader = ""
        self._is_shutting_down = False
        self._epoch = 0
        self._takeovers = 0
        self._takeover_s = 0.0
        self._tasks: list[asyncio.Future[None]] = []

    @classmethod
    def of(
        cls, process: Process, forwarding: Forwarding, *, serve: Callable[[GrpcApp], None]
    ) -> Self:
        """Make one as the configuration says; the arguments are as above."""
        config = process.config
        assert config.postgres
        databases = config.postgres

        async def make_first_ready(connection: "Connection[Record]") -> None:
            await make_ready(connection)
            await check_first(connection, databases.named)

        connectors = {
            name: Connector(dsn, takes_unsynced=config.postgres_unsynced)
            for name, dsn in {FIRST: databases.first, **databases.further}.items()
        }
        setting = Setting(
            connect=connectors[FIRST],
            address=str(config.advertised),
            clock=SystemClock(),
            passed_ns=passed_ns,
            random=Random(),  # noqa: S311 - It spreads load, and protects nothing.
            make_ready=make_first_ready,
            replicas_min=config.require_replicas,
            version=version("qmq"),
            on_notice=lambda notice: _log.warning("cluster", extra={"error": notice}),
        )
        further = {
            name: setting._replace(
                connect=connectors[name],
                make_ready=make_ready,
                on_notice=partial(_log_notice, name),
            )
            for name in databases.further
        }
        return cls(process, setting, further, forwarding, connectors=connectors, serve=serve)

    def start(self) -> None:
        """Begin to follow."""
        self._process.registry.register(RoleCollector(self._role))
        self._serve(self._idle)
        self._tell("this q has not found out yet who leads the cluster", is_led=False)
        self._tasks = [ending(self._idle), asyncio.ensure_future(self._live_or_exit())]

    def take_over(self) -> None:
        """Do from now on as the configuration says that the process has now."""
        self._idle.take_over(Methods(), bounds_of(self._process.config))
        if self._serving:
            self._serving.take_over()

    def looks(self) -> dict[str, Look]:
        """Return a look for each part of the cluster that can keep this q from serving."""
        return {
            "leader": lambda: "" if self._is_led else self._how,
            "database": lambda: (
                f"the cluster's database has not answered for {self._away_s:.1f} seconds"
                if self._away_s
                else ""
            ),
            "standbys": lambda: self._lacks_standbys,
        }

    def let_go(self) -> None:
        """End streams, and calls that wait for messages, since q is shutting down."""
        self._is_shutting_down = True
        if self._serving:
            self._serving.let_go()

    async def close(self) -> None:
        """Make durable what is under way, and let another q take over at once."""
        self._is_shutting_down = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._serving and self._shards:
            await self._close(self._serving, self._shards)
        if self._term:
            await self._term.release()
        await self._watch.close()

    def _idle_methods(self, rights: Rights) -> Methods:
        """Make the methods of a q that does not lead."""
        tell = ServerService(self._condition, rights).get_server
        return self._following.methods(tell)

    async def _condition(self) -> ServerCondition:
        """Tell what this q knows while nobody leads: why that is."""
        nobody = ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="NO_LEADER",
            message=self._how,
            remedy="look at PostgreSQL if it is away; else a q leads within seconds, by itself",
            since_ns=self._unled_ns,
        )
        return ServerCondition(
            version=self._setting.version,
            started_ns=self._process.started_ns,
            role=ServerRole.FOLLOWER,
            address=self._setting.address,
            warnings=(nobody,),
        )

    async def _live_or_exit(self) -> None:
        """Follow and lead, for as long as that is possible at all."""
        try:
            await self._live()
        except Exception as error:  # noqa: BLE001 - Whatever it is, this q is of no use any more.
            _log.critical(
                "cannot be part of the cluster",
                extra={"error": str(error)},
                exc_info=not isinstance(error, QError),
            )
            os._exit(1)

    async def _live(self) -> None:
        """Follow, and lead whenever this q has won the leadership.

        Raises:
            ConfigError: a database is none that this q can work with.
        """
        await asyncio.gather(*(self._check(name) for name in self._further))
        while True:
            sight = await self._watch.next()
            if not sight.is_vacant or self._is_shutting_down:
                await self._follow(sight)
                continue
            try:
                term = self._term = await campaign(self._setting, sight)
            except Unavailable as error:
                self._tell(error.message, is_led=False)
                continue
            term.start()
            try:
                await self._lead(term)
            except Unavailable as error:
                _log.warning("leads no more", extra={"error": error.message})
                self._tell(error.message, is_led=False)
            self._term = None
            await term.release()

    async def _check(self, name: str) -> None:
        """Refuse to start with a database that is another one; that it is away is no reason.

        Raises:
            ConfigError: it is another one, or of another version.
        """
        with suppress(DatabaseAway):
            await make_further_ready(name, self._further[name])

    async def _lead(self, term: LeaderTerm) -> None:
        """Read everything, and serve until the term has ended.

        Raises:
            Unavailable: it has; this says why.
        """
        start = time.monotonic()
        self._epoch = term.epoch
        ended: asyncio.Future[Unavailable] = asyncio.get_running_loop().create_future()

        def end(error: Unavailable) -> None:
            if not ended.done():
                ended.set_result(error)

        term.ended.add_done_callback(lambda done: end(done.result()))
        self._tell("this q has been elected, and reads what the cluster holds", is_led=False)
        footprint = Footprint(self._process.config.memory_max)
        opening = Opening(
            footprint, self._process.config.cache_bytes, end, on_progress=self._tell_progress
        )
        with undisturbed_by_gc():
            shards = await self._opened(term, opening)
            serving = self._made(shards, footprint, term)
        if ended.done():
            await self._close(serving, shards)
            raise ended.result()
        serving.start()
        self._serving = serving
        self._serve(serving.app)
        self._forwarding.lead()
        self._tell("this q leads the cluster", is_led=True)
        self._note_takeover(time.monotonic() - start, serving)
        self._shards = shards
        shards.serve(serving.broker, self._tell_there)
        error = await asyncio.shield(ended)
        await self._drop(serving, shards, error)
        raise error

    async def _opened(self, term: LeaderTerm, opening: Opening) -> TermShards:
        """Read all databases that answer.

        Raises:
            Unavailable: the first one does not, or another q leads.
        """
        registry = await enlisted(self._setting.connect, term, self._further)
        first = await opening.store(self._setting, term, shards=len(registry.numbers))
        shards = TermShards(term, first, self._further, registry, opening)
        await shards.open()
        return shards

    def _made(self, shards: TermShards, footprint: Footprint, term: LeaderTerm) -> Serving:
        """Put together what serves in this term."""
        first = shards.shards.stores[0]
        contents = Contents(
            stores={Store.MEMORY: MemoryStore(footprint), Store.CLUSTER: first},
            footprint=footprint,
            held=shards,
            shards=shards.shards,
        )
        overseen = OverseenCluster(Leading(term, self._setting, shards, self._connectors))
        serving = Serving(self._process, contents, SteadyTimer(term.clock_offset_ns), overseen)
        serving.watch(DatabaseCollector(shards.databases))
        serving.broker.redriving.on_change = log_redrive
        return serving

    async def _close(self, serving: Serving, shards: TermShards) -> None:
        """Make durable what is under way, and let go of all databases but the first."""
        await shards.stop()
        await serving.close()
        await shards.release()

    async def _drop(self, serving: Serving, shards: TermShards, error: Unavailable) -> None:
        """End a term: everyone gets an answer, and nothing that was known is kept."""
        self._serving = self._shards = None
        self._away_s = 0.0
        self._serve(self._idle)
        self._tell(error.message, is_led=False)
        serving.let_go(NotLeading(error.message))
        await self._close(serving, shards)
        # What was read had been kept from the garbage collector, being meant to stay.
        gc.unfreeze()
        gc.collect()

    def _tell_there(self, there: Mapping[str, bool]) -> None:
        """Say whether this q serves, by which databases answer and have enough standbys."""
        if self._shards:
            self._there = there
            self._away_s, self._lacks_standbys = self._shards.trouble()
            self._say_health()

    async def _follow(self, sight: Sight) -> None:
        """Send calls on to whoever leads, if that is another q."""
        leader = "" if sight.is_vacant else sight.address
        self._lacks_standbys = sight.lacks_standbys
        if sight.away:
            _log.warning("the database is away", extra={"error": sight.away.message})
        if leader in {"", self._setting.address}:
            why = sight.away.message if sight.away else "no q leads the cluster at the moment"
            self._tell(why, is_led=False)
        elif leader != self._leader:
            try:
                # To look up a name may take its time.
                addresses = await asyncio.to_thread(found, leader)
            except OSError as error:
                self._tell(f"the leader's address {leader}: {error}", is_led=False)
                return
            self._forwarding.to(addresses, leader.rpartition(":")[0])
            self._tell(f"the q at {leader} leads the cluster", is_led=True)
            self._leader = leader
            _log.info("follows", extra={"leader": leader})
        self._say_health()

    def _tell_progress(self, read: int, total: int) -> None:
        log_progress(read, total)
        self._tell(
            f"this q has been elected, and has read {read} of about {total} messages", is_led=False
        )

    def _tell(self, how: str, *, is_led: bool) -> None:
        """Say to callers and to health how things are."""
        self._leader = ""
        if self._is_led and not is_led:
            self._unled_ns = time.time_ns()
        if not is_led:
            self._forwarding.to_itself(self._process.config.listen)
        self._is_led = is_led
        self._how = how
        self._following.tell(how, is_led=is_led)
        self._say_health()

    def _say_health(self) -> None:
        """Say whether calls are of use here, and whether this q carries them out itself."""
        is_serving = self._is_led and not (self._away_s or self._lacks_standbys)
        health = self._process.health
        for service in ("", *SERVICES):
            health.set_serving(is_serving=is_serving, service=service)
        leads = is_serving and self._serving is not None
        health.set_serving(is_serving=leads, service=LEADER_SERVICE)
        if self._further:
            for name, is_there in self._there.items():
                health.set_serving(is_serving=leads and is_there, service=SHARD_SERVICE + name)

    def _note_takeover(self, took_s: float, serving: Serving) -> None:
        self._takeovers += 1
        self._takeover_s += took_s
        catalog = serving.broker.catalog
        fields = {"epoch": self._epoch, "seconds": round(took_s, 3), "queues": len(catalog)}
        messages = sum(queue.message_count for queue in catalog)
        _log.info("leading", extra={**fields, "messages": messages})

    def _role(self) -> Role:
        return Role(
            is_leader=self._serving is not None,
            is_led=self._is_led,
            epoch=self._epoch,
            takeovers=self._takeovers,
            takeover_s=self._takeover_s,
        )


def _log_notice(shard: str, notice: str) -> None:
    _log.warning("cluster", extra={"error": f"shard {shard}: {notice}"})
