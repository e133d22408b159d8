"""Channels whose answers, pace or failures the test decides."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from qmq.client._async.client import AsyncClient
from qmq.client.on_asyncio.channel import AsyncChannel

#: An encoded reply, or what is raised in its place.
Answer = bytes | Exception


class ScriptedChannel:
    """Answers from a list, one call after the other."""

    address = "a script"

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.requests: list[bytes] = []
        self.timeouts_s: list[float] = []

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Give the next answer."""
        self.asked.append(method)
        self.requests.append(request)
        self.timeouts_s.append(timeout_s)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing to end."""


class ScriptedSyncChannel:
    """The same for threads."""

    address = "a script"

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Give the next answer."""
        del request, timeout_s
        self.asked.append(method)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing to end."""


class GatedChannel:
    """A way to another channel that lets calls of one method through when the test says so."""

    address = "a gate"

    def __init__(self, inner: AsyncChannel, method: str) -> None:
        self._inner = inner
        self._method = method
        self._gate = asyncio.Semaphore(0)
        #: Calls of the method that have come to the gate.
        self.come = 0
        #: Those that have been answered.
        self.answered = 0
        #: Called with each of them before it goes through, and may raise in its place.
        self.before: Callable[[], Awaitable[None]] | None = None

    def open(self, calls: int = 1_000_000) -> None:
        """Let so many calls through."""
        for _ in range(min(calls, 1_000)):
            self._gate.release()

    async def until_come(self, calls: int) -> None:
        """Let other tasks run until so many calls have come to the gate."""
        while self.come < calls:  # noqa: ASYNC110 - Nothing tells, and it costs no time.
            await asyncio.sleep(0)

    async def until_answered(self, calls: int) -> None:
        """Let other tasks run until so many calls have been answered."""
        while self.answered < calls:  # noqa: ASYNC110 - As above.
            await asyncio.sleep(0)

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Go through the gate, and on."""
        if method != self._method:
            return await self._inner.call(method, request, timeout_s)
        self.come += 1
        await self._gate.acquire()
        if self.before:
            await self.before()
        reply = await self._inner.call(method, request, timeout_s)
        self.answered += 1
        return reply

    async def close(self) -> None:
        """Close what is behind."""
        await self._inner.close()


class FailingChannel:
    """A way to another channel on which calls fail when the test says so."""

    address = "a bad line"

    def __init__(self, inner: AsyncChannel) -> None:
        self._inner = inner
        #: Of each method, what its next calls are to raise.
        self.errors: dict[str, list[Exception]] = {}
        #: The methods whose calls take effect before they raise.
        self.loses_answers_of: set[str] = set()
        #: The calls that were made, by method.
        self.calls: list[str] = []

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Fail, or go on."""
        self.calls.append(method)
        errors = self.errors.get(method)
        if not errors:
            return await self._inner.call(method, request, timeout_s)
        if method in self.loses_answers_of:
            await self._inner.call(method, request, timeout_s)
        raise errors.pop(0)

    async def close(self) -> None:
        """Close what is behind."""
        await self._inner.close()


def channel_of(client: AsyncClient) -> AsyncChannel:
    """The channel of a client."""
    return client._channel  # noqa: SLF001 - There is nothing else to put the gate in front of.
