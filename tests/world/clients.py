"""Clients of a world: producers and consumers, each with chance of its own."""

import asyncio
from random import Random
from typing import Any, Final

from qmq.errors import Busy, QError, Unavailable
from qmq.values import Durability, NackKind, Store
from tests.world.calls import read
from tests.world.history import Asked, History, Op, Outcome, Taken
from tests.world.network import Broken, Network, NobodyThere
from tests.world.queues import LEASE_S, QUEUES, QueueKind

#: Seconds between two calls of a client, on average.
_PAUSE_S: Final = 0.15

#: Seconds for which a client waits for an answer, besides what it has asked the server to wait.
_DEADLINES_S: Final = (0.02, 0.5, 2.0, 2.0)

#: Most messages that a call adds or takes.
_BATCH: Final = 5

_WEAK: Final = (Durability.MEMORY, Durability.OS)
_DELAYS_S: Final = (0.0, 0.0, 0.5, 3.0)
_TTLS_S: Final = (0.0, 0.0, 0.0, 2.0, 8.0)


class Client:
    """Makes calls, one after the other, and takes note of them."""

    def __init__(self, name: str, seed: str, history: History, network: Network) -> None:
        """Make one.

        Args:
            name: what it is called in the history.
            seed: decides what it does.
            history: where it takes note.
            network: carries its calls.
        """
        self._name = name
        self.chance = Random(f"{seed} {name}")
        self._history = history
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._payloads = 0

    async def call(self, verb: str, queue: str, **asked: Any) -> Op:  # noqa: ANN401 - As `Op` has it.
        """Make a call, and return what became of it."""
        history, loop = self._history, self._loop
        level = asked.pop("level", None) or self._level(QUEUES[queue])
        op = history.begin(Op(0, self._name, verb, queue, 0, loop.time(), level, **asked))
        waits_s = op.seconds if verb in {"pop", "pop_batch", "lease"} else 0.0
        deadline_s = self.chance.choice(_DEADLINES_S) + waits_s
        try:
            async with asyncio.timeout(deadline_s):
                result = await self._network.call(op)
        except TimeoutError:
            history.end(op, Outcome.UNKNOWN, loop.time(), "no answer in time")
        except Broken:
            history.end(op, Outcome.UNKNOWN, loop.time(), "the connection broke")
        except NobodyThere:
            history.end(op, Outcome.FAIL, loop.time(), "no server")
        except QError as error:
            is_unknown = isinstance(error, Unavailable) and not isinstance(error, Busy)
            outcome = Outcome.UNKNOWN if is_unknown else Outcome.FAIL
            history.end(op, outcome, loop.time(), type(error).__name__)
        else:
            read(op, result)
            history.end(op, Outcome.OK, loop.time())
        return op

    async def pause(self) -> None:
        """Do something else for a time."""
        await asyncio.sleep(self.chance.expovariate(1 / _PAUSE_S))

    def _level(self, kind: QueueKind) -> Durability:
        """Return how durable the next call is to be."""
        if kind.store is Store.MEMORY:
            return Durability.MEMORY
        return self.chance.choice(_WEAK) if self.chance.random() < 0.15 else Durability.FSYNC

    def asked(self, kind: QueueKind) -> Asked:
        """Think of a new message."""
        self._payloads += 1
        payload = f"{self._name}.{self._payloads}"
        chance = self.chance
        if kind.has_options:
            return Asked(
                payload,
                delay_s=chance.choice(_DELAYS_S),
                ttl_s=chance.choice(_TTLS_S),
                priority=chance.choice((0, 0, 1, 7)),
            )
        if kind.in_groups:
            return Asked(payload, group_id=chance.choice("abc"))
        return Asked(payload, dedup_id=payload if kind.dedup_window_s else "")


