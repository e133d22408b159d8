"""How a server does, as people and programs see it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from qmq.cli.server_reply import server_record, server_text
from qmq.client.server_values import (
    ClusterInfo,
    CommitStep,
    CommitTimes,
    DatabaseInfo,
    DiskInfo,
    NodeInfo,
    ServerInfo,
    ServerWarning,
    StandbyInfo,
    StoreContents,
)
from qmq.values import ServerRole, WarningLevel

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOTHING = timedelta()


def ago(seconds: float) -> datetime:
    """Return a moment so many seconds ago."""
    return NOW - timedelta(seconds=seconds)


COMMITS = CommitTimes(
    window=timedelta(seconds=60),
    count=1_200,
    p50=timedelta(microseconds=160),
    p99=timedelta(milliseconds=12),
    max=timedelta(seconds=1.25),
    steps=(
        CommitStep(
            ended=NOW, window=timedelta(seconds=5), count=0, p50=NOTHING, p99=NOTHING, max=NOTHING
        ),
    ),
)
ALONE = ServerInfo(
    version="0.1.0",
    started=ago(7_200),
    role=ServerRole.ALONE,
    address="localhost:10002",
    warnings=(),
    contents=StoreContents(queues=3, messages=5, bytes=2_048),
    in_memory=StoreContents(queues=1, messages=0, bytes=0),
    queues_max=100,
    memory_bytes=4_096,
    memory_bytes_max=0,
    disk=DiskInfo(
        contents=StoreContents(queues=2, messages=5, bytes=2_048),
        directory="/var/lib/q",
        database_bytes=1 << 20,
        log_bytes=0,
        free_bytes=10 << 30,
        total_bytes=100 << 30,
        refusal="",
        commits=COMMITS,
        pending_bytes=0,
        last_checkpoint=ago(90),
        last_backup=None,
        damaged=0,
    ),
    cluster=None,
)
LEADING = replace(
    ALONE,
    role=ServerRole.LEADER,
    memory_bytes_max=8_192,
    disk=None,
    warnings=(
        ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="DATABASE_AWAY",
            subject="two",
            message="shard two does not\x1b answer",
            remedy="look at PostgreSQL",
            since=ago(65),
        ),
    ),
    cluster=ClusterInfo(
        epoch=7,
        replicas_required=1,
        nodes=(
            NodeInfo(
                address="q1:10002",
                version="0.1.0",
                role=ServerRole.LEADER,
                since=ago(3_600),
                heard=ago(0.5),
            ),
            NodeInfo(address="q2:10002", version="0.1.0", role=None, since=None, heard=None),
        ),
        databases=(
            DatabaseInfo(
                name="first",
                contents=StoreContents(queues=2, messages=5, bytes=2_048),
                hosts=("db1:5432", "db2:5432"),
                primary="db1:5432",
                refusal="",
                away_since=None,
                is_replicated=True,
                standbys=(
                    StandbyInfo(
                        name="db2",
                        address="10.0.0.2",
                        state="streaming",
                        is_synchronous=True,
                        lag_bytes=0,
                        lag=timedelta(milliseconds=3),
                    ),
                ),
                commits=COMMITS,
                pending_bytes=0,
                vacuum_held=timedelta(seconds=75),
                looked=ago(1),
            ),
            DatabaseInfo(
                name="two",
                contents=StoreContents(queues=0, messages=0, bytes=0),
                hosts=("db3:5432",),
                primary="",
                refusal="it does not answer",
                away_since=ago(65),
                is_replicated=False,
                standbys=(),
                commits=replace(COMMITS, count=0, p50=NOTHING, p99=NOTHING, max=NOTHING),
                pending_bytes=0,
                vacuum_held=NOTHING,
                looked=None,
            ),
        ),
    ),
)


def test_a_q_that_is_alone() -> None:
    """What it holds and how long its commits take, then the disk."""
    assert server_text(ALONE, NOW) == [
        "q 0.1.0, at localhost:10002, alone, up for 2h00m",
        "",
        "STORE   QUEUES  MESSAGES    BYTES  COMMITS/MIN     P50      P99    MAX",
        "MEMORY       1         0      0 B            -       -        -      -",
        "DISK         2         5  2.0 KiB         1200  0.16ms  12.00ms  1.25s",
        "",
        "memory       4.0 KiB",
        "queues       3 of 100",
        "disk         10.0 GiB free of 100.0 GiB",
        "directory    /var/lib/q",
        "database     1.0 MiB, and 0 B of log",
        "changes      taken",
        "checkpoint   1m30s ago",
        "backup       -",
    ]


def test_the_leader_of_a_cluster() -> None:
    """Warnings first, and what moves cursors is shown as what it is."""
    assert server_text(LEADING, NOW) == [
        "q 0.1.0, at localhost:10002, leads its cluster, up for 2h00m",
        "",
        "CRITICAL DATABASE_AWAY, for 1m05s",
        "  shard two does not\\x1b answer",
        "  look at PostgreSQL",
        "",
        "STORE          QUEUES  MESSAGES    BYTES  COMMITS/MIN     P50      P99    MAX",
        "MEMORY              1         0      0 B            -       -        -      -",
        "CLUSTER first       2         5  2.0 KiB         1200  0.16ms  12.00ms  1.25s",
        "CLUSTER two         0         0      0 B            0       -        -      -",
        "",
        "memory       4.0 KiB of 8.0 KiB",
        "queues       3 of 100",
        "",
        "Q         ROLE     VERSION  SINCE      HEARD",
        "q1:10002  leader   0.1.0    1h00m ago  0.5s ago",
        "q2:10002  unknown  0.1.0    -          -",
        "",
        "DATABASE  PRIMARY   STATE           REPLICATED  VACUUM-HELD",
        "first     db1:5432  serves          yes         1m15s",
        "two       -         away for 1m05s  no          -",
        "",
        "STANDBY  OF     ADDRESS   STATE      SYNC  BEHIND     LAG",
        "db2      first  10.0.0.2  streaming  yes      0 B  3.00ms",
    ]


def test_a_q_that_knows_only_why_nobody_leads() -> None:
    """It shows no figures that it has not."""
    follower = replace(LEADING, role=ServerRole.FOLLOWER, cluster=None)

    assert server_text(follower, NOW) == [
        "q 0.1.0, at localhost:10002, follows, up for 2h00m",
        *server_text(LEADING, NOW)[1:5],
    ]


def test_a_disk_that_refuses_changes_says_why() -> None:
    """In its own words."""
    assert ALONE.disk
    full = replace(ALONE, disk=replace(ALONE.disk, refusal="the disk is full"))

    assert "changes      refused: the disk is full" in server_text(full, NOW)


def test_a_record_holds_all_of_it() -> None:
    """Spans in seconds, moments as text, and what there is not as null."""
    record = server_record(LEADING)

    assert (record["role"], record["started"]) == ("LEADER", "2026-11-30T10:00:00Z")
    assert record["disk"] is None
    first, two = record["cluster"]["databases"]
    assert (first["vacuum_held_s"], first["commits"]["p50_s"]) == (75.0, 0.00016)
    assert first["standbys"][0]["lag_s"] == 0.003
    assert (two["away_since"], two["looked"]) == ("2026-11-30T11:58:55Z", None)
