"""How a server does, as messages of the wire."""

from google.protobuf.timestamp_pb2 import Timestamp

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
from qmq.wire import q_pb2 as pb
from qmq.wire.times import duration_message, moment_message


def server_message(condition: ServerCondition) -> pb.Server:
    """Describe a server on the wire."""
    return pb.Server(
        version=condition.version,
        started=_moment(condition.started_ns),
        role=pb.Server.Role.Name(condition.role),
        address=condition.address,
        warnings=map(_warning_message, condition.warnings),
        contents=_contents_message(condition.contents),
        in_memory=_contents_message(condition.in_memory),
        queues_max=condition.queues_max,
        memory_bytes=condition.memory_bytes,
        memory_bytes_max=condition.memory_bytes_max,
        disk=_disk_message(condition.disk) if condition.disk else None,
        cluster=_cluster_message(condition.cluster) if condition.cluster else None,
    )


def _warning_message(warning: ServerWarning) -> pb.ServerWarning:
    return pb.ServerWarning(
        level=pb.ServerWarning.Level.Name(warning.level),
        reason=warning.reason,
        subject=warning.subject,
        message=warning.message,
        remedy=warning.remedy,
        since=_moment(warning.since_ns),
    )


def _contents_message(contents: Contents) -> pb.StoreContents:
    return pb.StoreContents(
        queues=contents.queues, messages=contents.messages, bytes=contents.bytes
    )


def _commits_message(times: CommitTimes) -> pb.CommitTimes:
    lately = times.lately
    return pb.CommitTimes(
        window=duration_message(lately.window_ns),
        count=lately.count,
        p50=duration_message(lately.p50_ns),
        p99=duration_message(lately.p99_ns),
        max=duration_message(lately.max_ns),
        steps=map(_step_message, times.steps),
    )


def _step_message(step: Spell) -> pb.CommitStep:
    return pb.CommitStep(
        ended=moment_message(step.ended_ns),
        window=duration_message(step.window_ns),
        count=step.count,
        p50=duration_message(step.p50_ns),
        p99=duration_message(step.p99_ns),
        max=duration_message(step.max_ns),
    )


def _disk_message(disk: DiskCondition) -> pb.ServerDisk:
    return pb.ServerDisk(
        contents=_contents_message(disk.contents),
        directory=disk.directory,
        database_bytes=disk.database_bytes,
        log_bytes=disk.log_bytes,
        free_bytes=disk.free_bytes,
        total_bytes=disk.total_bytes,
        refusal=disk.refusal,
        commits=_commits_message(disk.commits),
        pending_bytes=disk.pending_bytes,
        last_checkpoint=_moment(disk.checkpoint_ns),
        last_backup=_moment(disk.backup_ns),
        damaged=disk.damaged,
    )


def _cluster_message(cluster: ClusterCondition) -> pb.ServerCluster:
    return pb.ServerCluster(
        epoch=cluster.epoch,
        replicas_required=cluster.replicas_required,
        nodes=map(_node_message, cluster.nodes),
        databases=map(_database_message, cluster.databases),
    )


def _node_message(node: NodeCondition) -> pb.ServerNode:
    return pb.ServerNode(
        address=node.address,
        version=node.version,
        role=pb.Server.Role.Name(node.role),
        since=_moment(node.since_ns),
        heard=_moment(node.heard_ns),
    )


def _database_message(database: DatabaseCondition) -> pb.ServerDatabase:
    return pb.ServerDatabase(
        name=database.name,
        contents=_contents_message(database.contents),
        hosts=database.hosts,
        primary=database.primary,
        refusal=database.refusal,
        away_since=_moment(database.away_ns),
        is_replicated=database.is_replicated,
        standbys=map(_standby_message, database.standbys),
        commits=_commits_message(database.commits),
        pending_bytes=database.pending_bytes,
        vacuum_held=duration_message(database.vacuum_held_ns),
        looked=_moment(database.looked_ns),
    )


def _standby_message(standby: StandbyCondition) -> pb.ServerStandby:
    return pb.ServerStandby(
        name=standby.name,
        address=standby.address,
        state=standby.state,
        is_synchronous=standby.is_synchronous,
        lag_bytes=standby.lag_bytes,
        lag=duration_message(standby.lag_ns),
    )


def _moment(moment_ns: int) -> Timestamp | None:
    """Return a moment; None for one that there was not."""
    return moment_message(moment_ns) if moment_ns else None
