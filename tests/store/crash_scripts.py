"""What servers do in the crash matrix: short stories, in which each step is one call."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from qmq.descriptions import MessageOptions, QueueSettings
from qmq.engine.broker import Broker
from qmq.model.redrive import RedriveRequest
from qmq.model.schedule import SchedulePlan
from qmq.store.local.sweeping import Patience
from qmq.store.local.upkeep import Upkeep
from qmq.testing import ManualClock
from qmq.values import NS_PER_S, NackKind, Overflow, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.store.disk import ALONG

_TURNS: Final = 20

_LONG_NS: Final = 3600 * NS_PER_S


class Stage:
    """A server, and what those who call it know."""

    def __init__(self, broker: Broker, clock: ManualClock) -> None:
        self.broker = broker
        self.clock = clock
        #: The leases that were handed out and not dealt with yet, by queue.
        self.leases: dict[str, list[str]] = {}


class Step(NamedTuple):
    """A call. Refused for want of room, it can be made again."""

    do: Callable[[Stage], Awaitable[object]]
    #: Whether it is one commit: after a fault all of it is there, or nothing.
    is_atomic: bool = True


class Script(NamedTuple):
    """What happens."""

    steps: Sequence[Step]
    patience: Patience = Patience()
    upkeep: Upkeep = Upkeep()
    #: SQL that describes the database that is there at the beginning; None if there is none.
    found: Path | None = None


def _new(name: str, **settings: object) -> Step:
    async def do(stage: Stage) -> None:
        asked = QueueSettings(**settings)  # type: ignore[arg-type]
        await stage.broker.new_queue(Store.DISK, name=name, settings=asked)

    return Step(do)


def _add(queue: str, payload: bytes) -> Step:
    return Step(lambda stage: stage.broker.add(queue, payload))


def _add_with(queue: str, payload: bytes, **options: object) -> Step:
    asked = MessageOptions(**options)  # type: ignore[arg-type]
    return Step(lambda stage: stage.broker.add_with(queue, payload, b"", asked))


def _add_batch(queue: str, count: int, size: int = 10, begin: int = 0) -> Step:
    messages = [(b"", b"%d" % n * size) for n in range(begin, begin + count)]
    return Step(lambda stage: stage.broker.add_batch(queue, messages))


def _pop(queue: str, count: int = 1) -> Step:
    return Step(lambda stage: stage.broker.pop_batch(queue, count))


def _lease(queue: str, count: int, duration_ns: int = _LONG_NS) -> Step:
    async def do(stage: Stage) -> None:
        leased = await stage.broker.leasing.lease(
            queue, count, wait_s=0, is_gone=None, duration_ns=duration_ns, consumer="c"
        )
        ids = [each.lease_id for each in leased_messages(leased)]
        stage.leases.setdefault(queue, []).extend(ids)

    return Step(do)


def _settle(queue: str, count: int, call: Callable[[Stage, list[str]], Awaitable[object]]) -> Step:
    async def do(stage: Stage) -> None:
        await call(stage, stage.leases[queue][:count])
        del stage.leases[queue][:count]

    return Step(do)


def _ack(queue: str, count: int) -> Step:
    return _settle(queue, count, lambda stage, ids: stage.broker.leasing.ack(queue, ids))


def _nack(queue: str, count: int, kind: NackKind) -> Step:
    nack = partial(_nack_them, queue, kind)
    return _settle(queue, count, nack)


def _nack_them(queue: str, kind: NackKind, stage: Stage, ids: list[str]) -> Awaitable[object]:
    return stage.broker.leasing.nack(queue, ids, kind, reason="so it is")


def _extend(queue: str) -> Step:
    return Step(lambda stage: stage.broker.leasing.extend(queue, stage.leases[queue], 2 * _LONG_NS))


def _complete(source: str, target: str) -> Step:
    return _settle(
        source,
        2,
        lambda stage, ids: stage.broker.leasing.complete(
            [(source, ids)], [(target, [(b"", b"done"), (b"", b"too")])]
        ),
    )


def _passes(seconds: float) -> Step:
    async def do(stage: Stage) -> None:
        stage.clock.advance(seconds)
        # What sleeps until then, schedules for one, has its turn before the call is answered.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await stage.broker.stats("", 0, "")

    # Each queue for which time passes may be a commit, and so may each step of a redrive.
    return Step(do, is_atomic=False)


def _delete(queue: str, *places: int) -> Step:
    """Delete the messages in some places, also those on lease."""

    async def do(stage: Stage) -> None:
        ids = await _ids(stage, queue)
        await stage.broker.picking.delete(queue, [ids[at] for at in places], leased=True)

    return Step(do)


def _move(queue: str, target: str, *places: int) -> Step:
    """Move them: to another queue, or back to where they came from."""

    async def do(stage: Stage) -> None:
        ids = await _ids(stage, queue)
        await stage.broker.picking.move(queue, [ids[at] for at in places], target, leased=True)

    return Step(do)


async def _ids(stage: Stage, queue: str) -> list[str]:
    shown, _ = await stage.broker.browsing.browse(queue)
    return [pb.BrowsedMessage.FromString(each).message.meta.id for each in shown]


def _redrive(queue: str) -> Step:
    async def do(stage: Stage) -> None:
        dead = await stage.broker.get_queue(queue)
        redrive = await stage.broker.redriving.start(RedriveRequest(queue_id=dead.id))
        while redrive.is_running:
            await asyncio.sleep(0)
            redrive = await stage.broker.redriving.get(redrive.id)

    return Step(do, is_atomic=False)


_ADD_AND_POP: Final = [
    _new("jobs"),
    *(_add("jobs", b"message %d" % n * 20) for n in range(8)),
    *(_pop("jobs") for _ in range(4)),
    *(step for n in range(6) for step in (_add("jobs", b"%d" % n), _pop("jobs"))),
    _add("jobs", bytes(20_000)),
    _pop("jobs", 9),
]

_BATCHES: Final = [
    _new("jobs"),
    _add_batch("jobs", 100),
    _pop("jobs", 30),
    _add_batch("jobs", 40, 400, 100),
    _pop("jobs", 90),
    _new("other"),
    _add_batch("other", 200, begin=1000),
    _pop("jobs", 100),
    _pop("other", 199),
    _add_batch("jobs", 3, 3_000),
]

_LEASES: Final = [
    _new("jobs"),
    _new("next"),
    _add_batch("jobs", 20),
    _lease("jobs", 6),
    _ack("jobs", 2),
    _nack("jobs", 2, NackKind.RELEASE),
    _nack("jobs", 1, NackKind.FAIL),
    _extend("jobs"),
    _lease("jobs", 4),
    _complete("jobs", "next"),
    _ack("jobs", 1),
    _lease("jobs", 3, NS_PER_S),
    _passes(2),
    _lease("jobs", 9),
    _ack("jobs", 2),
    _pop("next"),
]

_DEAD_LETTERS: Final = [
    _new("dead"),
    _new("jobs", dead_letter_queue_id="dead", delivery_count_max=2),
    _add_batch("jobs", 12),
    _lease("jobs", 5),
    _nack("jobs", 3, NackKind.REJECT),
    _nack("jobs", 2, NackKind.FAIL),
    _passes(3600),
    _lease("jobs", 4, NS_PER_S),
    _passes(2),
    _redrive("dead"),
    _lease("jobs", 2),
    _ack("jobs", 2),
    _pop("jobs", 3),
    _redrive("dead"),
]

_BY_ID: Final = [
    _new("dead"),
    _new("jobs", dead_letter_queue_id="dead"),
    _new("other"),
    _add_batch("jobs", 12),
    _add_with("jobs", b"later", delay_ns=_LONG_NS, group_id="g", priority=3),
    _lease("jobs", 4),
    _nack("jobs", 2, NackKind.REJECT),
    _delete("jobs", 0, 5, 6),
    _move("jobs", "other", 0, 3, 6),
    _lease("other", 2),
    _move("other", "jobs", 0, 2),
    _lease("jobs", 2),
    _move("dead", "", 0, 1),
    _delete("jobs", 0),
    _pop("jobs", 3),
    _delete("other", 0),
]

_OPTIONS: Final = [
    _new("dead"),
    _new(
        "jobs",
        dead_letter_queue_id="dead",
        dead_letter_expired=True,
        dedup_window_ns=10 * NS_PER_S,
    ),
    _add_with("jobs", b"later", delay_ns=5 * NS_PER_S),
    _add_with("jobs", b"brief", ttl_ns=2 * NS_PER_S),
    _add_with("jobs", b"once", dedup_id="1"),
    _add_with("jobs", b"twice", dedup_id="1"),
    _add_with("jobs", b"first", priority=9),
    _pop("jobs"),
    _passes(3),
    _add_with("jobs", b"more", dedup_id="2", ttl_ns=NS_PER_S),
    _passes(4),
    _pop("jobs", 2),
    _passes(9),
    _add_with("jobs", b"again", dedup_id="1"),
]

_GROUPS: Final = [
    _new("dead"),
    _new("jobs", dead_letter_queue_id="dead", park_after=1),
    *(_add_with("jobs", b"g%d" % n, group_id=f"g{n % 3}") for n in range(6)),
    *(_add_with("jobs", b"k%d" % n, fair_key=f"k{n % 2}") for n in range(4)),
    _lease("jobs", 3),
    _ack("jobs", 1),
    _nack("jobs", 1, NackKind.FAIL),
    Step(lambda stage: stage.broker.grouping.pause_group("jobs", "g2")),
    _nack("jobs", 1, NackKind.RELEASE),
    _lease("jobs", 4),
    _ack("jobs", 2),
    Step(lambda stage: stage.broker.grouping.resume_group("jobs", "g2")),
    _pop("jobs", 2),
]

_SCHEDULES: Final = [
    _new("jobs"),
    Step(
        lambda stage: stage.broker.scheduling.put(
            "jobs", "often", SchedulePlan(interval_ns=10 * NS_PER_S, payload=b"often")
        )
    ),
    Step(
        lambda stage: stage.broker.scheduling.put(
            "jobs", "minutes", SchedulePlan(cron="* * * * *", payload=b"minute")
        )
    ),
    _passes(10),
    _pop("jobs"),
    _passes(60),
    _pop("jobs", 3),
    Step(lambda stage: stage.broker.scheduling.delete("jobs", "often")),
    _passes(60),
    Step(lambda stage: stage.broker.delete_queue("jobs")),
]

_QUEUES: Final = [
    _new("a"),
    _new("b"),
    _add_batch("a", 20),
    _add_batch("b", 20, begin=20),
    _lease("a", 3),
    Step(lambda stage: stage.broker.add_queue_tag("a", Tag("k", "v"))),
    Step(lambda stage: stage.broker.pause("a", adds=True)),
    Step(lambda stage: stage.broker.resume("a")),
    Step(lambda stage: stage.broker.purge("a")),
    _add("a", b"after"),
    Step(lambda stage: stage.broker.delete_queue("b")),
    _new("b"),
    _add("b", b"anew"),
    Step(lambda stage: stage.broker.delete_queue_tag("a", Tag("k", "v"))),
    _pop("a", 5),
    _new("small", overflow=Overflow.DROP_OLDEST),
    Step(lambda stage: stage.broker.update_queue("small", lambda settings: settings, 2)),
    *(_add("small", b"%d" % n) for n in range(4)),
]

_SWEEPS: Final = [
    _new("jobs"),
    *(
        step
        for n in range(6)
        for step in (
            _add_batch("jobs", 30, 60, 30 * n),
            _lease("jobs", 20),
            _ack("jobs", 20),
            _pop("jobs", 5),
        )
    ),
    Step(lambda stage: stage.broker.purge("jobs")),
    _add_batch("jobs", 10),
    _pop("jobs", 10),
    _pop("jobs", 1),
]

_FILES: Final = [
    _new("jobs"),
    *(_add_batch("jobs", 20, 500, 20 * n) for n in range(6)),
    *(_pop("jobs", 20) for _ in range(6)),
    *(_add("jobs", b"%d" % n) for n in range(6)),
    _pop("jobs", 2),
    _add("jobs", b"last"),
]

_OLD: Final = [
    _new("new"),
    _add("new", b"x"),
    _pop("new"),
]

_HERE: Final = Path(__file__).parent
_OFTEN: Final = Upkeep(checkpoint_pages=12)

SCRIPTS: Final[Mapping[str, Script]] = {
    "add-pop": Script(_ADD_AND_POP),
    "batch": Script(_BATCHES),
    "lease": Script(_LEASES),
    "dead-letter": Script(_DEAD_LETTERS),
    "by-id": Script(_BY_ID),
    "options": Script(_OPTIONS),
    "group": Script(_GROUPS),
    "schedule": Script(_SCHEDULES),
    "queue": Script(_QUEUES),
    "sweep": Script(_SWEEPS, ALONG, _OFTEN),
    "files": Script(
        _FILES, ALONG, Upkeep(checkpoint_pages=12, shrink_file_bytes_min=100_000, shrink_after_s=0)
    ),
    "format-1": Script(_OLD, ALONG, _OFTEN, _HERE / "format_1.sql"),
    "format-2": Script(_OLD, ALONG, _OFTEN, _HERE / "format_2.sql"),
}
