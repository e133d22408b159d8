"""How much memory there is, by what control groups say."""

import os
from pathlib import Path

import pytest

from qmq.server.available import available_bytes

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def told(root: Path, own: str, **limits: str) -> int:
    """Return what is made of these files; "/" in a name is written "__"."""
    for name, text in limits.items():
        file = root / "cgroup" / name.replace("__", "/").replace("_max", ".max")
        file = file.with_name(file.name.replace("limit", "memory.limit_in_bytes"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    (root / "own").write_text(own, encoding="utf-8")
    return available_bytes(root / "cgroup", root / "own")


@pytest.mark.parametrize(
    ("own", "limits", "bytes_"),
    [
        ("0::/\n", {}, MACHINE),
        ("0::/\n", {"memory_max": "4096\n"}, 4_096),
        ("0::/\n", {"memory_max": "max\n"}, MACHINE),
        ("0::/a/b\n", {"a__b__memory_max": "9000", "a__memory_max": "5000"}, 5_000),
        ("0::/a/b\n", {"a__b__memory_max": "max", "memory_max": "7000"}, 7_000),
        ("0::/of/the/host\n", {"memory_max": "6000\n"}, 6_000),
        ("3:cpu:/a\n7:memory:/a\n", {"memory__a__limit": "3000\n"}, 3_000),
        ("7:memory:/a\n", {"memory__limit": "9223372036854771712\n"}, MACHINE),
        ("3:cpu:/a\n", {"a__memory_max": "1"}, MACHINE),
        ("nonsense", {"memory_max": "1"}, MACHINE),
    ],
)
def test_least_of_all_limits_counts(
    tmp_path: Path, own: str, limits: dict[str, str], bytes_: int
) -> None:
    """Of the machine, and of each control group on the way to this process's own."""
    assert told(tmp_path, own, **limits) == bytes_


def test_system_without_control_groups_has_what_the_machine_has(tmp_path: Path) -> None:
    """There is nothing to read."""
    assert available_bytes(tmp_path / "none", tmp_path / "no-file") == MACHINE


def test_this_machine_has_some() -> None:
    """Whatever it is."""
    assert 0 < available_bytes() <= MACHINE
