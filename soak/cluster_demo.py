"""A cluster to play with: three q over three PostgreSQL, all of which may be killed.

    make cluster-demo

Everything is on loopback and in a directory that is removed at the end. It prints the addresses,
what to kill and what to see then, and from then on a line whenever something has changed.
Ctrl-C ends all of it.
"""

import signal
import sys
import time
from typing import Final

from cluster import Cluster, Program
from patroni import Node
from tests.postgres.installation import SUPERUSER, Failed

#: What sed makes a line a message with that has the line as its dedup_id as well.
_AS_JSON: Final = """s/.*/{"payload": "&", "options": {"dedup_id": "&"}}/"""

_BETWEEN_LOOKS_S: Final = 0.5
#: Seconds for which what was killed stays away.
_ABSENCE_S: Final = 10.0


def main() -> None:
    """Start it, tell of it until it is interrupted, and end it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Cluster(tell=lambda what: print(what, flush=True)) as cluster:
            print(guide(cluster), flush=True)
            watch(cluster)
    except Failed as error:
        sys.exit(f"cluster-demo: {error}")
    except KeyboardInterrupt:
        print("all of it has ended")


def guide(cluster: Cluster) -> str:
    """Say where everything is, and what to try."""
    servers = "\n".join(f"  {_how_to_kill(each)}" for each in cluster.servers)
    databases = "\n".join(f"  {_how_to_kill(each)}" for each in cluster.databases.nodes)
    return f"""
Clients connect to {cluster.address}: Envoy, in front of three q, any of which answers:
{servers}
PostgreSQL, and the Patroni of each, in which q keeps everything:
{databases}

In another terminal, which keeps one command busy for a while:
  export QCLI_SERVER={cluster.address}
  .venv/bin/qcli new CLUSTER -1 --name demo
  seq 100000 | sed '{_AS_JSON}' | .venv/bin/qcli add demo --jsonl
Meanwhile kill, by the lines above, and see below what becomes of it:
  the q that leads   another one leads after five to six seconds
  the primary        Patroni, which calls it leader, makes one of a standby; q goes on there
  any other          hardly anything is noticed
The command waits, goes on, and ends well. Nothing is lost, and nothing is there twice:
  .venv/bin/qcli stats demo            says "ready":100000
It repeats what it has no answer to, which it may, since each message has a dedup_id. Without one,
or for a pop, what is under way when its q is killed fails: UNAVAILABLE, it may have had effect.
  psql '{cluster.databases.dsn(SUPERUSER)}' -c 'table q.leader'
shows who leads. What was killed is started again after ten seconds, with another number to kill.
Ctrl-C ends all of it, and removes what it has written.
"""


def watch(cluster: Cluster) -> None:
    """Say what changes, and start again what was killed, until interrupted."""
    told = ""
    gone_at: dict[str, float] = {}
    while True:
        line = state(cluster)
        if line != told:
            print(time.strftime("%H:%M:%S"), line, flush=True)
            told = line
        parts: list[Program | Node] = [*cluster.servers, *cluster.databases.nodes]
        for each in parts:
            if each.is_running:
                gone_at.pop(each.name, None)
            elif time.monotonic() - gone_at.setdefault(each.name, time.monotonic()) > _ABSENCE_S:
                each.start()
                print(time.strftime("%H:%M:%S"), "started again:", _how_to_kill(each), flush=True)
        time.sleep(_BETWEEN_LOOKS_S)


def state(cluster: Cluster) -> str:
    """Say in a line who leads, and what the databases do."""
    server = cluster.leading_server()
    nodes = ", ".join(f"{each.name} {each.role} {each.state}" for each in cluster.databases.seen())
    leader = cluster.leader()
    epoch = f" (epoch {leader.epoch})" if leader else ""
    return f"{server.name if server else 'nobody'} leads{epoch}; {nodes}"


def _how_to_kill(part: Program | Node) -> str:
    pids = " ".join(map(str, part.first_pids))
    return f"{part.name}  {part.address:<15}  kill -9 {pids}"


if __name__ == "__main__":
    main()
