"""How a server does, as it is told to those who look after it: frozen values.

Moments are nanoseconds since the Unix epoch, 0 for one that there was not.
"""

from dataclasses import dataclass, field

from qmq.values import ServerRole, WarningLevel


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds."""

    queues: int = 0
    messages: int = 0
    #: What the messages take, tags and metadata included.
    bytes: int = 0

    def __add__(self, other: "Contents") -> "Contents":
        """Return what both hold together."""
        return Contents(
            self.queues + other.queues, self.messages + other.messages, self.bytes + other.bytes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """How long commits took that ended in some stretch of time."""

    ended_ns: int
    window_ns: int
    count: int = 0
    #: What half of them, and 99 of a hundred, took at most, and the longest; 0 if there were none.
    p50_ns: int = 0
    p99_ns: int = 0
    max_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTimes:
    """How long commits took of late."""

    #: In the last minute, or less after a start or takeover.
    lately: Spell
    #: In steps of some seconds each, oldest first.
    steps: tuple[Spell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerWarning:
    """Something that is worth a look."""

    level: WarningLevel
    #: Which kind it is: a word for programs.
    reason: str
    #: What it is about; empty for the server as a whole.
    subject: str = ""
    #: What is wrong, and what to do about it, each in a sentence without its end.
    message: str
    remedy: str
    #: Since when; 0 if only who looks again and again can tell.
    since_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCondition:
    """How the DISK store does."""

    contents: Contents
    directory: str
    database_bytes: int
    log_bytes: int
    #: Of the disk; 0 if the system does not say.
    free_bytes: int
    total_bytes: int
    #: Why nothing can be changed; empty if it can.
    refusal: str
    #: Whether that is since the disk is full.
    is_full: bool
    #: What keeps one commit from its end; empty if nothing does.
    hangs: str
    commits: CommitTimes
    pending_bytes: int
    checkpoint_ns: int
    backup_ns: int
    damaged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandbyCondition:
    """A standby of a cluster's database."""

    name: str
    #: Where it connects from, and what it does; empty if q may not see that.
    address: str
    state: str
    is_synchronous: bool
    #: How much of the log it has not synced, and how long it took for that the last time.
    lag_bytes: int
    lag_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCondition:
    """How one of a cluster's databases does."""

    name: str
    contents: Contents
    hosts: tuple[str, ...]
    #: The one of them that takes writes; empty if that is not known.
    primary: str
    #: Why its queues cannot be served, or changed; empty if they can.
    refusal: str
    #: Since when it has not answered; 0 if it does.
    away_ns: int
    is_replicated: bool
    standbys: tuple[StandbyCondition, ...]
    commits: CommitTimes
    pending_bytes: int
    #: For how long something has kept vacuum from its work, and what that is.
    vacuum_held_ns: int
    vacuum_holder: str
    #: When its standbys were last looked at.
    looked_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCondition:
    """A q of a cluster."""

    address: str
    version: str
    role: ServerRole
    #: Since when it leads, or is connected to the first database.
    since_ns: int
    #: When it last looked who leads; 0 if that cannot be seen.
    heard_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCondition:
    """How a cluster does, for the q that leads it."""

    epoch: int
    replicas_required: int
    #: The leader first.
    nodes: tuple[NodeCondition, ...]
    #: The first one first.
    databases: tuple[DatabaseCondition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCondition:
    """How a q does."""

    version: str
    #: 0 in a process that is not a server of its own.
    started_ns: int = 0
    role: ServerRole = ServerRole.ALONE
    address: str = ""
    #: The worst first.
    warnings: tuple[ServerWarning, ...] = ()
    contents: Contents = field(default_factory=Contents)
    in_memory: Contents = field(default_factory=Contents)
    queues_max: int = 0
    memory_bytes: int = 0
    #: 0 if nothing bounds it.
    memory_bytes_max: int = 0
    disk: DiskCondition | None = None
    cluster: ClusterCondition | None = None
