"""The synchronous client is what the asynchronous one says."""

from pathlib import Path

import pytest

from scripts import unasync


def test_what_is_generated_is_up_to_date() -> None:
    """Nobody has changed it by hand, and nothing is left over."""
    assert unasync.faults(unasync.generated()) == []


def test_what_differs_and_what_is_left_over_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its path."""
    monkeypatch.setattr(unasync, "CLIENT", tmp_path)
    (tmp_path / "_sync").mkdir()
    same, other, left, new = (tmp_path / "_sync" / f"{name}.py" for name in ("a", "b", "c", "d"))
    same.write_text("A = 1\n")
    other.write_text("B = 1\n")
    left.write_text("C = 1\n")

    found = unasync.faults({same: "A = 1\n", other: "B = 2\n", new: "D = 1\n"})

    assert found == [
        f"{left}: has no source in _async",
        f"{other}: is out of date",
        f"{new}: is out of date",
    ]


def test_a_substitution_that_nothing_needs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be forgotten."""
    spare = ("no such word", "")
    monkeypatch.setattr(unasync, "SUBSTITUTIONS", (*unasync.SUBSTITUTIONS, spare))

    with pytest.raises(SystemExit, match="nothing needs no such word"):
        unasync.generated()


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [
        ("async def pop(self) -> None:", "def pop(self) -> None:"),
        ("    return await self.pop()", "    return self.pop()"),
        ("async with queue as q, AsyncLine():", "with queue as q, Line():"),
        ("[m async for m in AsyncIterator()]", "[m for m in Iterator()]"),
        (
            "from qmq.client._async.queue import AsyncQueue",
            "from qmq.client._sync.queue import Queue",
        ),
        ("Make one with `async with`; AsyncClient awaits.", "Make one with `with`; Client awaits."),
        ("raise StopAsyncIteration", "raise StopIteration"),
        ("Callable[[AsyncMessage[T]], Awaitable[R]]", "Callable[[Message[T]], R]"),
    ],
)
def test_lines_are_translated(asynchronous: str, synchronous: str) -> None:
    """Code, imports and docstrings alike."""
    header, _, text = unasync.translated(asynchronous, set()).partition("\n")

    assert text == synchronous
    assert header == "# Generated from _async by scripts/unasync.py; change it there."
