"""Rounds of kill -9 under load: nothing acknowledged is lost, nothing doubled, nothing made up.

    make soak-kills ROUNDS=500
    PYTHONPATH=. python soak/kills.py --rounds 20 --seed 7

Clients call q without a pause: some add to a queue of which others lease and ack, or let leases run
out; some to one that others pop from; some to one that nobody takes from. q is killed in the middle
of that, and started again on its data directory; in some rounds it is killed once more before it
answers. In the end all queues are emptied, and what clients were told is compared with what they
were given (soak/evidence.py). How long each start took is drawn. Ctrl-C ends
the rounds, and not the check.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from drawing import Curve, svg
from evidence import Evidence, faults_of, spread_of
from history import Delivery
from killing import Server, await_empty
from qmq.wire import q_pb2 as pb
from tests.acceptance.stock import Options, StockClient

JOBS: Final = "jobs"
POPS: Final = "pops"
STAYING: Final = "staying"

#: Seconds from a start to the next kill.
_UNTIL_KILL_S: Final = (0.05, 0.8)
#: Seconds after which q is killed before it answers, in one of so many rounds.
_AT_START_S: Final = (0.05, 1.0)
_AT_START_ONCE_IN: Final = 10
#: So short that some of those that nobody acks run out in the same round.
_LEASE: Final = Duration(seconds=2)
_WAIT: Final = Duration(nanos=500_000_000)
_BATCH: Final = 20
#: Leases of one call in so many run out.
_LEFT_ONCE_IN: Final = 20
_PAUSE_S: Final = 0.05
_TIMEOUT: Final = Options(timeout=10.0)
_BETWEEN_LINES_S: Final = 15.0
_FAULTS_TOLD_MAX: Final = 20

#: Who was disconnected comes back soon.
_CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)

_T = TypeVar("_T")


class Clients:
    """Threads that call q as long as they may, and write down what they are told."""

    def __init__(self, address: str, evidence: Evidence, seed: int) -> None:
        self._address = address
        self._channel = grpc.insecure_channel(address, options=_CHANNEL)
        self._client = StockClient(self._channel)
        self._evidence = evidence
        self._seed = seed
        self._may_add = self._may_take = True
        self._adding: list[threading.Thread] = []
        self._taking: list[threading.Thread] = []
        #: What a thread has failed with.
        self.failures: list[Exception] = []

    def start(self) -> None:
        """Make the queues, and begin."""
        settings = pb.QueueSettings(lease_duration=_LEASE)
        for queue in (JOBS, POPS, STAYING):
            self._client.new_queue(store=pb.Queue.DISK, name=queue, settings=settings)
        for queue in (JOBS, POPS, STAYING):
            self._adding.append(self._begin(self._add, queue))
        self._adding.append(self._begin(self._add_again, JOBS))
        self._taking += [self._begin(self._work, JOBS) for _ in range(2)]
        self._taking.append(self._begin(self._pop, POPS))

    def end(self) -> None:
        """Add no more, take what is left, and end."""
        self._may_add = False
        self._join(self._adding)
        if not self.failures:
            for queue in (JOBS, POPS):
                await_empty(self._address, queue)
        self._may_take = False
        self._join(self._taking)
        while batch := self._client.pop_batch(queue_id=STAYING, messages_max=1_000).messages:
            self._evidence.stayed += [message.payload.decode() for message in batch]
        self._channel.close()

    def _begin(self, task: Callable[[str, str], None], queue: str) -> threading.Thread:
        name = f"{len(self._adding) + len(self._taking)}"

        def run() -> None:
            try:
                task(queue, name)
            except Exception as failure:  # noqa: BLE001 - The program fails with it.
                self.failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    @staticmethod
    def _join(threads: Sequence[threading.Thread]) -> None:
        for thread in threads:
            thread.join()

    def _add(self, queue: str, name: str) -> None:
        """Add messages, one by one and in batches: an add without an answer is never repeated."""
        chance = random.Random(f"{self._seed}/{name}")
        number = 0
        while self._may_add:
            count = chance.choice((1, 1, _BATCH))
            messages = [
                pb.NewMessage(payload=f"{queue}/{name}/{number + each}".encode())
                for each in range(count)
            ]
            number += count
            keys = {message.payload.decode() for message in messages}
            try:
                self._client.add_batch(_TIMEOUT, queue_id=queue, messages=messages)
            except grpc.RpcError:
                self._evidence.unanswered[queue] |= keys
                time.sleep(_PAUSE_S)
            else:
                self._evidence.added[queue] |= keys

    def _add_again(self, queue: str, name: str) -> None:
        """Add messages with a dedup_id: an add without an answer is repeated until it has one."""
        number = 0
        while self._may_add:
            key = f"{queue}/{name}/{number}"
            number += 1
            options = pb.MessageOptions(dedup_id=key)
            message = pb.NewMessage(payload=key.encode(), options=options)
            for attempt in self._until_answered(
                lambda: self._client.add(_TIMEOUT, queue_id=queue, message=message)  # noqa: B023
            ):
                self._evidence.repeats += attempt is None
            self._evidence.added[queue].add(key)

    def _work(self, queue: str, name: str) -> None:
        """Lease messages, and ack nearly all of them."""
        chance = random.Random(f"{self._seed}/{name}")
        while self._may_take:
            try:
                reply = self._client.lease(
                    _TIMEOUT, queue_id=queue, messages_max=_BATCH, wait=_WAIT, consumer=name
                )
            except grpc.RpcError:
                time.sleep(_PAUSE_S)
                continue
            moment_ns = time.time_ns()
            held = []
            for each in reply.messages:
                key = each.message.payload.decode()
                expires_ns = each.lease_expires_at.ToNanoseconds()
                held.append(
                    Delivery(each.lease_id, key, each.delivery_count, expires_ns, moment_ns)
                )
                self._evidence.ids[key].add(each.message.meta.id)
            self._evidence.deliveries += held
            if held and chance.randrange(_LEFT_ONCE_IN):
                self._ack(queue, held)

    def _ack(self, queue: str, held: Sequence[Delivery]) -> None:
        """Ack until there is an answer."""
        lease_ids = [each.lease_id for each in held]
        for each in held:
            each.is_tried = True
        for reply in self._until_answered(
            lambda: self._client.ack(_TIMEOUT, queue_id=queue, lease_ids=lease_ids)
        ):
            if reply is None:
                continue
            moment_ns = time.time_ns()
            for each, result in zip(held, reply.results, strict=True):
                if result.code == 0:
                    each.acked_ns = moment_ns

    def _pop(self, queue: str, _name: str) -> None:
        """Pop messages: those of a call without an answer may be lost."""
        while self._may_take:
            try:
                reply = self._client.pop_batch(
                    _TIMEOUT, queue_id=queue, messages_max=_BATCH, wait=_WAIT
                )
            except grpc.RpcError:
                self._evidence.may_be_popped += _BATCH
                time.sleep(_PAUSE_S)
            else:
                self._evidence.popped += [each.payload.decode() for each in reply.messages]

    @staticmethod
    def _until_answered(call: Callable[[], _T]) -> Iterator[_T | None]:
        """Call until there is an answer, which comes last; None for each time without one."""
        while True:
            try:
                answer = call()
            except grpc.RpcError:
                yield None
                time.sleep(_PAUSE_S)
            else:
                yield answer
                return


def torment(server: Server, rounds: int, chance: random.Random, took_s: list[float]) -> None:
    """Kill q and start it again, round after round; note how many seconds each start took."""
    told_s = time.monotonic()
    for number in range(1, rounds + 1):
        time.sleep(chance.uniform(*_UNTIL_KILL_S))
        is_killed_again = chance.randrange(_AT_START_ONCE_IN) == 0
        server.kill(chance.uniform(*_AT_START_S) if is_killed_again else None)
        took_s.append(server.start_s)
        if time.monotonic() - told_s >= _BETWEEN_LINES_S:
            told_s = time.monotonic()
            print(f"round {number} of {rounds}; starts: {spread_of(took_s)}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, check, and print what was found.

    Returns:
        The status to exit with: 1 if a promise was broken.
    """
    parser = argparse.ArgumentParser(description="Kill q again and again, under load.")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--plot", type=Path, default=Path("build/restarts.svg"))
    parser.add_argument("--ports", type=int, nargs=2, default=(23_716, 23_717))
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}", flush=True)
    evidence = Evidence()
    took_s: list[float] = []
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".soak-", dir=Path.cwd()) as scratch:
        server = Server(Path(scratch) / "q", *asked.ports)
        with contextlib.ExitStack() as ends:
            ends.callback(server.stop)
            clients = Clients(server.address, evidence, asked.seed)
            ends.callback(clients.end)
            clients.start()
            try:
                torment(server, asked.rounds, random.Random(asked.seed), took_s)
            except KeyboardInterrupt:
                print("interrupted: what was done so far is checked", flush=True)
                # Whatever q was at, and though a terminal may have interrupted it as well.
                server.kill()
    faults = [*map(repr, clients.failures), *faults_of(evidence, JOBS, POPS, STAYING)]
    asked.plot.parent.mkdir(parents=True, exist_ok=True)
    label = f"seconds until q answers again: {spread_of(took_s)}"
    curve = Curve(label, "#1f6fb2", list(enumerate(took_s, 1)))
    asked.plot.write_text(svg([curve], f"{len(took_s)} rounds"), encoding="utf-8")
    print(
        f"{len(took_s)} rounds, {server.kills} kills in {time.monotonic() - started_s:.0f} s;"
        f" starts: {spread_of(took_s)}\n{summary_of(evidence)}\nfaults {len(faults)}"
    )
    print("\n".join(faults[:_FAULTS_TOLD_MAX]), end="\n" if faults else "")
    return bool(faults)


def summary_of(evidence: Evidence) -> str:
    """Return how much there was to lose, and to double."""
    answered = sum(map(len, evidence.added.values()))
    unanswered = sum(map(len, evidence.unanswered.values()))
    leased = len({each.message_id for each in evidence.deliveries})
    again = len(evidence.deliveries) - leased
    return (
        f"messages of adds with an answer {answered:,}, without one {unanswered:,};"
        f" adds repeated by their dedup_id {evidence.repeats:,}\n"
        f"messages leased {leased:,}, and {again:,} times again; popped {len(evidence.popped):,};"
        f" left where they were {len(evidence.stayed):,}"
    )


if __name__ == "__main__":
    sys.exit(main())
