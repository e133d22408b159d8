"""The tables of docs/from-the-original.md that can be replayed, and how to replay them.

A row is: request, the original's answer, q's answer or the word "same", and why it changed.
The parts of a request or an answer are code spans. In them, `<queue>` is a queue with one
message, `<empty>` one without, `<full>` one whose limit is reached, `<unknown>` an id that
no queue has; `<message>` and `<time>` are what q chooses.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from qmq.wire import q_pb2 as pb
from tests.acceptance.http2 import GRPC, Http2Client
from tests.acceptance.rest import rest
from tests.acceptance.running import environment
from tests.acceptance.stock import UNKNOWN_ID, StockClient
from tests.acceptance.warm import run_warm

PAGE = Path(__file__).parent.parent.parent / "docs" / "from-the-original.md"

_SPAN = re.compile("`([^`]+)`")
_HEADER = re.compile("([A-Za-z-]+): (.*)")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6}|\.\d{9})?Z")
_RAW = "hex "

#: What a queue, or a whole reply, has beside all that the original's has; the page says so
#: once.
_NEW_IN_A_QUEUE = {"settings", "limit", "paused"}
_NEW_IN_A_REPLY = {"durability"}


@dataclass(frozen=True)
class Row:
    """A row of a table that can be replayed."""

    request: tuple[str, ...]
    original: tuple[str, ...]
    #: What q is said to answer.
    ours: tuple[str, ...]
    is_same: bool
    why: str


def rows(heading: str) -> list[Row]:
    """Read the rows of the first table below a heading."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    section, _, _ = after.partition("\n## ")
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line[:3] == "| `"]
    found = []
    for request, original, ours, why in lines:
        is_same = ours.strip() == "same"
        answer = tuple(_SPAN.findall(original if is_same else ours))
        found.append(
            Row(
                tuple(_SPAN.findall(request)),
                tuple(_SPAN.findall(original)),
                answer,
                is_same,
                why.strip(),
            )
        )
    return found


class Stage:
    """Queues in the states that a row asks for, made anew for each."""

    def __init__(self, client: StockClient) -> None:
        self._client = client
        self.ids: dict[str, str] = {"<unknown>": UNKNOWN_ID}

    def fill_in(self, text: str) -> str:
        """Put ids for placeholders."""
        for placeholder, make in (
            ("<queue>", self._with_a_message),
            ("<empty>", self._client.made),
            ("<full>", self._full),
        ):
            if placeholder.upper() in text.upper() and placeholder not in self.ids:
                self.ids[placeholder] = make()
        for placeholder, queue_id in self.ids.items():
            text = text.replace(placeholder, queue_id)
            text = text.replace(placeholder.upper(), queue_id.upper())
        return text

    def take_out(self, text: str) -> str:
        """Put placeholders for what differs between runs."""
        for placeholder, queue_id in self.ids.items():
            text = text.replace(queue_id, placeholder)
            text = text.replace(queue_id.upper(), placeholder.upper())
        kind = "<message>" if '"message":' in text else "<new>"
        return _TIME.sub("<time>", _UUID.sub(kind, text))

    def clear(self) -> None:
        """Delete all queues."""
        for queue in self._client.list_queues().queues:
            self._client.delete_queue(queue_id=queue.meta.id)

    def _with_a_message(self) -> str:
        queue_id = self._client.made(tags=[pb.Tag(key="a", value="b")])
        message = pb.NewMessage(payload=b"hello", tags=[pb.Tag(key="x", value="y")])
        self._client.add(queue_id=queue_id, message=message)
        return queue_id

    def _full(self) -> str:
        queue_id = self._client.made(limit=2)
        self._client.put(queue_id, b"1", b"2")
        return queue_id


def one_line(text: str) -> str:
    """JSON without spaces between its parts; what is no JSON, as it is."""
    try:
        return _packed(json.loads(text))
    except ValueError:
        return text.strip()


