"""Two q of a cluster that ask who calls: the one that leads checks what the other sends on."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from qmq.access.tokens import make_token
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.access.policies import NOW, some_bytes
from tests.postgres.nodes import Node

#: Seconds that anything may take, on a machine that does much else.
_PATIENCE_S = 40.0


class Pair:
    """Two q with one access file, and the tokens of root and of a worker."""

    def __init__(self, directory: Path, database: str) -> None:
        path = directory / "access.toml"
        texts = []
        self.tokens: dict[str, str] = {}
        for name, queues, right in (("root", "*", "admin"), ("worker", "w.*", "produce")):
            self.tokens[name], kept = make_token(some_bytes, created=NOW)
            texts.append(
                f'[[identity]]\nname = "{name}"\n'
                f'tokens = [{{ id = "{kept.id}", sha256 = "{kept.sha256}" }}]\n'
                f'rights = [{{ queues = "{queues}", may = ["{right}"] }}]\n'
            )
        path.write_text("\n".join(texts))
        path.chmod(0o600)
        self.servers = []
        for name in ("one", "other"):
            (directory / name).mkdir()
            q = RunningQ(directory / name)
            q.start(
                f"--postgres={database}", "--postgres-unsynced", "--data=none", f"--access={path}"
            )
            self.servers.append(q)

    def serves(self, q: RunningQ) -> bool:
        """Tell whether one of them serves root."""
        return self.status(q, "root", "GET", "/v1/queues") == 200

    def status(self, q: RunningQ, who: str, method: str, path: str, body: object = None) -> int:
        """Send a request to one of them as somebody, and return the status."""
        token = self.tokens.get(who, who)
        headers = {"content-type": "application/json"} if body is not None else {}
        shown = {"authorization": f"Bearer {token}"} if who else {}
        return rest(q.address, method, path, body, {**headers, **shown}).status


@pytest.fixture
def pair(tmp_path: Path, database: str, primary: Node) -> Iterator[Pair]:  # noqa: ARG001 - It runs.
    """Two q, of which one leads and the other knows."""
    pair = Pair(tmp_path, database)
    try:
        for each in pair.servers:
            _until(partial(pair.serves, each))
        yield pair
    finally:
        for each in pair.servers:
            each.kill()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_whichever_q_is_called_the_same_is_refused(pair: Pair) -> None:
    """The token goes along; what the log of the leader says of the caller is whose it is."""
    body = {"payload": "eA=="}
    for number, q in enumerate(pair.servers):
        made = {"name": f"w.{number}"}
        assert pair.status(q, "", "POST", "/v1/queues", made) == 401
        assert pair.status(q, "q_x_nonsense", "POST", "/v1/queues", made) == 401
        assert pair.status(q, "worker", "POST", "/v1/queues", made) == 403
        assert pair.status(q, "root", "POST", "/v1/queues", made) == 200
        assert pair.status(q, "worker", "POST", f"/v1/queues/w.{number}", body) == 200
        assert pair.status(q, "worker", "GET", f"/v1/queues/w.{number}/pop") == 403
        assert pair.status(q, "worker", "POST", "/v1/queues/none", body) == 403
        # Of one q alone, nobody's token is made.
        assert pair.status(q, "root", "POST", "/v1/identities/worker/tokens", {}) == 400
        assert pair.status(q, "root", "GET", "/v1/identities") == 200

    noted = [[line for line in each.log.splitlines() if '"audit"' in line] for each in pair.servers]
    of_leader = max(noted, key=len)
    made_by_root = [line for line in of_leader if '"NewQueue"' in line and '"OK"' in line]
    assert len(made_by_root) == 2
    assert sum("forwarded_for" in line for line in made_by_root) == 1
