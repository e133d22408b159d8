"""What q has ever written, it reads."""

from pathlib import Path

import apsw
import pytest

from qmq.descriptions import BackOff, Pause, QueueInfo, QueueSettings
from qmq.model.check import problems_of
from qmq.model.delivery import Delivery, State
from qmq.model.queue import Queue
from qmq.model.redrive import Redrive, RedriveRequest, RedriveState, redrive_of
from qmq.model.schedule import schedule_of
from qmq.store.local.checksums import database_vfs, has_checksums
from qmq.store.local.directory import check_data_directory
from qmq.store.sql import load_migrations
from qmq.values import NS_PER_S, Attempt, DeadLetterReason, Durability, Outcome, Store, Tag
from qmq.wire import q_pb2 as pb
from tests.store.changes_conformance import EVERYTHING
from tests.store.disk import Disks, rows, sweep

FORMAT_1 = Path(__file__).parent / "format_1.sql"
FORMAT_2 = Path(__file__).parent / "format_2.sql"
FORMAT_3 = Path(__file__).parent / "format_3.sql"
FORMAT_4 = Path(__file__).parent / "format_4.sql"

#: The second from which format_2.sql counts: most of its moments are some seconds after it.
START_S = 1_799_000_000

#: Of the queues and redrives in format_2.sql.
FAILED_ID = "9cdf1087-24d5-4a2b-bb94-809133a9cb2d"
JOBS_ID = "a0d0fe65-bb8c-46cc-8d4a-92314ac3728b"
DONE_ID, RUNNING_ID = "88eca96a-63e5-4eab-a60d-4abe08af2464", "0d10522f-637f-4bb2-a369-6d3008ed2c91"


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


def at(seconds: int) -> int:
    """Return the moment so many seconds after the start of format_2.sql, in nanoseconds."""
    return (START_S + seconds) * NS_PER_S


async def test_format_2_is_read_with_its_queues(disks: Disks, tmp_path: Path) -> None:
    """Their settings, pauses and limits; one that was made in format 1 has the defaults."""
    database_from(FORMAT_2, tmp_path)

    disk = disks.open(tmp_path)

    assert disk.last_queue_number == 5
    assert [queue.number for queue in disk.queues] == [1, 2, 3, 5]
    assert [queue.info for queue in disk.queues] == [
        QueueInfo(
            id=FAILED_ID,
            created_ns=at(0),
            store=Store.DISK,
            name="failed",
            pause=Pause(since_ns=at(50), adds=False),
        ),
        QueueInfo(
            id=JOBS_ID,
            created_ns=at(1),
            store=Store.DISK,
            limit=100,
            name="jobs",
            tags=(Tag("b", "1"), Tag("a", '"\u4e16"')),
            settings=QueueSettings(
                lease_duration_ns=60 * NS_PER_S,
                delivery_count_max=2,
                dead_letter_queue_id=FAILED_ID,
                back_off=BackOff(
                    base_ns=2 * NS_PER_S, factor=1.5, max_ns=600 * NS_PER_S, jitter=0.1
                ),
                durability_min=Durability.OS,
            ),
        ),
        QueueInfo(
            id="91d38797-e4f1-4e9b-a622-7f2581a909dc",
            created_ns=at(2),
            store=Store.DISK,
            name="idle",
            pause=Pause(since_ns=at(23), adds=True),
        ),
        QueueInfo(id="41dfd4d0-10c1-40fb-add4-aabfe1d0e320", created_ns=at(-100), store=Store.DISK),
    ]


def told(delivery: Delivery) -> tuple[object, ...]:
    """Return what is known of how a message was handed out."""
    return (
        *(delivery.fence, delivery.count, delivery.state, delivery.until_ns),
        *(delivery.leased_ns, delivery.consumer, delivery.attempts, delivery.redrive_id),
    )


def without_pause(queue: Queue) -> Queue:
    """Have a queue hand out its messages."""
    queue.set_info(QueueInfo(id=queue.info.id, created_ns=0, store=Store.DISK))
    return queue


