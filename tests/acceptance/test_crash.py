"""kill -9 in the middle of work: what was acknowledged is there, once and in order."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import grpc
import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.load import Load
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import connected, refused

QUEUES = 8
WRITERS = 64
POPPERS = 16
BATCHERS = 16
#: Acknowledged messages after which q is killed.
ENOUGH = 600


def kill_under_load(
    q: RunningQ, tasks: Callable[[Load], list[Callable[[], None]]], enough: int = ENOUGH
) -> Load:
    """Run tasks in a thread each, kill q after so many answers, and start it again."""
    with connected(q.address) as client:
        load = Load(client)
        work = tasks(load)
        with ThreadPoolExecutor(len(work)) as threads:
            running = [threads.submit(task) for task in work]
            load.await_enough(enough)
            q.kill()
            for future in running:
                future.result()
    q.start()
    return load


def drained(q: RunningQ, queue_ids: list[str]) -> list[list[pb.Message]]:
    """All messages of each queue, in order."""
    with connected(q.address) as client, ThreadPoolExecutor(len(queue_ids)) as threads:
        return list(threads.map(client.drain, queue_ids))


def numbers_by_writer(messages: list[pb.Message]) -> dict[int, list[int]]:
    """The numbers of messages in the order found, by writer."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for message in messages:
        writer, number, _ = message.payload.split(b"/", 2)
        found[int(writer)].append(int(number))
    return found


def test_acknowledged_messages_survive(q_server: RunningQ) -> None:
    """Round after round: each acknowledged message is there once, in order, as it was answered."""
    with connected(q_server.address) as client:
        queue_ids = [client.made(pb.Queue.DISK) for _ in range(QUEUES)]

    for _ in range(2):
        load = kill_under_load(
            q_server,
            lambda load: [
                partial(load.write, queue_ids[writer % QUEUES], writer) for writer in range(WRITERS)
            ],
        )
        found = drained(q_server, queue_ids)

        assert len(load.added) == WRITERS
        for queue, messages in enumerate(found):
            numbers = numbers_by_writer(messages)
            by_id = {message.meta.id: message for message in messages}
            assert len(by_id) == len(messages)
            for writer in range(queue, WRITERS, QUEUES):
                acknowledged = load.added[writer]
                # The last one may have been stored without its acknowledgement getting out.
                in_order = list(range(len(numbers[writer])))
                assert numbers[writer] == in_order
                assert len(in_order) - len(acknowledged) in {0, 1}
                assert [by_id.get(message.meta.id) for message in acknowledged] == acknowledged


@pytest.mark.parametrize("size", [7, 200])
def test_batches_are_whole_or_not_at_all(q_server: RunningQ, size: int) -> None:
    """Acknowledged ones are there, and of the others all or nothing; none mixes with another."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)

    for _ in range(2):
        load = kill_under_load(
            q_server,
            lambda load: [
                partial(load.write_batches, queue_id, writer, size) for writer in range(BATCHERS)
            ],
            ENOUGH // size + BATCHERS,
        )
        found = drained_in_batches(q_server, queue_id)

        assert len(found) % size == 0
        batches = [found[at : at + size] for at in range(0, len(found), size)]
        by_writer: defaultdict[int, list[list[pb.Message]]] = defaultdict(list)
        for batch in batches:
            [(writer, numbers)] = numbers_by_writer(batch).items()
            first = len(by_writer[writer]) * size
            assert numbers == list(range(first, first + size))
            by_writer[writer].append(batch)
        for writer, acknowledged in load.batches.items():
            stored = [[message.meta for message in batch] for batch in by_writer[writer]]
            # The last one may have been stored without its acknowledgement getting out.
            assert stored[: len(acknowledged)] == acknowledged
            assert len(stored) - len(acknowledged) in {0, 1}


def drained_in_batches(q: RunningQ, queue_id: str) -> list[pb.Message]:
    """All messages of a queue, in order."""
    found: list[pb.Message] = []
    with connected(q.address) as client:
        while batch := client.pop_batch(queue_id=queue_id, messages_max=1_000).messages:
            found += batch
    return found


def test_popped_messages_stay_popped(q_server: RunningQ) -> None:
    """What a Pop has handed out does not come back; nothing is lost but what a Pop was taking."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)
        load = Load(client)

    for _ in range(2):
        load = kill_under_load(
            q_server,
            lambda load: [
                *(partial(load.write, queue_id, writer) for writer in range(2 * POPPERS)),
                *[partial(load.pop, queue_id)] * POPPERS,
            ],
        )
        [left] = drained(q_server, [queue_id])

        added = {message.meta.id for messages in load.added.values() for message in messages}
        popped = [message.meta.id for message in load.popped]
        stayed = [message.meta.id for message in left]
        assert len(popped) > 100
        assert len(set(popped + stayed)) == len(popped) + len(stayed)
        assert len(added - {*popped, *stayed}) <= POPPERS
        for numbers in numbers_by_writer(left).values():
            assert numbers == sorted(numbers)


