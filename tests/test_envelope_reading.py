"""What is read out of an envelope is what the protobuf library reads."""

from hypothesis import example, given
from hypothesis import strategies as st

from qmq.envelope import (
    Sealer,
    attempts_in,
    dead_letter_of,
    encode_attempts,
    encode_dead_letter,
    encode_options,
    encode_tags,
    place_of,
    tags_of,
)
from qmq.values import Attempt, DeadLetter, DeadLetterReason, Outcome, Tag
from qmq.wire import q_pb2 as pb

ID = "668ad8a2-036c-4556-b9e5-be492c190019"

# Text without lone surrogates, which UTF-8 cannot write and protobuf cannot hold.
text = st.text(st.characters(exclude_categories=["Cs"]))
tag_lists = st.lists(st.builds(Tag, text, text), max_size=5, unique=True)
#: From the epoch to the end of what a Timestamp may hold, the year 9999.
moments_ns = st.integers(0, 253_402_300_799_999_999_999)
attempt_lists = st.lists(
    st.builds(Attempt, st.just(0), text, moments_ns, moments_ns, st.sampled_from(Outcome), text),
    max_size=4,
).map(lambda found: [each._replace(fence=fence) for fence, each in enumerate(found, 1)])
dead_letters = st.builds(
    DeadLetter,
    st.sampled_from(DeadLetterReason),
    text,
    st.just(ID),
    moments_ns,
    st.integers(0, 1_000),
)


def sealed(payload: bytes, tags: list[Tag]) -> bytes:
    """Return the envelope of a message as it was added."""
    return Sealer().seal(ID.encode(), 1, encode_tags(tags), payload)


@given(tag_lists, st.binary(max_size=300))
@example([Tag("", "")], b"")
@example([Tag("k" * 200, "")], b"\x1a\x22")
def test_tags_are_those_that_were_written(tags: list[Tag], payload: bytes) -> None:
    """In their order; whatever the payload looks like."""
    assert tags_of(sealed(payload, tags)) == tags


@given(st.binary(max_size=300), st.integers(0, 255), text, text, text)
@example(b"", 0, "", "g", "")
@example(b"\x2a\x03\x3a\x01x", 0, "", "", "k")
def test_place_is_the_one_that_was_written(
    payload: bytes, priority: int, dedup_id: str, group_id: str, fair_key: str
) -> None:
    """Priority, group and fair key; empty ones too, also if the message has no options at all."""
    options = encode_options(
        available_ns=0,
        expires_ns=0,
        priority=priority,
        dedup_id=dedup_id,
        group_id=group_id,
        fair_key=fair_key,
    )
    envelope = sealed(payload, []) + options

    read = pb.Message.FromString(envelope).options
    assert place_of(envelope) == (priority, group_id, fair_key)
    assert (read.priority, read.group_id, read.fair_key) == place_of(envelope)


@given(st.binary(max_size=300), tag_lists, dead_letters, attempt_lists)
@example(b"", [], DeadLetter(DeadLetterReason.REJECTED, "", ID, 0, 0), [])
@example(b"\x1a\x22", [], DeadLetter(DeadLetterReason.REJECTED, "x" * 128, ID, 1, 1), [])
def test_dead_letter_is_the_one_that_was_written(
    payload: bytes, tags: list[Tag], dead: DeadLetter, attempts: list[Attempt]
) -> None:
    """And it begins where the message ended as it was added."""
    before = sealed(payload, tags)
    envelope = before + encode_dead_letter(dead, attempts, 1_000_000)
    message = pb.Message.FromString(envelope)

    assert message.dead_letter.text == dead.text
    assert [each.reason for each in message.attempts] == [each.reason for each in attempts]
    assert dead_letter_of(envelope) == (dead, len(before))
    assert attempts_in(envelope, len(before)) == attempts


@given(st.binary(max_size=300), attempt_lists)
@example(b"\x1a\x22", [])
def test_message_that_is_no_dead_letter_is_told_apart(
    payload: bytes, attempts: list[Attempt]
) -> None:
    """Also if it was handed out before."""
    assert dead_letter_of(sealed(payload, []) + encode_attempts(attempts, 1_000_000)) is None


@given(dead_letters, dead_letters, attempt_lists, attempt_lists)
@example(
    DeadLetter(DeadLetterReason.REJECTED, "broken", ID, 1, 1),
    DeadLetter(DeadLetterReason.OVERFLOW, "", ID, 0, 0),
    [],
    [],
)
def test_last_dead_letter_counts(
    first: DeadLetter, last: DeadLetter, before: list[Attempt], after: list[Attempt]
) -> None:
    """Of a message that became one in two queues, one after the other."""
    once = sealed(b"x", []) + encode_dead_letter(first, before, 1_000_000)
    twice = once + encode_dead_letter(last, after, 1_000_000)

    assert dead_letter_of(twice) == (last, len(once))
    assert attempts_in(twice, len(once)) == after
    # Protobuf merges the two.
    told = pb.Message.FromString(twice).dead_letter
    assert (int(told.reason), told.text, told.source_queue_id) == last[:3]
    assert (told.moved.ToNanoseconds(), told.delivery_count) == last[3:]
