"""The floor under q: one queue behind the same Envoy, without any rule or check.

It shows what Envoy, ASGI, protobuf and one sync for all who wait cost by themselves, so
that `bench/unary.py` can say how much of it q's rules leave. It loses, refuses and
checks nothing, and is good for nothing else.
"""

import asyncio
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from queue import SimpleQueue
from typing import Any

import apsw

from qmq.wire import q_pb2 as pb

Event = MutableMapping[str, Any]
Row = tuple[int, bytes]

_HEADERS = [(b"content-type", b"application/grpc")]
_START = {"type": "http.response.start", "status": 200, "headers": _HEADERS, "trailers": True}
_OK = {
    "type": "http.response.trailers",
    "headers": [(b"grpc-status", b"0")],
    "more_trailers": False,
}


class Journal:
    """Commits rows on a thread, as many at a time as came while it was busy."""

    def __init__(self, path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = apsw.Connection(path)
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", 2)
        self._connection.execute("create table message (seq integer primary key, envelope blob)")
        self._rows: list[Row] = []
        self._gone: list[tuple[int]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._is_busy = False
        self._work: SimpleQueue[tuple[list[Row], list[tuple[int]], list[asyncio.Future[None]]]]
        self._work = SimpleQueue()
        threading.Thread(target=self._commit_all, daemon=True).start()

    def insert(self, row: Row) -> asyncio.Future[None]:
        """Keep a row."""
        self._rows.append(row)
        return self._wait()

    def delete(self, seq: int) -> asyncio.Future[None]:
        """Forget a row."""
        self._gone.append((seq,))
        return self._wait()

    def _wait(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(future)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        self._work.put((self._rows, self._gone, self._waiters))
        self._rows, self._gone, self._waiters = [], [], []

    def _commit_all(self) -> None:
        cursor = self._connection.cursor()
        while True:
            rows, gone, waiters = self._work.get()
            cursor.execute("begin immediate")
            cursor.executemany("insert into message values (?, ?)", rows)
            cursor.executemany("delete from message where seq = ?", gone)
            cursor.execute("commit")
            self._loop.call_soon_threadsafe(self._release, waiters)

    def _release(self, waiters: list[asyncio.Future[None]]) -> None:
        for waiter in waiters:
            waiter.set_result(None)
        self._is_busy = bool(self._waiters)
        if self._is_busy:
            self._flush()


class Floor:
    """The ASGI application."""

    def __init__(self) -> None:
        self._messages: deque[Row] = deque()
        self._seq = 0
        self._journal: Journal | None = None

    async def __call__(
        self,
        scope: Event,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        """Serve Add and Pop, whatever the queue."""
        if scope["type"] == "lifespan":
            await receive()
            if path := os.environ.get("FLOOR_DATABASE"):
                self._journal = Journal(path)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = (await receive())["body"][5:]
        reply = await (self._add(body) if scope["path"] == "/proto.Q/Add" else self._pop())
        await send(_START)
        framed = b"\0" + len(reply).to_bytes(4, "big") + reply
        await send({"type": "http.response.body", "body": framed, "more_body": False})
        await send(_OK)

    async def _add(self, body: bytes) -> bytes:
        request = pb.AddRequest.FromString(body)
        self._seq += 1
        seq = self._seq
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        response = pb.AddResponse(message=pb.Message(payload=request.message.payload))
        response.message.meta.id = str(uuid.uuid4())
        response.message.meta.created.seconds = seconds
        response.message.meta.created.nanos = nanos
        reply = response.SerializeToString()
        if self._journal:
            await self._journal.insert((seq, reply))
        self._messages.append((seq, reply))
        return reply

    async def _pop(self) -> bytes:
        seq, reply = self._messages.popleft()
        if self._journal:
            await self._journal.delete(seq)
        return reply


app = Floor()
