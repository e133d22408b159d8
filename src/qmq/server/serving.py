"""A broker and what stands on it: there is one for as long as q runs, or one for each term."""

import asyncio
import gc
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from qmq.access.granted import EVERYTHING, Rights
from qmq.clock import SystemClock
from qmq.engine.broker import Broker
from qmq.engine.shards import Shards
from qmq.engine.waiting import SteadyTimer
from qmq.errors import QError, Unavailable
from qmq.ids import RandomIds
from qmq.limits import GARBAGE_OBJECTS, REQUEST_OVERHEAD_BYTES_MAX
from qmq.model.catalog import Catalog
from qmq.model.footprint import Footprint
from qmq.model.redrive import Redrive
from qmq.observe.calls import log_calls
from qmq.observe.certificates import Expiries
from qmq.observe.engine import EngineCollector
from qmq.observe.footprint import FootprintCollector
from qmq.observe.metrics import CallCollector
from qmq.observe.queues import QueueCollector
from qmq.observe.schedules import ScheduleCollector
from qmq.observe.traces import Traces
from qmq.observe.warnings import WarningCollector
from qmq.server.access import Access
from qmq.server.config import Config
from qmq.server.guarded import Make, guard_of, guarded_paths, noted_paths
from qmq.server.overseer import Overseer, Part
from qmq.store.base import Held, QueueStore
from qmq.transport.api import api_methods
from qmq.transport.grpc import GrpcApp
from qmq.transport.guarding import GuardedApp
from qmq.transport.health import HealthService
from qmq.transport.in_hand import Bounds
from qmq.transport.methods import Methods, joined
from qmq.transport.pages import answer_without_call
from qmq.transport.reflection import ReflectionService
from qmq.values import Store

_log = logging.getLogger(__name__)

#: The services of q, as health and reflection name them.
SERVICES: Final = ("proto.Q", "grpc.health.v1.Health")

#: The name under which a cluster's health tells whether this q leads, for load balancers that
#: prefer that.
LEADER_SERVICE: Final = "qmq.leader"


