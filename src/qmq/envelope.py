"""A message at rest is the message on the wire: the bytes of a `proto.Message`.

It is encoded once, when it is accepted, and goes from there to memory, to disk and
into replies as it is. Only the little of the protobuf encoding that this takes is
written here; a test holds it against the protobuf library, byte for byte.
See https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from qmq.values import NS_PER_S, Attempt, DeadLetter, DeadLetterReason, MessageState, Outcome, Tag

_LEN_1 = b"\x0a"  # Field 1, length-delimited; field 2 and 3 follow the same scheme.
_LEN_2 = b"\x12"
_LEN_3 = b"\x1a"
_LEN_5 = b"\x2a"
#: Length of a UUID in its canonical form.
ID_BYTES = 36

#: Numbers of fields: Message.options, and of MessageOptions.
_OPTIONS = 5
_PRIORITY = 5
_GROUP_ID = 7
_FAIR_KEY = 8

#: What `reply_with` adds to an envelope of up to 256 MiB.
REPLY_OVERHEAD_BYTES = 5

#: What a reply takes to say how durable a change is.
DURABILITY_BYTES = 2

#: Bytes that a reply takes to say which queue a message is of, if there are many.
QUEUE_ID_BYTES = 2 + ID_BYTES

#: What a lease, or that it is a dead letter, adds to an envelope at most, attempts and
#: texts apart: so much room is left when a message is accepted.
HANDED_OUT_OVERHEAD_BYTES = 192

#: One-byte lengths, which nearly every field has, need no arithmetic.
_SHORT = tuple(bytes((n,)) for n in range(128))


def varint(n: int) -> bytes:
    """Encode a non-negative int as a protobuf varint."""
    if n < 128:  # noqa: PLR2004 - Seven bits a byte; the eighth says that more follow.
        return _SHORT[n]
    if n < 16384:  # noqa: PLR2004 - Two times seven.
        return bytes((n & 127 | 128, n >> 7))
    if n < 268435456:  # noqa: PLR2004 - Four times seven.
        return bytes((n & 127 | 128, n >> 7 & 127 | 128)) + varint(n >> 14)
    # Most moments have so many nanoseconds, and every message has a moment.
    low = n & 127 | 128, n >> 7 & 127 | 128, n >> 14 & 127 | 128, n >> 21 & 127 | 128
    high = n >> 28
    return bytes((*low, high)) if high < 128 else bytes(low) + varint(high)  # noqa: PLR2004


def field_1(data: bytes) -> bytes:
    """Encode bytes, or a message that is encoded, as the field 1 of another message."""
    return b"%b%b%b" % (_LEN_1, varint(len(data)), data)


def encode_tags(tags: Iterable[Tag]) -> bytes:
    """Encode tags as they stand in a `proto.Metadata`: the repeated field 3.

    A set of pairs: a repeated pair is written once, where it first stood.
    """
    out: list[bytes] = []
    for tag in dict.fromkeys(tags):
        key, value = tag.key.encode(), tag.value.encode()
        body = b"".join(
            (
                *((_LEN_1, varint(len(key)), key) if key else ()),
                *((_LEN_2, varint(len(value)), value) if value else ()),
            )
        )
        out += (_LEN_3, varint(len(body)), body)
    return b"".join(out)


class Sealer:
    """Turns what a producer hands in into envelopes.

    It remembers the encoded head of the second it worked in last, since thousands of
    messages share one.
    """

    def __init__(self) -> None:
        self._second = -1
        self._second_head = b""

    def seal(
        self, id_text: bytes, created_ns: int, tags: bytes, payload: bytes | memoryview
    ) -> bytes:
        """Encode a message.

        Args:
            id_text: the message's UUID in its canonical form, 36 bytes ASCII.
            created_ns: nanoseconds since the Unix epoch, not before it.
            tags: what `encode_tags` returned.
            payload: any bytes.
        """
        head = self._timestamp(created_ns)
        meta = b"\x0a\x24%b\x12%b%b%b" % (id_text, _SHORT[len(head)], head, tags)
        if payload:
            return b"".join(
                (_LEN_1, varint(len(meta)), meta, _LEN_2, varint(len(payload)), payload)
            )
        return _LEN_1 + varint(len(meta)) + meta

    def seal_batch(
        self, ids: Iterable[bytes], created_ns: int, messages: Iterable[tuple[bytes, bytes]]
    ) -> tuple[list[bytes], list[bytes]]:
        """Encode messages that were accepted together.

        Args:
            ids: their UUIDs, as in `seal`.
            created_ns: nanoseconds since the Unix epoch, not before it.
            messages: their tags and payloads, as in `seal`.

        Returns:
            The envelopes; and, for each, its metadata as it stands in it: field 1 of a
            Message, which is field 1 of an AddBatchResponse too.
        """
        head = self._timestamp(created_ns)
        created = b"\x12" + _SHORT[len(head)] + head
        size = 2 + ID_BYTES + len(created)
        untagged = _LEN_1 + varint(size) + b"\x0a\x24"
        # Messages that come together are mostly of the same few sizes.
        heads: dict[int, bytes] = {0: b""}
        envelopes, metas = [], []
        for id_text, (tags, payload) in zip(ids, messages, strict=True):
            if tags:
                meta = b"\x0a%b\x0a\x24%b%b%b" % (
                    varint(size + len(tags)),
                    id_text,
                    created,
                    tags,
                )
            else:
                meta = untagged + id_text + created
            metas.append(meta)
            length = len(payload)
            before = heads.get(length)
            if before is None:
                before = heads[length] = _LEN_2 + varint(length)
            envelopes.append(meta + before + payload)
        return envelopes, metas

    def _timestamp(self, created_ns: int) -> bytes:
        """Encode a google.protobuf.Timestamp."""
        second, nanos = divmod(created_ns, NS_PER_S)
        if second != self._second:
            self._second = second
            self._second_head = b"\x08" + varint(second) if second else b""
        return self._second_head + b"\x10" + varint(nanos) if nanos else self._second_head


def batch_reply_with(envelopes: Iterable[bytes]) -> bytes:
    """Encode a reply whose repeated field 1 is the messages: a PopBatchResponse."""
    return b"".join(map(reply_with, envelopes))


def reply_with(envelope: bytes, rest: bytes = b"") -> bytes:
    """Encode a reply whose field 1 is the message: an AddResponse, PopResponse, PeekResponse.

    Args:
        envelope: the message.
        rest: the fields that follow it, encoded.
    """
    return b"".join((_LEN_1, varint(len(envelope)), envelope, rest))


def encode_attempts(attempts: Sequence[Attempt], bytes_max: int) -> bytes:
    """Encode attempts as they stand in a `proto.Message`: the repeated field 4.

    Those at the front are left out if all together take more than `bytes_max`.
    """
    out: list[bytes] = []
    left = bytes_max
    for attempt in reversed(attempts):
        body = b"".join(
            (
                _text(b"\x0a", attempt.consumer),
                _moment(b"\x12", attempt.leased_ns),
                _moment(b"\x1a", attempt.ended_ns),
                b"\x20" + varint(attempt.outcome),
                _text(b"\x2a", attempt.reason),
            )
        )
        encoded = b"\x22" + varint(len(body)) + body
        left -= len(encoded)
        if left < 0:
            break
        out.append(encoded)
    return b"".join(reversed(out))


def encode_dead_letter(dead: DeadLetter, attempts: Sequence[Attempt], bytes_max: int) -> bytes:
    """Encode what makes a message a dead letter: fields 3 and 4 of a `proto.Message`.

    To be put at the end of its envelope.

    Args:
        dead: why it is one.
        attempts: oldest first.
        bytes_max: what that may take; the text and old attempts are left out if they must.
            `HANDED_OUT_OVERHEAD_BYTES` always suffice.
    """
    body = _dead_letter(dead)
    if len(body) > bytes_max:
        body = _dead_letter(dead._replace(text=""))
    return body + encode_attempts(attempts, bytes_max - len(body))


def _dead_letter(dead: DeadLetter) -> bytes:
    # Everything is written down, also what is empty or 0: who reads it merges it with what
    # there is of an earlier time.
    text = dead.text.encode()
    seconds, nanos = divmod(dead.moved_ns, NS_PER_S)
    moved = b"\x08" + varint(seconds) + b"\x10" + varint(nanos)
    body = b"".join(
        (
            b"\x08" + varint(dead.reason),
            b"\x12" + varint(len(text)) + text,
            _text(b"\x1a", dead.source_queue_id),
            b"\x22" + varint(len(moved)) + moved,
            b"\x28" + varint(dead.delivery_count),
        )
    )
    return _LEN_3 + varint(len(body)) + body


def encode_leases(
    lease_ids: Sequence[bytes], expires_ns: int, delivery_counts: Sequence[int], rest: bytes = b""
) -> list[bytes]:
    """Encode what a `proto.LeasedMessage` has besides the message: fields 2 to 5.

    Args:
        lease_ids: the leases, all of the same length of up to 127 ASCII characters.
        expires_ns: when all of them end, in nanoseconds since the Unix epoch.
        delivery_counts: that of each message, from 1.
        rest: what `encode_queue_id` returned, if that is to be said.
    """
    if not lease_ids:
        return []
    head = _LEN_2 + _SHORT[len(lease_ids[0])]
    expires = _moment(_LEN_3, expires_ns) + b"\x20"
    if delivery_counts.count(1) == len(lease_ids):
        # As nearly always.
        end = expires + b"\x01" + rest
        return [head + lease_id + end for lease_id in lease_ids]
    return [
        head + lease_id + expires + varint(count) + rest
        for lease_id, count in zip(lease_ids, delivery_counts, strict=True)
    ]


def encode_leased(
    envelopes: Sequence[bytes], attempts: Sequence[bytes], leases: Sequence[bytes]
) -> list[bytes]:
    """Encode each `proto.LeasedMessage` as it stands in a reply: the repeated field 1.

    Args:
        envelopes: the messages.
        attempts: what `encode_attempts` returned for each.
        leases: what `encode_leases` returned.
    """
    # Messages that go together are mostly of the same few sizes.
    heads: dict[int, bytes] = {}
    encoded: list[bytes] = []
    for envelope, history, lease in zip(envelopes, attempts, leases, strict=True):
        size = len(envelope) + len(history)
        sizes = size << 16 | len(lease)
        head = heads.get(sizes)
        if head is None:
            head = heads[sizes] = _leased_head(size, len(lease))
        encoded.append(head + envelope + history + lease)
    return encoded


class FirstLeases(NamedTuple):
    """What messages have in common that are delivered for the first time, by one call."""

    #: What the names of the leases begin with, all of the same length.
    starts: Sequence[bytes]
    #: What all of them end with.
    end: bytes
    #: As in `encode_leases`.
    expires_ns: int
    rest: bytes


def encode_first_leased(envelopes: Sequence[bytes], leases: FirstLeases) -> bytes:
    """Do what `encode_leased` does where all are delivered for the first time, much faster.

    Args:
        envelopes: at least one message.
        leases: those on the messages.

    Returns:
        All of them, one after the other.
    """
    count = len(envelopes)
    id_size = len(leases.starts[0]) + len(leases.end)
    lease = _LEN_2 + _SHORT[id_size]
    end = leases.end + _moment(_LEN_3, leases.expires_ns) + b"\x20\x01" + leases.rest
    lease_size = len(lease) + len(leases.starts[0]) + len(end)
    sizes = list(map(len, envelopes))
    heads = {size: _leased_head(size, lease_size) for size in set(sizes)}
    # Nothing is made here for a single message.
    parts = [b""] * (5 * count)
    parts[0::5] = map(heads.__getitem__, sizes)
    parts[1::5] = envelopes
    parts[2::5] = [lease] * count
    parts[3::5] = leases.starts
    parts[4::5] = [end] * count
    return b"".join(parts)


def _leased_head(message_size: int, lease_size: int) -> bytes:
    """Encode what stands before the message in a `proto.LeasedMessage`."""
    message = _LEN_1 + varint(message_size)
    return _LEN_1 + varint(len(message) + message_size + lease_size) + message


def encode_queue_id(queue_id: str) -> bytes:
    """Encode a queue's UUID as it stands in a `proto.LeasedMessage`: field 5, its last one."""
    return _LEN_5 + _SHORT[ID_BYTES] + queue_id.encode()


