"""What consumers wrote down, and whether a queue that keeps its promises can have done it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

#: How far the moments of two processes on one machine may be apart.
_CLOCK_NS = 20_000_000


@dataclass
class Delivery:
    """One time that a message was handed out."""

    lease_id: str
    message_id: str
    count: int
    expires_ns: int
    moment_ns: int
    #: When an ack of it was answered with success.
    acked_ns: int | None = None
    #: Whether an ack was sent at all; without an answer it may have taken effect.
    is_tried: bool = False
    #: Whether all acks of it were answered, and refused: then it has not been acked.
    is_refused: bool = False


@dataclass
class Report:
    """What the checker found."""

    messages: int = 0
    deliveries: int = 0
    acked: int = 0
    #: Acked for all that is known, though the answer was lost with the server or the consumer.
    in_doubt: int = 0
    delivered_again: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"messages acknowledged by Add      {self.messages:>9,}",
            f"deliveries                        {self.deliveries:>9,}",
            f"messages acked                    {self.acked:>9,}",
            f"acked, the answer lost            {self.in_doubt:>9,}",
            f"messages delivered more than once {self.delivered_again:>9,}",
            f"faults                            {len(self.faults):>9,}",
        ]
        return "\n".join((*lines, *self.faults[:20]))


def read(journals: Iterable[Path]) -> list[Delivery]:
    """Read the deliveries that consumers have written down."""
    by_lease: dict[str, Delivery] = {}
    acks: list[dict[str, object]] = []
    for journal in journals:
        for line in journal.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                # The consumer was killed while it wrote.
                continue
            record = json.loads(line)
            if "lease" in record:
                by_lease[record["lease"]] = Delivery(
                    record["lease"],
                    record["message"],
                    record["count"],
                    record["expires"],
                    record["moment"],
                )
            else:
                acks.append(record)
    for record in acks:
        if "try" in record:
            by_lease[str(record["try"])].is_tried = True
        elif "acked" in record:
            by_lease[str(record["acked"])].acked_ns = int(str(record["moment"]))
    return list(by_lease.values())


def check(added: set[str], maybe_added: int, deliveries: list[Delivery]) -> Report:
    """Compare what was added with what was delivered and acked.

    Args:
        added: the ids of messages whose Add was answered.
        maybe_added: how many further ones had no answer.
        deliveries: all that consumers have written down.
    """
    report = Report(messages=len(added), deliveries=len(deliveries))
    by_message: defaultdict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_message[delivery.message_id].append(delivery)
    for message_id in added:
        of_message = by_message.get(message_id, [])
        if any(delivery.acked_ns for delivery in of_message):
            report.acked += 1
        elif any(delivery.is_tried and not delivery.is_refused for delivery in of_message):
            report.in_doubt += 1
        else:
            report.faults.append(f"message {message_id} is lost: nobody has acked it")
    phantoms = len(by_message.keys() - added)
    if phantoms > maybe_added:
        report.faults.append(f"{phantoms} messages were delivered that nobody has added")
    for message_id, of_message in by_message.items():
        of_message.sort(key=lambda delivery: delivery.lease_id)
        report.delivered_again += len(of_message) > 1
        report.faults += _faults_of(message_id, of_message)
    return report


def stored_twice(names: Mapping[str, str]) -> list[str]:
    """Find what was added once and is stored as several messages.

    Args:
        names: under which name each was added, by the id of the message.
    """
    first: dict[str, str] = {}
    return [
        f"what was added as {name} is stored twice: {first[name]}, {message}"
        for message, name in names.items()
        if first.setdefault(name, message) != message
    ]


def _faults_of(message_id: str, deliveries: list[Delivery]) -> list[str]:
    """Find what must not be in the deliveries of one message, in the order of their leases."""
    faults = []
    for before, after in pairwise(deliveries):
        if before.acked_ns and after.moment_ns > before.acked_ns + _CLOCK_NS:
            faults.append(f"message {message_id} was delivered after its ack: {after}")
        if after.moment_ns < before.expires_ns - _CLOCK_NS:
            faults.append(f"message {message_id} was leased twice at one time: {before}, {after}")
        if after.count <= before.count:
            faults.append(f"message {message_id}: delivery_count fell: {before}, {after}")
    return faults
