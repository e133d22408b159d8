"""A message at rest is the message on the wire: the bytes of a `proto.Message`.

It is encoded once, when it is accepted, and goes from there to memory, to disk and
into replies as it is. Only the little of the protobuf encoding that this takes is
written here; a test holds it against the protobuf library, byte for byte.
See https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable

from qmq.values import NS_PER_S, Tag

_LEN_1 = b"\x0a"  # Field 1, length-delimited; field 2 and 3 follow the same scheme.
_LEN_2 = b"\x12"
_LEN_3 = b"\x1a"
#: Length of a UUID in its canonical form.
ID_BYTES = 36

#: What `reply_with` adds to an envelope of up to 256 MiB.
REPLY_OVERHEAD_BYTES = 5

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
