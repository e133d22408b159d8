"""What Envoy makes of requests before q sees them, and of its own refusals.

All of it is asked of the real program.
"""

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmq.wire import q_pb2
from tests.acceptance.running import RunningQ

#: The largest message that q takes without being told otherwise.
MESSAGE_BYTES_MAX = 4 * 1024 * 1024

#: More than a message's id, its time and its framing take, and what a lease adds to that.
METADATA_BYTES = 400


class Reply(NamedTuple):
    """An answer to a REST request."""

    status: int
    headers: dict[str, str]
    body: Any


class Rest:
    """A REST client, with a connection a request."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """Return the reply to a request; a body that is no text becomes JSON."""
        text = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        connection = http.client.HTTPConnection(self.address, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, text, named)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = response.getheader("content-type") == "application/json"
        return Reply(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            json.loads(content) if is_json and content else content,
        )

    def refusal(self, method: str, path: str, body: object = None) -> tuple[int, int, str]:
        """Return HTTP status, code and message of a request that is refused."""
        reply = self(method, path, body)
        assert reply.headers["content-type"] == "application/json"
        assert reply.body.keys() <= {"code", "message", "details"}
        return reply.status, reply.body["code"], reply.body["message"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """One q for all tests here: they make queues of their own and leave it running."""
    q = RunningQ(tmp_path_factory.mktemp("q"))
    q.start()
    yield q
    q.stop()


@pytest.fixture
def rest(running: RunningQ) -> Rest:
    """Calls q by REST."""
    return Rest(running.address)


@pytest.fixture
def channel(running: RunningQ) -> Iterator[grpc.Channel]:
    """A gRPC channel to q."""
    with grpc.insecure_channel(running.address) as channel:
        yield channel


@pytest.fixture
def queue(rest: Rest) -> str:
    """The path of a new MEMORY queue."""
    name = f"q-{uuid4()}"
    assert rest("POST", "/v1/queues", {"store": "MEMORY", "name": name}).status == 200
    return f"/v1/queues/{name}"


def test_replies_leave_out_empty_fields(rest: Rest, queue: str) -> None:
    """As the original's did; names are those of the proto."""
    message = rest("POST", queue, {}).body["message"]

    assert message.keys() == {"meta"}
    assert message["meta"].keys() == {"id", "created"}
    described = rest("GET", queue).body["queue"]
    assert described.keys() == {"meta", "store", "name", "settings", "limit"}
    # Of what is optional, a value of 0 is another thing than none.
    assert (
        described["settings"].items()
        >= {
            "delivery_count_max": 0,
            "dead_letter_queue_id": "",
        }.items()
    )


def test_a_number_may_be_a_text(rest: Rest) -> None:
    """JSON's numbers are too small for 64 bits."""
    assert rest("POST", "/v1/queues", {"store": "MEMORY", "limit": "2"}).status == 200
    assert rest("POST", "/v1/queues", {"store": 1, "limit": 2}).status == 200


