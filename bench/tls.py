"""What TLS and tokens cost: q with them and without, by turns in one run.

    make bench-tls

h2load runs on the same cores as q and speaks TLS there as well, so that its own work counts
too; it checks no certificate, and makes its connections anew for each run. Each figure is the
median of the repetitions, and what counts is the ratio to q without TLS and tokens. The goal is
that q with both does at least 0.7 of that.
"""

import argparse
import contextlib
import shutil
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, TypeVar

import qmq
from qmq.server.certificates import utc_now
from qmq.server.dev_certificates import Made, make
from qmq.server.token_file import make as make_token
from servers import Running, free_port, running, scratch_directory
from unary import Rate, h2load, write_requests

_GOAL: Final = 0.7
_IN_FLIGHT: Final = 64
_PLAIN: Final = "neither"
_METHODS: Final = ("Add", "Pop")

_T = TypeVar("_T")
#: What each repetition has shown, by kind of q and method.
Measured: TypeAlias = dict[tuple[str, str], list[_T]]


class Secured(NamedTuple):
    """A q, and what its clients send and are told."""

    server: Running
    bodies: dict[str, Path]
    headers: list[str]
    queue: "qmq.Queue[bytes | str]"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What TLS and tokens cost.")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000, help="of each run")
    parser.add_argument("--store", choices=["MEMORY", "DISK"], default="MEMORY")
    arguments = parser.parse_args()
    if not shutil.which("h2load"):
        sys.exit("h2load is missing; install Debian's nghttp2-client")
    rates: Measured[Rate] = {}
    cpu_us: Measured[float] = {}
    with scratch_directory() as scratch, contextlib.ExitStack() as stack:
        directory = Path(scratch)
        made = make(
            directory / "certs",
            hosts=["localhost"],
            client="client",
            holds=timedelta(days=1),
            now=utc_now(),
        )
        kinds = {
            _PLAIN: (False, False),
            "a token": (False, True),
            "TLS": (True, False),
            "TLS and a token": (True, True),
        }
        servers = {
            name: stack.enter_context(
                secured(directory / name, made, arguments.store, is_tls=tls, has_token=token)
            )
            for name, (tls, token) in kinds.items()
        }
        for _ in range(arguments.repetitions):
            for method in _METHODS:
                for name, each in servers.items():
                    body = each.bodies[method]
                    before_s = each.server.cpu_s()
                    rate = h2load(
                        each.server,
                        method,
                        body,
                        _IN_FLIGHT,
                        headers=each.headers,
                        requests=arguments.requests,
                    )
                    rates.setdefault((name, method), []).append(rate)
                    used_us = (each.server.cpu_s() - before_s) / arguments.requests * 1e6
                    cpu_us.setdefault((name, method), []).append(used_us)
        for name, each in servers.items():
            stats = each.queue.stats()
            # h2load sees no gRPC status.
            if stats.ready or not stats.enqueued_total:
                raise RuntimeError(f"with {name}, not every call did what it was for: {stats}")
    print(f"{arguments.store}, {_IN_FLIGHT} requests in flight\n")
    print(
        "| with | Add, requests/s | Pop | Add : without | Pop : without | CPU µs an Add | a Pop |"
    )
    print("|---|---|---|---|---|---|---|")
    worst = min(row(name, rates, cpu_us) for name in kinds)
    print(f"\nthe least is {worst:.2f}; the goal is {_GOAL}")


def row(name: str, rates: Measured[Rate], cpu_us: Measured[float]) -> float:
    """Print a row of the table, and return the lesser of its ratios."""
    found = {
        (who, method): statistics.median(rate.per_s for rate in rates[who, method])
        for who in (name, _PLAIN)
        for method in _METHODS
    }
    ratios = [found[name, method] / found[_PLAIN, method] for method in _METHODS]
    rest = (f"{found[name, method]:,.0f}" for method in _METHODS)
    used = (f"{statistics.median(cpu_us[name, method]):.0f}" for method in _METHODS)
    print(f"| {name} | {' | '.join((*rest, *(f'{each:.2f}' for each in ratios), *used))} |")
    return min(ratios)


@contextlib.contextmanager
def secured(
    directory: Path, made: Made, store: str, *, is_tls: bool, has_token: bool
) -> Iterator[Secured]:
    """Run a q that speaks TLS, or asks for a token, or both, with a queue in it."""
    directory.mkdir()
    port = free_port()
    command = [
        *(sys.executable, "-m", "qmq.bin.q", "--data", str(directory / "data")),
        *("--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{free_port()}"),
    ]
    token = None
    if is_tls:
        command += ["--tls-cert", str(made.cert("server")), "--tls-key", str(made.key("server"))]
    if has_token:
        access = directory / "access.toml"
        grants = [{"queues": "*", "may": ["admin"]}]
        token = make_token(access, "bench", expires=None, note="", grants=grants).text
        command += ["--access", str(access), "--audit-log", "none"]
    scheme = "https" if is_tls else "http"
    with (
        running(command, port=port) as server,
        qmq.Client(
            f"{scheme}://localhost:{port}", ca=made.cert("ca") if is_tls else None, token=token
        ) as client,
    ):
        queue = client.new_queue("bench", store=qmq.Store[store])
        yield Secured(
            replace(server, url=f"{scheme}://127.0.0.1:{port}"),
            write_requests(directory, "bench"),
            [f"authorization: Bearer {token}"] if token else [],
            queue,
        )


if __name__ == "__main__":
    main()
