"""SIGHUP reads the configuration file anew: asked of the real q and qrest."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ, free_ports
from tests.acceptance.serving import Serving, SlowRequest

Start = Callable[..., Serving]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program with arguments on a port of its own, and kills it if it still runs."""
    started: list[Serving] = []

    def start_program(name: str, *arguments: str) -> Serving:
        (port,) = free_ports(1)
        listen = f"--listen=127.0.0.1:{port}"
        started.append(Serving(tmp_path, name, listen, *arguments, ports=[port]))
        return started[-1]

    yield start_program
    for each in started:
        each.kill()


def new_queue(address: str) -> int:
    """Make a queue, and return the HTTP status."""
    return rest(address, "POST", "/v1/queues", {"store": "MEMORY"}).status


def reloaded(process: Serving) -> dict[str, object]:
    """Have a program read its file anew, and return what it says of that."""
    before = len(process.lines)
    process.signal(signal.SIGHUP)
    process.wait_until(lambda: len(process.lines) > before)
    return process.lines[before]


def test_what_changes_in_the_file_is_taken_over_or_named(start: Start, tmp_path: Path) -> None:
    """Without a restart; what needs one, and what flags say, is left alone."""
    file = tmp_path / "q.toml"
    file.write_text("queues_max = 1\nconnections_max = 9\n", "utf-8")
    q = start("q", f"--config={file}", "--data=none", "--metrics=127.0.0.1:0", "--drain-timeout=7")
    assert [new_queue(q.address), new_queue(q.address)] == [200, 429]

    file.write_text("queues_max = 2\nconnections_max = 8\ndrain_timeout = 1\n", "utf-8")
    told = reloaded(q)

    assert told["msg"] == "configuration reloaded"
    assert told["changed"] == {"queues_max": "2"}
    assert told["needs_restart"] == {"connections_max": "8"}
    assert [new_queue(q.address), new_queue(q.address)] == [200, 429]


def test_a_faulty_file_changes_nothing(start: Start, tmp_path: Path) -> None:
    """It is said what is wrong with it, and what held before holds still."""
    file = tmp_path / "q.toml"
    file.write_text("queues_max = 1\n", "utf-8")
    q = start("q", f"--config={file}", "--data=none", "--metrics=127.0.0.1:0")

    file.write_text("queues_max = 2\ndebugg = true\n", "utf-8")
    told = reloaded(q)

    assert told["level"] == "error"
    assert told["faults"] == [f"{file}:2: debugg: there is no such option; did you mean debug?"]
    assert [new_queue(q.address), new_queue(q.address)] == [200, 429]


def test_calls_are_logged_from_when_the_file_says_so(start: Start, tmp_path: Path) -> None:
    """And the log is for people from then on."""
    file = tmp_path / "q.toml"
    file.touch()
    q = start("q", f"--config={file}", "--data=none", "--metrics=127.0.0.1:0")

    file.write_text("debug = true\n", "utf-8")
    q.signal(signal.SIGHUP)
    q.wait_until(lambda: "configuration reloaded" in q.log)

    assert new_queue(q.address) == 200
    q.wait_until(lambda: "call  method=/proto.Q/NewQueue" in q.log)


def test_the_gateway_reloads_how_it_ends(start: Start, tmp_path: Path, shared_q: RunningQ) -> None:
    """A request that never ends is cut off as soon as the file says now."""
    file = tmp_path / "qrest.toml"
    file.write_text(f'server = "{shared_q.address}"\nclose_after = "1h"\n', "utf-8")
    qrest = start("qrest", f"--config={file}")
    slow = SlowRequest(qrest)

    file.write_text('server = "127.0.0.1:8"\nclose_after = "100ms"\n', "utf-8")
    told = reloaded(qrest)
    qrest.signal(signal.SIGTERM)

    assert told["changed"] == {"close_after": "0.1s"}
    assert told["needs_restart"] == {"server": "127.0.0.1:8"}
    assert qrest.wait() == 0
    assert slow.finish() == b""
