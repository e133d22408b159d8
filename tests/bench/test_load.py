"""A load generator times what its users would wait for, and tells it whole."""

import socket
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from suite.load import Generator, Job, Report, read_report, serve
from suite.wires.wire import WireError


@contextmanager
def tubes(first_answer_after: int) -> Iterator[int]:
    """Serve puts of one connection as beanstalkd does, but be silent until so many have come."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            seen = answered = 0
            while data := connection.recv(65_536):
                if data.startswith(b"use"):
                    connection.sendall(b"USING a\r\n")
                seen += data.count(b"put")
                if seen >= first_answer_after:
                    connection.sendall(b"INSERTED 1\r\n" * (seen - answered))
                    answered = seen

    server = threading.Thread(target=answer)
    server.start()
    with listener:
        yield listener.getsockname()[1]
    server.join()


def job(port: int, *, operations: int, rate: float = 0) -> Job:
    """Make a job of puts on one connection."""
    return Job(
        server="beanstalkd",
        port=port,
        queues=["a"],
        kinds=["add"],
        connections=1,
        streams=4,
        batch=1,
        payload_bytes=4,
        operations_max=operations,
        seconds=10,
        rate=rate,
    )


def done(one: Job) -> Report:
    """Do a job in this process."""
    with Generator(one) as generator:
        return generator.run()


def test_latency_begins_when_an_operation_is_due() -> None:
    """A server that is silent for 50 operations makes each of them wait, not the first alone."""
    with tubes(first_answer_after=50) as port:
        found = done(job(port, operations=100, rate=1_000))

    times = found.latencies["add"]
    assert len(times) == 100
    # The first one was due 49 ms before the server spoke, the 25th half of that.
    assert times[0] >= 0.049
    assert times[25] >= 0.024
    assert found.ended - found.started >= 0.099


def test_closed_loop_stops_at_its_last_operation() -> None:
    """No more are started than were asked for, and all of them are timed."""
    with tubes(first_answer_after=1) as port:
        found = done(job(port, operations=103))

    assert len(found.latencies["add"]) == 103


def test_generator_dies_with_its_server() -> None:
    """What was not answered is no result."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, Generator(job(listener.getsockname()[1], operations=1)) as generator:
        connection, _ = listener.accept()
        connection.close()

        with pytest.raises((WireError, OSError)):
            generator.run()


def test_report_comes_back_as_it_was_written() -> None:
    """Each latency of it."""
    written = bytearray()
    with tubes(first_answer_after=1) as port:
        lines = iter([job(port, operations=5).to_json(), b"go\n"])
        serve(lambda: next(lines), written.extend)

    ready, head, times = bytes(written).split(b"\n", 2)
    found = read_report(lambda: head, lambda count: times[:count])
    assert ready == b"ready"
    assert len(found.latencies["add"]) == 5
    assert found.latencies["add"] == array("d", times)


def test_failure_is_told_instead_of_a_report() -> None:
    """Nobody listens there."""
    written = bytearray()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        line = job(free.getsockname()[1], operations=1).to_json()
        serve(lambda: line, written.extend)

    with pytest.raises(WireError, match="refused"):
        read_report(lambda: bytes(written), bytes)


def test_generator_that_died_is_an_error() -> None:
    """It has written nothing."""
    with pytest.raises(WireError, match="died"):
        read_report(lambda: b"", bytes)
