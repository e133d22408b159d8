"""How a server does, from the messages of the wire to the values of the client."""

from datetime import datetime
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from qmq.client.decode import known, moment_ns, span_of
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
from qmq.client.values import moment
from qmq.values import ServerRole, WarningLevel
from qmq.wire import q_pb2 as pb

_HasMoments: TypeAlias = (
    pb.Server | pb.ServerWarning | pb.ServerDisk | pb.ServerDatabase | pb.ServerNode
)


def server_info(wire: pb.Server) -> ServerInfo:
    """Convert how a server does."""
    return ServerInfo(
        version=wire.version,
        started=_moment(wire, "started"),
        role=known(ServerRole, wire.role),
        address=wire.address,
        warnings=tuple(map(_warning, wire.warnings)),
        contents=_contents(wire.contents),
        in_memory=_contents(wire.in_memory),
        queues_max=wire.queues_max,
        memory_bytes=wire.memory_bytes,
        memory_bytes_max=wire.memory_bytes_max,
        disk=_disk(wire.disk) if wire.HasField("disk") else None,
        cluster=_cluster(wire.cluster) if wire.HasField("cluster") else None,
    )


def _warning(wire: pb.ServerWarning) -> ServerWarning:
    return ServerWarning(
        level=known(WarningLevel, wire.level),
        reason=wire.reason,
        subject=wire.subject,
        message=wire.message,
        remedy=wire.remedy,
        since=_moment(wire, "since"),
    )


def _contents(wire: pb.StoreContents) -> StoreContents:
    return StoreContents(queues=wire.queues, messages=wire.messages, bytes=wire.bytes)


def _commits(wire: pb.CommitTimes) -> CommitTimes:
    return CommitTimes(
        window=span_of(wire.window),
        count=wire.count,
        p50=span_of(wire.p50),
        p99=span_of(wire.p99),
        max=span_of(wire.max),
        steps=tuple(map(_step, wire.steps)),
    )


def _step(wire: pb.CommitStep) -> CommitStep:
    return CommitStep(
        ended=moment(moment_ns(wire.ended)),
        window=span_of(wire.window),
        count=wire.count,
        p50=span_of(wire.p50),
        p99=span_of(wire.p99),
        max=span_of(wire.max),
    )


def _disk(wire: pb.ServerDisk) -> DiskInfo:
    return DiskInfo(
        contents=_contents(wire.contents),
        directory=wire.directory,
        database_bytes=wire.database_bytes,
        log_bytes=wire.log_bytes,
        free_bytes=wire.free_bytes,
        total_bytes=wire.total_bytes,
        refusal=wire.refusal,
        commits=_commits(wire.commits),
        pending_bytes=wire.pending_bytes,
        last_checkpoint=_moment(wire, "last_checkpoint"),
        last_backup=_moment(wire, "last_backup"),
        damaged=wire.damaged,
    )


def _cluster(wire: pb.ServerCluster) -> ClusterInfo:
    return ClusterInfo(
        epoch=wire.epoch,
        replicas_required=wire.replicas_required,
        nodes=tuple(map(_node, wire.nodes)),
        databases=tuple(map(_database, wire.databases)),
    )


def _node(wire: pb.ServerNode) -> NodeInfo:
    return NodeInfo(
        address=wire.address,
        version=wire.version,
        role=known(ServerRole, wire.role),
        since=_moment(wire, "since"),
        heard=_moment(wire, "heard"),
    )


def _database(wire: pb.ServerDatabase) -> DatabaseInfo:
    return DatabaseInfo(
        name=wire.name,
        contents=_contents(wire.contents),
        hosts=tuple(wire.hosts),
        primary=wire.primary,
        refusal=wire.refusal,
        away_since=_moment(wire, "away_since"),
        is_replicated=wire.is_replicated,
        standbys=tuple(map(_standby, wire.standbys)),
        commits=_commits(wire.commits),
        pending_bytes=wire.pending_bytes,
        vacuum_held=span_of(wire.vacuum_held),
        looked=_moment(wire, "looked"),
    )


def _standby(wire: pb.ServerStandby) -> StandbyInfo:
    return StandbyInfo(
        name=wire.name,
        address=wire.address,
        state=wire.state,
        is_synchronous=wire.is_synchronous,
        lag_bytes=wire.lag_bytes,
        lag=span_of(wire.lag),
    )


def _moment(wire: _HasMoments, name: str) -> datetime | None:
    """Return a moment of a message; None if it has it not."""
    value: Timestamp = getattr(wire, name)
    return moment(moment_ns(value)) if value.seconds or value.nanos else None
