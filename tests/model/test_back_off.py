"""How long a failed message is kept back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import BackOff
from qmq.limits import DELIVERY_COUNT_MAX
from qmq.values import NS_PER_S

HOUR_S = 3600


@pytest.mark.parametrize(("count", "delay_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (9, 256)])
def test_delay_doubles_with_each_delivery(count: int, delay_s: int) -> None:
    """From one second on, unless the queue says otherwise."""
    assert BackOff(jitter=0).delay_ns(count, 0.7) == delay_s * NS_PER_S


@pytest.mark.parametrize("count", [10, 11, 100, DELIVERY_COUNT_MAX])
def test_delay_is_bounded(count: int) -> None:
    """By five minutes, unless the queue says otherwise."""
    assert BackOff(jitter=0).delay_ns(count, 0.0) == 300 * NS_PER_S


@pytest.mark.parametrize(("count", "delay_ms"), [(1, 500), (2, 1_500), (3, 4_500), (4, 5_000)])
def test_base_factor_and_max_are_the_queues(count: int, delay_ms: int) -> None:
    """Base * factor^(n-1), at most max."""
    back_off = BackOff(base_ns=NS_PER_S // 2, factor=3.0, max_ns=5 * NS_PER_S, jitter=0)

    assert back_off.delay_ns(count, 0.0) == delay_ms * NS_PER_S // 1_000


def test_factor_of_one_keeps_the_delay() -> None:
    """However often the message has failed."""
    back_off = BackOff(base_ns=7, factor=1.0, jitter=0)

    assert {back_off.delay_ns(count, 0.0) for count in (1, 2, 500)} == {7}


@pytest.mark.parametrize("count", [1, 30, DELIVERY_COUNT_MAX])
def test_base_of_zero_is_no_delay(count: int) -> None:
    """Whatever the factor, and however often the message has failed."""
    assert BackOff(base_ns=0, factor=100.0).delay_ns(count, 0.5) == 0


@pytest.mark.parametrize(
    ("chance", "delay_s"), [(0.0, 100), (0.25, 95), (0.5, 90), (0.999, 80.02), (1.0, 80)]
)
def test_jitter_takes_off_a_share(chance: float, delay_s: float) -> None:
    """Chance decides how much of it; nothing is ever put on."""
    back_off = BackOff(base_ns=100 * NS_PER_S, jitter=0.2)

    assert back_off.delay_ns(1, chance) == round(delay_s * NS_PER_S)


def test_jitter_is_taken_off_the_longest_delay_too() -> None:
    """Messages that failed together for long do not come back together."""
    assert BackOff(jitter=0.5).delay_ns(50, 1.0) == 150 * NS_PER_S


@given(
    count=st.integers(1, DELIVERY_COUNT_MAX),
    base_ns=st.integers(0, 12 * HOUR_S * NS_PER_S),
    factor=st.floats(1, 100),
    max_ns=st.integers(0, 7 * 24 * HOUR_S * NS_PER_S),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1),
)
def test_delay_is_within_its_bounds(  # noqa: PLR0913 - All that it depends on.
    *, count: int, base_ns: int, factor: float, max_ns: int, jitter: float, chance: float
) -> None:
    """Whatever a queue may be set to, however often a message was delivered."""
    back_off = BackOff(base_ns=base_ns, factor=factor, max_ns=max_ns, jitter=jitter)

    delay_ns = back_off.delay_ns(count, chance)

    assert 0 <= delay_ns <= max_ns
    assert delay_ns <= back_off.delay_ns(count, 0.0)
    assert back_off.delay_ns(count, 0.0) <= back_off.delay_ns(count + 1, 0.0)
