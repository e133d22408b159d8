"""Before Envoy runs: ports that can be had, and a directory that cleans up after itself."""

import fcntl
import os
import re
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from qmq.errors import ConfigError
from qmq.server.address import Address
from qmq.server.launch import become_envoy, claim, connections_max, make_runtime_directory


def refusal(text: str) -> str:
    """Return why an address cannot be claimed."""
    with pytest.raises(ConfigError) as raised:
        claim(Address.parse(text), "--listen")
    return raised.value.message


def test_port_0_becomes_a_free_port() -> None:
    """Envoy is told a port, so that the log can name it."""
    endpoint = claim(Address.parse("127.0.0.1:0"), "--listen")

    assert endpoint.host == "127.0.0.1"
    with socket.create_server((endpoint.host, endpoint.port)):
        pass


def test_a_host_name_becomes_an_address() -> None:
    """Envoy does not resolve what it listens on."""
    assert claim(Address.parse("localhost:0"), "--listen").host in ("127.0.0.1", "::1")


def test_loopback_is_that_of_both_protocols() -> None:
    """On the one that q had left, another program could take its calls."""
    endpoint = claim(Address.parse("localhost:0"), "--listen")

    assert (endpoint.host, endpoint.more_hosts) in {("127.0.0.1", ("::1",)), ("127.0.0.1", ())}
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refusal(f"localhost:{port}").startswith(f"cannot listen on localhost:{port}: ")


def test_no_host_is_all_interfaces() -> None:
    """With IPv6 where the machine has it; IPv4 comes with that."""
    assert claim(Address.parse(":0"), "--listen").host in ("::", "0.0.0.0")  # noqa: S104


def test_a_port_in_use_is_one_line_with_advice() -> None:
    """The original died with a stack trace."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        assert refusal(f"127.0.0.1:{port}") == (
            f"cannot listen on 127.0.0.1:{port}: address already in use; "
            "stop the process that listens there, or give another port by --listen"
        )


def test_a_port_in_use_by_ipv4_alone_is_found_out() -> None:
    """All interfaces include those where somebody else listens."""
    with socket.create_server(("0.0.0.0", 0)) as other:  # noqa: S104
        port = other.getsockname()[1]

        assert refusal(f":{port}").startswith(f"cannot listen on :{port}: address already in use")


def test_a_port_that_was_just_left_can_be_had() -> None:
    """A restart must not wait for the connections of the process before it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # First, so that this side lingers.
            assert client.recv(1) == b""

    assert claim(Address("127.0.0.1", port), "--listen").port == port


def test_a_host_that_does_not_resolve_is_named() -> None:
    """Name resolution's own words are in the message."""
    message = refusal("no-such-host.invalid:10002")

    assert re.fullmatch(
        r"cannot listen on no-such-host\.invalid:10002: the host 'no-such-host\.invalid' does not "
        r"resolve \(.+\); name an interface of this machine",
        message,
    )


def test_an_address_of_another_machine_is_refused() -> None:
    """192.0.2.0/24 is for documentation: no machine has such an address."""
    message = refusal("192.0.2.254:10002")

    assert message.startswith("cannot listen on 192.0.2.254:10002: ")
    assert message.endswith(
        "no interface of this machine has this address; give one that has by --listen"
    )


def test_connections_stay_below_the_limit_of_open_files() -> None:
    """Files and the journal need descriptors too."""
    maximum = connections_max(10**9)

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == resource.RLIM_INFINITY or maximum < soft
    assert connections_max(1) == 1


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which runtime directories are made."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_runtime_directory_is_private(base: Path) -> None:
    """Who enters it could administrate Envoy."""
    runtime = make_runtime_directory()

    assert runtime.parent == base
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


def test_the_lock_is_held_across_exec(base: Path) -> None:
    """Envoy inherits the descriptor, and with it the lock."""
    code = (
        "import os, sys\n"
        "from qmq.server.launch import make_runtime_directory\n"
        "print(make_runtime_directory(), flush=True)\n"
        "os.execvp('cat', ['cat'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        runtime = Path(process.stdout.readline().strip())

        make_runtime_directory()
        assert runtime.exists()

        process.kill()
        process.wait()
        make_runtime_directory()
        assert not runtime.exists()
        process.stdin.close()
    assert base.exists()


def test_what_was_closed_is_open_when_the_first_file_is(tmp_path: Path) -> None:
    """Nothing that is written to the log comes to stand in another file."""
    code = (
        "import os, sys\n"
        "from qmq.server.launch import open_standard_streams\n"
        "open_standard_streams()\n"
        "with open(sys.argv[1], 'w') as file:\n"
        "    print(file.fileno(), file=file, flush=True)\n"
        "    os.execvp('echo', ['echo', 'a line'])\n"
    )
    closing = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    file = tmp_path / "file"
    subprocess.run(["sh", "-c", closing, sys.executable, code, str(file)], check=True, timeout=60)

    assert file.read_text() == "3\n"


def test_that_there_is_no_room_is_told_in_words(base: Path) -> None:
    """Rather than by a stack trace."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    runtime = make_runtime_directory()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        with pytest.raises(ConfigError, match="XDG_RUNTIME_DIR"):
            become_envoy({"what": "it is told"}, runtime, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert base.exists()


def test_what_is_not_ours_is_left_alone(base: Path) -> None:
    """Only directories with a lock that nobody holds are abandoned."""
    unlocked = base / "qmq-unlocked"
    unlocked.mkdir()
    other = base / "other"
    other.mkdir()
    (other / "lock").touch()

    make_runtime_directory()

    assert unlocked.exists()
    assert other.exists()


def test_an_abandoned_directory_is_removed(base: Path) -> None:
    """A process that was killed leaves one behind, with all that was in it."""
    abandoned = base / "qmq-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    (abandoned / "envoy.json").touch()

    make_runtime_directory()

    assert not abandoned.exists()


def test_a_directory_in_use_is_kept(base: Path) -> None:
    """Two servers of one user do not harm each other."""
    held = base / "qmq-held"
    held.mkdir()
    descriptor = os.open(held / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

        make_runtime_directory()

        assert held.exists()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["missing", "long" * 25])
def test_a_runtime_directory_that_is_of_no_use_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Daemons often inherit the variable; and the path of a socket must be short."""
    base = tmp_path / name
    if name != "missing":
        base.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert make_runtime_directory().parent == tmp_path


def test_without_any_directory_there_is_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that is read-only throughout cannot hold a socket."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr("os.access", lambda *_: False)

    with pytest.raises(ConfigError, match="make /tmp writable, or name in XDG_RUNTIME_DIR"):
        make_runtime_directory()
