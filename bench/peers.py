"""Starts the other queues that q is measured beside, each syncing before it answers."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from servers import Running, free_port, running


@contextlib.contextmanager
def running_redis(directory: Path) -> Iterator[Running]:
    """Run Redis with its append-only file synced before each answer."""
    directory.mkdir()
    port = free_port()
    command = [
        *(_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"),
        *("--dir", str(directory), "--appendonly", "yes", "--appendfsync", "always"),
        *("--save", "", "--daemonize", "no"),
    ]
    with running(command, port=port) as server:
        yield replace(server, version=_version("redis-server", r"v=(\S+)"))


@contextlib.contextmanager
def running_beanstalkd(directory: Path) -> Iterator[Running]:
    """Run beanstalkd with its log synced at each write."""
    directory.mkdir()
    port = free_port()
    command = [
        *(_program("beanstalkd"), "-l", "127.0.0.1", "-p", str(port)),
        *("-b", str(directory), "-f0"),
    ]
    with running(command, port=port) as server:
        yield replace(server, version=_version("beanstalkd", r"beanstalkd (\S+)"))


def _program(name: str) -> str:
    # Debian puts servers where users have no business.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        raise RuntimeError(f"{name} is missing; install Debian's package of that name")
    return found


def _version(name: str, pattern: str) -> str:
    output = subprocess.run(
        [_program(name), "-v"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(pattern, output)
    return match[1] if match else "of an unknown version"
