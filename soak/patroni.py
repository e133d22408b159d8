"""Three PostgreSQL nodes of which Patroni makes one the primary, and another when that is gone.

All of it is on loopback, in a directory of its own, as a user that PostgreSQL accepts: Patroni
and PostgreSQL for each node, and one etcd, in which the nodes agree who is the primary. One etcd
is enough here, since it is not what is put to the test; in earnest there are three.

What is acknowledged has been synced by the primary and one standby (`synchronous_mode_strict`):
without a standby nothing is acknowledged, rather than by the primary alone.
"""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from tests.acceptance.running import free_ports
from tests.postgres import processes
from tests.postgres.installation import (
    ROLE,
    SUPERUSER,
    Failed,
    as_owner,
    environment,
    owned_directory,
    programs,
    query,
)

#: Programs beside PostgreSQL's own, and Debian's packages of them.
NEEDED: Final = {"/usr/bin/patroni": "patroni", "/usr/bin/etcd": "etcd-server"}

DATABASE: Final = "q"

#: Seconds after which a primary that does not say that it lives is no longer one. Patroni's own
#: default is 30, which is kinder to networks and machines that have bad moments.
TTL_S: Final = 3
_LOOP_WAIT_S: Final = 1
_RETRY_TIMEOUT_S: Final = 1

_PATIENCE_S: Final = 60.0
_LOG_BYTES_SHOWN: Final = 6_000

#: What nodes agree upon when the first one begins.
_AGREED: Final[dict[str, Any]] = {
    "ttl": TTL_S,
    "loop_wait": _LOOP_WAIT_S,
    "retry_timeout": _RETRY_TIMEOUT_S,
    "maximum_lag_on_failover": 1_048_576,
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "synchronous_node_count": 1,
    # If PostgreSQL dies and Patroni does not, another node is faster than a recovery.
    "primary_start_timeout": 0,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "max_connections": 100,
            "shared_buffers": "64MB",
            "wal_log_hints": "on",
            "wal_keep_size": "256MB",
            # A standby that is silent for so long holds up commits no longer.
            "wal_sender_timeout": "3s",
            "wal_receiver_timeout": "3s",
            "wal_retrieve_retry_interval": "200ms",
        },
    },
}


class Seen(NamedTuple):
    """What Patroni tells of a node."""

    name: str
    #: leader, sync_standby or replica.
    role: str
    #: running, streaming, stopped, starting, ...
    state: str
    timeline: int | None


class Node(processes.Program):
    """One PostgreSQL, and the Patroni that looks after it."""

    def __init__(self, name: str, scope: str, directory: Path, etcd: str) -> None:
        """Describe it.

        Args:
            name: its name.
            scope: what those are called together that replace each other.
            directory: an `owned_directory`.
            etcd: where etcd listens, as host:port.
        """
        super().__init__(directory / f"{name}.log")
        self.name = name
        self.port, self.rest_port = free_ports(2)
        self._scope = scope
        self._data = directory / name
        self._configuration = directory / f"{name}.json"
        self._configuration.write_text(json.dumps(self._settings(directory, etcd), indent=2))

    def _settings(self, directory: Path, etcd: str) -> dict[str, Any]:
        user = {"username": SUPERUSER}
        trust = [f"{kind} all 127.0.0.1/32 trust" for kind in ("host all", "host replication")]
        return {
            "scope": self._scope,
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest_port}"},
            # Not etcd3: with that interface, Debian 12's Patroni (3.0.2) lets a primary that was
            # paused take the lead back from the one that was promoted meanwhile, whose commits
            # are lost then; it writes the key without asking who holds it. This one asks.
            "etcd": {"host": etcd},
            "watchdog": {"mode": "off"},
            "bootstrap": {
                "dcs": _AGREED,
                "initdb": [{"encoding": "UTF8"}, "no-locale", {"username": SUPERUSER}],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "data_dir": str(self._data),
                "bin_dir": str(programs()),
                "pgpass": str(directory / f"{self.name}.pgpass"),
                "authentication": {"superuser": user, "replication": user, "rewind": user},
                "parameters": {"unix_socket_directories": ""},
                "pg_hba": trust,
                "basebackup": [{"checkpoint": "fast"}],
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }

    @property
    def address(self) -> str:
        """PostgreSQL's, as host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def first_pids(self) -> Sequence[int]:
        """The first process of Patroni, and that of PostgreSQL: without these, both are gone."""
        found = [self._process.pid if self._process else None, self._postmaster()]
        return [pid for pid in found if pid is not None]

    def start(self) -> None:
        """Start Patroni, which then makes of PostgreSQL what it should be."""
        # Told to end, Patroni ends PostgreSQL as well.
        command = as_owner("/usr/bin/patroni", str(self._configuration), at_the_end="TERM")
        self.launch(command, env=environment(), cwd="/")

    def _pids(self) -> list[int]:
        found = super()._pids()
        first = self._postmaster()
        if first is not None:
            found += [pid for pid in processes.family(first) if pid not in found]
        return found

    def _postmaster(self) -> int | None:
        """PostgreSQL's first process, which is no child of Patroni's, and outlives it."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            # The file may be of a server that is gone, and the number another program's.
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return None
        return pid if str(self._data) in command else None


