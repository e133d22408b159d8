"""A broker and what stands on it: there is one for as long as q runs, or one for each term."""

import asyncio
import gc
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from qmq.clock import SystemClock
from qmq.engine.broker import Broker
from qmq.engine.waiting import SteadyTimer
from qmq.errors import Unavailable
from qmq.ids import RandomIds
from qmq.limits import REQUEST_OVERHEAD_BYTES_MAX
from qmq.model.footprint import Footprint
from qmq.model.queue import Queue
from qmq.model.redrive import Redrive
from qmq.observe.calls import log_calls
from qmq.observe.footprint import FootprintCollector
from qmq.observe.metrics import CallCollector, QueueCollector, SelectionCollector
from qmq.observe.schedules import ScheduleCollector
from qmq.server.config import Config
from qmq.store.base import QueueStore
from qmq.transport.api import Api
from qmq.transport.grpc import GrpcApp, UnaryMethod, WaitingMethod
from qmq.transport.health import HealthService
from qmq.transport.in_hand import Bounds
from qmq.transport.pages import answer_without_call
from qmq.transport.reflection import ReflectionService
from qmq.transport.streams import StreamMethod
from qmq.values import Store

_log = logging.getLogger(__name__)

#: The services of q, as health and reflection name them.
SERVICES: Final = ("proto.Q", "grpc.health.v1.Health")

#: The name under which a cluster's health tells whether this q leads, for load balancers that
#: prefer that.
LEADER_SERVICE: Final = "qmq.leader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What there is once in a process, whatever is served."""

    config: Config
    health: HealthService
    registry: CollectorRegistry
    calls: CallCollector


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Stores, and what is in the one of them that keeps something."""

    stores: Mapping[Store, QueueStore]
    footprint: Footprint
    queues: Iterable[Queue] = ()
    last_queue_number: int = 0
    redrives: Iterable[tuple[str, str]] = ()
    schedules: Iterable[tuple[str, str]] = ()


class Serving:
    """Serves what is in some stores. To be made in the event loop that serves."""

    def __init__(self, process: Process, contents: Contents, timer: SteadyTimer) -> None:
        """Put everything together; nothing happens by itself before `start`.

        Args:
            process: what there is already.
            contents: the stores, which are this one's from now on.
            timer: the clock by which moments in the stores are told.
        """
        config = process.config
        self._registry = process.registry
        broker = self.broker = Broker(
            contents.stores,
            clock=SystemClock(),
            timer=timer,
            new_id=RandomIds(),
            queues=contents.queues,
            last_queue_number=contents.last_queue_number,
            redrives=contents.redrives,
            schedules=contents.schedules,
            queues_max=config.queues_max,
            message_bytes_max=config.message_bytes_max,
            footprint=contents.footprint,
        )
        self.app = _served(process, Api(broker))
        self._collectors: list[Collector] = []
        self.watch(QueueCollector(broker.catalog, timer))
        self.watch(SelectionCollector(broker.selecting.__len__))
        self.watch(FootprintCollector(contents.footprint))
        self.watch(ScheduleCollector(broker.catalog, broker.scheduling))
        #: What ends calls that would not end.
        self._ending: asyncio.Future[None] | None = None

    def watch(self, collector: Collector) -> None:
        """Show something in the metrics, for as long as this serves."""
        self._registry.register(collector)
        self._collectors.append(collector)

    def start(self) -> None:
        """Let time pass."""
        self.broker.start()
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
        for collector in self._collectors:
            self._registry.unregister(collector)
        await self.broker.close()


def ending(app: GrpcApp) -> asyncio.Future[None]:
    """Begin to end calls that would not end, until what is returned is cancelled."""
    return asyncio.ensure_future(app.end_idle_calls())


def app_of(
    process: Process,
    unary: Mapping[str, UnaryMethod],
    waiting: Mapping[str, WaitingMethod],
    streams: Mapping[str, StreamMethod],
) -> GrpcApp:
    """Make an application of methods, by path, and of what each q serves beside them."""
    config = process.config
    return GrpcApp(
        {**unary, **process.health.unary_methods()},
        waiting,
        {
            **streams,
            **process.health.stream_methods(),
            **ReflectionService(SERVICES).stream_methods(),
        },
        request_bytes_max=config.message_bytes_max + REQUEST_OVERHEAD_BYTES_MAX,
        fallback=answer_without_call,
        bounds=Bounds(
            calls_max=config.calls_max,
            transfer_bytes_max=config.transfer_bytes_max,
            transfer_timeout_s=config.transfer_timeout,
        ),
    )


def _served(process: Process, service: Api) -> GrpcApp:
    unary = process.calls.watch(service.methods)
    waiting = process.calls.watch(service.waiting_methods)
    if process.config.debug:
        unary, waiting = log_calls(unary), log_calls(waiting)
    return app_of(process, unary, waiting, service.stream_methods)


@contextmanager
def undisturbed_by_gc() -> Iterator[None]:
    """Let Python's garbage collector leave alone what is made now, as long as q runs.

    Nearly all of it stays: modules, and what was found in a store. To go through a million leased
    messages again and again would take longer than to load them.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
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
