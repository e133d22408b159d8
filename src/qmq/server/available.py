"""How much memory there is for this process: the machine's, or what its control groups leave."""

import os
from pathlib import Path
from typing import Final

#: Where Linux tells of the limits of control groups: of version 2, and of version 1.
_ROOT: Final = Path("/sys/fs/cgroup")


def available_bytes(cgroups: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return how many bytes of memory this process may take at most.

    Args:
        cgroups: where the control groups are mounted.
        own: the file that names this process's own.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_limits(cgroups, own)])


def _limits(cgroups: Path, own: Path) -> list[int]:
    """Return the limits of the control groups that this process is in, as far as there are any."""
    limits: list[int] = []
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return limits
    for line in lines:
        # "0::/path" of version 2, "7:memory:/path" of version 1.
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path or (controllers and "memory" not in controllers.split(",")):
            continue
        root, file = (
            (cgroups / "memory", "memory.limit_in_bytes")
            if controllers
            else (cgroups, "memory.max")
        )
        group = root / path.strip("/")
        # In a container the path is often that of the host, and the root is the container's own.
        for each in (group, *group.parents):
            if each != root and root not in each.parents:
                break
            limits += _number_in(each / file)
    return limits


def _number_in(file: Path) -> list[int]:
    try:
        # "max" is no limit.
        return [int(file.read_text(encoding="ascii"))]
    except (OSError, ValueError):
        return []