def one_line_of_old(text: str) -> str:
    """The same without details of an error, and without what is new in replies."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    if isinstance(value, dict):
        if {"code", "message"} <= set(value):
            value.pop("details", None)
        value = {name: each for name, each in value.items() if name not in _NEW_IN_A_REPLY}
        if "queue" in value:
            value["queue"] = {
                name: each for name, each in value["queue"].items() if name not in _NEW_IN_A_QUEUE
            }
    return _packed(value)


def _packed(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def by_grpc(stage: Stage, channel: grpc.Channel, request: tuple[str, ...]) -> tuple[str, ...]:
    """Call a method; the parts are its name and the request's JSON."""
    name, fields = request
    kind: Callable[[], Message] = getattr(pb, f"{name}Request")
    reply: Message = getattr(pb, f"{name}Response")()
    call: Callable[[bytes], bytes] = _bytes_method(channel, f"/proto.Q/{name}")
    message = json_format.Parse(stage.fill_in(fields), kind())
    try:
        reply.ParseFromString(call(message.SerializeToString()))
    except grpc.RpcError as error:
        return error.code().name, stage.take_out(error.details() or "")
    shown = json_format.MessageToJson(reply, preserving_proto_field_name=True)
    return "OK", stage.take_out(one_line_of_old(shown))


def _bytes_method(channel: grpc.Channel, path: str) -> Callable[[bytes], bytes]:
    method = channel.unary_unary(
        path, request_serializer=lambda data: data, response_deserializer=lambda data: data
    )
    return lambda data: bytes(method(data, timeout=60))


def by_raw_grpc(stage: Stage, address: str, request: tuple[str, ...]) -> tuple[str, ...]:
    """Send a gRPC request as it is; the parts are method and path, headers, the body in hex."""
    line, headers, body = _http_parts(request)
    method, path = line.split()
    names = {name for name, _ in headers}
    every = [*(header for header in GRPC if header[0] not in names), *headers]
    with Http2Client(address) as raw:
        if body is None:
            reply = raw.reply(raw.open(path, every, method=method, end=True))
        else:
            reply = raw.call(path, body, every, method=method)
    if reply.http_status != 200:
        return f"HTTP {reply.http_status}", one_line_of_old(reply.body.decode())
    name = next(code.name for code in grpc.StatusCode if code.value[0] == reply.code)
    return (name, stage.take_out(reply.message)) if reply.code else (name,)


def by_rest(stage: Stage, address: str, request: tuple[str, ...]) -> tuple[str, ...]:
    """Send an HTTP request; the parts are method and path, headers, body."""
    line, headers, body = _http_parts(tuple(stage.fill_in(part) for part in request))
    method, path = line.split()
    reply = rest(address, method, path, body, dict(headers))
    shown = [
        f"{name}: {value}"
        for name, value in sorted(reply.headers.items())
        if _is_shown(name, value)
    ]
    text = stage.take_out(one_line_of_old(reply.body.decode()))
    return (str(reply.status), *shown, *([text] if text else []))


def _is_shown(header: str, value: str) -> bool:
    return header.startswith("access-control-") and bool(value)


def _http_parts(
    request: tuple[str, ...],
) -> tuple[str, list[tuple[str, str]], bytes | None]:
    line, *more = request
    headers = [match.groups() for part in more if (match := _HEADER.fullmatch(part))]
    bodies = [part for part in more if not _HEADER.fullmatch(part)]
    body = None
    if bodies:
        [text] = bodies
        is_hex = text.startswith(_RAW)
        body = bytes.fromhex(text.removeprefix(_RAW)) if is_hex else text.encode()
    return line, [(name.lower(), value) for name, value in headers], body


def by_qcli(stage: Stage, address: str, request: tuple[str, ...]) -> tuple[str, ...]:
    """Run qcli; the parts are the command line and its standard input."""
    command, payload = request if len(request) == 2 else (*request, "")
    _, *arguments = stage.fill_in(command).split()
    done = run_warm(arguments, payload.encode(), environment(QCLI_SERVER=address))
    text = (done.stdout + done.stderr).decode()
    shown = stage.take_out(one_line(text)).splitlines()
    return (str(done.returncode), *shown[:1])
