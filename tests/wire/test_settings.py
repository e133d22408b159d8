"""Between the settings of queues on the wire and their values."""

from dataclasses import fields, replace
from math import inf, isnan, nan
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.descriptions import BackOff, Fairness, QueueSettings, Rate
from qmq.errors import InvalidArgument
from qmq.limits import BURST_MAX, RATE_MAX, RATE_MIN, WEIGHT_MAX, WEIGHTS_MAX
from qmq.values import NS_PER_S, Durability, Overflow
from qmq.wire import q_pb2 as pb
from qmq.wire.settings import settings_change, settings_message
from qmq.wire.times import AHEAD, TTL

DAY_NS = 24 * 3600 * NS_PER_S

#: All that there is, each other than by default.
OTHERS = QueueSettings(
    lease_duration_ns=NS_PER_S + 1,
    delivery_count_max=2,
    dead_letter_queue_id="x",
    back_off=BackOff(base_ns=3, factor=4, max_ns=5, jitter=0.6),
    durability_min=Durability.OS,
    delay_ns=7,
    ttl_ns=8 * NS_PER_S,
    dead_letter_expired=True,
    dedup_window_ns=9 * NS_PER_S,
    priority_ageing_ns=10,
    bytes_limit=2**40,
    overflow=Overflow.DEAD_LETTER_OLDEST,
    leased_max=12,
    rate=Rate(messages_per_second=0.5, burst=13),
    park_after=14,
    fairness=Fairness(
        leased_max=15, rate=Rate(messages_per_second=0.25, burst=16), weights=(("a", 17), ("b", 18))
    ),
    weight=19,
)


def changed(message: pb.QueueSettings) -> QueueSettings:
    """Return what a request makes of the default settings."""
    return settings_change(message)(QueueSettings())


def weights_of(message: pb.QueueSettings, *before: tuple[str, int]) -> tuple[tuple[str, int], ...]:
    """Return what a request makes of the weights that a queue has."""
    settings = QueueSettings(fairness=Fairness(weights=before))
    return settings_change(message)(settings).fairness.weights


def settings_refused(**settings: Any) -> str:  # noqa: ANN401 - As the message has them.
    """Return how settings are refused."""
    with pytest.raises(InvalidArgument) as refusal:
        settings_change(pb.QueueSettings(**settings))
    return refusal.value.message


def test_others_are_other_in_everything() -> None:
    """Else the tests below would not see what they look for."""
    for field in fields(QueueSettings):
        assert getattr(OTHERS, field.name) != getattr(QueueSettings(), field.name)


def test_settings_of_nothing_change_nothing() -> None:
    """A message without fields says nothing, whatever the settings are."""
    assert settings_change(pb.QueueSettings())(OTHERS) == OTHERS
    empty = pb.QueueSettings(
        back_off=pb.BackOff(), rate=pb.Rate(), fairness=pb.Fairness(rate=pb.Rate())
    )
    assert settings_change(empty)(OTHERS) == OTHERS


@pytest.mark.parametrize("settings", [QueueSettings(), OTHERS], ids=["default", "others"])
def test_settings_are_those_of_their_description(settings: QueueSettings) -> None:
    """What describes a queue's settings makes the same ones of any, weights that it names not."""
    described = settings_message(settings)
    unweighted = replace(OTHERS, fairness=replace(OTHERS.fairness, weights=()))

    assert settings_change(described)(unweighted) == settings
    assert changed(described) == settings
    assert len(described.ListFields()) == len(fields(QueueSettings))


def test_one_setting_is_changed_alone() -> None:
    """Whichever it is, and those of a group too."""
    described = settings_message(OTHERS)
    for field, value in described.ListFields():
        if field.name not in ("back_off", "rate", "fairness"):
            alone = pb.QueueSettings(**{field.name: value})
            name = f"{field.name}_ns" if isinstance(value, Duration) else field.name
            expected = replace(QueueSettings(), **{name: getattr(OTHERS, name)})
            assert changed(alone) == expected
    fast = changed(pb.QueueSettings(rate=pb.Rate(messages_per_second=5)))
    assert settings_change(pb.QueueSettings(rate=pb.Rate(burst=6)))(fast).rate == Rate(
        messages_per_second=5, burst=6
    )
    for field, value in described.fairness.ListFields():
        alone = pb.QueueSettings(fairness=pb.Fairness(**{field.name: value}))
        expected_fairness = replace(
            Fairness(), **{field.name: getattr(OTHERS.fairness, field.name)}
        )
        assert changed(alone).fairness == expected_fairness


