"""The server's part of `q backup`: it holds the database's file while somebody copies it."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from qmq.errors import QError
from qmq.limits import BACKUP_FREE_BYTES_MIN
from qmq.store.local.backup_calls import (
    COPIED,
    HELD,
    KEPT,
    LINE_BYTES_MAX,
    REFUSED,
    SOCKET,
    listen_in,
)

#: Seconds from one look at how much room the log has to the next.
_LOOK_EVERY_S: Final = 0.2

_log = logging.getLogger(__name__)


class Backups:
    """Answers callers that copy the data directory, one at a time: see `backup_calls`."""

    def __init__(
        self,
        directory: Path,
        *,
        hold_file: Callable[[], Awaitable[None]],
        let_go_of_file: Callable[[], None],
        free_bytes_min: int = BACKUP_FREE_BYTES_MIN,
    ) -> None:
        """Make one that does not listen yet.

        Args:
            directory: the data directory, which this process holds.
            hold_file: keeps the database's file as it is from when it returns.
            let_go_of_file: ends that.
            free_bytes_min: bytes that the log leaves free of the disk while the file is held.
        """
        self._directory = directory
        self._hold_file = hold_file
        self._let_go_of_file = let_go_of_file
        self._free_bytes_min = free_bytes_min
        self._is_held = False
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        #: Backups that are in their place, since the start.
        self.count = 0
        #: The moment that the last of them stands for, in nanoseconds since 1970; 0 if none.
        self.last_ns = 0

    async def start(self) -> None:
        """Listen, if the file system lets one."""
        try:
            listening = listen_in(self._directory)
        except OSError as error:
            _log.warning("q backup works only while q is stopped", extra={"error": str(error)})
            return
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listening, limit=LINE_BYTES_MAX
        )

    async def close(self) -> None:
        """Let go of the file, whoever holds it, and listen no more."""
        if not self._server:
            return
        self._server.close()
        (self._directory / SOCKET).unlink(missing_ok=True)
        connections = tuple(self._connections)
        for each in connections:
            each.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to a client until it leaves."""
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, ValueError):
            # It has left, or says what no q says.
            pass
        except asyncio.CancelledError:
            _say(writer, REFUSED, "q is shutting down")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_held:
            _say(writer, REFUSED, "another backup is being made; begin when that has ended")
            return
        self._is_held = True
        # What it says is read from here on, so that it is known when it leaves.
        copied = asyncio.ensure_future(reader.readline())
        try:
            moment_ns = await self._hold_for(writer, copied)
        finally:
            copied.cancel()
            self._is_held = False
        if moment_ns and await reader.readline() == f"{KEPT}\n".encode():
            self.count += 1
            self.last_ns = moment_ns
            _log.info("backup made", extra={"moment": moment_ns / 1e9})

    async def _hold_for(self, writer: asyncio.StreamWriter, copied: asyncio.Future[bytes]) -> int:
        """Hold the file until it is copied; return the moment it stood for, 0 if it is not."""
        # All that was acknowledged until now will be in it.
        moment_ns = time.time_ns()
        holding = asyncio.ensure_future(self._hold_file())
        try:
            await asyncio.wait((holding, copied), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not holding.done():
                holding.cancel()
        try:
            await holding
        except QError as error:
            _say(writer, REFUSED, error.message)
            return 0
        except asyncio.CancelledError:
            if copied.done():
                # The other one has left.
                return 0
            raise
        try:
            _say(writer, HELD, str(moment_ns))
            while not copied.done():
                await asyncio.wait((copied,), timeout=_LOOK_EVERY_S)
                if shutil.disk_usage(self._directory).free < self._free_bytes_min:
                    _say(writer, REFUSED, self._no_room())
                    return 0
            if copied.result() != f"{COPIED}\n".encode():
                return 0
            _say(writer, COPIED)
        finally:
            self._let_go_of_file()
        return moment_ns

    def _no_room(self) -> str:
        return (
            f"less than {self._free_bytes_min >> 20} MiB are free on the disk of"
            f" {self._directory}, and what is written while a backup is made needs room;"
            " make some"
        )


def _say(writer: asyncio.StreamWriter, *words: str) -> None:
    with contextlib.suppress(OSError):
        writer.write((" ".join(words).replace("\n", " ") + "\n").encode())