def test_an_error_of_q_is_a_status_with_its_details(rest: Rest, queue: str) -> None:
    """What gRPC has in binary trailers is JSON here."""
    reply = rest("GET", f"{queue}/pop")

    assert reply.status == 404
    assert reply.body["code"] == 5
    assert reply.body["message"].endswith(" is empty")
    (detail,) = reply.body["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["reason"] == "QUEUE_EMPTY"


def test_a_full_queue_is_too_many_requests(rest: Rest) -> None:
    """RESOURCE_EXHAUSTED is 429 today; the original said 403."""
    name = f"q-{uuid4()}"
    rest("POST", "/v1/queues", {"store": "MEMORY", "limit": 1, "name": name})
    rest("POST", f"/v1/queues/{name}", {})

    status, code, message = rest.refusal("POST", f"/v1/queues/{name}", {})

    assert (status, code) == (429, 8)
    assert message.endswith("has reached limit of 1 messages")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"payload": "aGk=", "paylod": "aGk="}, 'unknown field "paylod" in proto.NewMessage'),
        ({"tags": [{"key": "a"}, {"kee": "b"}]}, 'unknown field "kee" in proto.Tag'),
        ('{"pay\\u006coad": ""}', 'unknown field "pay\\u006coad" in proto.NewMessage'),
        ("", "the body is empty; send a JSON object, a proto.NewMessage"),
        (" \n ", "the body is empty; send a JSON object, a proto.NewMessage"),
        ("null", "the body is not a JSON object; send a proto.NewMessage"),
        ("[{}]", "the body is not a JSON object; send a proto.NewMessage"),
        ("{", "invalid JSON at byte 1: expected a field name in double quotes, found the end of"),
        ('{"payload": "aGk', "invalid JSON at byte 16: expected the end of a string, found"),
        ("{'payload': ''}", "invalid JSON at byte 1: expected a field name in double quotes"),
        ('{"payload" ""}', "invalid JSON at byte 11: expected a colon, found '\"'"),
        ('{"payload": }', "invalid JSON at byte 12: expected a value, found '}'"),
        ('{"payload": "" "', "invalid JSON at byte 15: expected a comma or a closing brace"),
        ('{"tags": [{} {}]}', "invalid JSON at byte 13: expected a comma or a closing bracket"),
        ('{"payload": "",}', "invalid JSON at byte 15: expected a field name in double quotes"),
        ("{}{}", "invalid JSON at byte 2: expected the end of the body"),
        ('{"tags": ' + "[" * 40, "invalid JSON: nested deeper than 32 levels"),
        ('{"payload": tru}', "Unexpected token."),
        ({"payload": "!!!"}, 'message.payload: invalid value "!!!" for type TYPE_BYTES'),
        (b'{"tags": [{"key": "\xff"}]}', "Encountered non UTF-8 code points."),
    ],
)
def test_bad_json_is_refused_with_the_reason(
    rest: Rest, queue: str, body: object, message: str
) -> None:
    """Nothing is enqueued of it."""
    status, code, found = rest.refusal("POST", queue, body)

    assert (status, code) == (400, 3)
    assert found.startswith(message)
    assert rest("GET", f"{queue}/pop").status == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"store": "memory"}, 'store: invalid value "memory" for type'),
        ({"limit": "many"}, 'limit: invalid value "many" for type TYPE_INT64'),
        ({"limit": 1.5}, "limit: invalid value 1.5 for type TYPE_INT64"),
        ({"name": 3}, "name: invalid value 3 for type TYPE_STRING"),
        ({"payload": ""}, 'unknown field "payload" in proto.NewQueueRequest'),
    ],
)
def test_wrong_values_are_refused_by_name(rest: Rest, body: object, message: str) -> None:
    """Whoever reads the answer knows which field to mend."""
    status, code, found = rest.refusal("POST", "/v1/queues", body)

    assert (status, code) == (400, 3)
    assert found.startswith(message)


#: What JSON is made of, and what it is not.
_PIECES = st.one_of(
    st.sampled_from("{}[],:'\"\\ \n-e1"),
    st.sampled_from(["null", "true", "payload", '"aGk="', "/**/", "\u00e9"]),
    st.sampled_from(['"payload"', '"tags"', '"key"', '"value"', '"other"']),
)

#: Right JSON, with what is not right about it now and then.
_TEXTS = st.one_of(
    st.lists(_PIECES, max_size=12).map("".join),
    st.lists(_PIECES, max_size=3).map(lambda pieces: f'{{"payload": "aGk="{"".join(pieces)}}}'),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["payload", "tags", "key", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    ).map(json.dumps),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=_TEXTS)
def test_what_is_taken_is_json_without_unknown_fields(rest: Rest, queue: str, text: str) -> None:
    """The check and the transcoder together take nothing that a strict parser would not."""
    reply = rest("POST", queue, text.encode())

    assert reply.status in (200, 400)
    if reply.status == 400:
        assert reply.body.keys() == {"code", "message"}
        assert reply.body["code"] == 3
        return
    message = json.loads(text)
    assert message.keys() <= {"payload", "tags"}
    tags = message.get("tags") or []
    for tag in [tags] if isinstance(tags, dict) else filter(None, tags):
        assert tag.keys() <= {"key", "value"}


def test_values_may_be_null(rest: Rest, queue: str) -> None:
    """In the JSON of protobuf null is a field left out."""
    assert rest("POST", queue, {"payload": None, "tags": None}).status == 200


def test_any_escape_may_stand_in_a_value(rest: Rest, queue: str) -> None:
    """What looks like structure in a text is none."""
    tag = {"key": 'a"}],"x":[{\\', "value": "\u2028\n\U0001f600"}

    assert rest("POST", queue, {"tags": [tag]}).body["message"]["meta"]["tags"] == [tag]


