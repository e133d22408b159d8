"""How a cluster's database does."""

from typing import NamedTuple

from qmq.durations import FineDurations


class ClusterFigures(NamedTuple):
    """Of the journal of this q, since it leads."""

    #: How long commits took, the synchronous standbys' confirmation included.
    commits: FineDurations
    #: Bytes of changes that wait for the database.
    pending_bytes: int
    #: How often a connection was lost and opened again.
    reconnects: int
    #: For how many seconds the database has not answered; 0 if it does.
    away_s: float
    #: What came of the latest try, where it has not.
    away_reason: str
    #: Rows of purged and deleted queues' messages that are still to be removed.
    rows_left: int
