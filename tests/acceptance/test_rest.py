"""The REST API of q, on the same port as gRPC."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

import pytest

from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import JSON, RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient

MEMORY = {"store": "MEMORY"}
UNDER = "the API is under /v1/queues"
NEITHER = "is neither a UUID nor the name of a queue"


class Call(Protocol):
    """Sends a request to q."""

    def __call__(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = JSON
    ) -> RestReply:
        """Send it and wait for the reply."""
        ...


@pytest.fixture
def call(shared_q: RunningQ) -> Call:
    """Sends requests to the q that tests share."""

    def send(
        method: str, path: str, body: object = None, headers: Mapping[str, str] = JSON
    ) -> RestReply:
        return rest(shared_q.address, method, path, body, headers)

    return send


def fine(reply: RestReply) -> str:
    """The JSON of a request that succeeded, without what differs between runs."""
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json"), reply
    return reply.text


def test_empty_list_is_an_empty_object(bare_q: RunningQ) -> None:
    """As in the original, what is empty is left out."""
    assert fine(rest(bare_q.address, "GET", "/v1/queues")) == "{}"


def test_queue_is_made_found_listed_and_deleted(call: Call) -> None:
    """JSON is on one line, in the original's order and with its names."""
    tags = [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}]
    shape = (
        '{"queue":{"meta":{"id":"<id>","created":"<time>","tags":'
        '[{"key":"a","value":"b"},{"key":"a","value":"c"}]},"store":"MEMORY","settings":{'
        '"lease_duration":"30s","delivery_count_max":0,"dead_letter_queue_id":"","back_off":'
        '{"base":"1s","factor":2,"max":"300s","jitter":0.2},"durability_min":"MEMORY",'
        '"delay":"0s","ttl":"0s","dead_letter_expired":false,"dedup_window":"300s",'
        '"priority_ageing":"0s","bytes_limit":"0","overflow":"REJECT","leased_max":0,'
        '"rate":{"messages_per_second":0,"burst":0},"park_after":0,"fairness":{"leased_max":0,'
        '"rate":{"messages_per_second":0,"burst":0}},"weight":1},"limit":"2"}}'
    )

    made = call("POST", "/v1/queues", {**MEMORY, "limit": "2", "tags": tags})
    queue = made.json["queue"]
    path = f"/v1/queues/{queue['meta']['id']}"

    assert fine(made) == shape
    assert call("GET", path).json == made.json
    assert queue in call("GET", "/v1/queues").json["queues"]
    assert fine(call("DELETE", path)) == "{}"
    assert fine(call("DELETE", path)) == "{}"
    assert call("GET", path).status == 404


def test_message_is_added_peeked_and_popped(call: Call, client: StockClient) -> None:
    """Payloads are base64; the reply of Add is the whole message."""
    path = f"/v1/queues/{client.made()}"
    body = {"payload": b64encode(b"\x00hello\xff").decode(), "tags": [{"key": "x", "value": "y"}]}

    added = call("POST", path, body)

    assert fine(added) == (
        '{"message":{"meta":{"id":"<id>","created":"<time>","tags":[{"key":"x","value":"y"}]},'
        '"payload":"AGhlbGxv/w=="},"durability":"MEMORY"}'
    )
    assert call("GET", f"{path}/peek").json == {"message": added.json["message"]}
    assert call("GET", f"{path}/pop").body == added.body
    assert call("GET", f"{path}/pop").status == 404


def test_empty_message_has_no_payload(call: Call, client: StockClient) -> None:
    """An empty object is a message."""
    path = f"/v1/queues/{client.made()}"

    added = call("POST", path, {})

    assert fine(added) == (
        '{"message":{"meta":{"id":"<id>","created":"<time>"}},"durability":"MEMORY"}'
    )
    assert call("GET", f"{path}/pop").body == added.body


