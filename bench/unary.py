"""One request at a time: Add and Pop, MEMORY and DISK, beside the floor under q.

    make bench-unary

h2load runs on the same cores as the servers. The runs of q and of the floor alternate,
so that a slow moment of the machine meets both; each figure is the median of the
repetitions, and what counts is the ratio. See bench/floor.py for what the floor is.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from qmq.wire import q_pb2 as pb
from servers import Running, running_floor, running_q, scratch_directory

_PAYLOAD = b"x" * 64
#: Requests in flight, and how h2load makes them: connections, streams on each.
_LOADS = {1: (1, 1), 8: (8, 1), 64: (8, 8), 256: (8, 32)}
#: With one request in flight each takes a round trip; fewer tell as much.
_REQUESTS = {1: 5_000, 8: 20_000, 64: 40_000, 256: 40_000}


class Rate(NamedTuple):
    """What h2load measured."""

    per_s: float
    mean_latency: str


class Row(NamedTuple):
    """One line of the result."""

    store: str
    method: str
    in_flight: int
    q: list[float]
    floor: list[float]
    latency: str
    cpu_us: float

    @property
    def ratio(self) -> float:
        """How much of the floor's rate q reaches."""
        return statistics.median(self.q) / statistics.median(self.floor)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Add and Pop, one request at a time.")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the rates to this file")
    arguments = parser.parse_args()
    if not shutil.which("h2load"):
        sys.exit("h2load is missing; install Debian's nghttp2-client")
    rows = []
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with scratch_directory() as scratch:
        print(f"fsync of 4 KiB: {fsync_ms(Path(scratch)):.2f} ms (median of 200)")
        for store in ("MEMORY", "DISK"):
            rows += measure_store(store, Path(scratch), arguments.repetitions)
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([row._asdict() for row in rows], indent=1))


def measure_store(store: str, scratch: Path, repetitions: int) -> list[Row]:
    """Measure q and the floor, in turn, for one store."""
    rows = []
    database = scratch / "floor.db" if store == "DISK" else None
    with running_q(scratch / store) as q, running_floor(database) as floor:
        print(f"{store}: q started in {q.start_s:.2f} s and holds {q.resident_mib():.0f} MiB")
        queue_id = new_queue(q, store)
        bodies = write_requests(scratch, queue_id)
        for in_flight in _LOADS:
            rates: dict[tuple[str, str], list[Rate]] = {}
            cpu_s = {"Add": 0.0, "Pop": 0.0}
            for _ in range(repetitions):
                for method in ("Add", "Pop"):
                    for name, server in (("q", q), ("floor", floor)):
                        before_s = q.cpu_s()
                        rate = h2load(server, method, bodies[method], in_flight)
                        rates.setdefault((name, method), []).append(rate)
                        if name == "q":
                            cpu_s[method] += q.cpu_s() - before_s
            rows += [
                Row(
                    store,
                    method,
                    in_flight,
                    [rate.per_s for rate in rates["q", method]],
                    [rate.per_s for rate in rates["floor", method]],
                    rates["q", method][0].mean_latency,
                    cpu_s[method] / repetitions / _REQUESTS[in_flight] * 1e6,
                )
                for method in ("Add", "Pop")
            ]
        check_counts(q, queue_id, repetitions * sum(_REQUESTS.values()))
    return rows


def new_queue(server: Running, store: str) -> str:
    """Create a queue and return its id."""
    request = urllib.request.Request(
        f"{server.url}/v1/queues",
        json.dumps({"store": store}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["queue"]["meta"]["id"])


def write_requests(scratch: Path, queue_id: str) -> dict[str, Path]:
    """Write the gRPC request bodies that h2load sends."""
    requests = {
        "Add": pb.AddRequest(queue_id=queue_id, message=pb.NewMessage(payload=_PAYLOAD)),
        "Pop": pb.PopRequest(queue_id=queue_id),
    }
    paths = {}
    for method, request in requests.items():
        message = request.SerializeToString()
        paths[method] = scratch / f"{method}.bin"
        paths[method].write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    return paths


def h2load(  # noqa: PLR0913 - Others are rarely needed.
    server: Running,
    method: str,
    body: Path,
    in_flight: int,
    *,
    headers: Sequence[str] = (),
    requests: int = 0,
) -> Rate:
    """Send a number of equal requests, so many at a time.

    Args:
        server: to whom.
        method: of the service Q.
        body: the file with a request.
        in_flight: how many at a time.
        headers: more than every request has.
        requests: how many; 0 is as many as are usual.
    """
    connections, streams = _LOADS[in_flight]
    requests = requests or _REQUESTS[in_flight]
    output = subprocess.run(
        [
            *("h2load", "-t1", "-n", str(requests)),
            *("-c", str(connections), "-m", str(streams), "-d", str(body)),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            *(part for header in headers for part in ("-H", header)),
            f"{server.url}/proto.Q/{method}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if f" {requests} succeeded, 0 failed, 0 errored" not in output:
        raise RuntimeError(f"h2load saw failures:\n{output}")
    rate = re.search(r"([\d.]+) req/s", output)
    latency = re.search(r"time for request: +\S+ +\S+ +(\S+)", output)
    if rate is None or latency is None:
        raise RuntimeError(f"h2load says something else than expected:\n{output}")
    return Rate(float(rate[1]), latency[1])


def check_counts(server: Running, queue_id: str, expected: int) -> None:
    """Make sure that every call did what it was for: h2load sees no gRPC status."""
    with urllib.request.urlopen(server.metrics_url) as response:
        metrics = response.read().decode()
    for counter in ("queue_messages_enqueued_total", "queue_messages_consumed_total"):
        match = re.search(rf'^{counter}{{queue="{queue_id}"}} (\S+)$', metrics, re.MULTILINE)
        if match is None or float(match[1]) != expected:
            raise RuntimeError(f"{counter} is {match and match[1]}, not {expected}")


def fsync_ms(directory: Path) -> float:
    """Return how long the disk takes to make 4 KiB durable, in milliseconds."""
    times = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(200):
            start = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def table(rows: list[Row]) -> str:
    """Write the rows as a Markdown table."""
    titles = (
        "store",
        "method",
        "in flight",
        "q, requests/s (min to max)",
        "mean latency",
        "CPU µs a request",
        "floor",
        "q : floor",
    )
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    lines += [
        f"| {row.store} | {row.method} | {row.in_flight}"
        f" | {statistics.median(row.q):,.0f} ({min(row.q):,.0f} to {max(row.q):,.0f})"
        f" | {row.latency} | {row.cpu_us:.0f}"
        f" | {statistics.median(row.floor):,.0f} | {row.ratio:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
