"""How much one identity may have in hand."""

import pytest

from qmq.access.limits import Use
from qmq.access.policy import Bounds
from qmq.errors import CallsExceeded


class Clock:
    """Seconds in the test's hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Tell them."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


def test_calls_in_a_second_are_bounded(clock: Clock) -> None:
    """As many at once as in a second, and then one whenever its time has come."""
    use = Use("a", Bounds(calls_per_second=4), clock)
    for _ in range(4):
        use.begin("c")

    with pytest.raises(CallsExceeded) as error:
        use.begin("c")
    clock.now_s += 0.25
    use.begin("c")
    with pytest.raises(CallsExceeded):
        use.begin("c")

    assert error.value.metadata == {"limit": "calls_per_second", "value": "4", "current": "4"}
    assert error.value.retry_after_s == pytest.approx(0.25)


def test_calls_under_way_are_bounded(clock: Clock) -> None:
    """One that has ended makes room for another."""
    use = Use("a", Bounds(calls_max=2), clock)
    use.begin("c")
    use.begin("d")

    with pytest.raises(CallsExceeded, match="calls_max of 2"):
        use.begin("c")
    use.end("d")
    use.begin("c")


def test_connections_with_calls_under_way_are_bounded(clock: Clock) -> None:
    """On those that there are, as many calls as one likes."""
    use = Use("a", Bounds(connections_max=1), clock)
    use.begin("c")
    use.begin("c")

    with pytest.raises(CallsExceeded, match="connections_max of 1"):
        use.begin("d")
    use.end("c")
    with pytest.raises(CallsExceeded):
        use.begin("d")
    use.end("c")
    use.begin("d")


def test_a_refused_call_takes_nothing(clock: Clock) -> None:
    """However often it is tried."""
    use = Use("a", Bounds(calls_per_second=3, calls_max=1), clock)
    use.begin("c")
    for _ in range(10):
        with pytest.raises(CallsExceeded, match="calls_max"):
            use.begin("c")

    use.end("c")
    use.begin("c")
    use.end("c")
    use.begin("c")
