"""The dedup_ids that the client makes."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from qmq.client.made_ids import is_made, made_ids
from qmq.limits import DEDUP_ID_BYTES_MAX


def test_no_two_are_the_same() -> None:
    """Neither of one call nor of two, whichever thread takes them."""
    shared = made_ids()
    with ThreadPoolExecutor(8) as threads:
        ids = [*threads.map(lambda _: next(shared), range(2_000)), *islice(made_ids(), 1_000)]

    assert len(set(ids)) == 3_000
    assert max(len(each.encode()) for each in ids) < DEDUP_ID_BYTES_MAX


def test_they_are_told_from_those_of_users() -> None:
    """Who are told only of their own."""
    assert is_made(next(made_ids()))
    for own in ("", "invoice 17", "0b8f7c6e5d4a4b3c9d8e7f6a5b4c3d2e"):
        assert not is_made(own)
