"""The program q."""

import sys


def main() -> None:
    """Run q on the arguments of this process and exit."""
    try:
        # Imported late: Ctrl-C counts from the first moment.
        from qmq.bin import ctrl_c  # noqa: PLC0415

        ctrl_c.ends()
        from qmq.bin.q_program import program  # noqa: PLC0415

        program()
    except ModuleNotFoundError as error:
        # The client alone is installed with this program, too.
        sys.exit(f"q: error: {error.name} is missing; install it with: pip install 'qmq[server]'")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
