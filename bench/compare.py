"""Measures q of another commit and q of these files by turns, and prints how they compare.

    make bench-compare REF=v0.1.0

The other commit is checked out in a worktree of its own under build/compare, with a virtual
environment of its own; the load generators are those of these files.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from run import commit, names
from servers import Running, running_q, scratch_directory
from suite import machine
from suite.report import shape
from suite.results import Result, ratios, spread
from suite.runner import Runner, steps
from suite.scenarios import Point, System, chosen, points, sessions

_ROOT = Path(__file__).parent.parent
_WORKTREES = _ROOT / "build/compare"


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(description="q of another commit beside q of these files.")
    parser.add_argument("ref", help="a commit, tag or branch")
    parser.add_argument("--only", type=names, default=["unary", "batches"])
    parser.add_argument("--durability", type=names, default=["fsync", "memory"])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="few points")
    arguments = parser.parse_args()
    try:
        wanted = chosen(points(quick=arguments.quick), arguments.only)
    except ValueError as error:
        sys.exit(f"--only: {error}")
    pythons = {"there": check_out(arguments.ref), "here": sys.executable}
    systems = pairs(arguments.durability)

    def start(system: System, directory: Path) -> AbstractContextManager[Running]:
        return running_q(directory, pythons[system.name.partition("-")[0]])

    with scratch_directory() as scratch:
        result = Result(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit(),
            machine=machine.describe(Path(scratch)),
            fsync={},
            repetitions=arguments.repetitions,
            seconds=arguments.seconds,
            quick=arguments.quick,
        )
        todo = steps(sessions(wanted), systems, arguments.repetitions)
        Runner(result, start, Path(scratch)).run(todo)
    print(f"{arguments.ref} (there) and {result.commit} (here)")
    print("\n".join(table(result, wanted, arguments.durability)))


def pairs(durabilities: Sequence[str]) -> list[System]:
    """List what is compared: those that belong together one after the other."""
    return [
        System(f"{where}-{durability}", "q", where, durability)
        for durability in durabilities
        for where in ("there", "here")
    ]


def check_out(ref: str) -> str:
    """Make a worktree of a commit, and return the interpreter that its q is installed for."""
    found = subprocess.run(
        ["git", "-C", str(_ROOT), "rev-parse", "--verify", "--short=10", f"{ref}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        sys.exit(f"there is no commit {ref}")
    tree = _WORKTREES / found.stdout.strip()
    if not tree.exists():
        command = [
            "git",
            "-C",
            str(_ROOT),
            "worktree",
            "add",
            "--force",
            "--quiet",
            "--detach",
            str(tree),
        ]
        subprocess.run([*command, found.stdout.strip()], check=True)
    if shutil.which("make") is None:
        sys.exit("make is missing")
    # What make was called with here is not for there.
    subprocess.run(["env", "-u", "MAKEFLAGS", "make", "-C", str(tree), "setup"], check=True)
    return str(tree / ".venv/bin/python")


def table(result: Result, wanted: Sequence[Point], durabilities: Sequence[str]) -> Iterator[str]:
    """Write the ratios as a Markdown table: above 1, these files are faster."""
    yield "| shape | what | durability | there, messages/s | here | here : there | spread |"
    yield "|---|---|---|---|---|---|---|"
    for point in wanted:
        for durability in durabilities:
            here, there = (result.of(f"{where}-{durability}", point) for where in ("here", "there"))
            compared = ratios(here, there)
            if compared is None:
                yield (
                    f"| {shape(point)} | {point.kind} | {durability}"
                    f" | {there.failure} | {here.failure} | | |"
                )
                continue
            rates = [spread([run.per_s for run in each.runs]).median for each in (there, here)]
            yield (
                f"| {point.family}: {shape(point, here.runs)} | {point.kind} | {durability}"
                f" | {rates[0]:,.0f} | {rates[1]:,.0f} | {compared.median:.2f}"
                f" | {compared.low:.2f} to {compared.high:.2f} |"
            )


if __name__ == "__main__":
    main()
