"""Between the messages of the wire and the values of q."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.descriptions import Fairness, GroupInfo, Pause, QueueInfo, QueueSettings, QueueStats
from qmq.envelope import DURABILITY_BYTES, encode_tags
from qmq.errors import InvalidArgument
from qmq.limits import TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX
from qmq.values import (
    DeadLetterReason,
    Durability,
    FairKeyStats,
    GroupState,
    MessageState,
    NackKind,
    Outcome,
    Overflow,
    Store,
    Tag,
)
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import (
    LEVEL_2,
    encoded_tags,
    group_message,
    kept_reason,
    queue_bytes,
    queue_message,
    stats_bytes,
    tag_value,
    tag_values,
)

Convert = Callable[[Any], object]


def test_tag_is_its_key_and_value() -> None:
    """Either may be empty, as in the original."""
    assert tag_value(pb.Tag(key="k", value="v"), "tag") == Tag("k", "v")
    assert tag_value(pb.Tag(), "tag") == Tag("", "")


@pytest.mark.parametrize(
    ("part", "most"), [("key", TAG_KEY_BYTES_MAX), ("value", TAG_VALUE_BYTES_MAX)]
)
@pytest.mark.parametrize("character", ["a", "\u00e9", "\u4e16", "\U0001f600"])
def test_tag_is_bounded_in_bytes(part: str, most: int, character: str) -> None:
    """What counts is UTF-8, of whatever characters; the error names field, size and bound."""
    size = len(character.encode())
    fits = character * (most // size)
    too_long = fits + character

    assert getattr(tag_value(pb.Tag(**{part: fits}), "tag"), part) == fits
    with pytest.raises(InvalidArgument) as refusal:
        tag_value(pb.Tag(**{part: too_long}), "tag")

    assert refusal.value.message == (
        f"tag.{part}: takes {len(too_long.encode())} bytes, more than {most}"
    )


def test_tags_keep_their_order_and_the_error_names_the_place() -> None:
    """The third of them is tags[2]."""
    tags = [pb.Tag(key="b"), pb.Tag(key="a"), pb.Tag(key="k" * (TAG_KEY_BYTES_MAX + 1))]

    assert tag_values(tags[:2]) == (Tag("b", ""), Tag("a", ""))
    with pytest.raises(InvalidArgument, match=r"^tags\[2\]\.key: "):
        tag_values(tags)


@pytest.mark.parametrize("convert", [tag_values, partial(encoded_tags, field="tags")])
def test_number_of_tags_is_bounded(convert: Convert) -> None:
    """As many as allowed pass, one more does not; 100,000 are refused before they are read."""
    request = pb.NewQueueRequest(tags=[pb.Tag(key=str(n)) for n in range(TAGS_MAX)])

    assert convert(request.tags)
    with pytest.raises(InvalidArgument) as refusal:
        # Numbers are no tags, so that reading one would fail.
        convert(range(100_000))

    assert refusal.value.message == f"tags: has 100000 tags, more than tags_max of {TAGS_MAX}"


@pytest.mark.parametrize("convert", [tag_values, partial(encoded_tags, field="tags")])
def test_size_of_all_tags_is_bounded(convert: Convert) -> None:
    """Each reply carries them: of queues as of messages, encoded they are bounded."""
    tags = [pb.Tag(key=key, value="v" * TAG_VALUE_BYTES_MAX) for key in "abcd"]

    assert convert(tags[:3])
    with pytest.raises(InvalidArgument) as refusal:
        convert(tags)

    assert refusal.value.message.startswith("tags: take ")
    assert refusal.value.message.endswith(f" more than tags_bytes_max of {TAGS_BYTES_MAX}")


def test_repeated_tags_count_once_in_their_size() -> None:
    """A set of pairs is as large as its pairs."""
    tags = [pb.Tag(key="k", value="v" * TAG_VALUE_BYTES_MAX)] * 5

    assert encoded_tags(tags, "tags") == encode_tags([Tag("k", "v" * TAG_VALUE_BYTES_MAX)])


def test_encoded_tags_are_those_of_a_message() -> None:
    """They stand in its metadata as they are."""
    tags = [pb.Tag(key="a", value="1"), pb.Tag(key="a", value="2")]

    encoded = encoded_tags(tags, "message.tags")

    assert list(pb.Metadata.FromString(encoded).tags) == tags


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(1_000, 1_030))
@example("", 1_024)
@example("\u00e9", 1_023)
@example("\U0001f600" * 3, 1_021)
def test_kept_reason_is_the_longest_beginning_that_fits(end: str, length: int) -> None:
    """Of whole characters, in up to 1,024 bytes."""
    reason = "x" * length + end

    kept = kept_reason(reason)

    assert reason.startswith(kept)
    assert len(kept.encode()) <= 1_024
    assert kept == reason or len(reason[: len(kept) + 1].encode()) > 1_024


def test_queue_is_described_in_full() -> None:
    """To the nanosecond, with the name of its store, and with all settings."""
    info = QueueInfo(
        id="34b85e07-c5e5-4e41-b9b9-7fb5f3c3726c",
        created_ns=1_795_527_741_951_136_237,
        store=Store.DISK,
        limit=5,
        name="jobs",
        tags=(Tag("b", "1"), Tag("a", "")),
        settings=QueueSettings(fairness=Fairness(weights=(("", 2), ("a", 3)))),
        pause=Pause(since_ns=1_795_527_741_951_136_238, adds=True),
    )

    assert MessageToDict(queue_message(info), preserving_proto_field_name=True) == {
        "meta": {
            "id": "34b85e07-c5e5-4e41-b9b9-7fb5f3c3726c",
            "created": "2026-11-24T13:42:21.951136237Z",
            "tags": [{"key": "b", "value": "1"}, {"key": "a"}],
        },
        "store": "DISK",
        "name": "jobs",
        "settings": {
            "lease_duration": "30s",
            "delivery_count_max": 0,
            "dead_letter_queue_id": "",
            "back_off": {"base": "1s", "factor": 2, "max": "300s", "jitter": 0.2},
            "durability_min": "MEMORY",
            "delay": "0s",
            "ttl": "0s",
            "dead_letter_expired": False,
            "dedup_window": "300s",
            "priority_ageing": "0s",
            "bytes_limit": "0",
            "overflow": "REJECT",
            "leased_max": 0,
            "rate": {"messages_per_second": 0, "burst": 0},
            "park_after": 0,
            "fairness": {
                "leased_max": 0,
                "rate": {"messages_per_second": 0, "burst": 0},
                "weights": {"": 2, "a": 3},
            },
            "weight": 1,
        },
        "limit": "5",
        "paused": {"since": "2026-11-24T13:42:21.951136238Z", "adds": True},
    }


def test_counts_of_a_queue_are_described_in_full() -> None:
    """Each in its field."""
    stats = QueueStats(
        info=QueueInfo(id="i", created_ns=0, store=Store.MEMORY, limit=9),
        ready=1,
        ready_bytes=2,
        oldest_age_ns=3_000_000_004,
        waiting=5,
        enqueued_total=6,
        consumed_total=7,
        leased=8,
        delayed=10,
        acked_total=11,
        redelivered_total=12,
        dead_lettered_total=13,
        added_per_second=14.5,
        done_per_second=15.5,
        consumers=(("", 1), ("a", 2)),
        bytes=17,
        expired_total=18,
        overflowed_total=19,
        deduplicated_total=20,
        dedup_ids=21,
        blocked=22,
        groups=23,
        groups_paused=24,
        groups_parked=25,
        fair_keys=26,
        top_fair_keys=(FairKeyStats("a", 27, 28, 29), FairKeyStats("", 1, 0, 0)),
    )

    message = pb.QueueStats.FromString(stats_bytes(stats))
    described = MessageToDict(message, preserving_proto_field_name=True)

    assert stats_bytes(stats) == message.SerializeToString()
    assert message.queue == queue_message(stats.info)
    del described["queue"]
    assert described == {
        "ready": "1",
        "ready_bytes": "2",
        "oldest_age": "3.000000004s",
        "waiting": "5",
        "enqueued_total": "6",
        "consumed_total": "7",
        "limit": "9",
        "leased": "8",
        "delayed": "10",
        "acked_total": "11",
        "redelivered_total": "12",
        "dead_lettered_total": "13",
        "added_per_second": 14.5,
        "done_per_second": 15.5,
        "consumers": [{"leased": "1"}, {"consumer": "a", "leased": "2"}],
        "bytes": "17",
        "expired_total": "18",
        "overflowed_total": "19",
        "deduplicated_total": "20",
        "dedup_ids": "21",
        "blocked": "22",
        "groups": "23",
        "groups_paused": "24",
        "groups_parked": "25",
        "fair_keys": "26",
        "top_fair_keys": [
            {"fair_key": "a", "weight": 27, "waiting": "28", "leased": "29"},
            {"weight": 1},
        ],
    }


def test_queue_is_encoded_as_it_is_now() -> None:
    """What was encoded is kept for each, in full and in brief, and nothing of one that changed."""
    info = QueueInfo(id="i", created_ns=1, store=Store.DISK, name="mail")
    other = replace(info, limit=5, settings=QueueSettings(leased_max=2))

    for each in (info, other, replace(info), info):
        assert queue_bytes(each) == queue_message(each).SerializeToString()
        in_brief = queue_message(each, brief=True)
        assert queue_bytes(each, brief=True) == in_brief.SerializeToString()

    assert not queue_message(info, brief=True).settings.ListFields()


@pytest.mark.parametrize("state", GroupState)
def test_group_is_described_in_full(state: GroupState) -> None:
    """One that is neither paused nor parked is so since no moment."""
    group = GroupInfo(id="g", state=state, waiting=1, leased=2, since_ns=3_000_000_004)
    described = MessageToDict(group_message(group), preserving_proto_field_name=True)

    assert described == {
        "group_id": "g",
        "state": state.name,
        "waiting": "1",
        "leased": "2",
        "since": "1970-01-01T00:00:03.000000004Z",
    }
    assert not group_message(replace(group, since_ns=0)).HasField("since")


def test_queue_of_each_store_is_named_as_on_the_wire() -> None:
    """The numbers of values.Store are those of the wire."""
    assert {store.name: store.value for store in Store} == {
        "UNKNOWN": pb.Queue.UNKNOWN,
        "MEMORY": pb.Queue.MEMORY,
        "DISK": pb.Queue.DISK,
        "CLUSTER": pb.Queue.CLUSTER,
    }


def test_enums_have_the_numbers_of_the_wire() -> None:
    """So that they can go through as they are."""
    for ours, theirs in (
        (Durability, pb.Durability.Level),
        (Outcome, pb.Attempt.Outcome),
        (NackKind, pb.NackRequest.Kind),
        (DeadLetterReason, pb.DeadLetter.Reason),
        (MessageState, pb.BrowseRequest.State),
        (GroupState, pb.Group.State),
        (Overflow, pb.Overflow.Policy),
    ):
        assert {"UNKNOWN": 0, **{each.name: each.value for each in ours}} == dict(theirs.items())


@pytest.mark.parametrize("level", [each for each in Durability if each is not Durability.UNKNOWN])
def test_level_is_encoded_as_the_last_field_of_a_reply(level: Durability) -> None:
    """As protobuf writes it, in as many bytes as are set aside."""
    assert LEVEL_2[level] == pb.AddResponse(durability=level.name).SerializeToString()
    assert len(LEVEL_2[level]) == DURABILITY_BYTES
