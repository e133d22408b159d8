"""Those of a world who take messages, and do with them whatever may be done."""

import asyncio
from collections import defaultdict
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from qmq.errors import QError
from qmq.values import NS_PER_S, NackKind, Store
from qmq.wire import q_pb2 as pb
from tests.world.calls import taken_of
from tests.world.clients import BATCH, Client, pools
from tests.world.history import Op, Outcome, Taken
from tests.world.network import Broken, NobodyThere
from tests.world.queues import LEASE_S, LEASED, POPPED, QueueKind, most_durable
from tests.world.streams import Reply, Stream

#: Seconds for which a stream goes on, on average.
_STREAM_S: Final = 5.0


class Consumer(Client):
    """Takes messages by one call after the other."""

    async def run(self) -> None:
        """Go on for ever."""
        selectors = pools(self.kinds)
        while True:
            await self.pause()
            if selectors and self.chance.random() < 0.15:
                await self._take_any(self.chance.choice(selectors))
                continue
            kind = self.chance.choice(list(self.kinds.values()))
            if kind.in_order or (kind.store is Store.MEMORY and self.chance.random() < 0.3):
                await self._pop(kind)
            else:
                await self._work(kind)

    async def _take_any(self, selector: str) -> None:
        """Take messages of any queues that a selector matches."""
        waits_s = self.chance.choice((0.0, 1.0, 3.0))
        verb = "pop_batch" if selector == POPPED else "lease"
        op = await self.call(
            verb, selector, selector=selector, most=self.chance.randint(1, BATCH), seconds=waits_s
        )
        await self._work_off(op)

    async def _pop(self, kind: QueueKind) -> None:
        waits_s = self.chance.choice((0.0, 0.0, 1.0, 3.0))
        if self.chance.random() < 0.6:
            await self.call("pop", kind.name, most=1, seconds=waits_s)
        else:
            most = self.chance.randint(1, BATCH)
            await self.call("pop_batch", kind.name, most=most, seconds=waits_s)

    async def _work(self, kind: QueueKind) -> None:
        waits_s = self.chance.choice((0.0, 1.0, 3.0))
        most = self.chance.randint(1, BATCH)
        await self._work_off(await self.call("lease", kind.name, most=most, seconds=waits_s))

    async def _work_off(self, op: Op) -> None:
        """Do something about all that a call has leased, queue by queue."""
        held: defaultdict[str, list[Taken]] = defaultdict(list)
        for taken in op.taken:
            if taken.lease_id:
                held[taken.queue or op.queue].append(taken)
        for queue, leases in held.items():
            while leases:
                await self.pause()
                some = [leases.pop() for _ in range(self.chance.randint(1, len(leases)))]
                leases.extend(await self._settle(self.kinds[queue], some))

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
            await self.call("nack", kind.name, lease_ids=leases, kind=self.nack_kind(kind))
            return []
        asked: dict[str, Any] = {"lease_ids": leases}
        if what == "complete" and kind.target:
            messages = tuple(self.asked(self.kinds[kind.target]) for _ in some)
            asked |= {"target": kind.target, "messages": messages}
        else:
            what = "ack"
        op = await self.call(what, kind.name, **asked)
        while op.outcome is Outcome.UNKNOWN and what == "ack" and chance.random() < 0.6:
            op = await self.call(what, kind.name, **asked)
        return []

    def nack_kind(self, kind: QueueKind) -> NackKind:
        """Choose why a message is given back."""
        kinds = [NackKind.RELEASE, NackKind.FAIL, NackKind.FAIL]
        if kind.dead_letters:
            kinds.append(NackKind.REJECT)
        return self.chance.choice(kinds)


