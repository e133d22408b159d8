"""A machine's disk: what is left of what was written, and what it does to who writes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import apsw
import pytest

from tests.store.watched import DATABASE
from tests.world.loop import SimulatedLoop
from tests.world.machine import Machine, Off

Make = Callable[[int], Machine]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return what makes a machine of a seed."""
    loop = SimulatedLoop(Random(1))
    made: list[Machine] = []

    def make(seed: int) -> Machine:
        data = tmp_path / str(seed)
        data.mkdir()
        made.append(Machine(data, loop, Random(seed)))
        return made[-1]

    yield make
    for machine in made:
        machine.unregister()
    loop.close()


def _open(machine: Machine) -> apsw.Connection:
    connection = apsw.Connection(str(machine.data / DATABASE), vfs=apsw.vfs_names()[0])
    connection.pragma("journal_mode", "wal")
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def _write(connection: apsw.Connection, synchronous: int) -> None:
    connection.pragma("synchronous", synchronous)
    connection.execute("create table if not exists t (n)")
    connection.execute("insert into t values (1)")


def _rows_after_power_loss(machine: Machine, synchronous: int) -> int:
    connection = _open(machine)
    _write(connection, 2)
    _write(connection, synchronous)
    machine.is_off = True
    connection.close()
    machine.is_off = False
    machine.lose_power()
    connection = _open(machine)
    count: int = connection.execute("select count(*) from t").get
    connection.close()
    return count


def test_what_was_synced_is_left_and_the_rest_is_up_to_chance(make: Make) -> None:
    """What was written and not synced is there, or is not."""
    synced = {_rows_after_power_loss(make(seed), 2) for seed in range(10)}
    unsynced = {_rows_after_power_loss(make(seed), 1) for seed in range(10, 30)}

    assert (synced, unsynced) == ({2}, {1, 2})


def test_machine_goes_off_at_any_write(make: Make) -> None:
    """From then on nothing is written."""
    machine = make(1)
    told: list[bool] = []
    machine.on_off = lambda: told.append(machine.is_off)
    connection = _open(machine)
    _write(connection, 2)
    machine.trouble.off_after = 1

    with pytest.raises(Off):
        _write(connection, 2)
    with pytest.raises(Off):
        _write(connection, 2)
    connection.close()

    assert told == [True]


@pytest.mark.parametrize(
    ("what", "error"), [("no_space_after", apsw.FullError), ("no_sync_after", apsw.IOError)]
)
def test_disk_fails_once(make: Make, what: str, error: type[Exception]) -> None:
    """Which SQLite is told as by any disk; what comes after that is well."""
    machine = make(1)
    connection = _open(machine)
    _write(connection, 2)
    setattr(machine.trouble, what, 0)

    with pytest.raises(error):
        _write(connection, 2)
    _write(connection, 2)
    connection.close()

    assert machine.failures == 1
