"""The rules of a queue's tags."""

from dataclasses import replace

from qmq.descriptions import QueueInfo
from qmq.envelope import encode_tags
from qmq.errors import InvalidArgument
from qmq.limits import TAGS_BYTES_MAX, TAGS_MAX
from qmq.values import Tag


def with_tag(info: QueueInfo, tag: Tag) -> QueueInfo:
    """Return a queue with a tag; the same one if it has that already.

    Raises:
        InvalidArgument: the queue's tags would be more, or longer, than q allows.
    """
    if tag in info.tags:
        return info
    tags = (*info.tags, tag)
    if len(tags) > TAGS_MAX:
        rule = f"queue {info.id} has {TAGS_MAX} tags, the most"
        raise InvalidArgument.over("tag", rule, "tags_max", TAGS_MAX, len(tags))
    size = len(encode_tags(tags))
    if size > TAGS_BYTES_MAX:
        rule = (
            f"the tags of queue {info.id} would take {size} bytes, more than"
            f" tags_bytes_max of {TAGS_BYTES_MAX}"
        )
        raise InvalidArgument.over("tag", rule, "tags_bytes_max", TAGS_BYTES_MAX, size)
    return replace(info, tags=tags)


def without_tag(info: QueueInfo, tag: Tag) -> QueueInfo:
    """Return a queue without a tag; the same one if it has none such."""
    if tag not in info.tags:
        return info
    return replace(info, tags=tuple(each for each in info.tags if each != tag))
