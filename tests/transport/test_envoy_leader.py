"""How a q of a cluster asks its leader by TLS, and whom it takes for that."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from qmq.server.launch import pyvoy_module
from qmq.transport.envoy import Endpoint, Process, server_bootstrap
from qmq.transport.envoy.bootstrap import cluster_routes
from qmq.transport.envoy.forwarding import Files, endpoints
from qmq.transport.envoy.tls import ClientTls, Secrets, ServerTls
from qmq.transport.envoy.watched import write
from tests.acceptance.running import free_ports
from tests.transport.test_envoy_identity import run_envoy, wait_for

UNAVAILABLE = "14"
APP = "tests.transport.telling:app"


class Follower:
    """An Envoy of a q that follows, and that of one which leads, whose certificate is for some."""

    def __init__(self, directory: Path, *names: str) -> None:
        ca = trustme.CA()
        leaf = ca.issue_cert(*names)
        ca.cert_pem.write_to_path(directory / "ca.pem")
        leaf.private_key_pem.write_to_path(directory / "key.pem")
        leaf.cert_chain_pems[0].write_to_path(directory / "cert.pem")
        secrets = Secrets(directory / "tls")
        secrets.begin()
        tls = ServerTls(cert=directory / "cert.pem", key=directory / "key.pem", secrets=secrets)
        leader_tls = ClientTls(ca=directory / "ca.pem", secrets=secrets)
        tls.begin()
        leader_tls.begin()
        self.files = Files.in_directory(directory)
        self.ports = [Endpoint("127.0.0.1", port) for port in free_ports(4)]
        own, own_metrics, self.leader, metrics = self.ports
        process = self._process(directory, "follower")
        write(self.files.routes, cluster_routes(process, leads=False))
        self.follow("nobody.example")
        follower = server_bootstrap(
            process,
            listen=own,
            metrics=own_metrics,
            app=APP,
            ops_app=APP,
            cluster=self.files,
            leader_tls=leader_tls,
        )
        leader = server_bootstrap(
            self._process(directory, "leader"),
            listen=self.leader,
            metrics=metrics,
            app=APP,
            ops_app=APP,
            tls=tls,
        )
        self.running = [
            run_envoy(follower, directory / "follower.json"),
            run_envoy(leader, directory / "envoy.json"),
        ]
        for each in self.ports:
            wait_for(each)

    def follow(self, name: str) -> None:
        """Have calls sent on to the leader, which is known by this name."""
        write(self.files.leader, endpoints([self.leader], name))

    def call(self) -> tuple[str, dict[str, str]]:
        """Make a call; return its gRPC status, and the headers that the leader was given."""
        connection = http.client.HTTPConnection(*self.ports[0][:2], timeout=30)
        try:
            headers = {"content-type": "application/grpc", "authorization": "Bearer t"}
            connection.request("POST", "/proto.Q/Peek", b"", headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        status = response.getheader("grpc-status", "")
        return status, {} if status else dict(json.loads(body)["headers"])

    @staticmethod
    def _process(directory: Path, name: str) -> Process:
        return Process(
            pyvoy_module=pyvoy_module(),
            admin_socket=str(directory / f"{name}.sock"),
            connections_max=100,
            message_bytes_max=1_000_000,
        )


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Follower]:
    """One for all tests here, of a leader whose certificate is for *.pods.example."""
    follower = Follower(tmp_path_factory.mktemp("follower"), "*.pods.example")
    yield follower
    for each in follower.running:
        each.kill()
        each.wait()


def test_only_who_has_its_name_is_taken_for_the_leader(follower: Follower) -> None:
    """Also by a certificate for all pods of a set; then the token goes on to it."""
    assert follower.call()[0] == UNAVAILABLE

    follower.follow("q-0.pods.example")
    deadline = time.monotonic() + 60
    while (answer := follower.call())[0] == UNAVAILABLE:
        assert time.monotonic() < deadline

    status, headers = answer
    assert status == ""
    assert headers["authorization"] == "Bearer t"
    assert "x-forwarded-client-cert" not in headers
    # Connections that there are do not count for another name at the same address.
    follower.follow("a.b.pods.example")
    while follower.call()[0] != UNAVAILABLE:
        assert time.monotonic() < deadline
