"""Consume: a stream on which messages come as the consumer has room for them.

Three things go on at a time: requests of the consumer are carried out, messages are taken for it,
and replies are sent. A request begins before those before it are durable, so that they share a
commit. A consumer that does not read gets nothing more after a while, and holds up nobody else.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.engine.consuming import Consumer
from qmq.engine.waiting import Gone
from qmq.envelope import reply_with, varint
from qmq.errors import AccessDenied, InvalidArgument, LeaseLost, QueueNotFound
from qmq.limits import CREDIT_MAX
from qmq.model.selector import parse
from qmq.transport.decode import decode
from qmq.transport.in_hand import COUNTED_BYTES_MIN
from qmq.transport.lease_service import LeaseService, lease_results
from qmq.transport.methods import Methods
from qmq.transport.sources import is_by_selector
from qmq.transport.streams import Requests
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import LEVEL_2, consumer_name
from qmq.wire.times import LEASE, optional_duration_ns

#: Carries out a request about leases on the queue that has the id.
_Command = Callable[[Any, str], Awaitable[bytes]]

#: Requests of one stream whose answers are not sent yet; the client waits beyond that.
_UNANSWERED_MAX: Final = 64

#: Why the leases end that a stream leaves behind.
_REASON: Final = "the consumer's stream ended"

#: The tags of the answers in a ConsumeResponse, by the request.
_TAGS: Final = {"ack": b"\x12", "nack": b"\x1a", "extend": b"\x22"}


class ConsumeService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._broker = broker
        self._rights = rights
        leases = LeaseService(broker, rights)
        self._commands: dict[str, _Command] = {
            "ack": leases.ack_leases,
            "nack": leases.nack_leases,
            "extend": leases.extend_leases,
        }

    def methods(self) -> Methods:
        """Return the method by its gRPC path."""
        return Methods(streams={"/proto.Q/Consume": self.consume})

    async def consume(self, requests: Requests) -> AsyncGenerator[list[bytes], None]:
        """Hand out messages as they come."""
        stream = await self._opened(requests)
        serving = asyncio.ensure_future(stream.serve())
        # Nobody may be left to be told how it ended.
        serving.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            while replies := await stream.outbox.take():
                yield replies
            await serving
        finally:
            # It ends in order, by itself: nothing must interrupt what it does then.
            requests.end(Gone())
            await asyncio.wait((serving,))

    async def _opened(self, requests: Requests) -> "_Stream":
        """Take the request that opens a stream."""
        kind, request = _parted(await anext(requests, b""))
        if kind != "open":
            raise InvalidArgument(kind, "must not be the first request; that one is open")
        credit = _credit(request.credit, 1, "open.credit")
        try:
            duration_ns = optional_duration_ns(request, "lease_duration", LEASE)
            name = consumer_name(request.consumer)
            selector = request.selector if is_by_selector(request) else ""
            if selector:
                parse(selector)
            else:
                self._rights.check(Right.CONSUME, request.queue_id)
            queue_id = "" if selector else (await self._broker.get_queue(request.queue_id)).id
        except InvalidArgument as error:
            raise _inside(kind, error) from None
        consumer = Consumer(
            self._broker,
            queue_id=queue_id,
            selector=selector,
            scope=self._rights.covered(Right.CONSUME) if selector else None,
            credit=credit,
            duration_ns=duration_ns,
            name=name,
        )

        def is_its_queue(reference: str) -> bool:
            queue = self._broker.catalog.get(reference)
            return queue is not None and queue.info.id == queue_id

        def check() -> None:
            # Its tags may have changed since the stream was opened.
            if queue_id and self._broker.catalog.get(queue_id):
                self._rights.check(Right.CONSUME, queue_id)

        return _Stream(
            requests,
            consumer,
            queue_id,
            is_its_queue=is_its_queue,
            check=check,
            commands=self._commands,
        )


class _Outbox:
    """What is to be sent on a stream: answers in the order of their requests, and messages."""

    def __init__(self) -> None:
        self._answers: deque[asyncio.Task[bytes]] = deque()
        self._messages = b""
        self._is_closed = False
        #: How often something was asked for to be sent.
        self._takes = 0
        #: Set when there may be something to send.
        self._filled = asyncio.Event()
        #: Set when something was taken to be sent.
        self._emptied = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether there are as many answers as there may be."""
        return len(self._answers) >= _UNANSWERED_MAX

    def put_answer(self, answer: asyncio.Task[bytes]) -> None:
        """Send an answer once it is there, unless it turns out to be empty."""
        self._answers.append(answer)
        answer.add_done_callback(lambda _: self._filled.set())

    async def put_messages(self, messages: bytes) -> None:
        """Have messages sent, and wait until the consumer has read what came before them.

        Of many or large ones, wait until it has read nearly all of these.
        """
        is_large = len(messages) > COUNTED_BYTES_MIN
        self._messages = messages
        # They are in memory no longer than need be.
        del messages
        self._filled.set()
        while self._messages:
            await self.emptied()
        taken = self._takes
        while is_large and self._takes == taken:
            await self.emptied()

    async def emptied(self) -> None:
        """Wait until something was taken to be sent, or `wake` is called."""
        self._emptied.clear()
        await self._emptied.wait()

    def wake(self) -> None:
        """End the waiting for something to be taken."""
        self._emptied.set()

    async def close(self) -> None:
        """Take nothing more; send the answers that are under way, but no messages."""
        if self._answers:
            await asyncio.wait(self._answers)
        self._messages = b""
        self._is_closed = True
        self._filled.set()

    async def take(self) -> list[bytes]:
        """Wait for something to send, and take what there is; nothing once it is closed."""
        self._takes += 1
        self._emptied.set()
        while True:
            replies = []
            while self._answers and self._answers[0].done():
                replies.append(self._answers.popleft().result())
            replies.append(self._messages)
            self._messages = b""
            self._emptied.set()
            if any(replies) or self._is_closed:
                return list(filter(None, replies))
            self._filled.clear()
            await self._filled.wait()