def test_names_may_be_in_camel_case(rest: Rest) -> None:
    """The JSON of protobuf knows both."""
    assert rest("GET", "/v1/queues?pageSize=1").status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_tag_call_without_a_tag_is_refused(rest: Rest, queue: str, method: str) -> None:
    """An empty body would be the empty tag."""
    assert rest.refusal(method, f"{queue}/tag") == (
        400,
        3,
        "the body is empty; send a JSON object, a proto.Tag",
    )


def test_unknown_query_parameters_are_refused_by_name(rest: Rest) -> None:
    """A misspelt page_size must not list everything."""
    assert rest.refusal("GET", "/v1/queues?pagesize=3") == (
        400,
        3,
        'Could not find field "pagesize" in the type "proto.ListQueuesRequest".',
    )


@pytest.mark.parametrize("space", ["+", "%20"])
def test_a_plus_in_a_query_is_a_space(rest: Rest, space: str) -> None:
    """As HTML has it, and most libraries write it; one that is meant is encoded."""
    made = rest("POST", "/v1/queues", {"tags": [{"key": "a +", "value": "b+"}]}).body["queue"]
    selector = space.join(["%22a", "%2B%22", "in", "(b%2B)"])

    listed = rest("GET", f"/v1/queues?selector={selector}").body["queues"]

    assert made in listed
    assert all(queue["meta"]["tags"] == made["meta"]["tags"] for queue in listed)


@pytest.mark.parametrize("name", ["queue_id", "queueId", "%71ueue_id"])
def test_the_query_cannot_replace_the_path(rest: Rest, queue: str, name: str) -> None:
    """Else a proxy that guards paths would guard nothing."""
    status, code, message = rest.refusal("GET", f"{queue}?{name}=other")

    assert (status, code) == (400, 3)
    assert name in message


@pytest.mark.parametrize("name", ["queue_id", "queueId"])
def test_the_query_may_say_what_its_path_does_not(rest: Rest, queue: str, name: str) -> None:
    """The counts of one queue have a path of their own, and can be asked for without it."""
    queue_name = queue.rpartition("/")[2]

    replies = [
        rest("GET", f"/v1/stats?{name}={queue_name}"),
        rest("GET", f"{queue}/stats"),
    ]

    assert [reply.body["queues"][0]["queue"]["name"] for reply in replies] == [queue_name] * 2
    assert rest.refusal("GET", f"{queue}/stats?{name}=other")[:2] == (400, 3)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/queues?page_size=1&page_size=2", "page_size"),
        ("/v1/queues/x/messages?tags.key=a&tags.value=1&tags.key=b", "tags.key"),
    ],
)
def test_what_a_query_says_twice_is_refused(rest: Rest, path: str, name: str) -> None:
    """The transcoder would take the last of them and say nothing."""
    assert rest.refusal("GET", path) == (400, 3, f"the query gives {name} more than once")


def test_what_is_a_list_may_be_repeated_in_a_query(rest: Rest, queue: str) -> None:
    """As JSON's arrays would be."""
    rest("POST", queue, {})

    for query, count in (("states=READY&states=LEASED", 1), ("states=LEASED&states=3", 0)):
        reply = rest("GET", f"{queue}/messages?{query}")
        assert (reply.status, len(reply.body.get("messages", []))) == (200, count)


def test_patch_is_served_and_checked(rest: Rest, queue: str) -> None:
    """As the methods that were always there."""
    changed = rest("PATCH", queue, {"settings": {"lease_duration": "60s"}})

    assert changed.body["queue"]["settings"]["lease_duration"] == "60s"
    assert rest.refusal("PATCH", queue, {"settings": {"lease": "60s"}}) == (
        400,
        3,
        'unknown field "lease" in proto.QueueSettings',
    )
    assert rest.refusal("PATCH", queue)[2].startswith("the body is empty; ")


def test_unknown_fields_are_found_in_types_within_types(rest: Rest) -> None:
    """They are named with the type that lacks them."""
    body = {"adds": [{"queue_id": "x", "messages": [{"tags": [{"kee": ""}]}]}]}

    assert rest.refusal("POST", "/v1/complete", body)[2] == 'unknown field "kee" in proto.Tag'
    assert rest.refusal("POST", "/v1/complete", {"acks": [{"leases": []}]})[2] == (
        'unknown field "leases" in proto.CompleteRequest.Ack'
    )


