"""What is measured: points, each a shape of load, in families that tell of one thing.

A *point* is one shape of load on one system; a *system* is a server with a durability. How an
operation of q is done by each of the other systems is in `EQUIVALENTS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Point:
    """One shape of load. Points are equal if they load a system alike."""

    #: Names the family: unary, batches, depth, queues, payloads, connections or mixed.
    family: str
    #: add; pop; lease, which is a lease and its ack; cycle, which is adds and leases by turns.
    kind: str
    #: Messages in each operation.
    batch: int = 1
    connections: int = 1
    #: Operations in flight on each connection.
    streams: int = 1
    payload_bytes: int = 64
    queues: int = 1
    #: Ready messages that stand in the queue all the time.
    depth: int = 0
    #: How many operations a second are due: 0 for as many as are answered; a share of what the
    #: system does at most, below 1; or a number.
    rate: float = 0

    @property
    def in_flight(self) -> int:
        """How many operations are under way at any time."""
        return self.connections * self.streams

    @property
    def key(self) -> str:
        """Names the point in results."""
        parts = [self.family, self.kind, f"batch={self.batch}", f"connections={self.connections}"]
        parts += [f"streams={self.streams}", f"payload={self.payload_bytes}"]
        parts += [f"queues={self.queues}", f"depth={self.depth}", f"rate={self.rate:g}"]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class System:
    """A server, and what it does before it answers."""

    name: str
    server: str
    title: str
    #: fsync: it has synced a change to disk before it answers; memory: gone with the process.
    durability: str


SYSTEMS: Final = (
    System("q-fsync", "q", "q, DISK", "fsync"),
    System("redis-fsync", "redis", "Redis, appendfsync always", "fsync"),
    System("beanstalkd-fsync", "beanstalkd", "beanstalkd -f0", "fsync"),
    System("rabbitmq-fsync", "rabbitmq", "RabbitMQ, quorum queue", "fsync"),
    System("nats-fsync", "nats", "NATS JetStream, sync_interval always", "fsync"),
    System("q-memory", "q", "q, MEMORY", "memory"),
    System("redis-memory", "redis", "Redis, no file", "memory"),
    System("beanstalkd-memory", "beanstalkd", "beanstalkd, no file", "memory"),
)
SERVERS: Final = ("q", "redis", "beanstalkd", "rabbitmq", "nats")

#: How each server does an operation; one that is missing, it has no equivalent of.
EQUIVALENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "q": {
        "add": "Add, or AddBatch of a batch",
        "pop": "Pop, or PopBatch",
        "lease": "Lease of a batch, then Ack of its leases",
    },
    "redis": {
        "add": "LPUSH of a batch to a list; to be leased: XADD to a stream, pipelined",
        "pop": "RPOP; of a batch with its count",
        "lease": "XREADGROUP COUNT of a stream, then XACK and XDEL of the batch in one pipeline",
    },
    "beanstalkd": {
        "add": "put; a batch is pipelined, and each put is synced by itself",
        "lease": "reserve, then delete; a batch is pipelined",
    },
    "rabbitmq": {
        "add": "basic.publish, persistent, with confirms; a batch is done with its last confirm",
        "pop": "basic.get without acks",
        "lease": (
            "basic.get, then basic.ack; a batch: a subscription with a prefetch of as much as is "
            "in flight, and one multiple ack a batch. RabbitMQ answers no ack: the time until an "
            "ack has taken effect is not in its figures"
        ),
    },
    "nats": {
        "add": "PUB to a work-queue stream with a reply subject; a batch ends with its last answer",
        "lease": (
            "a pull of a batch from a durable consumer, then +ACK of each message, the last with a "
            "reply subject, and its answer"
        ),
    },
}

#: Points that a server leaves out though it has the operations, by family, and why.
_TOO_MANY_QUEUES: Final = {
    "rabbitmq": "a quorum queue is a Raft group: making 10,000 takes minutes",
    "nats": "a work queue is a stream with files of its own: making 10,000 takes minutes",
}
#: The same, of leases alone.
_TOO_MANY_TO_LEASE_FROM: Final = {
    "beanstalkd": "a connection has to watch all tubes: watching 10,000 takes minutes",
}
_MANY: Final = 10_000
_DEEP: Final = 10_000_000


def unsupported(point: Point, server: str) -> str:
    """Say why a server does not run a point; empty if it does."""
    kinds = ("add", "lease") if point.kind == "cycle" else (point.kind,)
    for kind in kinds:
        if kind not in EQUIVALENTS[server]:
            return f"has no equivalent of {kind}"
    if point.queues < _MANY:
        return ""
    leasing = _TOO_MANY_TO_LEASE_FROM.get(server, "") if point.kind == "lease" else ""
    return leasing or _TOO_MANY_QUEUES.get(server, "")


def points(*, quick: bool = False, deep: bool = False) -> list[Point]:
    """List what is measured.

    Args:
        quick: leave out most.
        deep: add queues in which ten million messages stand.
    """
    found = [*_unary(quick), *_batches(quick), *_queues(quick), *_connections(quick), *_mixed()]
    depths = [10_000] if quick else [10_000, 1_000_000]
    if deep:
        depths.append(_DEEP)
    found += [Point("depth", "cycle", batch=100, connections=4, depth=depth) for depth in depths]
    # The last ones leave files behind that others would have to work through.
    return [*found, *_payloads(quick)]


def sessions(wanted: Sequence[Point], *, quick: bool = False) -> list[list[Point]]:
    """Tell which points are measured on one start of a server: those of a family, but each depth.

    Args:
        wanted: the points.
        quick: all on one start.
    """
    if quick:
        return [list(wanted)]
    found: dict[tuple[str, int], list[Point]] = {}
    for point in wanted:
        found.setdefault((point.family, point.depth), []).append(point)
    return list(found.values())


def chosen(wanted: Sequence[Point], only: Sequence[str]) -> list[Point]:
    """Keep the points of families, or of kinds of a family as in `unary/lease`.

    Those of kind add stay with their family's: they tell how many messages the others need.

    Raises:
        ValueError: there is nothing of such a name.
    """
    if not only:
        return list(wanted)
    known = {name for point in wanted for name in (point.family, f"{point.family}/{point.kind}")}
    if unknown := set(only) - known:
        raise ValueError(f"there is no {min(unknown)}; there are {', '.join(sorted(known))}")
    return [
        point
        for point in wanted
        if point.family in only
        or f"{point.family}/{point.kind}" in only
        or (point.kind == "add" and any(each.startswith(f"{point.family}/") for each in only))
    ]


def _each(point: Point, *kinds: str) -> Iterator[Point]:
    for kind in kinds:
        yield replace(point, kind=kind)


def _unary(quick: bool) -> Iterator[Point]:  # noqa: FBT001 - As in `points`.
    shapes = {1: (1, 1), 8: (8, 1), 64: (8, 8), 256: (8, 32)}
    for in_flight in (1, 64) if quick else shapes:
        connections, streams = shapes[in_flight]
        point = Point("unary", "add", connections=connections, streams=streams)
        yield from _each(point, "add", "pop", "lease")


def _batches(quick: bool) -> Iterator[Point]:  # noqa: FBT001
    for batch in (100,) if quick else (10, 100, 1_000):
        yield from _each(Point("batches", "add", batch=batch, connections=4), "add", "lease")


def _queues(quick: bool) -> Iterator[Point]:  # noqa: FBT001
    for queues in (100,) if quick else (1, 100, 10_000):
        point = Point("queues", "add", connections=8, streams=8, queues=queues)
        yield from _each(point, "add", "lease")


def _payloads(quick: bool) -> Iterator[Point]:  # noqa: FBT001
    sizes = (64, 1_024, 64 * 1_024, 1_024 * 1_024)
    for size in sizes[2:3] if quick else sizes:
        point = Point("payloads", "add", connections=8, payload_bytes=size)
        yield from _each(point, "add", "lease")


def _connections(quick: bool) -> Iterator[Point]:  # noqa: FBT001
    yield from _each(
        Point("connections", "add", connections=200 if quick else 1_000), "add", "lease"
    )


def _mixed() -> Iterator[Point]:
    point = Point("mixed", "cycle", connections=8, streams=8)
    # The first tells the most that the system does, of which the second is half.
    yield from (point, replace(point, rate=0.5), replace(point, rate=1_000))
