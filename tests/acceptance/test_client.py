"""The client and a q that runs, is restarted, and is killed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

import qmq
from tests.acceptance.running import RunningQ, environment
from tests.client.conformance import MessagesConformance, PassTime, QueuesConformance
from tests.client.conformance_consuming import (
    ConsumerConformance,
    ConsumingThreadsConformance,
    WorkerConformance,
)
from tests.client.conformance_groups import GroupsConformance
from tests.client.conformance_leases import CompleteConformance, LeasesConformance
from tests.client.conformance_many import ProducerConformance, ThreadsConformance
from tests.client.conformance_options import OptionsConformance, QueueOptionsConformance
from tests.client.conformance_oversight import OversightConformance, RedriveConformance
from tests.client.conformance_schedules import SchedulesConformance
from tests.client.conformance_selections import SelectionsConformance


@pytest.fixture
async def client(shared_q: RunningQ) -> AsyncIterator[qmq.AsyncClient]:
    """A client of the q that tests share."""
    async with qmq.AsyncClient(shared_q.address) as client:
        yield client


@pytest.fixture
def pass_time() -> PassTime:
    """Time passes by itself."""

    async def pass_time(_seconds: float) -> None:
        pass

    return pass_time


@pytest.fixture
def sync_client(shared_q: RunningQ) -> Iterator[qmq.Client]:
    """A synchronous client of the same q."""
    with qmq.Client(shared_q.address) as client:
        yield client


class TestQueues(QueuesConformance):
    """Over the wire."""


class TestMessages(MessagesConformance):
    """Over the wire."""


class TestProducer(ProducerConformance):
    """Over the wire."""


class TestThreads(ThreadsConformance):
    """Over the wire."""


class TestLeases(LeasesConformance):
    """Over the wire."""


class TestComplete(CompleteConformance):
    """Over the wire."""


class TestGroups(GroupsConformance):
    """Over the wire."""


class TestSelections(SelectionsConformance):
    """Over the wire."""


class TestOptions(OptionsConformance):
    """Over the wire."""


class TestQueueOptions(QueueOptionsConformance):
    """Over the wire."""


class TestOversight(OversightConformance):
    """Over the wire."""


class TestRedrive(RedriveConformance):
    """Over the wire."""


class TestSchedules(SchedulesConformance):
    """Over the wire."""


class TestConsumer(ConsumerConformance):
    """Over the wire."""


class TestWorker(WorkerConformance):
    """Over the wire."""


class TestConsumingThreads(ConsumingThreadsConformance):
    """Over the wire."""


#: Long enough for a q to start on a machine that has other things to do.
PATIENCE_S = 80.0
PATIENT = qmq.Retry(duration=PATIENCE_S)


class Load:
    """A producer, a consumer and a reader that go on until they are told to stop."""

    def __init__(self, client: qmq.AsyncClient, queue: qmq.AsyncQueue[bytes | str]) -> None:
        self._client = client
        self._queue = queue
        self._is_over = False
        self.added: list[int] = []
        #: Whose answer was lost.
        self.unknown: list[int] = []
        self.popped: list[int] = []
        self.reads = 0

    async def produce(self) -> None:
        """Add the numbers from 0, one after the other."""
        number = 0
        async with self._queue.producer() as producer:
            while not self._is_over:
                try:
                    await producer.add(str(number))
                    self.added.append(number)
                except qmq.ConnectionLost:
                    self.unknown.append(number)
                number += 1

    async def consume(self) -> None:
        """Pop for ever."""
        async for message in self._queue:
            self.popped.append(int(message.text))

    async def read(self) -> None:
        """Ask what may be asked again."""
        while not self._is_over:
            await self._queue.info()
            self.reads += 1
            # As fast as that, it would take what the others need.
            await asyncio.sleep(0.005)

    async def grows(self) -> None:
        """Wait until each of the three has done something more."""
        added, popped, reads = len(self.added), len(self.popped), self.reads
        while not (  # noqa: ASYNC110 - Three tasks at once have to get on.
            len(self.added) > added + 100 and len(self.popped) > popped + 100 and self.reads > reads
        ):
            await asyncio.sleep(0.01)

    async def run(self, q: RunningQ, *, kill: bool) -> None:
        """Restart q twice under the load."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.read())
            producer = tasks.create_task(self.produce())
            consumer = tasks.create_task(self.consume())
            for _ in range(2):
                await self.grows()
                await asyncio.to_thread(q.kill if kill else q.stop)
                await asyncio.to_thread(q.start)
            await self.grows()
            self._is_over = True
            await asyncio.wait([producer])
            while self.popped[-1] < self.added[-1]:  # noqa: ASYNC110 - As above.
                await asyncio.sleep(0.01)
            consumer.cancel()


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_clients_outlive_the_server(q_server: RunningQ, kill: bool) -> None:  # noqa: FBT001
    """Calls are repeated where that is safe; no message comes twice, or out of order."""
    async with qmq.AsyncClient(q_server.address, timeout=PATIENCE_S, retry=PATIENT) as client:
        load = Load(client, await client.new_queue("mail", store="DISK"))

        await load.run(q_server, kill=kill)

    assert load.popped == sorted(set(load.popped))
    assert set(load.popped) <= {*load.added, *load.unknown}
    # A producer has one batch on its way, and this one a message in it; a consumer one pop. The
    # next one may still reach a server that is about to die as well, twice.
    assert len(load.unknown) <= 4
    lost = set(load.added) - set(load.popped)
    assert len(lost) <= (2 if kill else 0)


