"""The rights that an identity can have to a queue, and the queues they apply to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from fnmatch import translate
from functools import lru_cache
from typing import Final

from qmq.model.selector import Selector
from qmq.values import Tag


class Right(IntFlag):
    """Rights; none contains another, but `ADMIN` comes with all."""

    PRODUCE = 1
    CONSUME = 2
    BROWSE = 4
    MANAGE = 8
    ADMIN = 16


NO_RIGHT: Final = Right(0)
ALL_RIGHTS: Final = Right.PRODUCE | Right.CONSUME | Right.BROWSE | Right.MANAGE | Right.ADMIN

#: Rights by the names that they have in the access file.
RIGHTS: Final = {right.name.lower(): right for right in Right if right.name}

#: The pattern that stands for all queues, those without a name included.
EVERY_QUEUE: Final = "*"


def right_names(rights: Right) -> str:
    """Write rights as a person would: "consume and browse"."""
    names = [name for name, right in RIGHTS.items() if right & rights]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def name_matches(pattern: str, name: str) -> bool:
    """Tell whether a queue's name is one that a pattern stands for.

    Args:
        pattern: `*` stands for any text, `?` for one character, `[a-z]` for one of several; a
            lone `*` for every queue.
        name: empty for a queue that has none; only a lone `*` stands for those.
    """
    if pattern == EVERY_QUEUE:
        return True
    return bool(name) and _expression(pattern).match(name) is not None


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights to all queues of a name, or with tags, of some kind."""

    rights: Right
    #: One of the two: what their names are like, or their tags.
    pattern: str = ""
    selector: Selector | None = None

    def covers(self, name: str, tags: Sequence[Tag]) -> bool:
        """Tell whether it is about a queue of this name and these tags."""
        if self.selector is not None:
            return self.selector.matches(tags)
        return name_matches(self.pattern, name)


#: What somebody may do, all together.
Grants = tuple[Grant, ...]


def rights_on(grants: Grants, name: str, tags: Sequence[Tag]) -> Right:
    """Return what grants together allow on a queue of this name and these tags."""
    rights = NO_RIGHT
    for grant in grants:
        if grant.rights & ~rights and grant.covers(name, tags):
            rights |= grant.rights
    return ALL_RIGHTS if rights & Right.ADMIN else rights


def rights_on_all(grants: Grants) -> Right:
    """Return what grants allow on every queue, whatever its name and tags."""
    rights = NO_RIGHT
    for grant in grants:
        if grant.selector is None and grant.pattern == EVERY_QUEUE:
            rights |= grant.rights
    return ALL_RIGHTS if rights & Right.ADMIN else rights
