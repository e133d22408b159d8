"""What Ctrl-C does to a program."""

import signal


def ends() -> None:
    """Have it end the process at once, unless it is ignored.

    Python would raise KeyboardInterrupt: a traceback wherever a module is just being imported, or
    nothing at all, since importlib drops what is raised in some moments.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupts() -> None:
    """Have it raise KeyboardInterrupt again, for what cleans up after itself."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
