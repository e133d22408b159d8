"""Running qcli: errors become one line and an exit status."""

from collections.abc import Sequence

import click

from qmq.cli.commands import qcli
from qmq.cli.failures import INTERRUPTED, print_error


def run(arguments: Sequence[str]) -> int:
    """Run qcli with `arguments` and return its exit status.

    0 is success; `qmq.cli.failures` lists the others.
    """
    try:
        _check_encoding(arguments)
        status = qcli.main(list(arguments), prog_name="qcli", standalone_mode=False)
    except click.UsageError as error:
        print_error(error.format_message())
        program = error.ctx.command_path if error.ctx else "qcli"
        click.echo(f"Try '{program} --help' for help.", err=True)
        return error.exit_code
    except click.ClickException as error:
        print_error(error.format_message())
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    # What a command returns, None, means success; click returns a status for --help.
    return status or 0


def _check_encoding(arguments: Sequence[str]) -> None:
    """Refuse what cannot be sent: every text of the wire contract is UTF-8."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            message = f"argument {argument!r} is not UTF-8"
            raise click.UsageError(message) from error
