"""All kinds of calls at once, for long: what q has of memory and files must stay what it is.

    make soak-mixed MINUTES=30
    python soak/mixed.py --minutes 5 --plot build/mixed.svg

Clients add, pop, lease and ack, consume and browse, on a queue of MEMORY and one of DISK, at a
steady pace. Resident memory and open files are looked at ten times a minute and drawn as a plot.
After a warm-up of a fifth of the time neither may grow by more than a tenth (and 8 MiB, 8 files).
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import qmq
from drawing import Curve, svg
from killing import Server

_MIB: Final = 2**20
_PAGE_BYTES: Final = 4_096
_LOOKS_A_MINUTE: Final = 10
_WARM_UP: Final = 0.2
_GROWTH_MAX: Final = 0.1
_SLACK: Final = 8.0
_PAUSE_S: Final = 0.02


class Look(NamedTuple):
    """What q had at a moment."""

    #: Since the beginning.
    seconds: float
    resident_mib: float
    files: float


class Load(threading.Thread):
    """One client that does the same again and again until it is stopped."""

    def __init__(self, address: str, kind: str, queue: str, done: Counter[str]) -> None:
        super().__init__(name=f"{kind} {queue}")
        self._address, self.kind, self._queue, self._done = address, kind, queue, done
        self.is_stopped = threading.Event()
        self.fault: Exception | None = None

    def run(self) -> None:
        """Call, and pause a moment."""
        with qmq.Client(self._address) as client:
            step = getattr(self, f"_{self.kind}")
            try:
                while not self.is_stopped.wait(_PAUSE_S):
                    self._done[self.name] += step(client.queue(self._queue))
            except Exception as fault:  # noqa: BLE001 - The table tells of it.
                self.fault = fault

    def _add(self, queue: qmq.Queue[bytes | str]) -> int:
        queue.add(bytes(300))
        return 1 + len(queue.add_batch([bytes(100)] * 20))

    def _pop(self, queue: qmq.Queue[bytes | str]) -> int:
        return len(queue.pop_batch(10))

    def _lease(self, queue: qmq.Queue[bytes | str]) -> int:
        leased = queue.lease(10)
        queue.ack(leased)
        return len(leased)

    def _consume(self, queue: qmq.Queue[bytes | str]) -> int:
        count = 0
        with queue.consume() as messages:
            for _ in messages:
                count += 1
                if count >= 20 or self.is_stopped.is_set():  # noqa: PLR2004 - A stream now and then.
                    break
        return count

    def _browse(self, queue: qmq.Queue[bytes | str]) -> int:
        return sum(1 for _, _ in zip(queue.browse(), range(50), strict=False))


def look(pid: int, started: float) -> Look:
    """Look at a process."""
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    files = sum(1 for _ in (process / "fd").iterdir())
    return Look(time.monotonic() - started, pages * _PAGE_BYTES / _MIB, files)


def growth_of(values: Sequence[float]) -> float:
    """Return by how much the last fifth of values is more than the first one after a warm-up."""
    after = values[int(len(values) * _WARM_UP) :]
    fifth = max(1, len(after) // 5)
    return statistics.median(after[-fifth:]) - statistics.median(after[:fifth])


def plot(looks: Sequence[Look]) -> str:
    """Draw memory and files over time, as SVG."""
    curves = []
    for name, unit, colour in (
        ("resident_mib", "MiB resident", "#1f6fb2"),
        ("files", "open files", "#b2561f"),
    ):
        values = [getattr(each, name) for each in looks]
        label = (
            f"{unit}: {values[0]:.0f} at first, {values[-1]:.0f} at last, {max(values):.0f} at most"
        )
        points = [(each.seconds, value) for each, value in zip(looks, values, strict=True)]
        curves.append(Curve(label, colour, points))
    return svg(curves, f"{looks[-1].seconds / 60:.1f} minutes")


def main() -> None:
    """Load, watch, draw, and exit with 1 if something grew or failed."""
    parser = argparse.ArgumentParser(description="Mix all kinds of calls for long.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--plot", type=Path, default=Path("build/mixed.svg"))
    parser.add_argument("--ports", type=int, nargs=2, default=(23_714, 23_715))
    arguments = parser.parse_args()
    done: Counter[str] = Counter()
    looks: list[Look] = []
    with tempfile.TemporaryDirectory(prefix=".soak-", dir=Path.cwd()) as scratch:
        server = Server(Path(scratch) / "q", *arguments.ports)
        try:
            with qmq.Client(server.address) as client:
                client.new_queue(store="MEMORY", name="memory", limit=20_000)
                client.new_queue(store="DISK", name="disk", limit=20_000)
            kinds = ("add", "pop", "lease", "consume", "browse")
            loads = [
                Load(server.address, kind, queue, done)
                for kind in kinds
                for queue in ("memory", "disk")
            ]
            for each in loads:
                each.start()
            started = time.monotonic()
            while (now := time.monotonic() - started) < arguments.minutes * 60:
                looks.append(look(server.pid, started))
                if len(looks) % _LOOKS_A_MINUTE == 0:
                    print(f"{now / 60:.1f} min: {looks[-1]}", file=sys.stderr, flush=True)
                time.sleep(min(60 / _LOOKS_A_MINUTE, arguments.minutes * 6))
            # Those that add end last: who consumes waits for a message, and then looks whether
            # it is to end.
            adding = [each for each in loads if each.kind == "add"]
            for group in ([each for each in loads if each.kind != "add"], adding):
                for each in group:
                    each.is_stopped.set()
                for each in group:
                    each.join(timeout=30)
        finally:
            server.stop()
    arguments.plot.parent.mkdir(parents=True, exist_ok=True)
    arguments.plot.write_text(plot(looks), encoding="utf-8")
    faults = [f"{each.name}: {each.fault!r}" for each in loads if each.fault]
    for name in ("resident_mib", "files"):
        values = [getattr(each, name) for each in looks]
        growth = growth_of(values)
        print(f"{name:14}{values[0]:9.1f} at first{values[-1]:9.1f} at last{growth:+9.1f} grown")
        if growth > _SLACK + _GROWTH_MAX * values[int(len(values) * _WARM_UP)]:
            faults.append(f"{name} grew by {growth:.1f}")
    for name, count in sorted(done.items()):
        print(f"{name:20}{count:12,} messages")
    print("\n".join(faults) or "no faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
