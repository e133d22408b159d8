"""Messages at rest are what the protobuf library makes of them, byte for byte."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.envelope import (
    HANDED_OUT_OVERHEAD_BYTES,
    REPLY_OVERHEAD_BYTES,
    Sealer,
    batch_reply_with,
    encode_attempts,
    encode_leased,
    encode_leases,
    encode_tags,
    reply_with,
    varint,
)
from qmq.values import Attempt, Outcome, Tag
from qmq.wire import q_pb2 as pb

ID = "668ad8a2-036c-4556-b9e5-be492c190019"
NS_PER_S = 1_000_000_000

# Text without lone surrogates, which UTF-8 cannot write and protobuf cannot hold.
text = st.text(st.characters(exclude_categories=["Cs"]))
tags = st.lists(st.builds(Tag, text, text), max_size=5)
#: From the epoch to the end of what a Timestamp may hold, the year 9999.
moments_ns = st.integers(0, 253_402_300_799 * NS_PER_S + 999_999_999)


def moment(ns: int) -> Timestamp:
    """Return a moment as the library has it."""
    seconds, nanos = divmod(ns, NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def by_the_library(created_ns: int, tags: list[Tag], payload: bytes, id_: str = ID) -> pb.Message:
    """Make the message that an envelope should be."""
    return pb.Message(
        meta=pb.Metadata(
            id=id_,
            created=moment(created_ns),
            tags=[pb.Tag(key=tag.key, value=tag.value) for tag in dict.fromkeys(tags)],
        ),
        payload=payload,
    )


@given(moments_ns, tags, st.binary(max_size=300))
@example(0, [], b"")
@example(NS_PER_S, [], b"")
@example(NS_PER_S - 1, [Tag("", "")], b"\0")
@example(1_700_000_000 * NS_PER_S, [Tag("k", "")], b"x" * 127)
@example(1_700_000_000 * NS_PER_S + 1, [Tag("", "v")], b"x" * 128)
@example(2**63 - 1, [Tag("k" * 127, "v" * 128)], b"x" * 2**14)
def test_envelope_is_what_the_library_encodes(
    created_ns: int, tags: list[Tag], payload: bytes
) -> None:
    """Whatever the time, tags and payload."""
    envelope = Sealer().seal(ID.encode(), created_ns, encode_tags(tags), payload)

    assert envelope == by_the_library(created_ns, tags, payload).SerializeToString()


def ids(count: int) -> list[str]:
    """Return UUIDs that differ."""
    return [f"00000000-0000-4000-8000-{number:012x}" for number in range(count)]


#: What producers hand in, in one batch.
batches = st.lists(st.tuples(tags, st.binary(max_size=300)), max_size=6)


@given(moments_ns, batches)
@example(0, [([], b"")])
@example(NS_PER_S, [([], b""), ([Tag("", "")], b"\0")])
@example(2**63 - 1, [([Tag("k" * 127, "v" * 128)], b"x" * 2**14), ([], b"x" * 127)])
def test_batch_is_what_the_library_encodes(
    created_ns: int, batch: list[tuple[list[Tag], bytes]]
) -> None:
    """Each envelope is its message, and what is told of all is an AddBatchResponse."""
    messages = [
        by_the_library(created_ns, tags, payload, id_)
        for id_, (tags, payload) in zip(ids(len(batch)), batch, strict=True)
    ]

    envelopes, metas = Sealer().seal_batch(
        [id_.encode() for id_ in ids(len(batch))],
        created_ns,
        [(encode_tags(tags), payload) for tags, payload in batch],
    )

    assert envelopes == [message.SerializeToString() for message in messages]
    reply = pb.AddBatchResponse(messages=[message.meta for message in messages])
    assert b"".join(metas) == reply.SerializeToString()


@given(moments_ns, batches)
def test_batch_is_its_messages_one_by_one(
    created_ns: int, batch: list[tuple[list[Tag], bytes]]
) -> None:
    """A message does not tell how it came."""
    encoded = [(encode_tags(tags), payload) for tags, payload in batch]
    sealer = Sealer()

    envelopes, _ = sealer.seal_batch((id_.encode() for id_ in ids(len(batch))), created_ns, encoded)

    assert envelopes == [
        sealer.seal(id_.encode(), created_ns, tags, payload)
        for id_, (tags, payload) in zip(ids(len(batch)), encoded, strict=True)
    ]


def test_batch_has_an_id_for_each_message() -> None:
    """Neither is any left over."""
    for count in (1, 3):
        with pytest.raises(ValueError, match="zip"):
            Sealer().seal_batch([ID.encode()] * count, 0, [(b"", b"")] * 2)


@given(batches)
def test_reply_with_many_envelopes_is_what_the_library_encodes(
    batch: list[tuple[list[Tag], bytes]],
) -> None:
    """A PopBatchResponse, in order; nothing at all without messages."""
    messages = [by_the_library(7, tags, payload) for tags, payload in batch]

    encoded = batch_reply_with(message.SerializeToString() for message in messages)

    assert encoded == pb.PopBatchResponse(messages=messages).SerializeToString()


class Leased(NamedTuple):
    """What makes a message on lease."""

    lease_id: str
    delivery_count: int
    payload: bytes
    attempts: Sequence[Attempt] = ()

    def by_the_library(self, expires_ns: int) -> pb.LeasedMessage:
        """Make the message that an encoded one should be."""
        message = by_the_library(7, [], self.payload)
        message.attempts.extend(
            pb.Attempt(
                consumer=each.consumer,
                leased=moment(each.leased_ns),
                ended=moment(each.ended_ns),
                outcome=each.outcome.name,
                reason=each.reason,
            )
            for each in self.attempts
        )
        return pb.LeasedMessage(
            message=message,
            lease_id=self.lease_id,
            lease_expires_at=moment(expires_ns),
            delivery_count=self.delivery_count,
        )


def leased_together(batch: Sequence[Leased], expires_ns: int) -> list[bytes]:
    """Encode messages on lease."""
    return encode_leased(
        [by_the_library(7, [], each.payload).SerializeToString() for each in batch],
        [encode_attempts(each.attempts, 1_000_000) for each in batch],
        encode_leases(
            [each.lease_id.encode() for each in batch],
            expires_ns,
            [each.delivery_count for each in batch],
        ),
    )


#: Of a few sizes, so that some are of the same; those differ in what is in them.
leased_batches = st.lists(
    st.builds(
        Leased,
        st.text(st.sampled_from("0123456789abcdef-"), min_size=25, max_size=25),
        st.sampled_from([1, 1, 2, 127, 128, 2**31 - 1]),
        st.sampled_from([b"", b"x", b"y", b"x" * 60, b"x" * 128, b"x" * 16_384]),
        st.lists(
            st.builds(
                Attempt,
                st.just(1),
                text,
                moments_ns,
                moments_ns,
                st.sampled_from(Outcome),
                text,
            ),
            max_size=2,
        ),
    ),
    max_size=6,
)

LEASE_ID = "17979cfe362a0000-00000003"


@given(leased_batches, moments_ns)
@example(
    [Leased(LEASE_ID, 1, b"x"), Leased(LEASE_ID, 2, b"y"), Leased(LEASE_ID[::-1], 300, b"z")], 0
)
@example([Leased(LEASE_ID, 1, b"x" * size) for size in range(400)], 1)
@example([Leased(LEASE_ID, 300, b"x" * size) for size in range(16_250, 16_400)], 1)
def test_leased_messages_are_what_the_library_encodes(batch: list[Leased], expires_ns: int) -> None:
    """Each is a part of a LeaseResponse, and all together are one, in order."""
    parts = leased_together(batch, expires_ns)

    messages = [each.by_the_library(expires_ns) for each in batch]
    assert parts == [pb.LeaseResponse(messages=[each]).SerializeToString() for each in messages]
    assert b"".join(parts) == pb.LeaseResponse(messages=messages).SerializeToString()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 2**14 - 1, 2**14, 2**21, 2**22])
def test_lease_adds_no_more_than_its_bound(size: int) -> None:
    """So much is left free of the largest reply when a message is accepted."""
    last_ns = 253_402_300_799 * NS_PER_S + 999_999_999
    leases = encode_leases([LEASE_ID.encode()], last_ns, [2**31 - 1])

    (part,) = encode_leased([bytes(size)], [b""], leases)

    assert len(part) - size <= HANDED_OUT_OVERHEAD_BYTES


def test_each_message_has_a_lease() -> None:
    """Neither is any left over."""
    leases = encode_leases([LEASE_ID.encode()], 1, [1])
    for envelopes, attempts in (([], [b""]), ([b"x"] * 2, [b""]), ([b"x"], [b""] * 2)):
        with pytest.raises(ValueError, match="zip"):
            encode_leased(envelopes, attempts, leases)


@given(st.lists(moments_ns, max_size=5))
def test_sealer_remembers_no_more_than_it_should(moments: list[int]) -> None:
    """One sealer makes the same of a moment as a new one, whatever it worked on before."""
    sealer = Sealer()

    for moment in [*moments, *moments, *(moment + 1 for moment in moments)]:
        assert sealer.seal(ID.encode(), moment, b"", b"") == Sealer().seal(
            ID.encode(), moment, b"", b""
        )


@given(st.lists(st.builds(Tag, st.sampled_from("ab"), st.sampled_from("12")), max_size=9))
def test_repeated_tag_is_written_once_where_it_first_stood(tags: list[Tag]) -> None:
    """Tags are a set of pairs in order of arrival."""
    decoded = pb.Metadata.FromString(encode_tags(tags))

    kept = [Tag(tag.key, tag.value) for tag in decoded.tags]
    assert len(kept) == len(set(kept))
    assert kept == sorted(set(tags), key=tags.index)


@pytest.mark.parametrize("reply", [pb.AddResponse, pb.PopResponse, pb.PeekResponse])
@pytest.mark.parametrize("payload_bytes", [0, 1, 200, 70_000])
def test_reply_with_an_envelope_is_what_the_library_encodes(
    reply: type[Message], payload_bytes: int
) -> None:
    """Each reply that carries a message carries it as field 1."""
    message = by_the_library(1_700_000_000_000_000_001, [Tag("k", "v")], b"x" * payload_bytes)

    encoded = reply_with(message.SerializeToString())

    assert encoded == reply(message=message).SerializeToString()


@pytest.mark.parametrize("size", [1, 127, 128, 2**14 - 1, 2**14, 2**21, 2**22])
def test_reply_adds_no_more_than_its_bound(size: int) -> None:
    """What q refuses by size, it refuses by the size of the reply."""
    assert len(reply_with(bytes(size))) - size <= REPLY_OVERHEAD_BYTES


def test_bound_of_the_reply_holds_up_to_256_mib() -> None:
    """The longest length that takes four bytes is that of 256 MiB less one byte."""
    assert 1 + len(varint(2**28 - 1)) == REPLY_OVERHEAD_BYTES
    assert 1 + len(varint(2**28)) > REPLY_OVERHEAD_BYTES


@given(st.integers(0, 2**63 - 1))
def test_varint_is_what_the_library_encodes(n: int) -> None:
    """The seconds of a Timestamp are a field of one byte and a varint."""
    encoded = Timestamp(seconds=n).SerializeToString()

    assert (b"\x08" + varint(n) if n else b"") == encoded
