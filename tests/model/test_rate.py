"""A queue hands out messages no faster than its rate, and no slower."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import Rate
from qmq.limits import BURST_MAX, RATE_MAX, RATE_MIN
from qmq.model.rate import Bucket
from qmq.testing import START_NS
from qmq.values import NS_PER_S

rates = st.builds(
    Rate,
    messages_per_second=st.one_of(
        st.sampled_from([RATE_MIN, 0.3, 1.0, 3.0, 1_000.0, 99_999.9, 900_000.0, RATE_MAX]),
        st.floats(RATE_MIN, RATE_MAX),
    ),
    burst=st.one_of(st.just(0), st.integers(1, 20), st.integers(1, BURST_MAX)),
)

#: How much more than its rate a bucket may let pass, by rounding: one message in a billion.
ROUNDING = Fraction(1, 10**9)


def steps(rate: Rate) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Return what happens to a bucket: how long nothing does, and how many are asked for then."""
    interval_ns = round(NS_PER_S / rate.messages_per_second)
    pauses = st.one_of(
        st.sampled_from([0, 1, interval_ns - 1, interval_ns, interval_ns + 1]),
        st.integers(0, 3 * interval_ns),
        st.integers(0, 2 * interval_ns * rate.burst_max),
    )
    counts = st.one_of(st.integers(0, 3), st.integers(0, 2 * rate.burst_max))
    return st.lists(st.tuples(pauses, counts), max_size=30)


@given(data=st.data(), rate=rates)
def test_no_window_has_more_than_the_burst_and_the_rate(data: st.DataObject, rate: Rate) -> None:
    """Wherever it begins and ends: burst + rate * time."""
    bucket, now_ns = Bucket(rate), START_NS
    taken: list[tuple[int, int]] = []

    for pause_ns, wanted in data.draw(steps(rate)):
        now_ns += pause_ns
        count = min(wanted, bucket.level(now_ns))
        bucket.take(count, now_ns)
        taken.append((now_ns, count))

    per_ns = Fraction(rate.messages_per_second) / NS_PER_S * (1 + ROUNDING)
    for first, (since_ns, _) in enumerate(taken):
        count = 0
        for until_ns, each in taken[first:]:
            count += each
            assert count <= rate.burst_max + per_ns * (until_ns - since_ns)


@given(data=st.data(), rate=rates)
def test_bucket_is_full_after_a_pause_and_never_more(data: st.DataObject, rate: Rate) -> None:
    """What was not taken in time is gone."""
    bucket, now_ns = Bucket(rate), START_NS
    assert bucket.level(now_ns) == rate.burst_max

    for pause_ns, wanted in data.draw(steps(rate)):
        now_ns += pause_ns
        level = bucket.level(now_ns)
        assert 0 <= level <= rate.burst_max
        bucket.take(min(wanted, level), now_ns)
        assert bucket.level(now_ns) == level - min(wanted, level)

    fills_ns = int((rate.burst_max + 1) * NS_PER_S / rate.messages_per_second) + 1
    assert bucket.level(now_ns + fills_ns) == rate.burst_max


@given(data=st.data(), rate=rates)
def test_it_is_worth_while_to_look_again_when_there_is_a_message_to_hand_out(
    data: st.DataObject, rate: Rate
) -> None:
    """Never in vain; and no later than the next message is due, or some milliseconds after."""
    bucket, now_ns = Bucket(rate), START_NS
    for pause_ns, wanted in data.draw(steps(rate)):
        now_ns += pause_ns
        bucket.take(min(wanted, bucket.level(now_ns)), now_ns)
    bucket.take(bucket.level(now_ns), now_ns)

    next_ns = bucket.next_ns()

    assert now_ns < next_ns
    assert bucket.level(next_ns) >= 1
    interval_ns = NS_PER_S / rate.messages_per_second
    assert next_ns - now_ns <= max(interval_ns, 10_000_000) + 1


@pytest.mark.parametrize("rate", [0.1, 1.0, 3.0, 7_777.7, 100_000.0, 900_000.0, 1_000_000.0])
def test_nothing_adds_up_to_a_wrong_rate(rate: float) -> None:
    """One by one, as soon as each is due, at a moment as large as the present one."""
    bucket, now_ns = Bucket(Rate(messages_per_second=rate, burst=1)), START_NS
    count = 50_000

    for _ in range(count):
        bucket.take(1, now_ns)
        now_ns = bucket.next_ns()

    # Each may be a nanosecond late.
    lasts_ns = count / rate * NS_PER_S
    assert lasts_ns * (1 - 1e-9) <= now_ns - START_NS <= lasts_ns * (1 + 1e-9) + count


def test_what_is_taken_beyond_the_level_is_paid_for_later() -> None:
    """Nothing is handed out until the bucket has made up for it."""
    bucket = Bucket(Rate(messages_per_second=2.0, burst=3))

    bucket.take(5, START_NS)

    assert bucket.level(START_NS) == 0
    assert bucket.level(START_NS + NS_PER_S) == 0
    assert bucket.next_ns() == START_NS + NS_PER_S * 3 // 2
    assert bucket.level(START_NS + NS_PER_S * 3 // 2) == 1


def test_fast_queue_is_not_woken_up_for_each_message() -> None:
    """Those that become due within ten milliseconds are handed out together."""
    fast = Bucket(Rate(messages_per_second=10_000.0))
    fast.take(10_000, START_NS)
    small = Bucket(Rate(messages_per_second=10_000.0, burst=20))
    small.take(20, START_NS)

    assert fast.next_ns() == START_NS + 10_000_000
    assert fast.level(fast.next_ns()) == 100
    # It holds no more than that.
    assert small.next_ns() == START_NS + 2_000_000


@pytest.mark.parametrize(
    ("rate", "burst_max"),
    [
        (Rate(messages_per_second=5.0), 5),
        (Rate(messages_per_second=0.5), 1),
        (Rate(messages_per_second=5.9), 5),
        (Rate(messages_per_second=5.0, burst=2), 2),
        (Rate(messages_per_second=0.5, burst=9), 9),
    ],
)
def test_burst_is_what_comes_in_a_second_if_nothing_is_said(rate: Rate, burst_max: int) -> None:
    """And one message at least."""
    assert rate.burst_max == burst_max
    assert Bucket(rate).level(START_NS) == burst_max
