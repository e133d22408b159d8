"""The kind of file system that a directory is on, and what that means for a queue."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mounts")

_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_LAYERS: Final = frozenset({"overlay", "aufs"})
_NETWORK: Final = frozenset(
    {
        "9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "glusterfs",
        "lustre", "nfs", "nfs4", "smb3", "smbfs", "virtiofs",
    }
)  # fmt: skip
#: Options of a mount by which the device is not asked to empty its cache.
_NO_BARRIER: Final = frozenset({"nobarrier", "barrier=0"})


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What a directory is on."""

    device: str
    mounted_at: Path
    kind: str
    options: frozenset[str]

    def warnings(self) -> list[str]:
        """Return what a queue cannot rely on there, a sentence each."""
        found: list[str] = []
        if self.kind in _MEMORY:
            found.append(f"{self.kind} is memory: nothing on it outlives the machine")
        if self.kind in _LAYERS:
            found.append(
                f"{self.kind} is the layer that a container writes to as a rule: it is gone with"
                " the container; put the data directory on a volume"
            )
        if self.kind in _NETWORK:
            found.append(
                f"{self.kind} is a network's or a host's file system: SQLite's locks and log, and"
                " fsync, may not do there what they say; put the data directory on a disk"
            )
        if off := self.options & _NO_BARRIER:
            found.append(
                f"it is mounted with {min(off)}: what the disk has in its cache is lost with the"
                " power"
            )
        return found


def file_system_of(path: Path) -> FileSystem | None:
    """Return what an existing directory is on; None where the system does not tell."""
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return None
    return find_mount(mounts, path.resolve())


def find_mount(mounts: str, path: Path) -> FileSystem | None:
    """Return the file system that an absolute path is on, of a text like /proc/mounts."""
    found: FileSystem | None = None
    for line in mounts.splitlines():
        device, point, kind, options, *_ = map(_unescaped, line.split(" "))
        mounted_at = Path(point)
        # Of two at one place the later one covers the other.
        if path.is_relative_to(mounted_at) and (
            not found or mounted_at.is_relative_to(found.mounted_at)
        ):
            found = FileSystem(device, mounted_at, kind, frozenset(options.split(",")))
    return found


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