def encode_queue_ids(queue_ids: Iterable[str]) -> bytes:
    """Encode queues' UUIDs as they stand in a `proto.PopBatchResponse`: the repeated field 3."""
    head = _LEN_3 + _SHORT[ID_BYTES]
    return b"".join(head + queue_id.encode() for queue_id in queue_ids)


def encode_browsed(  # noqa: PLR0913 - The fields of the message.
    envelope: bytes,
    attempts: bytes,
    *,
    state: MessageState,
    delivery_count: int,
    consumer: str,
    until_ns: int,
    age_ns: int,
) -> bytes:
    """Encode a `proto.BrowsedMessage`.

    Args:
        envelope: the message.
        attempts: what `encode_attempts` returned.
        state: where it is.
        delivery_count: how often it was delivered.
        consumer: who has it, or "".
        until_ns: when that ends; 0 if it does not end by itself.
        age_ns: how long it has been in the queue.
    """
    count = b"\x18" + varint(delivery_count) if delivery_count else b""
    return b"".join(
        (
            _LEN_1,
            varint(len(envelope) + len(attempts)),
            envelope,
            attempts,
            b"\x10" + varint(state),
            count,
            _text(b"\x22", consumer),
            _moment(b"\x2a", until_ns) if until_ns else b"",
            # A Duration is encoded as a Timestamp is.
            _moment(b"\x32", age_ns),
        )
    )


