"""A message at rest is the message on the wire: the bytes of a `proto.Message`.

It is encoded once, when it is accepted, and goes from there to memory, to disk and
into replies as it is. Only the little of the protobuf encoding that this takes is
written here; a test holds it against the protobuf library, byte for byte.
See https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Sequence

from qmq.values import NS_PER_S, Attempt, DeadLetter, Tag

_LEN_1 = b"\x0a"  # Field 1, length-delimited; field 2 and 3 follow the same scheme.
_LEN_2 = b"\x12"
_LEN_3 = b"\x1a"
#: Length of a UUID in its canonical form.
ID_BYTES = 36

#: What `reply_with` adds to an envelope of up to 256 MiB.
REPLY_OVERHEAD_BYTES = 5

#: What a lease, or that it is a dead letter, adds to an envelope at most, attempts and
#: texts apart: so much room is left when a message is accepted.
HANDED_OUT_OVERHEAD_BYTES = 192

#: One-byte lengths, which nearly every field has, need no arithmetic.
_SHORT = tuple(bytes((n,)) for n in range(128))


def varint(n: int) -> bytes:
    """Encode a non-negative int as a protobuf varint."""
    if n < 128:  # noqa: PLR2004 - Seven bits a byte; the eighth says that more follow.
        return _SHORT[n]
    out = bytearray()
    while n > 127:  # noqa: PLR2004 - As above.
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


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

    def seal(self, id_text: bytes, created_ns: int, tags: bytes, payload: bytes) -> bytes:
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
            envelopes.append(
                b"%b\x12%b%b" % (meta, varint(len(payload)), payload) if payload else meta
            )
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


def reply_with(envelope: bytes) -> bytes:
    """Encode a reply whose field 1 is the message: an AddResponse, PopResponse, PeekResponse."""
    return _LEN_1 + varint(len(envelope)) + envelope


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
    body = b"".join(
        (
            b"\x08" + varint(dead.reason),
            _text(b"\x12", dead.text),
            _text(b"\x1a", dead.source_queue_id),
            _moment(b"\x22", dead.moved_ns),
            b"\x28" + varint(dead.delivery_count) if dead.delivery_count else b"",
        )
    )
    return _LEN_3 + varint(len(body)) + body


def encode_lease(lease_id: str, expires_ns: int, delivery_count: int) -> bytes:
    """Encode what a `proto.LeasedMessage` has besides the message: fields 2 to 4."""
    count = b"\x20" + varint(delivery_count) if delivery_count else b""
    return _text(_LEN_2, lease_id) + _moment(_LEN_3, expires_ns) + count


def leased_with(envelope: bytes, attempts: bytes, lease: bytes) -> bytes:
    """Encode a `proto.LeasedMessage`.

    Args:
        envelope: the message.
        attempts: what `encode_attempts` returned.
        lease: what `encode_lease` returned.
    """
    return b"".join((_LEN_1, varint(len(envelope) + len(attempts)), envelope, attempts, lease))


def as_added(envelope: bytes) -> bytes:
    """Return an envelope without what was put at its end since the message was added."""
    at = 0
    # Metadata first, then a payload unless it is empty.
    for tag in (_LEN_1, _LEN_2):
        if envelope[at : at + 1] == tag:
            size, at = _read_varint(envelope, at + 1)
            at += size
    return envelope[:at]


def id_of(envelope: bytes) -> str:
    """Return the UUID of the message in an envelope."""
    # It is the first field of the first field.
    _, at = _read_varint(envelope, 1)
    return envelope[at + 2 : at + 2 + ID_BYTES].decode()


def encode_moment(ns: int) -> bytes:
    """Encode nanoseconds since the Unix epoch as a google.protobuf.Timestamp."""
    second, nanos = divmod(ns, NS_PER_S)
    return (b"\x08" + varint(second) if second else b"") + (
        b"\x10" + varint(nanos) if nanos else b""
    )


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