@dataclass(slots=True, kw_only=True)
class Process:
    """What exists once in a process, whatever it serves."""

    #: What holds now: some of it may change meanwhile.
    config: Config
    health: HealthService
    registry: CollectorRegistry
    calls: CallCollector
    #: None: nothing is traced.
    traces: Traces | None = None
    #: Who there is; None where nobody is asked who calls.
    access: Access | None = None
    #: When it was started, in nanoseconds since the Unix epoch.
    started_ns: int = field(default_factory=time.time_ns)
    #: Tells when the certificates in use expire.
    expiries: Expiries = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Stores, and the contents of the one that keeps something."""

    stores: Mapping[Store, QueueStore]
    footprint: Footprint
    #: None: nothing is kept.
    held: Held | None = None
    #: The databases of a cluster.
    shards: Shards | None = None


class Serving:
    """Serves what is in some stores. To be made in the event loop that serves."""

    def __init__(
        self, process: Process, contents: Contents, timer: SteadyTimer, part: Part | None = None
    ) -> None:
        """Put everything together; nothing happens by itself before `start`.

        Args:
            process: what there is already.
            contents: the stores, which are this one's from now on.
            timer: the clock by which moments in the stores are told.
            part: what tells how the stores do; None if they keep nothing.
        """
        config = process.config
        self._registry = process.registry
        broker = self.broker = Broker(
            contents.stores,
            clock=SystemClock(),
            timer=timer,
            new_id=RandomIds(),
            held=contents.held,
            queues_max=config.queues_max,
            message_bytes_max=config.message_bytes_max,
            footprint=contents.footprint,
            shards=contents.shards,
        )
        self._process = process
        self._footprint = contents.footprint
        self._overseer = Overseer(
            process,
            broker.overseeing,
            part,
            access=process.access.figures if process.access else None,
        )
        self.app = app_of(process, broker.catalog, self._made)
        self._collectors: list[Collector] = []
        self.watch(QueueCollector(broker.catalog, timer))
        self.watch(FootprintCollector(contents.footprint))
        self.watch(ScheduleCollector(broker.catalog, broker.scheduling))
        self.watch(EngineCollector(broker))
        self.watch(WarningCollector(lambda: self._overseer.warnings))
        #: What ends calls that would not end.
        self._ending: asyncio.Future[None] | None = None

    def watch(self, collector: Collector) -> None:
        """Show something in the metrics, for as long as this serves."""
        self._registry.register(collector)
        self._collectors.append(collector)

    def take_over(self) -> None:
        """Do from now on as the configuration says that the process has now."""
        config = self._process.config
        self.broker.catalog.queues_max = config.queues_max
        self._footprint.limit_to(config.memory_max)
        if isinstance(self.app, GuardedApp):
            self.app.take_over(Methods(), bounds_of(config))
            self.app.guard.offer_anew()
        else:
            self.app.take_over(self._made(EVERYTHING), bounds_of(config))

    def _made(self, rights: Rights) -> Methods:
        """Make the methods that callers of some rights are served."""
        process = self._process
        unary, waiting, streams = api_methods(
            self.broker, rights, process.access, self._overseer.condition
        )
        unary, waiting = process.calls.watch(unary), process.calls.watch(waiting)
        if process.config.debug:
            unary, waiting = log_calls(unary), log_calls(waiting)
        if traces := process.traces:
            unary = traces.watch(unary, self._name_of)
            waiting = traces.watch(waiting, self._name_of)
            streams = traces.watch_streams(streams)
        return Methods(unary, waiting, streams)

    def _name_of(self, queue_id: str) -> str:
        """Return the name of a queue; empty if it has none, or is not there."""
        with suppress(QError):
            return self.broker.catalog.find(queue_id).info.name
        return ""

    def start(self) -> None:
        """Let time pass."""
        self.broker.start()
        self._overseer.start()
        self._ending = ending(self.app)

    def let_go(self, error: Unavailable | None = None) -> None:
        """End streams, and calls that wait for messages; those that begin after that as well.

        Args:
            error: what they are told; None means that q is shutting down.
        """
        self.broker.stop_waiting((lambda: error) if error else None)
        self.app.end_streams(error or self.broker.ending())

    async def close(self) -> None:
        """Close the stores when what is under way is durable."""
        if self._ending:
            self._ending.cancel()
        await self._overseer.close()
        for collector in self._collectors:
            self._registry.unregister(collector)
        await self.broker.close()


def ending(app: GrpcApp) -> asyncio.Future[None]:
    """Begin to end calls that would not end, until what is returned is cancelled."""
    return asyncio.ensure_future(app.end_idle_calls())


def app_of(
    process: Process,
    catalog: Catalog,
    make: Make,
) -> GrpcApp:
    """Make an application of the service Q, and of what each q serves beside it.

    Args:
        process: what there is already.
        catalog: the queues that there are.
        make: makes the methods that callers of some rights are served.
    """
    config, health = process.config, process.health
    reflection = ReflectionService(SERVICES).stream_methods()
    request_bytes_max = config.message_bytes_max + REQUEST_OVERHEAD_BYTES_MAX
    if process.access:
        return GuardedApp(
            health.methods(),
            guard=guard_of(process.access, catalog, make, reflection),
            guarded=guarded_paths(reflection),
            noted=noted_paths(reflection),
            request_bytes_max=request_bytes_max,
            fallback=answer_without_call,
            bounds=bounds_of(config),
        )
    parts = (make(EVERYTHING), health.methods(), Methods(streams=reflection))
    return GrpcApp(
        joined(parts),
        request_bytes_max=request_bytes_max,
        fallback=answer_without_call,
        bounds=bounds_of(config),
    )


def bounds_of(config: Config) -> Bounds:
    """Return how much there may be in hand for clients."""
    return Bounds(
        calls_max=config.calls_max,
        transfer_bytes_max=config.transfer_bytes_max,
        transfer_timeout_s=config.transfer_timeout,
    )


@contextmanager
def undisturbed_by_gc() -> Iterator[None]:
    """Let Python's garbage collector leave alone what is made now, and look less often after that.

    Nearly all of it stays: modules, and what was found in a store. To go through a million leased
    messages again and again would take longer than to load them. Calls leave no garbage behind,
    but those under way are so many objects that it would look at them again and again, just
    when there are many, and everything waits for it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])
        gc.enable()


def log_progress(read: int, total: int) -> None:
    """Say in the log how far the start is."""
    _log.info("reading messages", extra={"read": read, "of_about": total})


def log_redrive(redrive: Redrive) -> None:
    """Say in the log that a redrive has started, goes on after a restart, or has ended."""
    fields = {"redrive": redrive.id, "queue": redrive.request.queue_id, "moved": redrive.moved}
    if redrive.is_running:
        _log.info("redrive runs", extra={**fields, "total": redrive.total})
    else:
        ended = {"outcome": redrive.state.name, "failed_again": redrive.failed_again}
        _log.info("redrive ended", extra={**fields, **ended, "reason": redrive.message})
