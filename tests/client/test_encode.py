"""Requests with many messages are what the protobuf library makes of them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

import qmq
from qmq.client.encode import (
    add_batch,
    has_dedup_id,
    message_options,
    new_message,
    options_of,
    queue_settings,
    read_new_message,
    record_of,
)
from qmq.wire import q_pb2 as pb

#: Payload sizes on both sides of where the length of a length changes.
EDGES = [0, 1, 123, 124, 125, 126, 127, 128, 129, 16_379, 16_380, 16_381, 16_384, 2_097_152]

payloads = st.one_of(st.binary(max_size=300), st.sampled_from(EDGES).map(bytes))
tags = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple)
spans = st.none() | st.timedeltas(timedelta(), timedelta(days=3_653))
moments = st.none() | st.datetimes(timezones=st.just(UTC))
messages = st.builds(
    qmq.NewMessage,
    payloads,
    tags=tags,
    delay=spans,
    available_at=moments,
    ttl=spans,
    expires_at=moments,
    priority=st.integers(0, 255),
    dedup_id=st.text(max_size=5),
    group_id=st.text(max_size=5),
    fair_key=st.text(max_size=5),
)

MOMENT = datetime(2026, 12, 1, 8, 0, 0, 123_456, tzinfo=UTC)
MOMENT_ON_WIRE = Timestamp(seconds=1_796_112_000, nanos=123_456_000)


@given(
    st.lists(messages | st.builds(qmq.NewMessage, payloads, tags=tags), max_size=4),
    st.text(max_size=5),
    st.booleans(),
)
def test_a_batch_is_encoded_as_by_the_library(
    messages: list[qmq.NewMessage[bytes]],
    queue_id: str,
    partial: bool,  # noqa: FBT001 - A field.
) -> None:
    """Whatever its messages have; the order of fields may differ."""
    expected = pb.AddBatchRequest(
        queue_id=queue_id,
        partial=partial,
        messages=[
            pb.NewMessage(
                payload=message.payload,
                tags=[pb.Tag(key=key, value=value) for key, value in message.tags],
                options=options_of(message),
            )
            for message in messages
        ],
    )

    records = [new_message(each.payload, each.tags, options_of(each)) for each in messages]
    encoded = add_batch(queue_id, records, partial=partial)

    assert pb.AddBatchRequest.FromString(encoded) == expected
    assert len(encoded) == expected.ByteSize()
    assert [read_new_message(record) for record in records] == messages
    assert [has_dedup_id(record) for record in records] == [
        bool(message.dedup_id) for message in messages
    ]


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"priority": "high"}, "priority must be int; got 'high'"),
        ({"dedup_id": 17}, "dedup_id must be str; got 17"),
        ({"delay": "5s"}, "delay must be a number of seconds, or a timedelta; got '5s'"),
    ],
)
def test_an_option_of_another_type_is_named(told: dict[str, Any], refusal: str) -> None:
    """With what was given in its place."""
    with pytest.raises(TypeError, match=re.escape(refusal)):
        options_of(qmq.NewMessage(b"", **told))


def test_settings_are_no_dict() -> None:
    """They have a class, whose names an editor knows."""
    with pytest.raises(TypeError, match="settings must be QueueSettings"):
        queue_settings({"ttl": 5})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        ({"delay": 1.5}, {"delay": Duration(seconds=1, nanos=500_000_000)}),
        ({"delay": 0}, {"delay": Duration()}),
        ({"ttl": timedelta(days=1, microseconds=1)}, {"ttl": Duration(seconds=86_400, nanos=1000)}),
        ({"available_at": MOMENT}, {"available_at": MOMENT_ON_WIRE}),
        (
            {"expires_at": MOMENT.astimezone(timezone(timedelta(hours=-5)))},
            {"expires_at": MOMENT_ON_WIRE},
        ),
        ({"priority": 255}, {"priority": 255}),
        ({"dedup_id": "x"}, {"dedup_id": "x"}),
        ({"group_id": "x"}, {"group_id": "x"}),
        ({"fair_key": "x"}, {"fair_key": "x"}),
    ],
)
def test_options_are_those_of_the_wire(told: dict[str, Any], fields: dict[str, Any]) -> None:
    """Seconds or timedeltas, moments of any zone; a delay of 0 is one that was given."""
    nothing: dict[str, Any] = dict.fromkeys(("delay", "available_at", "ttl", "expires_at"))
    nothing |= {"priority": 0, "dedup_id": "", "group_id": "", "fair_key": ""}

    options = message_options(**{**nothing, **told})

    assert options == options_of(qmq.NewMessage(b"", **told)) == pb.MessageOptions(**fields)
    assert message_options(**nothing) is None


def test_a_message_of_a_batch_has_tags_and_ids_of_its_own() -> None:
    """And besides those of all; an id is made only for those that have none."""
    codec, ids = qmq.JsonCodec(), iter(["made-1", "made-2"])
    own = qmq.NewMessage({"n": 1}, tags={"a": "1"}, priority=3, dedup_id="own")
    other = qmq.NewMessage([2], priority=4)

    made = [record_of(each, codec, (("b", "2"),), ids) for each in (own, other, "three")]
    plain = [record_of(each, codec, (), None) for each in (own, other, "three")]

    assert [dedup_id for _, dedup_id in made] == ["own", "made-1", "made-2"]
    assert [dedup_id for _, dedup_id in plain] == ["own", "", ""]
    assert [read_new_message(record) for record, _ in made] == [
        qmq.NewMessage(b'{"n":1}', tags=[("a", "1"), ("b", "2")], priority=3, dedup_id="own"),
        qmq.NewMessage(b"[2]", tags={"b": "2"}, priority=4, dedup_id="made-1"),
        qmq.NewMessage(b'"three"', tags={"b": "2"}, dedup_id="made-2"),
    ]
    assert plain[2][0] == new_message(b'"three"')


def test_settings_that_are_left_out_are_left_out() -> None:
    """What is given is there, also where it is nothing."""
    nothing = queue_settings(qmq.QueueSettings())
    zero = queue_settings(
        qmq.QueueSettings(
            delay=0,
            ttl=0,
            dead_letter_expired=False,
            bytes_limit=0,
            leased_max=0,
            rate=qmq.Rate(burst=0),
            park_after=0,
            fairness=qmq.Fairness(leased_max=0, weights={}),
        )
    )
    some = queue_settings(
        qmq.QueueSettings(
            delay=1.5,
            ttl=timedelta(days=1),
            dead_letter_expired=True,
            dedup_window=60,
            priority_ageing=0.001,
            bytes_limit=2**40,
            overflow="DROP_OLDEST",
            leased_max=7,
            rate=qmq.Rate(messages_per_second=0.5),
            park_after=8,
            fairness=qmq.Fairness(rate=qmq.Rate(burst=9), weights={"a": 10, "b": 0}),
            weight=11,
        )
    )

    assert nothing == pb.QueueSettings()
    assert {field.name for field, _ in zero.ListFields()} == {
        *("delay", "ttl", "dead_letter_expired", "bytes_limit", "leased_max", "rate"),
        *("park_after", "fairness"),
    }
    assert zero.fairness == pb.Fairness(leased_max=0)
    assert zero.rate.HasField("burst")
    assert not zero.rate.HasField("messages_per_second")
    assert some == pb.QueueSettings(
        delay=Duration(seconds=1, nanos=500_000_000),
        ttl=Duration(seconds=86_400),
        dead_letter_expired=True,
        dedup_window=Duration(seconds=60),
        priority_ageing=Duration(nanos=1_000_000),
        bytes_limit=2**40,
        overflow="DROP_OLDEST",
        leased_max=7,
        rate=pb.Rate(messages_per_second=0.5),
        park_after=8,
        fairness=pb.Fairness(rate=pb.Rate(burst=9), weights={"a": 10, "b": 0}),
        weight=11,
    )
