"""Certificates and tokens are replaced under load; no call may fail.

    make soak-rotation
    python soak/rotation.py --seconds 120

q asks for a certificate and a token. Some clients call on one connection, some make a new
connection for each call, some wait for messages; meanwhile q's certificate, that of the clients
and their token are replaced, the old token being revoked each time. No call is repeated, but for
those that wait, which end when their token is revoked. In the end each message that was added has
been taken once.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

import qmq
from qmq.server.certificates import utc_now
from qmq.server.dev_certificates import Made, make
from qmq.server.token_file import make as make_token
from qmq.server.token_file import revoke
from tests.acceptance.running import RunningQ

#: However busy the machine is with other things.
_PATIENCE_S: Final = 60.0

_NO_REPEATS: Final = qmq.Retry(duration=0)

#: Seconds in which calls are over that began with what was just replaced.
_GRACE_S: Final = 0.5


class Credentials:
    """What q and its clients show, in files that are replaced."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        #: A link, as Kubernetes mounts a secret: to the newest.
        self.current = directory / "current"
        self.access = directory / "access.toml"
        self.token_file = directory / "token"
        self._token = ""
        self.new_certificates()
        self._write(self._new_token())

    @property
    def made(self) -> Made:
        """The newest certificates."""
        return Made(self.current, is_new_ca=False)

    def new_certificates(self) -> None:
        """Replace those of q and of its clients at once."""
        self._count += 1
        directory = self._directory / f"certificates-{self._count}"
        directory.mkdir()
        for name in ("ca.pem", "ca-key.pem"):
            if self._count > 1:
                (directory / name).write_bytes((self.current / name).read_bytes())
        hosts, holds = ["localhost"], timedelta(days=1)
        make(directory, hosts=hosts, client="client", holds=holds, now=utc_now())
        link = self._directory / "next"
        link.symlink_to(directory.name)
        link.rename(self.current)

    def new_token(self, is_taken: Callable[[str], bool]) -> str:
        """Replace the token; return the one before, which is revoked."""
        new = self._new_token()
        _until(lambda: is_taken(new))
        before = self._token
        self._write(new)
        time.sleep(_GRACE_S)
        revoke(self.access, before.split("_")[1])
        return before

    def _new_token(self) -> str:
        grants = [{"queues": "*", "may": ["admin"]}]
        is_new = not self.access.exists()
        made = make_token(
            self.access, "ann", expires=None, note="", grants=grants if is_new else []
        )
        return made.text

    def _write(self, token: str) -> None:
        new = self.token_file.with_suffix(".new")
        new.write_text(token)
        new.rename(self.token_file)
        self._token = token


class Load:
    """Clients that call until they are stopped."""

    def __init__(self, connect: Callable[[qmq.Retry], qmq.Client]) -> None:
        self._connect = connect
        self._is_over = threading.Event()
        self.failures: list[str] = []
        self.calls = {"on one connection": 0, "on a new one": 0, "waiting": 0}
        self.added: set[str] = set()
        self.taken: list[str] = []
        works = (self._add, self._add, self._add_anew, self._take, self._take)
        self._threads = [threading.Thread(target=self._work, args=(each,)) for each in works]
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """End all of them; those that take, once there is nothing left."""
        self._is_over.set()
        for each in self._threads:
            each.join(_PATIENCE_S)

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - Whatever it is, a call has failed.
            self.failures.append(f"{work.__name__}: {type(error).__name__}: {error}")

    def _add(self) -> None:
        with self._connect(_NO_REPEATS) as client:
            while not self._is_over.wait(0.002):
                self.added.add(client.queue("jobs").add("x").id)
                self.calls["on one connection"] += 1

    def _add_anew(self) -> None:
        while not self._is_over.wait(0.02):
            with self._connect(_NO_REPEATS) as client:
                self.added.add(client.queue("jobs").add("x").id)
            self.calls["on a new one"] += 1

    def _take(self) -> None:
        with self._connect(qmq.Retry()) as client:
            queue = client.queue("jobs")
            while True:
                is_over = self._is_over.is_set()
                try:
                    self.taken.append(queue.pop(wait=2).id)
                except qmq.QueueEmpty:
                    if is_over:
                        return
                self.calls["waiting"] += 1


def main() -> None:
    """Replace everything for as long as was asked for, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Replace certificates and tokens under load.")
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        directory = Path(scratch)
        credentials = Credentials(directory)
        made = credentials.made
        q = RunningQ(directory)
        q.start(
            *(f"--tls-cert={made.cert('server')}", f"--tls-key={made.key('server')}"),
            *(f"--tls-client-ca={made.cert('ca')}", f"--access={credentials.access}"),
        )
        stack.callback(q.kill)
        rotations, load = rotate(credentials, q.address.rpartition(":")[2], arguments.seconds)
    for name, count in load.calls.items():
        print(f"calls {name:20} {count:8,}")
    print(f"certificates and tokens replaced {rotations}")
    for failure in load.failures:
        print(failure)
    lost, doubled = load.added - set(load.taken), len(load.taken) - len(set(load.taken))
    print(f"added {len(load.added):,}, lost {len(lost)}, doubled {doubled}")
    print(f"failures {len(load.failures)}")
    sys.exit(bool(load.failures or lost or doubled or not rotations))


def rotate(credentials: Credentials, port: str, seconds: float) -> tuple[int, Load]:
    """Replace everything again and again under load, and return how often."""
    made = credentials.made

    def connect(retry: qmq.Retry, **shown: object) -> qmq.Client:
        """Connect with what is in the files, or with a token that is told."""
        return qmq.Client(
            f"https://localhost:{port}",
            ca=made.cert("ca"),
            cert=made.cert("client"),
            key=made.key("client"),
            retry=retry,
            timeout=_PATIENCE_S,
            **({"token_file": credentials.token_file} | shown),  # type: ignore[arg-type]
        )

    def is_taken(token: str) -> bool:
        with connect(_NO_REPEATS, token_file=None, token=token) as client:
            try:
                client.queue("jobs").info()
            except qmq.Unauthenticated:
                return False
        return True

    with connect(qmq.Retry()) as client:
        client.new_queue("jobs", store="MEMORY")
    load = Load(connect)
    rotations = 0
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and not load.failures:
            credentials.new_certificates()
            revoked = credentials.new_token(is_taken)
            _until(lambda: not is_taken(revoked))  # noqa: B023 - It is called at once.
            rotations += 1
    finally:
        load.stop()
    return rotations, load


def _until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("q does not take over what was replaced")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
