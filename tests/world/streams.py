"""Streams of a world: what a client and a server send each other, in order or not at all."""

import asyncio
from contextlib import aclosing
from typing import Any, Final

from qmq.engine.waiting import Gone
from qmq.errors import QError
from qmq.transport.consume_service import ConsumeService
from qmq.transport.framing import Deframer, frame
from qmq.transport.streams import Requests
from qmq.wire import q_pb2 as pb
from tests.world.history import History, Op
from tests.world.network import LINGERS_S, Broken, Network, NobodyThere, Serves

_REQUEST_BYTES_MAX: Final = 256 * 1024

_DISCONNECT: Final[dict[str, Any]] = {"type": "http.disconnect"}


class Reply:
    """What came on a stream."""

    def __init__(self, response: pb.ConsumeResponse, queues: list[str]) -> None:
        self.response = response
        #: Of messages: the names of their queues.
        self.queues = queues


class Stream:
    """A stream from a client to whichever server there is when it begins."""

    def __init__(self, network: Network, history: History, op: Op) -> None:
        """Make one that `open` opens.

        Args:
            network: loses what is on its way, and the stream with it.
            history: tells when.
            op: the call that opens it.
        """
        self._network = network
        self._history = history
        self._op = op
        self._replies: asyncio.Queue[Reply | Exception] = asyncio.Queue()
        #: On their way to the server, and what has come to it.
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_broken = False
        #: Whether the server goes on as if nothing were, once it is broken.
        self._is_unnoticed = False
        #: Where the history was when the server sent what came last.
        self._sent_at = op.begin

    def begin(self) -> None:
        """Begin, in a task of its own."""
        loop = self._network.loop
        self._tasks = [loop.create_task(self._carry_requests()), loop.create_task(self._serve())]

    def send(self, request: pb.ConsumeRequest) -> None:
        """Send a request."""
        body = frame(request.SerializeToString())
        self._sent.put_nowait({"type": "http.request", "body": body, "more_body": True})

    def end(self) -> None:
        """Say that there are no further requests: it ends when those are answered."""
        self._let_go(self._history.length)
        self._sent.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        """Go away, of which the server hears at once, or after some time."""
        self._let_go(self._history.length)
        self._break()
        for task in self._tasks[:1]:
            task.cancel()

    async def receive(self) -> Reply | None:
        """Wait for what comes next; None is the end.

        Raises:
            NobodyThere: there is no server.
            Broken: it has ended, or the connection broke.
            QError: it has ended the stream.
        """
        reply = await self._replies.get()
        if isinstance(reply, _Ended):
            return None
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _let_go(self, place: float) -> None:
        self._op.let_go = min(self._op.let_go, place)

    def _break(self) -> None:
        """Let nothing come through any more."""
        if self._is_broken:
            return
        self._is_broken = True
        self._let_go(self._history.length)
        self._is_unnoticed = self._network.chance.random() < 0.5
        lingers_s = LINGERS_S if self._is_unnoticed else 0.0
        self._network.loop.call_later(lingers_s, self._came.put_nowait, _DISCONNECT)

    async def _carry_requests(self) -> None:
        while not self._is_broken:
            event = await self._sent.get()
            if not await self._network.travel():
                self._lose()
                return
            self._came.put_nowait(event)

    def _lose(self) -> None:
        """Have the connection break, and the client hear of it."""
        self._break()
        self._replies.put_nowait(Broken())

    async def _serve(self) -> None:
        await self._network.travel()
        server = self._network.server()
        if server is None:
            self._let_go(self._op.begin)
            self._replies.put_nowait(NobodyThere())
            return
        answer = server.run(self._answer(server))
        await asyncio.wait((answer, server.ended), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() or answer.cancelled():
            answer.cancel()
            # What a server releases that ends in order it has released after that.
            self._let_go(self._sent_at)
            self._is_broken = True
            self._replies.put_nowait(Broken())
        else:
            answer.result()

    async def _answer(self, server: Serves) -> None:
        """Serve the stream as the transport does."""
        requests = Requests(self._came.get, Deframer(_REQUEST_BYTES_MAX, b"identity"))
        serving = asyncio.ensure_future(self._send_replies(server, requests))
        reading = asyncio.ensure_future(requests.read_all())
        try:
            await asyncio.wait((serving, reading), return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not requests.is_disconnected:
                await asyncio.wait((serving,))
        finally:
            for task in (serving, reading):
                task.cancel()
            # Whoever asks what comes next is told, as by any connection that is over.
            self._came.put_nowait(_DISCONNECT)
            await asyncio.gather(serving, reading, return_exceptions=True)

    async def _send_replies(self, server: Serves, requests: Requests) -> None:
        end: Exception = _Ended()
        calls = self._network.calls(server)
        try:
            async with aclosing(ConsumeService(server.broker).consume(requests)) as replies:
                async for together in replies:
                    sent_at = self._history.length
                    found = [pb.ConsumeResponse.FromString(each) for each in together]
                    named = [
                        Reply(
                            each,
                            [
                                calls.name_of(message.queue_id) if message.queue_id else ""
                                for message in each.messages.messages
                            ],
                        )
                        for each in found
                    ]
                    if not await self._travel_back():
                        if self._is_unnoticed:
                            continue
                        return
                    self._sent_at = sent_at
                    for each in named:
                        self._replies.put_nowait(each)
        except Gone:
            return
        except QError as error:
            end = error
        # It has released what was held, at some time after it has sent something last.
        self._let_go(self._sent_at)
        if await self._travel_back():
            self._replies.put_nowait(end)

    async def _travel_back(self) -> bool:
        if self._is_broken:
            return False
        if not await self._network.travel():
            self._lose()
            return False
        return not self._is_broken


class _Ended(Exception):
    """The stream has ended, and all is well."""