def test_tags_are_added_and_removed(call: Call, client: StockClient) -> None:
    """Twice is as good as once, and an empty tag is a tag."""
    queue_id = client.made()
    path = f"/v1/queues/{queue_id}/tag"
    tag = {"key": "k", "value": "v"}

    for _ in range(2):
        assert fine(call("POST", path, tag)) == "{}"
    assert fine(call("POST", path, {})) == "{}"
    tagged = call("GET", f"/v1/queues/{queue_id}").json["queue"]["meta"]["tags"]
    for _ in range(2):
        assert fine(call("DELETE", path, tag)) == "{}"

    assert tagged == [tag, {}]
    assert call("GET", f"/v1/queues/{queue_id}").json["queue"]["meta"]["tags"] == [{}]


@pytest.mark.parametrize(
    ("store", "name"),
    [("MEMORY", "MEMORY"), ("DISK", "DISK"), ("BOLTDB", "DISK"), (1, "MEMORY"), (2, "DISK")],
)
def test_store_is_a_name_or_a_number(call: Call, store: object, name: str) -> None:
    """The original's BOLTDB is accepted and answered with what it is called now."""
    assert call("POST", "/v1/queues", {"store": store}).json["queue"]["store"] == name


@pytest.mark.parametrize("limit", ["1", 1], ids=repr)
def test_limit_is_a_string_or_a_number(call: Call, limit: object) -> None:
    """As in the original; the limit holds."""
    queue_id = call("POST", "/v1/queues", {**MEMORY, "limit": limit}).json["queue"]["meta"]["id"]
    path = f"/v1/queues/{queue_id}"
    call("POST", path, {})

    assert call("POST", path, {}).refusal == (
        429,
        8,
        f"queue {queue_id} has reached limit of 1 messages",
    )


@pytest.mark.parametrize("limit", ["-1", -1, "0", 0, None], ids=repr)
def test_queue_may_be_without_limit(call: Call, limit: object) -> None:
    """No limit is -1, 0, null or nothing: the original's REST callers got a queue always full."""
    made = call("POST", "/v1/queues", {**MEMORY, "limit": limit}).json["queue"]["meta"]["id"]

    assert fine(call("POST", f"/v1/queues/{made}", {})).startswith('{"message":')


def test_queue_has_a_name(call: Call) -> None:
    """A name is accepted in every path where an id is."""
    made = call("POST", "/v1/queues", {**MEMORY, "name": "rest.name"})

    assert call("GET", "/v1/queues/rest.name").json == made.json
    assert fine(call("DELETE", "/v1/queues/rest.name")) == "{}"


def test_list_has_pages(call: Call, client: StockClient) -> None:
    """Page after page holds what the whole list does."""
    for _ in range(3):
        client.made()
    whole = call("GET", "/v1/queues").json["queues"]

    first = call("GET", "/v1/queues?page_size=2").json
    rest_of_it = call("GET", f"/v1/queues?page_token={first['next_page_token']}").json

    assert first["queues"] == whole[:2]
    assert rest_of_it["queues"] == whole[2:]


def test_queues_are_selected_by_their_tags(call: Call, client: StockClient) -> None:
    """The selector goes into the query, with its marks and spaces encoded."""
    for env in ("prod", "stage", "test"):
        client.new_queue(tags=[pb.Tag(key="rest", value="yes"), pb.Tag(key="env", value=env)])
    query = quote('rest=yes,env in (prod,"stage")')

    listed = call("GET", f"/v1/queues?selector={query}&page_size=1").json
    rest_of_it = call(
        "GET", f"/v1/queues?selector={query}&page_token={listed['next_page_token']}"
    ).json
    refusal = call("GET", "/v1/queues?selector=rest%3D").refusal

    envs = [queue["meta"]["tags"][1]["value"] for queue in listed["queues"] + rest_of_it["queues"]]
    assert envs == ["prod", "stage"]
    assert "next_page_token" not in rest_of_it
    assert refusal[:2] == (400, 3)
    assert refusal[2].startswith("selector: at its end: expected a value")


