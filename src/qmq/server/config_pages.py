"""Configurations for people: the values that hold, and an example of a file."""

import textwrap
from collections.abc import Mapping

from qmq.server.option_table import Option, Table

_COLUMNS = 100


def shown(config: Table, sources: Mapping[str, str]) -> str:
    """Return a configuration as a TOML file, passwords masked, with where each value comes from.

    Args:
        config: what holds.
        sources: where each value comes from, by option name.
    """
    lines = {
        row.name: f"{row.name} = {row.kind.toml_of(row.kind.show(getattr(config, row.name)))}"
        for row in config.options()
    }
    width = max(map(len, lines.values()))
    return "".join(f"{line:<{width}}  # {sources[name]}\n" for name, line in lines.items())


def example_file(program: str, table: type[Table]) -> str:
    """Return a configuration file of a program with every option, commented out."""
    head = (
        f"Configuration of {program}: {program} --config FILE. A flag counts before its variable, "
        "and that before what is said here."
    )
    return _comment(head) + "".join(map(_example, table.options()))


def _example(row: Option) -> str:
    default = f"Default: {row.default_text}{' ' if row.unit else ''}{row.unit}. " * bool(
        row.default_text
    )
    on_change = "Taken over on SIGHUP." if row.is_reloadable else "A change needs a restart."
    told = f"{row.kind.placeholder}. {default}{on_change}"
    value = row.kind.toml_of(row.example)
    return f"\n{_comment(row.help)}{_comment(told)}#{row.name} = {value}\n"


def _comment(text: str) -> str:
    return textwrap.fill(text, _COLUMNS, initial_indent="# ", subsequent_indent="# ") + "\n"
