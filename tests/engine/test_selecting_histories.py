"""Random histories of queues that come, change and go, and of callers that want messages of any.

After each step in which everything could go on that can: nobody waits for what is free, no
message was handed out twice, and a queue stands in exactly the selections that match it.
"""

import asyncio
import random
from pathlib import Path
from typing import Any, Final

import pytest

from qmq.descriptions import Rate
from qmq.engine.places import Selection
from qmq.model.check import problems_of
from qmq.model.queue import Queue
from qmq.values import NackKind, Store, Tag
from tests.engine.callers import turns
from tests.engine.selections import Waiter
from tests.engine.servers import Server, settings

SELECTORS: Final = ("a", "b", "a=1", "a,b", "!a", "a in (1,2),!b")
TAGS: Final = (Tag("a", "1"), Tag("a", "2"), Tag("b", ""))
#: What happens often.
OFTEN: Final = ("add", "add", "add", "wait", "wait", "ask", "pop", "pop_any", "leave", "time")
SELDOM: Final = ("make", "delete", "tag", "untag", "purge", "pause", "resume", "release", "group")
SETTINGS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"weight": 3},
    {"leased_max": 2},
    {"ttl": 5},
    {"rate": Rate(messages_per_second=1.0, burst=2)},
    {"lease_duration": 2},
)


class History:
    """A server in memory, and what a random program does with it."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.broker = server.broker
        self.random = random.Random(seed)
        self.callers: list[Waiter] = []
        self.last = 0
        #: Leases that were handed out, and may be held.
        self.leases: list[tuple[str, str]] = []
        self.seen: set[tuple[str, str]] = set()

    @property
    def queues(self) -> list[Queue]:
        """The queues that there are."""
        return [queue for queue in self.broker.catalog if queue.info.name.startswith("q")]

    async def step(self) -> None:
        """Let one thing happen."""
        if not self.queues:
            await self.make("")
        verb = self.random.choice(OFTEN + SELDOM)
        await getattr(self, verb)(self.random.choice(self.queues).info.id)

    @property
    def count(self) -> int:
        """Any number of messages."""
        return self.random.choice((1, 1, 3))

    async def make(self, _: str) -> None:
        """Make a queue."""
        self.last += 1
        tags = self.random.sample(TAGS, self.random.randint(0, 2))
        await self.broker.new_queue(
            Store.MEMORY,
            name=f"q{self.last}",
            tags=tags,
            settings=settings(**self.random.choice(SETTINGS)),
        )

    async def delete(self, queue_id: str) -> None:
        """Delete a queue."""
        await self.broker.delete_queue(queue_id)

    async def tag(self, queue_id: str) -> None:
        """Add a tag."""
        await self.broker.add_queue_tag(queue_id, self.random.choice(TAGS))

    async def untag(self, queue_id: str) -> None:
        """Remove a tag."""
        await self.broker.delete_queue_tag(queue_id, self.random.choice(TAGS))

    async def add(self, queue_id: str) -> None:
        """Add messages."""
        await self.broker.add_batch(queue_id, [(b"", b"x")] * self.count)

    async def group(self, queue_id: str) -> None:
        """Add one of a group."""
        await self.server.put(b"g", queue_id, group_id=self.random.choice("gh"))

    async def ask(self, _: str, wait_s: float = 0.0) -> None:
        """Lease by a selector; it may take long to find out that the caller is there."""
        selector = self.random.choice(SELECTORS)
        waiter = Waiter(self.broker, selector, count=self.count, wait_s=wait_s)
        if self.random.randrange(3) == 0:
            waiter.may_go_on.clear()
        self.callers.append(waiter)

    async def wait(self, queue_id: str) -> None:
        """Do the same and wait."""
        await self.ask(queue_id, self.random.choice((3.0, 60.0)))

    async def leave(self, _: str) -> None:
        """Let a caller leave."""
        if self.callers:
            caller = self.random.choice(self.callers)
            if self.random.randrange(2):
                caller.cancel()
            else:
                caller.is_gone = True

    async def pop(self, queue_id: str) -> None:
        """Pop from a queue."""
        await self.broker.pop_batch(queue_id, self.count)

    async def pop_any(self, _: str) -> None:
        """Pop by a selector."""
        await self.broker.selecting.pop_batch(self.random.choice(SELECTORS), self.count, 0.0, None)

    async def time(self, _: str) -> None:
        """Let time pass."""
        await self.server.pass_time(self.random.choice((0.5, 4.0, 30.0)))

    async def purge(self, queue_id: str) -> None:
        """Remove all messages."""
        await self.broker.purge(queue_id)

    async def pause(self, queue_id: str) -> None:
        """Hand out none."""
        await self.broker.pause(queue_id, adds=False)

    async def resume(self, queue_id: str) -> None:
        """Go on."""
        await self.broker.resume(queue_id)

    async def release(self, _: str) -> None:
        """Give back a message, if its lease has not ended."""
        if self.leases:
            queue_id, lease_id = self.leases.pop(self.random.randrange(len(self.leases)))
            if self.broker.catalog.get(queue_id):
                await self.broker.leasing.nack(queue_id, [lease_id], NackKind.RELEASE)

    async def come_to_rest(self) -> None:
        """Let everything go on, and look at what was handed out."""
        for caller in self.callers:
            caller.may_go_on.set()
        await turns(60)
        for caller in [each for each in self.callers if not each.is_waiting]:
            self.callers.remove(caller)
            if caller.error is None and not caller.is_cancelled:
                for message in await caller.messages():
                    lease = message.queue_id, message.lease_id
                    assert lease not in self.seen
                    self.seen.add(lease)
                    self.leases.append(lease)

    def check(self) -> None:
        """Look whether all is as it should be at rest."""
        waiting = self.broker._queues.waiting  # noqa: SLF001 - What nobody else can see is checked.
        selections: list[Selection] = list(self.broker.selecting._selections.values())  # noqa: SLF001
        for queue in self.broker.catalog:
            assert problems_of(queue) == []
            found = {
                selection for selection in selections if selection.selector.matches(queue.info.tags)
            }
            assert set(waiting.selections_of(queue)) == found
            if waiting.free(queue) > 0:
                assert not [each for each in found if each.waiting]
                assert all(each.members[queue.number].turn.is_waiting for each in found)
        numbers = {queue.number for queue in self.broker.catalog}
        for selection in selections:
            assert selection.members.keys() <= numbers
            assert len(selection.turns) == sum(
                member.turn.is_waiting for member in selection.members.values()
            )


@pytest.mark.parametrize("seed", range(30))
async def test_random_histories(tmp_path: Path, seed: int) -> None:
    """Whatever happens, and in whatever order it goes on."""
    server = Server(Store.MEMORY, tmp_path)
    await server.start()
    history = History(server, seed)

    for _ in range(60):
        for _ in range(history.random.randint(1, 6)):
            await asyncio.wait_for(history.step(), 10)
            await turns(history.random.choice((0, 0, 1, 3)))
        await history.come_to_rest()
        history.check()

    await server.pass_time(60)
    await history.come_to_rest()
    assert not history.callers
    await server.pass_time(60)
    assert len(server.broker.selecting) == 0
    assert server.broker._queues.waiting._lines == {}  # noqa: SLF001 - Nothing is left over.
    await server.end()
