"""Tells Envoy what becomes of calls in a cluster, and where the leader is, while it runs."""

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from qmq.server.address import Address
from qmq.server.exposure import LOOPBACK
from qmq.transport.envoy import Endpoint, Process
from qmq.transport.envoy.bootstrap import cluster_routes
from qmq.transport.envoy.forwarding import Files, endpoints
from qmq.transport.envoy.watched import write

#: The routes of a q that leads, and of one that does not, as they are kept beside those in use.
_LEADING: Final = "leading.json"
_FOLLOWING: Final = "following.json"

#: Hosts that stand for several addresses, of which 127.0.0.1 is one.
_SEVERAL: Final = ("", "0.0.0.0", "::", LOOPBACK)  # noqa: S104 - Nothing is bound here.


class Forwarding:
    """The files in a q's runtime directory that Envoy watches."""

    def __init__(self, runtime: Path, name: str) -> None:
        """Name them.

        Args:
            runtime: the directory.
            name: the host by which the other q know this one.
        """
        self._runtime = runtime
        self._name = name
        #: What Envoy is to be told of.
        self.files = Files.in_directory(runtime)

    @classmethod
    def begin(cls, runtime: Path, name: str, process: Process, listen: Endpoint) -> Self:
        """Make the files, before Envoy runs, of a q that does not know who leads.

        Args:
            runtime: the directory.
            name: the host by which the other q know this one.
            process: as the bootstrap is made of.
            listen: where this q listens.
        """
        forwarding = cls(runtime, name)
        write(runtime / _LEADING, cluster_routes(process, leads=True))
        write(runtime / _FOLLOWING, cluster_routes(process, leads=False))
        forwarding.to_itself(listen)
        return forwarding

    def lead(self) -> None:
        """Have this q serve all calls itself."""
        self._choose(_LEADING)

    def to_itself(self, listen: Endpoint | Address) -> None:
        """Have calls sent on to this q itself, as long as nobody leads.

        So they wait, and are sent on from here when somebody does.
        """
        host = "127.0.0.1" if listen.host in _SEVERAL else listen.host
        self.to(found(str(Address(host, listen.port))), self._name)

    def to(self, leader: Sequence[Endpoint], name: str) -> None:
        """Have calls sent on to a leader, by its address; of several, any will do.

        With TLS its certificate has to be that of the host `name`.
        """
        write(self.files.leader, endpoints(leader, name))
        self._choose(_FOLLOWING)

    def _choose(self, routes: str) -> None:
        new = self.files.routes.with_suffix(".new")
        shutil.copyfile(self._runtime / routes, new)
        new.rename(self.files.routes)


def found(address: str) -> list[Endpoint]:
    """Return the numeric addresses of HOST:PORT. This blocks while a name is looked up.

    Raises:
        OSError: the host is not found.
    """
    host, _, port = address.rpartition(":")
    results = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    return [Endpoint(each, int(port)) for each in dict.fromkeys(str(r[4][0]) for r in results)]
