"""How a server does, as a JSON object and as text for people."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from qmq.cli.records import Record
from qmq.cli.table import Column, age_text, numbers, printable, size_text, table, telling
from qmq.client.server_values import (
    ClusterInfo,
    CommitTimes,
    DatabaseInfo,
    DiskInfo,
    ServerInfo,
    StoreContents,
)
from qmq.values import ServerRole

_ROLES = {
    ServerRole.ALONE: "alone",
    ServerRole.LEADER: "leads its cluster",
    ServerRole.FOLLOWER: "follows",
}


def server_record(server: ServerInfo) -> Record:
    """Return how a server does as an object for programs: spans in seconds, moments as text."""
    return dict(_pairs(server))


def server_text(server: ServerInfo, now: datetime | None = None) -> list[str]:
    """Return how a server does.

    Args:
        server: that.
        now: the moment, from which ages are told.
    """
    now = now or datetime.now(UTC)
    lines = [_headline(server, now)]
    for each in server.warnings:
        level = each.level.name if each.level else "UNKNOWN"
        since = f", for {age_text(now - each.since)}" if each.since else ""
        lines += [
            "",
            f"{level} {printable(each.reason)}{since}",
            f"  {printable(each.message)}",
            f"  {printable(each.remedy)}",
        ]
    if server.role is ServerRole.FOLLOWER:
        # It knows no more than why nobody leads.
        return lines
    lines += ["", *_contents_table(server), "", *_facts(server, now)]
    if server.cluster:
        lines += ["", *_node_table(server.cluster, now), "", *_database_table(server.cluster, now)]
        lines += _standby_table(server.cluster.databases)
    return lines


def _headline(server: ServerInfo, now: datetime) -> str:
    parts = [f"q {printable(server.version)}"]
    if server.address:
        parts.append(f"at {printable(server.address)}")
    parts.append(_ROLES[server.role] if server.role else "does something newer")
    if server.started:
        parts.append(f"up for {age_text(now - server.started)}")
    return ", ".join(parts)


def _contents_table(server: ServerInfo) -> list[str]:
    """Return what each store holds, and how long its commits took in the last minute."""
    rows: list[tuple[str, StoreContents, CommitTimes | None]] = [("MEMORY", server.in_memory, None)]
    if server.disk:
        rows.append(("DISK", server.disk.contents, server.disk.commits))
    if server.cluster:
        rows += [
            (f"CLUSTER {printable(each.name)}", each.contents, each.commits)
            for each in server.cluster.databases
        ]
    held = [contents for _, contents, _ in rows]
    times = [commits for *_, commits in rows]
    return table(
        [
            Column("STORE", [name for name, *_ in rows]),
            numbers("QUEUES", (each.queues for each in held)),
            numbers("MESSAGES", (each.messages for each in held)),
            numbers("BYTES", (size_text(each.bytes) for each in held)),
            *telling(
                numbers("COMMITS/MIN", (each.count if each else "-" for each in times)),
                numbers("P50", (_took(each.p50 if each else None) for each in times)),
                numbers("P99", (_took(each.p99 if each else None) for each in times)),
                numbers("MAX", (_took(each.max if each else None) for each in times)),
            ),
        ]
    )


def _facts(server: ServerInfo, now: datetime) -> list[str]:
    most = server.memory_bytes_max
    facts = {
        "memory": size_text(server.memory_bytes) + (f" of {size_text(most)}" if most else ""),
        "queues": f"{server.contents.queues} of {server.queues_max}",
    }
    if server.disk:
        facts |= _disk_facts(server.disk, now)
    return [f"{name:<13}{text}" for name, text in facts.items()]


def _disk_facts(disk: DiskInfo, now: datetime) -> dict[str, str]:
    free = f"{size_text(disk.free_bytes)} free of {size_text(disk.total_bytes)}"
    return {
        "disk": free if disk.total_bytes else "unknown",
        "directory": printable(disk.directory),
        "database": f"{size_text(disk.database_bytes)}, and {size_text(disk.log_bytes)} of log",
        "changes": f"refused: {printable(disk.refusal)}" if disk.refusal else "taken",
        "checkpoint": _ago(disk.last_checkpoint, now),
        "backup": _ago(disk.last_backup, now),
    }


def _node_table(cluster: ClusterInfo, now: datetime) -> list[str]:
    nodes = cluster.nodes
    return table(
        [
            Column("Q", [printable(each.address) for each in nodes]),
            Column("ROLE", [each.role.name.lower() if each.role else "unknown" for each in nodes]),
            Column("VERSION", [printable(each.version) for each in nodes]),
            Column("SINCE", [_ago(each.since, now) for each in nodes]),
            Column("HEARD", [_ago(each.heard, now) for each in nodes]),
        ]
    )


def _database_table(cluster: ClusterInfo, now: datetime) -> list[str]:
    found = cluster.databases
    return table(
        [
            Column("DATABASE", [printable(each.name) for each in found]),
            Column("PRIMARY", [printable(each.primary) or "-" for each in found]),
            Column("STATE", [_state(each, now) for each in found]),
            Column("REPLICATED", ["yes" if each.is_replicated else "no" for each in found]),
            *telling(
                Column(
                    "VACUUM-HELD",
                    [age_text(each.vacuum_held) if each.vacuum_held else "-" for each in found],
                )
            ),
        ]
    )


def _state(database: DatabaseInfo, now: datetime) -> str:
    if database.away_since:
        return f"away for {age_text(now - database.away_since)}"
    return "refuses changes" if database.refusal else "serves"


def _standby_table(databases: Sequence[DatabaseInfo]) -> list[str]:
    rows = [(each.name, standby) for each in databases for standby in each.standbys]
    if not rows:
        return []
    standbys = [standby for _, standby in rows]
    return [
        "",
        *table(
            [
                Column("STANDBY", [printable(each.name) for each in standbys]),
                Column("OF", [printable(name) for name, _ in rows]),
                Column("ADDRESS", [printable(each.address) or "-" for each in standbys]),
                Column("STATE", [printable(each.state) or "-" for each in standbys]),
                Column("SYNC", ["yes" if each.is_synchronous else "no" for each in standbys]),
                numbers("BEHIND", (size_text(each.lag_bytes) for each in standbys)),
                numbers("LAG", (_took(each.lag) for each in standbys)),
            ]
        ),
    ]


def _took(span: timedelta | None) -> str:
    """Return how long something took that takes milliseconds; `-` for nothing."""
    if not span:
        return "-"
    seconds = span.total_seconds()
    return f"{seconds * 1_000:.2f}ms" if seconds < 1 else f"{seconds:.2f}s"


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{age_text(now - moment)} ago" if moment else "-"


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - One of the values above.
    for field in fields(value):
        inner = getattr(value, field.name)
        if isinstance(inner, timedelta):
            yield f"{field.name}_s", inner.total_seconds()
        else:
            yield field.name, _plain(inner)


def _plain(value: Any) -> Any:  # noqa: ANN401 - Likewise.
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return dict(_pairs(value)) if is_dataclass(value) else value
