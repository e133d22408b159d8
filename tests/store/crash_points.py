"""Crashes at every point of a script, and what may be there after that.

A script is played once, on a machine that remembers each write and each sync. What may be on disk
after each of these, if power is lost then, is made of that, and has to be what the server had
answered: with the call that was under way, or without it. Where writes and syncs fail, the script
is played again for each of them.
"""

import asyncio
import json
import random
import shutil
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from qmq.engine.broker import Broker
from qmq.errors import DataDirectoryError, DiskFull, QError, StoreFailed, Unavailable
from qmq.model.check import problems_of
from qmq.model.index import seq_of, size_of
from qmq.model.queue import Queue
from qmq.model.redrive import text_of as redrive_text
from qmq.model.schedule import text_of as schedule_text
from qmq.store.local.directory import DataDirectory
from qmq.store.local.disk import DiskStore
from qmq.store.local.loading import load
from qmq.store.together import Together
from qmq.testing import ManualClock, seeded_ids
from qmq.values import Store
from tests.store.crash_scripts import Script, Stage
from tests.store.disk import WAIT_S
from tests.store.recorder import Recorder
from tests.store.watched import DATABASE
from tests.store.watched import Step as Done

#: What can happen. By the loss of power, of all that was written since the last sync of its file
#: nothing is there, or some of the writes, or some of the sectors of each; after a kill, all is.
LOST: Final = "lost"
SUBSET: Final = "subset"
TORN: Final = "torn"
KILL: Final = "kill"
#: A write or sync fails with an error of the device; a write finds no room.
EIO: Final = "eio"
ENOSPC: Final = "enospc"
POWER: Final = (LOST, SUBSET, TORN, KILL)
FAULTS: Final = (*POWER, EIO, ENOSPC)

#: How often it is drawn which writes or sectors are there, of each point.
_DRAWS: Final = {LOST: 1, SUBSET: 12, TORN: 12, KILL: 1}

#: A server is idle that is so at so many looks in a row, so many seconds apart.
_LOOKS: Final = 3
_LOOK_S: Final = 0.0002

_SECTOR_BYTES: Final = 512


class Outcome(NamedTuple):
    """What went wrong at a point, if anything did, by its kind."""

    kind: str
    text: str


