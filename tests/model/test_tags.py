"""The rules of a queue's tags."""

import pytest

from qmq.descriptions import QueueInfo
from qmq.errors import InvalidArgument
from qmq.limits import TAG_VALUE_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX
from qmq.model.tags import with_tag, without_tag
from qmq.values import Store, Tag
from tests.model.queues import queue_id

A1 = Tag("a", "1")
A2 = Tag("a", "2")
B1 = Tag("b", "1")


def info(*tags: Tag) -> QueueInfo:
    """Describe a queue with tags."""
    return QueueInfo(id=queue_id(7), created_ns=1, store=Store.MEMORY, tags=tags)


def test_tags_keep_the_order_in_which_they_were_added() -> None:
    """One key may have several values, and new tags go to the end."""
    assert with_tag(with_tag(info(B1), A2), A1).tags == (B1, A2, A1)


def test_tag_that_is_there_is_not_added_again() -> None:
    """Tags are a set of pairs."""
    before = info(A1, B1)

    assert with_tag(before, A1) is before


def test_deleted_tag_is_gone_and_the_others_stay() -> None:
    """Only the pair that was named goes, in whatever place it stands."""
    assert without_tag(info(A1, A2, B1), A2).tags == (A1, B1)


def test_tag_that_is_not_there_is_deleted_without_effect() -> None:
    """Neither another value of the key nor another key of the value goes."""
    before = info(A1)

    assert without_tag(before, A2) is before
    assert without_tag(before, B1) is before


def test_number_of_tags_is_bounded() -> None:
    """One tag more than allowed is refused; one that is there already needs no room."""
    full = info(*(Tag("n", str(n)) for n in range(TAGS_MAX)))

    assert with_tag(full, full.tags[0]) is full
    with pytest.raises(InvalidArgument) as refusal:
        with_tag(full, A1)

    assert refusal.value.message == f"tag: queue {queue_id(7)} has {TAGS_MAX} tags, the most"


def test_size_of_all_tags_is_bounded() -> None:
    """Tags that no reply should have to carry are refused, although each alone is allowed."""
    longest = "v" * TAG_VALUE_BYTES_MAX
    allowed = info()
    for key in "abc":
        allowed = with_tag(allowed, Tag(key, longest))

    with pytest.raises(InvalidArgument) as refusal:
        with_tag(allowed, Tag("d", longest))

    assert refusal.value.field == "tag"
    assert queue_id(7) in refusal.value.rule
    assert f"more than tags_bytes_max of {TAGS_BYTES_MAX}" in refusal.value.rule
