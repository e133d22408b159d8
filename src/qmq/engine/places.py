"""The places of calls that wait for messages, and the lines that they stand in."""

import asyncio
from collections import deque
from typing import Protocol

from qmq.descriptions import QueueInfo
from qmq.model.queue import Queue
from qmq.model.selector import Selector
from qmq.model.turns import Turn, Turns


class Scope(Protocol):
    """Some of all queues, told by their names and tags; equal ones are of the same queues."""

    def covers(self, info: QueueInfo) -> bool:
        """Tell whether a queue is among them."""
        ...

    def __hash__(self) -> int: ...


class Place:
    """The place of one caller in a line."""

    __slots__ = ("left", "number", "promise", "queue")

    def __init__(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        #: The lower, the earlier the caller came.
        self.number = number
        #: Done when the caller is promised a message, or dismissed with an error.
        self.promise: asyncio.Future[None] = loop.create_future()
        #: Done when the caller has taken its message, or left without one.
        self.left: asyncio.Future[None] = loop.create_future()
        #: The queue whose message it is promised.
        self.queue: Queue | None = None


class Selection:
    """The queues of a scope that a selector matches: whose turn it is, and which calls wait.

    Its queues take turns if they have messages that are promised to nobody. A queue comes in when
    it has some, and goes out when somebody finds that it has none.
    """

    __slots__ = (
        "building",
        "callers",
        "members",
        "scope",
        "selector",
        "turns",
        "used_ns",
        "waiting",
    )

    def __init__(self, selector: Selector, used_ns: int, scope: Scope | None = None) -> None:
        self.selector = selector
        #: None stands for all queues.
        self.scope = scope
        #: The queues that it matches, by their numbers.
        self.members: dict[int, Member] = {}
        #: Those of them that have, or had a moment ago, messages free.
        self.turns: Turns[Member] = Turns()
        #: Those who wait for a message of any of them and are promised none, in order of
        #: arrival. If there are any, no queue has a message free.
        self.waiting: deque[Place] = deque()
        #: What finds its queues; None once it has.
        self.building: asyncio.Task[None] | None = None
        #: How many calls are under way that use it, and when the last one ended.
        self.callers = 0
        self.used_ns = used_ns

    def matches(self, info: QueueInfo) -> bool:
        """Tell whether a queue is one of them."""
        return self.selector.matches(info.tags) and (self.scope is None or self.scope.covers(info))

    def __repr__(self) -> str:
        """Say what it matches, and how many queues that are."""
        return (
            f"<Selection {self.selector} of {len(self.members)} queues:"
            f" {len(self.turns)} take turns, {len(self.waiting)} callers wait>"
        )


class Member:
    """A queue as part of a selection."""

    __slots__ = ("queue", "turn")

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.turn: Turn[Member] = Turn(self, queue.info.settings.weight)


class Line:
    """The calls that wait for messages of one queue, and the selections that it is in."""

    __slots__ = ("idle", "members", "promised", "waiting")

    def __init__(self) -> None:
        #: Not promised anything yet, in order of arrival.
        self.waiting: deque[Place] = deque()
        #: Promised a message that they have not taken yet, in the order of their promises.
        self.promised: deque[Place] = deque()
        #: What the queue is in each selection that it is in.
        self.members: dict[Selection, Member] = {}
        #: Those among them that do not wait for their turn.
        self.idle: dict[Selection, Member] = {}

    @property
    def is_of_use(self) -> bool:
        """Whether somebody stands in it, or a selection has the queue."""
        return bool(self.waiting or self.promised or self.members)

    def promise(self, queue: Queue, place: Place) -> None:
        """Promise a message of the queue to one who waits no more then."""
        self.promised.append(place)
        place.queue = queue
        place.promise.set_result(None)
