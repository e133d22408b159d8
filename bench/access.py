"""What it costs to ask who calls: Add with tokens beside Add without, by turns.

    make bench-access

Of two q, one has an access file of a hundred identities, and is called by one of them. h2load runs
on the same cores; what counts is the ratio.
"""

import argparse
import json
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from qmq.access.tokens import make_token
from qmq.wire import q_pb2 as pb
from servers import Running, free_port, running, scratch_directory

#: Calls of one run, on so many connections, with so many under way on each.
_CALLS = 40_000
_CONNECTIONS, _STREAMS = 8, 8
_IDENTITIES = 100


def main() -> None:
    """Measure, and print the rates and their ratio."""
    parser = argparse.ArgumentParser(description="Add with tokens beside Add without.")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    if not shutil.which("h2load"):
        sys.exit("h2load is missing; install Debian's nghttp2-client")
    with scratch_directory() as scratch:
        directory = Path(scratch)
        token = write_access(directory / "access.toml")
        asking = ["--access", str(directory / "access.toml"), "--audit-log", "none"]
        with running_q() as plain, running_q(asking) as guarded:
            servers = (("without", plain, ""), ("with", guarded, token))
            body = directory / "Add.bin"
            for _, server, shown in servers:
                new_queue(server, shown)
            write_request(body)
            calls = arguments.repetitions * _CALLS
            found: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
            for _ in range(arguments.repetitions):
                for name, server, shown in servers:
                    found[name].append(measured(server, shown, body))
            for _, server, shown in servers:
                check_count(server, shown, calls)
    report(found)


@contextmanager
def running_q(arguments: Sequence[str] = ()) -> Iterator[Running]:
    """Run a q without a data directory."""
    port, metrics = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "qmq.bin.q", "--data", "none"),
        *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}", *arguments),
    ]
    with running(command, port=port) as server:
        yield server


def write_access(path: Path) -> str:
    """Write an access file, and return the token of one of its identities."""
    token, lines = "", []
    for at in range(_IDENTITIES):
        token, kept = make_token(secrets.token_bytes, created=datetime.now(UTC))
        lines.append(
            f'[[identity]]\nname = "worker-{at}"\n'
            f'tokens = [{{ id = "{kept.id}", sha256 = "{kept.sha256}" }}]\n'
            'rights = [{ queues = "jobs*", may = ["manage", "produce", "browse"] }]\n'
        )
    path.write_text("\n".join(lines), encoding="utf-8")
    path.chmod(0o600)
    return token


def new_queue(server: Running, token: str) -> None:
    """Make the queue."""
    request = urllib.request.Request(
        f"{server.url}/v1/queues",
        json.dumps({"store": "MEMORY", "name": "jobs"}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request):
        pass


def write_request(path: Path) -> None:
    """Write the request that h2load sends again and again."""
    request = pb.AddRequest(queue_id="jobs", message=pb.NewMessage(payload=b"x" * 64))
    message = request.SerializeToString()
    path.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)


def measured(server: Running, token: str, body: Path) -> tuple[float, float]:
    """Return the calls in a second, and the processor time of a call in microseconds."""
    before_s = server.cpu_s()
    output = subprocess.run(
        [
            *("h2load", "-t1", "-n", str(_CALLS), "-c", str(_CONNECTIONS), "-m", str(_STREAMS)),
            *("-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers"),
            # The same length in both.
            *("-H", f"authorization: Bearer {token or 'q_' + 'x' * 54}"),
            f"{server.url}/proto.Q/Add",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rate = re.search(r"([\d.]+) req/s", output)
    if rate is None or f" {_CALLS} succeeded, 0 failed" not in output:
        raise RuntimeError(f"h2load says something else than expected:\n{output}")
    return float(rate[1]), (server.cpu_s() - before_s) / _CALLS * 1e6


def check_count(server: Running, token: str, expected: int) -> None:
    """Make sure that every call did what it was for: h2load sees no gRPC status."""
    request = urllib.request.Request(
        f"{server.url}/v1/queues/jobs/stats", headers={"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request) as response:
        found = int(json.load(response)["queues"][0]["ready"])
    if found != expected:
        raise RuntimeError(f"the queue holds {found} messages, not {expected}")


def report(found: dict[str, list[tuple[float, float]]]) -> None:
    """Print what was found."""
    medians = {}
    for name, runs in found.items():
        rate, cpu_us = (statistics.median(each) for each in zip(*runs, strict=True))
        medians[name] = rate
        spread = f"{min(runs)[0]:,.0f} to {max(runs)[0]:,.0f}"
        print(f"{name:8} {rate:9,.0f} Add/s ({spread}), {cpu_us:.1f} us of processor time each")
    print(f"ratio    {medians['with'] / medians['without']:.3f}")


if __name__ == "__main__":
    main()
