"""The JSON that qcli prints."""

import json

import pytest
from google.protobuf.message import Message

from qmq.cli.reply import plain_json, reply_json
from qmq.descriptions import BackOff, Fairness, QueueInfo, QueueSettings
from qmq.values import Store
from qmq.wire import q_pb2
from qmq.wire.convert import queue_message


def message(*, payload: bytes = b"", created_ns: int = 1) -> q_pb2.Message:
    """A message as a server answers it."""
    reply = q_pb2.Message(payload=payload)
    reply.meta.id = "15950bbd-0939-4da4-8dbe-cfc61d3d8608"
    reply.meta.created.FromNanoseconds(created_ns)
    return reply


def test_names_order_and_indentation_are_the_protos() -> None:
    """A queue looks as the original's client printed it; a name comes last."""
    queue = q_pb2.Queue(store=q_pb2.Queue.DISK, name="jobs")
    queue.meta.id = "f9e0925d-bfaa-4e59-96ae-dd78a0bb751d"
    queue.meta.created.FromJsonString("2017-06-25T23:01:08.008101953Z")
    queue.meta.tags.add(key="function", value="cubesat launcher")

    assert (
        reply_json(q_pb2.NewQueueResponse(queue=queue))
        == """\
{
  "queue": {
    "meta": {
      "id": "f9e0925d-bfaa-4e59-96ae-dd78a0bb751d",
      "created": "2017-06-25T23:01:08.008101953Z",
      "tags": [
        {
          "key": "function",
          "value": "cubesat launcher"
        }
      ]
    },
    "store": "DISK",
    "name": "jobs"
  }
}"""
    )


def described(settings: QueueSettings = QueueSettings()) -> q_pb2.Queue:  # noqa: B008 - Frozen.
    """A queue as a server answers it."""
    return queue_message(
        QueueInfo(id="an id", created_ns=1, store=Store.DISK, limit=5, settings=settings)
    )


def test_a_plain_reply_is_that_of_the_original() -> None:
    """Limit, durability and settings that are as by default are for those who ask for them."""
    reply = q_pb2.NewQueueResponse(queue=described())
    meta = {"id": "an id", "created": "1970-01-01T00:00:00.000000001Z"}

    assert json.loads(plain_json(reply)) == {"queue": {"meta": meta, "store": "DISK"}}
    assert {*json.loads(reply_json(reply))["queue"]} == {"meta", "store", "limit", "settings"}
    listed = q_pb2.ListQueuesResponse(queues=[described(), described()])
    assert json.loads(plain_json(listed)) == {"queues": 2 * [{"meta": meta, "store": "DISK"}]}
    added = q_pb2.AddResponse(message=message(payload=b"x"), durability="FSYNC")
    assert plain_json(added) == reply_json(q_pb2.AddResponse(message=message(payload=b"x")))


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (QueueSettings(lease_duration_ns=10**9), {"lease_duration": "1s"}),
        (QueueSettings(delivery_count_max=3), {"delivery_count_max": 3}),
        (QueueSettings(back_off=BackOff(factor=1.5)), {"back_off": {"factor": 1.5}}),
    ],
)
def test_a_plain_reply_has_settings_that_somebody_chose(
    settings: QueueSettings, shown: dict[str, object]
) -> None:
    """And none of the others."""
    (queue,) = json.loads(plain_json(q_pb2.ListQueuesResponse(queues=[described(settings)])))[
        "queues"
    ]

    assert queue["settings"] == shown


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (q_pb2.ListQueuesResponse(), "{}"),
        (q_pb2.PopResponse(), "{}"),
        (q_pb2.PopResponse(message=q_pb2.Message()), '{\n  "message": {}\n}'),
    ],
)
def test_empty_fields_are_left_out(reply: Message, text: str) -> None:
    """An empty list of queues is an empty object."""
    assert reply_json(reply) == text


def test_a_tag_shows_its_key_and_value_even_if_they_are_empty() -> None:
    """The original's client printed them, for queues and for messages."""
    queue, popped = q_pb2.Queue(), message()
    queue.meta.tags.extend([q_pb2.Tag(key="k"), q_pb2.Tag(value="v")])
    popped.meta.tags.add()

    listed = json.loads(reply_json(q_pb2.ListQueuesResponse(queues=[queue, queue])))
    shown = json.loads(reply_json(q_pb2.PopResponse(message=popped)))

    tags = [{"key": "k", "value": ""}, {"key": "", "value": "v"}]
    assert listed == {"queues": [{"meta": {"tags": tags}}, {"meta": {"tags": tags}}]}
    assert list(listed["queues"][0]["meta"]["tags"][1]) == ["key", "value"]
    assert shown["message"]["meta"]["tags"] == [{"key": "", "value": ""}]


@pytest.mark.parametrize(
    ("payload", "text"),
    [(b"hello\n", "aGVsbG8K"), (b"\x00\xff\xfe", "AP/+"), (b"1", "MQ==")],
)
def test_a_payload_is_base64(payload: bytes, text: str) -> None:
    """The standard alphabet, padded."""
    shown = json.loads(reply_json(q_pb2.PopResponse(message=message(payload=payload))))

    assert shown["message"]["payload"] == text


@pytest.mark.parametrize(
    ("created_ns", "text"),
    [
        (1_795_528_582_994_277_600, "2026-11-24T13:56:22.994277600Z"),
        (1_795_528_582_994_277_000, "2026-11-24T13:56:22.994277Z"),
        (1_795_528_582_000_000_000, "2026-11-24T13:56:22Z"),
    ],
)
def test_a_time_has_nanoseconds_where_it_needs_them(created_ns: int, text: str) -> None:
    """0, 3, 6 or 9 digits, as protobuf writes JSON."""
    shown = json.loads(reply_json(q_pb2.PopResponse(message=message(created_ns=created_ns))))

    assert shown["message"]["meta"]["created"] == text


def test_text_is_printed_as_it_is() -> None:
    """Only what JSON must escape is escaped."""
    queue = q_pb2.Queue(name="é<&>\n")

    assert '"name": "é<&>\\n"' in reply_json(q_pb2.GetQueueResponse(queue=queue))


def test_weights_may_be_called_as_anything_is() -> None:
    """What is written of tags, and left out of queues, is not taken from them."""
    weights = (("", 1), ("limit", 2), ("settings", 3), ("tags", 4))
    settings = QueueSettings(fairness=Fairness(weights=weights))
    reply = q_pb2.GetQueueResponse(queue=described(settings))

    plain, whole = (
        json.loads(text(reply))["queue"]["settings"] for text in (plain_json, reply_json)
    )

    assert plain == {"fairness": {"weights": dict(weights)}}
    assert whole["fairness"]["weights"] == dict(weights)
