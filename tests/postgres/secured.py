"""A PostgreSQL that speaks TLS, and lets nobody in without."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from qmq.server.certificates import utc_now
from qmq.server.dev_certificates import Made, make
from tests.postgres.installation import ROLE, SUPERUSER
from tests.postgres.nodes import Node


@dataclass(frozen=True)
class Secured:
    """It, and certificates of its CA: its own, which is for localhost, and that of role q."""

    node: Node
    made: Made

    @property
    def host(self) -> str:
        """Its address by the name that its certificate is for."""
        return f"localhost:{self.node.port}"

    def dsn(self, database: str = "postgres", **tls: object) -> str:
        """Return where q connects, with parameters about TLS."""
        query = "&".join(f"{name}={value}" for name, value in tls.items())
        return f"postgresql://{ROLE}@{self.host}/{database}?{query}"


@contextmanager
def secured(directory: Path, *, asks: bool = False) -> Iterator[Secured]:
    """Yield one that runs.

    Args:
        directory: where the certificates are that its clients read.
        asks: whether q has to show its certificate.
    """
    made = make(
        directory / "certs",
        hosts=["localhost"],
        client=ROLE,
        holds=timedelta(days=1),
        now=utc_now(),
    )
    with Node.new("secured") as node:
        files = {"ssl_cert_file": "server.pem", "ssl_key_file": "server-key.pem"}
        for name in (*files.values(), "ca.pem"):
            _give(made.directory / name, node.data)
        node.settings |= {**files, "ssl": "on", "ssl_ca_file": "ca.pem"}
        rules = [
            f"host all {SUPERUSER} 127.0.0.1/32 trust",
            f"hostssl all {ROLE} 127.0.0.1/32 {'cert' if asks else 'trust'}",
        ]
        (node.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        node.start()
        yield Secured(node, made)


def _give(file: Path, data: Path) -> None:
    """Copy a file into a data directory, for its owner alone."""
    copy = data / file.name
    copy.write_bytes(file.read_bytes())
    copy.chmod(0o600)
    owner = data.stat()
    os.chown(copy, owner.st_uid, owner.st_gid)
