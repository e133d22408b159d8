"""Runs points on a server: makes queues, fills them, lets load generators at them."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from qmq.wire import q_pb2 as pb
from servers import Running
from suite import machine
from suite.load import Job, Report, read_report
from suite.results import Run, latency
from suite.scenarios import Point, System
from suite.wires import amqp, beanstalk, grpc_frames, nats, resp
from suite.wires.wire import WireError

#: Messages of one run, and their bytes, that may have to be made and held at most.
_MESSAGES_MAX: Final = 400_000
#: Messages that are made for one run of pops or leases, which are slower than adds.
_TAKEN_MAX: Final = 150_000
_BYTES_MAX: Final = 512 * 1024 * 1024
#: Messages that lie ready beside those that move, so that a lease finds some while adds are late.
_RESERVE: Final = 2_000
#: A fill in batches, where a point has smaller ones.
_FILL_BATCH: Final = 100
_FILL_BYTES: Final = 1024 * 1024
#: A fill that takes longer is left out: so many seconds, or as long as at so many a second.
_FILL_S_MAX: Final = 90.0
_FILL_PER_S_MIN: Final = 11_000
#: A run may take so much longer than it was to, before it is ended.
_OVERTIME_S: Final = 60.0

Prepare = Callable[[tuple[str, int], Sequence[str]], list[str]]


class Skipped(Exception):
    """A point is left out, for this reason."""


class Loaded(NamedTuple):
    """What a load was, and what it took of the server."""

    reports: list[Report]
    server_cpu_s: float
    resident_mib: float


class Session:
    """A server that is up, and what was found on it so far."""

    def __init__(
        self,
        system: System,
        server: Running,
        *,
        fsync_ms: float,
        generators: int = 1,
        program: Sequence[str] = ("suite.load",),
    ) -> None:
        self._system = system
        self._pid = server.pid
        self._port = int(server.url.rpartition(":")[2])
        self._fsync_ms = fsync_ms
        self._generators = generators
        #: The generators' module and arguments.
        self._program = program
        self._queues_made = 0
        #: By point of kind add: how many messages it could add.
        self._added: dict[Point, int] = {}
        #: By the rest of a point with a rate: how many a second the system did without.
        self._most_per_s: dict[Point, float] = {}

    def warm_up(self) -> None:
        """Let the server meet each operation before it is measured."""
        queues = self._new_queues(1)
        job = self._job(Point("warm-up", "add", connections=8, streams=8), queues)
        self._load(replace(job, kinds=["put"], operations_max=2_500, seconds=1))
        self._load(replace(job, kinds=["put", "lease"], operations_max=2_000, seconds=1))

    def run(self, point: Point, seconds: float) -> Run:
        """Measure a point once.

        Raises:
            Skipped: it cannot be done in a time that is worth it.
            WireError: it failed.
        """
        queues = self._new_queues(point.queues)
        job = replace(self._job(point, queues), seconds=seconds)
        if point.kind == "cycle":
            return self._cycle(point, job)
        cap = min(_MESSAGES_MAX, _BYTES_MAX // point.payload_bytes) // point.batch
        if point.kind == "add":
            run = self._measured(point, replace(job, kinds=["add"], operations_max=cap))
            self._added[point] = run.messages
            return run
        added = self._added.get(replace(point, kind="add"), cap * point.batch)
        wanted = max(1, min(added, _TAKEN_MAX) // point.batch)
        self._fill(job, wanted * point.batch, "put" if point.kind == "lease" else "add")
        return self._measured(point, replace(job, kinds=[point.kind], operations_max=wanted))

    def _cycle(self, point: Point, job: Job) -> Run:
        """Measure adds and leases by turns, among messages that stand there."""
        rate = point.rate
        unlimited = replace(point, rate=0)
        if rate:
            most = self._most_per_s.get(unlimited)
            if most is None:
                raise Skipped("what it does at most is not known")
            rate = most * rate if rate < 1 else rate
            if rate > most:
                raise Skipped(f"it does {most:,.0f} a second at most")
        self._fill(job, max(point.depth, _RESERVE), "put")
        # An add and a lease for each message.
        job = replace(job, kinds=["put", "lease"], rate=2 * rate, operations_max=10**9)
        run = self._measured(point, job)
        if not rate:
            self._most_per_s[unlimited] = run.per_s
        return replace(run, rate=round(rate, 1))

    def _job(self, point: Point, queues: list[str]) -> Job:
        return Job(
            server=self._system.server,
            port=self._port,
            queues=queues,
            kinds=[],
            connections=point.connections,
            streams=point.streams,
            batch=point.batch,
            payload_bytes=point.payload_bytes,
            operations_max=0,
            seconds=0,
        )

    def _new_queues(self, count: int) -> list[str]:
        names = [f"bench-{self._queues_made + number}" for number in range(count)]
        self._queues_made += count
        store = pb.Queue.DISK if self._system.durability == "fsync" else pb.Queue.MEMORY
        prepare: dict[str, Prepare] = {
            "q": partial(grpc_frames.prepare, store=store),
            "redis": resp.prepare,
            "beanstalkd": beanstalk.prepare,
            "rabbitmq": amqp.prepare,
            "nats": nats.prepare,
        }
        return prepare[self._system.server](("127.0.0.1", self._port), names)

    def _fill(self, job: Job, messages: int, kind: str) -> None:
        """Add messages that will be taken, and some more: subscribers hold a few of them back."""
        batch = job.batch
        if len(job.queues) == 1:
            batch = max(batch, min(_FILL_BATCH, _FILL_BYTES // job.payload_bytes))
        messages += job.batch * job.streams * job.connections
        fill = replace(job, kinds=[kind], batch=batch, connections=8, streams=1, rate=0)
        # As many operations for each queue as it has to have.
        operations = -(-messages // batch)
        most_s = max(_FILL_S_MAX, messages / _FILL_PER_S_MIN)
        if len(job.queues) > 1:
            # In one go: another would begin with the first queue again.
            self._load(replace(fill, operations_max=operations, seconds=most_s))
            return
        first = self._load(replace(fill, operations_max=operations, seconds=2)).reports
        done = sum(len(each) for report in first for each in report.latencies.values())
        if done >= operations:
            return
        took_s = max(each.ended for each in first) - min(each.started for each in first)
        expected_s = took_s / done * (operations - done)
        if expected_s > most_s:
            raise Skipped(f"it takes {expected_s:,.0f} s to fill with {messages:,} messages")
        self._load(replace(fill, operations_max=operations - done, seconds=2 * most_s))

    def _measured(self, point: Point, job: Job) -> Run:
        loaded = self._load(job)
        reports = loaded.reports
        seconds = max(each.ended for each in reports) - min(each.started for each in reports)
        kinds = {kind: [each.latencies[kind] for each in reports] for kind in job.kinds}
        named = {"add" if kind == "put" else kind: found for kind, found in kinds.items()}
        # Of adds and leases by turns, a message counts when it has been taken.
        done = sum(map(len, kinds[job.kinds[-1]]))
        if not done:
            raise WireError("no operation was done")
        return Run(
            messages=done * point.batch,
            seconds=round(seconds, 4),
            latency={kind: latency(found) for kind, found in named.items()},
            server_cpu_s=round(loaded.server_cpu_s, 2),
            generator_cpu_s=round(sum(each.cpu_s for each in reports), 3),
            generator_busy=round(
                max(each.cpu_s / (each.ended - each.started) for each in reports), 3
            ),
            resident_mib=round(loaded.resident_mib, 1),
            fsync_ms=self._fsync_ms,
            late_p99_ms=round(max(each.late_s for each in reports) * 1e3, 3),
        )

    def _load(self, job: Job) -> Loaded:
        """Run a job on generators, each with its share of operations and connections."""
        count = min(self._generators, job.connections)
        share = replace(
            job,
            connections=job.connections // count,
            operations_max=-(-job.operations_max // count),
            rate=job.rate / count,
        )
        with contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(_generator(share, self._program)) for _ in range(count)
            ]
            for process in processes:
                assert process.stdout is not None
                if (line := process.stdout.readline()) != b"ready\n":
                    read_report(iter([line]).__next__, bytes)
            # Connecting, which may be much of it, is not measured.
            before_s = machine.cpu_s(machine.family(self._pid))
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(b"go\n")
                process.stdin.flush()
            reports = [_report(process) for process in processes]
            pids = machine.family(self._pid)
            return Loaded(reports, machine.cpu_s(pids) - before_s, machine.resident_mib(pids))


@contextlib.contextmanager
def _generator(job: Job, program: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", *program]
    bench = str(Path(__file__).parent.parent)
    path = os.pathsep.join([bench, *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        timer = threading.Timer(job.seconds + _OVERTIME_S, process.kill)
        timer.start()
        try:
            process.stdin.write(job.to_json())
            process.stdin.flush()
            yield process
        finally:
            timer.cancel()
            process.kill()


def _report(process: subprocess.Popen[bytes]) -> Report:
    assert process.stdout is not None
    return read_report(process.stdout.readline, process.stdout.read)
