"""Queues and messages as JSON lines, written and read."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.cli.records import (
    BadLine,
    browsed_record,
    explained_record,
    group_record,
    leased_record,
    line_of,
    message_record,
    queue_record,
    read_message,
    redrive_record,
    stats_record,
)
from qmq.client.codecs import AS_IS
from qmq.client.queue_values import (
    BackOff,
    ConsumerStats,
    Fairness,
    GroupInfo,
    Pause,
    QueueInfo,
    QueueSettings,
    QueueStats,
    Rate,
    Redrive,
    RedriveState,
)
from qmq.client.values import Attempt, BrowsedMessage, DeadLetter, Explanation, Message
from qmq.values import DeadLetterReason, FairKeyStats, GroupState, MessageState, Outcome, Store, Tag
from qmq.wire import q_pb2 as pb

CREATED_NS = 1_795_528_582_008_101_953
CREATED = "2026-11-24T13:56:22.008101953Z"
INFO = QueueInfo("an id", "jobs", Store.DISK, CREATED_NS, (Tag("k", "v"), Tag("k", "w")))


def message(payload: bytes, *tags: tuple[str, str]) -> Message[bytes | str]:
    """A message as the client hands it out."""
    pairs = tuple(Tag(*pair) for pair in tags)
    return Message("an id", CREATED_NS, pairs, payload, AS_IS)


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        (
            message(b"hello"),
            f'{{"id":"an id","created":"{CREATED}","tags":{{}},"payload":"hello"}}',
        ),
        (
            message("é\n".encode(), ("k", "v"), ("a", "")),
            f'{{"id":"an id","created":"{CREATED}","tags":{{"k":"v","a":""}},"payload":"é\\n"}}',
        ),
        (
            message(b"\x00\xff\xfe", ("k", "v"), ("k", "w")),
            '{"id":"an id","created":"'
            + CREATED
            + '","tags":{"k":["v","w"]},"payload_base64":"AP/+"}',
        ),
    ],
)
def test_a_message_is_one_line(printed: Message[bytes | str], line: str) -> None:
    """A text is printed as it is, other bytes in base64, and a repeated key has a list."""
    assert line_of(message_record(printed)) == line


@pytest.mark.parametrize("payload", [b"", b"hello", b"a\nb\r\n", b"\x00\xff", b"\xed\xa0\x80"])
@pytest.mark.parametrize("tags", [(), (("k", "v"),), (("k", "v"), ("k", "w"), ("", ""))])
def test_what_is_printed_can_be_read(payload: bytes, tags: tuple[tuple[str, str], ...]) -> None:
    """Payload and tags come back; id and creation time are left to the server."""
    line = line_of(message_record(message(payload, *tags))).encode()

    assert b"\n" not in line
    assert read_message(line) == (payload, tags, pb.MessageOptions())


@pytest.mark.parametrize(
    ("line", "payload", "tags"),
    [
        (b'{"payload": "hello"}', b"hello", ()),
        (b' {"payload": "\\u00e9", "tags": {}} \r', "é".encode(), ()),
        (b'{"tags": {"a": ["1", "2"], "b": "3"}, "payload_base64": ""}', b"",
         (("a", "1"), ("a", "2"), ("b", "3"))),
        (b'{"payload": "x", "tags": {"a": []}}', b"x", ()),
    ],
)  # fmt: skip
def test_a_person_may_write_a_line(
    line: bytes, payload: bytes, tags: tuple[tuple[str, str], ...]
) -> None:
    """Only the payload is needed."""
    assert read_message(line) == (payload, tags, pb.MessageOptions())


def test_a_line_has_options() -> None:
    """As the wire's JSON has them; what is null is not there."""
    line = (
        b'{"payload": "x", "options": {"delay": "1.5s", "expires_at": "2026-12-01T09:00:00+01:00",'
        b' "priority": 9, "dedup_id": "17", "group_id": "18", "fair_key": "19", "ttl": null}}'
    )

    assert read_message(line).options == pb.MessageOptions(
        delay=Duration(seconds=1, nanos=500_000_000),
        expires_at=Timestamp(seconds=1_796_112_000),
        priority=9,
        dedup_id="17",
        group_id="18",
        fair_key="19",
    )


