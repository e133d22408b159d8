"""What q says while it is killed is judged: what breaks a promise is found, and nothing else."""

from collections.abc import Callable

import pytest

from evidence import Evidence, faults_of
from history import Delivery

S = 1_000_000_000


def evidence() -> Evidence:
    """Return what clients were told of a message leased twice, one popped, and two that stayed."""
    told = Evidence()
    told.added["jobs"] = {"jobs/0/0"}
    told.added["pops"] = {"pops/1/0", "pops/1/1"}
    told.unanswered["pops"] = {"pops/1/2"}
    told.added["staying"] = {"staying/2/0", "staying/2/2"}
    told.unanswered["staying"] = {"staying/2/1"}
    told.deliveries = [
        Delivery("1", "jobs/0/0", 1, 2 * S, 1 * S, is_tried=True),
        Delivery("2", "jobs/0/0", 2, 5 * S, 3 * S, acked_ns=4 * S, is_tried=True),
    ]
    told.ids["jobs/0/0"] = {"an id"}
    # One message that may be lost, of the call that had no answer.
    told.popped, told.may_be_popped = ["pops/1/2", "pops/1/1"], 1
    told.stayed = ["staying/2/0", "staying/2/2"]
    return told


def test_promises_that_are_kept_are_no_fault() -> None:
    """An add without an answer may have happened, and a pop without one have taken a message."""
    assert faults_of(evidence(), "jobs", "pops", "staying") == []


def test_ack_that_is_lost_is_found() -> None:
    """Here nobody has acked it, though it is gone."""
    told = evidence()
    told.deliveries = []

    assert "jobs/0/0 is lost" in faults_of(told, "jobs", "pops", "staying")[0]


@pytest.mark.parametrize(
    ("do", "fault"),
    [
        (lambda told: told.stayed.remove("staying/2/0"), "1 are lost, and 0 may be"),
        (lambda told: told.stayed.append("staying/2/2"), "staying/2/2 was there 2 times"),
        (lambda told: told.stayed.append("staying/2/3"), "staying/2/3 was never added"),
        (lambda told: told.stayed.reverse(), "staying/2/0 came after staying/2/2"),
        (lambda told: told.popped.remove("pops/1/1"), "2 are lost, and 1 may be"),
        (lambda told: told.popped.append("pops/1/2"), "pops/1/2 was there 2 times"),
        (lambda told: told.popped.append("pops/1/3"), "pops/1/3 was never added"),
        (lambda told: told.ids["jobs/0/0"].add("another"), "was added once and is 2 messages"),
    ],
)
def test_promise_that_is_broken_is_found(do: Callable[[Evidence], None], fault: str) -> None:
    """One thing wrong at a time."""
    told = evidence()
    do(told)

    [found] = faults_of(told, "jobs", "pops", "staying")

    assert fault in found
