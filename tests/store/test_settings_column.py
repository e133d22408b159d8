"""The settings of a queue in their column: what is written is read, by this q and the next."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.descriptions import BackOff, Fairness, Pause, QueueInfo, QueueSettings, Rate
from qmq.limits import (
    AHEAD_S_MAX,
    BURST_MAX,
    PARK_AFTER_MAX,
    PRIORITY_AGEING_S_MAX,
    RATE_MAX,
    RATE_MIN,
    WEIGHT_MAX,
)
from qmq.model.queue import Queue
from qmq.store.rows import queue_columns, settings_of
from qmq.values import NS_PER_S, Durability, Overflow, Store

_AHEAD_NS = st.integers(0, AHEAD_S_MAX * NS_PER_S)
_RATES = st.builds(
    Rate,
    messages_per_second=st.just(0.0) | st.floats(RATE_MIN, RATE_MAX),
    burst=st.integers(0, BURST_MAX),
)
_WEIGHTS = st.dictionaries(st.text(max_size=32), st.integers(1, WEIGHT_MAX), max_size=5)

all_settings = st.builds(
    QueueSettings,
    lease_duration_ns=st.integers(1_000_000, 12 * 3600 * NS_PER_S),
    delivery_count_max=st.integers(0, 1_000),
    dead_letter_queue_id=st.just("") | st.uuids().map(str),
    back_off=st.builds(BackOff, base_ns=_AHEAD_NS, factor=st.floats(1, 100)),
    durability_min=st.sampled_from([Durability.MEMORY, Durability.OS, Durability.FSYNC]),
    delay_ns=_AHEAD_NS,
    ttl_ns=_AHEAD_NS,
    dead_letter_expired=st.booleans(),
    dedup_window_ns=st.integers(NS_PER_S, 7 * 24 * 3600 * NS_PER_S),
    priority_ageing_ns=st.integers(0, PRIORITY_AGEING_S_MAX * NS_PER_S),
    bytes_limit=st.integers(0, 2**63 - 1),
    overflow=st.sampled_from(Overflow),
    leased_max=st.integers(0, 2**31 - 1),
    rate=_RATES,
    park_after=st.integers(0, PARK_AFTER_MAX),
    fairness=st.builds(
        Fairness,
        leased_max=st.integers(0, 2**31 - 1),
        rate=_RATES,
        weights=_WEIGHTS.map(lambda weights: tuple(sorted(weights.items()))),
    ),
    weight=st.integers(1, WEIGHT_MAX),
)

#: What a q wrote that knew no more settings than these.
FIRST = {
    "lease_duration_ns": 30 * NS_PER_S,
    "delivery_count_max": 0,
    "dead_letter_queue_id": "",
    "back_off": {"base_ns": NS_PER_S, "factor": 2.0, "max_ns": 300 * NS_PER_S, "jitter": 0.2},
    "durability_min": 1,
}


def column(settings: QueueSettings, pause: Pause | None = None, purged_seq: int = 0) -> str:
    """Write the column of a queue."""
    info = QueueInfo(id="x", created_ns=0, store=Store.DISK, settings=settings, pause=pause)
    queue = Queue(1, info)
    queue.purged_seq = purged_seq
    text = queue_columns(queue)["settings"]
    assert isinstance(text, str)
    return text


@given(
    settings=all_settings,
    pause=st.none() | st.builds(Pause, since_ns=_AHEAD_NS, adds=st.booleans()),
    purged_seq=st.integers(0, 2**63 - 1),
)
def test_what_is_written_is_read(
    settings: QueueSettings, pause: Pause | None, purged_seq: int
) -> None:
    """Each setting with its type, and what else stands in the column."""
    found, found_pause, found_seq = settings_of(column(settings, pause, purged_seq))

    assert (found, found_pause, found_seq) == (settings, pause, purged_seq)
    for field in fields(QueueSettings):
        assert type(getattr(found, field.name)) is type(getattr(settings, field.name))


def test_column_of_older_settings_is_that_of_the_defaults() -> None:
    """A q that knew no others has written what this one writes for a queue that has none."""
    assert json.loads(column(QueueSettings())) == FIRST
    assert settings_of(json.dumps(FIRST)) == (QueueSettings(), None, 0)


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        ({"delay_ns": 1}, {"delay_ns": 1}),
        ({"ttl_ns": 2}, {"ttl_ns": 2}),
        ({"dead_letter_expired": True}, {"dead_letter_expired": True}),
        ({"dedup_window_ns": 3}, {"dedup_window_ns": 3}),
        ({"priority_ageing_ns": 4}, {"priority_ageing_ns": 4}),
        ({"bytes_limit": 5}, {"bytes_limit": 5}),
        ({"overflow": Overflow.DROP_OLDEST}, {"overflow": 2}),
        ({"leased_max": 6}, {"leased_max": 6}),
        (
            {"rate": Rate(messages_per_second=0.5)},
            {"rate": {"messages_per_second": 0.5, "burst": 0}},
        ),
        ({"park_after": 7}, {"park_after": 7}),
        (
            {"fairness": Fairness(leased_max=8, weights=(("", 9), ("é", 10)))},
            {
                "fairness": {
                    "leased_max": 8,
                    "rate": {"messages_per_second": 0.0, "burst": 0},
                    "weights": {"": 9, "é": 10},
                }
            },
        ),
        ({"weight": 11}, {"weight": 11}),
    ],
    ids=lambda value: next(iter(value)),
)
def test_names_and_numbers_on_disk_stay(settings: dict[str, Any], written: dict[str, Any]) -> None:
    """Data directories outlive the program; what is as by default is not written."""
    assert json.loads(column(QueueSettings(**settings))) == {**FIRST, **written}
