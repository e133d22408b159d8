"""What programs do that nobody's type checker has seen: it is refused by name, and nothing is sent.

There is no server at the address, so that whatever was sent would be told of.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import qmq

Call = Callable[[Any, Any], object]


MISUSES: tuple[tuple[Call, str], ...] = (
    (lambda client, _: client.queue(None), "queue_id must be str; got None"),
    (lambda client, queue: client.queue(queue), "queue_id must be str; got <Queue 'mail' at "),
    (lambda client, _: client.selection({"team": "a"}), "selector must be str; got "),
    (lambda client, _: client.new_queue(7), "name must be str; got 7"),
    (lambda client, _: client.new_queue(limit="5"), "limit must be int; got '5'"),
    (
        lambda client, _: client.new_queue(settings=qmq.QueueSettings(weight="2")),  # type: ignore[arg-type]
        "weight must be int; got '2'",
    ),
    (
        lambda client, queue: client.new_queue(
            settings=qmq.QueueSettings(dead_letter_queue_id=queue)
        ),
        "dead_letter_queue_id must be str; got <Queue 'mail'",
    ),
    (lambda _, queue: queue.add(qmq.NewMessage("a")), "a NewMessage is for add_batch"),
    (lambda _, queue: queue.add_batch("abc"), "add_batch takes a list .*; got a str"),
    (lambda _, queue: queue.add_batch({"a": 1}), "add_batch takes a list .*; got a dict"),
    (lambda _, queue: queue.lease("10"), "messages_max must be int; got '10'"),
    (lambda _, queue: queue.lease(consumer=7), "consumer must be str; got 7"),
    (lambda _, queue: queue.consume(consumer=7), "consumer must be str; got 7"),
    (lambda _, queue: queue.put_schedule("a", "b", cron=5), "cron must be str; got 5"),
    (lambda _, queue: queue.pop_batch("10"), "messages_max must be int; got '10'"),
    (
        lambda _, queue: queue.ack("18ec-01"),
        "this takes a list of leased messages.*; got a str",
    ),
    (lambda _, queue: queue.nack([b"18ec"]), "this takes a list .*; one of them is a bytes"),
    (lambda client, queue: client.complete(adds=[queue]), "adds is a list of tuples"),
    (lambda client, queue: client.complete(adds={queue: ["a"]}), "tuples.*; got a dict"),
    (lambda client, queue: client.complete(adds=[(queue, "ab")]), "complete takes lists"),
    (lambda _, queue: qmq.Client(queue), "the address of a server is a str"),
    (lambda *_: qmq.Client(10002), "the address of a server is a str"),  # type: ignore[arg-type]
    (lambda *_: qmq.Client(retry=3), "retry must be Retry; got 3"),  # type: ignore[arg-type]
)


@pytest.mark.parametrize(("call", "why"), MISUSES, ids=range(len(MISUSES)))
def test_what_is_of_a_wrong_type_is_refused_by_name(call: Call, why: str) -> None:
    """Neither the words of protobuf nor those of the interpreter tell what is meant."""
    client = qmq.Client("localhost:1", retry=qmq.Retry(duration=0))

    with pytest.raises(TypeError, match=why):
        call(client, client.queue("mail"))


def test_a_priority_that_cannot_be_sent_is_refused_by_name() -> None:
    """What can be sent the server judges."""
    with pytest.raises(ValueError, match="priority must be 0 to 255; got 1000000000000"):
        qmq.Client().queue("mail").add("a", priority=10**12)


def test_a_file_without_a_certificate_is_told_of_when_a_client_is_made(tmp_path: Path) -> None:
    """Else gRPC would take it, and then say that nobody is there."""
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----")

    with pytest.raises(ValueError, match=r"there is no certificate in .*ca\.pem, as PEM has it"):
        qmq.Client("https://localhost:1", ca=file)
    with pytest.raises(ValueError, match=r"there is no certificate in .*ca\.pem, as PEM has it"):
        qmq.Client("https://localhost:1", cert=file, key=file)