class Wrong(Exception):
    """Something is not as it has to be."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.outcome = Outcome(kind, text)


#: The kinds, as the table has them.
LOSS: Final = "lost"
PHANTOM: Final = "phantom"
DUPLICATE: Final = "duplicate"
UNCLEAR: Final = "unclear"
KINDS: Final = (LOSS, PHANTOM, DUPLICATE, UNCLEAR)


@dataclass
class State:
    """All that a server holds on disk, as far as it can be told from what it held before."""

    #: By the id of a queue: what it is, and what is known of its messages, groups and dedup_ids.
    queues: dict[str, object] = field(default_factory=dict)
    #: The queue of each message, by its number.
    messages: dict[int, str] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)


def state_of(queues: Sequence[Queue], jobs: Sequence[str]) -> State:
    """Return what queues hold, which must be sound."""
    state = State(jobs=sorted(map(_without_obstacle, jobs)))
    for queue in queues:
        if problems := problems_of(queue):
            raise Wrong(UNCLEAR, f"queue {queue.info.name}: {problems}")
        known = sorted(
            tuple(getattr(each, name) for name in each.__slots__)
            for each in queue.leases.by_seq.values()
        )
        entries = {*queue.ready, *(each.entry for each in queue.leases.by_seq.values())}
        groups = queue.lines.groups
        held = [groups.info(each.id) for each in groups.all() if each.is_held]
        dedup = [tuple(each) for each in queue.dedup]
        state.queues[queue.info.id] = (queue.info, sorted(entries), known, held, dedup)
        for entry in entries:
            if seq_of(entry) in state.messages:
                raise Wrong(DUPLICATE, f"message {seq_of(entry)} is in two queues")
            state.messages[seq_of(entry)] = queue.info.id
    return state


def _without_obstacle(job: str) -> str:
    """Leave out what stands in the way now: that is kept only with something else."""
    return json.dumps(json.loads(job) | {"obstacle": ""})


class Server:
    """A server that plays a script."""

    def __init__(self, data: Path, script: Script) -> None:
        self.clock = ManualClock()
        #: Measures the time between two looks at a disk that is full, and nothing else.
        self.looks = ManualClock()
        self._directory = DataDirectory(data)
        try:
            connection = self._directory.open_database()
        except BaseException:
            self._directory.close()
            raise
        self.connection = connection
        self.disk = DiskStore(
            self._directory,
            connection,
            patience=script.patience,
            upkeep=script.upkeep,
            wait=self.looks.wait,
        )
        disk = self.disk
        self.broker = Broker(
            {Store.DISK: disk},
            clock=self.clock,
            timer=self.clock,
            chance=lambda: 0.0,
            new_id=seeded_ids(),
            held=disk,
        )
        self.is_reloaded = False
        self.has_recovered = False
        disk.on_reload = self._reload
        disk.on_recovery = lambda: setattr(self, "has_recovered", True)
        self.broker.start()
        self.stage = Stage(self.broker, self.clock)

    def _reload(self) -> None:
        disk = self.disk
        self.broker.replace(Store.DISK, disk)
        self.is_reloaded = True

    async def is_idle(self) -> None:
        """Wait until nothing is under way, so that each point comes again at the same place."""
        async with asyncio.timeout(WAIT_S):
            idle = 0
            while idle < _LOOKS:
                self.disk.check(only_reads=True)
                # The writer sees to the files only after it has told that it has committed.
                idle = idle + 1 if self.disk.is_idle else 0
                await asyncio.sleep(_LOOK_S)

    def state(self) -> State:
        """Return what it holds in memory."""
        redriving, scheduling = self.broker.redriving, self.broker.scheduling
        jobs = [redrive_text(job.redrive) for job in redriving._jobs.values()]  # noqa: SLF001
        jobs += [schedule_text(held.schedule) for held in scheduling._all()]  # noqa: SLF001
        return state_of(list(self.broker.catalog), jobs)


class Allowed(NamedTuple):
    """What may be there after a crash."""

    #: Before the call that was under way, and after it.
    states: Sequence[State]
    #: When that was.
    moment_ns: int
    #: Whether nothing between the two may be there.
    is_exact: bool


@dataclass
class Recording:
    """A script that was played without a fault."""

    script: Script
    #: What was done to the files, and when calls were answered. The first ones, so many as
    #: `begin` says, are what was there.
    steps: Sequence[Done]
    #: What was held at the beginning, and after each call.
    states: list[State]
    #: When that was.
    moments_ns: list[int]
    #: The envelope of each message that there ever was, by its number.
    envelopes: dict[int, bytes]
    begin: int
    #: How many writes and syncs there were.
    operations: int

    def allowed(self, answered: int) -> "Allowed":
        """Return what may be there.

        Args:
            answered: how many calls were answered; -1 if the server had not started, and what is
                there is what it has found.
        """
        steps = self.script.steps
        if answered < 0:
            # A redrive that was under way goes on by itself.
            return Allowed(self.states[:1], self.moments_ns[0], is_exact=self.script.found is None)
        is_exact = answered >= len(steps) or steps[answered].is_atomic
        states = self.states[answered : answered + 2]
        return Allowed(states, self.moments_ns[answered], is_exact)


def _prepare(data: Path, script: Script) -> None:
    """Make what is there at the beginning."""
    if data.exists():
        shutil.rmtree(data)
    if script.found:
        data.mkdir()
        connection = apsw.Connection(str(data / DATABASE), vfs="unix")
        connection.execute(script.found.read_text(encoding="utf-8"))
        connection.close()


async def record(data: Path, script: Script) -> Recording:
    """Play a script without a fault, in a directory of its own."""
    _prepare(data, script)
    recorder = Recorder(data)
    operations = 0

    def count(_verb: str, _file: str) -> None:
        nonlocal operations
        operations += 1

    recorder.before = count
    try:
        if script.found:
            recorder.note(Done("write", DATABASE, 0, (data / DATABASE).read_bytes()))
            recorder.note(Done("sync", DATABASE))
        begin = len(recorder.steps)
        server = Server(data, script)
        await server.is_idle()
        states, envelopes = [server.state()], dict[int, bytes]()
        moments_ns = [server.clock.now_ns()]
        recorder.note(Done("answer"))
        for step in script.steps:
            await step.do(server.stage)
            await server.is_idle()
            recorder.note(Done("answer"))
            states.append(server.state())
            moments_ns.append(server.clock.now_ns())
            envelopes |= dict(server.connection.execute("select seq, envelope from message"))
        recorded = list(recorder.steps)
        await server.broker.close()
        return Recording(script, recorded, states, moments_ns, envelopes, begin, operations)
    finally:
        recorder.unregister()


class Point(NamedTuple):
    """A point at which something happens: its number, and what is on disk after that."""

    number: int
    #: How many calls were answered; -1 if the server had not started.
    answered: int
    files: dict[str, bytes]


def numbers(recording: Recording, fault: str) -> range:
    """Return the numbers of all points at which something can happen, some of which are alike."""
    if fault not in POWER:
        return range(recording.operations)
    draws = _DRAWS[fault]
    return range(max(0, recording.begin - 1) * draws, len(recording.steps) * draws)


def points(
    recording: Recording, fault: str, seed: int, only: Container[int] | None = None
) -> Iterator[Point]:
    """Return what may be on disk after a crash, point by point; none twice.

    Args:
        recording: what was done to the files.
        fault: one of `POWER`.
        seed: decides which writes, and which sectors of them, are there.
        only: the numbers of the points that are wanted; None for all.
    """
    wanted = numbers(recording, fault) if only is None else only
    written: defaultdict[str, bytearray] = defaultdict(bytearray)
    synced: defaultdict[str, bytes] = defaultdict(bytes)
    unsynced: defaultdict[str, list[Done]] = defaultdict(list)
    answered = -1
    seen: set[tuple[int, int]] = set()
    for at, step in enumerate(recording.steps):
        if step.verb == "answer":
            answered += 1
        elif step.verb == "sync":
            synced[step.file] = bytes(written[step.file])
            unsynced[step.file].clear()
        elif step.verb == "delete":
            for each in (written, synced, unsynced):
                each.pop(step.file, None)
        else:
            _apply(written[step.file], step)
            unsynced[step.file].append(step)
        for draw in range(_DRAWS[fault]):
            number = at * _DRAWS[fault] + draw
            if number not in wanted:
                continue
            if fault == KILL:
                files = {name: bytes(content) for name, content in written.items()}
            else:
                files = {
                    name: _survivors(fault, synced[name], unsynced[name], f"{seed}/{number}/{name}")
                    for name in written
                }
            key = answered, hash(frozenset(files.items()))
            if key not in seen:
                seen.add(key)
                yield Point(number, answered, files)


def _apply(content: bytearray, step: Done) -> None:
    if step.verb == "truncate":
        del content[step.offset :]
        return
    content.extend(bytes(max(0, step.offset - len(content))))
    content[step.offset : step.offset + len(step.data)] = step.data


def _survivors(fault: str, synced: bytes, unsynced: Sequence[Done], seed: str) -> bytes:
    """Return what is there of a file of which not all was synced."""
    content = bytearray(synced)
    chance = random.Random(seed)
    for step in unsynced if fault != LOST else ():
        if fault == SUBSET or step.verb == "truncate":
            if chance.random() < 0.5:
                _apply(content, step)
            continue
        for begin in range(0, len(step.data), _SECTOR_BYTES):
            if chance.random() < 0.5:
                piece = step.data[begin : begin + _SECTOR_BYTES]
                _apply(content, Done("write", step.file, step.offset + begin, piece))
    return bytes(content)


def check_point(recording: Recording, point: Point, image: Path) -> Outcome | None:
    """Start on what is on disk after a crash, and return what is wrong with what is found there.

    Args:
        recording: tells what may be there.
        point: the crash.
        image: a directory to do that in.
    """
    for file in image.iterdir():
        file.unlink()
    for name, content in point.files.items():
        (image / name).write_bytes(content)
    (image / "q.lock").touch()
    try:
        check_directory(image, recording.allowed(point.answered), recording.envelopes)
    except Wrong as wrong:
        return wrong.outcome
    return None


def check_directory(data: Path, allowed: Allowed, envelopes: dict[int, bytes]) -> None:
    """Start on a directory, and see whether what is there may be.

    Args:
        data: the directory, which nobody holds.
        allowed: what may be there.
        envelopes: those of all messages, as far as they are known.

    Raises:
        Wrong: it may not.
    """
    try:
        with closing(DataDirectory(data)) as directory, closing(directory.open_database()) as found:
            _check_found(found, allowed, envelopes)
    except (apsw.Error, DataDirectoryError, LookupError) as error:
        raise Wrong(UNCLEAR, f"it does not start: {type(error).__name__}: {error}") from error


def _check_found(
    connection: apsw.Connection, allowed: Allowed, envelopes: dict[int, bytes]
) -> None:
    if (problem := connection.pragma("quick_check")) != "ok":
        raise Wrong(UNCLEAR, f"the database is damaged: {problem}")
    found = load(connection, Together(), lambda _read, _total: None)
    jobs = [text for _, text in (*found.redrives, *found.schedules)]
    state = state_of(found.queues, jobs)
    if state not in allowed.states:
        # That a lease has ended is told by the time, and not by what is on disk.
        for queue in found.queues:
            queue.pass_time(allowed.moment_ns)
        compare(state_of(found.queues, jobs) if allowed.is_exact else state, allowed)
    entries = {seq_of(each): each for queue in found.queues for each in _entries(queue)}
    read = dict(connection.execute("select seq, envelope from message"))
    for seq, each in entries.items():
        envelope = read.get(seq)
        if envelope is None or len(envelope) != size_of(each):
            raise Wrong(LOSS, f"message {seq} has no row, or another size")
        if envelopes.get(seq, envelope) != envelope:
            raise Wrong(LOSS, f"message {seq} is not what was added")


def _entries(queue: Queue) -> set[int]:
    return {*queue.ready, *(each.entry for each in queue.leases.by_seq.values())}


def _differences(state: State, right: State) -> str:
    """Say what is there and should not be, or is not and should be."""
    found = [*state.queues.values(), *state.jobs]
    wanted = [*right.queues.values(), *right.jobs]
    there = [each for each in found if each not in wanted]
    missing = [each for each in wanted if each not in found]
    return f"there is {there}, and not {missing}"


def compare(state: State, allowed: Allowed) -> None:
    """See whether a state is one that may be.

    Raises:
        Wrong: it is not.
    """
    states = allowed.states
    if state in states:
        return
    # Which message has left, and to where, is up to the call that is under way; not whether
    # one is there that is there before and after it.
    always = set.intersection(*(set(each.messages) for each in states))
    ever = set.union(*(set(each.messages) for each in states))
    if allowed.is_exact:
        if missing := always - set(state.messages):
            raise Wrong(LOSS, f"messages {sorted(missing)} are not there")
        if strange := set(state.messages) - ever:
            raise Wrong(PHANTOM, f"messages {sorted(strange)} are there")
        raise Wrong(LOSS, "\n".join(_differences(state, each) for each in states))
    # Messages that move have other numbers where they go.
    counts = [len(each.messages) for each in states]
    if len(state.messages) < min(counts):
        raise Wrong(LOSS, f"there are {len(state.messages)} messages, and not {counts}")
    if len(state.messages) > max(counts):
        raise Wrong(DUPLICATE, f"there are {len(state.messages)} messages, and not {counts}")


async def check_failing(
    recording: Recording, fault: str, number: int, data: Path
) -> Outcome | None:
    """Play a script in which an operation fails, and return what is wrong with what follows.

    Args:
        recording: the same script without a fault.
        fault: EIO, or ENOSPC, which lasts from then on until there is room again.
        number: of the write or sync that fails, from 0 on.
        data: a directory to do that in.
    """
    _prepare(data, recording.script)
    recorder = Recorder(data)
    faults = _Faults(fault, number)
    recorder.before = faults.before
    try:
        return await _fail(recording, faults, data)
    except Wrong as wrong:
        return wrong.outcome
    finally:
        recorder.unregister()


class _Faults:
    """Lets an operation fail."""

    def __init__(self, fault: str, number: int) -> None:
        self._fault = fault
        self._number = number
        self._count = 0
        self.have_happened = False
        self._is_full = False

    def before(self, verb: str, _file: str) -> None:
        """Be told of an operation, and let it fail if it is its turn."""
        is_it = self._count == self._number
        self._count += 1
        if self._fault == EIO and is_it:
            self.have_happened = True
            raise apsw.IOError("disk I/O error")
        if self._fault == ENOSPC and verb == "write" and (is_it or self._is_full):
            self.have_happened = self._is_full = True
            raise apsw.FullError("database or disk is full")

    def end(self) -> None:
        """Let nothing fail any more."""
        self._number = -1
        self._is_full = False


async def _fail(recording: Recording, faults: _Faults, data: Path) -> Outcome | None:
    """Play a script until something fails, and see what follows."""
    script = recording.script
    try:
        server = Server(data, script)
    except DataDirectoryError:
        faults.end()
        check_directory(data, recording.allowed(-1), {})
        return None
    answered, failed = -1, None
    try:
        for do in (_nothing, *(step.do for step in script.steps)):
            try:
                await do(server.stage)
                await server.is_idle()
            except Unavailable as error:
                failed = error
                break
            if server.is_reloaded:
                # What had no room was something that happens by itself, before a read was answered.
                failed = DiskFull("")
                break
            answered += 1
        if not faults.have_happened:
            return None
        # The call under way was answered if it was the files that failed after it.
        allowed = recording.allowed(answered)
        if isinstance(failed, DiskFull):
            await _check_full(server, allowed, faults)
            # A redrive goes on by itself meanwhile.
            allowed = Allowed([server.state()], server.clock.now_ns(), allowed.is_exact)
        elif failed:
            await _check_failed(server, script)
    finally:
        faults.end()
        await server.broker.close()
    check_directory(data, allowed, {})
    return None


async def _nothing(_: Stage) -> None:
    """Do nothing but what a server does by itself."""


async def _check_failed(server: Server, script: Script) -> None:
    """See to it that nothing is acknowledged any more, and every call is told why."""
    for step in script.steps:
        try:
            await step.do(server.stage)
        except StoreFailed as error:
            if "restart q" not in error.message:
                raise Wrong(UNCLEAR, error.message) from None
        except (QError, KeyError):
            # It never came to what it is about.
            continue
        else:
            raise Wrong(PHANTOM, "a call was acknowledged after a failure")
    for read in (server.broker.list_queues(0, ""), server.broker.stats("", 0, "")):
        try:
            await read
        except StoreFailed:
            continue
        raise Wrong(PHANTOM, "a read was answered after a failure")


async def _check_full(server: Server, allowed: Allowed, faults: _Faults) -> None:
    """See to it that nothing that was refused is there, and that all goes on by itself."""
    async with asyncio.timeout(WAIT_S):
        while not server.is_reloaded:  # noqa: ASYNC110 - Nothing tells, and it takes no time.
            await asyncio.sleep(0)
    await server.broker.stats("", 0, "")
    faults.end()
    async with asyncio.timeout(WAIT_S):
        while not server.has_recovered:
            server.looks.advance(1)
            await asyncio.sleep(0)
    # What the time has ended could not be changed until now.
    await server.broker.stats("", 0, "")
    compare(server.state(), allowed)
    queue = await server.broker.new_queue(Store.DISK)
    await server.broker.add(queue.id, b"goes on")
    await server.is_idle()