@pytest.mark.parametrize("path", ["/v1/queues/", "//", "/v1//queues", "/v1/queues//pop"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_paths_with_empty_segments_are_not_found(rest: Rest, method: str, path: str) -> None:
    """A variable that was empty by mistake must not reach another method."""
    assert rest.refusal(method, path, "{}" if method == "POST" else None) == (
        404,
        5,
        f"no such path: {path} has an empty segment or ends with a slash",
    )


def test_unknown_paths_and_methods_are_json_too(rest: Rest) -> None:
    """The original answered with text."""
    assert rest.refusal("GET", "/nope")[:2] == (404, 5)
    reply = rest("PUT", "/v1/queues", {})
    assert (reply.status, reply.body["code"], reply.headers["allow"]) == (405, 12, "GET, POST")


def test_there_is_no_cors(rest: Rest) -> None:
    """Pages of other origins use the gateway, which is there for them."""
    reply = rest("GET", "/v1/queues", origin="http://page.example")

    assert reply.status == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_http_1_0_is_served(running: RunningQ) -> None:
    """The oldest probes still speak it."""
    assert raw(running, b"GET /v1/queues HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 OK")


def raw(running: RunningQ, request: bytes) -> bytes:
    """Send bytes, and return what comes until q closes the connection."""
    host, _, port = running.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"SOUP\r\n\r\n", "malformed HTTP: http1.codec_error"),
        (b"GET / HTTP/1.1\r\n\r\n", "malformed HTTP: missing_host_header"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nb\0: c\r\n\r\n", "malformed HTTP: http1.invalid_charac"),
        (b"SOUP / HTTP/1.1\r\nhost: a\r\n\r\n", "malformed HTTP: http1.codec_error"),
    ],
)
def test_malformed_http_is_refused_in_json(
    running: RunningQ, request_: bytes, message: str
) -> None:
    """The shape of an error does not depend on who found it."""
    head, _, body = raw(running, request_).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    status = json.loads(body)
    assert status["code"] == 3
    assert status["message"].startswith(message)


def test_too_many_headers_are_refused_in_json(rest: Rest) -> None:
    """Envoy takes a hundred, and 60 KiB of them."""
    for headers in ({f"x{number}": "y" for number in range(150)}, {"x": "y" * 100_000}):
        reply = rest("GET", "/v1/queues", None, **headers)

        assert reply.status == 431
        assert reply.body == {
            "code": 8,
            "message": "the request's headers are too large or too many",
        }


def test_an_upgrade_is_refused_in_json(rest: Rest) -> None:
    """There are no web sockets here."""
    reply = rest("GET", "/v1/queues", None, connection="upgrade", upgrade="websocket")

    assert (reply.status, reply.body["code"]) == (403, 7)


def test_the_largest_message_goes_in_and_out_by_rest(rest: Rest, queue: str) -> None:
    """Base64 makes it a third larger; no buffer on its way may be too small."""
    payload = base64.b64encode(b"\xff" * (MESSAGE_BYTES_MAX - METADATA_BYTES)).decode()

    added = rest("POST", queue, {"payload": payload})
    popped = rest("GET", f"{queue}/pop")

    assert (added.status, popped.status) == (200, 200)
    assert added.body["message"]["payload"] == payload
    assert popped.body["message"]["payload"] == payload


def test_a_message_too_large_for_q_is_refused_by_q(rest: Rest, queue: str) -> None:
    """It fits through Envoy, so the limit that it breaks is named."""
    payload = base64.b64encode(b"\xff" * (MESSAGE_BYTES_MAX + 1)).decode()

    status, code, message = rest.refusal("POST", queue, {"payload": payload})

    assert (status, code) == (429, 8)
    assert str(MESSAGE_BYTES_MAX) in message


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_large_for_envoy_is_refused_in_json(
    rest: Rest, queue: str, *, chunked: bool
) -> None:
    """Whether or not its length was announced."""
    text = json.dumps({"payload": "A" * (2 * MESSAGE_BYTES_MAX)})
    connection = http.client.HTTPConnection(rest.address, timeout=30)
    body: Any = iter([text.encode()]) if chunked else text

    connection.request("POST", queue, body, encode_chunked=chunked)
    response = connection.getresponse()

    assert response.status == 413
    assert json.loads(response.read()) == {
        "code": 8,
        "message": "the request's body is larger than 6640981 bytes, more than a message needs",
    }
    connection.close()


def test_a_body_far_too_large_is_read_to_its_end(rest: Rest, queue: str) -> None:
    """A client that only reads when it has sent everything still gets the answer."""
    reply = rest("POST", queue, {"payload": "A" * (10 * MESSAGE_BYTES_MAX)})

    assert (reply.status, reply.body["code"]) == (413, 8)


