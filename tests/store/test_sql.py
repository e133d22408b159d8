"""SQL is read from files, by name and by number."""

import re
from pathlib import Path

import pytest

from qmq.store.local.directory import DataDirectory
from qmq.store.sql import load_migrations, load_statements


def package(path: Path, name: str, files: dict[str, str]) -> None:
    """Make a package with files in it, below a directory that is searched for modules."""
    for file, content in ({"__init__.py": ""} | files).items():
        target = path / name / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory from which packages are imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_statements_are_read_by_name(searched: Path) -> None:
    """Each from its line of name to the next, comments included."""
    text = "-- About the file.\n\n-- name: one\nselect 1\n\n-- name: two\n-- Why.\nselect\n2\n"
    package(searched, "sql_of_statements", {"a.sql": text})

    assert load_statements("sql_of_statements", "a.sql") == {
        "one": "select 1",
        "two": "-- Why.\nselect\n2",
    }


def test_migrations_are_read_in_order(searched: Path) -> None:
    """Other files in their folder are none."""
    package(
        searched,
        "sql_in_order",
        {
            "migrations/0002_b.sql": "second",
            "migrations/0001_a.sql": "first",
            "migrations/README": "no",
        },
    )

    assert load_migrations("sql_in_order") == [(1, "first"), (2, "second")]


@pytest.mark.parametrize("numbers", [["0002"], ["0001", "0003"], ["0001", "0001"]])
def test_gap_in_the_migrations_is_a_mistake(searched: Path, numbers: list[str]) -> None:
    """It is found wherever they are loaded, so that it is never released."""
    name = "sql_with_gap_" + "_".join(numbers)
    package(
        searched,
        name,
        {f"migrations/{number}_{at}.sql": "" for at, number in enumerate(numbers)},
    )

    with pytest.raises(AssertionError, match="not numbered from 0001 without a gap"):
        load_migrations(name)


def test_every_statement_of_the_disk_store_fits_its_schema(tmp_path: Path) -> None:
    """SQLite prepares each of them against the newest format, with q's own functions."""
    directory = DataDirectory(tmp_path)
    connection = directory.open_database()

    statements = load_statements("qmq.store.local", "statements.sql")
    plans = {
        name: connection.execute(f"explain {sql}", _any(sql)).fetchall()
        for name, sql in statements.items()
    }

    assert all(plans.values())
    assert len(plans) >= 16
    connection.close()
    directory.close()


def _any(sql: str) -> dict[str, int] | tuple[int, ...]:
    """Return values for the parameters of a statement, by name or by place."""
    return (1,) * sql.count("?") or dict.fromkeys(re.findall(r":(\w+)", sql), 1)
