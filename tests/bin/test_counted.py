"""Counts are told as people say them."""

import pytest

from qmq.bin.counted import counted


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 queues"), (1, "1 queue"), (2, "2 queues"), (1_200, "1,200 queues")]
)
def test_one_is_one(count: int, said: str) -> None:
    """And what there are more of has a plural, and commas."""
    assert counted(count, "queue") == said
