"""Bytes that the original sent or took: they mean to q what they meant to it."""

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from qmq.wire import q_pb2 as pb

ID = "34b85e07-c5e5-4e41-b9b9-7fb5f3c3726c"
ID_HEX = ID.encode().hex()

GOLDEN: list[tuple[str, type[Message], str, object]] = [
    (
        "a queue listed",
        pb.ListQueuesResponse,
        f"0a40 0a3c 0a24{ID_HEX} 120c 08bda896d806 10eddfc4c503 1a06 0a0161 120162 1001",
        {
            "queues": [
                {
                    "meta": {
                        "id": ID,
                        "created": "2026-11-24T13:42:21.951136237Z",
                        "tags": [{"key": "a", "value": "b"}],
                    },
                    "store": "MEMORY",
                }
            ]
        },
    ),
    (
        "a message without tags and payload popped",
        pb.PopResponse,
        f"0a36 0a34 0a24{ID_HEX} 120c 08cfaa96d806 10b3cfc5c801",
        {"message": {"meta": {"id": ID, "created": "2026-11-24T13:46:55.420571059Z"}}},
    ),
    (
        "a message added",
        pb.AddResponse,
        f"0a3f 0a34 0a24{ID_HEX} 120c 08cfaa96d806 10b3cfc5c801 1207 00ff0a68690d80",
        {
            "message": {
                "meta": {"id": ID, "created": "2026-11-24T13:46:55.420571059Z"},
                "payload": "AP8KaGkNgA==",
            }
        },
    ),
    ("no queue listed", pb.ListQueuesResponse, "", {}),
    ("a queue deleted", pb.DeleteQueueResponse, "", {}),
    ("the request for all queues", pb.ListQueuesRequest, "", {}),
    (
        "a request for a MEMORY queue without limit",
        pb.NewQueueRequest,
        "0801 10ffffffffffffffffff01 1a06 0a0161 120131 1a06 0a0161 120132",
        {
            "store": "MEMORY",
            "limit": "-1",
            "tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
        },
    ),
    (
        "a request for a durable queue",
        pb.NewQueueRequest,
        "0802 1005",
        {"store": "DISK", "limit": "5"},
    ),
    ("a request for a queue", pb.GetQueueRequest, f"0a24{ID_HEX}", {"queueId": ID}),
    (
        "a request to tag, with the empty tag",
        pb.AddQueueTagRequest,
        f"0a24{ID_HEX} 1200",
        {"queueId": ID, "tag": {}},
    ),
    (
        "a request to untag",
        pb.DeleteQueueTagRequest,
        f"0a24{ID_HEX} 1206 0a016b 120176",
        {"queueId": ID, "tag": {"key": "k", "value": "v"}},
    ),
    (
        "a request to add",
        pb.AddRequest,
        f"0a24{ID_HEX} 1211 0a06 0a0178 120179 1207 00ff0a68690d80",
        {
            "queueId": ID,
            "message": {"tags": [{"key": "x", "value": "y"}], "payload": "AP8KaGkNgA=="},
        },
    ),
    ("a request to pop", pb.PopRequest, f"0a24{ID_HEX}", {"queueId": ID}),
    ("a request to peek", pb.PeekRequest, f"0a24{ID_HEX}", {"queueId": ID}),
]


@pytest.mark.parametrize(
    ("kind", "encoded", "meaning"),
    [golden[1:] for golden in GOLDEN],
    ids=[golden[0] for golden in GOLDEN],
)
def test_bytes_mean_what_they_meant(kind: type[Message], encoded: str, meaning: object) -> None:
    """They are read as the same values, and the same values are written as they."""
    golden = bytes.fromhex(encoded)

    message = kind.FromString(golden)

    assert MessageToDict(message) == meaning
    assert message.SerializeToString(deterministic=True) == golden


def test_fields_of_a_later_version_are_skipped() -> None:
    """An old server or client lives with what it does not know."""
    request = pb.GetQueueRequest.FromString(bytes.fromhex(f"0a24{ID_HEX} b80601 c2060161"))

    assert request.queue_id == ID
