"""Kill a process that writes, again and again, and look for what it has acknowledged."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from qmq.errors import DataDirectoryError
from qmq.store.local.directory import DataDirectory
from qmq.store.local.loading import load
from qmq.store.together import Together

#: Seconds after the first acknowledgement in which the writer is killed.
_KILL_AFTER_S: Final = (0.1, 1.0)
#: Seconds that it may take to begin.
_PATIENCE_S: Final = 30.0


def kill_a_writer(directory: Path, first: int) -> list[int]:
    """Have a process add numbers to a data directory, and kill it in the middle of that.

    Args:
        directory: made if it is missing.
        first: the first number.

    Returns:
        The numbers that it has acknowledged.

    Raises:
        DataDirectoryError: it acknowledges none.
    """
    acknowledged: list[int] = []
    has_begun = threading.Event()
    with subprocess.Popen(  # noqa: S603 - It is this very program.
        [sys.executable, "-m", "qmq.store.local.crash_writer", str(directory), str(first)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout
        assert writer.stderr
        replies = writer.stdout

        def listen() -> None:
            for line in replies:
                if line.endswith(b"\n"):
                    acknowledged.append(int(line))
                has_begun.set()
            has_begun.set()

        listening = threading.Thread(target=listen)
        listening.start()
        try:
            has_begun.wait(_PATIENCE_S)
            # When it is killed has to be different each time, and is no secret.
            time.sleep(random.uniform(*_KILL_AFTER_S))  # noqa: S311
        finally:
            writer.kill()
            listening.join()
        if not acknowledged:
            said = writer.stderr.read().decode(errors="replace").strip().splitlines()
            raise DataDirectoryError(f"nothing can be written there: {said[-1] if said else ''}")
    return acknowledged


def lost_of(directory: Path, acknowledged: Collection[int]) -> list[int]:
    """Return which of the numbers that were acknowledged are not in a data directory, in order.

    Raises:
        DataDirectoryError: it cannot be read.
    """
    with closing(DataDirectory(directory)) as opened:
        try:
            with closing(opened.open_database()) as connection:
                # As q does when it starts.
                load(connection, Together(), lambda _read, _total: None)
                found = {
                    int(bytes(envelope))
                    for (envelope,) in connection.execute("select envelope from message")
                }
        except (apsw.Error, ValueError) as error:
            raise DataDirectoryError(f"cannot read what was written: {error}") from error
    return sorted(set(acknowledged) - found)
