"""Ids that callers make up: dedup_ids, group_ids, fair_keys."""

import re
from typing import Final

from qmq.errors import InvalidArgument

#: With a line break at its end, an id is another one than without, and looks the same: it is
#: refused, rather than taken for a new one.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def checked_id(text: str, field: str, bytes_max: int, kind: str) -> str:
    """Return an id that a caller has made up, if it may be one; it may be empty.

    Args:
        text: the id.
        field: its name, for errors.
        bytes_max: how many bytes it may take, in UTF-8.
        kind: what it is an id of, for the name of that limit.

    Raises:
        InvalidArgument: it is too long, or has control characters.
    """
    if not text:
        return text
    if (size := len(text.encode())) > bytes_max:
        rule = f"takes {size} bytes, more than {bytes_max}"
        raise InvalidArgument.over(field, rule, f"{kind}_bytes_max", bytes_max, size)
    if control := _CONTROL.search(text):
        raise InvalidArgument(
            field,
            f"must have no control characters, such as line breaks; U+{ord(control[0]):04X} is at"
            f" {control.start()}",
        )
    return text
