"""How q ends: in order, with every answer given."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import Http2Client, frame
from tests.acceptance.load import Load
from tests.acceptance.rest import rest
from tests.acceptance.running import DRAIN_S, RunningQ
from tests.acceptance.stock import connected

LIST = "/proto.Q/ListQueues"
WRITERS = 16


def quit_by_http(q: RunningQ) -> None:
    """Ask on the metrics port."""
    reply = rest(q.metrics_address, "POST", "/quitquitquit", headers={})
    assert (reply.status, reply.body) == (200, b"quitting\n")


def by_term(q: RunningQ) -> None:
    """As an orchestrator does."""
    os.kill(q.pid, signal.SIGTERM)


def by_int(q: RunningQ) -> None:
    """As a person does in a terminal."""
    os.kill(q.pid, signal.SIGINT)


Ending = Callable[[RunningQ], None]
EACH_WAY = pytest.mark.parametrize("end", [by_term, by_int, quit_by_http])


def messages(q: RunningQ) -> list[str]:
    """What q has logged since its start, by message."""
    return [line.split('"msg": "')[1].split('"')[0] for line in q.log.splitlines()]


@EACH_WAY
def test_q_ends_in_order(q_server: RunningQ, end: Ending) -> None:
    """It exits with 0, at once if nothing is in flight, and says that it ends and has ended."""
    start = time.monotonic()

    end(q_server)

    assert q_server.wait() == 0
    assert time.monotonic() - start < DRAIN_S
    assert messages(q_server) == ["serving", "shutting down", "stopped"]
    assert q_server.errors == ""


@EACH_WAY
def test_call_in_flight_is_answered(q_server: RunningQ, end: Ending) -> None:
    """A call whose request is still on its way is answered; nobody new gets in."""
    host, _, port = q_server.address.rpartition(":")
    with Http2Client(q_server.address) as raw:
        slow = raw.open(LIST)
        raw.send(slow, frame(b"")[:2])
        raw.ping()
        end(q_server)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.01)
        metrics = rest(q_server.metrics_address, "GET", "/metrics", headers={})
        raw.send(slow, frame(b"")[2:], end=True)

        assert raw.reply(slow).code == 0
    assert metrics.status == 200
    assert q_server.wait() == 0


def test_large_reply_arrives_whole(q_server: RunningQ) -> None:
    """A client that reads slowly gets what it was answered, to the last byte."""
    with connected(q_server.address) as client:
        queue_id = client.made()
        client.put(queue_id, b"x" * 4_000_000)
    request = frame(pb.PopRequest(queue_id=queue_id).SerializeToString())
    with Http2Client(q_server.address) as raw:
        stream = raw.open("/proto.Q/Pop")
        raw.send(stream, request, end=True)
        while not raw.replies[stream].body:
            raw.receive()
        by_term(q_server)
        reply = raw.reply(stream)

    assert reply.code == 0
    assert len(pb.PopResponse.FromString(reply.messages[0]).message.payload) == 4_000_000
    assert q_server.wait() == 0


def test_acknowledged_messages_are_kept(q_server: RunningQ) -> None:
    """Under load, what was acknowledged before the end is there after a start, once."""
    with connected(q_server.address) as client, ThreadPoolExecutor(WRITERS) as threads:
        queue_id = client.made(pb.Queue.DISK)
        load = Load(client)
        writing = [threads.submit(load.write, queue_id, writer) for writer in range(WRITERS)]
        load.await_enough(500)
        by_term(q_server)
        assert q_server.wait() == 0
        for writer in writing:
            writer.result()

    q_server.start()
    with connected(q_server.address) as client:
        found = [message.meta.id for message in client.drain(queue_id)]

    acknowledged = {message.meta.id for messages in load.added.values() for message in messages}
    assert len(acknowledged) >= 500
    assert len(set(found)) == len(found)
    assert acknowledged <= set(found)


def test_call_that_does_not_end_is_cut_off(q_server: RunningQ) -> None:
    """Q waits for as long as it was told and not longer; it still exits with 0."""
    q_server.stop()
    q_server.start("--drain-timeout=0.3")
    with Http2Client(q_server.address) as raw:
        raw.send(raw.open(LIST), frame(b"")[:2])
        raw.ping()
        start = time.monotonic()
        by_term(q_server)

        assert q_server.wait() == 0
    assert 0.3 <= time.monotonic() - start < DRAIN_S
    assert "requests in flight are cut off" in messages(q_server)


def test_second_signal_cuts_off(q_server: RunningQ) -> None:
    """Who signals twice does not want to wait."""
    with Http2Client(q_server.address) as raw:
        raw.send(raw.open(LIST), frame(b"")[:2])
        raw.ping()
        start = time.monotonic()
        by_term(q_server)
        deadline = start + DRAIN_S
        while "shutting down" not in messages(q_server):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        by_int(q_server)

        assert q_server.wait() == 0
    assert time.monotonic() - start < DRAIN_S
    assert "second signal: requests in flight are cut off" in messages(q_server)


def test_hup_is_no_end(q_server: RunningQ) -> None:
    """The original died of it; q goes on, with what it has."""
    with connected(q_server.address) as client:
        queue_id = client.made()
        client.put(queue_id, b"known")
        os.kill(q_server.pid, signal.SIGHUP)
        deadline = time.monotonic() + 60
        while "nothing to reload" not in messages(q_server):
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert [popped.payload for popped in client.drain(queue_id)] == [b"known"]
    q_server.stop()


def address_of_this_machine() -> str | None:
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks for the route to a documentation address.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        host = str(probe.getsockname()[0])
    return None if host.startswith("127.") else host


@pytest.mark.parametrize("quit_from", ["loopback", "any"])
def test_who_may_quit_over_http(q_server: RunningQ, quit_from: str) -> None:
    """Only callers on this machine, unless q is told otherwise."""
    host = address_of_this_machine()
    if host is None:
        pytest.skip("this machine has no address but loopback")
    port = q_server.metrics_address.rpartition(":")[2]
    q_server.stop()
    q_server.start(f"--metrics=0.0.0.0:{port}", f"--quit-from={quit_from}", "--insecure")

    reply = rest(f"{host}:{port}", "POST", "/quitquitquit", headers={})

    if quit_from == "any":
        assert (reply.status, q_server.wait()) == (200, 0)
    else:
        assert reply.status == 403
        q_server.stop()
