"""Writes the reference of the options of q and qrest: configuration_page.py FILE."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qmq.server.config import Config
from qmq.server.gateway_config import GatewayConfig
from qmq.server.option_kinds import BOOLEAN
from qmq.server.option_table import Option, Table

INTRODUCTION: Final = """\
# Configuration

<!-- Generated from src/qmq/server/config.py and gateway_config.py by `make docs`. -->

Options of `q` and `qrest` are set by flags, by environment variables, or in a configuration file. A
flag wins over its variable, the variable over the file, and the file over the default. An empty
variable counts as not set.

```sh
q config example > q.toml         # every option, explained and commented out
q config check q.toml             # lists all mistakes by line; status 1 if there are any
q --config q.toml config show     # each value, and whether a flag, a variable or the file set it
q --config q.toml
```

The file is TOML, with one key for each option. Name it by `--config FILE` or `Q_CONFIG`, for qrest
`QREST_CONFIG`. If it has a password in it, only q should be able to read it; `config show` masks
passwords. For qrest, add `--program qrest` to `q config example` and `q config check`.

A wrong value is an error: the program names the option, the value and the rule, and exits with
status 2. An unknown key in the file is an error too.

**On SIGHUP the file is read again.** What is marked as applied below changes at once; other changes
need a restart. The log says which is which. If the file has mistakes, the log lists them, and
nothing changes. Flags and variables stay as they are.
"""


def overview(program: str, table: type[Table]) -> Iterator[str]:
    """Yield the lines of a table of all options."""
    yield f"\n## Options of {program}\n"
    yield "\n| option | variable | key | default | unit | on SIGHUP |\n|---|---|---|---|---|---|\n"
    for row in table.options():
        cells = (
            f"[`{_bare_flag(program, row)}`](#{anchor(program, row)})",
            f"`{row.variable}`",
            f"`{row.name}`",
            "" if row.is_required else f"`{row.default_text}`",
            row.unit,
            "applied" if row.is_reloadable else "",
        )
        yield f"| {' | '.join(cells)} |\n"


def anchor(program: str, row: Option) -> str:
    """Return the anchor of the section of an option."""
    return heading(program, row).lower().replace(" ", "-")


def heading(program: str, row: Option) -> str:
    """Return the heading of the section of an option."""
    name = row.name.replace("_", " ").capitalize()
    return name if program == "q" else f"{name} of {program}"


def _bare_flag(program: str, row: Option) -> str:
    """Return the long flag of an option, without a value."""
    flag = row.flags[-1] if row.is_flag else row.name.upper()
    return flag if program == "q" else f"{program} {flag}"


def _flags(program: str, row: Option) -> list[str]:
    """Return how an option is written on the command line."""
    lead = "" if program == "q" else f"{program} "
    if not row.is_flag:
        return [f"`{lead}{row.name.upper()}`"]
    value = "" if row.kind is BOOLEAN else f" {row.kind.placeholder}"
    return [f"`{lead}{flag}{value}`" for flag in row.flags]


def section(program: str, row: Option) -> str:
    """Return what there is to say of one option."""
    flags = ", ".join(_flags(program, row))
    if row.kind is BOOLEAN:
        lead = "" if program == "q" else f"{program} "
        flags += f"; `{lead}--no-{row.name.replace('_', '-')}` undoes the variable"
    unit = f" {row.unit}" if row.unit else ""
    default = "none: it has to be told" if row.is_required else f"`{row.default_text}`{unit}"
    return f"""
### {heading(program, row)}

{textwrap.fill(row.help, 100, break_on_hyphens=False)}

- {"Flag" if row.is_flag else "Argument"}: {flags}
- Environment: `{row.variable}={row.kind.placeholder}`
- File: `{row.name} = {row.kind.toml_of(row.example)}`
- Default: {default}
- On SIGHUP: {"applied" if row.is_reloadable else "a change needs a restart"}
"""


def main(file: str) -> None:
    """Write the page."""
    parts = [INTRODUCTION]
    tables: dict[str, type[Table]] = {"q": Config, "qrest": GatewayConfig}
    for program, table in tables.items():
        parts.extend(overview(program, table))
        parts.extend(section(program, row) for row in table.options())
    Path(file).write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
