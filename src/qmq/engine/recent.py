"""The last texts of a kind: so many at least, and at most twice as many."""


class Recent:
    """Remembers texts, and forgets the oldest.

    Two sets, of which the older is dropped when the younger is full: no text is moved.
    """

    def __init__(self, count_min: int) -> None:
        self._count_min = count_min
        self._younger: set[str] = set()
        self._older: set[str] = set()

    def __contains__(self, text: str) -> bool:
        """Whether it is among the last ones."""
        return text in self._younger or text in self._older

    def add(self, text: str) -> None:
        """Remember a text."""
        if len(self._younger) >= self._count_min:
            self._older = self._younger
            self._younger = set()
        self._younger.add(text)
