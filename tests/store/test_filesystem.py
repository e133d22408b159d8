"""What a directory is on is found among the mounts, and what a queue cannot rely on there."""

from pathlib import Path

import pytest

from qmq.store.local.filesystem import FileSystem, file_system_of, find_mount

MOUNTS = r"""/dev/vda / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw,nosuid 0 0
/dev/vdb /srv ext4 rw 0 0
host:/a /srv/with\040space nfs4 rw,hard 0 0
/dev/vdc /mnt ext4 rw 0 0
/dev/vdd /mnt xfs rw,nobarrier 0 0
"""


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("/home", "/dev/vda"),
        ("/run/q", "tmpfs"),
        ("/srvother", "/dev/vda"),
        ("/srv/q", "/dev/vdb"),
        ("/srv/with space/q", "host:/a"),
        ("/mnt", "/dev/vdd"),
    ],
)
def test_the_innermost_and_latest_mount_is_found(path: str, device: str) -> None:
    """By whole names, which may hold what the system writes as a number."""
    found = find_mount(MOUNTS, Path(path))

    assert found
    assert found.device == device


@pytest.mark.parametrize(
    ("kind", "options", "warning"),
    [
        ("tmpfs", "rw", "memory"),
        ("overlay", "rw", "container"),
        ("nfs4", "rw", "network"),
        ("9p", "rw", "network"),
        ("ext4", "rw,barrier=0", "barrier=0"),
    ],
)
def test_what_a_queue_cannot_rely_on_is_a_warning(kind: str, options: str, warning: str) -> None:
    """One sentence for each."""
    [said] = FileSystem("x", Path("/"), kind, frozenset(options.split(","))).warnings()

    assert warning in said


def test_a_disk_is_no_reason_to_warn() -> None:
    """As it is mounted by default."""
    assert FileSystem("x", Path("/"), "ext4", frozenset({"rw"})).warnings() == []


def test_each_directory_is_on_something() -> None:
    """The machine of the tests tells of its own."""
    assert file_system_of(Path("/"))