def test_options_come_back_but_for_the_dedup_id() -> None:
    """A queue that knows that would not take the message again."""
    taken = replace(
        message(b"x", ("k", "v")),
        priority=9,
        available_ns=CREATED_NS - 1,
        expires_ns=CREATED_NS,
        dedup_id="17",
        group_id="18",
        fair_key="19",
    )

    record = message_record(taken)
    read = read_message(line_of(record).encode())

    assert record == {
        "id": "an id",
        "created": CREATED,
        "tags": {"k": "v"},
        "payload": "x",
        "options": {
            "available_at": "2026-11-24T13:56:22.008101952Z",
            "expires_at": CREATED,
            "priority": 9,
            "group_id": "18",
            "fair_key": "19",
        },
        "dedup_id": "17",
    }
    assert read.options == pb.MessageOptions(
        available_at=Timestamp(seconds=CREATED_NS // 10**9, nanos=8_101_952),
        expires_at=Timestamp(seconds=CREATED_NS // 10**9, nanos=8_101_953),
        priority=9,
        group_id="18",
        fair_key="19",
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "no JSON: Expecting value at character 1"),
        (b"hello", "no JSON: Expecting value at character 1"),
        (b'{"payload": "a"', "no JSON: "),
        (b'{"payload": "\xff"}', "no JSON: 'utf-8' codec can't decode"),
        (b"[" * 100_000, "no JSON: "),
        (b"[1]", 'no JSON object; write {"payload": "text"}'),
        (b"{}", "must have one of payload and payload_base64"),
        (b'{"payload": "a", "payload_base64": ""}', "must have one of payload and"),
        (b'{"payload": 1}', "payload must be a text, not a number"),
        (b'{"payload": null}', "payload must be a text, not null"),
        (b'{"payload_base64": "A"}', "payload_base64 is no base64: "),
        (b'{"payload_base64": "AA=="}{', "no JSON: Extra data at character 27"),
        (b'{"payload_base64": "A*=="}', "payload_base64 is no base64: "),
        (b'{"payload": "\\ud800"}', "payload holds half of a surrogate pair"),
        (b'{"payload": "a", "tags": {"\\ud800": "v"}}', "tags holds half of a surrogate"),
        (b'{"payload": "a", "tags": ["k"]}', "tags must be an object"),
        (b'{"payload": "a", "tags": {"k": true}}', "'k' must be a text, not a boolean"),
        (b'{"payload": "a", "tags": {"k": ["v", {}]}}', "'k' must be a text, not an object"),
        (b'{"payload": "a", "tags": {"k": "v", "k": "w"}}', "the key 'k' stands there twice"),
        (b'{"payload": "a", "payload": "b"}', "the key 'payload' stands there twice"),
        (b'{"payload": "a", "tag": {}}', "unknown field 'tag'; the fields are payload, "),
        (b'{"payload": "a", "options": 9}', "options must be an object, "),
        (
            b'{"payload": "a", "options": {"prio": 9}}',
            "unknown option 'prio'; the options are delay",
        ),
        (b'{"payload": "a", "options": {"priority": "high"}}', "options: Failed to parse priority"),
        (b'{"payload": "a", "options": {"delay": 5}}', "options: Failed to parse delay field: "),
        (b'{"payload": "a", "options": {"dedup_id": "\\ud800"}}', "options: Failed to parse dedup"),
    ],
)
def test_a_bad_line_says_what_is_wrong_with_it(line: bytes, reason: str) -> None:
    """Nothing of it is guessed, and nothing dropped."""
    with pytest.raises(BadLine) as refusal:
        read_message(line)

    assert reason in str(refusal.value)


