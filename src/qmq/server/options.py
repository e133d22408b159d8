"""The options of a click command, made of the table in `config`."""

import functools
from collections.abc import Callable
from typing import Any

import click

from qmq.server.config import BOOLEAN, OPTIONS, Config, Kind, Option


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


def config_options(run: Callable[[Config], None]) -> Callable[..., None]:
    """Decorate a click command: it gets every option of q, and is called with one Config.

    A value that breaks its option's rule, from the command line or the environment, is a
    usage error that names the option, the value and the rule; q then exits with status 2.
    """

    @functools.wraps(run)
    def run_with(**values: Any) -> None:  # noqa: ANN401  # the fields of Config
        try:
            config = Config(**values)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        run(config)

    command: Callable[..., None] = run_with
    # The decorator applied last is the option listed first.
    for option in reversed(OPTIONS):
        command = _click_option(option)(command)
    return command


def together(kind: Kind) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], Any]:
    """Return what reads all texts of an option that may be given several times, as one value."""

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
    is_flag = option.kind is BOOLEAN
    *short, long = option.flags
    return click.option(
        *short,
        # So that the command line can take back what the environment says.
        f"{long}/--no-{long.removeprefix('--')}" if is_flag else long,
        type=_type_of(option),
        is_flag=is_flag,
        multiple=option.kind.is_repeated,
        callback=together(option.kind) if option.kind.is_repeated else None,
        metavar=None if is_flag else option.kind.placeholder,
        default=_default_of(option),
        show_default=option.default_text
        if option.make_default or option.kind.is_repeated
        else True,
        envvar=option.variable,
        show_envvar=True,
        help=option.help,
    )
