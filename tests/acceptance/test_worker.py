"""Workers and a q that runs, is restarted, and is killed; and workers that are killed."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import pytest

import qmq
from tests.acceptance.running import RunningQ, environment

#: Long enough for a q to start on a machine that has other things to do.
PATIENCE_S = 80.0
PATIENT = qmq.Retry(duration=PATIENCE_S)

#: Seconds that leases last: longer than a restart takes, as a rule.
LEASE_S = 10.0


class Work:
    """A worker of numbers, and one who adds them until it is told to stop."""

    def __init__(self, queue: qmq.AsyncQueue[bytes | str]) -> None:
        self._queue = queue
        self._is_over = False
        self.added: set[int] = set()
        #: Whose answer was lost.
        self.unknown: set[int] = set()
        self.done: list[int] = []
        self.worker = queue.worker(concurrency=4, prefetch=8)(self._work)

    async def _work(self, message: qmq.AsyncLeasedMessage[bytes | str]) -> None:
        await asyncio.sleep(0.001)
        self.done.append(int(message.text))

    async def _produce(self) -> None:
        number = 0
        async with self._queue.producer() as producer:
            while not self._is_over:
                try:
                    await producer.add(str(number))
                    self.added.add(number)
                except qmq.ConnectionLost:
                    self.unknown.add(number)
                number += 1

    async def _grows(self) -> None:
        """Wait until there is more of everything."""
        added, done = len(self.added), len(self.done)
        while not (  # noqa: ASYNC110 - Two tasks at once have to get on.
            len(self.added) > added + 100 and len(self.done) > done + 100
        ):
            await asyncio.sleep(0.01)

    async def run(self, q: RunningQ, *, kill: bool) -> None:
        """Restart q twice under the load."""
        async with asyncio.TaskGroup() as tasks:
            producer = tasks.create_task(self._produce())
            tasks.create_task(self.worker.run())
            for _ in range(2):
                await self._grows()
                await asyncio.to_thread(q.kill if kill else q.stop)
                await asyncio.to_thread(q.start)
            await self._grows()
            self._is_over = True
            await asyncio.wait([producer])
            stats = await self._queue.stats()
            while stats.ready or stats.leased:
                await asyncio.sleep(0.01)
                stats = await self._queue.stats()
            self.worker.stop()


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_a_worker_outlives_the_server(q_server: RunningQ, kill: bool) -> None:  # noqa: FBT001
    """Each message is worked on and acked, though its lease began before the restart."""
    async with qmq.AsyncClient(q_server.address, timeout=PATIENCE_S, retry=PATIENT) as client:
        settings = qmq.QueueSettings(lease_duration=LEASE_S)
        queue = await client.new_queue("mail", store="DISK", settings=settings)
        work = Work(queue)

        await work.run(q_server, kill=kill)

        left = [message async for message in queue.browse()]

    assert left == []
    assert work.added <= set(work.done) <= work.added | work.unknown
    # Twice comes only what was leased when q was killed, and the answer was lost: two
    # times what a consumer asks for at a time. Or all that it held, if a restart took long.
    assert len(work.done) - len(set(work.done)) <= 2 * 2 * 12


#: A program whose worker says what it does, and works on a message until it is told to go on.
PROGRAM = """
    import sys
    import qmq

    client = qmq.Client(sys.argv[1])

    @client.queue(sys.argv[2]).worker(concurrency=2, prefetch=2, consumer="the program")
    def work(message):
        print(f"begun {message.text}\\n", end="", flush=True)
        sys.stdin.readline()
        print(f"done {message.text}\\n", end="", flush=True)

    work.run(grace=20)
    print("over", flush=True)
"""

#: The same with asyncio.
ASYNC_PROGRAM = """
    import asyncio
    import sys
    import qmq

    async def main():
        async with qmq.AsyncClient(sys.argv[1]) as client:

            @client.queue(sys.argv[2]).worker(concurrency=2, prefetch=2, consumer="the program")
            async def work(message):
                print(f"begun {message.text}\\n", end="", flush=True)
                await asyncio.to_thread(sys.stdin.readline)
                print(f"done {message.text}\\n", end="", flush=True)

            await work.run(grace=20)
            print("over", flush=True)

    asyncio.run(main())
