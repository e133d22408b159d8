"""The composition root: what runs inside Envoy.

Envoy imports this module and serves two ASGI applications of it, each in an event loop
and thread of its own: `api` on the API port, and `ops` on the metrics port.
"""

import asyncio
import gc
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qmq.clock import SystemClock
from qmq.engine.broker import Broker
from qmq.engine.clock_offset import ClockOffset
from qmq.engine.waiting import SteadyTimer
from qmq.errors import QError, ShuttingDown
from qmq.ids import RandomIds
from qmq.limits import REQUEST_OVERHEAD_BYTES_MAX
from qmq.model.footprint import Footprint
from qmq.model.redrive import Redrive
from qmq.observe.backups import BackupCollector
from qmq.observe.calls import log_calls
from qmq.observe.disk import DiskCollector
from qmq.observe.footprint import FootprintCollector
from qmq.observe.logs import configure_logs
from qmq.observe.metrics import (
    CallCollector,
    QueueCollector,
    SelectionCollector,
    process_registry,
    render,
)
from qmq.observe.schedules import ScheduleCollector
from qmq.server.admin import Admin, AdminError
from qmq.server.backups import Backups
from qmq.server.config import Config
from qmq.server.launch import RUNTIME_DIRECTORY_VARIABLE, admin_socket
from qmq.server.ops import ops_app
from qmq.server.shutdown import Shutdown, request_shutdown
from qmq.server.start import CONFIG_VARIABLE
from qmq.store.base import QueueStore
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.transport.api import Api
from qmq.transport.asgi import Receive, Scope, Send
from qmq.transport.envoy.bootstrap import API, OPS
from qmq.transport.grpc import GrpcApp
from qmq.transport.health import HealthService
from qmq.transport.in_hand import Bounds
from qmq.transport.reflection import ReflectionService
from qmq.transport.rest import answer_unmatched
from qmq.values import Store

_SERVICES: Final = ("proto.Q", "grpc.health.v1.Health")

_log = logging.getLogger(__name__)


