"""Real PostgreSQL servers in the hands of a test: started, stopped, killed, paused, promoted.

    with Node.new("p") as node:
        node.start()
        with node.database() as dsn: ...

    with Trio() as trio:                      # a primary and two synchronous standbys
        trio.primary.kill()
        trio.fail_over()

Each has a directory and a port of its own, which outlive a restart. All waiting is bounded,
and an error shows the server's log. See `as_owner` for how servers end if the test run does.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Self

from tests.acceptance.running import free_ports
from tests.postgres import processes
from tests.postgres.installation import (
    ROLE,
    SUPERUSER,
    Failed,
    as_owner,
    copy_template,
    environment,
    owned_directory,
    path_of,
    query,
    run,
)

#: Seconds that a server may take for whatever is waited for.
PATIENCE_S: Final = 30.0

_LOG_BYTES_SHOWN: Final = 8_000
#: The line of postmaster.pid that tells how far the server is, counted from 0.
_STATUS_LINE: Final = 7
_SERVING: Final = frozenset({"ready", "standby"})

#: Of all servers. Small, since many may run at a time; connections come over TCP only.
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_wal_senders": "6",
    "max_replication_slots": "6",
    # A dead peer is noticed, and a new one found, within the patience of a test.
    "wal_receiver_timeout": "5s",
    "wal_sender_timeout": "5s",
    "wal_retrieve_retry_interval": "100ms",
    "log_line_prefix": "%m [%p] %q%d ",
}


class Node:
    """One server. Made by `new`, and ended by `close` or by leaving its `with`."""

    def __init__(self, name: str, directory: Path, settings: dict[str, str]) -> None:
        """Describe it.

        Args:
            name: its name as a standby.
            directory: an `owned_directory`, where its data and its log are.
            settings: those that not all servers have; they can be changed before a start.
        """
        [self.port] = free_ports(1)
        self.name = name
        self.data = directory / name
        self._log_path = directory / f"{name}.log"
        self.settings = {**_SETTINGS, **settings, "port": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False
        self.databases = count(1)

    @classmethod
    @contextmanager
    def new(cls, name: str = "primary", *, durable: bool = False) -> Iterator[Self]:
        """Yield a server that is not started yet, in a directory that is removed at the end.

        Args:
            name: its name.
            durable: whether it syncs what it commits. Without that, it is faster, and what is
                committed still outlives `kill`, though not a failure of the machine.
        """
        with owned_directory() as directory:
            node = cls(name, directory, {"fsync": "on" if durable else "off"})
            copy_template(node.data)
            with node:
                yield node

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """The end of what it has written since its first start."""
        return self._log_path.read_bytes()[-_LOG_BYTES_SHOWN:].decode(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since; a paused one runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def host(self) -> str:
        """Its address, as host:port."""
        return f"127.0.0.1:{self.port}"

    def dsn(self, database: str = "postgres", role: str = ROLE) -> str:
        """Where a client connects to this server, whether it is a primary or a standby."""
        return f"postgresql://{role}@{self.host}/{database}"

    def start(self) -> None:
        """Start it, and wait until it takes connections.

        Raises:
            Failed: it ended, or took too long.
        """
        assert not self.is_running, f"{self.name} runs already"
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        command = as_owner(path_of("postgres"), "-D", str(self.data), *options)
        # What an earlier life has left tells nothing about this one.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd="/",
                # Ctrl-C in a terminal is for the tests, which then end it.
                start_new_session=True,
            )
        self.wait_until(lambda: self._status() in _SERVING, "start")

    def stop(self) -> None:
        """End it as an operator does: transactions are rolled back, and standbys told."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it by kill -9, with all its processes at once."""
        process = self._running()
        processes.kill(self.pids)
        process.wait(PATIENCE_S)
        self._process, self._is_paused = None, False

    def close(self) -> None:
        """End it in any case, and fast."""
        if not self.is_running:
            return
        if self._is_paused:
            self.resume()
        try:
            self._end(signal.SIGQUIT)
        except Failed:
            self.kill()

    def pause(self) -> None:
        """Stop all its processes (SIGSTOP): connections stay, and nothing answers."""
        self._is_paused = True
        processes.pause(self.pids)

    def resume(self) -> None:
        """Let its processes go on where they stopped."""
        processes.resume(self.pids)
        self._is_paused = False

    def promote(self) -> None:
        """Make a primary of this standby, and wait until it is one."""
        self.query("SELECT pg_promote(wait => false)")
        self.wait_until(self.is_primary, "become a primary")

    def is_ready(self) -> bool:
        """Tell whether it takes connections; it is given two seconds."""
        command = [path_of("pg_isready"), "--host=127.0.0.1", f"--port={self.port}", "--timeout=1"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def is_primary(self) -> bool:
        """Tell whether it takes writes."""
        return self.query("SELECT pg_is_in_recovery()") == ["f"]

    def query(self, sql: str, database: str = "postgres", timeout_s: float = 10.0) -> list[str]:
        """Run statements as superuser, each in a transaction of its own.

        Returns:
            a line for each row, columns divided by `|`.

        Raises:
            Failed: it was refused, or there was no answer within `timeout_s` seconds.
        """
        try:
            return query(self.dsn(database, SUPERUSER), sql, timeout_s)
        except Failed as error:
            raise Failed(f"{error}\n{self.name}:\n{self.log}") from None

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """Yield the name of a new database, which q's role owns and which is removed after.

        Args:
            template: the database that it is a copy of; nobody may be connected to that.
        """
        name = f"q_{next(self.databases)}"
        self.query(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}")
        try:
            yield name
        finally:
            if self.is_running:
                self.query(f"DROP DATABASE {name} WITH (FORCE)")

    def clone(self, primary: "Node") -> None:
        """Make its data anew, as a standby of another server that runs.

        The standby has a replication slot there, of its own name, so that all that it has not
        received is kept for it.
        """
        assert not self.is_running, f"{self.name} runs"
        shutil.rmtree(self.data, ignore_errors=True)
        make_slot(primary, self)
        run(
            *as_owner(path_of("pg_basebackup"), "--pgdata", str(self.data), "--no-sync"),
            *("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
            *(f"--slot={self.name}", f"--dbname={_conninfo(primary, self)}"),
        )

    def follow(self, primary: "Node") -> None:
        """Receive from another primary from now on, without a restart."""
        make_slot(primary, self)
        self.query(
            f"ALTER SYSTEM SET primary_conninfo = '{_conninfo(primary, self)}';\n"
            f"ALTER SYSTEM SET primary_slot_name = '{self.name}';\n"
            "SELECT pg_reload_conf()"
        )

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Look again and again until something holds.

        Args:
            holds: what to ask.
            what: for the error: what the server should do.

        Raises:
            Failed: it has ended, or `PATIENCE_S` have passed.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            status = self._process.poll() if self._process else "no process"
            if status is not None:
                raise Failed(f"{self.name} ended ({status}):\n{self.log}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} does not {what}:\n{self.log}")
            time.sleep(0.01)

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, f"{self.name} does not run"
        return self._process

    def _end(self, number: signal.Signals) -> None:
        process = self._running()
        process.send_signal(number)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end:\n{self.log}") from None
        self._process = None

    def _status(self) -> str:
        """How far it is, in its own words; empty if it has not written that yet."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""

    def pids(self) -> list[int]:
        """Its processes, the first one first."""
        return processes.family(self._running().pid)


class Trio:
    """A primary and two standbys, of which at least one has synced what is acknowledged."""

    def __init__(self, *, durable: bool = False) -> None:
        """Start them, and wait until both standbys receive.

        Args:
            durable: whether they sync what they commit.
        """
        self._stack = ExitStack()
        try:
            directory = self._stack.enter_context(owned_directory())
            settings = {"fsync": "on" if durable else "off"}
            self.nodes = [Node(name, directory, settings) for name in ("n1", "n2", "n3")]
            for node in self.nodes:
                self._stack.enter_context(node)
            self.primary = self.nodes[0]
            copy_template(self.primary.data)
            self.primary.start()
            for standby in self.standbys:
                standby.clone(self.primary)
                standby.start()
            self._demand_standby()
            self.wait_until_replicated()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def standbys(self) -> Sequence[Node]:
        """All but the primary, whether they run or not."""
        return [node for node in self.nodes if node is not self.primary]

    def dsn(self, database: str = "postgres", role: str = ROLE) -> str:
        """Where a client finds the primary, whichever it is."""
        hosts = ",".join(node.host for node in self.nodes)
        return f"postgresql://{role}@{hosts}/{database}?target_session_attrs=read-write"

    def wait_until_replicated(self) -> None:
        """Wait until each standby that runs has replayed all that the primary has written."""
        [written] = self.primary.query("SELECT pg_current_wal_lsn()")
        names = ", ".join(f"'{node.name}'" for node in self.standbys if node.is_running)
        behind = (
            f"SELECT name FROM unnest(ARRAY[{names}]) name WHERE NOT EXISTS (SELECT FROM"
            f" pg_stat_replication WHERE application_name = name AND replay_lsn >= '{written}')"
        )
        self.primary.wait_until(lambda: not self.primary.query(behind), "replicate")

    def fail_over(self) -> Node:
        """Promote the standby that has received most, and let the other one follow it.

        The old primary is left as it is: killed, paused, or even running. It can come back by
        `rejoin`.

        Returns:
            the new primary.
        """
        received = "SELECT pg_last_wal_receive_lsn() - '0/0'"
        running = [node for node in self.standbys if node.is_running]
        chosen = max(running, key=lambda node: int(node.query(received)[0]))
        chosen.promote()
        self.primary = chosen
        for other in running:
            if other is not chosen:
                other.follow(chosen)
        self._demand_standby()
        return chosen

    def rejoin(self, node: Node) -> None:
        """Make a standby of a server that was killed or stopped, with a copy of the primary."""
        node.clone(self.primary)
        node.start()

    def _demand_standby(self) -> None:
        """Acknowledge only what one of the others has synced."""
        names = ", ".join(node.name for node in self.standbys)
        self.primary.query(
            f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({names})';\n"
            "SELECT pg_reload_conf()"
        )


def make_slot(primary: Node, standby: Node) -> None:
    """Let a primary keep all that a standby has not received; one slot for each, made once."""
    primary.query(
        f"SELECT pg_create_physical_replication_slot('{standby.name}') WHERE NOT EXISTS"
        f" (SELECT FROM pg_replication_slots WHERE slot_name = '{standby.name}')"
    )


def _conninfo(primary: Node, standby: Node) -> str:
    return (
        f"host=127.0.0.1 port={primary.port} user={SUPERUSER} application_name={standby.name}"
        " connect_timeout=2"
    )