"""


@contextmanager
def running(
    program: str, q: RunningQ, queue: qmq.Queue[bytes | str]
) -> Iterator["subprocess.Popen[str]"]:
    """Run a program whose worker has begun with two messages."""
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(program), q.address, queue.queue_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    with process:
        try:
            assert process.stdout
            begun = {process.stdout.readline() for _ in range(2)}
            assert begun == {"begun 0\n", "begun 1\n"}
            yield process
        finally:
            process.kill()


@pytest.fixture
def client(shared_q: RunningQ) -> Iterator[qmq.Client]:
    """A client of the q that tests share."""
    with qmq.Client(shared_q.address) as client:
        yield client


@pytest.fixture
def queue(client: qmq.Client) -> qmq.Queue[bytes | str]:
    """A queue with ten messages, whose leases are short."""
    queue = client.new_queue(store="DISK", settings=qmq.QueueSettings(lease_duration=4))
    queue.add_batch([str(n) for n in range(10)])
    return queue


@pytest.mark.parametrize("program", [PROGRAM, ASYNC_PROGRAM], ids=["threads", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_finishes_what_it_has_begun(
    shared_q: RunningQ, queue: qmq.Queue[bytes | str], program: str, number: signal.Signals
) -> None:
    """And nothing else: what it had leased ahead is ready at once."""
    with running(program, shared_q, queue) as process:
        process.send_signal(number)
        while (stats := queue.stats()).leased > 2:
            pass
        assert (stats.ready, stats.leased) == (8, 2)

        output, _ = process.communicate("\n\n", timeout=60)

    assert process.returncode == 0
    assert sorted(output.splitlines()) == ["done 0", "done 1", "over"]
    assert output.endswith("over\n")
    stats = queue.stats()
    assert (stats.ready, stats.leased, stats.acked_total) == (8, 0, 2)


@pytest.mark.parametrize("program", [PROGRAM, ASYNC_PROGRAM], ids=["threads", "asyncio"])
def test_a_second_signal_ends_it_at_once(
    shared_q: RunningQ, queue: qmq.Queue[bytes | str], program: str
) -> None:
    """As it would end any other program."""
    with running(program, shared_q, queue) as process:
        process.send_signal(signal.SIGTERM)
        while queue.stats().leased > 2:
            pass
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == -signal.SIGTERM


@pytest.mark.parametrize("program", [PROGRAM, ASYNC_PROGRAM], ids=["threads", "asyncio"])
def test_messages_of_a_killed_worker_come_back(
    shared_q: RunningQ, queue: qmq.Queue[bytes | str], program: str
) -> None:
    """In their order, when their leases have ended, which went on while it lived."""
    with running(program, shared_q, queue) as process:
        assert len(queue.pop_batch(10)) == 6
        assert queue.lease(wait=4.5) == []
        process.kill()
        back = queue.lease(10, wait=60, lease_duration=60)

    while len(back) < 4:
        back += queue.lease(10, wait=60, lease_duration=60)
    assert [message.text for message in back] == ["0", "1", "2", "3"]
    for message in back:
        assert message.delivery_count == 2
        (attempt,) = message.attempts
        assert (attempt.consumer, attempt.outcome) == ("the program", qmq.Outcome.EXPIRED)


def test_a_consumer_is_of_one_process(shared_q: RunningQ, queue: qmq.Queue[bytes | str]) -> None:
    """A child is told so, and ends nothing that is its parent's."""
    script = """
        import os, sys
        import qmq

        queue = qmq.Client(sys.argv[1]).queue(sys.argv[2])
        pid = None
        with queue.consume(lease_duration=60) as messages:
            message = next(messages)
            queue.stats()
            pid = os.fork()
            if pid == 0:
                try:
                    next(messages)
                except qmq.ClientUnusable as error:
                    print(error, flush=True)
        if pid == 0:
            print("left", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(queue.stats().acked_total)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script), shared_q.address, queue.queue_id],
        check=True,
        timeout=30,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )

    assert done.stdout.splitlines() == [
        "a consumer is of no use to a forked process: make one there",
        "left",
        "1",
    ]
