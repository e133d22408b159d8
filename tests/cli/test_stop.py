"""Ctrl-C and SIGTERM, once and twice."""

import os
import signal
import subprocess
import threading
import time

import grpc
import pytest

from qmq.cli.stop import Interrupted, Stop
from tests.acceptance.command_line import running_qcli
from tests.client.conftest import Peer, peer

__all__ = ["peer"]  # A fixture.


def interrupt(number: int = signal.SIGINT) -> None:
    """Send this process a signal, which Python handles before it goes on."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_at_once_what_can_be_ended(number: int, status: int) -> None:
    """With the status that a shell has for it."""
    with Stop(), pytest.raises(Interrupted) as ended:
        interrupt(number)

    assert ended.value.exit_code == status


def test_what_must_not_be_ended_comes_to_its_end() -> None:
    """And then it is over."""
    done = []

    def work(stop: Stop) -> None:
        with stop.deferred():
            interrupt()
            done.append("deferred")
        done.append("more")

    with Stop() as stop, pytest.raises(Interrupted):
        work(stop)

    assert done == ["deferred"]


def test_a_second_signal_ends_that_too() -> None:
    """Somebody insists."""
    done = []

    def work(stop: Stop) -> None:
        with stop.deferred():
            interrupt(signal.SIGTERM)
            done.append("first")
            interrupt(signal.SIGINT)
            done.append("second")

    with Stop() as stop, pytest.raises(Interrupted) as ended:
        work(stop)

    assert (done, ended.value.exit_code) == (["first"], 143)


def test_what_looks_for_itself_is_not_ended() -> None:
    """It can see that somebody insists."""
    seen = []

    def work(stop: Stop) -> None:
        with stop.deferred():
            with stop.held():
                for _ in range(3):
                    seen.append(stop.insists)
                    interrupt()
            seen.append(stop.insists)

    with Stop() as stop, pytest.raises(Interrupted):
        work(stop)

    assert seen == [False, False, True, True]


def test_somebody_is_told_of_each_signal() -> None:
    """While the work comes to its end elsewhere, whichever thread the signal comes to."""
    told: list[bool] = []
    seen = threading.Semaphore(0)

    def tell() -> None:
        told.append(stop.insists)
        seen.release()

    def work() -> None:
        for _ in range(2):
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            assert seen.acquire(timeout=60)

    with Stop() as stop, pytest.raises(Interrupted) as ended:
        stop.attend(work, tell)

    assert (told, ended.value.exit_code) == ([False, True], 143)


def test_what_is_attended_may_fail() -> None:
    """Which is told, and not that somebody interrupted."""
    told = threading.Event()

    def work() -> None:
        interrupt()
        assert told.wait(timeout=60)
        raise ValueError("no")

    with Stop() as stop, pytest.raises(ValueError, match="no"):
        stop.attend(work, told.set)


def test_what_is_attended_may_end() -> None:
    """Without any signal."""
    done = []

    with Stop() as stop:
        stop.attend(lambda: done.append("it"), lambda: done.append("told"))

    assert done == ["it"]


def test_an_error_is_not_hidden_by_a_signal() -> None:
    """What failed is what is told."""

    def work(stop: Stop) -> None:
        with stop.deferred():
            interrupt()
            raise ValueError

    with Stop() as stop, pytest.raises(ValueError, match=r"^$"):
        work(stop)


def test_what_handled_signals_before_does_so_again() -> None:
    """Also what ignored them goes on ignoring them, as under nohup."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    own = signal.getsignal(signal.SIGINT)
    try:
        with Stop():
            interrupt(signal.SIGTERM)
            during = signal.getsignal(signal.SIGINT)

        assert during is not own
        assert signal.getsignal(signal.SIGINT) is own
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_server_that_does_not_answer_is_not_waited_for_twice(peer: Peer) -> None:
    """The first Ctrl-C waits for the answer; the second says what is not known."""
    is_over = threading.Event()

    def answer(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        if peer.asked[-1][0] == "/proto.Q/AddBatch":
            is_over.wait(60)
        return b""

    peer.answer = answer
    try:
        with running_qcli(peer.address, "add", "jobs", "--lines", "--skip", "1") as running:
            running.stdin.write(b"a\nb\nc\n")
            running.stdin.flush()
            while peer.asked[-1:] == [] or peer.asked[-1][0] != "/proto.Q/AddBatch":
                time.sleep(0.01)
            running.process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                running.process.wait(1.5)

            status, said = running.end(signal.SIGINT)
    finally:
        is_over.set()

    assert said == (
        "qcli: error: interrupted; the first line is stored; the next 2 may be, since their"
        " answer was lost; to go on, give the same lines with --skip 1\n"
    )
    assert status == 130
