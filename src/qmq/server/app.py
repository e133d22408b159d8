"""The composition root: what runs inside Envoy.

Envoy imports this module and serves two ASGI applications of it, each in an event loop
and thread of its own: `api` on the API port, and `ops` on the metrics port.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qmq.access.rights import Right
from qmq.clock import SystemClock
from qmq.engine.broker import Broker
from qmq.engine.clock_offset import ClockOffset
from qmq.engine.waiting import SteadyTimer
from qmq.errors import QError
from qmq.model.footprint import Footprint
from qmq.observe.access import AccessCollector
from qmq.observe.activity import Activity, ActivityCollector
from qmq.observe.backups import BackupCollector
from qmq.observe.calls import identified
from qmq.observe.certificates import CertificateCollector
from qmq.observe.disk import DiskCollector
from qmq.observe.logs import configure_logs
from qmq.observe.metrics import CallCollector, process_registry, render
from qmq.observe.traces import Traces, provider_to
from qmq.server import exposure
from qmq.server.access import Access, audit_of
from qmq.server.admin import Admin, AdminError
from qmq.server.backups import Backups
from qmq.server.config import REMEDY, Config
from qmq.server.forwarding import Forwarding
from qmq.server.launch import CONFIG_VARIABLE, RUNTIME_DIRECTORY_VARIABLE, admin_socket
from qmq.server.ops import ops_app
from qmq.server.overseen_disk import OverseenDisk
from qmq.server.overseer import Part
from qmq.server.readiness import DiskLook, Probes
from qmq.server.reloading import ORIGIN_VARIABLE, Origin, Reloading
from qmq.server.serving import (
    LEADER_SERVICE,
    SERVICES,
    Contents,
    Process,
    Serving,
    log_progress,
    log_redrive,
    undisturbed_by_gc,
)
from qmq.server.shutdown import Shutdown, request_shutdown
from qmq.server.tls import Tls
from qmq.store.base import QueueStore
from qmq.store.local.disk import DiskStore
from qmq.store.local.memory import MemoryStore
from qmq.transport.asgi import App, Receive, Scope, Send
from qmq.transport.envoy.bootstrap import API, OPS
from qmq.transport.grpc import GrpcApp
from qmq.transport.health import HealthService
from qmq.transport.hosts import Hosts, called_by
from qmq.transport.status import code_of
from qmq.values import Store

if TYPE_CHECKING:
    from qmq.server.cluster import Cluster

_log = logging.getLogger(__name__)


class Server:
    """One q, from its configuration to its ASGI applications."""

    def __init__(self, config: Config, origin: Origin, runtime: Path) -> None:
        #: As q was started.
        self._config = config
        self._origin = origin
        self._runtime = runtime
        self._admin = Admin(admin_socket(runtime))
        services = (*SERVICES, *([LEADER_SERVICE] if config.postgres else []))
        self._process = Process(
            config=config,
            health=HealthService(services),
            registry=process_registry(),
            calls=CallCollector(lambda error: code_of(error).name),
            traces=_traces(config),
            access=_access_of(config),
        )
        self._watching: asyncio.Future[None] | None = None
        self._registry = self._process.registry
        self._registry.register(self._process.calls)
        self._registry.register(ActivityCollector(self._activity))
        if self._process.access:
            self._registry.register(AccessCollector(self._process.access.figures))
        self._loop: asyncio.AbstractEventLoop | None = None
        self.probes = Probes(lambda: self._loop)
        self._clock_offset: ClockOffset | None = None
        self._backups: Backups | None = None
        #: Of a q that is alone; one of a cluster has the other.
        self._serving: Serving | None = None
        self._cluster: Cluster | None = None
        #: What serves the API port, and the same with what is to be told of calls.
        self._app: GrpcApp | None = None
        self._serve: App | None = None

    async def api(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the API port: gRPC, and what Envoy has made gRPC of."""
        if self._serve is not None and scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    @property
    def check(self) -> Callable[[Scope, Right], object] | None:
        """What refuses callers of the metrics port; None where nobody is asked who calls."""
        return self._process.access.check_on_all if self._process.access else None

    def render_metrics(self) -> bytes:
        """Return all metrics, Envoy's included, in the Prometheus text format."""
        own = render(self._registry)
        try:
            return own + self._admin.metrics()
        except AdminError as error:
            _log.warning("metrics without those of Envoy", extra={"error": str(error)})
            return own

    def _activity(self) -> Activity:
        app, calls_max = self._app, self._process.config.calls_max
        if app is None:
            return Activity(0, calls_max, 0, {})
        return Activity(app.active, calls_max, app.open_streams, app.streams_ended)

    def hosts(self) -> Hosts | None:
        """Return the names by which the metrics port is called; None for any."""
        return _hosts_of(self._process.config)

    def may_any_quit(self) -> bool:
        """Tell whether callers on other machines may end q."""
        return self._process.config.quit_from == "any"

    async def _live(self, receive: Receive, send: Send) -> None:
        """Follow the lifespan protocol."""
        await receive()
        self._loop = asyncio.get_running_loop()
        try:
            if self._config.postgres:
                self._open_cluster()
            else:
                with undisturbed_by_gc():
                    self._open()
            self._watch_certificates()
            self._await_signals()
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
        if self._process.access:
            self._watching = asyncio.ensure_future(self._process.access.watch())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._close()
        shutil.rmtree(self._runtime, ignore_errors=True)
        _log.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    async def _close(self) -> None:
        """End what runs beside the calls, and close the stores."""
        if self._watching:
            self._watching.cancel()
        if self._backups:
            await self._backups.close()
        if self._clock_offset:
            await self._clock_offset.close()
        if self._cluster:
            await self._cluster.close()
        if self._serving:
            await self._serving.close()
        if self._process.traces:
            await asyncio.to_thread(self._process.traces.close)

    def _open(self) -> None:
        """Open the stores and put everything together, in the loop that will serve."""
        config = self._config
        footprint = Footprint(config.memory_max)
        stores: dict[Store, QueueStore] = {Store.MEMORY: MemoryStore(footprint)}
        disk = self._open_disk(config.data, footprint) if config.data else None
        timer = SteadyTimer(disk.clock_offset_ns if disk else 0)
        contents = Contents(stores=stores, footprint=footprint, held=disk)
        if disk:
            stores[Store.DISK] = disk
            self._clock_offset = ClockOffset(
                SystemClock(), timer, disk.clock_offset_ns, disk.keep_clock_offset
            )
            self._clock_offset.start()
        part: Part | None = None
        if disk and config.data:
            backups = self._offer_backups(disk, config.data)
            part = OverseenDisk(disk, config.data, lambda: backups.last_ns)
        serving = self._serving = Serving(self._process, contents, timer, part)
        if disk:
            self._watch(disk, serving.broker)
        serving.broker.redriving.on_change = log_redrive
        serving.start()
        self._serve_by(serving.app)
        self._log_start(str(config.data or "none"), queues=len(serving.broker.catalog))

    def _open_cluster(self) -> None:
        """Begin to follow or lead a cluster, in the loop that will serve."""
        # Imported late: it takes memory and time, and a q that is alone needs none of it.
        from qmq.server.cluster import Cluster  # noqa: PLC0415

        forwarding = Forwarding(self._runtime, self._config.advertised.host)
        self._cluster = Cluster.of(self._process, forwarding, serve=self._serve_by)
        self._cluster.start()
        for part, look in self._cluster.looks().items():
            self.probes.watch(part, look)
        self._log_start("none")

    def _watch_certificates(self) -> None:
        """Follow the files with certificates, and tell when those expire."""
        expiries = Tls.of(self._config, self._runtime).watch()
        self._process.expiries = expiries
        self._registry.register(CertificateCollector(expiries))

    def _serve_by(self, app: GrpcApp) -> None:
        """Have an application serve the API port: as it is, unless more is to be told of calls."""
        serve: App = app
        config = self._process.config
        # With a token, or a certificate of q's, a browser does nothing for the pages of others.
        if hosts := None if config.access else _hosts_of(config):
            serve = called_by(hosts, serve, takes_forwarded=bool(config.postgres))
        if self._process.traces:
            serve = self._process.traces.app(serve)
        if config.debug:
            serve = identified(serve)
        self._app, self._serve = app, serve

    def _log_start(self, data: str, **fields: int) -> None:
        config = self._config
        listen, metrics = (
            exposure.narrowed(each, is_open=config.is_open)
            for each in (config.listen, config.metrics)
        )
        where = {"listen": str(listen), "metrics": str(metrics), "data": data}
        _log.info("serving", extra={**where, **fields, "pid": os.getpid()})
        if listen != config.listen or metrics != config.metrics:
            _log.info(exposure.ON_LOOPBACK.format(remedy=REMEDY))
        if config.access and not config.tls_cert and not exposure.is_loopback(listen):
            _log.warning(exposure.PLAIN_TOKENS)

    def _open_disk(self, data: Path, footprint: Footprint) -> DiskStore:
        return DiskStore.open(
            data,
            cache_bytes_max=self._config.cache_bytes,
            on_failure=self._on_store_failure,
            on_damage=_log_damage,
            on_progress=log_progress,
            footprint=footprint,
        )

    def _offer_backups(self, disk: DiskStore, data: Path) -> Backups:
        backups = self._backups = Backups(
            data, hold_file=disk.hold_file, let_go_of_file=disk.let_go_of_file
        )
        self._registry.register(BackupCollector(lambda: (backups.count, backups.last_ns)))
        return backups

    def _await_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def drain() -> None:
            self.probes.drain()
            loop.call_soon_threadsafe(end_what_would_not_end)

        def end_what_would_not_end() -> None:
            self._process.health.stop_serving()
            if self._cluster:
                self._cluster.let_go()
            if self._serving:
                self._serving.let_go()

        def close() -> None:
            if self._app:
                self._app.is_closed = True

        Shutdown(
            admin=self._admin,
            listeners=(API, OPS),
            in_flight=lambda: self._app.active if self._app else 0,
            drain=drain,
            close=close,
            drain_timeout_s=lambda: self._process.config.drain_timeout,
            reload=self._reloading(loop),
        ).start()

    def _reloading(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Return what a HUP does."""
        reloading = Reloading(
            self._config,
            self._origin,
            take_over=lambda config: loop.call_soon_threadsafe(self._take_over, config),
        )

        def reload() -> None:
            if access := self._process.access:
                loop.call_soon_threadsafe(access.look_soon)
            reloading.reload()

        return reload

    def _take_over(self, config: Config) -> None:
        """Do as a configuration says that was read while q runs."""
        if config.debug is not self._process.config.debug:
            configure_logs(debug=config.debug)
        self._process.config = config
        if self._app:
            self._serve_by(self._app)
        if self._cluster:
            self._cluster.take_over()
        if self._serving:
            self._serving.take_over()

    def _on_store_failure(self, reason: str) -> None:
        _log.critical("store failed", extra={"error": reason, "data": str(self._config.data)})
        self._process.health.set_serving(is_serving=False)

    def _on_store_recovery(self) -> None:
        _log.warning("store goes on")
        self._process.health.set_serving(is_serving=True)

    def _watch(self, disk: DiskStore, broker: Broker) -> None:
        """Tell how a disk does, and go on with it after it was full."""

        def take_over() -> None:
            broker.replace(Store.DISK, disk)
            _log.warning("store was read anew; nothing can be changed until the disk has room")

        assert self._config.data
        self._registry.register(DiskCollector(disk.figures, self._config.data))
        self.probes.watch("disk", DiskLook(disk))
        disk.on_reload = take_over
        disk.on_recovery = self._on_store_recovery


def _hosts_of(config: Config) -> Hosts | None:
    """Return the names by which browsers call q; None where TLS sees to that."""
    if config.tls_cert:
        return None
    own = (config.listen, config.metrics, *([config.advertise] if config.advertise else []))
    names = (*config.allow_host, *(each.host for each in own))
    return Hosts(names, only_browsers=config.is_open)


def _traces(config: Config) -> Traces | None:
    if config.traces_to is None:
        return None
    return Traces(provider_to(config.traces_to), config.traces_sample, code_of=code_of)


def _log_damage(what: str) -> None:
    """Say in the log that messages are damaged on disk."""
    _log.error("messages are damaged", extra={"error": what})


def _access_of(config: Config) -> Access | None:
    if config.access is None:
        return None
    return Access(config.access, audit_of(config.audit_log), in_cluster=bool(config.postgres))


_config = Config.from_json(os.environ[CONFIG_VARIABLE])
configure_logs(debug=_config.debug)
_server = Server(
    _config,
    Origin.from_json(os.environ[ORIGIN_VARIABLE]),
    Path(os.environ[RUNTIME_DIRECTORY_VARIABLE]),
)

api = _server.api
ops = ops_app(
    render_metrics=_server.render_metrics,
    probes=_server.probes,
    quit_process=request_shutdown,
    may_any_quit=_server.may_any_quit,
    check=_server.check,
    hosts=_server.hosts,
)
