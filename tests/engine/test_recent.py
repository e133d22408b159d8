"""The last texts of a kind."""

from qmq.engine.recent import Recent


def test_text_is_remembered() -> None:
    """Until it is old; others are not."""
    recent = Recent(10)

    recent.add("a")

    assert "a" in recent
    assert "b" not in recent


def test_last_texts_are_remembered_and_old_ones_are_not() -> None:
    """So many at least, and at most twice as many."""
    recent = Recent(10)

    for n in range(1_000):
        recent.add(str(n))
        assert all(str(m) in recent for m in range(max(0, n - 9), n + 1))
        assert not any(str(m) in recent for m in range(n - 19))


def test_text_that_is_added_again_is_young_again() -> None:
    """Others are forgotten before it."""
    recent = Recent(3)

    for text in ("a", "b", "c", "a", "d", "e", "f"):
        recent.add(text)

    assert "a" in recent
    assert "b" not in recent
