"""Where q and qrest begin, which are installed with the client alone as well."""

import sys
from importlib import import_module


def q() -> None:
    """Run q on the arguments of this process."""
    _run("qmq.bin.q")


def qrest() -> None:
    """Run qrest on the arguments of this process."""
    _run("qmq.bin.qrest")


def _run(module: str) -> None:
    try:
        import_module(module).main()
    except ModuleNotFoundError as error:
        missing = f"{error.name} is missing; install it with: pip install 'qmq[server]'"
        sys.exit(f"{module.rpartition('.')[2]}: error: {missing}")