def test_zero_takes_a_setting_back() -> None:
    """It is another thing than to leave it out."""
    zeros = pb.QueueSettings(
        delay=Duration(),
        ttl=Duration(),
        dead_letter_expired=False,
        priority_ageing=Duration(),
        bytes_limit=0,
        leased_max=0,
        rate=pb.Rate(messages_per_second=0, burst=0),
        park_after=0,
        fairness=pb.Fairness(
            leased_max=0,
            rate=pb.Rate(messages_per_second=0, burst=0),
            weights={"a": 0, "b": 0, "unknown": 0},
        ),
    )
    default = QueueSettings()

    settings = settings_change(zeros)(OTHERS)

    names = ("delay_ns", "ttl_ns", "dead_letter_expired", "priority_ageing_ns", "bytes_limit")
    for name in (*names, "leased_max", "rate", "park_after", "fairness"):
        assert getattr(settings, name) == getattr(default, name)
    assert settings.dedup_window_ns == OTHERS.dedup_window_ns


@pytest.mark.parametrize(
    ("name", "least_ns", "most_ns", "words"),
    [
        ("delay", 0, AHEAD.max_ns, "0 to 10 years"),
        ("ttl", TTL.min_ns, AHEAD.max_ns, "1 millisecond to 10 years, or 0 for ever"),
        ("dedup_window", NS_PER_S, 7 * DAY_NS, "1 second to 7 days"),
        ("priority_ageing", 0, DAY_NS, "0 to 1 day"),
    ],
)
@given(data=st.data())
def test_durations_have_their_ranges(
    name: str, least_ns: int, most_ns: int, words: str, data: st.DataObject
) -> None:
    """To the nanosecond; who leaves one is told which and how far it goes."""
    ns = data.draw(
        st.integers(-1, 2 * most_ns)
        | st.sampled_from([least_ns - 1, least_ns, most_ns, most_ns + 1, 0])
    )
    duration = Duration()
    duration.FromNanoseconds(ns)

    if least_ns <= ns <= most_ns or (name == "ttl" and ns == 0):
        settings = changed(pb.QueueSettings(**{name: duration}))  # type: ignore[arg-type]
        assert getattr(settings, f"{name}_ns") == ns
    else:
        refusal = settings_refused(**{name: duration})
        assert refusal == f"settings.{name}: must be {words}; got {ns / NS_PER_S:g} seconds"


@given(rate=st.floats() | st.floats(0, RATE_MIN * 2) | st.floats(RATE_MAX - 1, RATE_MAX + 1))
@example(0.0)
@example(-0.0)
@example(RATE_MIN)
@example(RATE_MAX)
@example(nan)
@example(inf)
@example(5e-324)
def test_rate_is_one_that_q_can_keep(rate: float) -> None:
    """Neither so slow that the next message is years away, nor faster than it counts."""
    message = pb.QueueSettings(rate=pb.Rate(messages_per_second=rate))

    if rate == 0 or (not isnan(rate) and RATE_MIN <= rate <= RATE_MAX):
        assert changed(message).rate == Rate(messages_per_second=rate)
    else:
        assert settings_refused(rate=message.rate) == (
            "settings.rate.messages_per_second: must be 0.00001 to 1,000,000, or 0 for no limit;"
            f" got {rate:g}"
        )


