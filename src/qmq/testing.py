"""A broker in the process of a test, and time and randomness in the test's hand.

What runs has no use for any of this. The broker is the real one, with its real gRPC
methods; only the network, the disk and the passing of time are left out.
"""

import asyncio
import random
from base64 import b64decode
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from threading import Lock, Thread
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from qmq.client._async.client import AsyncClient
from qmq.client._sync.client import Client
from qmq.client.errors import ClientUnusable
from qmq.client.grpc_options import SERVICE_PATH
from qmq.client.on_threads.concurrency import Ended, endable_call
from qmq.client.status import DETAILS_TRAILER, error_from
from qmq.engine.broker import Broker
from qmq.ids import RandomIds
from qmq.limits import MESSAGE_BYTES_MAX, REQUEST_OVERHEAD_BYTES_MAX
from qmq.model.check import problems_of
from qmq.model.footprint import Footprint
from qmq.store.local.memory import MemoryStore
from qmq.transport.api import api_methods
from qmq.transport.asgi import Event, Scope, Send
from qmq.transport.framing import FRAME_HEAD_BYTES, frame
from qmq.transport.grpc import GrpcApp
from qmq.transport.status import Code
from qmq.values import NS_PER_S, Durability, Store

T = TypeVar("T")

_MS_PER_S: Final = 1_000

#: Where a ManualClock stands unless told otherwise: 2023-11-14 22:13:20 UTC.
START_NS: Final = 1_700_000_000 * NS_PER_S

#: What clients of a broker in the same process show as its address.
ADDRESS: Final = "this process"

#: The task that answers a call of a client. What the broker does beside its calls, as it
#: ends leases, was begun by one of them and has its context, but is another task.
_CALL: Final[ContextVar[asyncio.Task[Any] | None]] = ContextVar("_CALL", default=None)


class ManualClock:
    """A clock that stands still until it is advanced.

    It is a `qmq.clock.Clock` and a `qmq.engine.waiting.Timer`: what waits by it ends when
    it is advanced. Any thread may advance it.
    """

    def __init__(self, start_ns: int = START_NS) -> None:
        """Make a clock.

        Args:
            start_ns: where it stands, in nanoseconds since the Unix epoch.
        """
        self._now_ns = start_ns
        self._lock = Lock()
        #: What waits for the clock: until when, and what it is woken with.
        self._waits: dict[asyncio.Future[None], int] = {}
        #: How many of these are no calls.
        self._waiting_beside = 0

    def __repr__(self) -> str:
        """Tell the time."""
        return f"<ManualClock {self._now_ns} ns>"

    @property
    def waiting(self) -> int:
        """How many calls wait by this clock."""
        with self._lock:
            return len(self._waits) - self._waiting_beside

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Move the clock on, or back if negative, as a machine's clock may be set back."""
        with self._lock:
            self._now_ns += round(seconds * NS_PER_S)
            due = [wake for wake, due_ns in self._waits.items() if due_ns <= self._now_ns]
        for wake in due:
            wake.get_loop().call_soon_threadsafe(_set, wake)

    async def until_waiting(self, calls: int = 1) -> None:
        """Let other tasks run until so many calls wait by this clock."""
        while self.waiting < calls:  # noqa: ASYNC110 - Nothing tells, and it costs no time.
            await asyncio.sleep(0)

    async def wait(self, future: asyncio.Future[None], timeout_s: float) -> None:
        """Wait until the future is done, or so many seconds have passed by this clock."""
        wake = asyncio.get_running_loop().create_future()
        is_beside = _CALL.get() not in (None, asyncio.current_task())
        with self._lock:
            self._waits[wake] = self._now_ns + round(timeout_s * NS_PER_S)
            self._waiting_beside += is_beside
        try:
            await asyncio.wait((future, wake), return_when=asyncio.FIRST_COMPLETED)
        finally:
            with self._lock:
                del self._waits[wake]
                self._waiting_beside -= is_beside


def _set(wake: asyncio.Future[None]) -> None:
    if not wake.done():
        wake.set_result(None)


def seeded_ids(seed: int = 0) -> RandomIds:
    """Return a source of UUIDs that makes the same ones in each run.

    Args:
        seed: another seed, other UUIDs.

    Returns:
        A function that returns a new UUID in its canonical form, as 36 ASCII bytes.
    """
    return RandomIds(random.Random(seed).randbytes)  # noqa: S311 - Repeating it is the point.


