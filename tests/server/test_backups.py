"""A backup keeps the file as it is as long as the disk has room for the log that grows."""

import asyncio
from pathlib import Path

import pytest

from qmq.server.backups import Backups
from qmq.store.local.backup_calls import COPIED, KEPT, connect_in

#: More than any disk has.
_NO_DISK_HAS = 1 << 62


class File:
    """A database's file that can be held."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def hold(self) -> None:
        """Hold it."""
        self.events.append("held")

    def let_go(self) -> None:
        """Let go of it."""
        self.events.append("let go")


async def told(directory: Path, said: str) -> list[str]:
    """Connect, say what a copier says, and return the first words of what the server says."""
    reader, writer = await asyncio.open_unix_connection(sock=connect_in(directory))
    try:
        words = [(await reader.readline()).decode()]
        writer.write(said.encode())
        words += (await reader.read()).decode().splitlines()
        return words
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("free_bytes_min", "said", "last"),
    [(0, f"{COPIED}\n{KEPT}\n", "copied"), (_NO_DISK_HAS, "", "refused less than ")],
)
async def test_backup_is_given_up_before_the_log_has_filled_the_disk(
    tmp_path: Path, free_bytes_min: int, said: str, last: str
) -> None:
    """The file is let go of in any case, and the copier learns that it has no copy."""
    file = File()
    backups = Backups(
        tmp_path,
        hold_file=file.hold,
        let_go_of_file=file.let_go,
        free_bytes_min=free_bytes_min,
    )
    await backups.start()

    words = await told(tmp_path, said)
    await backups.close()

    assert words[0].startswith("held ")
    assert words[1].startswith(last)
    assert file.events == ["held", "let go"]
    assert backups.count == (last == "copied")
