"""The wheel and the sdist, as others install them: in empty virtual environments."""

import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.acceptance.running import RunningQ, environment, free_ports
from tests.acceptance.serving import Serving
from tests.documents import ROOT

#: Seconds for what usually takes one, with what `make setup` has fetched; without that, it is
#: fetched now.
_PATIENCE_S = 200.0


def uv(*arguments: str) -> None:
    """Run uv, as pinned."""
    subprocess.run(
        [Path(sys.executable).with_name("uv"), *arguments],
        cwd=ROOT,
        check=True,
        timeout=_PATIENCE_S,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built of it."""
    directory = tmp_path_factory.mktemp("dist")
    uv("build", "--no-build-isolation", f"--python={sys.executable}", f"--out-dir={directory}")
    return directory


@pytest.fixture
def serving_q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q that serves."""
    q = RunningQ(tmp_path)
    q.start()
    yield q
    q.stop()


class Installed:
    """A virtual environment that holds the wheel and, of a lock, what it needs."""

    def __init__(self, directory: Path, dist: Path, lock: str) -> None:
        (wheel,) = dist.glob("*.whl")
        uv("venv", f"--python={sys.executable}", str(directory))
        self.programs = directory / "bin"
        python = f"--python={self.programs / 'python'}"
        uv("pip", "sync", python, "--require-hashes", f"requirements/{lock}.lock")
        uv("pip", "install", python, "--no-deps", "--offline", str(wheel))
        uv("pip", "check", python)

    def run(self, name: str, *arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program of it, away from the source."""
        return subprocess.run(
            [self.programs / name, *arguments],
            cwd=self.programs,
            env=environment(PYTHONDONTWRITEBYTECODE=""),
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )


def test_packages_hold_what_is_needed_and_no_more(built: Path) -> None:
    """What is no code is there too; what only development needs is not in the wheel."""
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    source = {path.relative_to(ROOT / "src") for path in (ROOT / "src/qmq").rglob("*.*")}

    with zipfile.ZipFile(wheel) as packed:
        installed = {Path(name) for name in packed.namelist()}
    with tarfile.open(sdist) as packed_source:
        shipped = {Path(*Path(name).parts[1:]) for name in packed_source.getnames()}

    code = {path for path in installed if path.parts[0] == "qmq"}
    assert code == {path for path in source if "__pycache__" not in path.parts}
    assert {path.parts[0] for path in installed - code} == {f"qmq-{version('qmq')}.dist-info"}
    assert {Path("src") / path for path in code} < shipped
    assert {Path("LICENSE"), Path("README.md"), Path("pyproject.toml")} < shipped


def test_the_client_and_qcli_are_installed_alone(
    tmp_path: Path, built: Path, serving_q: RunningQ
) -> None:
    """Without the server, or what that needs; they talk to one."""
    installed = Installed(tmp_path / "cli", built, "cli")
    use = f"""
import qmq
with qmq.Client({serving_q.address!r}) as client:
    queue = client.new_queue()
    queue.add("from a wheel")
    print(queue.pop().text)
    queue.delete()
"""

    client = installed.run("python", "-c", use)
    qcli = installed.run("qcli", "--server", serving_q.address, "list")
    q = installed.run("q", "--data=none")

    assert (client.stdout, client.stderr) == ("from a wheel\n", "")
    assert (qcli.returncode, qcli.stderr) == (0, "")
    assert (q.returncode, q.stdout) == (1, "")
    assert re.fullmatch(
        r"q: error: \w+ is missing; install it with: pip install 'qmq\[server\]'\n", q.stderr
    )


def test_the_server_is_installed_with_its_lock(tmp_path: Path, built: Path) -> None:
    """It serves, keeps a message on disk, and says its version."""
    installed = Installed(tmp_path / "server", built, "run")
    ports = free_ports(2)
    listen, metrics = (f"127.0.0.1:{port}" for port in ports)
    options = (f"--listen={listen}", f"--metrics={metrics}", f"--data={tmp_path / 'data'}")
    variables = {"PYTHONDONTWRITEBYTECODE": ""}
    q = Serving(tmp_path, str(installed.programs / "q"), *options, ports=ports, **variables)
    try:
        ready = installed.run("q", *options, "probe", "--ready")
        made = installed.run("qcli", f"--server={listen}", "new", "DISK", "-1", "--name=jobs")
        added = installed.run("qcli", f"--server={listen}", "add", "jobs", told="kept")
        popped = installed.run("qcli", f"--server={listen}", "pop", "jobs", "--raw")
    finally:
        q.signal(signal.SIGTERM)
        status = q.wait()

    assert (ready.returncode, made.returncode, added.returncode) == (0, 0, 0), added.stderr
    assert popped.stdout == "kept\n"
    assert status == 0
    assert installed.run("q", "--version").stdout == f"q, version {version('qmq')}\n"
