"""The metric of what is worth a look."""

from prometheus_client import CollectorRegistry

from qmq.condition import ServerWarning
from qmq.observe.metrics import render
from qmq.observe.warnings import WarningCollector
from qmq.values import WarningLevel


def test_each_warning_has_a_line() -> None:
    """And goes with it; sentences are not in it, since they change."""
    warnings: list[ServerWarning] = []
    registry = CollectorRegistry()
    registry.register(WarningCollector(lambda: warnings))

    def lines() -> list[str]:
        return [each for each in render(registry).decode().splitlines() if each[0] != "#"]

    assert lines() == []
    warnings.append(
        ServerWarning(
            level=WarningLevel.CRITICAL,
            reason="DATABASE_AWAY",
            subject="two",
            message="",
            remedy="",
        )
    )
    assert lines() == ['q_warning{level="critical",reason="DATABASE_AWAY",subject="two"} 1.0']
