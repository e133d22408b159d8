"""Loads a program, and runs it in a fork of this process whenever `warm.py` asks for it."""

import gc
import json
import os
import pkgutil
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Final

#: Bytes of a request at most: the command line and the environment.
_REQUEST_BYTES_MAX: Final = 1 << 18


def main() -> None:
    """Load all; wait to be asked; and be the program, in a fork."""
    name, asked = sys.argv[1:]
    run = _LOADERS[name]()
    # A collection would copy all of it, in each fork.
    gc.freeze()
    if _is_fork(name, socket.socket(fileno=int(asked))):
        run()


def _load_qcli() -> Callable[[], None]:
    # As qcli does before it loads anything.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    qcli = import_module("qmq.bin.qcli")
    import_module("grpc")
    for name in ("qmq.cli", "qmq.client"):
        room = import_module(name)
        for module in pkgutil.walk_packages(room.__path__, f"{name}."):
            import_module(module.name)
    run: Callable[[], None] = qcli.main
    return run


def _load_q() -> Callable[[], None]:
    """Load what q needs until it becomes Envoy, which then loads the rest in any case."""
    import_module("qmq.bin.q_program")
    q = import_module("qmq.bin.q")
    for name in ("qmq.bin.q_program", "qmq.server.start"):
        import_module(name)
    run: Callable[[], None] = q.main
    return run


_LOADERS: Final = {"q": _load_q, "qcli": _load_qcli}


def _is_fork(name: str, asked: socket.socket) -> bool:
    """Fork for each request; return True in a fork that is to be the program, False in the end."""
    # Nobody waits for those who wait for the program.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, files, _, _ = socket.recv_fds(asked, _REQUEST_BYTES_MAX, 4)
        if not request:
            return False
        if os.fork() == 0:
            asked.close()
            arguments, environment = json.loads(request)
            _become(name, arguments, environment, files)
            return True
        for each in files:
            os.close(each)


def _become(name: str, arguments: list[str], environment: dict[str, str], files: list[int]) -> None:
    """Return in a process that is as one that was started for these arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, told = files
    if pid := os.fork():
        # Ctrl-C in a terminal is for the program, whose end is told.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Whoever reads what the process prints that loads is not to wait for this one.
        for each in (*range(3), *streams):
            os.close(each)
        os.write(told, b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(told)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = [name, *arguments]


if __name__ == "__main__":
    main()