async def test_format_2_is_read_with_its_messages(disks: Disks, tmp_path: Path) -> None:
    """In each state, with all that is known of them; those that were purged are nobody's."""
    database_from(FORMAT_2, tmp_path)

    disk = disks.open(tmp_path)
    failed, jobs, idle, old = disk.queues
    problems = [problem for queue in disk.queues for problem in problems_of(queue)]

    assert problems == []
    assert {seq: told(delivery) for seq, delivery in jobs.leases.by_seq.items()} == {
        at(10): (
            *(1, 0, State.RETURNED, 0, at(15), "w1"),
            *((Attempt(1, "w1", at(15), at(16), Outcome.RELEASED, ""),), ""),
        ),
        at(11): (1, 1, State.LEASED, at(25), at(15), "w2", (), ""),
        at(12): (1, 1, State.LEASED, at(3_615), at(15), "w1", (), ""),
        at(13): (
            *(1, 1, State.DELAYED, at(1_817), at(15), "w3"),
            *((Attempt(1, "w3", at(15), at(17), Outcome.FAILED, "busy"),), ""),
        ),
        at(70): (
            *(2, 0, State.RETURNED, 0, 0, ""),
            (
                Attempt(1, "w1", at(3), at(5), Outcome.FAILED, "\u4e16"),
                Attempt(2, "", at(6), at(66), Outcome.EXPIRED, ""),
            ),
            RUNNING_ID,
        ),
    }
    assert [bool(queue.leases.by_seq) for queue in (failed, idle, old)] == [False] * 3
    assert (len(jobs.ready), jobs.leases.leased, jobs.leases.delayed) == (3, 2, 1)
    # What ends by now ends, and nothing else does.
    jobs.pass_time(at(100))
    payloads = [
        [pb.Message.FromString(each).payload for each in envelopes]
        for envelopes in (
            await disk.pop_batch(jobs, 9, EVERYTHING),
            await disk.pop_batch(without_pause(idle), 9, EVERYTHING),
            await disk.pop_batch(old, 9, EVERYTHING),
        )
    ]
    assert payloads == [[b"released", b"expired", b"fresh", b"redriven"], [b"late"], [b"old"]]
    await disk.close()
    await sweep(tmp_path)
    # Two dead letters, the one on lease, and the one that is kept back.
    assert rows(tmp_path, "message") == 4
    assert (rows(tmp_path, "delivery"), rows(tmp_path, "lease")) == (1, 1)


async def test_format_2_is_read_with_its_dead_letters(disks: Disks, tmp_path: Path) -> None:
    """As messages that tell why they are there."""
    database_from(FORMAT_2, tmp_path)

    disk = disks.open(tmp_path)
    envelopes = await disk.pop_batch(without_pause(disk.queues[0]), 9, EVERYTHING)
    rejected, worn_out = map(pb.Message.FromString, envelopes)

    assert (rejected.payload, worn_out.payload) == (b"rejected", b"worn out")
    dead = rejected.dead_letter
    assert dead.reason == pb.DeadLetter.Reason.REJECTED
    assert (dead.text, dead.source_queue_id) == ('no such "customer"', JOBS_ID)
    assert (dead.moved.ToNanoseconds(), dead.delivery_count) == (at(30), 1)
    dead = worn_out.dead_letter
    assert dead.reason == pb.DeadLetter.Reason.DELIVERY_COUNT_MAX
    assert [
        (each.consumer, each.leased.seconds - START_S, each.ended.seconds - START_S, each.outcome)
        for each in worn_out.attempts
    ] == [
        ("w1", 3, 5, pb.Attempt.Outcome.FAILED),
        ("", 6, 66, pb.Attempt.Outcome.EXPIRED),
    ]


async def test_format_2_is_read_with_its_redrives(disks: Disks, tmp_path: Path) -> None:
    """Those that have ended, and those that are to go on."""
    database_from(FORMAT_2, tmp_path)

    redrives = disks.open(tmp_path).redrives

    assert [id_ for id_, _ in redrives] == [DONE_ID, RUNNING_ID]
    assert [redrive_of(text) for _, text in redrives] == [
        Redrive(
            id=DONE_ID,
            request=RedriveRequest(
                queue_id=FAILED_ID,
                target_queue_id=JOBS_ID,
                tags=(Tag("k", "v"),),
                reasons=(DeadLetterReason.REJECTED,),
                text="customer",
                age_min_ns=NS_PER_S,
                age_max_ns=100 * NS_PER_S,
                messages_max=5,
            ),
            store=Store.DISK,
            started_ns=at(67),
            first_seq=at(0),
            last_seq=at(67),
            total=2,
            seen=2,
            state=RedriveState.DONE,
            ended_ns=at(68),
        ),
        Redrive(
            id=RUNNING_ID,
            request=RedriveRequest(queue_id=FAILED_ID, messages_per_second=0.5),
            store=Store.DISK,
            started_ns=at(69),
            first_seq=at(66),
            last_seq=at(69),
            total=3,
            seen=1,
            matched=1,
            moved=1,
        ),
    ]


