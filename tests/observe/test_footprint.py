"""Metrics of what messages take in memory."""

from prometheus_client import CollectorRegistry

from qmq.model.footprint import Footprint
from qmq.observe.footprint import FootprintCollector
from qmq.observe.metrics import render


def shown(footprint: Footprint) -> list[str]:
    """Return the lines of a scrape that are no comments."""
    registry = CollectorRegistry()
    registry.register(FootprintCollector(footprint))
    return [line for line in render(registry).decode().splitlines() if not line.startswith("#")]


def test_what_messages_take_is_shown_beside_what_they_may() -> None:
    """As it is when that is asked for."""
    footprint = Footprint(1_000)
    footprint.left -= 300

    assert shown(footprint) == ["q_memory_bytes 300.0", "q_memory_max_bytes 1000.0"]


def test_limit_that_there_is_not_has_no_line() -> None:
    """0 would be read as one."""
    assert shown(Footprint()) == ["q_memory_bytes 0.0"]