def test_what_rest_adds_grpc_pops(call: Call, client: StockClient) -> None:
    """Both are ways to one queue."""
    queue_id = client.made(pb.Queue.DISK)
    call("POST", f"/v1/queues/{queue_id}", {"payload": "aGVsbG8="})

    assert client.pop(queue_id=queue_id).message.payload == b"hello"


def test_largest_message_goes_through(call: Call, client: StockClient) -> None:
    """JSON is a third larger than its payload, and what fits by gRPC fits by REST."""
    queue_id = client.made()
    payload = b64encode(bytes(4 * 1024 * 1024 - 400)).decode()

    added = call("POST", f"/v1/queues/{queue_id}", {"payload": payload})

    assert added.json["message"]["payload"] == payload
    assert call("GET", f"/v1/queues/{queue_id}/pop").body == added.body


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", f"/v1/queues/{UNKNOWN_ID}", (404, 5, f"cannot find queue with id {UNKNOWN_ID}")),
        (
            "GET",
            f"/v1/queues/{UNKNOWN_ID}/pop",
            (404, 5, f"cannot find queue with id {UNKNOWN_ID}"),
        ),
        ("GET", "/v1/queues/bogus", (400, 3, f"queue_id: 'bogus' {NEITHER}")),
        ("GET", "/v1/queues/bogus/peek", (400, 3, f"queue_id: 'bogus' {NEITHER}")),
        ("DELETE", "/v1/queues/bogus", (400, 3, f"queue_id: 'bogus' {NEITHER}")),
        ("GET", "/v1/queues/%C3%A9", (400, 3, f"queue_id: 'é' {NEITHER}")),
        ("GET", "/v1/queues/%ff", (400, 3, "queue_id: is not valid UTF-8")),
        ("GET", "/", (404, 5, f"no such path: /; {UNDER}")),
        ("GET", "/nope", (404, 5, f"no such path: /nope; {UNDER}")),
        ("GET", "/v1/queues/x/leases", (404, 5, f"no such path: /v1/queues/x/leases; {UNDER}")),
        (
            *("GET", "/v1/queues/x/messages:nope"),
            (404, 5, f"no such path: /v1/queues/x/messages:nope; {UNDER}"),
        ),
        ("GET", "/v1/redrives/x/stop/y", (404, 5, f"no such path: /v1/redrives/x/stop/y; {UNDER}")),
        ("GET", "/v1/queue", (404, 5, f"no such path: /v1/queue; {UNDER}")),
    ],
)
def test_request_without_body_is_refused(
    call: Call, method: str, path: str, refusal: tuple[int, int, str]
) -> None:
    """Every error is a google.rpc.Status, with HTTP's status for its code."""
    assert call(method, path).refusal == refusal


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/queues"), ("GET", "/v1/queues/a/pop")])
def test_call_of_another_sites_page_is_refused(
    shared_q: RunningQ, method: str, path: str, site: str
) -> None:
    """Browsers send some for any page that somebody looks at; a page's own calls are served."""
    body = b"{}" if method == "POST" else None

    refused = rest(shared_q.address, method, path, body, {"sec-fetch-site": site})
    assert refused.status == 403
    assert "another site" in refused.json["message"]
    own = rest(shared_q.address, method, path, body, {"sec-fetch-site": "same-origin"})
    assert own.status != 403


