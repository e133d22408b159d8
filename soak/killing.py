"""Consumers and server are killed again and again; no message may be lost.

    make soak-leases
    python soak/killing.py --messages 200000 --consumers 20 --server-kills 10

A producer adds messages while consumers lease and ack them in batches. Consumers are
killed (SIGKILL) at random moments and replaced; the server is killed and started again on
its data directory. In the end the queue must be empty, and what the consumers wrote down
is checked: each message acked at least once, none delivered after its ack or while
another had a lease on it, delivery counts never falling. The seed decides who is killed
when, as far as the machine lets it.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration

from history import check, read
from qmq.wire import q_pb2 as pb

_CONSUMER = Path(__file__).parent / "consumer.py"
_BATCH = 500
#: So short that many leases run out while their consumers are dead.
_LEASE_S = 2
_BETWEEN_KILLS_S = (0.02, 0.3)
_START_S_MAX = 90.0
_END_S_MAX = 300.0


class Server:
    """q on a data directory, which can be killed."""

    def __init__(
        self, directory: Path, port: int, metrics_port: int, options: Sequence[str] = ()
    ) -> None:
        self.address = f"127.0.0.1:{port}"
        self._command = [
            *(sys.executable, "-m", "qmq.bin.q", "--data", str(directory)),
            *("--listen", self.address, "--metrics", f"127.0.0.1:{metrics_port}"),
            *options,
        ]
        self.kills = 0
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_S_MAX
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("q does not start")
            time.sleep(0.02)
        return process

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v1/queues", timeout=1) as reply:
                return bool(reply.status == 200)  # noqa: PLR2004
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """End it as the machine's failure would, but for the page cache; start it again."""
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self._process = self._start()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=60)


class Producer(threading.Thread):
    """Adds messages, and remembers what was answered."""

    def __init__(self, address: str, queue: str, messages: int, lasts_s: float) -> None:
        super().__init__(name="producer")
        self._pause_s = lasts_s * _BATCH / messages
        self._address = address
        self._queue = queue
        self._messages = messages
        self.added: set[str] = set()
        #: How many messages were sent in batches without an answer.
        self.maybe_added = 0
        #: Set when what it adds is of no use any more.
        self.is_stopped = False

    def run(self) -> None:
        """Add all messages; a batch without an answer is added again."""
        with grpc.insecure_channel(self._address) as channel:
            add_batch = channel.unary_unary(
                "/proto.Q/AddBatch",
                pb.AddBatchRequest.SerializeToString,
                pb.AddBatchResponse.FromString,
            )
            while len(self.added) < self._messages and not self.is_stopped:
                count = min(_BATCH, self._messages - len(self.added))
                batch = [pb.NewMessage(payload=b"%064d" % number) for number in range(count)]
                try:
                    reply = add_batch(
                        pb.AddBatchRequest(queue_id=self._queue, messages=batch), timeout=5
                    )
                except grpc.RpcError:
                    self.maybe_added += count
                else:
                    self.added.update(meta.id for meta in reply.messages)
                time.sleep(self._pause_s)


class Consumers:
    """Processes that are killed and replaced."""

    def __init__(self, server: Server, queue: str, directory: Path, count: int) -> None:
        self._arguments = (server.address, queue)
        self._directory = directory
        self._made = 0
        self.kills = 0
        self._processes = [self._new() for _ in range(count)]

    @property
    def journals(self) -> list[Path]:
        """What they wrote down."""
        return sorted(self._directory.glob("*.jsonl"))

    def _new(self) -> "subprocess.Popen[bytes]":
        self._made += 1
        name = f"consumer-{self._made}"
        journal = self._directory / f"{name}.jsonl"
        return subprocess.Popen(
            [sys.executable, str(_CONSUMER), *self._arguments, str(journal), name]
        )

    def kill_one(self, chance: random.Random) -> None:
        """Kill one at random and start another in its place."""
        at = chance.randrange(len(self._processes))
        self._processes[at].send_signal(signal.SIGKILL)
        self._processes[at].wait()
        self._processes[at] = self._new()
        self.kills += 1

    def stop(self) -> None:
        """Kill all."""
        for process in self._processes:
            process.kill()
            process.wait()


def main() -> None:
    """Run, check, print the report, and exit with 1 if there are faults."""
    parser = argparse.ArgumentParser(description="Kill consumers and server; lose nothing.")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--consumers", type=int, default=20)
    parser.add_argument("--consumer-kills", type=int, default=200)
    parser.add_argument("--server-kills", type=int, default=10)
    parser.add_argument("--ports", type=int, nargs=2, default=(23_700, 23_701))
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix=".soak-", dir=Path.cwd()) as scratch:
        directory = Path(scratch)
        server = Server(directory / "q", *arguments.ports)
        try:
            queue = new_queue(server.address)
            lasts_s = arguments.consumer_kills * sum(_BETWEEN_KILLS_S) / 2
            producer = Producer(server.address, queue, arguments.messages, lasts_s)
            consumers = Consumers(server, queue, directory, arguments.consumers)
            started = time.monotonic()
            producer.start()
            try:
                torment(server, producer, consumers, arguments, chance)
                await_empty(server.address, queue)
            finally:
                producer.is_stopped = True
                consumers.stop()
                producer.join()
        finally:
            server.stop()
        report = check(producer.added, producer.maybe_added, read(consumers.journals))
    print(
        f"{time.monotonic() - started:.0f} s; consumers killed: {consumers.kills},"
        f" server killed: {server.kills}\n{report}"
    )
    sys.exit(bool(report.faults))


def torment(
    server: Server,
    producer: Producer,
    consumers: Consumers,
    arguments: argparse.Namespace,
    chance: random.Random,
) -> None:
    """Kill consumers, and the server after every so many of them."""
    while producer.is_alive() or consumers.kills < arguments.consumer_kills:
        time.sleep(chance.uniform(*_BETWEEN_KILLS_S))
        consumers.kill_one(chance)
        progress = consumers.kills / arguments.consumer_kills
        if server.kills < min(arguments.server_kills, progress * arguments.server_kills - 0.5):
            server.kill()
            print(f"server killed {server.kills} times, {len(producer.added):,} added", flush=True)


def new_queue(address: str) -> str:
    """Make the queue and return its id."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/proto.Q/NewQueue",
            pb.NewQueueRequest.SerializeToString,
            pb.NewQueueResponse.FromString,
        )
        settings = pb.QueueSettings(lease_duration=Duration(seconds=_LEASE_S))
        request = pb.NewQueueRequest(store=pb.Queue.DISK, name="soak", settings=settings)
        return str(call(request, timeout=10).queue.meta.id)


def await_empty(address: str, queue: str) -> None:
    """Wait until every message is acked."""
    deadline = time.monotonic() + _END_S_MAX
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/proto.Q/Stats", pb.StatsRequest.SerializeToString, pb.StatsResponse.FromString
        )
        while True:
            [stats] = call(pb.StatsRequest(queue_id=queue), timeout=10).queues
            if stats.ready + stats.leased + stats.delayed == 0:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"the queue is not empty in time: {stats}")
            time.sleep(0.2)


if __name__ == "__main__":
    main()