def test_a_queue_is_one_flat_object() -> None:
    """Every field is there, also the empty ones; durations are numbers of seconds."""
    settings = QueueSettings(
        lease_duration=30,
        delivery_count_max=0,
        dead_letter_queue_id="",
        back_off=BackOff(base=0.5, factor=2.0, max=300, jitter=0.2),
        durability_min="FSYNC",
        delay=1.5,
        ttl=0,
        dead_letter_expired=True,
        dedup_window=300,
        priority_ageing=0.01,
        bytes_limit=2**40,
        overflow="DROP_OLDEST",
        leased_max=7,
        rate=Rate(messages_per_second=0.5, burst=3),
        park_after=8,
        fairness=Fairness(
            leased_max=9, rate=Rate(messages_per_second=0.25, burst=10), weights={"": 11, "a": 12}
        ),
        weight=13,
    )

    assert queue_record(replace(INFO, settings=settings, paused=Pause(CREATED_NS, adds=True))) == {
        "id": "an id",
        "name": "jobs",
        "store": "DISK",
        "created": CREATED,
        "tags": {"k": ["v", "w"]},
        "limit": -1,
        "lease_duration_s": 30.0,
        "delivery_count_max": 0,
        "dead_letter_queue_id": "",
        "back_off_base_s": 0.5,
        "back_off_factor": 2.0,
        "back_off_max_s": 300.0,
        "back_off_jitter": 0.2,
        "durability_min": "FSYNC",
        "delay_s": 1.5,
        "ttl_s": 0.0,
        "dead_letter_expired": True,
        "dedup_window_s": 300.0,
        "priority_ageing_s": 0.01,
        "bytes_limit": 2**40,
        "overflow": "DROP_OLDEST",
        "leased_max": 7,
        "messages_per_second": 0.5,
        "burst": 3,
        "park_after": 8,
        "fair_leased_max": 9,
        "fair_messages_per_second": 0.25,
        "fair_burst": 10,
        "fair_weights": {"": 11, "a": 12},
        "weight": 13,
        "paused": CREATED,
        "adds_paused": True,
    }
    assert [queue_record(INFO)[name] for name in ("paused", "adds_paused")] == [None, False]


@pytest.mark.parametrize(("age", "seconds"), [(None, None), (timedelta(seconds=1.5), 1.5)])
def test_counts_are_numbers(age: timedelta | None, seconds: float | None) -> None:
    """Zeros are shown, and an age that there is not is null."""
    stats = QueueStats(
        info=INFO,
        ready=0,
        ready_bytes=0,
        oldest_age=age,
        waiting=1,
        enqueued_total=2**53 + 1,
        consumed_total=3,
        limit=-1,
        leased=2,
        dead_lettered_total=4,
        done_per_second=0.5,
        consumers=(ConsumerStats("me", 2),),
        bytes=5,
        expired_total=6,
        overflowed_total=7,
        deduplicated_total=8,
        dedup_ids=9,
        blocked=10,
        groups=11,
        groups_paused=12,
        groups_parked=13,
        fair_keys=14,
        top_fair_keys=(FairKeyStats("", 1, 15, 16),),
    )

    assert json.loads(line_of(stats_record(stats))) == {
        "id": "an id",
        "name": "jobs",
        "store": "DISK",
        "ready": 0,
        "leased": 2,
        "delayed": 0,
        "ready_bytes": 0,
        "bytes": 5,
        "oldest_age_s": seconds,
        "waiting": 1,
        "enqueued_total": 2**53 + 1,
        "consumed_total": 3,
        "acked_total": 0,
        "redelivered_total": 0,
        "dead_lettered_total": 4,
        "expired_total": 6,
        "overflowed_total": 7,
        "deduplicated_total": 8,
        "deleted_total": 0,
        "moved_in_total": 0,
        "moved_out_total": 0,
        "dedup_ids": 9,
        "added_per_second": 0.0,
        "done_per_second": 0.5,
        "limit": -1,
        "consumers": {"me": 2},
        "blocked": 10,
        "groups": 11,
        "groups_paused": 12,
        "groups_parked": 13,
        "fair_keys": 14,
        "top_fair_keys": [{"fair_key": "", "weight": 1, "waiting": 15, "leased": 16}],
    }


def test_a_group_is_one_flat_object() -> None:
    """Every field is there; a moment that there is not is null, and a state may be unknown."""
    group = GroupInfo(id="a", state=GroupState.PARKED, waiting=1, leased=0, since_ns=CREATED_NS)

    assert group_record(group) == {
        "group_id": "a",
        "state": "PARKED",
        "waiting": 1,
        "leased": 0,
        "since": CREATED,
    }
    other = group_record(replace(group, state=None, since_ns=None))
    assert (other["state"], other["since"]) == ("UNKNOWN", None)


