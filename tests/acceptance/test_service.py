"""The services of systemd: what q tells it, and how little the units leave them."""

import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from qmq.server.config import Config
from qmq.server.config_file import check_config_file
from tests.acceptance.running import environment, free_ports, program
from tests.acceptance.serving import PATIENCE_S, Serving
from tests.documents import ROOT

UNITS = ROOT / "deploy/systemd"

#: From 0 (nothing is left) to 10, as systemd counts. q needs the network, and files of its own.
_EXPOSURE_MAX = 1.5


@pytest.mark.parametrize("is_abstract", [False, True], ids=["file", "abstract"])
def test_systemd_is_told_when_q_serves_and_when_it_ends(
    tmp_path: Path, *, is_abstract: bool
) -> None:
    """Not before: who is started after q can connect at once."""
    path = str(tmp_path / "notify")
    listen, metrics = free_ports(2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{path}" if is_abstract else path)
        channel.settimeout(PATIENCE_S)
        q = subprocess.Popen(
            [
                program("q"),
                f"--listen=127.0.0.1:{listen}",
                f"--metrics=127.0.0.1:{metrics}",
                "--data=none",
            ],
            stdout=subprocess.DEVNULL,
            env=environment(
                NOTIFY_SOCKET=f"@{path}" if is_abstract else path, XDG_RUNTIME_DIR=str(tmp_path)
            ),
        )
        try:
            ready = channel.recv(100)
            socket.create_connection(("127.0.0.1", listen), timeout=PATIENCE_S).close()
            q.send_signal(signal.SIGTERM)
            stopping = channel.recv(100)
            status = q.wait(PATIENCE_S)
        finally:
            q.kill()

    assert (ready, stopping, status) == (b"READY=1", b"STOPPING=1", 0)


def test_who_has_told_of_a_socket_may_be_gone(tmp_path: Path) -> None:
    """It serves all the same."""
    ports = free_ports(2)
    q = Serving(
        tmp_path,
        "q",
        *(
            f"--{name}=127.0.0.1:{port}"
            for name, port in zip(("listen", "metrics"), ports, strict=True)
        ),
        "--data=none",
        ports=ports,
        NOTIFY_SOCKET=str(tmp_path / "nobody"),
    )

    q.signal(signal.SIGTERM)

    assert q.wait() == 0


@pytest.mark.parametrize("unit", ["q.service", "qrest.service"])
def test_units_leave_little_to_whoever_gets_into_the_process(unit: str) -> None:
    """By systemd's own count."""
    assert shutil.which("systemd-analyze"), "install the Debian package systemd: make packages"
    analysis = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )

    level = re.search(r"exposure level for \S+: ([0-9.]+)", analysis.stdout)
    assert level, analysis.stdout
    assert float(level[1]) <= _EXPOSURE_MAX


def test_units_wait_for_longer_than_draining_takes() -> None:
    """And their configuration is sound."""
    unit = (UNITS / "q.service").read_text("utf-8")
    config = Config.from_texts(
        {"data": "none", **check_config_file(UNITS / "q.toml", Config).texts}
    )

    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)s$", unit, re.MULTILINE)
    assert float(seconds) > config.drain_timeout
