"""The catalogue of errors leaves none out, and says of each what to do."""

import re

from qmq import errors
from scripts.errors_page import EXAMPLES, page

#: What no call ends with: the base, and what a program says that cannot start.
NOT_ANSWERED = {errors.QError, errors.ConfigError, errors.DataDirectoryError}


def kinds(kind: type[errors.QError]) -> set[type[errors.QError]]:
    """Return a class and all that are made from it."""
    return {kind}.union(*map(kinds, kind.__subclasses__()))


def test_every_error_is_in_the_catalogue_once() -> None:
    """Whoever adds one gives an example of it."""
    shown = [type(error) for error in EXAMPLES]

    assert len(shown) == len({*shown})
    assert {each for each in kinds(errors.QError) if each.__module__.startswith("qmq.errors.")} == {
        *shown,
        *NOT_ANSWERED,
    }


def test_every_error_has_its_section_with_what_to_do() -> None:
    """Under its reason: what it means, a message as q says it, and advice."""
    sections = dict(
        re.findall(r"^### ([A-Z_]+)\n(.*?)(?=^##|\Z)", page(), re.DOTALL | re.MULTILINE)
    )

    assert [*sections] == [error.reason for error in EXAMPLES]
    for error in EXAMPLES:
        text = sections[error.reason]
        meaning, message, *facts, advice = text.strip().split("\n\n")
        assert meaning.endswith(".")
        assert message == f"> {error.message}"
        assert facts == (
            [f"Metadata: {', '.join(f'`{key}`' for key in error.metadata)}."]
            if error.metadata
            else []
        )
        assert len(advice) > 20
