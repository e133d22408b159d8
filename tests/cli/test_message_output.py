"""What is printed of messages that were taken or leased."""

import json
from dataclasses import replace
from typing import Any

import pytest

from qmq.cli.actions import Lease, MessageOutput, Take
from qmq.cli.message_output import leased_texts, message_texts
from qmq.values import Durability
from qmq.wire import q_pb2 as pb

TAKE = Take(queue_id="ID", output="json", end=b"\n", count=2, wait_s=0.0)
LEASE = Lease(
    queue_id="ID", output="json", end=b"\n", count=1, wait_s=0.0, lease_s=None, consumer="me"
)
MESSAGES = [
    pb.Message(meta=pb.Metadata(id=text, tags=[pb.Tag(key="k")]), payload=text.encode())
    for text in ("a", "b")
]
META = {"id": "a", "tags": [{"key": "k", "value": ""}]}
POPPED = pb.PopBatchResponse(messages=MESSAGES, durability="OS")
LEASED = pb.LeaseResponse(
    messages=[
        pb.LeasedMessage(message=message, lease_id=f"{message.meta.id}-1", delivery_count=1)
        for message in MESSAGES
    ],
    durability="OS",
)


@pytest.mark.parametrize("output", ["raw", "jsonl", "json"])
def test_each_message_is_printed_by_itself(output: MessageOutput) -> None:
    """In order."""
    taken = message_texts(replace(TAKE, output=output), POPPED)
    leased = leased_texts(replace(LEASE, output=output), LEASED)

    for texts in (taken, leased):
        assert len(texts) == 2
        for text, payload in zip(texts, (b"a", b"b"), strict=True):
            assert text.endswith(b"\n")
            assert payload in text


def test_a_payload_has_the_end_that_was_asked_for() -> None:
    """Behind a lease id and a tab, if it is leased."""
    assert message_texts(replace(TAKE, output="raw", end=b"\0"), POPPED) == [b"a\0", b"b\0"]
    assert leased_texts(replace(LEASE, output="raw", end=b""), LEASED) == [b"a-1\ta", b"b-1\tb"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [(Durability.UNKNOWN, {}), (Durability.MEMORY, {"durability": "OS"})],
)
def test_json_says_how_durable_it_is_if_somebody_asks(
    asked: Durability, told: dict[str, Any]
) -> None:
    """It is that of a plain pop otherwise; of a lease it is the whole reply in any case."""
    first, _ = message_texts(replace(TAKE, durability=asked), POPPED)
    leased, _ = leased_texts(replace(LEASE, durability=asked), LEASED)

    assert json.loads(first) == {"message": {"meta": META, "payload": "YQ=="}, **told}
    assert json.loads(leased) == {
        "messages": [
            {
                "message": {"meta": META, "payload": "YQ=="},
                "lease_id": "a-1",
                "delivery_count": 1,
            }
        ],
        "durability": "OS",
    }
