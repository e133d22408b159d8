"""A load generator: a process that sends operations over connections and times them.

    echo JOB | python -m suite.load

It reads a job, one line of JSON, connects, says that it is ready, waits for another line, and
answers with a line of JSON and the latencies, so that several can start together. One thread does
all: it costs a few microseconds an operation, whatever the protocol.
"""

import gc
import importlib
import json
import resource
import select
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

from suite.wires.wire import Load, Wire, WireError, connect

#: The module and the class that speak to a server.
WIRES: Final = {
    "q": ("suite.wires.grpc_frames", "Grpc"),
    "redis": ("suite.wires.resp", "Resp"),
    "beanstalkd": ("suite.wires.beanstalk", "Beanstalk"),
    "rabbitmq": ("suite.wires.amqp", "Amqp"),
    "nats": ("suite.wires.nats", "Nats"),
}
_READ_BYTES: Final = 256 * 1024
#: No answer for so long, and the run is given up.
_SILENCE_S_MAX: Final = 30.0
#: Of an open loop: operations under way on one connection. What is due beyond waits, and the time
#: that it waits is in its latency.
_STREAMS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Job:
    """What one generator does."""

    server: str
    port: int
    queues: Sequence[str]
    kinds: Sequence[str]
    connections: int
    streams: int
    batch: int
    payload_bytes: int
    #: It stops after so many operations, or after so many seconds, whatever comes first.
    operations_max: int
    seconds: float
    #: Operations due a second; 0: the next one starts when one is done.
    rate: float = 0

    def to_json(self) -> bytes:
        """Encode it as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Report:
    """What one generator found."""

    #: Of `time.perf_counter`, which all processes of a machine share.
    started: float
    ended: float
    cpu_s: float
    #: How much later than due operations were sent; of an open loop.
    late_s: float
    #: Seconds that operations took, by kind.
    latencies: "dict[str, array[float]]"


def wire_to(server: str) -> type[Wire]:
    """Return what speaks to a server; the others are not loaded, for each run is a process."""
    module, name = WIRES[server]
    wire: type[Wire] = getattr(importlib.import_module(module), name)
    return wire


class Peer:
    """A connection and what is under way on it."""

    def __init__(self, job: Job, load: Load) -> None:
        self.socket = connect(("127.0.0.1", job.port))
        self.wire = wire_to(job.server)(self.socket, load)
        self.socket.settimeout(0)
        self.in_flight = 0

    def flush(self) -> bool:
        """Send what there is; return whether some of it is left."""
        out = self.wire.out
        if out:
            try:
                sent = self.socket.send(out)
            except BlockingIOError:
                return True
            del out[:sent]
        return bool(out)

    def read(self) -> list[int]:
        """Read what has come; return the operations that are done."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise WireError("the server closed a connection")
        return self.wire.feed(data)


