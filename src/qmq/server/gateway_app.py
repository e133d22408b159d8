"""What Python does inside qrest: the ops paths, what is no API call, and the end.

Envoy imports this module and serves `app`. API calls do not come here: they go on to
the server as gRPC.
"""

import logging
import os
import shutil
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from qmq.observe.certificates import CertificateCollector
from qmq.observe.logs import configure_logs
from qmq.observe.metrics import process_registry, render
from qmq.server import exposure
from qmq.server.admin import Admin, AdminError
from qmq.server.gateway_config import REMEDY, GatewayConfig
from qmq.server.launch import CONFIG_VARIABLE, RUNTIME_DIRECTORY_VARIABLE, admin_socket
from qmq.server.ops import OPS_PATHS, ops_app
from qmq.server.readiness import Probes
from qmq.server.reloading import ORIGIN_VARIABLE, Origin, Reloading
from qmq.server.shutdown import Shutdown, request_shutdown
from qmq.server.tls import Tls
from qmq.transport.asgi import Receive, Scope, Send
from qmq.transport.envoy.bootstrap import GATEWAY, SERVER
from qmq.transport.pages import answer_without_call

_log = logging.getLogger(__name__)

#: The exit status of a gateway that could not end in time.
_KILLED: Final = 1


class Gateway:
    """The Python side of one gateway."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._config = GatewayConfig.from_json(environment[CONFIG_VARIABLE])
        self._origin = Origin.from_json(environment[ORIGIN_VARIABLE])
        self._runtime = Path(environment[RUNTIME_DIRECTORY_VARIABLE])
        configure_logs(debug=self._config.debug)
        registry = process_registry()
        expiries = Tls.of_gateway(self._config, self._runtime).watch()
        registry.register(CertificateCollector(expiries))
        self._admin = Admin(admin_socket(self._runtime))
        # Its event loop serves probes themselves, so that who gets an answer knows that it runs.
        self._probes = Probes(lambda: None)
        self._probes.watch("server", self._server_trouble)
        self._ops = ops_app(
            render_metrics=lambda: render(registry),
            probes=self._probes,
            quit_process=request_shutdown,
            may_any_quit=lambda: False,
        )

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is no API call."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] in OPS_PATHS:
            await self._ops(scope, receive, send)
        else:
            while (await receive()).get("more_body"):
                pass
            await answer_without_call(scope, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Follow the lifespan protocol."""
        await receive()
        Shutdown(
            admin=self._admin,
            listeners=(GATEWAY,),
            in_flight=lambda: 0,  # Envoy counts them all.
            drain=self._begin_shutdown,
            drain_timeout_s=lambda: self._config.close_after,
            reload=Reloading(self._config, self._origin, take_over=self._take_over).reload,
        ).start()
        config = self._config
        listen = exposure.narrowed(config.listen, is_open=config.is_open)
        where = {"listen": str(listen), "server": str(config.server)}
        _log.info("serving", extra={**where, "pid": os.getpid()})
        if listen != config.listen:
            _log.info(exposure.ON_LOOPBACK.format(remedy=REMEDY))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        shutil.rmtree(self._runtime, ignore_errors=True)
        _log.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    def _take_over(self, config: GatewayConfig) -> None:
        self._config = config

    def _server_trouble(self) -> str:
        """Say what is wrong with the server that calls go to, if anything is."""
        try:
            is_well = self._admin.healthy(SERVER) > 0
        except AdminError as error:
            return str(error)
        server = self._config.server
        return (
            ""
            if is_well
            else f"the server {server} does not answer, or says that it does not serve"
        )

    def _begin_shutdown(self) -> None:
        self._probes.drain()
        limit = threading.Timer(self._config.kill_after, self._kill)
        limit.daemon = True
        limit.start()

    @staticmethod
    def _kill() -> None:
        _log.critical("the shutdown takes too long: killed")
        os._exit(_KILLED)


app = Gateway(os.environ).app
