"""The program qcli."""

import os
import sys


def main() -> None:
    """Run qcli on the arguments of this process and exit."""
    # gRPC reads it as it is imported. Its own log would repeat, at length and on
    # standard error, what the error line says.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from qmq.cli.run import run  # noqa: PLC0415 - Ctrl-C counts from the first moment

        sys.exit(run(sys.argv[1:]))
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("qcli: error: click is missing; install it with: pip install 'qmq[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