def test_error_has_details(call: Call) -> None:
    """Details are those of gRPC, as JSON."""
    details = call("GET", "/v1/queues/bogus").json["details"]

    assert [detail["@type"].rpartition(".")[2] for detail in details] == ["ErrorInfo", "BadRequest"]
    assert details[0]["reason"] == "INVALID_ARGUMENT"
    assert details[1]["field_violations"][0]["field"] == "queue_id"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{bad", ["JSON"]),
        (b"", ["empty"]),
        (b"[]", ["not a JSON object"]),
        (b'"s"', ["not a JSON object"]),
        (b"null", ["not a JSON object"]),
        (b'{"store":"MEMORY"} trailing', ["JSON", "end of the body"]),
        (b'{"store":"MEMORY"', ["JSON"]),
        (b'{"bogus":1}', ["unknown field", '"bogus"']),
        (b'{"store":"memory"}', ["store", "memory"]),
        (b'{"store":"MEMORY","limit":"abc"}', ["limit", "abc"]),
        (b'{"store":"MEMORY","limit":1.5}', ["limit", "1.5"]),
        (b'{"store":"MEMORY","limit":true}', ["limit", "true"]),
        (b'{"store":"MEMORY","limit":99999999999999999999}', ["limit"]),
        (b'{"store":"MEMORY","limit":-2}', ["limit", "-2"]),
        (b'{"store":"MEMORY","tags":["x"]}', ["tags"]),
        (b'{"store":"MEMORY","tags":[{"key":"a","bogus":1}]}', ["unknown field", '"bogus"']),
        (b'{"store":"MEMORY","tags":[{"key":"\xff"}]}', ["UTF-8"]),
        (b'{"store":"MEMORY","name":"a/b"}', ["name"]),
    ],
)
def test_body_that_makes_no_queue_is_refused(call: Call, body: bytes, words: list[str]) -> None:
    """The refusal names what is wrong, and no queue is made."""
    before = call("GET", "/v1/queues").body

    status, code, message = call("POST", "/v1/queues", body).refusal

    assert (status, code) == (400, 3)
    assert [word for word in words if word not in message] == []
    assert call("GET", "/v1/queues").body == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"payload":"!!!"}', ["payload", "!!!"]),
        (b'{"payload":123}', ["payload", "123"]),
        (b'{"message":{"payload":"aGk="}}', ["unknown field", '"message"']),
        (b'{"payload":"aGk=","queue_id":"other"}', ["queue_id"]),
        (b"{bad", ["JSON"]),
        (b"", ["empty"]),
        (b"[1]", ["not a JSON object"]),
    ],
)
def test_body_that_is_no_message_is_refused(
    call: Call, client: StockClient, body: bytes, words: list[str]
) -> None:
    """Nothing is added. The original added an empty message for what it did not know."""
    queue_id = client.made()

    status, code, message = call("POST", f"/v1/queues/{queue_id}", body).refusal

    assert (status, code) == (400, 3)
    assert [word for word in words if word not in message] == []
    assert client.drain(queue_id) == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("body", [b"", b"null", b'{"tag":{"key":"k"}}'])
def test_body_that_is_no_tag_is_refused(
    call: Call, client: StockClient, method: str, body: bytes
) -> None:
    """The original took null and unknown fields for a tag that is empty."""
    queue_id = client.made(tags=[pb.Tag()])

    status, code, _ = call(method, f"/v1/queues/{queue_id}/tag", body).refusal

    assert (status, code) == (400, 3)
    assert list(client.get_queue(queue_id=queue_id).queue.meta.tags) == [pb.Tag()]


@pytest.mark.parametrize("query", ["foo=bar", "page_size=x", "page_size=-1", "page_token=x"])
def test_query_that_means_nothing_is_refused(call: Call, query: str) -> None:
    """A parameter that is unknown or wrong is named."""
    status, code, message = call("GET", f"/v1/queues?{query}").refusal

    assert (status, code) == (400, 3)
    assert query.partition("=")[0] in message


