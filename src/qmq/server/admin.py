"""Envoy's administration interface, on a Unix socket that only this user can open."""

import http.client
import re
import socket
import urllib.parse
from pathlib import Path
from typing import Final

#: Seconds to wait for an answer: Envoy's main thread has little else to do.
_TIMEOUT_S: Final = 5.0


class AdminError(Exception):
    """Envoy's administration interface does not answer as it should."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(str(self._path))


class Admin:
    """A client of the administration interface of this process's own Envoy.

    Its calls block, a few milliseconds as a rule: not for an event loop that
    serves anything else.
    """

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    def metrics(self) -> bytes:
        """Return Envoy's statistics as Prometheus text."""
        return self._call("GET", "/stats?format=prometheus")

    def is_live(self) -> bool:
        """Tell whether Envoy listens."""
        try:
            self._call("GET", "/ready")
        except AdminError:
            return False
        return True

    def stop_accepting(self) -> None:
        """Close the API port, and ask clients to leave with their next reply."""
        self._call("POST", "/healthcheck/fail")
        self._call("POST", "/drain_listeners?inboundonly")

    def active(self, listener: str) -> int:
        """Count the requests and the reply bytes that a listener still has in hand."""
        prefix = f"http.{listener}.downstream_"
        return sum(self._numbers(f"{prefix}rq_active", f"{prefix}cx_tx_bytes_buffered"))

    def healthy(self, cluster: str) -> int:
        """Count the addresses of an upstream cluster that answer, and say that they serve."""
        return self._numbers(f"cluster.{cluster}.membership_healthy")[0]

    def _numbers(self, *names: str) -> list[int]:
        """Return statistics by their names, in order."""
        pattern = "|".join(map(re.escape, names))
        query = urllib.parse.quote(f"^({pattern})$")
        lines = self._call("GET", f"/stats?filter={query}").decode().splitlines()
        stats = dict(line.split(": ", 1) for line in lines)
        try:
            return [int(stats[name]) for name in names]
        except (KeyError, ValueError) as error:
            raise AdminError(f"Envoy keeps no statistics called {' and '.join(names)}") from error

    def _call(self, method: str, path: str) -> bytes:
        connection = _UnixConnection(self._socket_path)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(f"Envoy does not answer {method} {path}: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise AdminError(f"Envoy answered {method} {path} with {response.status}")
        return body
