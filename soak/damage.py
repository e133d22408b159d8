"""Each byte of a data directory is changed, one at a time: nothing wrong may ever be served.

    make damage
    make damage ARGS='--minutes 10 --seed 7'
    make damage ARGS='--file q.db-wal --offset 118 --flipped 4'

A small data directory holds a bit of everything (tests/store/damage.py): as a q has left it that
was ended, to change its database, and one that was killed, to change its log. A changed byte is
where nothing is kept; or the message that it is part of is refused; or q does not start and says
why; or it is as if the last commit had never been, which is all that can be told of a log.
Whatever a server refuses, `q check` has to find.

Bytes are tried in any order, so that a run that is to end early has tried some of everywhere.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Final

from qmq.store.local.directory import DATABASE
from tests.store.damage import (
    FILES,
    REFUSED,
    RIGHT,
    TOLD,
    UNSEEN,
    WITHOUT_LAST,
    WRONG,
    Damage,
    files_of,
    fill,
)

#: Bytes that a process tries at a time.
_SLICE: Final = 200

_BETWEEN_LINES_S: Final = 20.0

#: What is printed of what went wrong at most.
_TOLD_MAX: Final = 20

_OUTCOMES: Final = (RIGHT, TOLD, REFUSED, WITHOUT_LAST, WRONG, UNSEEN)
_HEADS: Final = {
    RIGHT: "as it was",
    TOLD: "one message is refused",
    REFUSED: "q does not start",
    UNSEEN: "refused, and sound to `q check`",
}

#: Where a byte is, which bits of it are changed, and what became of that.
Tried = tuple[int, int, str]


async def _made(root: Path) -> dict[str, dict[str, bytes]]:
    """Make data directories, and return the files of which a byte of some file is changed."""
    await fill(root / "ended", root / "killed")
    killed = files_of(root / "killed")
    return {
        file: {DATABASE: files_of(root / "ended")[DATABASE]} if file == DATABASE else killed
        for file in FILES
    }


def _try_some(
    root: Path, file: str, files: dict[str, bytes], where: Sequence[tuple[int, int]]
) -> list[Tried]:
    """Change bytes, each by itself, in a process of its own."""
    data = Path(tempfile.mkdtemp(dir=root))

    async def all_of_them() -> list[Tried]:
        damage = Damage(data, file, files)
        await damage.begin()
        return [
            (offset, flipped, await damage.outcome(offset, flipped)) for offset, flipped in where
        ]

    try:
        return asyncio.run(all_of_them())
    finally:
        shutil.rmtree(data)


def _slices(
    made: dict[str, dict[str, bytes]], seed: int
) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Return all bytes of all files, in any order, some of one file at a time."""
    slices = []
    for file, files in made.items():
        chance = random.Random(f"{seed}/{file}")
        where = [(offset, chance.randrange(1, 256)) for offset in range(len(files[file]))]
        chance.shuffle(where)
        slices += [(file, where[at : at + _SLICE]) for at in range(0, len(where), _SLICE)]
    random.Random(seed).shuffle(slices)
    return iter(slices)


class Table:
    """What became of the bytes that were changed."""

    def __init__(self, made: dict[str, dict[str, bytes]]) -> None:
        self._bytes = {file: len(files[file]) for file, files in made.items()}
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._told_s = time.monotonic()
        #: How many were wrong.
        self.wrong = 0

    def note(self, file: str, tried: Sequence[Tried]) -> None:
        """Count, and tell what is wrong, and now and then how far it is."""
        for offset, flipped, outcome in tried:
            self._outcomes[file, outcome] += 1
            if outcome in {WRONG, UNSEEN}:
                self.wrong += 1
                if self.wrong <= _TOLD_MAX:
                    print(
                        f"{outcome}; again: make damage ARGS='--file {file} --offset {offset}"
                        f" --flipped {flipped}'",
                        flush=True,
                    )
        now_s = time.monotonic()
        if now_s - self._told_s >= _BETWEEN_LINES_S:
            self._told_s = now_s
            total = sum(self._bytes.values())
            done = self._outcomes.total()
            print(f"{done:,} of {total:,} bytes, {self.wrong:,} went wrong", flush=True)

    def __str__(self) -> str:
        """Return it in Markdown."""
        rows = [
            ["file", "bytes", "tried", *(_HEADS.get(each, each) for each in _OUTCOMES)],
            ["---", *["---:"] * (2 + len(_OUTCOMES))],
        ]
        for file, size in self._bytes.items():
            of_file = [self._outcomes[file, outcome] for outcome in _OUTCOMES]
            rows.append([f"`{file}`", *(f"{each:,}" for each in (size, sum(of_file), *of_file))])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _run(made: dict[str, dict[str, bytes]], root: Path, asked: argparse.Namespace) -> Table:
    """Try all bytes, as far as there is time."""
    table = Table(made)
    end_s = time.monotonic() + asked.minutes * 60
    slices = _slices(made, asked.seed)
    with ProcessPoolExecutor(asked.processes) as pool:
        running: dict[Future[list[Tried]], str] = {}

        def begin(count: int) -> None:
            for file, where in islice(slices, count):
                running[pool.submit(_try_some, root, file, made[file], where)] = file

        begin(2 * asked.processes)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                table.note(running.pop(future), future.result())
            if not asked.minutes or time.monotonic() < end_s:
                begin(len(done))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, try, and print a table.

    Returns:
        The status to exit with: 1 if something wrong was served, or not found.
    """
    parser = argparse.ArgumentParser(description="Change each byte of a data directory.")
    parser.add_argument("--seed", type=int, default=1, help="decides the order, and which bits")
    parser.add_argument("--minutes", type=float, default=0.0, help="0, the default: to the end")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--file", choices=FILES, default=DATABASE, help="of the one byte to try")
    parser.add_argument("--offset", type=int, help="the one byte to try")
    parser.add_argument("--flipped", type=int, default=1, help="which bits of it")
    asked = parser.parse_args(arguments)
    # Where it is in memory, a sync takes no time.
    shared = Path("/dev/shm")  # noqa: S108 - The directory within it is made for us alone.
    root = Path(tempfile.mkdtemp(prefix="q-damage-", dir=shared if shared.is_dir() else None))
    try:
        made = asyncio.run(_made(root))
        if asked.offset is None:
            table = _run(made, root, asked)
        else:
            table = Table(made)
            where = [(asked.offset, asked.flipped)]
            table.note(asked.file, _try_some(root, asked.file, made[asked.file], where))
    finally:
        shutil.rmtree(root)
    print(f"\n{table}\n\nseed {asked.seed}, {table.wrong:,} went wrong", flush=True)
    return bool(table.wrong)


if __name__ == "__main__":
    sys.exit(main())