def test_threads_outlive_the_server(q_server: RunningQ) -> None:
    """Who waits in a pop without end is served by the server's successor."""
    with (
        qmq.Client(q_server.address, timeout=PATIENCE_S, retry=PATIENT) as client,
        ThreadPoolExecutor() as threads,
    ):
        queue = client.new_queue("mail", store="DISK")
        first = threads.submit(next, iter(queue))
        while not queue.stats().waiting:
            time.sleep(0.01)

        q_server.stop()
        read = threads.submit(queue.info)
        q_server.start()

        assert read.result().name == "mail"
        queue.add("after")
        assert first.result().text == "after"


#: What the programs below begin with.
PREAMBLE = """
    import os, sys, threading, time
    import qmq

    client = qmq.Client(sys.argv[1], timeout=10)
    queue = client.queue(sys.argv[2])

    def in_child(work):
        pid = os.fork()
        if pid == 0:
            try:
                print(work(), flush=True)
            except qmq.ClientUnusable as error:
                print("unusable:", error, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
"""


def forked(q: RunningQ, script: str, **variables: str) -> list[str]:
    """Run a program that forks, and return the lines that it and its children print."""
    with qmq.Client(q.address) as client:
        queue = client.new_queue(store="MEMORY")
        queue.add_batch(["a", "b", "c", "d"])
    done = subprocess.run(
        [sys.executable, "-c", dedent(PREAMBLE) + dedent(script), q.address, queue.queue_id],
        check=True,
        timeout=90,
        stdout=subprocess.PIPE,
        env=environment(**variables),
    )
    return done.stdout.decode().splitlines()


def test_a_client_may_be_made_before_a_fork(shared_q: RunningQ) -> None:
    """It connects at its first call, in whichever process that is."""
    script = """
        in_child(lambda: queue.pop().text)
        print(queue.pop().text)
    """

    assert forked(shared_q, script) == ["a", "b"]
    assert forked(shared_q, script, GRPC_ENABLE_FORK_SUPPORT="0") == ["a", "b"]


def test_a_client_connects_anew_after_a_fork(shared_q: RunningQ) -> None:
    """Parent and child both go on, and so does a new client in the child."""
    script = """
        print(queue.pop().text)
        in_child(lambda: queue.pop().text)
        in_child(lambda: qmq.Client(sys.argv[1]).queue(sys.argv[2]).pop().text)
        print(queue.pop().text)
    """

    assert forked(shared_q, script) == ["a", "b", "c", "d"]


def test_an_asynchronous_client_connects_anew_after_a_fork(shared_q: RunningQ) -> None:
    """If that of the parent was closed by then; in an event loop of the child's own."""
    script = """
        import asyncio

        async def pop():
            async with qmq.AsyncClient(sys.argv[1], timeout=10) as client:
                return (await client.queue(sys.argv[2]).pop()).text

        print(asyncio.run(pop()))
        in_child(lambda: asyncio.run(pop()))
        print(asyncio.run(pop()))
    """

    assert forked(shared_q, script) == ["a", "b", "c"]


def test_a_fork_right_after_a_client_was_closed_is_harmless(shared_q: RunningQ) -> None:
    """However soon: gRPC would be shutting down at that moment, and its locks be held."""
    script = """
        import asyncio

        async def ready():
            async with qmq.AsyncClient(sys.argv[1], timeout=10) as client:
                return (await client.queue(sys.argv[2]).stats()).ready

        for _ in range(100):
            asyncio.run(ready())
            in_child(lambda: asyncio.run(ready()))
    """

    assert forked(shared_q, script) == ["4"] * 100


@pytest.mark.parametrize("busy", ["a call", "an open client", "told not to prepare"])
def test_where_grpc_would_hang_the_client_says_so(shared_q: RunningQ, busy: str) -> None:
    """Forked while a call was under way, or an event loop was served, or without support."""
    preparations = {
        "a call": """
            other = client.new_queue(store="MEMORY")
            threading.Thread(target=lambda: other.pop_batch(1, wait=2)).start()
            while not other.stats().waiting:
                pass
        """,
        "an open client": """
            import asyncio
            asyncio.run(qmq.AsyncClient(sys.argv[1]).list_queues())
        """,
        "told not to prepare": "",
    }
    variables = {"GRPC_ENABLE_FORK_SUPPORT": "0"} if busy == "told not to prepare" else {}
    script = """
        print(queue.pop().text)
        in_child(lambda: queue.pop())
        in_child(lambda: qmq.Client(sys.argv[1]).queue(sys.argv[2]).pop())
        print(queue.pop().text)
    """

    lines = forked(shared_q, dedent(preparations[busy]) + dedent(script), **variables)

    assert [lines[0], lines[-1]] == ["a", "b"]
    assert len(lines) == 4
    for line in lines[1:3]:
        assert line.startswith("unusable: this process was forked while")


def test_a_producer_is_of_one_process(shared_q: RunningQ) -> None:
    """A child is told so; its parent goes on, and everything is stored once."""
    script = """
        with queue.producer() as producer:
            producer.submit("e").result()
            in_child(lambda: producer.submit("f"))
            producer.submit("g")
        print(*(message.text for message in queue.drain()))
    """

    assert forked(shared_q, script) == [
        "unusable: a producer is of no use to a forked process: make one there",
        "a b c d e g",
    ]
