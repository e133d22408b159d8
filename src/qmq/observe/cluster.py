"""Metrics of a cluster, as one q of it sees it."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from qmq.errors import DatabaseAway
from qmq.store.postgres.figures import ClusterFigures
from qmq.values import Durability


class Role(NamedTuple):
    """What a q does in its cluster, and did since it was started."""

    #: Whether it leads, and serves.
    is_leader: bool
    #: Whether it knows a q that leads: itself, or one that calls are sent on to.
    is_led: bool
    #: The number of its present leadership, or of the last one; 0 if there was none.
    epoch: int
    #: How often it has taken over.
    takeovers: int
    #: Seconds that this took together, from winning until it served.
    takeover_s: float


class RoleCollector(Collector):
    """What a q does in its cluster, when that is asked for."""

    def __init__(self, role: Callable[[], Role]) -> None:
        self._role = role

    def collect(self) -> Iterable[Metric]:
        """Return all of it."""
        role = self._role()
        yield GaugeMetricFamily(
            "q_cluster_is_leader",
            "1 if this q leads the cluster and serves all calls, else 0.",
            value=role.is_leader,
        )
        yield GaugeMetricFamily(
            "q_cluster_is_led",
            "1 if this q leads, or knows the one that does; 0 while calls wait for a leader.",
            value=role.is_led,
        )
        yield GaugeMetricFamily(
            "q_cluster_epoch",
            "Number of this q's leadership, or of its last one; each later one's is higher.",
            value=role.epoch,
        )
        yield CounterMetricFamily(
            "q_cluster_takeovers", "How often this q has taken over.", value=role.takeovers
        )
        yield CounterMetricFamily(
            "q_cluster_takeover_seconds",
            "Time from winning the leadership until all messages were read.",
            value=role.takeover_s,
        )


class Standing(Protocol):
    """What is known of the database by way of the leadership."""

    @property
    def durability_max(self) -> Durability:
        """How durable a commit is."""
        ...

    @property
    def refusal(self) -> DatabaseAway | None:
        """Why nothing may be changed now; None if all is well."""
        ...

    @property
    def vacuum_held_s(self) -> float:
        """Seconds for which vacuum has been held back."""
        ...


class Database(NamedTuple):
    """One of a cluster's databases that has been read."""

    figures: ClusterFigures
    standing: Standing
    #: Whether it answers.
    is_there: bool


class DatabaseCollector(Collector):
    """How a cluster's databases do for the q that leads, when that is asked for."""

    def __init__(self, databases: Callable[[], Mapping[str, Database | None]]) -> None:
        """Show them.

        Args:
            databases: returns how each does, by its name; None of those that were away since
                this q took over.
        """
        self._databases = databases

    def collect(self) -> Iterable[Metric]:
        """Return all of it."""
        databases = self._databases()
        known = {name: each for name, each in databases.items() if each}
        commits = HistogramMetricFamily(
            "q_cluster_commit_seconds",
            "Time that a commit took, with its standbys' confirmation, for all who waited.",
            labels=["shard"],
        )
        for name, each in known.items():
            durations = each.figures.commits
            commits.add_metric([name], durations.buckets(), durations.total_s)
        yield commits
        yield _gauge(
            "q_cluster_shard_is_there",
            "1 if the database answers and its queues are served, else 0.",
            {name: each is not None and each.is_there for name, each in databases.items()},
        )
        yield _gauge(
            "q_cluster_pending_bytes",
            "Bytes of changes that wait for the database.",
            {name: each.figures.pending_bytes for name, each in known.items()},
        )
        reconnects = CounterMetricFamily(
            "q_cluster_reconnects",
            "How often the connection to the database was lost and opened anew.",
            labels=["shard"],
        )
        for name, each in known.items():
            reconnects.add_metric([name], each.figures.reconnects)
        yield reconnects
        yield _gauge(
            "q_cluster_database_away_seconds",
            "For how long the database has not answered; 0 if it does.",
            {name: each.figures.away_s for name, each in known.items()},
        )
        yield _gauge(
            "q_cluster_messages_to_remove",
            "Messages that have left and still have rows in the database.",
            {name: each.figures.rows_left for name, each in known.items()},
        )
        yield from _standings({name: each.standing for name, each in known.items()})


def _standings(standings: Mapping[str, Standing]) -> Iterable[Metric]:
    yield _gauge(
        "q_cluster_is_replicated",
        "1 if a commit is on a synchronous standby before it is answered, else 0.",
        {name: each.durability_max is Durability.REPLICATED for name, each in standings.items()},
    )
    yield _gauge(
        "q_cluster_takes_changes",
        "0 while there are fewer synchronous standbys than q was told to insist on, else 1.",
        {name: each.refusal is None for name, each in standings.items()},
    )
    yield _gauge(
        "q_cluster_vacuum_held_seconds",
        "For how long something has kept vacuum from removing old versions of rows.",
        {name: each.vacuum_held_s for name, each in standings.items()},
    )


def _gauge(name: str, documentation: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with a value for each shard."""
    gauge = GaugeMetricFamily(name, documentation, labels=["shard"])
    for shard, value in values.items():
        gauge.add_metric([shard], value)
    return gauge
