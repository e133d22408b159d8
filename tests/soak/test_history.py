"""The soak's checker finds what a queue that breaks its promises would do."""

import json
from pathlib import Path

import pytest

from history import Delivery, check, read

S = 1_000_000_000


def delivery(lease: str, count: int, moment_s: float, *, acked_s: float | None = None) -> Delivery:
    """Make a delivery of the message "m" whose lease lasts two seconds."""
    moment_ns = round(moment_s * S)
    return Delivery(
        lease_id=lease,
        message_id="m",
        count=count,
        expires_ns=moment_ns + 2 * S,
        moment_ns=moment_ns,
        acked_ns=None if acked_s is None else round(acked_s * S),
        is_tried=acked_s is not None,
    )


def test_message_that_is_acked_once_is_no_fault() -> None:
    """Nothing is wrong with the ordinary."""
    report = check({"m"}, 0, [delivery("1", 1, 10, acked_s=11)])

    assert not report.faults
    assert (report.acked, report.delivered_again) == (1, 0)


def test_redelivery_after_the_lease_is_no_fault() -> None:
    """A message whose consumer died is delivered again, and acked."""
    report = check({"m"}, 0, [delivery("1", 1, 10), delivery("2", 2, 12, acked_s=13)])

    assert not report.faults
    assert report.delivered_again == 1


def test_ack_without_an_answer_is_in_doubt() -> None:
    """Nobody knows, and the queue is empty in the end: so it has taken effect."""
    tried = delivery("1", 1, 10)
    tried.is_tried = True

    report = check({"m"}, 0, [tried])

    assert (report.acked, report.in_doubt, report.faults) == (0, 1, [])


def test_message_whose_acks_were_refused_is_lost() -> None:
    """Its lease had ended; nobody acked it after that, and yet the queue is empty."""
    refused = delivery("1", 1, 10)
    refused.is_tried = refused.is_refused = True

    report = check({"m"}, 0, [refused])

    assert report.in_doubt == 0
    assert "is lost" in report.faults[0]


@pytest.mark.parametrize(
    ("deliveries", "fault"),
    [
        ([], "is lost"),
        ([delivery("1", 1, 10)], "is lost"),
        ([delivery("1", 1, 10, acked_s=11), delivery("2", 2, 15)], "after its ack"),
        ([delivery("1", 1, 10), delivery("2", 2, 11, acked_s=12)], "twice at one time"),
        ([delivery("1", 2, 10), delivery("2", 2, 15, acked_s=16)], "delivery_count fell"),
    ],
    ids=["never-delivered", "never-acked", "after-ack", "two-leases", "count"],
)
def test_broken_promise_is_found(deliveries: list[Delivery], fault: str) -> None:
    """Each promise has a fault of its own."""
    assert any(fault in found for found in check({"m"}, 0, deliveries).faults)


def test_message_that_nobody_added_is_found() -> None:
    """More messages than adds without an answer could have left."""
    assert check(set(), 0, [delivery("1", 1, 10, acked_s=11)]).faults
    assert not check(set(), 1, [delivery("1", 1, 10, acked_s=11)]).faults


def test_half_a_line_of_a_killed_consumer_is_left_out(tmp_path: Path) -> None:
    """What was written whole counts."""
    journal = tmp_path / "consumer.jsonl"
    record = {"lease": "1", "message": "m", "count": 1, "expires": 12 * S, "moment": 10 * S}
    acked = {"acked": "1", "moment": 11 * S}
    lines = [json.dumps(record), json.dumps({"try": "1"}), json.dumps(acked)]
    journal.write_text("\n".join(lines) + '\n{"lease": "2", "mess', encoding="utf-8")

    assert read([journal]) == [delivery("1", 1, 10, acked_s=11)]
