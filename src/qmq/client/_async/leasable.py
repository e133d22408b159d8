"""What messages can be leased of: a queue, or all queues that a selector matches."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar, overload

from qmq.client._async.consumer import AsyncConsumer
from qmq.client._async.lease import AsyncByHand, AsyncLeasedMessage, received
from qmq.client._async.leasing import AsyncLeasing
from qmq.client._async.worker import AsyncWorker
from qmq.client.codecs import Codec
from qmq.client.options import Duration, duration_s_of, must_be, wait_s_of
from qmq.client.values import DurabilityName, durability_level

T = TypeVar("T")
R = TypeVar("R")


class AsyncLeasable(Generic[T]):
    """What an AsyncQueue and an AsyncSelection have for those who lease messages."""

    _leasing: AsyncLeasing
    _codec: Codec[T]

    async def lease(
        self,
        messages_max: int = 1,
        *,
        wait: Duration | None = 0,
        lease_duration: Duration | None = None,
        consumer: str = "",
        durability: DurabilityName | None = None,
    ) -> list[AsyncLeasedMessage[T]]:
        """Lease messages that are next: each comes back unless it is acked in time.

        Nothing extends these leases by itself; `consume` does. It is repeated only if it cannot
        have leased any: those would be nobody's until their leases end.

        Args:
            messages_max: how many at most, 1 to 1,000: as many as there are and fit a reply.
            wait: how many seconds to wait for the first one; None waits for ever.
            lease_duration: how many seconds the leases last, 1 ms to 12 hours; None leaves that
                to the queue of each message.
            consumer: what the caller calls itself, for those who look; up to 200 bytes.
            durability: how durable the leases are on return, at least, as in `add`: one with
                less than FSYNC may be forgotten in a crash, and its message handed out again. It
                says nothing of how durable their ends will be.

        Returns:
            The messages; none if there is none to hand out, also after waiting.

        Raises:
            InvalidArgument: one of the arguments is out of range.
        """
        must_be(int, messages_max=messages_max)
        must_be(str, consumer=consumer)
        duration_s = duration_s_of(lease_duration, "lease_duration")
        leasing = self._leasing.asking_for(durability_level(durability))
        reply = await leasing.lease(messages_max, wait_s_of(wait), duration_s, consumer)
        keeper = AsyncByHand(self._leasing)
        return [received(wire, self._codec, keeper, duration_s) for wire in reply.messages]

    def consume(
        self,
        *,
        concurrency: int = 1,
        prefetch: int = 0,
        lease_duration: Duration | None = None,
        consumer: str | None = None,
        durability: DurabilityName | None = None,
    ) -> AsyncConsumer[T]:
        """Return what hands out messages one by one, at least once, for `async with`.

        See AsyncConsumer. It goes on trying while the server is unavailable, and logs that;
        other errors end it.

        Args:
            concurrency: how many messages may be worked on at a time, 1 to 1,000: how many
                tasks or threads iterate side by side.
            prefetch: how many messages to lease before they are asked for, up to 1,000. They
                are nobody else's meanwhile, and their delivery counts if the process dies, so
                the default takes none ahead.
            lease_duration: how many seconds a message is held up if the process dies, 1 ms to
                12 hours; while it lives, leases are extended. None leaves that to the queue, and
                is 30 seconds where there are many.
            consumer: what it calls itself, for those who look; None is the name of the machine
                and the number of the process.
            durability: how durable leases and their ends are, at least, as in `add`, unless the
                call of a message says otherwise. With less than FSYNC a message may be handed
                out again after a crash, also one that was acked.

        Raises:
            ValueError: `concurrency` or `prefetch` is out of range.
        """
        return AsyncConsumer(
            self._leasing.asking_for(durability_level(durability)),
            self._codec,
            concurrency=concurrency,
            prefetch=prefetch,
            duration_s=duration_s_of(lease_duration, "lease_duration"),
            name=consumer,
        )

    @overload
    def worker(
        self, handler: Callable[[AsyncLeasedMessage[T]], Awaitable[R]], /
    ) -> AsyncWorker[T, R]: ...
    @overload
    def worker(
        self,
        handler: None = None,
        /,
        *,
        concurrency: int = 1,
        prefetch: int = 0,
        lease_duration: Duration | None = None,
        consumer: str | None = None,
        durability: DurabilityName | None = None,
    ) -> Callable[[Callable[[AsyncLeasedMessage[T]], Awaitable[R]]], AsyncWorker[T, R]]: ...
    def worker(  # noqa: PLR0913 - As of `consume`, each by name.
        self,
        handler: Callable[[AsyncLeasedMessage[T]], Awaitable[Any]] | None = None,
        /,
        *,
        concurrency: int = 1,
        prefetch: int = 0,
        lease_duration: Duration | None = None,
        consumer: str | None = None,
        durability: DurabilityName | None = None,
    ) -> (
        AsyncWorker[T, Any]
        | Callable[[Callable[[AsyncLeasedMessage[T]], Awaitable[Any]]], AsyncWorker[T, Any]]
    ):
        """Make a worker of a function of one message: a decorator. `AsyncWorker.run` runs it.

        Args:
            handler: the function, where the decorator is written without parentheses.
            concurrency: how many messages are worked on at a time, 1 to 1,000, each in a task
                or thread.
            prefetch: as of `consume`.
            lease_duration: likewise.
            consumer: likewise.
            durability: likewise.

        Raises:
            ValueError: `concurrency` or `prefetch` is out of range.
            TypeError: the function would do nothing when it is called.
        """
        consume = partial(
            self.consume,
            concurrency=concurrency,
            prefetch=prefetch,
            lease_duration=lease_duration,
            consumer=consumer,
            durability=durability,
        )
        consume()  # So that what is out of range is refused here.

        def worker_of(
            handler: Callable[[AsyncLeasedMessage[T]], Awaitable[Any]],
        ) -> AsyncWorker[T, Any]:
            return AsyncWorker(
                handler, consume, source=self._leasing.source, concurrency=concurrency
            )

        return worker_of if handler is None else worker_of(handler)