class Server:
    """One q, from its configuration to its ASGI applications."""

    def __init__(self, config: Config, runtime: Path) -> None:
        self._config = config
        self._runtime = runtime
        self._admin = Admin(admin_socket(runtime))
        self._registry = process_registry()
        self._calls = CallCollector()
        self._registry.register(self._calls)
        self._broker: Broker | None = None
        self._clock_offset: ClockOffset | None = None
        self._backups: Backups | None = None
        self._health: HealthService | None = None
        self._serve: GrpcApp | None = None
        #: What ends calls that would not end.
        self._ending: asyncio.Future[None] | None = None

    async def api(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the API port: gRPC, and what Envoy has made gRPC of."""
        if self._serve is not None and scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def render_metrics(self) -> bytes:
        """Return all metrics, Envoy's included, in the Prometheus text format."""
        own = render(self._registry)
        try:
            return own + self._admin.metrics()
        except AdminError as error:
            _log.warning("metrics without those of Envoy", extra={"error": str(error)})
            return own

    async def _live(self, receive: Receive, send: Send) -> None:
        """Follow the lifespan protocol."""
        await receive()
        try:
            with _undisturbed_by_gc():
                self._open()
        except Exception as error:  # noqa: BLE001 - Whatever it is, q cannot serve.
            # Rare, since what can be wrong was looked for before Envoy started.
            _log.critical(
                "cannot start",
                extra={"error": str(error)},
                exc_info=not isinstance(error, QError),
            )
            os._exit(1)
        if self._backups:
            await self._backups.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._backups:
            await self._backups.close()
        if self._ending:
            self._ending.cancel()
        if self._clock_offset:
            await self._clock_offset.close()
        if self._broker:
            await self._broker.close()
        shutil.rmtree(self._runtime, ignore_errors=True)
        _log.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    def _open(self) -> None:
        """Open the stores and put everything together, in the loop that will serve."""
        config = self._config
        clock = SystemClock()
        health = self._health = HealthService(_SERVICES)
        footprint = Footprint(config.memory_max)
        stores: dict[Store, QueueStore] = {Store.MEMORY: MemoryStore(footprint)}
        disk = self._open_disk(config.data, footprint) if config.data else None
        if disk:
            stores[Store.DISK] = disk
        timer = SteadyTimer(disk.clock_offset_ns if disk else 0)
        if disk:
            self._clock_offset = ClockOffset(
                clock, timer, disk.clock_offset_ns, disk.keep_clock_offset
            )
            self._clock_offset.start()
        broker = self._broker = Broker(
            stores,
            clock=clock,
            timer=timer,
            new_id=RandomIds(),
            queues=disk.queues if disk else (),
            last_queue_number=disk.last_queue_number if disk else 0,
            redrives=disk.redrives if disk else (),
            schedules=disk.schedules if disk else (),
            queues_max=config.queues_max,
            message_bytes_max=config.message_bytes_max,
            footprint=footprint,
        )
        self._registry.register(QueueCollector(broker.catalog, timer))
        self._registry.register(SelectionCollector(broker.selecting.__len__))
        self._registry.register(FootprintCollector(footprint))
        if disk and config.data:
            self._watch(disk, broker)
            self._offer_backups(disk, config.data)
        self._registry.register(ScheduleCollector(broker.catalog, broker.scheduling))
        broker.redriving.on_change = _log_redrive
        broker.start()
        self._serve = self._app(broker, health)
        self._ending = asyncio.ensure_future(self._serve.end_idle_calls())
        self._await_signals(self._serve, health, broker)
        _log.info(
            "serving",
            extra={
                "listen": str(config.listen),
                "metrics": str(config.metrics),
                "data": str(config.data or "none"),
                "queues": len(broker.catalog),
                "pid": os.getpid(),
            },
        )

    def _open_disk(self, data: Path, footprint: Footprint) -> DiskStore:
        return DiskStore.open(
            data,
            cache_bytes_max=self._config.cache_bytes,
            on_failure=self._on_store_failure,
            on_damage=_log_damage,
            on_progress=_log_progress,
            footprint=footprint,
        )

    def _offer_backups(self, disk: DiskStore, data: Path) -> None:
        backups = self._backups = Backups(
            data, hold_file=disk.hold_file, let_go_of_file=disk.let_go_of_file
        )
        self._registry.register(BackupCollector(lambda: (backups.count, backups.last_ns)))

    def _app(self, broker: Broker, health: HealthService) -> GrpcApp:
        """Put the services together on top of a broker."""
        service = Api(broker)
        unary = self._calls.watch(service.methods)
        waiting = self._calls.watch(service.waiting_methods)
        if self._config.debug:
            unary, waiting = log_calls(unary), log_calls(waiting)
        return GrpcApp(
            {**unary, **health.unary_methods()},
            waiting,
            {
                **service.stream_methods,
                **health.stream_methods(),
                **ReflectionService(_SERVICES).stream_methods(),
            },
            request_bytes_max=self._config.message_bytes_max + REQUEST_OVERHEAD_BYTES_MAX,
            fallback=answer_unmatched,
            bounds=_bounds(self._config),
        )

    def _await_signals(self, serve: GrpcApp, health: HealthService, broker: Broker) -> None:
        loop = asyncio.get_running_loop()

        def end_what_would_not_end() -> None:
            health.stop_serving()
            broker.stop_waiting()
            serve.end_streams(ShuttingDown("q is shutting down"))

        Shutdown(
            admin=self._admin,
            listeners=(API, OPS),
            in_flight=lambda: serve.active,
            drain=lambda: _call_soon(loop, end_what_would_not_end),
            close=lambda: setattr(serve, "is_closed", True),
            drain_timeout_s=self._config.drain_timeout,
        ).start()

    def _on_store_failure(self, reason: str) -> None:
        _log.critical("store failed", extra={"error": reason})
        if self._health:
            self._health.set_serving(is_serving=False)

    def _on_store_recovery(self) -> None:
        _log.warning("store goes on")
        if self._health:
            self._health.set_serving(is_serving=True)

    def _watch(self, disk: DiskStore, broker: Broker) -> None:
        """Tell how a disk does, and go on with it after it was full."""

        def take_over() -> None:
            broker.replace(Store.DISK, disk.queues, disk.redrives, disk.schedules)
            _log.warning("store was read anew; nothing can be changed until the disk has room")

        self._registry.register(DiskCollector(disk.figures))
        disk.on_reload = take_over
        disk.on_recovery = self._on_store_recovery


def _bounds(config: Config) -> Bounds:
    """Return how much there may be in hand for clients."""
    return Bounds(
        calls_max=config.calls_max,
        transfer_bytes_max=config.transfer_bytes_max,
        transfer_timeout_s=config.transfer_timeout,
    )


@contextmanager
def _undisturbed_by_gc() -> Iterator[None]:
    """Let Python's garbage collector leave alone what is made now, as long as q runs.

    Nearly all of it stays: modules, and what was found on disk. To go through a million leased
    messages again and again would take longer than to load them.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _log_progress(read: int, total: int) -> None:
    """Say in the log how far the start is."""
    _log.info("reading messages", extra={"read": read, "of_about": total})


def _log_damage(what: str) -> None:
    """Say in the log that messages are damaged on disk."""
    _log.error("messages are damaged", extra={"error": what})


def _log_redrive(redrive: Redrive) -> None:
    """Say in the log that a redrive has started, goes on after a restart, or has ended."""
    fields = {"redrive": redrive.id, "queue": redrive.request.queue_id, "moved": redrive.moved}
    if redrive.is_running:
        _log.info("redrive runs", extra={**fields, "total": redrive.total})
    else:
        ended = {"outcome": redrive.state.name, "failed_again": redrive.failed_again}
        _log.info("redrive ended", extra={**fields, **ended, "reason": redrive.message})


def _call_soon(loop: asyncio.AbstractEventLoop, do: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(do)


_config = Config.from_json(os.environ[CONFIG_VARIABLE])
configure_logs(debug=_config.debug)
_server = Server(_config, Path(os.environ[RUNTIME_DIRECTORY_VARIABLE]))

api = _server.api
ops = ops_app(
    render_metrics=_server.render_metrics,
    quit_process=request_shutdown,
    quit_from_any=_config.quit_from == "any",
)
