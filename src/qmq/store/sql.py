"""SQL lives in .sql files: statements by name, migrations by number."""

import re
from importlib.resources import files
from typing import NamedTuple

_NAME_LINE = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION_FILE = re.compile(r"(\d{4})_\w+\.sql")


class Migration(NamedTuple):
    """One step of a schema. Released ones are never edited, only followed."""

    version: int
    script: str


def load_statements(package: str, file: str) -> dict[str, str]:
    """Read the statements of a file, each under a line `-- name: NAME`."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    _, *parts = _NAME_LINE.split(text)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def load_migrations(package: str) -> list[Migration]:
    """Read the migrations of a package's folder `migrations`, in order.

    Files are called NNNN_what_it_does.sql and numbered from 0001 without a gap.
    """
    folder = files(package).joinpath("migrations")
    migrations = [
        Migration(int(match[1]), file.read_text(encoding="utf-8"))
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if (match := _MIGRATION_FILE.fullmatch(file.name))
    ]
    if [m.version for m in migrations] != list(range(1, len(migrations) + 1)):
        message = f"migrations of {package} are not numbered from 0001 without a gap"
        raise AssertionError(message)
    return migrations