class Cluster:
    """Three nodes and etcd. Ended, with all that they have, on leaving its `with`."""

    def __init__(self, letter: str = "n", etcd: str = "") -> None:
        """Start them, and wait until there are a primary and two standbys.

        Args:
            letter: what their names begin with, before 1, 2 and 3.
            etcd: that of another cluster; a further one is not needed then.

        Raises:
            Failed: something is not installed, or did not start in time.
        """
        missing = [package for path, package in NEEDED.items() if not Path(path).exists()]
        if missing:
            raise Failed(f"not installed: Debian's {' '.join(missing)}")
        self._stack = ExitStack()
        try:
            directory = self._stack.enter_context(owned_directory())
            #: Where etcd listens, as host:port.
            self.etcd = etcd or self._start_etcd(directory)
            names = [f"{letter}{number}" for number in (1, 2, 3)]
            self.nodes = [Node(name, f"q{letter}", directory, self.etcd) for name in names]
            for node in self.nodes:
                self._stack.callback(node.kill)
            self.nodes[0].start()
            self.wait_until(lambda: self.leader() is not None, "have a primary")
            for node in self.nodes[1:]:
                node.start()
            self.wait_until_whole()
            self._make_database()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def node(self, name: str) -> Node:
        """Return the node of a name."""
        return next(each for each in self.nodes if each.name == name)

    def dsn(self, role: str = ROLE, database: str = DATABASE) -> str:
        """Where a client finds the primary, whichever it is."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{role}@{hosts}/{database}?target_session_attrs=read-write"

    def seen(self) -> list[Seen]:
        """Tell how the nodes are, as one of them sees it that answers; empty if none does."""
        for node in self.nodes:
            if not node.is_running or node.is_paused:
                continue
            try:
                address = f"http://127.0.0.1:{node.rest_port}/cluster"
                with urllib.request.urlopen(address, timeout=2) as reply:
                    members = json.load(reply)["members"]
            except (urllib.error.URLError, OSError, ValueError):
                continue
            return [
                Seen(each["name"], each["role"], each["state"], each.get("timeline"))
                for each in members
            ]
        return []

    def leader(self) -> Node | None:
        """Return the primary; None while there is none."""
        for each in self.seen():
            if each.role == "leader" and each.state == "running":
                return self.node(each.name)
        return None

    def standby(self) -> Node | None:
        """Return the standby without which nothing is acknowledged; None while there is none."""
        for each in self.seen():
            if each.role == "sync_standby":
                return self.node(each.name)
        return None

    def is_whole(self) -> bool:
        """Tell whether all nodes do what they should, one as primary, one synchronously."""
        seen = self.seen()
        streaming = [
            each
            for each in seen
            # Older Patroni says that a standby is running, newer ones that it is streaming.
            if each.role != "leader" and each.state in ("running", "streaming")
        ]
        return (
            len(streaming) == len(self.nodes) - 1
            and len({each.timeline for each in seen}) == 1
            and any(each.role == "sync_standby" for each in seen)
            and self.leader() is not None
        )

    def wait_until_whole(self) -> None:
        """Wait until `is_whole`."""
        self.wait_until(self.is_whole, "have a primary and two standbys")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Look again and again until something holds.

        Raises:
            Failed: a minute has passed; with the logs of the nodes.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{node.name}:\n{node.log}" for node in self.nodes)
                raise Failed(f"the cluster does not {what}: {self.seen()}\n{logs}")
            time.sleep(0.05)

    def query(self, sql: str, timeout_s: float = 10.0) -> list[str]:
        """Run statements on the primary, as superuser; see `installation.query`."""
        return query(self.dsn(SUPERUSER), sql, timeout_s)

    def _make_database(self) -> None:
        everywhere = self.dsn(SUPERUSER, "postgres")
        query(everywhere, f"CREATE ROLE {ROLE} LOGIN; CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def _start_etcd(self, directory: Path) -> str:
        """Start etcd; Patroni waits for it by itself."""
        client, peer = (f"127.0.0.1:{port}" for port in free_ports(2))
        with (directory / "etcd.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *as_owner("/usr/bin/etcd", "--data-dir", str(directory / "etcd")),
                    "--enable-v2",
                    *("--listen-client-urls", f"http://{client}"),
                    *("--advertise-client-urls", f"http://{client}"),
                    *("--listen-peer-urls", f"http://{peer}"),
                    *("--initial-advertise-peer-urls", f"http://{peer}"),
                    *("--initial-cluster", f"default=http://{peer}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd="/",
                start_new_session=True,
            )
        self._stack.callback(process.wait, _PATIENCE_S)
        self._stack.callback(process.send_signal, signal.SIGKILL)
        return client
