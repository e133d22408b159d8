"""One row of a table of options: everything about an option but its value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qmq.server.option_kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of the table: everything about a field but its value."""

    #: As on the command line, the long one last: `-d`, `--debug`.
    flags: tuple[str, ...]
    kind: Kind
    #: What holds where no value is given, as a person would write it.
    default_text: str
    #: Makes the default, where its text only describes it.
    make_default: Callable[[], Any] | None
    #: Of a number; empty for everything else.
    unit: str
    #: What the option is for, in sentences.
    help: str

    @property
    def name(self) -> str:
        """The field of the dataclass."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable, which counts where the flag is not given."""
        return f"Q_{self.name.upper()}"

    def default(self) -> Any:  # noqa: ANN401  # a value of the kind
        """Return the value that holds where none is given."""
        return self.make_default() if self.make_default else self.kind.parse(self.default_text)


def option(
    *flags: str,
    kind: Kind,
    default_text: str,
    help: str,  # noqa: A002  # what click calls it, too
    unit: str = "",
    make_default: Callable[[], Any] | None = None,
) -> Any:  # noqa: ANN401  # like dataclasses.field: its result suits every type
    """Make a field of a dataclass that is a table of options."""
    row = Option(
        flags=flags,
        kind=kind,
        default_text=default_text,
        make_default=make_default,
        unit=unit,
        help=help,
    )
    return field(default_factory=row.default, metadata={"option": row})