@pytest.mark.parametrize("query", ["foo=bar", "queue_id=other", "queueId=other"])
def test_query_cannot_name_another_queue(call: Call, client: StockClient, query: str) -> None:
    """The queue is the path's; the original let a query be ignored."""
    queue_id = client.made()
    client.put(queue_id, b"x")

    assert call("GET", f"/v1/queues/{queue_id}/pop?{query}").refusal[:2] == (400, 3)
    assert len(client.drain(queue_id)) == 1


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/queues", "GET, POST"),
        ("PUT", "/v1/queues", "GET, POST"),
        ("PUT", "/v1/queues/x", "DELETE, GET, PATCH, POST"),
        ("PATCH", "/v1/queues", "GET, POST"),
        ("GET", "/v1/queues/x/messages:lease", "POST"),
        ("PUT", "/v1/queues/x/leases:ack", "POST"),
        ("POST", "/v1/queues/x/messages", "GET"),
        ("DELETE", "/v1/queues/x/messages/y", "GET"),
        ("GET", "/v1/complete", "POST"),
        ("POST", "/v1/redrives", "GET"),
        ("POST", "/v1/redrives/x", "GET"),
        ("POST", "/v1/queues/x/pop", "GET"),
        ("DELETE", "/v1/queues/x/peek", "GET"),
        ("GET", "/v1/queues/x/tag", "DELETE, POST"),
    ],
)
def test_wrong_method_is_refused(call: Call, method: str, path: str, allow: str) -> None:
    """405 says which methods there are."""
    reply = call(method, path, {} if method != "DELETE" else None)

    methods = " or ".join(allow.split(", "))
    assert reply.refusal == (405, 12, f"{method} is not supported at {path}; use {methods}")
    assert reply.headers["allow"] == allow


def test_head_is_refused_without_a_body(call: Call) -> None:
    """HEAD is no method of any path, and its reply never has a body."""
    reply = call("HEAD", "/v1/queues")

    assert (reply.status, reply.headers["allow"], reply.body) == (405, "GET, POST", b"")


@pytest.mark.parametrize(
    "path", ["/v1/queues/", "/v1//queues", "//v1/queues", f"/v1/queues/{UNKNOWN_ID}/", "//"]
)
def test_path_with_a_slash_too_many_is_unknown(call: Call, path: str) -> None:
    """The original redirected, or took nothing for an id."""
    status, code, message = call("GET", path).refusal

    assert (status, code) == (404, 5)
    assert message.startswith(f"no such path: {path}")


@pytest.mark.parametrize(
    ("path", "refusal", "words"),
    [
        ("/v1/queues", (413, 8), "the request's body is larger than"),
        ("/v1/queues/x", (413, 8), "the request's body is larger than"),
        ("/nope", (404, 5), "no such path: /nope"),
    ],
)
def test_huge_body_is_refused(call: Call, path: str, refusal: tuple[int, int], words: str) -> None:
    """A body larger than any message is refused by an answer, not by a broken connection."""
    body = b'{"payload":"%b"}' % (b"A" * (12 * 1024 * 1024))

    status, code, message = call("POST", path, body).refusal

    assert (status, code) == refusal
    assert message.startswith(words)


def test_message_over_the_limit_is_refused(call: Call, client: StockClient) -> None:
    """A message that no reply could carry is refused as by gRPC, and not stored."""
    queue_id = client.made()
    payload = b64encode(bytes(4 * 1024 * 1024)).decode()

    status, code, message = call("POST", f"/v1/queues/{queue_id}", {"payload": payload}).refusal

    assert (status, code) == (429, 8)
    assert "more than message_bytes_max of 4194304" in message
    assert client.drain(queue_id) == []


@pytest.mark.parametrize(
    ("timeout", "status", "code"), [("1n", 504, 4), ("bogus", 400, 3), ("20S", 404, 5)]
)
def test_deadline_may_be_given(call: Call, timeout: str, status: int, code: int) -> None:
    """A grpc-timeout header counts, as it did in the original."""
    reply = call("GET", f"/v1/queues/{UNKNOWN_ID}", headers={"grpc-timeout": timeout})

    assert reply.refusal[:2] == (status, code)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_content_type_does_not_matter(call: Call, content_type: str) -> None:
    """As in the original, a body is JSON whatever it is called."""
    headers = {"content-type": content_type} if content_type else {}

    assert call("POST", "/v1/queues", MEMORY, headers).json["queue"]["store"] == "MEMORY"


def test_grpc_path_without_grpc_is_explained(call: Call) -> None:
    """JSON sent to a gRPC method is told where REST is."""
    status, _, message = call("POST", "/proto.Q/ListQueues", {}).refusal

    assert status == 415
    assert "/v1/queues" in message
