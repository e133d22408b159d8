"""What the run of faults through a cluster of two databases judges."""

from cluster_pipeline import Pipeline
from shard_faults import Fault, Round, table


def a_fault(name: str, first_s: float | None, two_s: float | None) -> Fault:
    """Describe one that may hold up clients of each shard for so long."""
    return Fault(name, lambda: ("m1", lambda: None), {"first": first_s, "two": two_s})


def test_only_those_may_wait_whose_database_is_lost() -> None:
    """Of two that waited for as long, one has lost its database, and the other one has not."""
    lost = a_fault("two lost", 3.0, None)

    assert Round(lost, "m1", {"first": 2.9, "two": 60.0}, 12.0).faults() == []
    assert Round(lost, "m1", {"first": 5.0, "two": 5.0}, 12.0).faults() == [
        "two lost: a client of the shard first had no answer for 5.0 s"
    ]


def test_table_has_the_median_and_the_worst_of_each_shard() -> None:
    """Rounds with the same fault are one line, faults in the order in which they came."""
    lost, killed = a_fault("two lost", 3.0, None), a_fault("q that leads killed", 10.0, 10.0)
    rounds = [
        Round(lost, "m1", {"first": 0.2, "two": 9.0}, 12.0),
        Round(killed, "q1", {"first": 5.5, "two": 5.0}, 12.0),
        Round(lost, "m2", {"first": 0.4, "two": 11.0}, 12.0),
    ]

    assert table(rounds).splitlines()[2:] == [
        "| two lost | 2 | 0.3 s, 0.4 s | 10.0 s, 11.0 s |",
        "| q that leads killed | 1 | 5.5 s, 5.5 s | 5.0 s, 5.0 s |",
    ]


def test_pipeline_rejects_a_part_of_what_it_sees_and_each_message_once() -> None:
    """What comes back from the dead letters goes on."""
    pipeline = Pipeline.__new__(Pipeline)
    pipeline.rejected = set()
    texts = [f"f-two-{number}   " for number in range(21)]

    assert [each for each in texts if pipeline.is_to_be_rejected(each)] == texts[::7]
    assert not any(pipeline.is_to_be_rejected(each) for each in texts)
