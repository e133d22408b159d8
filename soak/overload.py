"""q is overloaded in every way there is; others must hardly notice, and memory must not grow.

    make soak-overload
    python soak/overload.py --share 0.1 --factor 0

One q, on loopback, is attacked by each of `attacks.py` in turn. Meanwhile a well-behaved client
adds and pops small messages: none of its calls may fail but by a refusal that says when to try
again, and its p99 may not be more than so many times that of a quiet server. Nor may q take more
memory than it was allowed. A factor of 0 leaves out what depends on the machine's speed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from attacks import EMPTY, LARGE
from killing import Server
from qmq.wire import q_pb2 as pb

#: A method, as gRPC calls it.
Call = Callable[..., Any]

_ATTACKS: Final = Path(__file__).with_name("attacks.py")
_MIB: Final = 1024 * 1024
_PAGE_BYTES: Final = 4_096

#: What q is told: little of everything, so that it is reached soon.
_MEMORY_MAX: Final = 512 * _MIB
_TRANSFER_BYTES_MAX: Final = 128 * _MIB
_HEAP_MAX: Final = 1_536 * _MIB
_TRANSFER_TIMEOUT_S: Final = 5
_OPTIONS: Final = (
    f"--memory-max={_MEMORY_MAX}",
    f"--transfer-bytes-max={_TRANSFER_BYTES_MAX}",
    f"--heap-max={_HEAP_MAX}",
    f"--transfer-timeout={_TRANSFER_TIMEOUT_S}",
)
#: Resident memory at most: the heap, and what Python has besides.
_RESIDENT_MAX: Final = _HEAP_MAX + 256 * _MIB

#: How often each attack does what it does, and for how many seconds at most.
_PLAN: Final = {
    "idle": (5_000, 5),
    "half-open": (5_000, 12),
    "stalled": (200, 12),
    "slow-replies": (500, 12),
    "slow-consumers": (500, 12),
    "flood": (1_000, 15),
    "rapid-reset": (100_000, 15),
}

#: Calls a second of the well-behaved client.
_RATE: Final = 200
_QUIET_S: Final = 5.0
_CALL_TIMEOUT_S: Final = 30.0


@dataclass
class Observed:
    """What a client and the machine saw in some time."""

    latencies_s: list[float] = field(default_factory=list)
    refusals: int = 0
    faults: list[str] = field(default_factory=list)
    resident_max: int = 0

    @property
    def p99_ms(self) -> float:
        """Milliseconds within which 99 of 100 calls were answered."""
        return sorted(self.latencies_s)[len(self.latencies_s) * 99 // 100] * 1_000


class Witness(threading.Thread):
    """A well-behaved client, which also looks at q's memory."""

    def __init__(self, address: str, pid: int) -> None:
        super().__init__(name="witness")
        self._address = address
        self._statm = Path(f"/proc/{pid}/statm")
        self._has_seen_enough = threading.Event()
        self.observed = Observed()

    def run(self) -> None:
        """Add and pop at a steady pace."""
        with grpc.insecure_channel(self._address) as channel:
            calls: list[tuple[Call, Message]] = [
                (
                    channel.unary_unary("/proto.Q/Add", pb.AddRequest.SerializeToString, bytes),
                    pb.AddRequest(queue_id="witness", message=pb.NewMessage(payload=bytes(64))),
                ),
                (
                    channel.unary_unary("/proto.Q/Peek", pb.PeekRequest.SerializeToString, bytes),
                    pb.PeekRequest(queue_id="witness"),
                ),
            ]
            number, due = 0, time.monotonic()
            while not self._has_seen_enough.is_set():
                self._call(*calls[number % 2])
                number += 1
                due = max(due + 1 / _RATE, time.monotonic() - 1)
                self._has_seen_enough.wait(max(0.0, due - time.monotonic()))

    def _call(self, call: Call, request: Message) -> None:
        observed = self.observed
        resident = int(self._statm.read_text().split()[1]) * _PAGE_BYTES
        observed.resident_max = max(observed.resident_max, resident)
        started = time.monotonic()
        try:
            call(request, timeout=_CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            if is_polite(error):
                observed.refusals += 1
            else:
                observed.faults.append(f"{error.code()}: {error.details()}")
        observed.latencies_s.append(time.monotonic() - started)

    def stop(self) -> Observed:
        """Return what it has observed."""
        self._has_seen_enough.set()
        self.join()
        return self.observed


def is_polite(error: grpc.RpcError) -> bool:
    """Tell whether an error is a refusal that says which limit it is, and when to try again."""
    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
        return False
    trailers = {each.key: each.value for each in error.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    limit, wait = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    return all(any(each.Unpack(kind) for each in status.details) for kind in (limit, wait)) and (
        "limit" in limit.metadata
    )


def observe(server: Server, attack: Sequence[str]) -> tuple[Observed, dict[str, int]]:
    """Watch q while a command runs, and return what that printed."""
    witness = Witness(server.address, server.pid)
    witness.start()
    try:
        done = subprocess.run(attack, stdout=subprocess.PIPE, timeout=120, check=True)
    finally:
        observed = witness.stop()
    return observed, json.loads(done.stdout or "{}")


def prepare(server: Server) -> None:
    """Make the queues that the attacks and the witness use."""
    with grpc.insecure_channel(server.address) as channel:
        new: Call = channel.unary_unary(
            "/proto.Q/NewQueue", pb.NewQueueRequest.SerializeToString, bytes
        )
        add: Call = channel.unary_unary("/proto.Q/Add", pb.AddRequest.SerializeToString, bytes)
        for name in (EMPTY, LARGE, "witness"):
            store = pb.Queue.DISK if name == "witness" else pb.Queue.MEMORY
            new(pb.NewQueueRequest(store=store, name=name, limit=-1))
        for _ in range(50):
            message = pb.NewMessage(payload=bytes(4_000_000))
            add(pb.AddRequest(queue_id=LARGE, message=message))


def main() -> None:
    """Attack, print the table, and exit with 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(description="Overload q in every way there is.")
    parser.add_argument("--share", type=float, default=1.0, help="of connections and streams")
    parser.add_argument("--factor", type=float, default=3.0, help="p99 beside that of a quiet q")
    parser.add_argument("--only", choices=_PLAN, nargs="+", default=list(_PLAN))
    parser.add_argument("--ports", type=int, nargs=2, default=(23_710, 23_711))
    arguments = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix=".soak-", dir=Path.cwd()) as scratch:
        server = Server(Path(scratch) / "q", arguments.ports[0], arguments.ports[1], _OPTIONS)
        try:
            prepare(server)
            quiet, _ = observe(server, ["sleep", str(_QUIET_S * min(1, arguments.share))])
            rows: list[tuple[str, Observed, dict[str, int]]] = [("quiet", quiet, {})]
            for kind in arguments.only:
                print(f"{kind} ...", file=sys.stderr, flush=True)
                count, lasts_s = _PLAN[kind]
                command = [sys.executable, str(_ATTACKS), kind, server.address]
                command += [str(max(1, int(count * arguments.share)))]
                command += [str(max(2.0, lasts_s * min(1.0, arguments.share)))]
                rows.append((kind, *observe(server, command)))
            for kind, seen, _ in rows:
                faults += [f"{kind}: {each}" for each in dict.fromkeys(seen.faults)]
                if arguments.factor and seen.p99_ms > arguments.factor * quiet.p99_ms:
                    faults.append(
                        f"{kind}: p99 is {seen.p99_ms / quiet.p99_ms:.1f} x that of quiet"
                    )
                if seen.resident_max > _RESIDENT_MAX:
                    faults.append(f"{kind}: {seen.resident_max // _MIB} MiB are resident")
        finally:
            server.stop()
    print_table(rows)
    print("\n".join(faults) or "no faults")
    sys.exit(bool(faults))


def print_table(rows: Sequence[tuple[str, Observed, dict[str, int]]]) -> None:
    """Print a line for each attack."""
    print(f"{'':16}{'calls':>7}{'p99 ms':>9}{'refused':>9}{'MiB':>7}  statuses of the attack")
    for kind, seen, answers in rows:
        print(
            f"{kind:16}{len(seen.latencies_s):7}{seen.p99_ms:9.2f}{seen.refusals:9}"
            f"{seen.resident_max // _MIB:7}  "
            + ", ".join(f"{name}: {count:,}" for name, count in sorted(answers.items()))
        )


if __name__ == "__main__":
    main()
