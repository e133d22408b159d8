"""Notes, in q, when calls pass its stations; q itself has nothing of it.

Moments are of `time.perf_counter`, which all processes of a machine share. Notes are kept in
memory and written when the journal is closed, so that they cost a call some microseconds.
"""

import asyncio
import gc
import json
import sys
from array import array
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from threading import get_native_id
from time import perf_counter
from typing import Any, Final, TypeVar

from qmq.store.local.checkpoints import Checkpointer
from qmq.store.local.disk import DiskStore
from qmq.store.local.journal import Journal
from qmq.store.local.transaction import Batch
from qmq.store.local.upkeep import Upkeep
from qmq.transport.asgi import Event, Receive, Scope, Send
from qmq.transport.grpc import GrpcApp
from tailing.header import HEADER

#: The stations of a call in q, in the order in which it passes them: the application is called;
#: its change is handed in to the journal, taken by the writer, committed, told; it is answered.
_STATIONS: Final = 6
_HANDED_IN, _TAKEN, _COMMITTED, _TOLD, _ANSWERED = range(1, _STATIONS)

_T = TypeVar("_T")

Found = list[tuple["asyncio.Future[Any]", Any]]

#: The stations of the call that a task serves.
_call: ContextVar["array[float] | None"] = ContextVar("call", default=None)


def install(path: str, variant: str) -> None:
    """Have q note what it does, or be another one.

    Args:
        path: where the notes are written when q ends; none are made if it is empty.
        variant: what is different, as in `bench/tail.py`; empty: nothing.
    """
    if variant:
        name, _, value = variant.partition("=")
        _vary(name, value)
    if path:
        notes = _Notes(Path(path))
        _around(GrpcApp, "__call__", notes.serve)
        _around(Journal, "_wait_for", notes.join)
        _around(Journal, "_ask", notes.join)
        _around(Journal, "_write", notes.write)
        _around(Journal, "_release", notes.tell)
        _around(Journal, "close", notes.close)
        _around(Checkpointer, "_serve", partial(notes.time, "checkpoint, beside commits"))
        _around(Checkpointer, "proceed", partial(notes.time, "checkpoint, between commits"))
        gc.callbacks.append(notes.collect)


def _around(kind: type, name: str, how: Callable[..., Any]) -> None:
    """Have a method done by a function, which is given the method first, then its arguments."""
    method = getattr(kind, name)

    def instead(*arguments: object, **named: object) -> object:
        return how(method, *arguments, **named)

    setattr(kind, name, instead)


class _Notes:
    """What is noted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        #: By call. No lists, which the garbage collector would go through again and again.
        self._calls: dict[int, array[float]] = {}
        #: By what was done: when that began, when it ended, when the next began, and so on.
        self._spans: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._threads: dict[str, int] = {}
        #: By batches that are not told yet: the calls that wait for them.
        self._waiting: dict[Batch, list[array[float]]] = defaultdict(list)
        self._collection_began = 0.0

    async def serve(
        self,
        serve: Callable[..., Awaitable[None]],
        app: GrpcApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Note when a call comes and when it is answered, if it says which one it is."""
        stations = array("d", [perf_counter(), *[0.0] * (_STATIONS - 1)])
        number = next((value for name, value in scope["headers"] if name == HEADER), None)
        if number is None:
            await serve(app, scope, receive, send)
            return
        _call.set(stations)
        await serve(app, scope, receive, send)
        stations[_ANSWERED] = perf_counter()
        self._calls[int(number)] = stations

    def join(self, join: Callable[..., _T], journal: Journal, batch: Batch, *rest: object) -> _T:
        """Note when a call hands something in."""
        if stations := _call.get():
            stations[_HANDED_IN] = perf_counter()
            self._waiting[batch].append(stations)
        return join(journal, batch, *rest)

    def write(self, write: Callable[..., Found], journal: Journal, batch: Batch) -> Found:
        """Note when a batch is taken and when it is committed, in the writer's thread."""
        taken = perf_counter()
        found = write(journal, batch)
        committed = perf_counter()
        self._spans["commit"].extend((taken, committed))
        self._threads["writer"] = get_native_id()
        for stations in self._waiting.get(batch, ()):
            stations[_TAKEN], stations[_COMMITTED] = taken, committed
        return found

    def tell(self, tell: Callable[..., None], journal: Journal, batch: Batch, found: Found) -> None:
        """Note when those who wait for a batch are told."""
        now = perf_counter()
        self._threads["event loop"] = get_native_id()
        for stations in self._waiting.pop(batch, ()):
            stations[_TOLD] = now
        tell(journal, batch, found)

    def time(self, what: str, do: Callable[..., _T], *arguments: object) -> _T:
        """Note how long something takes."""
        began = perf_counter()
        done = do(*arguments)
        self._spans[what].extend((began, perf_counter()))
        return done

    def collect(self, phase: str, _: object) -> None:
        """Note when the garbage collector stops everything."""
        if phase == "start":
            self._collection_began = perf_counter()
        else:
            self._spans["garbage collection"].extend((self._collection_began, perf_counter()))

    async def close(self, close: Callable[..., Awaitable[None]], journal: Journal) -> None:
        """Write all that was noted, as JSON, when the journal is closed."""
        await close(journal)
        found = {
            "calls": {number: stations.tolist() for number, stations in self._calls.items()},
            "spans": {
                what: list(zip(moments[::2], moments[1::2], strict=True))
                for what, moments in self._spans.items()
            },
            "threads": self._threads,
        }
        self._path.write_text(json.dumps(found), encoding="utf-8")


class _Parrot:
    """Repeats the first reply to each method, and does nothing else."""

    def __init__(self) -> None:
        self._known: dict[str, list[Event]] = {}

    async def serve(
        self,
        serve: Callable[..., Awaitable[None]],
        app: GrpcApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer at once, once it is known how."""
        path = scope["path"]
        if known := self._known.get(path):
            await receive()
            for event in known:
                await send(event)
            return
        sent: list[Event] = []

        async def keep(event: Event) -> None:
            sent.append(event)
            await send(event)

        await serve(app, scope, receive, keep)
        if path.rpartition("/")[2] in {"Add", "Lease", "Ack"}:
            self._known[path] = sent


def _vary(name: str, value: str) -> None:
    """Make another q of it, for a measurement only.

    Raises:
        ValueError: no variant has that name.
    """
    if name == "gc-off":
        # It would be turned on when the start is over.
        gc.enable = gc.disable
    elif name == "gc":
        gc.set_threshold(int(value))
        # It would be set when the start is over.
        gc.set_threshold = _leave_thresholds
    elif name == "switch":
        sys.setswitchinterval(float(value))
    elif name == "pages":
        _around(DiskStore, "__init__", partial(_begin_with_pages, int(value)))
    elif name == "no-sync":
        _around(Journal, "_write", _write_without_sync)
    elif name == "control":
        _around(GrpcApp, "__call__", _Parrot().serve)
    else:
        raise ValueError(f"there is no variant {name}")


def _leave_thresholds(*_: int) -> None:
    """Leave when the garbage collector comes as it is."""


def _begin_with_pages(
    pages: int, begin: Callable[..., None], *arguments: object, **named: object
) -> None:
    begin(*arguments, **{**named, "upkeep": Upkeep(checkpoint_pages=pages)})


def _write_without_sync(write: Callable[..., Found], journal: Journal, batch: Batch) -> Found:
    # Whoever waits for a sync is told without one.
    batch.needs_sync = False
    return write(journal, batch)