@given(burst=st.integers(-(2**31), 2**31 - 1) | st.integers(BURST_MAX - 2, BURST_MAX + 2))
@example(0)
def test_burst_is_bounded(burst: int) -> None:
    """0 stands for as many as in one second."""
    message = pb.QueueSettings(rate=pb.Rate(burst=burst))

    if 0 <= burst <= BURST_MAX:
        assert changed(message).rate == Rate(burst=burst)
    else:
        assert settings_refused(rate=message.rate) == (
            "settings.rate.burst: must be 1 to 1,000,000, or 0 for as many as in one second;"
            f" got {burst}"
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bytes_limit": -1}, "bytes_limit: must be 1 or more, or 0 for no limit; got -1"),
        (
            {"bytes_limit": -(2**63)},
            f"bytes_limit: must be 1 or more, or 0 for no limit; got {-(2**63)}",
        ),
        ({"leased_max": -1}, "leased_max: must be 1 or more, or 0 for any number; got -1"),
        ({"park_after": -1}, "park_after: must be 1 to 1000, or 0 for never; got -1"),
        ({"park_after": 1_001}, "park_after: must be 1 to 1000, or 0 for never; got 1001"),
        ({"weight": 0}, "weight: must be 1 to 1000; got 0"),
        ({"weight": -1}, "weight: must be 1 to 1000; got -1"),
        ({"weight": 1_001}, "weight: must be 1 to 1000; got 1001"),
        (
            {"fairness": pb.Fairness(leased_max=-1)},
            "fairness.leased_max: must be 1 or more, or 0 for any number; got -1",
        ),
        (
            {"fairness": pb.Fairness(rate=pb.Rate(burst=-1))},
            (
                "fairness.rate.burst: must be 1 to 1,000,000, or 0 for as many as in one second;"
                " got -1"
            ),
        ),
        (
            {"fairness": pb.Fairness(weights={"b": 1_001, "a": -1})},
            'fairness.weights["a"]: must be 1 to 1000, or 0 to forget it; got -1',
        ),
        (
            {"fairness": pb.Fairness(weights={"": 1_001})},
            'fairness.weights[""]: must be 1 to 1000, or 0 to forget it; got 1001',
        ),
        (
            {"fairness": pb.Fairness(weights={"a\n": 1})},
            (
                'fairness.weights["a\\n"]: must have no control characters, such as line breaks;'
                " U+000A is at 1"
            ),
        ),
        (
            {"fairness": pb.Fairness(weights={"é" * 65: 1})},
            f'fairness.weights["{"é" * 65}"]: takes 130 bytes, more than 128',
        ),
        (
            {"fairness": pb.Fairness(weights={"x" * 1_000: 1})},
            f'fairness.weights["{"x" * 128}"]: takes 1000 bytes, more than 128',
        ),
        (
            {"overflow": 4},
            "overflow: must be one of REJECT (1), DROP_OLDEST (2), DEAD_LETTER_OLDEST (3); got 4",
        ),
        (
            {"overflow": -1},
            "overflow: must be one of REJECT (1), DROP_OLDEST (2), DEAD_LETTER_OLDEST (3); got -1",
        ),
        (
            {"durability_min": 9},
            "durability_min: must be one of MEMORY (1), OS (2), FSYNC (3), REPLICATED (4); got 9",
        ),
    ],
)
def test_settings_are_refused_by_name_and_rule(settings: dict[str, Any], message: str) -> None:
    """Also those that only a program can send that has another proto."""
    assert settings_refused(**settings) == f"settings.{message}"


def test_counts_may_be_as_high_as_the_wire_has_them() -> None:
    """There is no reason for any other bound."""
    settings = changed(pb.QueueSettings(bytes_limit=2**63 - 1, leased_max=2**31 - 1))

    assert (settings.bytes_limit, settings.leased_max) == (2**63 - 1, 2**31 - 1)


def test_weights_are_changed_one_by_one() -> None:
    """Those that are named; 0 forgets one; they stand in the order of their keys."""
    message = pb.QueueSettings(fairness=pb.Fairness(weights={"c": 5, "": 6, "a": 0, "x": 0}))

    assert weights_of(message, ("a", 1), ("b", 2), ("c", 3)) == (("", 6), ("b", 2), ("c", 5))
    assert weights_of(pb.QueueSettings(), ("a", 1), ("b", 2)) == (("a", 1), ("b", 2))


def test_a_queue_has_so_many_weights_and_no_more() -> None:
    """Counted are those that there would be, not those of the request."""
    many = tuple(sorted((str(number), WEIGHT_MAX) for number in range(WEIGHTS_MAX)))
    more = pb.QueueSettings(fairness=pb.Fairness(weights={"x": 1}))
    other = pb.QueueSettings(fairness=pb.Fairness(weights={"x": 1, "0": 0, "1": 2}))

    assert len(weights_of(pb.QueueSettings(fairness=pb.Fairness(weights=dict(many))))) == 1_000
    assert len(weights_of(other, *many)) == 1_000
    with pytest.raises(InvalidArgument) as refusal:
        weights_of(more, *many)
    assert refusal.value.message == (
        "settings.fairness.weights: would be 1001, more than weights_max of 1000; 0 forgets one"
    )
