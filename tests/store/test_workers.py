"""The thread that takes turns beside the event loop."""

import threading

from qmq.store.local.workers import WorkerThread, for_ever

#: A test that waits for this long waits for something that does not come.
_WAIT_S = 10


def test_it_takes_a_turn_after_each_call_and_those_before_its_end() -> None:
    """In a thread of its own, one after the other."""
    threads: list[threading.Thread] = []

    def turn() -> bool:
        threads.append(threading.current_thread())
        return True

    worker = WorkerThread("worker", turn, for_ever)
    for _ in range(3):
        worker.call()
    worker.end()
    worker.join()
    worker.call()

    assert [each.name for each in threads] == ["worker"] * 3
    assert not threads[0].is_alive()


def test_it_takes_a_turn_by_itself_when_nobody_has_called_for_a_time() -> None:
    """As often as that happens."""
    turns = 0
    enough = threading.Event()

    def turn() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            enough.set()
        return True

    worker = WorkerThread("worker", turn, lambda: 0.001)
    assert enough.wait(_WAIT_S)
    worker.end()
    worker.join()


def test_turn_can_be_the_last() -> None:
    """Whatever it was called for besides."""
    turns = 0

    def turn() -> bool:
        nonlocal turns
        turns += 1
        return False

    worker = WorkerThread("worker", turn, for_ever)
    worker.call()
    worker.call()
    worker.join()

    assert turns == 1
