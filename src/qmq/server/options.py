"""The options of a click command, made of a table of options: `Config`, say.

A flag counts before its environment variable, that before the configuration file, and that before
the default.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import click
from click.core import ParameterSource

from qmq.server.config_file import ConfigFile, FaultyFile, read_config_file
from qmq.server.option_kinds import BOOLEAN, Kind
from qmq.server.option_table import Option, Table
from qmq.server.reloading import Origin

#: Where the configuration file is kept until the options are read.
_FILE: Final = "qmq.config_file"

_TableT = TypeVar("_TableT", bound=Table)


#: Options that other servers have, and what does the same here.
_ELSEWHERE: Final = {
    **dict.fromkeys(("--port", "-p"), "--listen :PORT"),
    **dict.fromkeys(("--addr", "--address", "--bind", "--host"), "--listen HOST:PORT"),
    **dict.fromkeys(("--data-dir", "--datadir", "--db", "--dir"), "--data DIR"),
    **dict.fromkeys(("--verbose", "-v"), "--debug"),
}


class KnowingOthers(click.Command):
    """A command that knows what others call its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the command line apart."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            here = _ELSEWHERE.get(error.option_name, "")
            if not any(here.split(" ")[0] in each.opts for each in self.params):
                raise
            text = f"No such option {error.option_name!r}: here it is {here}."
            raise click.UsageError(text, ctx) from None


class Value(click.ParamType[Any]):
    """Reads a text by the option's kind; click then reports what is wrong with it."""

    def __init__(self, kind: Kind) -> None:
        self.name = kind.placeholder
        self._kind = kind

    def convert(
        self,
        value: Any,  # noqa: ANN401  # a text, or what click or the kind made of one
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401  # a value of the kind
        """Read a text, and leave alone what is a value already."""
        if not isinstance(value, str):
            return value
        try:
            return self._kind.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Generic[_TableT]):
    """What a program was told, by flags, variables and a file."""

    table: type[_TableT]
    #: By option name.
    values: Mapping[str, Any]
    #: Where each value comes from, by option name: `flag`, `variable Q_DEBUG`,
    #: `/etc/q/q.toml:3`, `default`.
    sources: Mapping[str, str]
    #: By option name, as text: what flags and variables say, so that the file does not count.
    fixed: Mapping[str, str]
    #: None: there is none, or it is faulty.
    file: ConfigFile | None
    #: What is wrong with the file.
    fault: FaultyFile | None

    @property
    def origin(self) -> Origin:
        """Where it comes from, to find out later what has changed."""
        return Origin(file=self.file.path if self.file else None, fixed=self.fixed)

    def config(self) -> _TableT:
        """Return what the program is to do.

        Raises:
            click.UsageError: options contradict each other, or the file is faulty.
        """
        if self.fault:
            raise click.UsageError(self.fault.message)
        try:
            return self.table(**self.values)
        except ValueError as error:
            raise click.UsageError(str(error)) from None


def options_of(
    table: type[_TableT],
) -> Callable[[Callable[[Told[_TableT]], None]], Callable[..., None]]:
    """Make a decorator of click commands: they get every option of a table, and `--config`.

    The command is called with what it was told. A value that breaks its option's rule, from
    the command line or the environment, is a usage error that names the option, the value and
    the rule; the program then exits with status 2.
    """

    def decorate(run: Callable[[Told[_TableT]], None]) -> Callable[..., None]:
        @functools.wraps(run)
        def run_with(**values: Any) -> None:  # noqa: ANN401  # the fields of the table
            run(_told(table, values))

        command: Callable[..., None] = run_with
        # The decorator applied last is the option listed first.
        for option in reversed(table.options()):
            command = _click_option(option)(command)
        return _file_option(table)(command)

    return decorate


def _told(table: type[_TableT], values: Mapping[str, Any]) -> Told[_TableT]:
    context = click.get_current_context()
    read = context.meta.get(_FILE)
    file = read if isinstance(read, ConfigFile) else None
    sources, fixed = {}, {}
    for option in table.options():
        name = option.name
        match context.get_parameter_source(name):
            case ParameterSource.COMMANDLINE:
                sources[name] = "flag" if option.is_flag else "argument"
            case ParameterSource.ENVIRONMENT:
                sources[name] = f"variable {option.variable}"
            case ParameterSource.DEFAULT_MAP if file:
                sources[name] = f"{file.path}:{file.lines[name]}"
                continue
            case _:
                sources[name] = "default"
                continue
        fixed[name] = option.kind.format(values[name])
    return Told(
        table=table,
        values=values,
        sources=sources,
        fixed=fixed,
        file=file,
        fault=read if isinstance(read, FaultyFile) else None,
    )


def _file_option(table: type[Table]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def read(context: click.Context, _: click.Parameter, path: Path | None) -> None:
        if path is None:
            return
        try:
            # Where it is must not depend on where the program is, when it is read anew.
            file = read_config_file(path.absolute(), table)
        except FaultyFile as error:
            # Only commands that need the file report its faults.
            context.meta[_FILE] = error
        else:
            context.meta[_FILE] = file
            repeated = {row.name for row in table.options() if row.kind.is_repeated}
            context.default_map = {
                name: (text,) if name in repeated else text for name, text in file.texts.items()
            }

    prefix = table.options()[0].prefix
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar=f"{prefix}_CONFIG",
        show_envvar=True,
        expose_value=False,
        # Before the options for which it has values.
        is_eager=True,
        callback=read,
        help="A TOML file that has what neither flags nor variables say. Read again on SIGHUP.",
    )


def together(kind: Kind) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], Any]:
    """Return a callback that reads all texts of a repeated option as one value."""

    def read(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> Any:  # noqa: ANN401  # a value of the kind
        return Value(kind).convert(" ".join(texts), parameter, context)

    return read


def _type_of(option: Option) -> click.ParamType[Any]:
    if option.kind.is_repeated:
        return click.STRING
    # Click takes its own reader of booleans and no other for a flag of two forms.
    return click.BOOL if option.kind is BOOLEAN else Value(option.kind)


def _default_of(option: Option) -> Any:  # noqa: ANN401  # as click has it
    if option.kind is BOOLEAN:
        return option.default()
    if option.kind.is_repeated:
        return (option.default_text,)
    return option.make_default or option.default_text


def _click_option(option: Option) -> Callable[[Callable[..., None]], Callable[..., None]]:
    if not option.is_flag:
        return click.argument(
            option.name,
            metavar=option.name.upper(),
            type=Value(option.kind),
            envvar=option.variable,
        )
    is_switch = option.kind is BOOLEAN
    *short, long = option.flags
    return click.option(
        *short,
        # So that the command line can take back what the environment says.
        f"{long}/--no-{long.removeprefix('--')}" if is_switch else long,
        type=_type_of(option),
        is_flag=is_switch,
        multiple=option.kind.is_repeated,
        callback=together(option.kind) if option.kind.is_repeated else None,
        metavar=None if is_switch else option.kind.placeholder,
        default=_default_of(option),
        show_default=option.default_text
        if option.make_default or option.kind.is_repeated
        else True,
        envvar=option.variable,
        show_envvar=True,
        help=option.help,
    )
