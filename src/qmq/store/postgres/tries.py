"""How long to wait from one try to reach a database to the next."""

from random import Random
from typing import Final

#: Seconds after the first try that failed, at most; each further pause is twice as long.
_FIRST_S: Final = 0.05

#: Seconds that a pause takes at most: so soon is a database noticed that is there again.
_LONGEST_S: Final = 1.0

#: More doublings would be a number too large for nothing.
_DOUBLINGS_MAX: Final = 16


class Tries:
    """Counts tries that have failed in a row. Who connects has one of its own."""

    def __init__(self, random: Random) -> None:
        """Begin without any.

        Args:
            random: so that those that failed together do not try again together.
        """
        self._random = random
        #: How many have failed since one did not.
        self.failed = 0

    def fail(self) -> None:
        """Take note of one that failed."""
        self.failed += 1

    def succeed(self) -> None:
        """Take note of one that did not."""
        self.failed = 0

    def pause_s(self) -> float:
        """Return for how many seconds to wait before the next one; none if the last was well."""
        if not self.failed:
            return 0.0
        longest_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(self.failed - 1, _DOUBLINGS_MAX))
        return longest_s * self._random.uniform(0.5, 1)
