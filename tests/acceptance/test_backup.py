"""q backup copies the data directory of a q that works, and q starts on the copy."""

import re
import signal
import socket
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from qmq.store.local.backup_calls import HELD, SOCKET, connect_in, listen_in
from qmq.store.local.directory import DataDirectory
from qmq.wire import q_pb2 as pb
from tests.acceptance.load import Load
from tests.acceptance.running import RunningQ, environment, program
from tests.acceptance.stock import connected

WRITERS = 16


def backed_up(q: RunningQ, target: Path) -> subprocess.CompletedProcess[str]:
    """Run q backup on the data directory of a q."""
    return subprocess.run(
        [program("q"), "backup", str(q.data), str(target)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )


def payloads(q: RunningQ, queue_id: str) -> list[bytes]:
    """Take all messages of a queue."""
    with connected(q.address) as client:
        return [message.payload for message in client.drain(queue_id)]


def left_in(directory: Path) -> set[str]:
    """Return what there is besides the q of the test."""
    return {entry.name for entry in directory.iterdir()} - {"data", "stdout.log", "stderr.log"}


def test_all_that_was_acknowledged_before_a_backup_is_in_it(
    q_server: RunningQ, tmp_path: Path
) -> None:
    """With calls under way, and after q was killed and started on the copy, once and in order."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)
        load = Load(client)
        with ThreadPoolExecutor(WRITERS) as threads:
            running = [threads.submit(partial(load.write, queue_id, n)) for n in range(WRITERS)]
            load.await_enough(300)
            before = {n: len(load.added[n]) for n in range(WRITERS)}
            made = backed_up(q_server, tmp_path / "copy")
            q_server.kill()
            for future in running:
                future.result()
    assert made.returncode == 0, made.stderr
    q_server.data = tmp_path / "copy"
    q_server.start()

    found = payloads(q_server, queue_id)

    assert f"1 queue, {len(found):,} messages" in made.stdout
    for writer, count in before.items():
        numbers = [int(p.split(b"/")[1]) for p in found if p.startswith(b"%d/" % writer)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= count


def test_what_was_handled_since_a_backup_comes_again(q_server: RunningQ, tmp_path: Path) -> None:
    """A lease of then is still one; what was added since is not there, nor are MEMORY queues."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)
        client.made(pb.Queue.MEMORY)
        client.put(queue_id, b"leased")
        client.put(queue_id, b"popped since")
        request = {"queue_id": queue_id, "messages_max": 1}
        leased = client.lease(**request).messages[0]
        made = backed_up(q_server, tmp_path / "copy")
        client.pop(queue_id=queue_id)
        client.put(queue_id, b"added since")
    q_server.stop()
    q_server.data = tmp_path / "copy"
    q_server.start()

    with connected(q_server.address) as client:
        assert [queue.meta.id for queue in client.list_queues().queues] == [queue_id]
        [acked] = client.ack(queue_id=queue_id, lease_ids=[leased.lease_id]).results
        assert acked.code == 0
        assert [m.payload for m in client.drain(queue_id)] == [b"popped since"]
    assert "MEMORY queues are in no backup" in made.stdout


def test_a_backup_is_made_of_a_q_that_was_killed(q_server: RunningQ, tmp_path: Path) -> None:
    """What its log holds is in it; nothing is changed there, nor left beside the copy."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)
        client.put(queue_id, b"1")
    q_server.kill()
    before = {file.name: file.read_bytes() for file in q_server.data.iterdir() if file.is_file()}

    made = backed_up(q_server, tmp_path / "copy")

    assert made.returncode == 0, made.stderr
    assert {f.name: f.read_bytes() for f in q_server.data.iterdir() if f.is_file()} == before
    assert left_in(tmp_path) == {"copy"}
    q_server.data = tmp_path / "copy"
    q_server.start()
    assert payloads(q_server, queue_id) == [b"1"]


def test_a_backup_overwrites_nothing(q_server: RunningQ, tmp_path: Path) -> None:
    """Not even an empty directory; what cannot be copied is one line, and leaves nothing."""
    (tmp_path / "copy").mkdir()

    refused = backed_up(q_server, tmp_path / "copy")
    nowhere = backed_up(q_server, tmp_path / "none" / "copy")
    q_server.stop()
    q_server.data = tmp_path / "copy"
    foreign = backed_up(q_server, tmp_path / "other")

    assert refused.returncode == nowhere.returncode == foreign.returncode == 1
    assert re.fullmatch("q: error: .* exists; .*\n", refused.stderr)
    assert re.fullmatch("q: error: cannot back up .* No such file .*\n", nowhere.stderr)
    assert re.fullmatch("q: error: .* is not a data directory of q.*\n", foreign.stderr)
    assert left_in(tmp_path) == {"copy"}


def test_only_its_user_can_have_q_hold_its_file(q_server: RunningQ) -> None:
    """Nobody else may open the socket, which is gone when q has ended."""
    assert (q_server.data / SOCKET).stat().st_mode & 0o777 == 0o600

    q_server.stop()

    assert not (q_server.data / SOCKET).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_backup_that_is_told_to_end_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    """While it waits for a q that does not answer, say."""
    data = tmp_path / "data"
    with (
        closing(DataDirectory(data)) as directory,
        closing(directory.open_database()),
        closing(listen_in(data)) as listening,
        subprocess.Popen(
            [program("q"), "backup", str(data), str(tmp_path / "copy")],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as backup,
    ):
        connection, _ = listening.accept()
        backup.send_signal(number)
        _, errors = backup.communicate(timeout=20)
        connection.close()

    assert backup.returncode == 1
    assert errors == "q: error: the backup was broken off, and what was copied is removed\n"
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_backup_ends_when_q_does(q_server: RunningQ, end: str) -> None:
    """Who has the file held is told, so that nobody takes for a copy what is not one."""
    with connect_in(q_server.data) as connection, connection.makefile("r") as replies:
        connection.settimeout(20)
        assert replies.readline().startswith(HELD)

        getattr(q_server, end)()

        assert not replies.readline().startswith(HELD)


def test_a_backup_at_a_time_is_made_and_counted(q_server: RunningQ, tmp_path: Path) -> None:
    """A second is refused, and goes on when the first one has left, however that was."""
    with connect_in(q_server.data) as first, first.makefile("r") as replies:
        assert replies.readline().startswith(HELD)
        second = backed_up(q_server, tmp_path / "copy")
        first.shutdown(socket.SHUT_RDWR)
    while (made := backed_up(q_server, tmp_path / "copy")).returncode:
        assert "another backup" in made.stderr

    with urllib.request.urlopen(f"http://{q_server.metrics_address}/metrics") as reply:
        shown = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines())

    assert "another backup is being made" in second.stderr
    assert shown["q_backups_total"] == "1.0"
    assert time.time() - 60 < float(shown["q_backup_last_timestamp_seconds"]) < time.time()