def test_memory_queues_end_with_the_process(q_server: RunningQ) -> None:
    """DISK queues come back as they were, MEMORY queues do not."""
    tags = [pb.Tag(key="k", value="1"), pb.Tag(key="k", value="2")]
    with connected(q_server.address) as client:
        client.put(client.made(name="memory"), b"x")
        disk = client.new_queue(store=pb.Queue.DISK, name="disk", limit=2, tags=tags).queue
        client.delete_queue_tag(queue_id="disk", tag=tags[0])
        client.add_queue_tag(queue_id="disk", tag=pb.Tag(key="l"))
        client.put("disk", b"1", b"2")
    q_server.kill()
    q_server.start()

    with connected(q_server.address) as client:
        listed = list(client.list_queues().queues)
        full = refused(client.add, queue_id="disk")
        refusal = refused(client.peek, queue_id="memory")

        assert [popped.payload for popped in client.drain("disk")] == [b"1", b"2"]

    del disk.meta.tags[0]
    disk.meta.tags.add(key="l")
    assert listed == [disk]
    assert full.message == f"queue {disk.meta.id} has reached limit of 2 messages"
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def big_queue(q_server: RunningQ) -> str:
    """A DISK queue with 50,000 messages."""
    batch = [pb.NewMessage(payload=bytes(64))] * 1_000
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK, name="big")
        for _ in range(50):
            client.add_batch(queue_id=queue_id, messages=batch)
    return queue_id


def messages_on_disk(q: RunningQ) -> int:
    """End q and count the messages in its database."""
    q.stop()
    with closing(sqlite3.connect(q.data / "q.db")) as database:
        [count] = database.execute("select count(*) from message").fetchone()
    return int(count)


def test_deleted_queue_stays_deleted(q_server: RunningQ, big_queue: str) -> None:
    """Killed right after the deletion of a big queue, q comes back without it, and cleans up."""
    with connected(q_server.address) as client:
        kept = client.made(pb.Queue.DISK)
        client.put(kept, b"1")
        client.delete_queue(queue_id=big_queue)
    q_server.kill()
    q_server.start()
    took_s = q_server.cpu_s

    with connected(q_server.address) as client:
        client.put(kept, b"2")
        assert [queue.meta.id for queue in client.list_queues().queues] == [kept]
        assert refused(client.pop, queue_id=big_queue).code == grpc.StatusCode.NOT_FOUND
        assert client.pop(queue_id=kept).message.payload == b"1"
    assert took_s < 5
    # What is left of the deleted queue is removed by and by, some rows with each commit.
    with connected(q_server.address) as client:
        for _ in range(200):
            client.put(kept, b"3")
            client.pop(queue_id=kept)
    assert messages_on_disk(q_server) < 1_000