def encode_options(  # noqa: PLR0913 - All that a message can have.
    *,
    available_ns: int,
    expires_ns: int,
    priority: int,
    dedup_id: str,
    group_id: str = "",
    fair_key: str = "",
) -> bytes:
    """Encode what a message was added with, as it stands in a `proto.Message`: field 5.

    Args:
        available_ns: until when it is kept back, in nanoseconds since the Unix epoch; 0 if not.
        expires_ns: until when it is of use, likewise; 0 for ever.
        priority: 0 to 255.
        dedup_id: up to 128 bytes, or empty, as are those that follow.
        group_id: likewise.
        fair_key: likewise.

    Returns:
        Nothing if there is nothing to say.
    """
    body = b"".join(
        (
            _moment(_LEN_2, available_ns) if available_ns else b"",
            _moment(b"\x22", expires_ns) if expires_ns else b"",
            b"\x28" + varint(priority) if priority else b"",
            _text(b"\x32", dedup_id),
            _text(b"\x3a", group_id),
            _text(b"\x42", fair_key),
        )
    )
    return _LEN_5 + varint(len(body)) + body if body else b""


def place_of(envelope: bytes) -> tuple[int, str, str]:
    """Return the priority, the group_id and the fair_key that a message was added with."""
    priority, group_id, fair_key = 0, "", ""
    for number, start, end in _fields(envelope, 0, len(envelope)):
        if number == _OPTIONS:
            for part, first, last in _fields(envelope, start, end):
                if part == _PRIORITY:
                    priority = first
                elif part == _GROUP_ID:
                    group_id = envelope[first:last].decode()
                elif part == _FAIR_KEY:
                    fair_key = envelope[first:last].decode()
    return priority, group_id, fair_key


