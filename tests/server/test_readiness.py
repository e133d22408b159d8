"""What probes are told, from what the parts of q say."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from qmq.durations import FineDurations
from qmq.errors import QError, StoreFailed
from qmq.server.readiness import DiskLook, Probe, Probes
from qmq.store.local.figures import DiskFigures


def told(probe: Probe) -> tuple[bool, dict[str, str]]:
    """Return whether all is well, and what is not, as the body has it."""
    body: dict[str, Any] = json.loads(probe.body)
    (is_well,) = (value for name, value in body.items() if name != "checks")
    assert is_well is probe.is_well
    return is_well, {part: why for part, why in body["checks"].items() if why != "ok"}


class Disk:
    """A disk that does as a test says."""

    def __init__(self) -> None:
        self.refusal: QError | None = None
        self.commits = FineDurations()
        self.under_way = 0

    def figures(self) -> DiskFigures:
        """Return how many commits there were, and are under way."""
        return DiskFigures(self.commits, 0, 0, 0.0, 0.0, 0, 0, under_way=self.under_way)


def looked_at(disk: Disk) -> tuple[DiskLook, Callable[[float], None]]:
    """Return what looks at a disk, and what lets seconds pass for it."""
    moments = [0.0]

    def pass_s(seconds: float) -> None:
        moments[0] += seconds

    return DiskLook(disk, lambda: moments[0]), pass_s


async def test_ready_while_all_parts_are_well() -> None:
    """Each part is named; one that is not well makes q not ready, and says why."""
    troubles = {"disk": "", "leader": ""}
    probes = Probes(asyncio.get_running_loop)
    probes.watch("disk", lambda: troubles["disk"])
    probes.watch("leader", lambda: troubles["leader"])

    assert told(await probes.ready()) == (True, {})
    troubles["leader"] = "nobody leads"
    assert told(await probes.ready()) == (False, {"leader": "nobody leads"})
    assert told(await probes.alive()) == (True, {})


async def test_not_ready_while_it_shuts_down() -> None:
    """It is alive all the same: nobody has to kill it."""
    probes = Probes(asyncio.get_running_loop)

    probes.drain()

    assert told(await probes.ready()) == (False, {"shutdown": "q is shutting down"})
    assert told(await probes.alive()) == (True, {})


def test_disk_that_failed_says_why() -> None:
    """As callers are told it."""
    disk = Disk()
    look, _ = looked_at(disk)

    assert not look()
    disk.refusal = StoreFailed("the disk failed")
    assert look() == "the disk failed"


def test_disk_that_hangs_at_one_commit_is_found_out() -> None:
    """A commit that takes long is one; many that take their time are not."""
    disk = Disk()
    look, pass_s = looked_at(disk)
    disk.under_way = 1

    assert not look()
    pass_s(9)
    disk.commits.note(0.1)
    assert not look()
    pass_s(9)
    assert not look()
    pass_s(3)
    assert look() == "the disk has been at one commit for 12 seconds, and calls wait for it"
    disk.under_way = 0
    assert not look()
