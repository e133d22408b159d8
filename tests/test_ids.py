"""Ids are random UUIDs, made many at a time."""

import os
import uuid

from hypothesis import given
from hypothesis import strategies as st

from qmq.ids import RandomIds, request_id_of


def uuids(random: bytes) -> list[uuid.UUID]:
    """Return what Python's own UUID makes of randomness, 16 bytes each."""
    return [uuid.UUID(bytes=random[at : at + 16], version=4) for at in range(0, len(random), 16)]


def test_id_is_a_canonical_random_uuid() -> None:
    """Python's own UUID reads it as version 4 of RFC 9562 and writes it the same."""
    new_id = RandomIds()

    for _ in range(1_000):
        text = new_id().decode()
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
        assert str(parsed) == text


def test_ids_do_not_repeat() -> None:
    """Neither within a pool of randomness nor from one to the next."""
    new_id = RandomIds()

    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_every_random_bit_is_used_but_those_of_version_and_variant() -> None:
    """An id is its 16 random bytes with 6 bits replaced."""
    for byte in (b"\x00", b"\x5a", b"\xff"):
        new_id = RandomIds(byte.__mul__)

        assert new_id() == str(uuid.UUID(bytes=byte * 16, version=4)).encode()


def test_randomness_is_read_for_many_ids_at_once_and_used_once() -> None:
    """The system is asked once in 256 ids, and never answers with the same bytes twice."""
    reads: list[bytes] = []

    def read(n: int) -> bytes:
        reads.append(os.urandom(n))
        return reads[-1]

    new_id = RandomIds(read)
    ids = [uuid.UUID(new_id().decode()) for _ in range(512)]

    assert [len(read) for read in reads] == [256 * 16, 256 * 16]
    # A pool is used from its end.
    assert ids[:256][::-1] == uuids(reads[0])
    assert ids[256:][::-1] == uuids(reads[1])


@given(st.binary(max_size=16 * 40))
def test_many_ids_are_the_uuids_of_their_randomness(random: bytes) -> None:
    """Each of its own 16 bytes, in order, however many there are."""
    random = random[: len(random) // 16 * 16]
    sizes: list[int] = []

    def read(n: int) -> bytes:
        sizes.append(n)
        return random

    ids = RandomIds(read).many(len(random) // 16)

    assert ids == [str(each).encode() for each in uuids(random)]
    assert sizes == [len(random)]


def test_ids_of_batches_and_single_ones_do_not_repeat() -> None:
    """The pool gives no batch what it has given before, or will give."""
    new_id = RandomIds()

    ids = [
        new_id(),
        *new_id.many(1_000),
        new_id(),
        *new_id.many(1),
        *(new_id() for _ in range(300)),
    ]

    assert len(set(ids)) == len(ids) == 1_303


def test_request_id_is_the_callers_if_it_is_sane() -> None:
    """Else there is a new one each time."""
    for caller_id in (b"a", b"order-66/7", b"x" * 128):
        assert request_id_of({b"x-request-id": caller_id}) == caller_id.decode()
    made = {
        request_id_of(headers)
        for headers in (
            {},
            *({b"x-request-id": each} for each in (b"", b"a b", b"\xff", b"x" * 129)),
        )
    }
    assert len(made) == 5
    assert all(str(uuid.UUID(each)) == each for each in made)
