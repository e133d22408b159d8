"""Channels whose answers, or whose pace, the test decides."""

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
        self.timeouts_s: list[float] = []

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Give the next answer."""
        del request
        self.asked.append(method)
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

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Go through the gate, and on."""
        if method == self._method:
            self.come += 1
            await self._gate.acquire()
            if self.before:
                await self.before()
        return await self._inner.call(method, request, timeout_s)

    async def close(self) -> None:
        """Close what is behind."""
        await self._inner.close()


def channel_of(client: AsyncClient) -> AsyncChannel:
    """The channel of a client."""
    return client._channel  # noqa: SLF001 - There is nothing else to put the gate in front of.
