"""Random histories of one server: Hypothesis searches for one that goes wrong.

It prints the shortest that it finds, as a program. What can happen, and what holds then, is in
`histories`; a test here makes a state machine of it. `make test` plays some here, and longer ones,
of which each step takes less, in tests/soak/test_simulate.py; `make simulate` plays any number.
"""

import os
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.postgres.nodes import Node
from tests.store.commands import Command, checks_of, commands_of
from tests.store.histories import MemoryHistory
from tests.store.histories_in_cluster import ClusterHistory, ShardedHistory
from tests.store.histories_on_disk import DiskHistory

#: How many times as many histories as usual are made; Q_TEST_HISTORIES=1000 for a night.
SCALE: Final = int(os.environ.get("Q_TEST_HISTORIES", "1"))


class _Player(RuleBasedStateMachine):
    """Plays a history."""

    kind: type[MemoryHistory]

    def __init__(self) -> None:
        super().__init__()
        self.history = self.kind()

    def teardown(self) -> None:
        """Compare what is left, and leave nothing open."""
        self.history.end()


def _step(command: Command) -> Any:  # noqa: ANN401 - As Hypothesis has it.
    """Make a rule of a command."""

    def step(self: _Player, **drawn: object) -> None:
        command.method(self.history, **drawn)

    step.__name__ = command.name
    when = command.when
    kind: Any = initialize if command.is_first else rule
    made = kind(**{name: draw.strategy for name, draw in command.draws.items()})(step)
    return precondition(lambda self: when(self.history))(made) if when else made


def player(history: type[MemoryHistory]) -> type[RuleBasedStateMachine]:
    """Make a state machine of a history."""
    members: dict[str, Any] = {each.name: _step(each) for each in commands_of(history)}
    for check in checks_of(history):

        def look(self: _Player, check: Any = check) -> None:  # noqa: ANN401
            check(self.history)

        look.__name__ = check.__name__
        members[check.__name__] = invariant()(look)
    return type(history.__name__, (_Player,), {"kind": history, **members})


@pytest.mark.timeout(240 * SCALE)
def test_memory_server_is_the_naive_model_but_faster() -> None:
    """Whatever is called in whatever order."""
    run_state_machine_as_test(
        player(MemoryHistory), settings=settings(max_examples=30 * SCALE, stateful_step_count=40)
    )


@pytest.mark.timeout(240 * SCALE)
def test_disk_server_is_the_naive_model_but_remembers() -> None:
    """Whatever is called in whatever order, whenever it ends."""
    run_state_machine_as_test(
        player(DiskHistory), settings=settings(max_examples=25 * SCALE, stateful_step_count=30)
    )


@pytest.mark.timeout(120 * SCALE)
def test_cluster_is_the_naive_model_but_outlives_its_leaders(
    monkeypatch: pytest.MonkeyPatch, shared_database: str
) -> None:
    """Whatever is called in whatever order, whoever leads and whenever the connection is lost."""
    monkeypatch.setattr(ClusterHistory, "dsn", shared_database, raising=False)
    run_state_machine_as_test(
        player(ClusterHistory),
        settings=settings(max_examples=12 * SCALE, stateful_step_count=25),
    )


@pytest.mark.timeout(120 * SCALE)
def test_cluster_of_two_databases_is_the_naive_model(
    monkeypatch: pytest.MonkeyPatch, shared_database: str, primary: Node
) -> None:
    """Whatever is called in whatever order, on queues that are in one or the other."""
    with primary.database() as name:
        monkeypatch.setattr(ShardedHistory, "dsn", shared_database, raising=False)
        monkeypatch.setattr(ShardedHistory, "second_dsn", primary.dsn(name), raising=False)
        run_state_machine_as_test(
            player(ShardedHistory),
            settings=settings(max_examples=5 * SCALE, stateful_step_count=25),
        )
