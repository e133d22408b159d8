"""A message that is damaged on disk: who reads it is told, and the rest of its queue goes on."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from qmq.errors import DataLoss, QError, QueueEmpty
from qmq.model.check import problems_of
from qmq.model.redrive import RedriveRequest, RedriveState
from qmq.values import Store
from qmq.wire import q_pb2 as pb
from tests.engine.consumers import lease
from tests.engine.redrives import ended
from tests.engine.servers import Server
from tests.store.disk import sweep

#: So much that what is in the middle is on a page of its own, which a start does not read.
LARGE = 10_000

#: How the payloads begin.
_MARKS = (b"first", b"second", b"third")


class Damaged(Server):
    """A server that has three large messages in a queue, the second of which is damaged."""

    def __init__(self, data: Path) -> None:
        super().__init__(Store.DISK, data)
        #: Of the messages.
        self.ids: list[str] = []


@pytest.fixture
async def server(tmp_path: Path) -> Damaged:
    """Return one that has begun."""
    server = Damaged(tmp_path / "data")
    await server.start()
    await server.new_queue("dead")
    await server.new_queue("jobs", dead_letter_queue_id="dead", delivery_count_max=1)
    server.ids = [(await server.put(payload(mark))).meta.id for mark in _MARKS]
    await server.end()
    damage(server.data / "q.db", b"middle of second")
    # Nothing is cached after a restart.
    await server.start()
    return server


def payload(mark: bytes) -> bytes:
    """Return the payload of a message that begins with its mark."""
    return mark + bytes(LARGE) + b"middle of " + mark + bytes(LARGE)


def damage(path: Path, text: bytes) -> None:
    """Change a byte of a text that stands in a file once."""
    content = bytearray(path.read_bytes())
    assert content.count(text) == 1
    content[content.find(text)] ^= 1
    path.write_bytes(content)


def payloads(envelopes: Sequence[bytes]) -> list[bytes]:
    """Return the beginnings of payloads."""
    return [pb.Message.FromString(each).payload[:6].strip(b"\0") for each in envelopes]


async def test_pop_of_a_damaged_message_is_told_and_the_next_one_comes(server: Server) -> None:
    """It has left the queue, which holds up nobody."""
    broker = server.broker
    first = await broker.pop("jobs")
    with pytest.raises(DataLoss, match="damaged"):
        await broker.pop("jobs")
    third = await broker.pop("jobs")
    with pytest.raises(QueueEmpty):
        await broker.pop("jobs")
    await server.end()

    assert payloads([first, third]) == [b"first", b"third"]


async def test_pop_of_several_returns_the_others(server: Server) -> None:
    """They have left the queue, so they are not to be lost by it."""
    popped = await server.broker.pop_batch("jobs", 3)
    await server.end()

    assert payloads(popped) == [b"first", b"third"]


async def test_damaged_message_is_there_again_after_a_restart(server: Server) -> None:
    """Its row is left alone: a disk may come to itself; those that were handed out are gone."""
    await server.broker.pop_batch("jobs", 3)
    await server.start_again()
    count = server.broker.catalog.find("jobs").message_count
    with pytest.raises(DataLoss):
        await server.broker.pop("jobs")
    await server.end()

    assert count == 1


async def test_lease_of_a_damaged_message_sets_it_aside(server: Server) -> None:
    """The call fails; the others of it are leased again when their leases have ended."""
    with pytest.raises(DataLoss):
        await lease(server.broker, 3)
    await server.pass_time(31)
    dead = await server.dead()
    count = server.broker.catalog.find("jobs").message_count
    await server.end()

    assert [payload[:6].strip(b"\0") for payload, _ in dead] == [b"first", b"third"]
    assert count == 0


async def test_peek_at_a_damaged_message_shows_the_next_one_from_then_on(server: Server) -> None:
    """What cannot be shown does not hide what is behind it."""
    await server.broker.pop("jobs")
    with pytest.raises(DataLoss):
        await server.broker.peek("jobs")
    shown = await server.broker.peek("jobs")
    problems = problems_of(server.broker.catalog.find("jobs"))
    await server.end()

    assert payloads([shown]) == [b"third"]
    assert problems == []


async def test_what_stands_behind_a_damaged_message_can_be_deleted_and_moved(
    server: Damaged,
) -> None:
    """Ids are looked for in all that can be read; what is not there may be what cannot."""
    picking, (first, _, third) = server.broker.picking, server.ids

    results = [
        *await picking.delete("jobs", [first]),
        *await picking.move("jobs", [third], "dead"),
    ]
    with pytest.raises(DataLoss):
        await picking.delete("jobs", [first])
    moved = await server.broker.peek("dead")
    await server.end()

    assert not any(isinstance(result, QError) for result in results)
    assert payloads([moved]) == [b"third"]


async def test_redrive_goes_past_a_damaged_message(server: Server) -> None:
    """Which stays where it is."""
    await server.new_queue("fixed")
    request = RedriveRequest(queue_id="jobs", target_queue_id="fixed")

    redrive = await ended(server.broker, await server.broker.redriving.start(request))
    moved = await server.broker.pop_batch("fixed", 3)
    left = server.broker.catalog.find("jobs").message_count
    await server.end()

    assert (redrive.state, redrive.moved, left) == (RedriveState.DONE, 2, 1)
    assert payloads(moved) == [b"first", b"third"]


async def test_rows_that_cannot_be_removed_hold_up_no_commit(tmp_path: Path) -> None:
    """A message that was popped from the cache stays gone, though its row cannot be removed."""
    server = Server(Store.DISK, tmp_path / "data")
    await server.start()
    await server.new_queue("jobs")
    for mark in _MARKS:
        await server.put(payload(mark))
    await server.broker.pop_batch("jobs", 2)
    await server.end()
    damage(server.data / "q.db", b"middle of second")

    await sweep_what_can_be(server.data)
    await server.start()
    left = await server.broker.pop_batch("jobs", 3)
    await server.end()

    assert payloads(left) == [b"third"]


async def sweep_what_can_be(data: Path) -> None:
    """Have rows removed, but for the one that is damaged."""
    with pytest.raises(AssertionError):
        # That there is nothing more to be removed is not so.
        await sweep(data)
