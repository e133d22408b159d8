"""One Python process producing and one consuming, through a queue that is on disk.

    make bench-client

q's client batches by itself and the others do as their users would: redis-py with a list
(RPUSH, BLPOP), one command at a time and pipelined by 100; greenstalk on beanstalkd.
Everybody syncs to disk before the answer: q's DISK store, Redis with `appendfsync
always`, beanstalkd with `-f0`. The systems take turns, so that a slow moment of the
machine meets all of them. A rate is messages by seconds from the start of the first
producer's call to the moment at which the consumer has the last message.
"""

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from servers import Running, scratch_directory
from suite.scenarios import SYSTEMS
from suite.systems import running_system

_WORKERS = Path(__file__).parent / "client_workers.py"


class Case(NamedTuple):
    """A way to pass messages from one process to another."""

    title: str
    #: Names a pair of functions in client_workers.py.
    worker: str
    #: Names the server.
    server: str
    #: Fewer where each takes a round trip: they tell as much.
    messages: int


CASES = (
    Case("q, producer and popping ahead", "q_batched", "q", 200_000),
    Case("q, threads' client: the same", "q_threads", "q", 200_000),
    Case("q, one message a call", "q_unary", "q", 10_000),
    Case("redis-py, pipelined by 100", "redis_pipelined", "redis", 200_000),
    Case("redis-py, one command a message", "redis_single", "redis", 20_000),
    Case("greenstalk on beanstalkd", "beanstalk", "beanstalkd", 20_000),
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="One producing and one consuming process.")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", help="measure the cases whose worker begins with this")
    arguments = parser.parse_args()
    cases = [case for case in CASES if case.worker.startswith(arguments.only or "")]
    rates: dict[Case, list[float]] = {case: [] for case in cases}
    wanted = {case.server for case in CASES}
    with scratch_directory() as scratch, contextlib.ExitStack() as stack:
        servers = {
            each.server: stack.enter_context(running_system(each, Path(scratch) / each.name))
            for each in SYSTEMS
            if each.server in wanted and each.durability == "fsync"
        }
        for repetition in range(arguments.repetitions):
            for case in cases:
                rates[case].append(measure(case, servers[case.server], repetition))
                print(f"{case.title}: {rates[case][-1]:,.0f} messages/s", flush=True)
        versions = [f"{name} {server.version}" for name, server in servers.items()]
    print(f"{platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}")
    print(table(rates))


def measure(case: Case, server: Running, repetition: int) -> float:
    """Pass messages from one process to another and return how many a second."""
    command = [
        *(sys.executable, str(_WORKERS), case.worker, server.url),
        *(f"{case.worker}-{repetition}", str(case.messages)),
    ]
    with subprocess.Popen([*command, "consume"], stdout=subprocess.PIPE) as consumer:
        assert consumer.stdout is not None
        # It says when it waits for messages, so that only passing them is measured.
        consumer.stdout.readline()
        start = time.time()
        subprocess.run([*command, "produce"], check=True)
        report = json.loads(consumer.stdout.readline())
    if consumer.returncode or report["messages"] != case.messages or not report["in_order"]:
        raise RuntimeError(f"{case.title}: {report}")
    return case.messages / (float(report["end"]) - start)


def table(rates: dict[Case, list[float]]) -> str:
    """Write the rates as a Markdown table, with q's first case as the measure."""
    first = statistics.median(next(iter(rates.values())))
    lines = ["| client | messages/s (min to max) | q : this |", "|---|---|---|"]
    lines += [
        f"| {case.title} | {statistics.median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f})"
        f" | {first / statistics.median(found):.1f} |"
        for case, found in rates.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