@asynccontextmanager
async def running_broker(
    *, seed: int = 0, message_bytes_max: int = MESSAGE_BYTES_MAX
) -> AsyncIterator[tuple[AsyncClient, ManualClock]]:
    """Run a broker in this event loop, for `async with ... as (client, clock)`.

    It has no queues. DISK queues live in memory, as MEMORY queues do: nothing outlives it.

    Args:
        seed: decides on the ids of queues and messages.
        message_bytes_max: the server's option of that name.
    """
    clock = ManualClock()
    channel = _InProcess(clock, seed, message_bytes_max)
    async with AsyncClient.over(channel) as client:
        yield client, clock


@contextmanager
def running_broker_in_thread(
    *, seed: int = 0, message_bytes_max: int = MESSAGE_BYTES_MAX
) -> Iterator[tuple[Client, ManualClock]]:
    """Run a broker in another thread, for `with ... as (client, clock)`.

    Args:
        seed: as for `running_broker`.
        message_bytes_max: likewise.
    """
    clock = ManualClock()
    channel = _InThread(_InProcess(clock, seed, message_bytes_max))
    with channel.running(), Client.over(channel) as client:
        yield client, clock


class _InProcess:
    """A channel to a broker of its own: the client's calls as the server gets them from Envoy."""

    address = ADDRESS

    def __init__(self, clock: ManualClock, seed: int, message_bytes_max: int) -> None:
        footprint = Footprint()
        self._broker = Broker(
            {
                Store.MEMORY: MemoryStore(footprint),
                Store.DISK: MemoryStore(footprint, durability_max=Durability.FSYNC),
            },
            clock=clock,
            timer=clock,
            new_id=seeded_ids(seed),
            message_bytes_max=message_bytes_max,
            footprint=footprint,
        )
        self._app = GrpcApp(
            api_methods(self._broker),
            request_bytes_max=message_bytes_max + REQUEST_OVERHEAD_BYTES_MAX,
            fallback=_no_fallback,
        )
        self._calls: set[asyncio.Task[bytes]] = set()
        self._is_closed = False

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call a method."""
        self._check_open()
        task = asyncio.create_task(self._answer(method, request, timeout_s))
        self._calls.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller and not caller.cancelling():
                self._check_open()
            raise
        finally:
            self._calls.discard(task)

    def _check_open(self) -> None:
        if self._is_closed:
            raise _closed()

    async def close(self) -> None:
        """End the calls under way, and the broker.

        Raises:
            AssertionError: the broker is in a state in which it should never be: a bug of q.
        """
        self._is_closed = True
        for task in self._calls:
            task.cancel()
        await self._broker.close()
        problems = [problem for queue in self._broker.catalog for problem in problems_of(queue)]
        if problems:
            raise AssertionError("; ".join(problems))

    async def _answer(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Go through the server's side of a call."""
        _CALL.set(asyncio.current_task())
        scope: Scope = {
            "type": "http",
            "path": SERVICE_PATH + method,
            "headers": [
                (b"content-type", b"application/grpc"),
                (b"grpc-timeout", b"%dm" % max(1, round(timeout_s * _MS_PER_S))),
            ],
        }
        body = frame(request)
        headers: dict[bytes, bytes] = {}
        reply = bytearray()

        async def receive() -> Event:
            nonlocal body
            part, body = body, b""
            return {"type": "http.request", "body": part, "more_body": False}

        async def send(event: Event) -> None:
            headers.update(event.get("headers", ()))
            reply.extend(event.get("body", b""))

        await self._app(scope, receive, send)
        code = Code(int(headers[b"grpc-status"]))
        if code is Code.OK:
            return bytes(reply[FRAME_HEAD_BYTES:])
        details = headers.get(DETAILS_TRAILER.encode(), b"")
        raise error_from(
            code.name,
            unquote(headers.get(b"grpc-message", b"").decode()),
            b64decode(details + b"=="),
            address=self.address,
            timeout_s=timeout_s,
        )


class _InThread:
    """The same for threads: the broker has an event loop in a thread of its own."""

    address = ADDRESS

    def __init__(self, channel: _InProcess) -> None:
        self._channel = channel
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the event loop."""
        thread = Thread(target=self._loop.run_forever, name="qmq.testing broker")
        thread.start()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call a method."""
        if self._loop.is_closed():
            raise _closed()
        return self._wait_for(self._channel.call(method, request, timeout_s))

    def close(self) -> None:
        """End the calls under way, and the broker."""
        self._wait_for(self._channel.close())

    def _wait_for(self, call: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        endable = endable_call()
        if endable is None:
            return future.result()
        try:
            with endable.cancelling(future.cancel):
                return future.result()
        except CancelledError:
            raise Ended from None


async def _no_fallback(scope: Scope, _send: Send) -> None:
    raise AssertionError(f"every call is gRPC; {scope['path']} is not")


def _closed() -> ClientUnusable:
    return ClientUnusable(f"the client of {ADDRESS} is closed")
