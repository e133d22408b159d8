"""What the client hands out, and takes."""

import pickle
from datetime import UTC, datetime, timedelta

import pytest

import qmq
from qmq.client.options import seconds
from qmq.client.values import tag_pairs

MESSAGE = qmq.Message(
    "some-id",
    1_700_000_000_123_456_789,
    (qmq.Tag("kind", "greeting"), qmq.Tag("kind", "test")),
    b'{"n":1}',
    qmq.JsonCodec(),
)


def test_a_message_reads_its_payload() -> None:
    """As bytes, as text, as JSON, and as its queue's codec does."""
    assert MESSAGE.payload == b'{"n":1}'
    assert MESSAGE.text == '{"n":1}'
    assert MESSAGE.json() == MESSAGE.value == {"n": 1}


def test_a_message_tells_when_it_was_made() -> None:
    """Datetime has no nanoseconds; they are left out and not rounded."""
    assert MESSAGE.created == datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)


def test_a_tag_is_found_by_its_key() -> None:
    """The first one of those that have it."""
    assert MESSAGE.tag("kind") == "greeting"
    assert MESSAGE.tag("other") == ""
    assert MESSAGE.tag("other", "default") == "default"


def test_values_are_compared_and_shown_and_frozen() -> None:
    """By what they say; what reads the payload is no part of that."""
    same = qmq.Message(
        MESSAGE.id, MESSAGE.created_ns, MESSAGE.tags, MESSAGE.payload, qmq.BytesCodec()
    )

    assert same == MESSAGE
    assert hash(same) == hash(MESSAGE)
    assert repr(MESSAGE) == (
        "Message(id='some-id', created_ns=1700000000123456789, tags=(Tag(key='kind',"
        " value='greeting'), Tag(key='kind', value='test')), payload=b'{\"n\":1}')"
    )
    with pytest.raises(AttributeError):
        MESSAGE.id = "other"  # type: ignore[misc]


def test_values_go_to_other_processes() -> None:
    """As a pool of workers asks for."""
    assert pickle.loads(pickle.dumps(MESSAGE)).value == {"n": 1}  # noqa: S301 - Ours.


@pytest.mark.parametrize(
    "tags",
    [{"a": "1", "b": "2"}, [("a", "1"), ("b", "2")], (qmq.Tag("a", "1"), ("b", "2"))],
    ids=["mapping", "pairs", "tags"],
)
def test_tags_are_written_in_several_ways(tags: object) -> None:
    """A mapping where keys do not repeat, pairs, or the tags of another message."""
    assert tag_pairs(tags) == (("a", "1"), ("b", "2"))  # type: ignore[arg-type]
    assert tag_pairs(()) == ()
    assert tag_pairs(pair for pair in [("a", "1")]) == (("a", "1"),)


def test_durations_are_seconds_or_timedeltas() -> None:
    """Negative ones, and what is no number, are refused by name."""
    assert seconds(1.5, "wait") == seconds(timedelta(milliseconds=1500), "wait") == 1.5
    assert seconds(0, "wait") == 0
    for duration in (-1, float("nan"), timedelta(days=-1)):
        with pytest.raises(ValueError, match="wait must be 0 seconds or more"):
            seconds(duration, "wait")


async def test_durations_are_checked_where_they_are_given() -> None:
    """Before anything is asked of the server."""
    with pytest.raises(ValueError, match="timeout must be"):
        qmq.AsyncClient(timeout=-1)
    with pytest.raises(ValueError, match=r"retry\.duration must be"):
        qmq.Client(retry=qmq.Retry(duration=-1))
    queue = qmq.AsyncClient().queue("mail")
    with pytest.raises(ValueError, match="wait must be"):
        await queue.pop(wait=-1)
    with pytest.raises(ValueError, match="linger must be"):
        queue.producer(linger=-1)
    with pytest.raises(ValueError, match="prefetch must be 1 to 1000 messages; got 0"):
        queue.popping(prefetch=0)
    with pytest.raises(ValueError, match="prefetch must be 1 to 1000 messages; got 1001"):
        queue.popping(prefetch=1_001)


def test_clients_and_queues_show_what_they_are_of() -> None:
    """Without asking the server."""
    client = qmq.Client(":1")

    assert repr(client) == "<Client of localhost:1>"
    assert repr(client.queue("mail")) == "<Queue 'mail' at localhost:1>"
    assert repr(client.queue("mail").popping()) == (
        "<Popping of 'mail': 0 messages handed out, 0 fetched ahead>"
    )
    assert repr(qmq.AsyncClient(":1").queue("m")) == "<AsyncQueue 'm' at localhost:1>"


def test_popping_works_in_its_block_only() -> None:
    """Otherwise nobody would tell what is left over."""
    with pytest.raises(qmq.ClientUnusable, match="in `with` only"):
        next(qmq.Client().queue("mail").popping())
