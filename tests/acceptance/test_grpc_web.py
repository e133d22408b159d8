"""gRPC-Web, for browsers, on the same port as gRPC."""

import re
from base64 import b64decode, b64encode
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from google.protobuf.message import Message

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import frame
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient

BINARY = "application/grpc-web+proto"
TEXT = "application/grpc-web-text+proto"
CONTENT_TYPES = pytest.mark.parametrize("content_type", [BINARY, TEXT, "application/grpc-web"])

_TRAILERS_FLAG = 0x80


class Ended(NamedTuple):
    """The reply of a call: messages, and how it ended."""

    messages: list[bytes]
    code: int
    message: str


def web_call(q: RunningQ, method: str, request: Message, content_type: str) -> Ended:
    """Call a method as a browser does, over HTTP/1.1."""
    body = frame(request.SerializeToString())
    reply = rest(
        q.address,
        "POST",
        f"/proto.Q/{method}",
        b64encode(body) if "text" in content_type else body,
        {"content-type": content_type, "accept": content_type, "x-grpc-web": "1"},
    )
    assert reply.status == 200, reply
    assert reply.headers["content-type"].startswith(content_type)
    data = reply.body
    if "text" in content_type:
        # Each piece is padded on its own.
        data = b"".join(map(b64decode, re.findall(b"[^=]+=*", reply.body)))
    messages = []
    status = {name: reply.headers.get(name) for name in ("grpc-status", "grpc-message")}
    while data:
        flag, end = data[0], 5 + int.from_bytes(data[1:5], "big")
        if flag & _TRAILERS_FLAG:
            lines = data[5:end].decode().splitlines()
            status |= dict(line.replace(": ", ":").split(":", 1) for line in lines)
        else:
            messages.append(data[5:end])
        data = data[end:]
    assert status["grpc-status"] is not None, reply
    return Ended(messages, int(status["grpc-status"]), unquote(status["grpc-message"] or ""))


@CONTENT_TYPES
def test_browser_adds_and_pops(shared_q: RunningQ, client: StockClient, content_type: str) -> None:
    """Add and Pop work as by gRPC, for bytes of every length in the text form too."""
    queue_id = client.made()
    payloads = [bytes(range(length)) for length in range(6)]

    for payload in payloads:
        message = pb.NewMessage(payload=payload)
        added = web_call(
            shared_q, "Add", pb.AddRequest(queue_id=queue_id, message=message), content_type
        )
        assert (added.code, len(added.messages)) == (0, 1)
    popped = [
        web_call(shared_q, "Pop", pb.PopRequest(queue_id=queue_id), content_type).messages[0]
        for _ in payloads
    ]

    assert [pb.PopResponse.FromString(data).message.payload for data in popped] == payloads


@CONTENT_TYPES
def test_browser_is_told_what_went_wrong(shared_q: RunningQ, content_type: str) -> None:
    """An error arrives with its code and message."""
    ended = web_call(shared_q, "Pop", pb.PopRequest(queue_id=UNKNOWN_ID), content_type)

    assert ended == ([], 5, f"cannot find queue with id {UNKNOWN_ID}")


def test_browser_may_list_many_queues(shared_q: RunningQ, client: StockClient) -> None:
    """A reply of many kilobytes is whole, in the text form as well."""
    for _ in range(50):
        client.made(tags=[pb.Tag(key="k", value="v" * 1_000)])

    ended = web_call(shared_q, "ListQueues", pb.ListQueuesRequest(), TEXT)

    assert pb.ListQueuesResponse.FromString(ended.messages[0]) == client.list_queues()