class StreamConsumer(Consumer):
    """Is handed out messages on streams, and settles them there."""

    async def run(self) -> None:
        """Go on for ever."""
        kinds = [each for each in self.kinds.values() if not each.in_order]
        while True:
            await self.pause()
            if LEASED in pools(self.kinds) and self.chance.random() < 0.3:
                await self._consume(LEASED, LEASED)
            else:
                await self._consume(self.chance.choice(kinds).name, "")

    async def _consume(self, queue: str, selector: str) -> None:
        """Open a stream and work on what comes, until somebody ends it."""
        chance = self.chance
        credit = chance.randint(1, 6)
        opened = self.begin(
            "consume", queue, selector=selector, most=credit, seconds=chance.choice((1.0, LEASE_S))
        )
        opened.stream = opened
        stream = Stream(self.network, self.history, opened)
        self._open(stream, opened)
        stream.begin()
        #: Whose answers are to come.
        asked: list[Op] = []
        working = self.loop.create_task(self._settle_on(stream, opened, asked))
        try:
            await self._receive(stream, opened, asked)
        finally:
            stream.leave()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            for op in asked:
                self.history.end(op, Outcome.UNKNOWN, self.loop.time(), "the stream ended")

    def _open(self, stream: Stream, opened: Op) -> None:
        request = pb.ConsumeRequest(
            open=pb.ConsumeRequest.Open(
                queue_id="" if opened.selector else opened.queue,
                selector=opened.selector,
                credit=opened.most,
                lease_duration=_duration(opened.seconds),
            )
        )
        stream.send(request)

    async def _receive(self, stream: Stream, opened: Op, asked: list[Op]) -> None:
        """Take note of what comes, until nothing does."""
        try:
            async with asyncio.timeout(self.chance.expovariate(1 / _STREAM_S)) as limit:
                if self.chance.random() < 0.4:
                    # It ends its side in order, and reads what is left.
                    self.loop.call_at(limit.when() or 0.0, stream.end)
                    limit.reschedule((limit.when() or 0.0) + 1.0)
                while reply := await stream.receive():
                    self._take_in(reply, opened, asked)
        except TimeoutError:
            self.history.end(opened, Outcome.OK, self.loop.time(), "left")
        except (Broken, NobodyThere, QError) as error:
            self.fail(opened, error)
        else:
            self.history.end(opened, Outcome.OK, self.loop.time(), "ended")

    def _take_in(self, reply: Reply, opened: Op, asked: list[Op]) -> None:
        kind = reply.response.WhichOneof("response")
        if kind != "messages":
            op = asked.pop(0)
            results = getattr(reply.response, kind).results
            op.refused = tuple(each.reason for each in results)
            op.until_ns = tuple(each.lease_expires_at.ToNanoseconds() for each in results)
            self.history.end(op, Outcome.OK, self.loop.time())
            return
        taken = tuple(
            taken_of(each)._replace(queue=queue)
            for each, queue in zip(reply.response.messages.messages, reply.queues, strict=True)
        )
        op = self.begin("handed", opened.queue, selector=opened.selector, stream=opened)
        op.taken = taken
        # They were leased when their leases began, which tells how long these last.
        leased_ns = min(each.until_ns for each in taken) - round(opened.seconds * NS_PER_S)
        leased_s = self.history.world_s(leased_ns)
        op.began_s = max(opened.began_s, min(leased_s, self.loop.time()))
        op.begin = max(opened.begin, self.history.place_at(op.began_s))
        self.history.end(op, Outcome.OK, self.loop.time())

    async def _settle_on(self, stream: Stream, opened: Op, asked: list[Op]) -> None:
        """Settle what has come on a stream, there or by calls."""
        chance = self.chance
        settled: set[str] = set()
        while True:
            await self.pause()
            if chance.random() < 0.1:
                # Room for less for a time, or for more.
                credit = chance.randint(0, opened.most)
                stream.send(pb.ConsumeRequest(credit=pb.ConsumeRequest.Credit(credit=credit)))
                continue
            came = [
                (taken.queue or op.queue, taken)
                for op in self.history.ops[opened.number :]
                if op.stream is opened
                for taken in op.taken
                if taken.lease_id not in settled
            ]
            if not came:
                continue
            queue = chance.choice(came)[0]
            some = [taken for of_queue, taken in came if of_queue == queue][: chance.randint(1, 3)]
            if chance.random() < 0.1:
                # By a call beside the stream.
                held = await self._settle(self.kinds[queue], some)
                settled.update({each.lease_id for each in some} - {e.lease_id for e in held})
                continue
            what = chance.choices(("ack", "nack", "extend", "forget"), (8, 3, 2, 1))[0]
            if what != "extend":
                settled.update(each.lease_id for each in some)
            if what != "forget":
                asked.append(self._ask(stream, what, queue, some))

    def _ask(self, stream: Stream, what: str, queue: str, some: list[Taken]) -> Op:
        """Settle leases on a stream."""
        kind = self.kinds[queue]
        leases = tuple(each.lease_id for each in some)
        more: dict[str, Any] = {"level": most_durable(kind)}
        request: dict[str, Any] = {"queue_id": queue, "lease_ids": leases}
        if what == "nack":
            more["kind"] = self.nack_kind(kind)
            request["kind"] = int(more["kind"])
        if what == "extend":
            more["seconds"] = self.chance.choice((0.5, 2.0, 6.0))
            request["lease_duration"] = _duration(more["seconds"])
        op = self.begin(what, queue, lease_ids=leases, **more)
        kinds = {"ack": pb.AckRequest, "nack": pb.NackRequest, "extend": pb.ExtendRequest}
        stream.send(pb.ConsumeRequest(**{what: kinds[what](**request)}))
        return op


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * NS_PER_S))
    return duration
