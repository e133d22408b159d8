"""What `make bench-scaling` writes."""

from itertools import islice
from pathlib import Path

import pytest

from scaling import Clock, written

PAGE = Path(__file__).parents[2] / "docs/scaling.md"


def test_tables_take_the_place_of_those_before() -> None:
    """All else of the page stays as it is, and so it is when they are written again."""
    page = PAGE.read_text(encoding="utf-8")

    once = written(page, "| a |")

    assert "<!-- scaling:begin -->\n| a |\n<!-- scaling:end -->" in once
    assert written(once, "| b |") == once.replace("| a |", "| b |")
    with pytest.raises(ValueError, match="needs one"):
        written(once.replace("<!-- scaling:end -->", ""), "| a |")


def test_rounds_end_with_the_time_that_there_is() -> None:
    """One is made in any case."""
    assert list(Clock(0.0, 3).rounds(share=1.0)) == [0]
    assert list(islice(Clock(1e6, 3).rounds(share=0.5), 5)) == [0, 1, 2]
