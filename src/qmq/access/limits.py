"""How often one identity calls, how many calls it has under way, and on how many connections."""

from collections.abc import Callable, Hashable

from qmq.access.policy import Bounds
from qmq.errors import CallsExceeded


class Use:
    """What one identity has in hand, within its bounds."""

    def __init__(self, name: str, bounds: Bounds, now_s: Callable[[], float]) -> None:
        """Make one that has nothing in hand.

        Args:
            name: the identity's.
            bounds: what it may.
            now_s: tells the present, in seconds of a clock that nobody sets.
        """
        self._name = name
        self.bounds = bounds
        self._now_s = now_s
        #: Calls that it may make at once, and since when.
        self._tokens = float(bounds.calls_per_second)
        self._since_s = now_s()
        self._calls = 0
        #: Calls under way, by connection.
        self._by_connection: dict[Hashable, int] = {}

    def begin(self, connection: Hashable) -> None:
        """Count a call that begins.

        Raises:
            CallsExceeded: it is one too many, and is not counted.
        """
        bounds, connections = self.bounds, self._by_connection
        if bounds.calls_max and self._calls >= bounds.calls_max:
            raise self._exceeded("calls_max", bounds.calls_max, self._calls, 0.1)
        if (
            bounds.connections_max
            and connection not in connections
            and len(connections) >= bounds.connections_max
        ):
            raise self._exceeded("connections_max", bounds.connections_max, len(connections), 1.0)
        if bounds.calls_per_second:
            self._take()
        self._calls += 1
        connections[connection] = connections.get(connection, 0) + 1

    def _take(self) -> None:
        """Take one of the calls that may be made now."""
        rate, now_s = self.bounds.calls_per_second, self._now_s()
        self._tokens = min(float(rate), self._tokens + (now_s - self._since_s) * rate)
        self._since_s = now_s
        if self._tokens < 1:
            wait_s = (1 - self._tokens) / rate
            raise self._exceeded("calls_per_second", rate, rate, wait_s)
        self._tokens -= 1

    def _exceeded(self, limit: str, most: int, current: int, wait_s: float) -> CallsExceeded:
        return CallsExceeded(self._name, limit, most, current, wait_s)

    def end(self, connection: Hashable) -> None:
        """Count a call no more that `begin` counted."""
        self._calls -= 1
        left = self._by_connection[connection] - 1
        if left:
            self._by_connection[connection] = left
        else:
            del self._by_connection[connection]