class Producer(Client):
    """Adds messages, and repeats what it does not know to have happened."""

    async def run(self) -> None:
        """Go on for ever."""
        kinds = [each for each in QUEUES.values() if each.name not in {"dead", "done"}]
        while True:
            # What two producers add in one call after the other is more than six consumers take.
            await self.pause()
            await self.pause()
            await self._add(self.chance.choice(kinds))

    async def _add(self, kind: QueueKind) -> None:
        chance = self.chance
        count = chance.choice((1, 1, 1, chance.randint(2, _BATCH)))
        messages = tuple(self.asked(kind) for _ in range(count))
        verb = "add" if count == 1 and chance.random() < 0.8 else "add_batch"
        if chance.random() < 0.05:
            # A hasty client sends a second request while the first is under way.
            twice = [self.call(verb, kind.name, messages=messages) for _ in range(2)]
            await asyncio.gather(*twice)
            return
        op = await self.call(verb, kind.name, messages=messages)
        while op.outcome is Outcome.UNKNOWN and chance.random() < 0.6:
            await self.pause()
            op = await self.call(verb, kind.name, messages=messages)


class Consumer(Client):
    """Takes messages, and does with them whatever may be done."""

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await self.pause()
            kind = self.chance.choice(list(QUEUES.values()))
            if kind.is_doomed and self.chance.random() < 0.2:
                await self._doom(kind)
            elif kind.name == "dead" and self.chance.random() < 0.5:
                await self.call("redrive", kind.name)
            elif kind.in_order or (kind.store is Store.MEMORY and self.chance.random() < 0.3):
                await self._pop(kind)
            else:
                await self._work(kind)

    async def _doom(self, kind: QueueKind) -> None:
        verb = self.chance.choice(("purge", "purge", "delete_queue"))
        await self.call(verb, kind.name, level=Durability.FSYNC)
        if verb == "delete_queue":
            await self.call("new_queue", kind.name, level=Durability.FSYNC)

    async def _pop(self, kind: QueueKind) -> None:
        waits_s = self.chance.choice((0.0, 0.0, 1.0, 3.0))
        if self.chance.random() < 0.6:
            await self.call("pop", kind.name, most=1, seconds=waits_s)
        else:
            most = self.chance.randint(1, _BATCH)
            await self.call("pop_batch", kind.name, most=most, seconds=waits_s)

    async def _work(self, kind: QueueKind) -> None:
        chance = self.chance
        waits_s = chance.choice((0.0, 1.0, 3.0))
        leased = await self.call(
            "lease", kind.name, most=chance.randint(1, _BATCH), seconds=waits_s
        )
        held = list(leased.taken)
        while held:
            await self.pause()
            some = [held.pop() for _ in range(chance.randint(1, len(held)))]
            held += await self._settle(kind, some)

    async def _settle(self, kind: QueueKind, some: list[Taken]) -> list[Taken]:
        """Do something about leases; return those that go on."""
        chance = self.chance
        leases = tuple(each.lease_id for each in some)
        what = chance.choices(
            ("ack", "complete", "nack", "extend", "dawdle", "die"), (8, 2, 4, 2, 1, 1)
        )[0]
        if what == "die":
            return []
        if what == "dawdle":
            # Its lease runs out, and it does not know.
            await asyncio.sleep(chance.uniform(0, 1.5) * LEASE_S)
            return some
        if what == "extend":
            seconds = chance.choice((0.5, 2.0, 6.0))
            await self.call("extend", kind.name, lease_ids=leases, seconds=seconds)
            return some
        if what == "nack":
            refuse = (NackKind.REJECT,) if kind.dead_letters else ()
            nack = chance.choice((NackKind.RELEASE, NackKind.FAIL, NackKind.FAIL, *refuse))
            await self.call("nack", kind.name, lease_ids=leases, kind=nack)
            return []
        asked: dict[str, Any] = {"lease_ids": leases}
        if what == "complete" and kind.target:
            messages = tuple(self.asked(QUEUES[kind.target]) for _ in some)
            asked |= {"target": kind.target, "messages": messages}
        else:
            what = "ack"
        op = await self.call(what, kind.name, **asked)
        while op.outcome is Outcome.UNKNOWN and what == "ack" and chance.random() < 0.6:
            op = await self.call(what, kind.name, **asked)
        return []