class _Stream:
    """One consumer's stream, once it is open."""

    def __init__(  # noqa: PLR0913 - What it is made of.
        self,
        requests: Requests,
        consumer: Consumer,
        queue_id: str,
        *,
        is_its_queue: Callable[[str], bool],
        check: Callable[[], None],
        commands: Mapping[str, _Command],
    ) -> None:
        self._requests = requests
        self._consumer = consumer
        #: Empty if it is of all queues that a selector matches.
        self._queue_id = queue_id
        self._is_its_queue = is_its_queue
        self._check = check
        self._commands = commands
        #: Why a request was refused, which ends the stream.
        self._refusal: Exception | None = None
        self.outbox = _Outbox()
        requests.ended.add_done_callback(lambda _: self.outbox.wake())

    async def serve(self) -> None:
        """Do what the consumer asks for, and hand out messages, until the stream ends.

        In the end nothing is held any more, and what was carried out is answered.

        Raises:
            QError: what ended it, unless it was the consumer by ending its side.
            Gone: the consumer has left.
        """
        pushing = asyncio.ensure_future(self._push())
        try:
            await self._read()
        finally:
            pushing.cancel()
            await asyncio.wait((pushing,))
            await self.outbox.close()
            await self._consumer.release(_REASON)
        # The last one of all is refused when nothing more is read.
        if self._refusal:
            raise self._refusal

    async def _read(self) -> None:
        """Begin what the consumer asks for, in its order, until it ends its side."""
        async for data in self._requests:
            self._begin(*_parted(data))
            while self.outbox.is_full and not self._requests.ended.done():
                await self.outbox.emptied()

    def _begin(self, kind: str, request: Any) -> None:  # noqa: ANN401 - One of several messages.
        if kind == "open":
            raise InvalidArgument("open", "must be the first request only")
        if kind == "credit":
            credit = _credit(request.credit, 0, "credit.credit")
            self._consumer.holding.set_credit(credit)
            return
        queue_id = self._queue_id_of(kind, request.queue_id)
        # Those that are begun in one turn of the event loop run in this order.
        self.outbox.put_answer(asyncio.ensure_future(self._answer(kind, request, queue_id)))

    def _queue_id_of(self, kind: str, reference: str) -> str:
        """Return the queue that a request is about.

        Raises:
            InvalidArgument: it names another one than it may, or none where it must.
        """
        if not self._queue_id:
            if not reference:
                raise InvalidArgument(
                    f"{kind}.queue_id",
                    "must be that of the messages, since the stream is of all queues that its"
                    " selector matches",
                )
            return reference
        if reference and not self._is_its_queue(reference):
            raise InvalidArgument(
                f"{kind}.queue_id",
                f"must be that of the stream, {self._queue_id}, or be left out;"
                f" got {reference[:120]!r}",
            )
        return self._queue_id

    async def _answer(self, kind: str, request: Any, queue_id: str) -> bytes:  # noqa: ANN401 - As above.
        """Carry out a request, and return the answer; nothing if it is refused."""
        if self._refusal:
            return b""
        try:
            answer = await self._command(kind, request, queue_id)
        except Exception as error:  # noqa: BLE001 - Whatever it is, it ends the stream.
            refusal = _inside(kind, error) if isinstance(error, InvalidArgument) else error
            self._refusal = refusal
            self._requests.end(refusal)
            return b""
        return b"".join((_TAGS[kind], varint(len(answer)), answer))

    async def _command(self, kind: str, request: Any, queue_id: str) -> bytes:  # noqa: ANN401 - As above.
        try:
            return await self._commands[kind](request, queue_id)
        except (QueueNotFound, AccessDenied) as error:
            if self._queue_id:
                raise
            # One of many: the stream goes on without it.
            gone = f"has ended, since queue {queue_id} was deleted"
            if isinstance(error, AccessDenied):
                gone = f"is none that you can end: {error.message}"
            return lease_results([LeaseLost(each, gone) for each in request.lease_ids])

    async def _next_messages(self) -> bytes:
        """Wait for messages to hand out, and return them as a reply."""
        leased, level = await self._consumer.next_batch()
        self._check()
        return reply_with(leased + LEVEL_2[level])

    async def _push(self) -> None:
        """Hand out messages, a batch when that before it is on its way."""
        try:
            while True:
                await self.outbox.put_messages(await self._next_messages())
        except Exception as error:  # noqa: BLE001 - Whatever it is, it ends the stream.
            self._requests.end(error)


def _parted(data: bytes) -> tuple[str, Any]:
    """Return the kind of an encoded request, and its content.

    Raises:
        InvalidArgument: it is none.
    """
    message = decode(pb.ConsumeRequest, data)
    kind = message.WhichOneof("request")
    if kind is None:
        raise InvalidArgument("request", "must be one of open, credit, ack, nack and extend")
    return kind, getattr(message, kind)


def _credit(credit: int, least: int, field: str) -> int:
    if not least <= credit <= CREDIT_MAX:
        raise InvalidArgument(field, f"must be {least} to {CREDIT_MAX}; got {credit}")
    return credit


def _inside(kind: str, error: InvalidArgument) -> InvalidArgument:
    """Return an error about a field of a request as one about a field of the whole."""
    return InvalidArgument(f"{kind}.{error.field}", error.rule)
