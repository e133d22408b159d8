"""How a cluster does, as seen by the q that leads it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from qmq.clock import passed_ns
from qmq.condition import (
    ClusterCondition,
    DatabaseCondition,
    NodeCondition,
    ServerCondition,
    StandbyCondition,
)
from qmq.engine.overseeing import Overseeing
from qmq.server.lately import Lately
from qmq.server.shards import Overseen, TermShards
from qmq.store.postgres.connecting import Connector
from qmq.store.postgres.leadership import LeaderTerm, Setting
from qmq.store.postgres.surroundings import Peer, Standby, Surroundings, named, session_name
from qmq.values import NS_PER_S, Durability, ServerRole, Store


class Leading(NamedTuple):
    """What is known of a leadership."""

    term: LeaderTerm
    #: How this q takes part in the cluster.
    setting: Setting
    shards: TermShards
    #: How each database is reached, by its name.
    connectors: Mapping[str, Connector]


class OverseenCluster:
    """A cluster in one term. It is a `qmq.server.overseer.Part`."""

    def __init__(self, leading: Leading) -> None:
        self._leading = leading
        self._lately: dict[str, Lately] = {}
        #: Since when databases do not answer, by their names.
        self._away_ns: dict[str, int] = {}

    async def look(self) -> None:
        """See how long commits took."""
        for each in self._leading.shards.overseen():
            if each.figures:
                lately = self._lately.setdefault(each.name, Lately(passed_ns))
                lately.look(each.figures.commits)

    def add_to(
        self, condition: ServerCondition, overseeing: Overseeing, now_ns: int
    ) -> ServerCondition:
        """Return how the server does, with its cluster."""
        leading = self._leading
        cluster = ClusterCondition(
            epoch=leading.term.epoch,
            replicas_required=leading.setting.replicas_min,
            nodes=tuple(self._nodes(condition.version, now_ns)),
            databases=tuple(
                self._database(each, overseeing, now_ns) for each in leading.shards.overseen()
            ),
        )
        return replace(
            condition, role=ServerRole.LEADER, address=leading.setting.address, cluster=cluster
        )

    def want(self) -> None:
        """Have the databases asked more often, since somebody looks."""
        for each in self._leading.shards.overseen():
            if each.term:
                each.term.surroundings.want()

    def _nodes(self, version: str, now_ns: int) -> Iterator[NodeCondition]:
        term, setting = self._leading.term, self._leading.setting
        yield NodeCondition(
            address=setting.address,
            version=version,
            role=ServerRole.LEADER,
            since_ns=term.won_ns,
            heard_ns=now_ns if term.is_certain else 0,
        )
        surroundings = term.surroundings
        own = named(session_name(setting.version, setting.address))
        peers = sorted(surroundings.peers, key=lambda peer: peer.address)
        for at, peer in enumerate(peers):
            # Once: another q that says it is here as well is one to be seen.
            if own == (peer.version, peer.address):
                del peers[at]
                break
        looked_ns = _looked_ns(surroundings, now_ns)
        for peer in peers:
            yield _follower(peer, looked_ns)

    def _database(self, each: Overseen, overseeing: Overseeing, now_ns: int) -> DatabaseCondition:
        connector = self._leading.connectors.get(each.name)
        figures, term = each.figures, each.term
        surroundings = term.surroundings if term else None
        return DatabaseCondition(
            name=each.name,
            contents=overseeing.contents(Store.CLUSTER, each.number),
            hosts=tuple(map(str, connector.dsn.hosts)) if connector else (),
            primary=str(connector.primary) if connector and connector.primary else "",
            refusal=each.refusal,
            away_ns=self._away(each, now_ns),
            is_replicated=bool(term and term.durability_max is Durability.REPLICATED),
            standbys=tuple(_standbys(surroundings.standbys)) if surroundings else (),
            commits=self._lately.get(each.name, Lately(passed_ns)).times(now_ns),
            pending_bytes=figures.pending_bytes if figures else 0,
            vacuum_held_ns=round(term.vacuum_held_s * NS_PER_S) if term else 0,
            vacuum_holder=term.vacuum_holder if term else "",
            looked_ns=_looked_ns(surroundings, now_ns) if surroundings else 0,
        )

    def _away(self, each: Overseen, now_ns: int) -> int:
        """Return since when a database does not answer; 0 if it does."""
        if each.is_there:
            self._away_ns.pop(each.name, None)
            return 0
        away_s = each.figures.away_s if each.figures else 0.0
        since_ns = now_ns - round(away_s * NS_PER_S)
        return self._away_ns.setdefault(each.name, since_ns)


def _follower(peer: Peer, looked_ns: int) -> NodeCondition:
    since_ns, heard_ns = (
        looked_ns - round(age_s * NS_PER_S) if age_s is not None else 0
        for age_s in (peer.connected_s, peer.silent_s)
    )
    return NodeCondition(
        address=peer.address,
        version=peer.version,
        role=ServerRole.FOLLOWER,
        since_ns=since_ns,
        heard_ns=heard_ns,
    )


def _standbys(found: Sequence[Standby]) -> Iterator[StandbyCondition]:
    for each in found:
        yield StandbyCondition(
            name=each.name,
            address=each.address,
            state=each.state,
            is_synchronous=each.is_synchronous,
            lag_bytes=each.lag_bytes,
            lag_ns=round(each.lag_s * NS_PER_S),
        )


def _looked_ns(surroundings: Surroundings, now_ns: int) -> int:
    """Return when a database was last looked at, by the machine's time; 0 if never."""
    looked_ns = surroundings.looked_ns
    return now_ns - (passed_ns() - looked_ns) if looked_ns else 0