def as_added(envelope: bytes) -> bytes:
    """Return an envelope without what was put at its end since the message was added."""
    return envelope[: _size_as_added(envelope)]


def _size_as_added(envelope: bytes) -> int:
    at = 0
    # Metadata first, then a payload unless it is empty, then options if there are any.
    for tag in (_LEN_1, _LEN_2, _LEN_5):
        if envelope[at : at + 1] == tag:
            size, at = _read_varint(envelope, at + 1)
            at += size
    return at


def tags_of(envelope: bytes) -> list[Tag]:
    """Return the tags of the message in an envelope."""
    size, at = _read_varint(envelope, 1)
    tags = []
    for number, start, end in _fields(envelope, at, at + size):
        if number == 3:  # noqa: PLR2004 - Metadata.tags
            parts = {part: envelope[a:b].decode() for part, a, b in _fields(envelope, start, end)}
            tags.append(Tag(parts.get(1, ""), parts.get(2, "")))
    return tags


def dead_letter_of(envelope: bytes) -> tuple[DeadLetter, int] | None:
    """Return why a message is a dead letter, and where that begins in its envelope.

    If it was made one more often than once, this is about the last time. None if it is none.
    """
    found = None
    for number, start, end in _fields(envelope, _size_as_added(envelope), len(envelope)):
        if number == 3:  # noqa: PLR2004 - Message.dead_letter
            found = start, end
    if found is None:
        return None
    start, end = found
    reason = count = moved_ns = 0
    text = source = ""
    for number, first, last in _fields(envelope, start, end):
        match number:
            case 1:
                reason = first
            case 2:
                text = envelope[first:last].decode()
            case 3:
                source = envelope[first:last].decode()
            case 4:
                moved_ns = _read_moment(envelope, first, last)
            case 5:
                count = first
    dead = DeadLetter(DeadLetterReason(reason), text, source, moved_ns, count)
    return dead, start - 1 - len(varint(end - start))


