"""Very many messages wait on DISK, q starts again, they leave, and as many go through.

    make soak-backlog
    python soak/backlog.py --messages 10000000 --payload-bytes 64

It prints a table of what q took of memory and disk at each step, how long a start took after a
SIGKILL, and what was left of the rate among so many messages, and ends with status 1 if one of
those is beyond what docs/operations.md tells of it. A factor of 0 leaves out how long things take.

    fill     messages are added to one queue, by AddBatch
    restart  q is killed and started again: seconds until a message is handed out
    rates    adds and leases, one message a call and 64 calls at a time, by turns on this server
             and on another one that has 10,000 messages; with --queues, in so many queues
    drain    all messages leave, by PopBatch; then the file has to shrink, while a few calls
             a second tell how long anybody has to wait for that
    flow     as many messages are added and leave again, a few thousand at a time: nothing may grow
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from qmq.limits import CACHE_BYTES_MAX
from qmq.wire import q_pb2 as pb
from servers import Running, free_port, running, scratch_directory
from suite.load import Generator, Job, Report
from suite.wires.grpc_frames import prepare

STAGES: Final = ("fill", "restart", "rates", "drain", "flow")
_MIB: Final = 2**20
_BATCH: Final = 1_000
_SHALLOW: Final = 10_000
#: Messages that lie ready besides those that move.
_RESERVE: Final = 2_000
_RATE_S: Final = 3.0
_REPETITIONS: Final = 3
_SLICES: Final = 20
_WARM_UP_SLICES: Final = 5

#: Beyond these, the soak has failed. Memory: of a server and its cache, and of one message.
_RESIDENT_BYTES_MAX: Final = 192 * _MIB + CACHE_BYTES_MAX
_MESSAGE_BYTES_MAX: Final = 30
#: A start: of a server, and for a million messages.
_START_S_MAX: Final = 3.0
_MILLION_S_MAX: Final = 1.7
#: The file after a drain, and a call while it shrinks.
_DRAINED_BYTES_MAX: Final = 80 * _MIB
_SHRINK_S_MAX: Final = 30.0
_STALL_S_MAX: Final = 0.25
#: The rate among very many messages to that among few.
_RATIO_MIN: Final = 0.85
#: What may come on top of what there is after a warm-up.
_GROWTH_MIB_MAX: Final = 24.0
#: Connections of Envoy to q come and go.
_GROWTH_FILES_MAX: Final = 8


class Soak:
    """A server on a data directory, and what is found on it."""

    def __init__(self, arguments: argparse.Namespace, data: Path) -> None:
        self._arguments = arguments
        self._data = data
        self.rows: list[tuple[str, str]] = []
        self.problems: list[str] = []

    def tell(self, what: str, value: str) -> None:
        """Add a row to the table."""
        self.rows.append((what, value))
        print(f"{what:<44} {value}", flush=True)

    def expect(self, what: str, value: float, bound: float, *, at_least: bool = False) -> None:
        """Take note if a value is beyond its bound."""
        if value < bound if at_least else value > bound:
            self.problems.append(f"{what}: {value:,.2f}, and the bound is {bound:,.2f}")

    def expect_within(self, what: str, took_s: float, most_s: float) -> None:
        """Take note if something has taken longer than this machine needs for it."""
        if factor := self._arguments.factor:
            self.expect(what, took_s, factor * most_s)

    @contextlib.contextmanager
    def server(self, data: Path, probe: str = "/v1/queues") -> Iterator[Running]:
        """Run q on a data directory."""
        port = free_port()
        command = [
            *(sys.executable, "-m", "qmq.bin.q", "--data", str(data)),
            *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{free_port()}"),
        ]
        with running(command, port=port, probe=probe, start_s_max=120) as server:
            yield server

    def run(self, stages: Sequence[str]) -> None:
        """Do what is asked for, on one server as far as that goes."""
        if "fill" in stages:
            with self.server(self._data) as server:
                self.fill(server)
                self._kill(server)
        if "restart" in stages:
            with self.server(self._data, "/v1/queues/backlog/peek") as server:
                self.restarted(server)
                self._kill(server)
        if "rates" in stages:
            self.rates()
        if "drain" in stages:
            with self.server(self._data) as server:
                self.drain(server)
        if "flow" in stages:
            with self.server(self._data) as server:
                self.flow(server)

    def _kill(self, server: Running) -> None:
        os.kill(server.pid, signal.SIGKILL)

    def load(
        self, server: Running, queues: Sequence[str], kinds: Sequence[str], **how: float
    ) -> Report:
        """Send operations of these kinds by turns."""
        job = Job(
            server="q",
            port=int(server.url.rpartition(":")[2]),
            queues=queues,
            kinds=kinds,
            connections=int(how.get("connections", 4)),
            streams=int(how.get("streams", 2)),
            batch=int(how.get("batch", _BATCH)),
            payload_bytes=self._arguments.payload_bytes,
            operations_max=int(how.get("operations", 10**9)),
            seconds=how.get("seconds", 10**6),
            rate=how.get("rate", 0),
        )
        with Generator(job) as generator:
            return generator.run()

    def new_queues(self, server: Running, names: Sequence[str]) -> list[str]:
        """Make queues on DISK, and return their ids."""
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        return prepare(address, names, pb.Queue.DISK)

    def fill(self, server: Running) -> None:
        """Add all messages to a queue."""
        messages = self._arguments.messages
        self.tell("resident, empty", f"{server.resident_mib():,.0f} MiB")
        empty_mib = server.resident_mib()
        [queue] = self.new_queues(server, ["backlog"])
        report = self.load(server, [queue], ["add"], operations=messages // _BATCH)
        self.tell("filled", f"{messages:,} at {messages / (report.ended - report.started):,.0f}/s")
        self.resident(server, "resident, filled", empty_mib)
        self.tell("file, filled", self._files())

    def resident(self, server: Running, what: str, empty_mib: float = 0) -> None:
        """Tell what the server takes, and what of that a message does."""
        messages, mib = self._arguments.messages, server.resident_mib()
        each = f", {(mib - empty_mib) * _MIB / messages:,.0f} bytes a message" if empty_mib else ""
        self.tell(what, f"{mib:,.0f} MiB{each}")
        most = (_RESIDENT_BYTES_MAX + _MESSAGE_BYTES_MAX * messages) / _MIB
        self.expect(f"{what}, MiB", mib, most)

    def restarted(self, server: Running) -> None:
        """Take a message from a server that was just started."""
        start = time.perf_counter()
        _get(server, "/v1/queues/backlog/pop")
        start_s = server.start_s + time.perf_counter() - start
        self.tell("start until a message was handed out", f"{start_s:.1f} s")
        most_s = _START_S_MAX + _MILLION_S_MAX * self._arguments.messages / 1e6
        self.expect_within("start, s", start_s, most_s)
        self.resident(server, "resident, started again")

    def rates(self) -> None:
        """Compare the rates of a server with the backlog and of one without."""
        count = self._arguments.queues
        with scratch_directory() as scratch, contextlib.ExitStack() as stack:
            deep = stack.enter_context(self.server(self._data))
            shallow = stack.enter_context(self.server(Path(scratch) / "shallow"))
            [few] = self.new_queues(shallow, ["few"])
            self.load(shallow, [few], ["put"], operations=_SHALLOW // _BATCH)
            pairs = [("among the backlog", deep, ["backlog"])]
            if count:
                many = self.new_queues(shallow, [f"many-{number}" for number in range(count)])
                how = {"batch": 1, "streams": 16, "operations": 2 * count}
                self.load(shallow, many, ["put"], **how)
                pairs.append((f"in {count:,} queues", shallow, many))
            found: dict[str, list[tuple[float, float]]] = {}
            for _ in range(_REPETITIONS):
                for name, server, queues in [("shallow", shallow, [few]), *pairs]:
                    rates = found.setdefault(name, [])
                    rates.append(self._rate(server, queues))
        base, base_us = map(statistics.median, zip(*found.pop("shallow"), strict=True))
        self.tell(f"adds and leases among {_SHALLOW:,}", f"{base:,.0f}/s, {base_us:.0f} µs of q")
        for name, rates in found.items():
            per_s, us = map(statistics.median, zip(*rates, strict=True))
            ratio = per_s / base
            self.tell(f"adds and leases {name}", f"{per_s:,.0f}/s, {us:.0f} µs of q; {ratio:.2f}")
            self.expect(f"rate {name} to that among few", ratio, _RATIO_MIN, at_least=True)

    def _rate(self, server: Running, queues: Sequence[str]) -> tuple[float, float]:
        """Return how many messages a second are added, leased and acked; and q's time for each."""
        how = {"connections": 8, "streams": 8, "batch": 1, "seconds": _RATE_S}
        before_s = server.cpu_s()
        report = self.load(server, queues, ["put", "lease"], **how)
        count = len(report.latencies["lease"])
        us = (server.cpu_s() - before_s) / count * 1e6
        return count / (report.ended - report.started), us

    def drain(self, server: Running) -> None:
        """Take all messages out, and wait until the file is smaller."""
        left = int(_get(server, "/v1/queues/backlog/stats")["queues"][0]["ready"])
        report = self.load(server, ["backlog"], ["pop"], operations=-(-left // _BATCH))
        self.tell("drained", f"at {left / (report.ended - report.started):,.0f}/s")
        self.tell("file, drained", self._files())
        self.tell("resident, drained", f"{server.resident_mib():,.0f} MiB")
        [calls] = self.new_queues(server, ["calls"])
        self.load(server, [calls], ["add"], operations=_RESERVE // _BATCH)
        start, worst_s = time.perf_counter(), 0.0
        while (took_s := time.perf_counter() - start) < _SHRINK_S_MAX:
            how = {"connections": 1, "batch": 1, "rate": 200, "seconds": 1}
            report = self.load(server, [calls], ["add", "pop"], **how)
            worst_s = max(worst_s, *report.latencies["add"], *report.latencies["pop"])
            if self._file_bytes("q.db") <= _DRAINED_BYTES_MAX:
                break
        self.tell("file, after that", f"{self._files()}, {took_s + 1:.0f} s later")
        self.tell("longest call meanwhile", f"{worst_s * 1e3:.0f} ms")
        self.expect("file after a drain, bytes", self._file_bytes("q.db"), _DRAINED_BYTES_MAX)
        self.expect_within("longest call while the file shrank, s", worst_s, _STALL_S_MAX)

    def flow(self, server: Running) -> None:
        """Let messages go through, and see what grows."""
        [queue] = self.new_queues(server, ["flow"])
        self.load(server, [queue], ["put"], operations=_RESERVE // _BATCH)
        operations = max(1, self._arguments.messages // _SLICES // 100)
        seen: list[tuple[float, float, float, int]] = []
        for number in range(_SLICES):
            how = {"batch": 100, "operations": 2 * operations}
            self.load(server, [queue], ["put", "pop" if number % 2 else "lease"], **how)
            file_mib, log_mib = (self._file_bytes(name) / _MIB for name in ("q.db", "q.db-wal"))
            files = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
            seen.append((server.resident_mib(), file_mib, log_mib, files))
        warm, rest = seen[:_WARM_UP_SLICES], seen[_WARM_UP_SLICES:]
        for at, (what, growth_max) in enumerate(
            [
                ("resident, MiB", _GROWTH_MIB_MAX),
                ("file, MiB", _GROWTH_MIB_MAX),
                ("log, MiB", 3 * _GROWTH_MIB_MAX),
                ("open files", _GROWTH_FILES_MAX),
            ]
        ):
            before, after = max(each[at] for each in warm), max(each[at] for each in rest)
            self.tell(f"flow: {what}", f"{before:,.0f} when warm, then {after:,.0f} at most")
            self.expect(f"flow: growth of {what}", after - before, growth_max)

    def _file_bytes(self, name: str) -> int:
        return (self._data / name).stat().st_size

    def _files(self) -> str:
        file, log = (self._file_bytes(name) / _MIB for name in ("q.db", "q.db-wal"))
        return f"{file:,.0f} MiB, log {log:,.0f} MiB"


def _get(server: Running, path: str) -> Any:  # noqa: ANN401 - As the reply has it.
    with urllib.request.urlopen(server.url + path, timeout=30) as reply:
        return json.loads(reply.read())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages; return the exit status."""
    parser = argparse.ArgumentParser(description="Very many messages on DISK.")
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--payload-bytes", type=int, default=64)
    parser.add_argument("--queues", type=int, default=10_000, help="of the stage rates; 0: none")
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=STAGES)
    parser.add_argument("--factor", type=float, default=1.0, help="how much longer all may take")
    parser.add_argument("--data", type=Path, help="keep what is there, for further stages")
    parsed = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        data = parsed.data or Path(stack.enter_context(scratch_directory())) / "data"
        soak = Soak(parsed, data)
        soak.run(parsed.stages)
    for problem in soak.problems:
        print(problem, file=sys.stderr)
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
