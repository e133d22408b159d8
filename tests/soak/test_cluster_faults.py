"""What the run of faults through a cluster notes and judges."""

import pytest

from cluster_faults import Round, table
from cluster_load import Producer
from history import stored_twice


@pytest.mark.parametrize(
    ("answers", "pause_s"),
    [
        ([1.0, 2.0, 9.0, 14.0, 19.0], 7.0),
        ([1.0, 2.0, 3.0, 4.0, 30.0], 16.0),
        ([], 19.0),
    ],
    ids=["between two answers", "until the end", "all the time"],
)
def test_longest_pause_is_what_a_client_waited_within_a_round(
    answers: list[float], pause_s: float
) -> None:
    """What came before and after the round does not shorten it."""
    producer = Producer("p", "localhost:1", "q", 1, 0.0)
    producer.answers = answers

    assert producer.longest_pause_s(1.0, 20.0) == pause_s


def test_what_is_stored_twice_is_found() -> None:
    """One of the two ids was answered, the other one delivered."""
    assert stored_twice({"id-1": "p0-1", "id-2": "p0-2"}) == []

    assert stored_twice({"id-1": "p0-1", "id-2": "p0-2", "id-3": "p0-1"}) == [
        "what was added as p0-1 is stored twice: id-1, id-3"
    ]


def test_table_has_the_median_and_the_worst_of_each_fault() -> None:
    """Rounds with the same fault are one line, faults in the order in which they came."""
    rounds = [
        Round("primary killed", "n1", 6.0, 6.5, 20.0),
        Round("standby killed", "n2", 0.1, 0.2, 15.0),
        Round("primary killed", "n2", 8.0, 7.5, 20.0),
    ]

    assert table(rounds).splitlines()[2:] == [
        "| primary killed | 2 | 7.0 s, 8.0 s | 7.0 s, 7.5 s |",
        "| standby killed | 1 | 0.1 s, 0.1 s | 0.2 s, 0.2 s |",
    ]