def attempts_in(envelope: bytes, at: int) -> list[Attempt]:
    """Return the attempts in an envelope, oldest first, from a place in it on.

    The place is where `dead_letter_of` says that a dead letter begins. Which deliveries
    they were is not in there, so that they are numbered from 1.
    """
    attempts: list[Attempt] = []
    for number, start, end in _fields(envelope, at, len(envelope)):
        if number != 4:  # noqa: PLR2004 - Message.attempts
            continue
        consumer = reason = ""
        leased_ns = ended_ns = outcome = 0
        for part, first, last in _fields(envelope, start, end):
            match part:
                case 1:
                    consumer = envelope[first:last].decode()
                case 2:
                    leased_ns = _read_moment(envelope, first, last)
                case 3:
                    ended_ns = _read_moment(envelope, first, last)
                case 4:
                    outcome = first
                case 5:
                    reason = envelope[first:last].decode()
        fence = len(attempts) + 1
        attempts.append(Attempt(fence, consumer, leased_ns, ended_ns, Outcome(outcome), reason))
    return attempts


def id_of(envelope: bytes) -> str:
    """Return the UUID of the message in an envelope."""
    # It is the first field of the first field.
    _, at = _read_varint(envelope, 1)
    return envelope[at + 2 : at + 2 + ID_BYTES].decode()


def encode_moment(ns: int) -> bytes:
    """Encode nanoseconds since the Unix epoch as a google.protobuf.Timestamp."""
    second, nanos = divmod(ns, NS_PER_S)
    return _seconds(second) + b"\x10" + varint(nanos) if nanos else _seconds(second)


@lru_cache(maxsize=16)
def _seconds(second: int) -> bytes:
    """Encode the seconds of a Timestamp: thousands of leases end in the same one."""
    return b"\x08" + varint(second) if second else b""


def _moment(tag: bytes, ns: int) -> bytes:
    encoded = encode_moment(ns)
    return tag + varint(len(encoded)) + encoded


def _text(tag: bytes, text: str) -> bytes:
    encoded = text.encode()
    return tag + varint(len(encoded)) + encoded if encoded else b""


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint; return it, and where what follows it begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:  # noqa: PLR2004 - The highest bit says that more follows.
            return value, at
        shift += 7


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Go through the fields of a message that stands somewhere.

    Yields:
        The number of each; and where its value begins and ends or, if it is an integer, the
        value and 0.
    """
    while at < end:
        # Numbers up to 15, which are all that there are, take one byte.
        tag = data[at]
        value, at = _read_varint(data, at + 1)
        if tag & 7 == 2:  # noqa: PLR2004 - Length-delimited.
            yield tag >> 3, at, at + value
            at += value
        else:
            yield tag >> 3, value, 0


def _read_moment(data: bytes, at: int, end: int) -> int:
    """Decode a google.protobuf.Timestamp that stands somewhere; return its nanoseconds."""
    parts = {number: value for number, value, _ in _fields(data, at, end)}
    return parts.get(1, 0) * NS_PER_S + parts.get(2, 0)
