"""Queues and messages as JSON lines, written and read."""

import json
from datetime import timedelta

import pytest

from qmq.cli.records import (
    BadLine,
    line_of,
    message_record,
    queue_record,
    read_message,
    stats_record,
)
from qmq.client.codecs import AS_IS
from qmq.client.values import Message, QueueInfo, QueueStats
from qmq.values import Store, Tag

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
    assert read_message(line) == (payload, tags)


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
    assert read_message(line) == (payload, tags)


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
    ],
)
def test_a_bad_line_says_what_is_wrong_with_it(line: bytes, reason: str) -> None:
    """Nothing of it is guessed, and nothing dropped."""
    with pytest.raises(BadLine) as refusal:
        read_message(line)

    assert reason in str(refusal.value)


def test_a_queue_is_one_flat_object() -> None:
    """Every field is there, also the empty ones."""
    assert queue_record(INFO) == {
        "id": "an id",
        "name": "jobs",
        "store": "DISK",
        "created": CREATED,
        "tags": {"k": ["v", "w"]},
    }


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
    )

    assert json.loads(line_of(stats_record(stats))) == {
        "id": "an id",
        "name": "jobs",
        "store": "DISK",
        "ready": 0,
        "ready_bytes": 0,
        "oldest_age_s": seconds,
        "waiting": 1,
        "enqueued_total": 2**53 + 1,
        "consumed_total": 3,
        "limit": -1,
    }
