"""`q probe`, as containers' health checks call it: asked of the real q, by TLS and without."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import environment, free_ports, program
from tests.acceptance.serving import Serving


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Serving, list[str]]]]:
    """Starts q with more options, returns it and all of them, and kills it after the test."""
    started: list[Serving] = []

    def start_q(*options: str) -> tuple[Serving, list[str]]:
        ports = free_ports(2)
        listen, metrics = (f"127.0.0.1:{port}" for port in ports)
        every = [f"--listen={listen}", f"--metrics={metrics}", "--data=none", *options]
        started.append(Serving(tmp_path, "q", *every, ports=ports))
        return started[-1], every

    yield start_q
    for each in started:
        each.kill()


def q(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run q with arguments until it ends."""
    return subprocess.run(
        [program("q"), *arguments], env=environment(), capture_output=True, text=True, check=False
    )


def test_a_q_that_is_alive_says_so_until_it_is_gone(
    start: Callable[..., tuple[Serving, list[str]]],
) -> None:
    """The status is what counts; what q says is printed."""
    serving, options = start()

    alive = q(*options, "probe")
    ready = q(*options, "probe", "--ready")
    serving.signal(signal.SIGTERM)
    serving.wait()
    gone = q(*options, "probe")

    assert (alive.returncode, '"alive": true' in alive.stdout) == (0, True)
    assert (ready.returncode, '"ready": true' in ready.stdout) == (0, True)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "refused" in gone.stderr


def test_a_q_that_speaks_tls_is_asked_by_tls(
    start: Callable[..., tuple[Serving, list[str]]], tmp_path: Path
) -> None:
    """Whatever name its certificate is for: it is the q on this machine."""
    certificates = tmp_path / "certs"
    assert q("certs", "dev", str(certificates), "--host", "q.example").returncode == 0
    names = (certificates / "server.pem", certificates / "server-key.pem")
    _, options = start(f"--tls-cert={names[0]}", f"--tls-key={names[1]}")

    assert q(*options, "probe", "--ready").returncode == 0
