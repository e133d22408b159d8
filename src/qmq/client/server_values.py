"""How a server does, as the client describes it: frozen values, of no connection.

Moments are in UTC, to the microsecond; None stands for one that there was not.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from qmq.values import ServerRole, WarningLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreContents:
    """What a store holds."""

    queues: int
    messages: int
    #: What the messages take, tags and metadata included.
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStep:
    """How long commits took, in some seconds."""

    ended: datetime
    #: For how long they were looked at.
    window: timedelta
    count: int
    #: What half of them, and 99 of a hundred, took at most, to about a tenth; and the longest.
    p50: timedelta
    p99: timedelta
    max: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTimes:
    """How long commits took: each makes durable what many calls have changed, and they wait."""

    #: For how long they were looked at: a minute, or less after a start or takeover.
    window: timedelta
    count: int
    #: What half of them, and 99 of a hundred, took at most, to about a tenth; and the longest. 0 if
    #: there were none.
    p50: timedelta
    p99: timedelta
    max: timedelta
    #: The same in steps of some seconds each, oldest first, of the last two minutes.
    steps: tuple[CommitStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerWarning:
    """Something that is worth a look."""

    #: None if the server is newer than the client, and knows more of them.
    level: WarningLevel | None
    #: Which kind it is, such as DISK_FULL.
    reason: str
    #: What it is about, such as a database; empty for the server as a whole.
    subject: str
    #: What is wrong, and what to do about it, each in a sentence.
    message: str
    remedy: str
    #: Since when, as far as the server knows.
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskInfo:
    """The DISK store."""

    contents: StoreContents
    #: The data directory.
    directory: str
    #: What the database and its log take.
    database_bytes: int
    log_bytes: int
    #: What is left of the disk, and how large it is; 0 if the system does not say.
    free_bytes: int
    total_bytes: int
    #: Why DISK queues cannot be changed now; empty if they can.
    refusal: str
    commits: CommitTimes
    #: What waits for the disk.
    pending_bytes: int
    #: When the log was last written back into the database, and for which moment the last backup
    #: stands; since the start.
    last_checkpoint: datetime | None
    last_backup: datetime | None
    #: Messages that turned out to be damaged on disk, since the start.
    damaged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandbyInfo:
    """A standby of a cluster's database."""

    #: What it calls itself.
    name: str
    #: Where it connects from, and what it does; empty if q may not see that.
    address: str
    state: str
    #: Whether commits wait for it, or for others of which it is one.
    is_synchronous: bool
    #: How much of the log it has not synced, and how long it took for that the last time.
    lag_bytes: int
    lag: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """One of a cluster's databases."""

    #: `first`, or the shard's name.
    name: str
    contents: StoreContents
    #: Its servers, HOST:PORT each.
    hosts: tuple[str, ...]
    #: The one of them that takes writes; empty if that is not known.
    primary: str
    #: Why its queues cannot be served, or changed; empty if they can.
    refusal: str
    #: Since when it has not answered.
    away_since: datetime | None
    #: Whether a commit is on a synchronous standby before it is answered.
    is_replicated: bool
    standbys: tuple[StandbyInfo, ...]
    commits: CommitTimes
    #: What waits for the database.
    pending_bytes: int
    #: For how long something has kept vacuum from its work.
    vacuum_held: timedelta
    #: When standbys were last looked at.
    looked: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A q of a cluster."""

    #: Where others reach it: HOST:PORT.
    address: str
    version: str
    #: None if the server is newer than the client, and knows more of them.
    role: ServerRole | None
    #: Since when it leads, or is connected to the first database.
    since: datetime | None
    #: When it last looked who leads; None if that cannot be seen.
    heard: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """A cluster, as the q that leads it sees it."""

    #: The number of the present leadership; each later one is higher.
    epoch: int
    #: How many synchronous standbys changes need.
    replicas_required: int
    #: The leader first.
    nodes: tuple[NodeInfo, ...]
    #: The first database first.
    databases: tuple[DatabaseInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """A q, as those see it who look after it."""

    #: That of the q that answered, which leads its cluster if it has one.
    version: str
    #: When it was started; None of a broker in the process of a test.
    started: datetime | None
    #: None if the server is newer than the client, and knows more of them.
    role: ServerRole | None
    #: Where it is reached.
    address: str
    #: What is worth a look, the worst first.
    warnings: tuple[ServerWarning, ...]
    #: What all queues hold, and what MEMORY queues do.
    contents: StoreContents
    in_memory: StoreContents
    #: How many queues there may be.
    queues_max: int
    #: What messages take in memory, wherever else they are, and may take; 0 if nothing bounds it.
    memory_bytes: int
    memory_bytes_max: int
    #: None where there is no DISK store.
    disk: DiskInfo | None
    #: None of a q that is alone, and of one that does not lead.
    cluster: ClusterInfo | None
