"""What is worth a look in how a server does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qmq.condition import (
    ClusterCondition,
    CommitTimes,
    Contents,
    DatabaseCondition,
    DiskCondition,
    NodeCondition,
    ServerCondition,
    ServerWarning,
    Spell,
    StandbyCondition,
)
from qmq.server.address import Address
from qmq.server.config import Config
from qmq.server.findings import (
    found_in,
    found_in_access,
    found_in_certificates,
    found_in_config,
    worst_first,
)
from qmq.values import NS_PER_S, ServerRole, WarningLevel

NOW_NS = 1_800_000_000 * NS_PER_S
GIB = 1 << 30
FINE = CommitTimes(lately=Spell(ended_ns=NOW_NS, window_ns=60 * NS_PER_S, count=1_000, p99_ns=1))
SLOW = CommitTimes(lately=replace(FINE.lately, p99_ns=NS_PER_S // 2))

DISK = DiskCondition(
    contents=Contents(),
    directory="/var/lib/q",
    database_bytes=GIB,
    log_bytes=0,
    free_bytes=50 * GIB,
    total_bytes=100 * GIB,
    refusal="",
    is_full=False,
    hangs="",
    commits=FINE,
    pending_bytes=0,
    checkpoint_ns=0,
    backup_ns=0,
    damaged=0,
)
STANDBY = StandbyCondition(
    name="db2", address="10.0.0.2", state="streaming", is_synchronous=True, lag_bytes=0, lag_ns=0
)
DATABASE = DatabaseCondition(
    name="first",
    contents=Contents(),
    hosts=("db1:5432", "db2:5432"),
    primary="db1:5432",
    refusal="",
    away_ns=0,
    is_replicated=True,
    standbys=(STANDBY,),
    commits=FINE,
    pending_bytes=0,
    vacuum_held_ns=0,
    vacuum_holder="",
    looked_ns=NOW_NS,
)
LEADER = NodeCondition(
    address="q1:10002", version="1", role=ServerRole.LEADER, since_ns=1, heard_ns=NOW_NS
)
FOLLOWER = replace(LEADER, address="q2:10002", role=ServerRole.FOLLOWER)
CLUSTER = ClusterCondition(
    epoch=1, replicas_required=1, nodes=(LEADER, FOLLOWER), databases=(DATABASE,)
)
ALONE = ServerCondition(version="1", queues_max=100, memory_bytes_max=1_000, disk=DISK)
LEADING = replace(ALONE, disk=None, cluster=CLUSTER)


def found(condition: ServerCondition) -> list[ServerWarning]:
    """Return what is worth a look."""
    return list(found_in(condition, NOW_NS))


def of_disk(**changes: Any) -> ServerCondition:  # noqa: ANN401 - As the fields are.
    """Return a server whose disk is as it says."""
    return replace(ALONE, disk=replace(DISK, **changes))


def of_database(**changes: Any) -> ServerCondition:  # noqa: ANN401 - As the fields are.
    """Return a leader whose database is as it says."""
    databases = (replace(DATABASE, **changes),)
    return replace(LEADING, cluster=replace(CLUSTER, databases=databases))


def of_nodes(*nodes: NodeCondition) -> ServerCondition:
    """Return a leader of these q."""
    return replace(LEADING, cluster=replace(CLUSTER, nodes=nodes))


@pytest.mark.parametrize("condition", [ALONE, LEADING])
def test_nothing_is_found_where_all_is_well(condition: ServerCondition) -> None:
    """Otherwise nobody would look any more."""
    assert found(condition) == []


@pytest.mark.parametrize(
    ("condition", "level", "reason", "subject"),
    [
        (of_disk(refusal="full", is_full=True), WarningLevel.CRITICAL, "DISK_FULL", ""),
        (of_disk(refusal="failed"), WarningLevel.CRITICAL, "STORE_FAILED", ""),
        (of_disk(hangs="hangs"), WarningLevel.CRITICAL, "DISK_HANGS", ""),
        (of_disk(free_bytes=GIB // 2), WarningLevel.WARNING, "DISK_NEARLY_FULL", "/var/lib/q"),
        (
            of_disk(free_bytes=10 * GIB, database_bytes=60 * GIB),
            WarningLevel.WARNING,
            "DISK_NEARLY_FULL",
            "/var/lib/q",
        ),
        (of_disk(damaged=1), WarningLevel.WARNING, "MESSAGES_DAMAGED", "/var/lib/q"),
        (of_disk(commits=SLOW), WarningLevel.WARNING, "COMMITS_SLOW", "the disk"),
        (replace(ALONE, memory_bytes=801), WarningLevel.WARNING, "MEMORY_NEARLY_FULL", ""),
        (replace(ALONE, memory_bytes=1_000), WarningLevel.CRITICAL, "MEMORY_NEARLY_FULL", ""),
        (replace(ALONE, contents=Contents(91)), WarningLevel.WARNING, "QUEUES_NEARLY_ALL", ""),
        (
            of_database(away_ns=NOW_NS - 1, refusal="gone", is_replicated=False),
            WarningLevel.CRITICAL,
            "DATABASE_AWAY",
            "first",
        ),
        (of_database(refusal="too few"), WarningLevel.CRITICAL, "TOO_FEW_STANDBYS", "first"),
        (of_database(is_replicated=False), WarningLevel.WARNING, "NOT_REPLICATED", "first"),
        (
            of_database(vacuum_held_ns=61 * NS_PER_S, vacuum_holder="session 4711"),
            WarningLevel.WARNING,
            "VACUUM_HELD",
            "first",
        ),
        (of_database(commits=SLOW), WarningLevel.WARNING, "COMMITS_SLOW", "database first"),
        (
            of_database(standbys=(replace(STANDBY, lag_ns=31 * NS_PER_S),)),
            WarningLevel.WARNING,
            "STANDBY_BEHIND",
            "first/db2",
        ),
        (
            of_database(standbys=(replace(STANDBY, state=""),)),
            WarningLevel.NOTE,
            "STANDBYS_UNSEEN",
            "first",
        ),
        (of_nodes(LEADER), WarningLevel.NOTE, "NO_SUCCESSOR", ""),
        (
            of_nodes(LEADER, replace(FOLLOWER, version="2")),
            WarningLevel.NOTE,
            "VERSIONS_DIFFER",
            "",
        ),
        (
            of_nodes(LEADER, replace(FOLLOWER, heard_ns=NOW_NS - 16 * NS_PER_S)),
            WarningLevel.WARNING,
            "NODE_SILENT",
            "q2:10002",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_found_once(
    condition: ServerCondition, level: WarningLevel, reason: str, subject: str
) -> None:
    """With a sentence, and what to do."""
    [warning] = found(condition)

    assert (warning.level, warning.reason, warning.subject) == (level, reason, subject)
    assert warning.message
    assert warning.remedy


def test_few_commits_say_nothing_about_the_disk() -> None:
    """One slow one of ten is no percent."""
    few = CommitTimes(lately=replace(SLOW.lately, count=10))

    assert found(of_disk(commits=few)) == []


def test_commits_that_were_slow_are_so_until_they_are_clearly_faster() -> None:
    """A warning that comes and goes with a disk near the bound is one that nobody believes."""
    near = of_disk(commits=CommitTimes(lately=replace(SLOW.lately, count=10, p99_ns=60_000_000)))
    fast = of_disk(commits=CommitTimes(lately=replace(SLOW.lately, p99_ns=40_000_000)))
    before = {("COMMITS_SLOW", "the disk")}

    assert found(near) == []
    assert [each.reason for each in found_in(near, NOW_NS, before)] == ["COMMITS_SLOW"]
    assert list(found_in(near, NOW_NS, {("COMMITS_SLOW", "database first")})) == []
    assert list(found_in(fast, NOW_NS, before)) == []


def test_since_when_a_database_is_away_is_what_the_database_says() -> None:
    """Not since somebody has looked."""
    [warning] = found(of_database(away_ns=NOW_NS - 7, refusal="gone"))

    assert warning.since_ns == NOW_NS - 7
    assert "db1:5432, db2:5432" in warning.remedy


OPEN = Address("", 10002)
ACCESS = Path("access.toml")
PEM = Path("both.pem")


@pytest.mark.parametrize(
    ("config", "reasons"),
    [
        (Config(), []),
        (Config(insecure=True, listen=Address("localhost", 10002)), []),
        (Config(insecure=True, listen=OPEN), ["OPEN_TO_ALL"]),
        (Config(insecure=True, listen=OPEN, access=ACCESS), ["PLAIN_TOKENS"]),
        (Config(access=ACCESS, listen=OPEN), ["PLAIN_TOKENS"]),
        (Config(access=ACCESS, listen=OPEN, tls_cert=PEM, tls_key=PEM), []),
        (Config(access=ACCESS, listen=Address("127.0.0.1", 10002)), []),
    ],
)
def test_how_q_was_started_is_looked_at(config: Config, reasons: list[str]) -> None:
    """What others can reach, by plain text or without being asked who they are."""
    assert [each.reason for each in found_in_config(config)] == reasons


def test_certificates_that_end_soon_are_told() -> None:
    """One that has ended is worse; one that lasts is no news."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    expiries = {
        "server": now + timedelta(days=13),
        "client": now - timedelta(days=1),
        "client_ca": now + timedelta(days=15),
    }

    warnings = worst_first(found_in_certificates(expiries, now))

    assert [(each.level, each.subject) for each in warnings] == [
        (WarningLevel.CRITICAL, "client"),
        (WarningLevel.WARNING, "server"),
    ]


def test_an_access_file_that_cannot_be_read_is_told() -> None:
    """What it said before holds."""
    assert [each.reason for each in found_in_access(is_faulty=True)] == ["ACCESS_FILE_FAULTY"]
    assert not list(found_in_access(is_faulty=False))