def call(channel: grpc.Channel, method: str, request: Any, reply_type: Any) -> Any:  # noqa: ANN401
    """Call a method of q by gRPC."""
    return channel.unary_unary(
        f"/proto.Q/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reply_type.FromString,
    )(request, timeout=30)


def test_the_largest_message_goes_in_and_out_by_grpc(channel: grpc.Channel, queue: str) -> None:
    """The stock client's own limit is 4 MiB a reply."""
    payload = b"\xff" * (MESSAGE_BYTES_MAX - METADATA_BYTES)
    queue_id = queue.rpartition("/")[2]

    added = call(
        channel,
        "Add",
        q_pb2.AddRequest(queue_id=queue_id, message=q_pb2.NewMessage(payload=payload)),
        q_pb2.AddResponse,
    )
    popped = call(channel, "Pop", q_pb2.PopRequest(queue_id=queue_id), q_pb2.PopResponse)

    assert added.message.payload == payload
    assert popped.message.payload == payload


def test_a_message_far_too_large_is_refused_by_grpc(channel: grpc.Channel, queue: str) -> None:
    """With a status, not a reset."""
    message = q_pb2.NewMessage(payload=b"\xff" * (4 * MESSAGE_BYTES_MAX))
    request = q_pb2.AddRequest(queue_id=queue.rpartition("/")[2], message=message)

    with pytest.raises(grpc.RpcError) as raised:
        call(channel, "Add", request, q_pb2.AddResponse)

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "_bytes_max of " in str(raised.value.details())


def test_too_much_metadata_ends_its_own_call_alone(channel: grpc.Channel) -> None:
    """All that Envoy can say is that it resets the stream."""
    ask = channel.unary_unary("/proto.Q/ListQueues", bytes, bytes)
    metadata = tuple((f"x-{number}", "x" * 10_000) for number in range(7))

    with pytest.raises(grpc.RpcError) as raised:
        ask(b"", metadata=metadata, timeout=30)

    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "error code 2" in str(raised.value.details())
    ask(b"", metadata=metadata[:5], timeout=30)


def test_grpc_web_is_served(rest: Rest, queue: str) -> None:
    """A browser gets trailers in the body."""
    request = q_pb2.GetQueueRequest(queue_id=queue.rpartition("/")[2]).SerializeToString()

    reply = rest(
        "POST",
        "/proto.Q/GetQueue",
        b"\0" + len(request).to_bytes(4, "big") + request,
        content_type="application/grpc-web+proto",
    )

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/grpc-web+proto"
    length = int.from_bytes(reply.body[1:5], "big")
    found = q_pb2.GetQueueResponse.FromString(reply.body[5 : 5 + length]).queue
    assert found.name == queue.rpartition("/")[2]
    assert b"grpc-status:0" in reply.body[5 + length :]


def test_a_grpc_web_error_has_its_message(rest: Rest) -> None:
    """Status and message come as headers, since nothing else does."""
    request = q_pb2.GetQueueRequest(queue_id=str(uuid4())).SerializeToString()

    reply = rest(
        "POST",
        "/proto.Q/GetQueue",
        b"\0" + len(request).to_bytes(4, "big") + request,
        content_type="application/grpc-web+proto",
    )

    assert reply.headers["grpc-status"] == "5"
    assert reply.headers["grpc-message"].startswith("cannot find queue with id")


def test_envoys_metrics_are_shown(running: RunningQ, rest: Rest) -> None:
    """Connections, requests in flight, and requests by class of status."""
    rest("GET", "/nope")
    host, _, port = running.metrics_address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()

    label = 'envoy_http_conn_manager_prefix="q"'
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert int(lines[f"envoy_http_downstream_cx_total{{{label}}}"]) > 0
    assert lines[f"envoy_http_downstream_rq_active{{{label}}}"] == "0"
    assert f"envoy_http_downstream_cx_active{{{label}}}" in lines
    assert int(lines[f'envoy_http_downstream_rq_xx{{envoy_response_code_class="4",{label}}}']) > 0
    assert len([name for name in lines if name.startswith("envoy_")]) < 30


def test_envoy_administration_is_not_on_the_network(running: RunningQ) -> None:
    """A Unix socket in a private directory is all there is of it."""
    listening = {
        int(line.split()[1].rpartition(":")[2], 16)
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{running.pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[9] in inodes(running.pid)
    }

    addresses = (running.address, running.metrics_address)
    assert listening == {int(address.rpartition(":")[2]) for address in addresses}


def inodes(pid: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    links = [
        str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()
    ]
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
