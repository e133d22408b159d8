"""Writes the reference of q's options from the table in the code: configuration_page.py FILE."""

import sys
import textwrap
from pathlib import Path

from qmq.server.config import OPTIONS
from qmq.server.option_kinds import BOOLEAN
from qmq.server.option_table import Option

INTRODUCTION = """\
# Configuration of q

<!-- Generated from src/qmq/server/config.py by `make docs`. -->

`q` is told everything when it starts, by flags or by environment variables. A flag wins over
its variable; an empty variable counts as one that is not set. A value that breaks its rule is
an error: `q` names the option, the value and the rule, and exits with status 2.
"""


def section(option: Option) -> str:
    """Return what there is to say of one option."""
    if option.kind is BOOLEAN:
        flags = ", ".join(f"`{flag}`" for flag in option.flags)
        flags += f"; `--no-{option.name.replace('_', '-')}` undoes the variable"
    else:
        flags = ", ".join(f"`{flag} {option.kind.placeholder}`" for flag in option.flags)
    unit = f" {option.unit}" if option.unit else ""
    return f"""
## {option.name.replace("_", " ").capitalize()}

{textwrap.fill(option.help, 100)}

- Flag: {flags}
- Environment: `{option.variable}={option.kind.placeholder}`
- Default: `{option.default_text}`{unit}
"""


def main(file: str) -> None:
    """Write the page."""
    Path(file).write_text(INTRODUCTION + "".join(map(section, OPTIONS)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
