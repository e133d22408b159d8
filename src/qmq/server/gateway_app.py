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

from qmq.observe.logs import configure_logs
from qmq.observe.metrics import process_registry, render
from qmq.server.admin import Admin
from qmq.server.gateway import SETTINGS_VARIABLE, Settings
from qmq.server.launch import RUNTIME_DIRECTORY_VARIABLE, admin_socket
from qmq.server.ops import OPS_PATHS, ops_app
from qmq.server.shutdown import Shutdown, request_shutdown
from qmq.transport.asgi import Receive, Scope, Send
from qmq.transport.envoy.bootstrap import GATEWAY
from qmq.transport.pages import answer_without_call

_log = logging.getLogger(__name__)

#: The exit status of a gateway that could not end in time.
_KILLED: Final = 1


class Gateway:
    """The Python side of one gateway."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._settings = Settings.from_json(environment[SETTINGS_VARIABLE])
        self._runtime = Path(environment[RUNTIME_DIRECTORY_VARIABLE])
        self._addresses = {
            "listen": environment["QREST_LISTEN"],
            "server": environment["QREST_SERVER"],
        }
        configure_logs(debug=self._settings.debug)
        registry = process_registry()
        self._ops = ops_app(
            render_metrics=lambda: render(registry),
            quit_process=request_shutdown,
            quit_from_any=False,
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
            admin=Admin(admin_socket(self._runtime)),
            listeners=(GATEWAY,),
            in_flight=lambda: 0,  # Envoy counts them all.
            drain=self._limit_shutdown,
            drain_timeout_s=self._settings.close_after_s,
        ).start()
        _log.info("serving", extra={**self._addresses, "pid": os.getpid()})
        await send({"type": "lifespan.startup.complete"})
        await receive()
        shutil.rmtree(self._runtime, ignore_errors=True)
        _log.info("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    def _limit_shutdown(self) -> None:
        limit = threading.Timer(self._settings.kill_after_s, self._kill)
        limit.daemon = True
        limit.start()

    @staticmethod
    def _kill() -> None:
        _log.critical("the shutdown takes too long: killed")
        os._exit(_KILLED)


app = Gateway(os.environ).app
