"""The last numbers of a kind: so many at least, and hardly more than twice as many."""

from collections.abc import Iterable


class Recent:
    """Remembers numbers, and forgets the oldest.

    Two sets, of which the older is dropped when the younger is full: no number is moved.
    """

    def __init__(self, count_min: int) -> None:
        self._count_min = count_min
        self._younger: set[int] = set()
        self._older: set[int] = set()

    def __contains__(self, number: int) -> bool:
        """Whether it is among the last ones."""
        return number in self._younger or number in self._older

    def clear(self) -> None:
        """Forget all."""
        self._younger.clear()
        self._older.clear()

    def update(self, numbers: Iterable[int]) -> None:
        """Remember several."""
        if len(self._younger) >= self._count_min:
            self._older = self._younger
            self._younger = set()
        self._younger.update(numbers)
