"""Which server to ask, and how: from the command line, the environment or the file."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from qmq.cli.config_file import config_path, read_config

_META_KEY: Final = "qmq.cli.settings"
_DEFAULT_SERVER: Final = ":10002"

#: What may be set, and what kind of value it has; the names are those in the file.
KINDS: Final = {
    "server": str,
    "token": str,
    "token_file": str,
    "tls": bool,
    "ca_file": str,
    "cert_file": str,
    "key_file": str,
}

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: What a setting is set to; None if nothing says so.
Value: TypeAlias = str | bool | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A value, and what said so."""

    value: Value
    #: An option, a variable, the path of the file, or `default`.
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which server to ask, and how."""

    server: str
    token: str | None
    #: Counts where there is no token.
    token_file: str | None
    #: Whether to speak TLS; None: as the address says.
    is_tls: bool | None
    ca_file: str | None
    cert_file: str | None
    key_file: str | None


def server_option(*, envvar: str | None = None) -> Callable[[Decorated], Decorated]:
    """Add -s/--server to a command. Only the outermost reads the environment."""
    return _setting(
        "-s",
        "--server",
        metavar="ADDRESS",
        envvar=envvar,
        help="Server to ask: HOST:PORT, or :PORT for this machine. Otherwise QCLI_SERVER says it,"
        f" then the file that `qcli config` names, otherwise it is {_DEFAULT_SERVER}.",
    )


def connection_options(command: Decorated) -> Decorated:
    """Add the options of all settings to a command, which reads the environment too."""
    options = (
        server_option(envvar="QCLI_SERVER"),
        _setting(
            "--token",
            metavar="TOKEN",
            envvar="QCLI_TOKEN",
            help="Shown to the server with each call. Other users of this machine see command"
            " lines: --token-file, QCLI_TOKEN or the configuration file keeps it from them.",
        ),
        _setting(
            "--token-file",
            metavar="FILE",
            envvar="QCLI_TOKEN_FILE",
            help="The file that the token is in.",
        ),
        _setting(
            "--tls/--no-tls",
            default=None,
            envvar="QCLI_TLS",
            help="Speak TLS; https:// before the address, and a file of the following, say so too.",
        ),
        _file_setting("--ca", "--ca-file", "Certificates that may have signed the server's."),
        _file_setting("--cert", "--cert-file", "The client's certificate, for a server that asks."),
        _file_setting("--key", "--key-file", "The key of the client's certificate."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def chosen_settings(ctx: click.Context) -> dict[str, Chosen]:
    """Return each setting by its name, with what said so.

    Raises:
        click.UsageError: the file is wrong.
    """
    path = config_path()
    in_file = read_config(path, KINDS)
    given: dict[str, Chosen] = ctx.meta.get(_META_KEY, {})
    chosen = {name: Chosen(None, "default") for name in KINDS}
    chosen["server"] = Chosen(_DEFAULT_SERVER, "default")
    for name, value in in_file.items():
        if name.endswith("_file"):
            # A file beside the configuration is named without the way there.
            value = str(path.parent / Path(str(value)).expanduser())  # noqa: PLW2901
        chosen[name] = Chosen(value, str(path))
    return chosen | given


def settings_of(ctx: click.Context) -> Settings:
    """Return what to ask with. Raises click.UsageError."""
    chosen = chosen_settings(ctx)

    def text(name: str) -> str | None:
        value = chosen[name].value
        return None if value is None else str(value)

    files = {name: text(name) for name in ("ca_file", "cert_file", "key_file")}
    tls = chosen["tls"].value
    is_token = _rank(chosen["token"]) >= _rank(chosen["token_file"])
    return Settings(
        server=text("server") or _DEFAULT_SERVER,
        token=text("token") if is_token else None,
        token_file=None if is_token else text("token_file"),
        is_tls=(any(files.values()) or None) if tls is None else bool(tls),
        **files,
    )


def _rank(chosen: Chosen) -> int:
    """Return how much a value counts beside another one that stands for the same."""
    if chosen.value is None:
        return 0
    return 3 if chosen.origin.startswith("--") else 2 if chosen.origin.startswith("QCLI_") else 1


def _file_setting(short: str, name: str, text: str) -> Callable[[Decorated], Decorated]:
    variables = [
        "QCLI_" + each.removeprefix("--").replace("-", "_").upper() for each in (name, short)
    ]
    field = name.removeprefix("--").replace("-", "_")
    return _setting(short, name, field, metavar="FILE", envvar=variables, help=f"{text} PEM.")


def _setting(*names: str, **attributes: Any) -> Callable[[Decorated], Decorated]:  # noqa: ANN401
    return click.option(*names, expose_value=False, callback=_remember, **attributes)


def _variable(param: click.Parameter) -> str:
    """Return the variable that has said it, of those that can."""
    names = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
    return next((name for name in names if os.environ.get(name)), names[0])


def _remember(ctx: click.Context, param: click.Parameter, value: Value) -> None:
    """Note a setting. A command shares `meta` with its group and is read after it."""
    assert param.name is not None
    if value is None:
        return
    is_variable = ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT
    names = param.secondary_opts if value is False else param.opts
    origin = _variable(param) if is_variable else max(names, key=len)
    ctx.meta.setdefault(_META_KEY, {})[param.name] = Chosen(value, origin)
