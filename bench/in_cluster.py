"""A cluster of q over PostgreSQL with two synchronous standbys, beside the same SQL without q.

    make bench-cluster

One q leads, the primary waits for any one of two standbys (`ANY 1`), and all of them, and the
clients, share the machine. Four processes add batches of 64 messages, several at a time, and then
lease and ack them in batches of 64. The direct runs are what PostgreSQL does without q: one
connection runs the very statements of q's journal, each with as many messages as q has put into
one on average in the run before. Runs of both take turns. The direct run is made twice: alone, and
while four processes use as much processor time as the clients of q did, since those share the
machine with q, and there are none without it. It sends what nobody could without q, who knows which
messages there are without asking, and gathers calls into commits. What clients get who run the
same statements themselves, a call at a time, is measured as well, see `same_sql`; and what one
gets who writes a queue in SQL, see `own_sql`. In the end, a million messages go through, and the
sizes of the tables tell whether what has left leaves room.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import asyncpg
import grpc

from leases import Method, Stub, check, ids_by_queue
from own_sql import own_sql
from qmq.store.postgres.batch import Batch
from qmq.store.postgres.journal import prepare
from qmq.store.postgres.writing import statement
from qmq.store.together import packed
from qmq.wire import q_pb2 as pb
from same_sql import same_sql
from servers import Running, free_port, running
from tests.postgres.nodes import Trio
from together import Together

_BATCH: Final = 64
_CLIENTS: Final = 4
_AHEAD: Final = 4
_PAYLOAD: Final = b"x" * 64

#: What is measured, in turn.
_PARTS: Final = ("sql", "bloat")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description="A cluster over PostgreSQL.")
    parser.add_argument("--messages", type=int, default=200_000, help="in each run")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--through", type=int, default=1_000_000, help="in the end")
    parser.add_argument("--part", choices=_PARTS, help="only this one")
    parser.add_argument("--work", nargs=4, metavar=("WHAT", "ADDRESS", "QUEUE", "COUNT"))
    arguments = parser.parse_args()
    if arguments.work:
        what, address, queue, count = arguments.work
        work(what, address, queue, int(count))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with Trio(durable=True) as trio, trio.primary.database() as name:
        print(trio.primary.query("select version()", name)[0])
        with q_in_cluster(trio.dsn(name)) as q, grpc.insecure_channel(address_of(q)) as channel:
            server = Stub(channel)
            parts = [arguments.part] if arguments.part else _PARTS
            if "sql" in parts:
                compare(trio, name, q, server, arguments)
            if "bloat" in parts:
                tell_bloat(trio, name, q, server, arguments.through)


def compare(trio: Trio, name: str, q: Running, server: Stub, arguments: argparse.Namespace) -> None:
    """Measure q and the bare database by turns."""
    rates: dict[str, list[float]] = {}
    for _ in range(arguments.repetitions):
        queue = server.new_queue(pb.Queue.CLUSTER)
        for what in ("add", "lease"):
            before, spent = commits(trio, name), Spent(trio)
            rate, clients_s = driven(q, what, queue, arguments.messages)
            rates.setdefault(what, []).append(rate)
            each = arguments.messages / max(1, commits(trio, name) - before)
            print(f"  {each:.0f} messages a commit; {spent.each(arguments.messages)}", flush=True)
            for beside, burnt_s in (("alone", 0.0), ("beside the clients' work", clients_s)):
                direct = directly(
                    trio.dsn(name), what, arguments.messages, max(1, round(each)), burnt_s
                )
                rates.setdefault(f"{what} directly, {beside}", []).append(direct)
            same = same_sql(trio.dsn(name), what, arguments.messages)
            rates.setdefault(f"{what} directly, by clients", []).append(same)
            spent = Spent(trio)
            own, own_s = own_sql(trio.dsn(name), what, arguments.messages)
            rates.setdefault(f"{what} by SQL of one's own", []).append(own)
            print(
                f"  {what} by SQL of one's own: {own:,.0f} messages/s;"
                f" {spent.each(arguments.messages)},"
                f" {own_s / arguments.messages * 1e6:.1f} µs of its clients",
                flush=True,
            )
    titles = {"add": "AddBatch of 64", "lease": "Lease + Ack of 64"}
    for what, title in titles.items():
        here, own_rates = rates[what], rates[f"{what} by SQL of one's own"]
        print(
            f"{title}: q {spread(here)} messages/s, a queue of one's own in SQL"
            f" {spread(own_rates)}; ratio {ratio(here, own_rates)}",
            flush=True,
        )
        for beside in ("by clients", "alone", "beside the clients' work"):
            bare = rates[f"{what} directly, {beside}"]
            print(
                f"{title}: q {spread(here)} messages/s, the same SQL directly, {beside},"
                f" {spread(bare)}; ratio {ratio(here, bare)}",
                flush=True,
            )


def spread(rates: list[float]) -> str:
    """Return the median, the lowest and the highest."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


