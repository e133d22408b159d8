"""What can be reached of Envoy's own administration: nothing, but by who owns the process."""

from pathlib import Path

from tests.acceptance.running import RunningQ


def test_envoy_administration_is_not_on_the_network(shared_q: RunningQ) -> None:
    """A Unix socket in a private directory is all there is of it."""
    listening = {
        int(line.split()[1].rpartition(":")[2], 16)
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{shared_q.pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[9] in inodes(shared_q.pid)
    }

    addresses = (shared_q.address, shared_q.metrics_address)
    assert listening == {int(address.rpartition(":")[2]) for address in addresses}


def inodes(pid: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    links = [
        str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()
    ]
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
