"""Tables, and the words for sizes and ages in them."""

from datetime import timedelta

import pytest

from qmq.cli.table import Column, age_text, narrow_table, printable, size_text, table, telling

COLUMNS = [
    Column("QUEUE", ["jobs", "a-rather-long-name"]),
    Column("STORE", ["DISK", "MEMORY"]),
    Column("READY", ["5", "1234567"], is_number=True),
]


def test_numbers_are_lined_up_at_their_last_digit() -> None:
    """Texts at their first character; no line ends with blanks."""
    assert table(COLUMNS) == [
        "QUEUE               STORE     READY",
        "jobs                DISK          5",
        "a-rather-long-name  MEMORY  1234567",
    ]
    assert table([Column("TAGS", ["", "a=b"])]) == ["TAGS", "", "a=b"]


def test_a_table_without_rows_has_its_titles() -> None:
    """So that a person sees that there is nothing."""
    assert table([Column("QUEUE", []), Column("READY", [], is_number=True)]) == ["QUEUE  READY"]


def test_columns_that_say_nothing_are_left_out() -> None:
    """Of any row, that is; nor does one of a table without rows say anything."""
    some, none = Column("TAGS", ["", "a=b"]), Column("EXPIRES", ["-", "", "-"])

    assert telling(some, none, Column("PRIORITY", [])) == [some]


@pytest.mark.parametrize(
    ("width", "last"),
    [
        (80, "a-rather-long-name  MEMORY  1234567"),
        (35, "a-rather-long-name  MEMORY  1234567"),
        (34, "a-rather-long-name  1234567"),
        (20, "a-rather-l~  1234567"),
        (17, "a-rathe~  1234567"),
        (10, "a-rathe~  "),
    ],
)
def test_a_narrow_table_does_without(width: int, last: str) -> None:
    """First without the columns that may be dropped, then without the ends of names."""
    lines = narrow_table(COLUMNS, width, ["STORE"])

    assert lines[-1] == last
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5 * 1024**5, "5120.0 TiB"),
    ],
)
def test_a_size_has_a_unit(size: int, text: str) -> None:
    """Of 1,024 of the one before."""
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (None, "-"),
        (timedelta(0), "0.0s"),
        (timedelta(seconds=-1), "0.0s"),
        (timedelta(seconds=9.94), "9.9s"),
        (timedelta(seconds=59.9), "59s"),
        (timedelta(seconds=192), "3m12s"),
        (timedelta(hours=5, minutes=7, seconds=59), "5h07m"),
        (timedelta(days=3, hours=4), "3d04h"),
    ],
)
def test_an_age_has_two_units(age: timedelta | None, text: str) -> None:
    """The two largest."""
    assert age_text(age) == text


def test_what_would_move_the_cursor_is_spelled_out() -> None:
    """A tag may hold anything."""
    assert printable("é\n\x1b[31m") == "é\\n\\x1b[31m"
