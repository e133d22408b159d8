"""Programs that how-tos show of other queues do on the real ones what those after do on q."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from servers import running
from suite.scenarios import SYSTEMS
from suite.systems import Missing, running_system
from tests.acceptance.running import RunningQ, environment, free_ports
from tests.acceptance.test_ordering_page import ADDRESS, in_shell
from tests.documents import ROOT, blocks, page, section

#: Where `make test-howtos` puts what it installs for itself.
CLIENTS: Final = ROOT / "build" / "howtos"

#: Seconds that anything may take.
PATIENCE_S: Final = 60.0


class Peer(NamedTuple):
    """Another queue, and how its page speaks of it."""

    #: The name of the page.
    page: str
    #: Where the page says that it listens, and what stands there if it listens elsewhere.
    documented: str
    moved: str
    #: What puts two further messages into its queue, after "Before" was run.
    fill: str


PEERS: Final = (
    Peer(
        "redis",
        "redis.Redis()",
        "redis.Redis(port={port})",
        "import redis\nredis.Redis().lpush('mail', 'to emil', 'to fay')",
    ),
    Peer(
        "sqs",
        "localhost:9324",
        "localhost:{port}",
        "import boto3\n"
        "url = 'http://localhost:9324'\n"
        "sqs = boto3.client('sqs', endpoint_url=url, region_name='eu-central-1')\n"
        "url = sqs.get_queue_url(QueueName='mail')['QueueUrl']\n"
        "for text in ('to emil', 'to fay'):\n"
        "    sqs.send_message(QueueUrl=url, MessageBody=text)",
    ),
    Peer(
        "beanstalkd",
        "11300",
        "{port}",
        "import greenstalk\n"
        "with greenstalk.Client(('localhost', 11300), use='mail') as client:\n"
        "    client.put('to emil')\n"
        "    client.put('to fay')",
    ),
    Peer(
        "rabbitmq",
        'ConnectionParameters("localhost")',
        'ConnectionParameters("localhost", {port})',
        "import pika\n"
        'connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))\n'
        "channel = connection.channel()\n"
        "channel.confirm_delivery()\n"
        "for at, text in enumerate(('to emil', 'to fay')):\n"
        "    properties = pika.BasicProperties(message_id=str(at))\n"
        "    channel.basic_publish('', 'mail', text, properties)\n"
        "connection.close()",
    ),
)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """Skip where the others' clients are not installed, but in CI."""
    if not CLIENTS.is_dir():
        missing = "the clients of other queues are not installed; run make test-howtos"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture
def bare_q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q with no queues."""
    directory = tmp_path / "q"
    directory.mkdir()
    q = RunningQ(directory)
    q.start()
    yield q
    q.kill()


class Programs:
    """Programs as the pages have them, in a directory, with the ports of this test."""

    def __init__(self, directory: Path, places: dict[str, str]) -> None:
        self._directory = directory
        self._places = places
        self._environment = environment(
            PYTHONPATH=f"{CLIENTS}{os.pathsep}{directory}",
            PYTHONUNBUFFERED="1",
            AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x",  # noqa: S106 - An emulator takes any.
        )

    def adapt(self, text: str) -> str:
        """Return a text of a page with the ports of this test."""
        for documented, actual in self._places.items():
            text = text.replace(documented, actual)
        return text

    def run(self, *arguments: str) -> str:
        """Run Python to its end, which must be a good one. Return what it prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{arguments[-1]}\n{done.stdout}{done.stderr}"
        return done.stdout

    def paste(self, text: str) -> list[str]:
        """Run a block of a page, and return what it says of the messages that it works on."""
        lines = self.run("-c", self.adapt(text)).splitlines()
        return [line for line in lines if line.startswith(("sending ", "again "))]

    def save(self, text: str) -> None:
        """Put a block of a page into the file that the page calls it."""
        (self._directory / "mail.py").write_text(self.adapt(text), "utf-8")

    def run_until(self, wanted: str, *arguments: str) -> None:
        """Run Python until it prints something."""
        log = self._directory / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self._directory,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                deadline = time.monotonic() + PATIENCE_S
                while wanted not in log.read_text("utf-8"):
                    assert process.poll() is None, log.read_text("utf-8")
                    assert time.monotonic() < deadline, log.read_text("utf-8")
                    time.sleep(0.05)
            finally:
                process.kill()


@contextlib.contextmanager
def running_peer(name: str, directory: Path) -> Iterator[int]:
    """Run another queue, and return its port; skip where it is not installed, but in CI."""
    if name == "sqs":
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        log = directory.with_suffix(".log")
        with running(command, port=port, environment={"PYTHONPATH": str(CLIENTS)}, log=log):
            yield port
        return
    system = next(each for each in SYSTEMS if (each.server, each.durability) == (name, "fsync"))
    try:
        with running_system(system, directory) as server:
            yield int(server.url.rpartition(":")[2])
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.mark.parametrize("peer", PEERS, ids=[peer.page for peer in PEERS])
def test_programs_before_and_after_do_the_same(
    peer: Peer, bare_q: RunningQ, tmp_path: Path
) -> None:
    """And what is left in the other queue is forwarded, once."""
    text = page(f"docs/from-{peer.page}.md")
    before, after, *_ = blocks(text)
    forward, *_ = blocks(section(text, "Move over"))
    with running_peer(peer.page, tmp_path / "peer") as port:
        places = {peer.documented: peer.moved.format(port=port), ADDRESS: bare_q.address}
        programs = Programs(tmp_path, places)

        sent = programs.paste(before.text)

        assert sent
        assert programs.paste(after.text) == sent

        programs.paste(peer.fill)
        for _ in range(2):
            programs.paste(forward.text)

    left = in_shell(bare_q, "qcli pop mail --all --raw")
    assert sorted(left.splitlines()) == ["to emil", "to fay"]


def test_tasks_of_celery_and_rq_are_done_as_by_q(bare_q: RunningQ, tmp_path: Path) -> None:
    """Each worker says the same of the same task."""
    text = page("docs/from-celery.md")
    celery, rq, shared, producer, worker, *_ = blocks(text)
    wanted = worker.text.splitlines()[-1].removeprefix("# ")
    with running_peer("redis", tmp_path / "peer") as port:
        places = {
            "redis.Redis()": f"redis.Redis(port={port})",
            "redis://localhost": f"redis://localhost:{port}",
            ADDRESS: bare_q.address,
        }
        programs = Programs(tmp_path, places)

        programs.save(celery.text)
        programs.run("mail.py")
        programs.run_until(wanted, "-m", "celery", "-A", "mail", "worker", "--pool", "solo")

        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        programs.save(rq.text)
        programs.run("-c", "import mail; mail.add()")
        url = f"redis://localhost:{port}"
        by_rq = programs.run("-m", "rq.cli", "worker", "mail", "--burst", "--url", url)

        assert wanted in by_rq
        assert programs.paste(shared.text + producer.text + worker.text) == [wanted]
