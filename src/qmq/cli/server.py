"""Which server to ask: --server after the command, else before it, else QCLI_SERVER."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

_DEFAULT: Final = ":10002"
_META_KEY: Final = "qmq.cli.server"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def server_option(*, envvar: str | None = None) -> Callable[[Decorated], Decorated]:
    """Add -s/--server to a command. Only the outermost reads the environment."""
    return click.option(
        "-s",
        "--server",
        metavar="ADDRESS",
        envvar=envvar,
        expose_value=False,
        callback=_remember,
        help="Server to ask: HOST:PORT, or :PORT for this machine. "
        f"Otherwise QCLI_SERVER says it, otherwise it is {_DEFAULT}.",
    )


def server_address(ctx: click.Context) -> str:
    """The address that the command line or the environment gives."""
    address: str = ctx.meta.get(_META_KEY, _DEFAULT)
    return address


def _remember(ctx: click.Context, param: click.Parameter, address: str | None) -> None:
    """Note the address. A command shares `meta` with its group and is read after it."""
    del param
    if address is not None:
        ctx.meta[_META_KEY] = address
