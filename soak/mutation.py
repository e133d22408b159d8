"""Puts a fault into q on purpose, one after the other, and sees that tests find each.

    make mutants
    python -m soak.mutation --only skip-fsync,forget-the-fence

The faults are listed in soak/mutants.toml. Each is put into a copy of the source, so that the
files here stay as they are; the tests named beside it then have to fail. It prints a table, and
ends with status 1 if a fault was not found, or can not be put in since the source has changed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parent.parent
_LIST: Final = Path(__file__).parent / "mutants.toml"

#: What tests read that stands beside the source.
_BESIDE: Final = (
    "tests",
    "soak",
    "bench",
    "scripts",
    "docs",
    "proto",
    "pyproject.toml",
    "README.md",
)

#: How long a test, and all of a fault, may take in seconds: only faults that make them hang do.
_TEST_LIMIT_S: Final = 30
_LIMIT_S: Final = 120


@dataclass(frozen=True)
class Mutant:
    """A fault."""

    name: str
    #: What does not hold any more.
    breaks: str
    #: Below src/qmq.
    file: str
    old: str
    new: str
    #: Files or directories, of which some test fails.
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What the tests said of a fault."""

    mutant: Mutant
    #: The first test that failed, or how they ended otherwise; empty if they passed.
    by: str
    took_s: float


class DoesNotApply(Exception):
    """The source has changed: what is to be replaced does not stand there exactly once."""


def mutants() -> list[Mutant]:
    """Return all faults of the list, in its order."""
    listed = tomllib.loads(_LIST.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(**{**each, "tests": tuple(each["tests"])}) for each in listed]


def mutated(mutant: Mutant, source: Path) -> str:
    """Return the file with the fault.

    Args:
        mutant: the fault.
        source: the directory that holds the package qmq.

    Raises:
        DoesNotApply: it cannot be put in.
    """
    text = (source / "qmq" / mutant.file).read_text(encoding="utf-8")
    if (count := text.count(mutant.old)) != 1:
        raise DoesNotApply(f"{mutant.name}: what it replaces stands {count} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)


@contextmanager
def copy_of_source() -> Iterator[Path]:
    """Copy what tests need into a directory, which is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="q-mutants-") as directory:
        copy = Path(directory)
        shutil.copytree(_ROOT / "src", copy / "src")
        for name in _BESIDE:
            if (_ROOT / name).is_dir():
                shutil.copytree(_ROOT / name, copy / name)
            else:
                shutil.copy(_ROOT / name, copy / name)
        yield copy


def try_out(mutant: Mutant, copy: Path) -> Found:
    """Put a fault into the copy, run its tests there, and take it out again.

    Raises:
        DoesNotApply: it cannot be put in.
    """
    broken = mutated(mutant, copy / "src")
    file = copy / "src/qmq" / mutant.file
    sound = file.read_text(encoding="utf-8")
    file.write_text(broken, encoding="utf-8")
    start = time.monotonic()
    try:
        by = first_failure(copy, mutant.tests)
    finally:
        file.write_text(sound, encoding="utf-8")
    return Found(mutant, by, time.monotonic() - start)


def first_failure(copy: Path, tests: Sequence[str]) -> str:
    """Run tests on the copy until one fails, and say which; nothing if they pass.

    Raises:
        RuntimeError: they did not run.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider"]
    command.append(f"--timeout={_TEST_LIMIT_S}")
    # The copy comes before the package that is installed. Bytecode is told apart by the second
    # in which a file was written and by its size, which is too little here.
    environment = os.environ | {
        "PYTHONPATH": str(copy / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"tests hang: {' '.join(tests)}"
    if done.returncode == 0:
        return ""
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split()[1].partition("[")[0]
    raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout}{done.stderr}")


def table(found: Sequence[Found]) -> str:
    """Write what was found as a Markdown table."""
    lines = ["| fault | what does not hold then | found by |", "|---|---|---|"]
    for each in found:
        by = f"`{each.by}`" if each.by else "**nothing**"
        lines.append(f"| {each.mutant.name} | {each.mutant.breaks} | {by} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try out faults, and return the exit status."""
    parser = argparse.ArgumentParser(description="Break q on purpose; tests have to find it.")
    parser.add_argument("--only", default="", help="names of faults, with commas between them")
    options = parser.parse_args(arguments)
    wanted = [each for each in options.only.split(",") if each]
    listed = mutants()
    if unknown := set(wanted) - {each.name for each in listed}:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [each for each in listed if not wanted or each.name in wanted]
    found: list[Found] = []
    with copy_of_source() as copy:
        for at, mutant in enumerate(chosen, 1):
            try:
                found.append(try_out(mutant, copy))
            except DoesNotApply as error:
                print(error, file=sys.stderr)
                return 1
            result = f"found by {found[-1].by}" if found[-1].by else "NOT FOUND"
            print(
                f"{at}/{len(chosen)} {mutant.name}: {result} ({found[-1].took_s:.0f} s)", flush=True
            )
    print(table(found))
    return 0 if all(each.by for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
