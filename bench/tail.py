"""Where the slowest percent of calls waits, at half of the rate that q does at most.

    make bench-tail
    make bench-tail ARGS="--variants apart,gc-off,no-sync,control --rounds 5"

One message a call is added, or leased and acked, by turns, to a DISK queue, with payloads of 64
bytes, in an open loop: an operation's time begins when it is due. Each call says which one it is,
and q, the load generator, the kernel and programs beside them note what passes when; for the
kernel's part this has to be run by root. From these follows for each call how long it was where,
and what hindered it there. Notes cost a call some 20 µs. q itself has none of this: see
`tailing/recorder.py`.

Variants of q are measured by turns with q as it is, and told as ratios, round by round:

- `control`: the same server repeats its first reply to each method, and does nothing else. That
  is the floor of the generator, the kernel, Envoy and pyvoy.
- `no-sync`: nothing waits for the disk. `pages=N`: the log is written back from N pages on.
- `gc-off`, `gc=N`: no garbage collector, or one that comes after N objects; Python's own is 700.
- `switch=S`: threads hand the interpreter's lock over after S seconds rather than 0.005.
- `apart`, `loop-apart`: q, or its event loop alone, has all cores but the first, and what is left,
  with the generator, that one. `awake`: cores never sleep. `batch`: q has the policy SCHED_BATCH.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from servers import Running, running_q, scratch_directory
from suite.measure import Session
from suite.results import Run
from suite.scenarios import SYSTEMS, Point
from tailing import beside
from tailing.analysis import OfQ, Sample
from tailing.kernel import Trace
from tailing.telling import draw, tell

_BENCH: Final = Path(__file__).parent
_POINT: Final = Point("mixed", "cycle", connections=8, streams=8)
_AS_IT_IS: Final = "q as it is"
_PEAK_S: Final = 2.0
_BARE_SYNCS: Final = 1_000
_BARE_PAUSE_S: Final = 0.0005


@dataclass(slots=True)
class Server:
    """A q that runs, and what was found on it."""

    variant: str
    running: Running
    session: Session
    #: Where q, and the load generator, write what they note.
    notes: Path
    generator_notes: Path
    runs: list[Run] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description="Where the slowest percent of calls waits.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each variant")
    parser.add_argument("--rate", type=float, help="messages a second, not half of the most")
    parser.add_argument("--variants", default="", help="names with a comma between, see the top")
    parser.add_argument("--plot", type=Path, help="write a plot to this file")
    arguments = parser.parse_args()
    variants = [_AS_IT_IS, *filter(None, arguments.variants.split(","))]
    with scratch_directory() as name, contextlib.ExitStack() as stack:
        scratch = Path(name)
        servers = [
            stack.enter_context(_started(variant, scratch / f"q{number}"))
            for number, variant in enumerate(variants)
        ]
        most = [_most(server) for server in servers]
        rate = arguments.rate or most[0] / 2
        print(f"{rate:,.0f} messages/s", flush=True)
        for number in range(arguments.rounds):
            first = number % len(servers)
            for server in (*servers[first:], *servers[:first]):
                _measure(server, rate, arguments.seconds, scratch)
        bare = beside.bare_syncs(scratch, _BARE_SYNCS, _BARE_PAUSE_S)
        # What q notes is written when it ends.
        stack.close()
        notes: OfQ = json.loads(servers[0].notes.read_text(encoding="utf-8"))
        _tell_variants(servers)
        tell(servers[0].samples, notes, bare)
        if arguments.plot:
            text = draw(servers[0].samples, notes)
            arguments.plot.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _started(variant: str, here: Path) -> Iterator[Server]:
    here.mkdir()
    notes, generator_notes = here / "notes", here / "generator"
    is_made_inside = variant != _AS_IT_IS and variant not in beside.OUTSIDE
    path = [str(_BENCH / "tailing" / "inside"), str(_BENCH), os.environ.get("PYTHONPATH", "")]
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        # The stations of a call are none of a server that does nothing.
        "Q_TAIL_NOTES": "" if variant == "control" else str(notes),
        "Q_TAIL_VARIANT": variant if is_made_inside else "",
    }
    with running_q(here / "data", environment=environment) as running:
        program = ("tailing.wire", str(generator_notes))
        session = Session(SYSTEMS[0], running, fsync_ms=0, program=program)
        yield Server(variant, running, session, notes, generator_notes)


def _most(server: Server) -> float:
    """Find out what a server does at most, in messages a second."""
    server.session.warm_up()
    with beside.varied(server.variant, server.running.pid):
        most = server.session.run(_POINT, _PEAK_S).per_s
    print(f"{server.variant}: {most:,.0f} messages/s at most", flush=True)
    return most


def _measure(server: Server, rate: float, seconds: float, scratch: Path) -> None:
    """Measure once, and keep what was found."""
    pid = server.running.pid
    threads = beside.threads_of(pid)
    before, busy_s, own_s = beside.used(threads), beside.busy_s(), _own_s()
    cores = ["any", *map(str, sorted(os.sched_getaffinity(0)))]
    trace = Trace()
    with (
        beside.varied(server.variant, pid),
        beside.probes(scratch, cores) as found,
        trace.of(threads),
    ):
        run = server.session.run(replace(_POINT, rate=rate), seconds)
    had = beside.used_between(before, beside.used(threads))
    others_s = beside.busy_s() - busy_s - (_own_s() - own_s) - sum(e.ran_s for e in had.values())
    print(
        f"{server.variant}: 99 % of adds within {run.latency['add'].p99_ms:.1f} ms, of leases and"
        f" acks within {run.latency['lease'].p99_ms:.1f} ms; other programs ran for"
        f" {max(0.0, others_s):.1f} s meanwhile",
        flush=True,
    )
    server.runs.append(run)
    if server.variant == _AS_IT_IS:
        generator = json.loads(server.generator_notes.read_text(encoding="utf-8"))
        server.samples.append(Sample(generator, had, trace.spans(), found, run.seconds))


def _own_s() -> float:
    """Return the processor time of this program, and of those that it has started and ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _tell_variants(servers: Sequence[Server]) -> None:
    """Print what variants took, as ratios to q as it is, round by round."""
    if len(servers) == 1:
        return
    print("\n| variant | adds, half | adds, 99 % | leases and acks, half | 99 % |")
    print("|---|---|---|---|---|")
    for server in servers:
        cells = []
        for kind, name in ((k, n) for k in ("add", "lease") for n in ("p50_ms", "p99_ms")):
            found = [getattr(run.latency[kind], name) for run in server.runs]
            base = [getattr(run.latency[kind], name) for run in servers[0].runs]
            ratios = [each / other for each, other in zip(found, base, strict=True)]
            cells.append(
                f"{statistics.median(found):.1f} ms, {statistics.median(ratios):.2f}"
                f" ({min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(f"| {server.variant} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
