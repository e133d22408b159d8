"""Faults put into q on purpose can still be put in, are found, and are told of in the docs."""

import re
from pathlib import Path

import pytest

from mutation import Mutant, copy_of_source, mutants, mutated, try_out

_ROOT = Path(__file__).parent.parent.parent
_LISTED = {each.name: each for each in mutants()}


@pytest.mark.parametrize("mutant", _LISTED.values(), ids=_LISTED)
def test_fault_can_be_put_in(mutant: Mutant) -> None:
    """What it replaces stands in the source once, and its tests are there."""
    sound = (_ROOT / "src/qmq" / mutant.file).read_text(encoding="utf-8")

    assert mutated(mutant, _ROOT / "src") != sound
    assert all((_ROOT / test).exists() for test in mutant.tests)


@pytest.mark.parametrize("name", ["skip-fsync", "forget-the-fence", "forget-numbers"])
def test_fault_is_found(name: str) -> None:
    """By the first tests that are quick; `make mutants` tries all of them."""
    with copy_of_source() as copy:
        assert try_out(_LISTED[name], copy).by


def test_harmless_change_is_not_found() -> None:
    """So it is the fault that makes tests fail, not the copy."""
    harmless = Mutant(
        name="harmless",
        breaks="nothing",
        file="model/leases.py",
        old="delivery.fence += 1",
        new="delivery.fence += 2 - 1",
        tests=("tests/model/test_leases.py",),
    )

    with copy_of_source() as copy:
        assert not try_out(harmless, copy).by


def test_docs_tell_of_each_fault() -> None:
    """In the order of the list."""
    page = (_ROOT / "docs/mutants.md").read_text(encoding="utf-8")

    header, *named = re.findall(r"^\| ([a-z-]+) \|", page, re.MULTILINE)
    assert (header, named) == ("fault", list(_LISTED))
    assert page.count("| `tests/") == len(_LISTED)
