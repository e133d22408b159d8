"""Counts, as people say them."""


def counted(count: int, noun: str) -> str:
    """Return a count and its noun, whose plural ends with an s: `1 queue`, `1,200 queues`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
