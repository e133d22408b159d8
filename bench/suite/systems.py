"""Starts the servers that are measured, one at a time, each with files of its own."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from servers import Running, free_port, running, running_q
from suite.scenarios import System

#: Where `make bench` puts what it installs for itself.
_PEERS = Path(__file__).parents[2] / "build/peers"
_RABBITMQ = Path("/usr/lib/rabbitmq/bin")
_MESSAGE_BYTES_MAX = 8 * 1024 * 1024


class Missing(Exception):
    """A program is not installed."""


def running_system(system: System, directory: Path) -> AbstractContextManager[Running]:
    """Run the server of a system in a directory, which is made.

    Raises:
        Missing: it is not installed.
        RuntimeError: it does not start.
    """
    directory.mkdir(parents=True)
    return _START[system.server](directory, durable=system.durability == "fsync")


@contextlib.contextmanager
def _q(directory: Path, *, durable: bool) -> Iterator[Running]:
    del durable  # Its queues are, or are not.
    with running_q(directory / "data") as server:
        yield server


@contextlib.contextmanager
def _redis(directory: Path, *, durable: bool) -> Iterator[Running]:
    """Run Redis: its append-only file is synced before each answer, or there is none."""
    port = free_port()
    command = [
        *(program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"),
        *("--dir", str(directory), "--save", "", "--daemonize", "no", "--maxclients", "20000"),
        *(("--appendonly", "yes", "--appendfsync", "always") if durable else ()),
    ]
    with running(command, port=port, log=directory / "log") as server:
        yield replace(server, version=_version("redis-server", "-v", r"v=(\S+)"))


@contextlib.contextmanager
def _beanstalkd(directory: Path, *, durable: bool) -> Iterator[Running]:
    """Run beanstalkd: its log is synced at each write, or there is none."""
    port = free_port()
    command = [
        *(program("beanstalkd"), "-l", "127.0.0.1", "-p", str(port)),
        *("-z", str(_MESSAGE_BYTES_MAX)),
        *(("-b", str(directory), "-f0") if durable else ()),
    ]
    with running(command, port=port, log=directory / "log") as server:
        yield replace(server, version=_version("beanstalkd", "-v", r"beanstalkd (\S+)"))


@contextlib.contextmanager
def _nats(directory: Path, *, durable: bool) -> Iterator[Running]:
    assert durable, "a stream in memory is not measured"
    port = free_port()
    configuration = directory / "nats.conf"
    configuration.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f"max_payload: {_MESSAGE_BYTES_MAX}\n"
        f'jetstream {{ store_dir: "{directory}", sync_interval: always }}\n',
        encoding="utf-8",
    )
    command = [program("nats-server"), "-c", str(configuration)]
    with running(command, port=port, log=directory / "log") as server:
        yield replace(server, version=_version("nats-server", "-v", r"v(\d\S*)"))


@contextlib.contextmanager
def _rabbitmq(directory: Path, *, durable: bool) -> Iterator[Running]:
    """Run RabbitMQ as whoever runs the benchmark, with a name daemon of its own."""
    assert durable, "a quorum queue is always"
    # Not the ones on the PATH, which insist on the user `rabbitmq`.
    server_program = _RABBITMQ / "rabbitmq-server"
    if not server_program.exists():
        raise Missing("rabbitmq-server is not installed")
    port, names_port = free_port(), free_port()
    configuration = directory / "rabbitmq.conf"
    configuration.write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        "loopback_users = none\n"
        "log.console = false\n"
        # An alarm at 40 % of memory would stop producers rather than slow them.
        "vm_memory_high_watermark.relative = 0.8\n",
        encoding="utf-8",
    )
    (directory / "plugins").write_text("[].\n", encoding="utf-8")
    environment = {
        "HOME": str(directory),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_BASE": str(directory),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "logs"),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    epmd = [program("epmd"), "-port", str(names_port), "-address", "127.0.0.1"]
    with (
        running(epmd, port=names_port, log=directory / "epmd.log"),
        running(
            [str(server_program)],
            port=port,
            environment=environment,
            log=directory / "log",
            start_s_max=60,
        ) as server,
    ):
        yield replace(server, version=_rabbitmq_version())


_START: Mapping[str, Callable[..., AbstractContextManager[Running]]] = {
    "q": _q,
    "redis": _redis,
    "beanstalkd": _beanstalkd,
    "nats": _nats,
    "rabbitmq": _rabbitmq,
}


def program(name: str) -> str:
    """Find a program, also where users have no business.

    Raises:
        Missing: it is nowhere.
    """
    places = [os.environ["PATH"], str(_PEERS / "bin"), str(Path(sys.executable).parent)]
    found = shutil.which(name, path=os.pathsep.join([*places, "/usr/sbin", "/usr/bin"]))
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def _version(name: str, option: str, pattern: str) -> str:
    output = subprocess.run(
        [program(name), option], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(pattern, output)
    return match[1] if match else "of an unknown version"


def _rabbitmq_version() -> str:
    for directory in _RABBITMQ.parent.glob("lib/rabbitmq_server-*"):
        return directory.name.rpartition("-")[2]
    return "of an unknown version"
