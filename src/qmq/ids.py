"""Random UUIDs, fast: one read of the system's randomness serves many ids."""

import os
import re
import struct
from binascii import hexlify
from collections.abc import Callable, Mapping
from typing import Final
from uuid import uuid4

_POOL_IDS: Final = 256
_RANDOM_BYTES: Final = 16
_DIGITS: Final = 32
#: The digits that tell version and variant, among the 32.
_VERSION_DIGIT: Final = 12
_VARIANT_DIGIT: Final = 16
_VERSION_AT: Final = 14
_VARIANT_AT: Final = 19

#: The digits between two hyphens, id after id.
_PARTS: Final = struct.Struct("8s4s4s4s12s")

#: Where an id that is not of version 4 tells its shard.
_SHARD: Final = slice(15, 18)

#: Makes 10 the highest bits of a digit, which says the variant, and keeps the others.
_VARIANT: Final = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)


#: What is longer of the id that a caller gives a request is cut off.
REQUEST_ID_CHARS_MAX: Final = 128
_REQUEST_ID: Final = re.compile(b"[!-~]{1,%d}" % REQUEST_ID_CHARS_MAX)


class RandomIds:
    """Makes version 4 UUIDs (RFC 9562, section 5.4) as their canonical 36 ASCII bytes.

    `uuid.uuid4` takes 2.5 µs an id, of which most goes to the system call and to an
    object that is only printed; a message costs less than that altogether.
    """

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self._pool: list[bytes] = []

    def __call__(self) -> bytes:
        """Return a new id."""
        if not self._pool:
            self._pool = self.many(_POOL_IDS)
        return self._pool.pop()

    def many(self, count: int) -> list[bytes]:
        """Return so many new ids."""
        digits = bytearray(hexlify(self._random_bytes(count * _RANDOM_BYTES)))
        digits[_VERSION_DIGIT::_DIGITS] = b"4" * count
        digits[_VARIANT_DIGIT::_DIGITS] = digits[_VARIANT_DIGIT::_DIGITS].translate(_VARIANT)
        return list(map(b"-".join, _PARTS.iter_unpack(digits)))


def on_shard(id_: str, shard: int) -> str:
    """Return an id of a queue that tells on which shard of a cluster the queue lives.

    Args:
        id_: a random one, of version 4, as those of the first shard (0) stay.
        shard: its number. It stands in the 12 bits after the version, which is 8 then
            (RFC 9562, section 5.8); 110 bits are random.
    """
    return f"{id_[:_VERSION_AT]}8{shard:03x}{id_[_VARIANT_AT - 1 :]}" if shard else id_


def shard_of(id_: str) -> int:
    """Return the number of the shard that the id of a queue tells: 0 for the first."""
    return int(id_[_SHARD], 16) if id_[_VERSION_AT] == "8" else 0


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the id of a request: what its caller gave as x-request-id, or else a new one.

    Args:
        headers: of the request, with names in lower case.
    """
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid4())