def test_a_message_tells_of_its_past() -> None:
    """Why it is a dead letter and how it was handed out; what there is not is left out."""
    dead = DeadLetter(DeadLetterReason.REJECTED, "no such user", "its queue", CREATED_NS, 2)
    attempt = Attempt("me", CREATED_NS - 1, CREATED_NS, Outcome.REJECTED, "no such user")

    record = message_record(replace(message(b"x"), dead_letter=dead, attempts=(attempt,)))

    assert record["dead_letter"] == {
        "reason": "REJECTED",
        "text": "no such user",
        "source_queue_id": "its queue",
        "moved": CREATED,
        "delivery_count": 2,
    }
    assert record["attempts"] == [
        {
            "outcome": "REJECTED",
            "consumer": "me",
            "leased": "2026-11-24T13:56:22.008101952Z",
            "ended": CREATED,
            "reason": "no such user",
        }
    ]
    assert message_record(message(b"x")).keys() == {"id", "created", "tags", "payload"}


def test_what_an_older_program_does_not_know_is_unknown() -> None:
    """The rest of the message is printed all the same."""
    dead = DeadLetter(None, "", "", 0, 0)
    attempt = Attempt("", 0, 0, None)

    record = message_record(replace(message(b"x"), dead_letter=dead, attempts=(attempt,)))

    assert record["dead_letter"]["reason"] == record["attempts"][0]["outcome"] == "UNKNOWN"


def browsed(*, state: MessageState | None) -> BrowsedMessage[bytes | str]:
    """A message of a queue."""
    is_ready = state is MessageState.READY
    return BrowsedMessage(
        "an id",
        CREATED_NS,
        (),
        b"x",
        AS_IS,
        state=state,
        delivery_count=1,
        consumer="" if is_ready else "me",
        until_ns=None if is_ready else CREATED_NS,
        age=timedelta(seconds=2),
    )


def test_a_browsed_message_tells_where_it_is() -> None:
    """Who has it until when, only if somebody does."""
    where = {"id": "an id", "age_s": 2.0, "delivery_count": 1}
    what = {"created": CREATED, "tags": {}, "payload": "x"}

    assert browsed_record(browsed(state=MessageState.READY)) == {**where, **what, "state": "READY"}
    assert browsed_record(browsed(state=MessageState.LEASED)) == {
        **where,
        **what,
        "state": "LEASED",
        "consumer": "me",
        "until": CREATED,
    }
    assert browsed_record(browsed(state=None))["state"] == "UNKNOWN"


def test_what_is_leased_or_browsed_can_be_added() -> None:
    """What tells of its past means nothing to another queue."""
    leased = pb.LeasedMessage(lease_id="a-1", delivery_count=1)
    leased.message.payload = b"x"
    leased.message.attempts.add(outcome="FAILED")
    explained = Explanation(browsed(state=MessageState.LEASED), 0, ("since it is",))

    for record in (leased_record(leased), browsed_record(explained.message)):
        assert read_message(line_of(record).encode()) == (b"x", (), pb.MessageOptions())
    assert explained_record(explained)["reasons"] == ["since it is"]


def test_a_redrive_is_one_flat_object() -> None:
    """Its end is null while there is none."""
    redrive = Redrive(
        id="an id",
        queue_id="dead",
        target_queue_id="",
        dry_run=False,
        state=RedriveState.RUNNING,
        started_ns=CREATED_NS,
        ended_ns=None,
        total=3,
        seen=2,
        matched=1,
        moved=1,
        failed_again=0,
        message="",
    )

    assert redrive_record(redrive) == {
        "id": "an id",
        "state": "RUNNING",
        "queue_id": "dead",
        "target_queue_id": "",
        "dry_run": False,
        "started": CREATED,
        "ended": None,
        "total": 3,
        "seen": 2,
        "matched": 1,
        "moved": 1,
        "failed_again": 0,
        "message": "",
    }
    assert redrive_record(replace(redrive, ended_ns=CREATED_NS))["ended"] == CREATED