class Generator:
    """Runs a job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.load = Load(job.queues, job.batch, job.payload_bytes, job.streams, list(job.kinds))
        self.peers = [Peer(job, self.load) for _ in range(job.connections)]
        self._latencies = {kind: array("d") for kind in job.kinds}
        self._late = array("d")
        self._next = 0
        #: By operation: when its time began.
        self._since: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self.peers:
            peer.socket.close()

    def run(self) -> Report:
        """Send, until the job is done."""
        cpu_s, started = time.process_time(), time.perf_counter()
        (self._open if self.job.rate else self._closed)(started)
        ended, cpu_s = time.perf_counter(), time.process_time() - cpu_s
        late = sorted(self._late)
        late_s = late[len(late) * 99 // 100] if late else 0.0
        return Report(started, ended, cpu_s, late_s, self._latencies)

    def _start(self, peer: Peer, since: float) -> None:
        number, self._next = self._next, self._next + 1
        self._since[number] = since
        peer.in_flight += 1
        peer.wire.start(self.load.kind(number), number, self.load.queue(number))

    def _finish(self, peer: Peer, done: list[int], now: float) -> None:
        peer.in_flight -= len(done)
        for number in done:
            self._latencies[self.load.kind(number)].append(now - self._since.pop(number))

    def _closed(self, started: float) -> None:
        """Keep so many operations in flight on each connection."""
        clock, job = time.perf_counter, self.job
        deadline = started + job.seconds
        poll = select.epoll()
        peers = {peer.socket.fileno(): peer for peer in self.peers}
        writing: set[int] = set()
        for file, peer in peers.items():
            poll.register(file, select.EPOLLIN)
            for _ in range(min(job.streams, job.operations_max - self._next)):
                self._start(peer, clock())
            _send(poll, writing, file, peer)
        while self._since:
            events = poll.poll(_SILENCE_S_MAX)
            if not events:
                raise WireError(f"no answer for {_SILENCE_S_MAX:.0f} s")
            for file, event in events:
                peer = peers[file]
                if event & ~select.EPOLLOUT:
                    done = peer.read()
                    now = clock()
                    self._finish(peer, done, now)
                    if now < deadline:
                        for _ in range(min(len(done), job.operations_max - self._next)):
                            self._start(peer, now)
                _send(poll, writing, file, peer)
        poll.close()

    def _open(self, started: float) -> None:
        """Start operations when they are due, however long the others take."""
        clock, job = time.perf_counter, self.job
        total = min(job.operations_max, int(job.rate * job.seconds))
        peers = {peer.socket: peer for peer in self.peers}
        free = deque(self.peers)
        while self._next < total or self._since:
            now = clock()
            while self._next < total and (due := started + self._next / job.rate) <= now:
                for _ in range(len(free)):
                    free.rotate(-1)
                    if free[0].in_flight < _STREAMS_MAX:
                        break
                else:
                    break
                self._late.append(now - due)
                self._start(free[0], due)
            blocked = [peer.socket for peer in self.peers if peer.flush()]
            wait = _SILENCE_S_MAX
            if self._next < total:
                wait = max(0.0, started + self._next / job.rate - clock())
            # Not epoll: that rounds up to milliseconds.
            readable, _, _ = select.select(peers, blocked, [], wait)
            if not readable and not blocked and wait == _SILENCE_S_MAX:
                raise WireError(f"no answer for {_SILENCE_S_MAX:.0f} s")
            for each in readable:
                peer = peers[each]
                done = peer.read()
                self._finish(peer, done, clock())


def _send(poll: select.epoll, writing: set[int], file: int, peer: Peer) -> None:
    """Send what a connection has, and ask to be told when there is room for the rest."""
    is_left = peer.flush()
    if is_left != (file in writing):
        poll.modify(file, select.EPOLLIN | (select.EPOLLOUT if is_left else 0))
        (writing.add if is_left else writing.discard)(file)


def serve(
    read_line: Callable[[], bytes],
    write: Callable[[bytes], object],
    kind: type[Generator] = Generator,
) -> None:
    """Do one job as told."""
    try:
        with kind(Job(**json.loads(read_line()))) as generator:
            write(b"ready\n")
            read_line()
            _tell(generator.run(), write)
    except (WireError, OSError) as error:
        write(json.dumps({"error": str(error)}).encode() + b"\n")


def _tell(report: Report, write: Callable[[bytes], object]) -> None:
    """Write what was found, while the connections are still there."""
    counts = {kind: len(found) for kind, found in report.latencies.items()}
    write(json.dumps({**asdict(report), "latencies": counts}).encode() + b"\n")
    for found in report.latencies.values():
        write(found.tobytes())


def read_report(read_line: Callable[[], bytes], read: Callable[[int], bytes]) -> Report:
    """Read what `serve` has written after it was ready.

    Raises:
        WireError: the run failed.
    """
    head = json.loads(read_line() or b'{"error": "the load generator died"}')
    if "error" in head:
        raise WireError(head["error"])
    latencies = {}
    for kind, count in head["latencies"].items():
        found = array("d")
        found.frombytes(read(count * found.itemsize))
        latencies[kind] = found
    return Report(**{**head, "latencies": latencies})


def main() -> None:
    """Do the job that standard input tells."""

    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    # Each connection is a file.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What is allocated for an operation is freed by counting; a collection would be a pause.
    gc.disable()
    serve(sys.stdin.buffer.readline, write)


if __name__ == "__main__":
    main()
