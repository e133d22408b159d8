"""Warnings about how a server does: for each a sentence, and what to do about it.

Bounds are those of the alerts in `deploy/prometheus/alerts.yml`, where there is one.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from qmq.condition import (
    ClusterCondition,
    CommitTimes,
    DatabaseCondition,
    DiskCondition,
    NodeCondition,
    ServerCondition,
    ServerWarning,
    StandbyCondition,
)
from qmq.server import exposure
from qmq.server.config import REMEDY, Config
from qmq.values import NS_PER_S, ServerRole, WarningLevel

_MIB: Final = 1 << 20

#: So little left of a disk is worth a warning: in bytes, and as a share of the database.
_FREE_BYTES_MIN: Final = 1_000_000_000
_FREE_SHARE_MIN: Final = 0.2

#: Shares of what messages may take in memory, and of the queues that there may be.
_MEMORY_SHARE_MAX: Final = 0.8
_QUEUES_SHARE_MAX: Final = 0.9

#: What 99 of 100 commits should take at most; of few commits it says nothing. Once they took
#: longer, they are slow until they take half of that, so that no warning comes and goes with a
#: disk that is near the bound.
_COMMIT_NS_MAX: Final = NS_PER_S // 10
_COMMIT_NS_MAX_AGAIN: Final = _COMMIT_NS_MAX // 2
_COMMITS_MIN: Final = 100

#: As `qmq.server.certificates` has it.
_EXPIRES_SOON: Final = timedelta(days=14)

_VACUUM_HELD_NS_MAX: Final = 60 * NS_PER_S
_LAG_NS_MAX: Final = 30 * NS_PER_S

#: Each q looks every second who leads.
_SILENT_NS_MAX: Final = 15 * NS_PER_S


def found_in(
    condition: ServerCondition, now_ns: int, before: Container[tuple[str, str]] = ()
) -> Iterator[ServerWarning]:
    """Yield warnings about how a server does.

    Args:
        condition: how it does.
        now_ns: the moment, by the machine's time.
        before: reason and subject of each warning of the look before.
    """
    yield from _of_bounds(condition)
    if condition.disk:
        yield from _of_disk(condition.disk)
        yield from _of_commits(condition.disk.commits, "the disk", before)
    if condition.cluster:
        yield from _of_cluster(condition.cluster, now_ns)
        for database in condition.cluster.databases:
            yield from _of_commits(database.commits, f"database {database.name}", before)


def found_in_config(config: Config) -> Iterator[ServerWarning]:
    """Yield warnings about how a server was started."""
    if exposure.is_loopback(exposure.narrowed(config.listen, is_open=config.is_open)):
        return
    if config.insecure and not config.asks_who_calls:
        yield ServerWarning(
            level=WarningLevel.NOTE,
            reason="OPEN_TO_ALL",
            message=f"everyone who reaches {config.listen} may do everything, as --insecure says",
            remedy=f"give {REMEDY} if that is not as it should be",
        )
    if config.access and not config.tls_cert:
        yield ServerWarning(
            level=WarningLevel.NOTE,
            reason="PLAIN_TOKENS",
            message="tokens come as plain text, which whoever is on the way can read",
            remedy="give --tls-cert and --tls-key, unless something in front of q speaks TLS",
        )


def found_in_access(*, is_faulty: bool) -> Iterator[ServerWarning]:
    """Yield a warning if the access file is faulty."""
    if is_faulty:
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="ACCESS_FILE_FAULTY",
            message="the access file cannot be read as it is now, and what it said before holds",
            remedy="put it right; q's log says what is wrong with it",
        )


def found_in_certificates(
    expiries: Mapping[str, datetime], now: datetime
) -> Iterator[ServerWarning]:
    """Yield a warning for each certificate that expires soon, by its purpose."""
    for what, expires in expiries.items():
        if expires - now > _EXPIRES_SOON:
            continue
        has_expired = expires <= now
        yield ServerWarning(
            level=WarningLevel.CRITICAL if has_expired else WarningLevel.WARNING,
            reason="CERTIFICATE_EXPIRES",
            subject=what,
            message=(
                f"the certificate {what} {'has expired' if has_expired else 'expires'} on"
                f" {expires:%Y-%m-%d %H:%M} UTC"
            ),
            remedy="put a new one in its file; q takes it by itself",
        )


def worst_first(warnings: Iterable[ServerWarning]) -> tuple[ServerWarning, ...]:
    """Return warnings in the order in which people should look at them."""
    return tuple(sorted(warnings, key=lambda each: (-each.level, each.reason, each.subject)))


def _of_bounds(condition: ServerCondition) -> Iterator[ServerWarning]:
    used, most = condition.memory_bytes, condition.memory_bytes_max
    if most and used > most * _MEMORY_SHARE_MAX:
        yield ServerWarning(
            level=WarningLevel.CRITICAL if used >= most else WarningLevel.WARNING,
            reason="MEMORY_NEARLY_FULL",
            message=(
                f"messages take {used // _MIB} MiB of memory, of {most // _MIB} that they may;"
                " beyond that none are added"
            ),
            remedy="let consumers catch up, or raise --memory-max",
        )
    queues, most = condition.contents.queues, condition.queues_max
    if most and queues > most * _QUEUES_SHARE_MAX:
        yield ServerWarning(
            level=WarningLevel.CRITICAL if queues >= most else WarningLevel.WARNING,
            reason="QUEUES_NEARLY_ALL",
            message=f"there are {queues} queues, of {most} that there may be",
            remedy="delete queues that are of no use any more, or raise --queues-max",
        )


def _of_disk(disk: DiskCondition) -> Iterator[ServerWarning]:
    if disk.refusal:
        yield ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="DISK_FULL" if disk.is_full else "STORE_FAILED",
            message=disk.refusal,
            remedy=(
                "make room on the disk; q goes on by itself"
                if disk.is_full
                else "look at the disk, then start q again, which finds out what is on it"
            ),
        )
    elif disk.hangs:
        yield ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="DISK_HANGS",
            message=disk.hangs,
            remedy="look at the disk, and at what else writes to it",
        )
    free_bytes_min = max(_FREE_BYTES_MIN, disk.database_bytes * _FREE_SHARE_MIN)
    if disk.total_bytes and not disk.is_full and disk.free_bytes < free_bytes_min:
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="DISK_NEARLY_FULL",
            subject=disk.directory,
            message=f"{disk.free_bytes // _MIB} MiB are free on the disk of {disk.directory}",
            remedy="free some: once it is full, nothing can be added to DISK queues",
        )
    if disk.damaged:
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="MESSAGES_DAMAGED",
            subject=disk.directory,
            message=f"{disk.damaged} messages were set aside, since they are damaged on disk",
            remedy="see what q's log says of them, and look at the disk",
        )


def _of_commits(
    commits: CommitTimes, what: str, before: Container[tuple[str, str]]
) -> Iterator[ServerWarning]:
    lately, were_slow = commits.lately, ("COMMITS_SLOW", what) in before
    bound_ns = _COMMIT_NS_MAX_AGAIN if were_slow else _COMMIT_NS_MAX
    if lately.p99_ns > bound_ns and (were_slow or lately.count >= _COMMITS_MIN):
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="COMMITS_SLOW",
            subject=what,
            message=(
                f"one of a hundred commits to {what} takes {lately.p99_ns / NS_PER_S:.2f} s or"
                " more, and calls wait for it"
            ),
            remedy="see what else it has to do; a faster one makes q faster",
        )


def _of_cluster(cluster: ClusterCondition, now_ns: int) -> Iterator[ServerWarning]:
    for database in cluster.databases:
        yield from _of_database(database)
        for standby in database.standbys:
            yield from _of_standby(standby, database)
    yield from _of_nodes(cluster.nodes, now_ns)


def _of_database(database: DatabaseCondition) -> Iterator[ServerWarning]:
    if database.away_ns:
        yield ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="DATABASE_AWAY",
            subject=database.name,
            message=database.refusal,
            remedy=f"look at PostgreSQL at {', '.join(database.hosts)}; q goes on by itself",
            since_ns=database.away_ns,
        )
        return
    if database.refusal:
        yield ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="TOO_FEW_STANDBYS",
            subject=database.name,
            message=database.refusal,
            remedy="bring standbys back, or ask for fewer by --require-replicas",
        )
    elif not database.is_replicated:
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="NOT_REPLICATED",
            subject=database.name,
            message=(
                f"database {database.name} has no synchronous standby: what q acknowledges is on"
                " one machine, and a failover loses what the standby has not received"
            ),
            remedy="set synchronous_standby_names, such as ANY 1 (db2, db3)",
        )
    if any(not standby.state for standby in database.standbys):
        yield ServerWarning(
            level=WarningLevel.NOTE,
            reason="STANDBYS_UNSEEN",
            subject=database.name,
            message=f"how the standbys of database {database.name} do is hidden from q",
            remedy="grant pg_read_all_stats to q's role",
        )
    if database.vacuum_held_ns >= _VACUUM_HELD_NS_MAX:
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="VACUUM_HELD",
            subject=database.name,
            message=(
                f"vacuum of database {database.name} has been held back for"
                f" {database.vacuum_held_ns // NS_PER_S} s by the {database.vacuum_holder}; q"
                " becomes slower until that ends"
            ),
            remedy="end it, such as by select pg_terminate_backend(PID)",
        )


def _of_standby(standby: StandbyCondition, database: DatabaseCondition) -> Iterator[ServerWarning]:
    if standby.lag_ns > _LAG_NS_MAX:
        yield ServerWarning(
            level=WarningLevel.WARNING,
            reason="STANDBY_BEHIND",
            subject=f"{database.name}/{standby.name}",
            message=(
                f"standby {standby.name} of database {database.name} is"
                f" {standby.lag_ns // NS_PER_S} s behind"
            ),
            remedy="look at its disk, and at the network",
        )


def _of_nodes(nodes: tuple[NodeCondition, ...], now_ns: int) -> Iterator[ServerWarning]:
    if len(nodes) == 1:
        yield ServerWarning(
            level=WarningLevel.NOTE,
            reason="NO_SUCCESSOR",
            message="no other q of the cluster is there, so that none would take over",
            remedy="start a second one",
        )
    if len({node.version for node in nodes}) > 1:
        yield ServerWarning(
            level=WarningLevel.NOTE,
            reason="VERSIONS_DIFFER",
            message="not all q of the cluster are of the same version",
            remedy="go on with the upgrade, one q after the other",
        )
    for node in nodes:
        is_silent = node.heard_ns and now_ns - node.heard_ns > _SILENT_NS_MAX
        if is_silent and node.role is ServerRole.FOLLOWER:
            yield ServerWarning(
                level=WarningLevel.WARNING,
                reason="NODE_SILENT",
                subject=node.address,
                message=(
                    f"the q at {node.address} has not looked who leads for"
                    f" {(now_ns - node.heard_ns) // NS_PER_S} s: it hangs"
                ),
                remedy="look at its machine and its log, and start it again",
                since_ns=node.heard_ns,
            )
