"""A table of options: a frozen dataclass, each field of which says all about itself."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from qmq.server.option_kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of the table: everything about a field but its value."""

    #: As on the command line, the long one last: `-d`, `--debug`. Of an argument that stands
    #: alone, its name.
    flags: tuple[str, ...]
    kind: Kind
    #: What holds where no value is given, as a person would write it; empty: one has to be.
    default_text: str
    #: Makes the default, where its text only describes it.
    make_default: Callable[[], Any] | None
    #: Of a number; empty for everything else.
    unit: str
    #: What the option is for, in sentences.
    help: str
    #: What its environment variable begins with.
    prefix: str
    #: A text of a value to show where that of the default is none.
    example: str
    #: Whether another value is taken over on SIGHUP.
    is_reloadable: bool

    @property
    def name(self) -> str:
        """The field of the dataclass, and its key in a configuration file."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    @property
    def is_flag(self) -> bool:
        """Whether it is a flag of the command line, rather than an argument that stands alone."""
        return self.flags[-1].startswith("-")

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return not self.default_text

    @property
    def variable(self) -> str:
        """The environment variable, which counts where the flag is not given."""
        return f"{self.prefix}_{self.name.upper()}"

    def default(self) -> Any:  # noqa: ANN401  # a value of the kind
        """Return the value that holds where none is given."""
        return self.make_default() if self.make_default else self.kind.parse(self.default_text)


def option(  # noqa: PLR0913  # one for each thing that a row says
    *flags: str,
    kind: Kind,
    default_text: str,
    help: str,  # noqa: A002  # what click calls it, too
    unit: str = "",
    make_default: Callable[[], Any] | None = None,
    prefix: str = "Q",
    example: str = "",
    is_reloadable: bool = False,
) -> Any:  # noqa: ANN401  # like dataclasses.field: its result suits every type
    """Make a field of a dataclass that is a table of options."""
    row = Option(
        flags=flags,
        kind=kind,
        default_text=default_text,
        make_default=make_default,
        unit=unit,
        help=help,
        prefix=prefix,
        example=example or default_text,
        is_reloadable=is_reloadable,
    )
    return field(default_factory=row.default, metadata={"option": row})


class Contradiction(ValueError):
    """Options contradict each other."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(sentences[0])
        #: Each names the options that it is about as the command line does.
        self.sentences = sentences


@dataclass(frozen=True, slots=True)
class Table:
    """Base of the dataclasses whose every field is made by `option`.

    Raises:
        Contradiction: options contradict each other; the message says how the first do.
    """

    def __post_init__(self) -> None:
        contradictions = list(self.contradictions())
        if contradictions:
            raise Contradiction(contradictions)

    def contradictions(self) -> Iterator[str]:
        """Yield how valid options contradict each other, as sentences that name them."""
        yield from ()

    @classmethod
    def contradictions_of(cls, texts: Mapping[str, str]) -> Sequence[str]:
        """Return how options contradict each other whose texts, by name, are each valid."""
        needed = {row.name: row.example for row in cls.options() if row.is_required}
        try:
            cls.from_texts({**needed, **texts})
        except Contradiction as error:
            return error.sentences
        return ()

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """Return the rows, in the order in which help and reference list them."""
        return tuple(each.metadata["option"] for each in fields(cls))

    def to_json(self) -> str:
        """Write the values as a JSON object of texts, one for each option."""
        rows = self.options()
        return json.dumps({row.name: row.kind.format(getattr(self, row.name)) for row in rows})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls.from_texts(json.loads(text))

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Make a table of options by name, as text; those left out have their defaults.

        Raises:
            ValueError: a text breaks its option's rule, or options contradict each other.
        """
        kinds = {row.name: row.kind for row in cls.options()}
        return cls(**{name: kinds[name].parse(text) for name, text in texts.items()})
