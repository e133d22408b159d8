"""The last numbers of several kinds: so many at least, and hardly more than twice as many."""

from collections import defaultdict
from collections.abc import Collection, Hashable


class Recent:
    """Remembers numbers, and forgets the oldest.

    Two generations, of which the older is dropped when the younger is full: no number is moved.
    """

    def __init__(self, count_min: int) -> None:
        self._count_min = count_min
        self._younger = _Generation()
        self._older = _Generation()

    def has(self, kind: Hashable, number: int) -> bool:
        """Whether a number is among the last ones, of whatever kinds those are."""
        return any(number in each.numbers.get(kind, ()) for each in (self._younger, self._older))

    def clear(self) -> None:
        """Forget all."""
        self._younger, self._older = _Generation(), _Generation()

    def update(self, kind: Hashable, numbers: Collection[int]) -> None:
        """Remember several of a kind."""
        if self._younger.count >= self._count_min:
            self._younger, self._older = _Generation(), self._younger
        self._younger.numbers[kind].update(numbers)
        self._younger.count += len(numbers)


class _Generation:
    """Numbers that came after each other, by their kinds."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, set[int]] = defaultdict(set)
        #: How many came.
        self.count = 0
