"""What q has ever written, it reads."""

from pathlib import Path

import apsw

from qmq.values import QueueInfo, Store, Tag
from tests.store.disk import Disks

FORMAT_1 = Path(__file__).parent / "format_1.sql"


def database_from(script: Path, directory: Path) -> None:
    """Make a data directory whose database a script describes."""
    connection = apsw.Connection(str(directory / "q.db"))
    connection.execute(script.read_text(encoding="utf-8"))
    connection.close()


async def test_format_1_is_read(disks: Disks, tmp_path: Path) -> None:
    """Queues, their tags and limits, and messages in order; left-overs are nobody's."""
    database_from(FORMAT_1, tmp_path)

    disk = disks.open(tmp_path)
    plain, jobs = disk.queues

    assert disk.last_queue_number == 9
    assert plain.info == QueueInfo(
        id="34b85e07-c5e5-4e41-b9b9-7fb5f3c3726c",
        created_ns=1_795_527_741_951_136_237,
        store=Store.DISK,
    )
    assert jobs.info == QueueInfo(
        id="88b8bfc2-70f7-4f2a-8b8f-691569653ce6",
        created_ns=1_795_528_077_507_884_403,
        store=Store.DISK,
        limit=5,
        name="jobs",
        tags=(Tag("b", "1"), Tag("a", '"\u4e16"')),
    )
    assert [await disk.pop(plain)] == [b"\x0a\x02"]
    assert [await disk.pop(jobs), await disk.pop(jobs)] == [b"\x0a\x01", b"\x0a\x04"]


def test_frozen_database_is_still_what_a_new_one_is_made_from(tmp_path: Path) -> None:
    """The first migration is never edited: it makes the very tables of the frozen script."""
    database_from(FORMAT_1, tmp_path)
    migration = (
        Path(__file__).parents[2] / "src/qmq/store/local/migrations/0001_queues_and_messages.sql"
    )
    fresh = apsw.Connection(":memory:")
    fresh.execute(migration.read_text(encoding="utf-8"))
    frozen = apsw.Connection(str(tmp_path / "q.db"))

    columns = (
        'select m.name, c.name, c.type, c.pk, c."notnull"'
        " from sqlite_schema m, pragma_table_info(m.name) c"
    )
    strict = "select name, strict from pragma_table_list where name in ('queue', 'message')"
    for question in (columns, strict):
        assert fresh.execute(question).fetchall() == frozen.execute(question).fetchall()
    frozen.close()
    fresh.close()