def ratio(rates: list[float], others: list[float]) -> str:
    """Return the median of the ratios run by run, the lowest and the highest."""
    ratios = [one / other for one, other in zip(rates, others, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def tell_bloat(trio: Trio, name: str, q: Running, server: Stub, count: int) -> None:
    """Let messages through, and print what the tables take meanwhile."""
    queue, done, step = server.new_queue(pb.Queue.CLUSTER), 0, max(1, count // 5)
    while done < count:
        drive(q, "add", queue, step)
        drive(q, "lease", queue, step)
        done += step
        print(f"  {done:,} through: {sizes(trio, name)}", flush=True)


def sizes(trio: Trio, name: str) -> str:
    """Return how large the tables and their indexes are."""
    tables = ("message", "lease", "delivery", "journal")
    found = [
        trio.primary.query(f"select pg_total_relation_size('q.{table}')", name)[0]
        for table in tables
    ]
    return ", ".join(
        f"{table} {int(size) / 2**20:.1f} MiB" for table, size in zip(tables, found, strict=True)
    )


class Spent:
    """What PostgreSQL has spent from a moment on."""

    def __init__(self, trio: Trio) -> None:
        """Begin at this moment."""
        self._trio = trio
        self._log_bytes, self._cpu_s = log_bytes(trio), cpu_s(trio)

    def each(self, messages: int) -> str:
        """Tell what it has spent on each of so many messages."""
        logged = (log_bytes(self._trio) - self._log_bytes) / messages
        cpu_us = (cpu_s(self._trio) - self._cpu_s) / messages * 1e6
        return f"each {logged:.0f} bytes of WAL and {cpu_us:.1f} µs of the primary and its standbys"


def commits(trio: Trio, name: str) -> int:
    """Return how many commits the journal has made."""
    return int(trio.primary.query("select batch from q.journal", name)[0])


def log_bytes(trio: Trio) -> int:
    """Return how much the primary has written to its log."""
    return int(trio.primary.query("select pg_current_wal_lsn() - '0/0'::pg_lsn")[0])


def cpu_s(trio: Trio) -> float:
    """Return the processor time that all of PostgreSQL's processes have used."""
    found = 0
    for pid in (pid for node in trio.nodes for pid in node.pids()):
        # A worker may have ended this moment; the one that has started it counts it then.
        with suppress(FileNotFoundError):
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
            # Of its own, and of those that it has started and that have ended.
            found += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return found / os.sysconf("SC_CLK_TCK")


@contextmanager
def q_in_cluster(*databases: str) -> Iterator[Running]:
    """Run a q on a cluster's databases: the first one leads, and others follow."""
    port, metrics_port = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "qmq.bin.q"),
        *(f"--postgres={each}" for each in databases),
        *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics_port}"),
    ]
    with running(command, port=port, probe="/v1/queues") as server:
        yield replace(server, metrics_url=f"http://127.0.0.1:{metrics_port}/metrics")


def address_of(q: Running) -> str:
    """Return where its API is."""
    return q.url.removeprefix("http://")


def drive(q: Running, what: str, queue: str, messages: int) -> float:
    """Let clients do something with so many messages; return how many a second."""
    rate, _ = driven(q, what, queue, messages)
    return rate


def driven(q: Running, what: str, queue: str, messages: int) -> tuple[float, float]:
    """Do the same; return as well how much processor time the clients have used."""
    share = messages // _CLIENTS // _BATCH * _BATCH
    command = [sys.executable, __file__, "--work", what, address_of(q), queue, str(share)]
    cpu_s = q.cpu_s()
    together = Together([command] * _CLIENTS)
    together.begin()
    took_s = together.end()
    done = share * _CLIENTS
    clients_s = sum(map(float, together.outputs))
    print(
        f"  {what}: {done / took_s:,.0f} messages/s,"
        f" {(q.cpu_s() - cpu_s) / done * 1e6:.1f} µs of q each,"
        f" {clients_s / done * 1e6:.1f} µs of the clients",
        flush=True,
    )
    return done / took_s, clients_s


def work(what: str, address: str, queue: str, count: int) -> None:
    """Be one client, with several calls on their way at a time."""
    if what == "burn":
        burn(count / 1e6)
        return
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        print(flush=True)
        sys.stdin.readline()
        start_s = time.process_time()
        if what == "add":
            add(channel, queue, count)
        elif what == "single":
            add_singly(channel, queue, count)
        else:
            lease_and_ack(channel, queue, count)
        if what != "single":
            print(time.process_time() - start_s)