async def test_format_3_is_read_with_its_schedules(disks: Disks, tmp_path: Path) -> None:
    """Beside what there was before."""
    database_from(FORMAT_3, tmp_path)

    disk = disks.open(tmp_path)
    [queue] = disk.queues
    [(id_, text)] = disk.schedules
    schedule = schedule_of(text)

    assert id_ == f"{queue.info.id}/tick"
    assert (schedule.name, schedule.plan.cron) == ("tick", "* * * * *")
    assert pb.Message.FromString(await disk.pop(queue)).payload == b"plain"


async def test_format_4_is_read_with_what_messages_were_added_with(
    disks: Disks, tmp_path: Path
) -> None:
    """Options, groups that are held, dedup_ids, the clock; and what has left is gone."""
    database_from(FORMAT_4, tmp_path)

    disk = disks.open(tmp_path)
    [queue] = disk.queues
    second = 1_700_000_000
    known = {
        seq // NS_PER_S - second: (each.state, each.priority, each.group_id, each.fair_key)
        for seq, each in queue.leases.by_seq.items()
    }

    assert problems_of(queue) == []
    assert known == {
        1: (State.LEASED, 7, "", ""),
        2: (State.DELAYED, 0, "", ""),
        4: (State.LEASED, 0, "", "ann"),
        5: (State.RETURNED, 0, "g", ""),
        7: (State.RETURNED, 0, "", ""),
    }
    assert queue.leases.by_seq[(second + 7) * NS_PER_S].expires_ns == (second + 37) * NS_PER_S
    assert [each.dedup_id for each in queue.dedup] == ["known"]
    assert (queue.info.settings.ttl_ns, queue.info.settings.dedup_window_ns) == (
        3600 * NS_PER_S,
        600 * NS_PER_S,
    )
    assert queue.message_count == 7
    assert disk.clock_offset_ns == -7 * NS_PER_S
    assert len(disk.schedules) == 1
    envelopes = await disk.pop_batch(queue, 9, EVERYTHING)
    payloads = [pb.Message.FromString(each).payload for each in envelopes]
    assert payloads == [b"once", b"grouped", b"left", b"short"]


FROZEN = pytest.mark.parametrize(
    ("script", "version"),
    [(FORMAT_1, 1), (FORMAT_2, 2), (FORMAT_3, 3), (FORMAT_4, 4)],
    ids=["1", "2", "3", "4"],
)


def tables(connection: apsw.Connection) -> list[object]:
    """Return what a database's tables are."""
    found: list[object] = []
    for name, strict in connection.execute(
        "select name, strict from pragma_table_list where schema = 'main' order by name"
    ).fetchall():
        columns, indexes = (
            connection.execute(f"select * from {pragma}(?)", (name,)).fetchall()  # noqa: S608
            for pragma in ("pragma_table_info", "pragma_index_list")
        )
        found.append((name, strict, columns, indexes))
    return found


@FROZEN
def test_frozen_database_is_still_what_a_new_one_is_made_from(
    tmp_path: Path, script: Path, version: int
) -> None:
    """Migrations are never edited: they make the very tables of the frozen script."""
    database_from(script, tmp_path)
    fresh = apsw.Connection(":memory:")
    for migration in load_migrations("qmq.store.local")[:version]:
        fresh.execute(migration.script)
    frozen = apsw.Connection(str(tmp_path / "q.db"))

    assert frozen.pragma("user_version") == version
    assert tables(fresh) == tables(frozen)
    frozen.close()
    fresh.close()


@FROZEN
async def test_database_is_brought_to_the_newest_format_once(
    disks: Disks, tmp_path: Path, script: Path, version: int
) -> None:
    """With the tables of a new one; what was in it is in it, and is there the next time."""
    database_from(script, tmp_path)
    new = tmp_path / "new"
    check_data_directory(new)
    found = []
    for _ in range(2):
        disk = disks.open(tmp_path)
        found.append(
            [(each.number, each.info, each.message_count, len(each.ready)) for each in disk.queues]
        )
        await disk.close()

    connections = [
        apsw.Connection(str(path / "q.db"), vfs=database_vfs()) for path in (tmp_path, new)
    ]
    versions = [connection.pragma("user_version") for connection in connections]
    newest = len(load_migrations("qmq.store.local"))
    assert (found[1], versions) == (found[0], [newest, newest])
    assert newest >= version
    assert tables(connections[0]) == tables(connections[1])
    assert [has_checksums(connection) for connection in connections] == [True, True]
    assert [connection.pragma("integrity_check") for connection in connections] == ["ok", "ok"]
    for connection in connections:
        connection.close()
