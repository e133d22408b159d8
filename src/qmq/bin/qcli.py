"""The program qcli."""

import os
import sys


def main() -> None:
    """Run qcli on the arguments of this process and exit."""
    # gRPC reads it as it is imported. Its own log would repeat, at length and on
    # standard error, what the error line says.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        # Imported late: Ctrl-C counts from the first moment.
        from qmq.bin import ctrl_c  # noqa: PLC0415

        ctrl_c.ends()
        from qmq.cli.run import run  # noqa: PLC0415

        ctrl_c.interrupts()
        status = run(sys.argv[1:])
        _let_go_of_output()
        sys.exit(status)
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("qcli: error: click is missing; install it with: pip install 'qmq[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)


def _let_go_of_output() -> None:
    """Drop what could not be written: the interpreter would fail on it once more as it ends."""
    if sys.stdout is None:  # It was closed from the start.
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