def add(channel: grpc.Channel, queue: str, count: int) -> None:
    """Add messages."""
    messages = [pb.NewMessage(payload=_PAYLOAD)] * _BATCH
    request = pb.AddBatchRequest(queue_id=queue, messages=messages).SerializeToString()
    method: Method = channel.unary_unary("/proto.Q/AddBatch")
    ahead: deque[Any] = deque()
    for _ in range(count // _BATCH):
        ahead.append(method.future(request))
        if len(ahead) > _AHEAD:
            ahead.popleft().result()
    for each in ahead:
        each.result()


def add_singly(channel: grpc.Channel, queue: str, count: int) -> None:
    """Add messages one after the other, and print how long each took, in microseconds."""
    message = pb.NewMessage(payload=_PAYLOAD)
    request = pb.AddRequest(queue_id=queue, message=message).SerializeToString()
    method: Method = channel.unary_unary("/proto.Q/Add")
    for _ in range(count):
        start = time.perf_counter()
        method(request)
        print(round((time.perf_counter() - start) * 1e6))


def burn(seconds: float) -> None:
    """Use so much processor time, as clients would who are waited for."""
    print(flush=True)
    sys.stdin.readline()
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def lease_and_ack(channel: grpc.Channel, queue: str, count: int) -> None:
    """Lease ahead, and ack what came."""
    request = pb.LeaseRequest(messages_max=_BATCH, queue_id=queue).SerializeToString()
    lease: Method = channel.unary_unary("/proto.Q/Lease")
    ack: Method = channel.unary_unary("/proto.Q/Ack")
    head = pb.AckRequest(queue_id=queue).SerializeToString()
    leases, acks, left = deque[Any](), deque[Any](), count // _BATCH
    while left or leases:
        while left and len(leases) < _AHEAD:
            leases.append(lease.future(request))
            left -= 1
        [ids] = ids_by_queue(leases.popleft().result(), queue).values()
        acks.append((ack.future(head + b"".join(ids)), len(ids)))
        if len(acks) > _AHEAD:
            check(*acks.popleft())
    for each in acks:
        check(*each)


def directly(dsn: str, what: str, messages: int, each: int, burnt_s: float) -> float:
    """Return how many messages a second the statements of q's journal keep without q.

    Args:
        dsn: the database.
        what: "add" or "lease".
        messages: how many.
        each: how many in one commit.
        burnt_s: processor time that others use meanwhile, as the clients of q do.
    """
    share = [
        sys.executable,
        __file__,
        "--work",
        "burn",
        "",
        "",
        str(round(burnt_s / _CLIENTS * 1e6)),
    ]
    beside = Together([share] * _CLIENTS) if burnt_s else None
    return asyncio.run(_directly(dsn, what, messages, each, beside))


async def _directly(
    dsn: str, what: str, messages: int, each: int, beside: Together | None
) -> float:
    """Write batches of `each` messages: new ones, or what Lease and Ack write of as many.

    The tables are others of the same kind, so that the journal of q is left alone.
    """
    connection = await asyncpg.connect(dsn)
    await prepare(connection)
    await connection.execute("drop schema if exists q_direct cascade; create schema q_direct")
    for table in ("message", "delivery", "lease", "journal"):
        await connection.execute(f"create table q_direct.{table} (like q.{table} including all)")
    await connection.execute(
        "insert into q_direct.journal (id, epoch, batch, last_number) values (1, 1, 0, 0)"
    )
    number = 0

    async def write(batch: Batch) -> None:
        nonlocal number
        number += 1
        text, parameters = statement(batch, 1, number)
        assert await connection.fetchval(text.replace(" q.", " q_direct."), *parameters)

    def added(at: int) -> Batch:
        batch = Batch()
        batch.insert(((at + n, 1, _ENVELOPE) for n in range(each)), 0)
        return batch

    rounds = max(1, messages // each)
    if beside and what == "add":
        beside.begin()
    start = time.perf_counter()
    for at in range(rounds):
        await write(added(at * each + 1))
    took_s = time.perf_counter() - start
    if what == "lease":
        if beside:
            beside.begin()
        took_s = await _lease_directly(write, rounds, each)
    if beside:
        # Whoever is done first waits for the others, as q and its clients do for each other.
        took_s = max(took_s, beside.end())
    await connection.execute("drop schema q_direct cascade")
    await connection.close()
    return rounds * each / took_s


#: As large as those of q are with such payloads.
_ENVELOPE: Final = b"e" * 130


async def _lease_directly(write: Any, rounds: int, each: int) -> float:  # noqa: ANN401
    """Write what q writes of Lease and Ack: a commit leases as many as it removes of the last."""
    start = time.perf_counter()
    for at in range(rounds + 1):
        batch = Batch()
        first = at * each + 1
        if at < rounds:
            for lease in range(first, first + each, _BATCH):
                seqs = range(lease, min(lease + _BATCH, first + each))
                batch.keep_leases([(seqs[0], 1, 1, "", packed(seqs))], [])
        if at:
            gone = range(first - each, first)
            batch.remove(gone)
            batch.forget_leases(range(gone[0], gone[-1] + 1, _BATCH))
        await write(batch)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
