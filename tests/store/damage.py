"""A small data directory with a bit of everything, and what a server finds in it."""

import shutil
from pathlib import Path
from typing import Final

from qmq.errors import DataDirectoryError, DataLoss
from qmq.model.changes import Changes
from qmq.store.local.checking import check_directory
from qmq.store.local.directory import DATABASE, LOG
from qmq.store.local.disk import DiskStore
from qmq.values import Store
from tests.engine.consumers import lease
from tests.engine.schedules import EVERY_MINUTE
from tests.engine.servers import Server

#: Messages that stand in a row of plain ones.
PLAIN = 150

#: Files that hold what was acknowledged.
FILES = (DATABASE, LOG)

#: The head of each frame of the log, and the page in it.
FRAME_BYTES: Final = 24 + 4096

#: What becomes of a directory of which a byte was changed: all is as it was; one message is
#: refused; the server does not start; what the last commit has changed is not there.
RIGHT: Final = "right"
TOLD: Final = "told"
REFUSED: Final = "refused"
WITHOUT_LAST: Final = "without the last commit"
#: What must not become of it: something else is served; a check does not see what a server refuses.
WRONG: Final = "wrong"
UNSEEN: Final = "unseen"


async def fill(data: Path, killed: Path) -> None:
    """Make a data directory of everything; `killed` is as it was when it was killed before its end.

    In that, nearly all is in the log, and a commit of something else comes last.
    """
    server = Server(Store.DISK, data)
    await server.start()
    await server.new_queue("jobs", ttl=3600, dedup_window=600, dead_letter_queue_id="")
    await server.new_queue("plain")
    await server.put_many([(b"%d" % number * 20, {}) for number in range(PLAIN)], "plain")
    for given in ({"priority": 7}, {"delay": 60}, {"dedup_id": "known"}, {"fair_key": "ann"}):
        await server.put(b"x" * 30, **given)
    for given in ({"group_id": "g"}, {"ttl": 30}, {}):
        await server.put(bytes(range(256)) * 40, **given)
    await server.broker.scheduling.put("jobs", "tick", EVERY_MINUTE)
    await server.broker.grouping.pause_group("jobs", "h")
    await lease(server.broker, 3)
    await server.broker.pop("plain")
    await lease(server.broker, 4, queue="plain")
    await server.new_queue("last")
    shutil.copytree(data, killed)
    await server.end()


async def found_in(data: Path) -> object:
    """Return all that a server would answer with; DataLoss for a message that is damaged.

    Raises:
        DataDirectoryError: it serves nothing.
    """
    store = DiskStore.open(data, cache_bytes_max=0)
    try:
        queues = []
        for queue in store.queues:
            known = queue.leases.by_seq
            entries = sorted({*queue.ready, *(each.entry for each in known.values())})
            envelopes = [await _read(store, entry) for entry in entries]
            states = [
                [getattr(each, name) for name in type(each).__slots__] for each in known.values()
            ]
            groups = sorted(map(repr, queue.lines.groups.all()))
            queues.append((queue.number, queue.info, envelopes, states, groups, list(queue.dedup)))
        return queues, store.schedules, store.redrives, store.clock_offset_ns
    finally:
        await store.close()


async def _read(store: DiskStore, entry: int) -> bytes | type[DataLoss]:
    try:
        [envelope] = await store.commit(Changes(), [entry])
    except DataLoss:
        return DataLoss
    return envelope


def put_back(data: Path, files: dict[str, bytes]) -> None:
    """Make a data directory of some files."""
    for file in FILES:
        (data / file).unlink(missing_ok=True)
    for file, content in files.items():
        (data / file).write_bytes(content)


def files_of(data: Path) -> dict[str, bytes]:
    """Return what is in the files of a data directory that hold what was acknowledged."""
    return {file: (data / file).read_bytes() for file in FILES if (data / file).exists()}


def problems(data: Path) -> list[str]:
    """Return what a check finds, which changes nothing; or why there is none."""
    before = files_of(data)
    try:
        found = check_directory(data).problems
    except DataDirectoryError as error:
        found = [error.message]
    assert files_of(data) == before
    return found


class Damage:
    """The files of a data directory, of which one byte at a time is not what was written."""

    def __init__(self, data: Path, file: str, files: dict[str, bytes]) -> None:
        """Take the files, which are whole; `begin` looks at them.

        Args:
            data: the directory to try in.
            file: in which of them bytes are changed.
            files: their content, by their names.
        """
        self._data = data
        self._file = file
        self._files = files
        #: What a server finds in them, and in those without the last commit.
        self._right: object = None
        self._before: object = None

    async def begin(self) -> None:
        """Find out what is in the files."""
        put_back(self._data, self._files)
        self._right = await found_in(self._data)
        if self._file == LOG:
            put_back(self._data, {**self._files, LOG: self._files[LOG][:-FRAME_BYTES]})
            self._before = await found_in(self._data)

    async def outcome(self, offset: int, flipped: int) -> str:
        """Change a byte, and return what becomes of that.

        Args:
            offset: which one.
            flipped: the bits of it that are changed.
        """
        changed = bytearray(self._files[self._file])
        changed[offset] ^= flipped
        put_back(self._data, {**self._files, self._file: bytes(changed)})
        found = problems(self._data)
        which = await self._outcome()
        # What is damaged is found by a check, also where that is all that finds it.
        return UNSEEN if which in {REFUSED, TOLD} and not found else which

    async def _outcome(self) -> str:
        try:
            found = await found_in(self._data)
        except DataDirectoryError:
            return REFUSED
        if found == self._right:
            return RIGHT
        if self._file == LOG and found == self._before:
            return WITHOUT_LAST
        return WRONG if repr(DataLoss) not in repr(found) else TOLD
