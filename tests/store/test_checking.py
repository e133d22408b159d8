"""The command `q check`: what it says of a data directory, and that it changes nothing."""

import json
import os
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from qmq.bin.q_program import program
from qmq.store.local.checksums import database_vfs
from qmq.store.local.directory import DataDirectory
from qmq.values import Store
from tests.engine.servers import Server
from tests.store.damage import fill
from tests.store.test_formats import FORMAT_4, database_from


def check(data: Path, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(program, ["check", *options, str(data)])


def contents(data: Path) -> dict[str, bytes]:
    """Return all that is in a directory."""
    return {file.name: file.read_bytes() for file in data.iterdir()}


def change(data: Path, statement: str) -> None:
    """Change a database in a way that SQLite has nothing against."""
    with closing(apsw.Connection(str(data / "q.db"), vfs=database_vfs())) as connection:
        connection.execute(statement)


async def test_sound_directory_is_told_to_be_so(tmp_path: Path) -> None:
    """With and without a log; nothing in it is changed, and nothing is made."""
    data, killed = tmp_path / "data", tmp_path / "killed"
    await fill(data, killed)
    before = [contents(each) for each in (data, killed)]

    results = [check(each) for each in (data, killed)]

    assert [result.exit_code for result in results] == [0, 0]
    assert [result.stdout for result in results] == [
        f"{each} is sound: 156 messages in 3 queues\n" for each in (data, killed)
    ]
    for each, files in zip((data, killed), before, strict=True):
        assert contents(each) == files


async def test_problems_are_told_as_json_as_well(tmp_path: Path) -> None:
    """All of them, with how much there is."""
    data = tmp_path / "data"
    await fill(data, tmp_path / "killed")
    change(data, "update queue set settings = replace(settings, '\"dead_letter_queue_id\": \"\"',"
           " '\"dead_letter_queue_id\": \"nobody\"') where name = 'jobs'")  # fmt: skip

    plain, told = check(data), check(data, "--json")

    problem = "queue jobs: its dead-letter queue nobody is not there"
    assert (plain.exit_code, plain.stdout) == (1, f"{problem}\n")
    assert told.exit_code == 1
    assert json.loads(told.stdout) == {
        "directory": str(data),
        "problems": [problem],
        "queues": 3,
        "messages": 156,
    }


async def test_rows_that_make_no_queue_are_a_problem(tmp_path: Path) -> None:
    """What cannot be understood is told, rather than be a failure of the check."""
    data = tmp_path / "data"
    await fill(data, tmp_path / "killed")
    change(data, "update queue set settings = '{'")

    result = check(data)

    assert result.exit_code == 1
    assert "q.db: its rows do not go together (JSONDecodeError" in result.stdout


async def test_damage_is_told_with_what_it_is_about(tmp_path: Path) -> None:
    """The file, the table, and the messages by when they came."""
    server = Server(Store.DISK, tmp_path / "data")
    await server.start()
    await server.new_queue("jobs")
    for _ in range(3):
        await server.put(b"x" * 20_000 + b"\xff\xfehere" + bytes(20_000))
        await server.pass_time(1)
    await server.end()
    content = bytearray((server.data / "q.db").read_bytes())
    content[content.find(b"\xff\xfehere")] ^= 1
    (server.data / "q.db").write_bytes(content)

    result = check(server.data)

    assert result.exit_code == 1
    first, *_ = result.stdout.splitlines()
    assert first == (
        f"{server.data / 'q.db'}: table message: row 1700000000000000000 (2023-11-14T22:13:20Z)"
        " is damaged: a message"
    )


def test_directory_in_use_cannot_be_checked(tmp_path: Path) -> None:
    """The q that holds it writes to it at any time."""
    with closing(DataDirectory(tmp_path)) as directory, closing(directory.open_database()):
        result = check(tmp_path)

    assert result.exit_code == 2
    assert result.stderr == (
        f"q: error: data directory {tmp_path} is in use by process {os.getpid()};"
        " stop that q first, or check a copy\n"
    )


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_what_is_no_data_directory_cannot_be_checked(tmp_path: Path, name: str) -> None:
    """Nor does it become one."""
    (tmp_path / "empty").mkdir()

    result = check(tmp_path / name)

    assert result.exit_code == 2
    assert "is not a data directory of q" in result.stderr
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "missing").exists()


def test_directory_of_an_older_format_cannot_be_checked(tmp_path: Path) -> None:
    """It has no checksums; it has when a q was started on it."""
    database_from(FORMAT_4, tmp_path)

    before = check(tmp_path)
    with closing(DataDirectory(tmp_path)) as directory:
        directory.open_database().close()
    after = check(tmp_path)

    assert (before.exit_code, after.exit_code) == (2, 0)
    assert "has format 4, without checksums" in before.stderr
