"""Clients of a world: each has chance of its own, makes calls and takes note of them."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from qmq.errors import Busy, DiskFull, QError, Unavailable
from qmq.values import Durability, Store
from tests.world.calls import read
from tests.world.history import Asked, History, Op, Outcome
from tests.world.network import Broken, Network, NobodyThere
from tests.world.queues import FAIR_KEYS, LEASED, POPPED, QueueKind, matched

#: Seconds between two calls of a client, on average.
_PAUSE_S: Final = 0.15

#: Seconds for which a client waits for an answer, besides what it has asked the server to wait.
_DEADLINES_S: Final = (0.02, 0.5, 2.0, 2.0)

#: Most messages that a call adds or takes.
BATCH: Final = 5

_WAITING: Final = frozenset({"pop", "pop_batch", "lease"})
_WEAK: Final = (Durability.MEMORY, Durability.OS)
#: What only looks, or is about more than messages, is as durable as can be.
_WEAKENED: Final = frozenset(
    {"add", "add_batch", "complete", "pop", "pop_batch", "lease", "ack", "nack", "extend"}
)
_DELAYS_S: Final = (0.0, 0.0, 0.5, 3.0)
_TTLS_S: Final = (0.0, 0.0, 0.0, 2.0, 8.0)

#: The groups of a queue, and those of which most messages are. Some messages have none.
GROUPS: Final = ("a", "b", "c")


class Client:
    """Makes calls, one after the other, and takes note of them."""

    def __init__(
        self,
        name: str,
        seed: str,
        history: History,
        network: Network,
        kinds: Mapping[str, QueueKind],
    ) -> None:
        """Make one.

        Args:
            name: what it is called in the history.
            seed: decides what it does.
            history: where it takes note.
            network: carries its calls.
            kinds: the queues that there are, by name.
        """
        self._name = name
        self.chance = Random(f"{seed} {name}")
        self.history = history
        self.network = network
        self.kinds = kinds
        self.loop = asyncio.get_running_loop()
        self._payloads = 0

    def begin(self, verb: str, queue: str, **asked: Any) -> Op:  # noqa: ANN401 - As `Op` has it.
        """Take note that a call begins."""
        if "level" not in asked:
            asked |= self._levels(verb, queue)
        return self.history.begin(Op(0, self._name, verb, queue, 0, self.loop.time(), **asked))

    async def call(self, verb: str, queue: str, **asked: Any) -> Op:  # noqa: ANN401 - As above.
        """Make a call, and return what became of it."""
        op = self.begin(verb, queue, **asked)
        waits_s = op.seconds if verb in _WAITING else 0.0
        deadline_s = self.chance.choice(_DEADLINES_S) + waits_s
        try:
            async with asyncio.timeout(deadline_s):
                result = await self.network.call(op)
        except (TimeoutError, Broken, NobodyThere, QError) as error:
            self.fail(op, error)
        else:
            read(op, result)
            self.history.end(op, Outcome.OK, self.loop.time())
        return op

    def fail(self, op: Op, error: Exception) -> None:
        """Take note that a call ended without what it was to have."""
        outcome, why = Outcome.UNKNOWN, type(error).__name__
        if isinstance(error, NobodyThere):
            outcome = Outcome.FAIL
        elif isinstance(error, QError):
            # A disk that is full, unlike one that has failed, has nothing of it.
            is_known = not isinstance(error, Unavailable) or isinstance(error, Busy | DiskFull)
            is_known = is_known or error.metadata.get("effect") == "none"
            outcome = Outcome.FAIL if is_known else Outcome.UNKNOWN
        self.history.end(op, outcome, self.loop.time(), why)

    async def pause(self) -> None:
        """Do something else for a time."""
        await asyncio.sleep(self.chance.expovariate(1 / _PAUSE_S))

    def _levels(self, verb: str, queue: str) -> dict[str, Durability]:
        """Return how durable the next call is to be, and what it asks for if that is less."""
        kind = self.kinds.get(queue)
        if kind is None or verb not in _WEAKENED:
            return {"level": Durability.FSYNC}
        if kind.store is Store.MEMORY:
            return {"level": Durability.MEMORY}
        if self.chance.random() >= 0.15:
            return {"level": Durability.FSYNC}
        # What a q of a cluster hands out at once, it may hand out though another one leads.
        is_taken = verb in _WAITING and kind.store is Store.CLUSTER
        asks = Durability.OS if is_taken else self.chance.choice(_WEAK)
        return {"level": max(asks, kind.settings.durability_min), "asks": asks}

    def asked(self, kind: QueueKind) -> Asked:
        """Think of a new message."""
        self._payloads += 1
        chance = self.chance
        payload = f"{self._name}.{self._payloads}"
        asked = Asked(payload, dedup_id=payload if kind.has_dedup_ids else "")
        if kind.has_options:
            asked = asked._replace(
                delay_s=chance.choice(_DELAYS_S),
                ttl_s=chance.choice(_TTLS_S),
                priority=chance.choice((0, 0, 1, 7)),
                by_moment=chance.random() < 0.3,
            )
        if kind.in_groups and chance.random() < 0.85:
            asked = asked._replace(group_id=chance.choice(GROUPS))
        if kind.in_turns:
            asked = asked._replace(fair_key=chance.choices(FAIR_KEYS, (8, 1, 1))[0])
        return asked


class Producer(Client):
    """Adds messages, and repeats what it does not know to have happened."""

    async def run(self) -> None:
        """Go on for ever."""
        kinds = [each for each in self.kinds.values() if each.name not in {"dead", "done"}]
        while True:
            # What two producers add in one call after the other is more than six consumers take.
            await self.pause()
            await self.pause()
            await self._add(self.chance.choice(kinds))

    async def _add(self, kind: QueueKind) -> None:
        chance = self.chance
        # It takes many messages to see whose turn it is.
        few = () if kind.in_turns else (1, 1, 1)
        count = chance.choice((*few, chance.randint(2, BATCH)))
        messages = tuple(self.asked(kind) for _ in range(count))
        verb = "add" if count == 1 and chance.random() < 0.8 else "add_batch"
        if chance.random() < 0.05:
            # A hasty client sends a second request while the first is under way.
            twice = [self.call(verb, kind.name, messages=messages) for _ in range(2)]
            await asyncio.gather(*twice)
            return
        op = await self.call(verb, kind.name, messages=messages)
        insists = op.outcome is Outcome.UNKNOWN and chance.random() < 0.3
        while (op.outcome is Outcome.UNKNOWN and chance.random() < 0.6) or (
            # It waits for another server, if there is none.
            insists and (op.outcome is Outcome.UNKNOWN or op.why == NobodyThere.__name__)
        ):
            await self.pause()
            op = await self.call(verb, kind.name, messages=messages)


class Keeper(Client):
    """Looks after queues: pauses and purges them, shows, deletes and moves messages, redrives."""

    async def run(self) -> None:
        """Go on for ever."""
        kinds = list(self.kinds.values())
        while True:
            await self.pause()
            kind = self.chance.choice(kinds)
            for can, act in (
                (kind.name == "dead", self._redrive),
                (kind.is_doomed, self._doom),
                (kind.is_paused, self._hold),
                (kind.is_scheduled, self._schedule),
            ):
                if can and self.chance.random() < 0.5:
                    await act(kind)
                    break
            else:
                await self._look(kind)

    async def _look(self, kind: QueueKind) -> None:
        chance = self.chance
        what = chance.choices(("peek", "stats", "browse"), (2, 1, 4))[0]
        if what != "browse":
            await self.call(what, kind.name)
            return
        asked: dict[str, Any] = {}
        if chance.random() < 0.3:
            asked["most"] = 3
        if chance.random() < 0.3:
            asked["state"] = chance.choice(("READY", "LEASED", "DELAYED"))
        if kind.in_groups and chance.random() < 0.3:
            asked["group_id"] = chance.choice(GROUPS)
        if kind.in_turns and chance.random() < 0.3:
            asked["fair_key"] = chance.choice(FAIR_KEYS)
        op = await self.call("browse", kind.name, **asked)
        is_dead = kind.name == "dead"
        if op.shown and not kind.is_scheduled and chance.random() < (0.7 if is_dead else 0.15):
            await self._pick("move" if is_dead else "delete", op)

    async def _pick(self, verb: str, shown: Op) -> None:
        """Delete or move some of what was shown; it may have left meanwhile, or be on lease."""
        chosen = self.chance.sample(shown.shown, min(2, len(shown.shown)))
        await self.call(verb, shown.queue, ids=tuple(each.id for each in chosen))

    async def _redrive(self, kind: QueueKind) -> None:
        chance = self.chance
        op = await self.call(
            "redrive",
            kind.name,
            flag=chance.random() < 0.1,
            seconds=chance.choice((0.0, 0.0, 2.0)),
        )
        if op.is_ok and chance.random() < 0.2:
            await self.pause()
            await self.call("stop_redrive", kind.name, name=op.name)

    async def _doom(self, kind: QueueKind) -> None:
        verb = self.chance.choice(("purge", "purge", "delete_queue"))
        await self.call(verb, kind.name)
        if verb == "delete_queue":
            await self.call("new_queue", kind.name)

    async def _hold(self, kind: QueueKind) -> None:
        """Pause a queue or one of its groups for a moment, if nobody forgets it."""
        chance = self.chance
        group = chance.choice(GROUPS) if kind.in_groups and chance.random() < 0.6 else ""
        if group and chance.random() < 0.3:
            await self.call("skip_group", kind.name, name=group, most=chance.randint(1, 2))
            return
        suffix = "_group" if group else ""
        adds = not group and chance.random() < 0.4
        await self.call(f"pause{suffix}", kind.name, name=group, flag=adds)
        await asyncio.sleep(chance.expovariate(1))
        await self.call(f"resume{suffix}", kind.name, name=group)

    async def _schedule(self, kind: QueueKind) -> None:
        chance = self.chance
        name = chance.choice(("beat", "beat", "minute", "fleeting"))
        what = chance.choices(("put_schedule", "get_schedule", "delete_schedule"), (3, 2, 2))[0]
        if what == "put_schedule":
            await self.put_schedule(kind, name)
        elif what == "get_schedule" or name != "fleeting":
            await self.call("get_schedule", kind.name, name=name)
        else:
            await self.call("delete_schedule", kind.name, name=name)

    async def put_schedule(self, kind: QueueKind, name: str, *, is_paused: bool = False) -> Op:
        """Make a schedule, or change what it adds."""
        self._payloads += 1
        asked = Asked(f"{name}.{self._name}.{self._payloads}")
        # To make up for all would be thousands when the clock is set.
        missed = ("SKIP", "ONE", "ALL") if kind.limit > 0 else ("SKIP", "ONE")
        return await self.call(
            "put_schedule",
            kind.name,
            name=name,
            messages=(asked,),
            state=self.chance.choice(missed),
            flag=is_paused,
        )


def pools(kinds: Mapping[str, QueueKind]) -> list[str]:
    """Return the selectors that match some queue."""
    return [each for each in (LEASED, POPPED) if matched(kinds, each)]
