"""Options of messages and the settings that go with them: of a real q, by gRPC and REST."""

import time
from base64 import b64encode
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import StockClient, connected, refused

STORES = pytest.mark.parametrize("store", ["MEMORY", "DISK"])

#: What is said of a queue that would have to make dead letters.
NEEDS = "needs a dead_letter_queue_id: that is"

#: Seconds in which what is due is there, by far.
_PATIENCE_S = 60.0

SETTINGS: dict[str, Any] = {
    "delay": "0.250s",
    "ttl": "3600s",
    "dead_letter_expired": True,
    "dedup_window": "604800s",
    "priority_ageing": "0.001s",
    "bytes_limit": "1000000",
    "overflow": "DEAD_LETTER_OLDEST",
    "leased_max": 12,
    "rate": {"messages_per_second": 0.5, "burst": 3},
}


def asked(q: RunningQ, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
    """Return the JSON of an answer that is none of an error."""
    reply = rest(q.address, method, path, body)
    assert reply.status == 200, reply
    return reply.json


def made(q: RunningQ, store: str, **settings: object) -> str:
    """Make a queue, and return the path of it."""
    body = {"store": store, "settings": settings}
    return f"/v1/queues/{asked(q, 'POST', '/v1/queues', body)['queue']['meta']['id']}"


def in_base64(payload: bytes) -> str:
    """Return a payload as JSON has it."""
    return b64encode(payload).decode()


def seconds(moment: str) -> float:
    """Return a moment in JSON in seconds since the Unix epoch."""
    found = Timestamp()
    found.FromJsonString(moment)
    return found.ToNanoseconds() / 1e9


def popped(q: RunningQ, path: str, wait: str = "0s") -> list[str]:
    """Pop what a queue has ready, and return the payloads."""
    body = {"messages_max": 1_000, "wait": wait}
    messages = asked(q, "POST", f"{path}/messages:pop", body).get("messages", [])
    return [message.get("payload", "") for message in messages]


@STORES
def test_options_are_told_as_moments(shared_q: RunningQ, store: str) -> None:
    """Where the message is added, shown and handed out; a duration counts from its arrival."""
    path = made(shared_q, store)
    options = {"delay": "0.5s", "ttl": "3600s", "priority": 200, "dedup_id": "order-7"}
    body = {"payload": in_base64(b"x"), "options": options}

    added = asked(shared_q, "POST", path, body)["message"]
    (browsed,) = asked(shared_q, "GET", f"{path}/messages")["messages"]
    wait = {"wait": "10s"}
    (leased,) = asked(shared_q, "POST", f"{path}/messages:lease", wait)["messages"]

    assert added["options"].keys() == {"available_at", "expires_at", "priority", "dedup_id"}
    assert added["meta"]["created"] < added["options"]["available_at"]
    assert added["options"]["available_at"] < added["options"]["expires_at"]
    assert (added["options"]["priority"], added["options"]["dedup_id"]) == (200, "order-7")
    assert browsed["state"] == "DELAYED"
    # One is by the clock on the wall, the other by one that nobody sets.
    assert abs(seconds(browsed["until"]) - seconds(added["options"]["available_at"])) < 1
    assert browsed["message"] == leased["message"] == added


@STORES
def test_message_is_not_handed_out_before_it_is_due(shared_q: RunningQ, store: str) -> None:
    """Who waits gets it then, and takes it at its place: by priority, then by arrival."""
    path = made(shared_q, store)
    begin = time.monotonic()
    messages = [
        {"payload": in_base64(b"1"), "options": {"delay": "0.4s"}},
        {"payload": in_base64(b"2"), "options": {"delay": "0.4s", "priority": 9}},
    ]
    asked(shared_q, "POST", f"{path}/messages:batch", {"messages": messages})

    early = popped(shared_q, path)
    was_early = time.monotonic() - begin < 0.4
    first = early or popped(shared_q, path, wait="10s")
    took_s = time.monotonic() - begin
    rest_of_it = popped(shared_q, path, wait="10s") if len(first) < 2 else []

    assert not (early and was_early)
    assert 0.4 <= took_s < 10
    assert sorted(first + rest_of_it) == [in_base64(b"1"), in_base64(b"2")]


@STORES
def test_message_is_not_handed_out_after_its_ttl(shared_q: RunningQ, store: str) -> None:
    """It becomes a dead letter, where the queue says so, and is dropped otherwise."""
    dead = made(shared_q, store)
    keeps = made(
        shared_q,
        store,
        dead_letter_queue_id=dead.rpartition("/")[2],
        dead_letter_expired=True,
    )
    drops = made(shared_q, store)
    for path in (keeps, drops):
        body = {"payload": in_base64(path.encode()), "options": {"ttl": "0.2s"}}
        asked(shared_q, "POST", path, body)
    deadline = time.monotonic() + _PATIENCE_S
    while not (letters := asked(shared_q, "GET", f"{dead}/messages").get("messages")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)

    gone = [popped(shared_q, path) for path in (keeps, drops)]
    stats = [asked(shared_q, "GET", f"{path}/stats")["queues"][0] for path in (keeps, drops)]

    assert gone == [[], []]
    assert [each["expired_total"] for each in stats] == ["1", "1"]
    assert [each.get("dead_lettered_total") for each in stats] == ["1", None]
    (letter,) = letters
    assert letter["message"]["payload"] == in_base64(keeps.encode())
    assert letter["message"]["dead_letter"]["reason"] == "EXPIRED"
    assert letter["message"]["dead_letter"]["source_queue_id"] == keeps.rpartition("/")[2]


def test_repeat_is_known_by_both_protocols(shared_q: RunningQ, client: StockClient) -> None:
    """What was added by one of them is answered by the other."""
    path = made(shared_q, "DISK")
    queue_id = path.rpartition("/")[2]
    message = pb.NewMessage(payload=b"x", options=pb.MessageOptions(dedup_id="a"))

    first = client.add(queue_id=queue_id, message=message)
    by_rest = asked(shared_q, "POST", path, {"options": {"dedup_id": "a"}})
    batch = {"messages": [{"options": {"dedup_id": "b"}}, {"options": {"dedup_id": "a"}}]}
    of_batch = asked(shared_q, "POST", f"{path}/messages:batch", batch)
    by_grpc = client.add_batch(queue_id=queue_id, messages=[message, pb.NewMessage(), message])

    assert not first.deduplicated
    assert (by_rest["deduplicated"], by_rest["message"].keys()) == (True, {"meta"})
    assert by_rest["message"]["meta"]["id"] == first.message.meta.id
    assert of_batch["deduplicated"] == [1]
    assert of_batch["messages"][1] == by_rest["message"]["meta"]
    assert list(by_grpc.deduplicated) == [0, 2]
    assert by_grpc.messages[0] == by_grpc.messages[2] == first.message.meta
    assert len(client.drain(queue_id)) == 3


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_all_of_it_survives_a_restart(q_server: RunningQ, how: str) -> None:
    """Settings, delays, priorities, ttls, and what was added with a dedup_id."""
    q = q_server
    asked(q, "POST", "/v1/queues", {"store": "DISK", "name": "dead"})
    settings = {**SETTINGS, "dead_letter_queue_id": "dead"}
    asked(q, "POST", "/v1/queues", {"store": "DISK", "name": "all", "settings": settings})
    asked(q, "POST", "/v1/queues", {"store": "DISK", "name": "jobs"})
    for payload, options in (
        (b"later", {"delay": "3600s", "priority": 255}),
        (b"low", {}),
        (b"high", {"priority": 1, "dedup_id": "a"}),
        (b"short", {"ttl": "0.5s"}),
        (b"delayed", {"delay": "0.5s", "priority": 2}),
    ):
        body = {"payload": in_base64(payload), "options": options}
        asked(q, "POST", "/v1/queues/jobs", body)
    before = asked(q, "GET", "/v1/queues")
    shown = asked(q, "GET", "/v1/queues/jobs/messages")["messages"]
    (q.stop if how == "stop" else q.kill)()
    q.start()

    assert asked(q, "GET", "/v1/queues") == before
    again = asked(q, "GET", "/v1/queues/jobs/messages")["messages"]
    fields = [[(each["message"], each["state"]) for each in some] for some in (shown, again)]
    deadline = time.monotonic() + _PATIENCE_S
    while asked(q, "GET", "/v1/queues/jobs/stats")["queues"][0].get("delayed") != "1":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)
    repeat = asked(q, "POST", "/v1/queues/jobs", {"options": {"dedup_id": "a"}})
    # How far the start took is nobody's promise: what has changed meanwhile has done so by time.
    assert {message["meta"]["id"] for message, _ in fields[1]} <= {
        message["meta"]["id"] for message, _ in fields[0]
    }
    assert repeat["deduplicated"]
    assert popped(q, "/v1/queues/jobs") == [
        in_base64(payload) for payload in (b"delayed", b"high", b"low")
    ]


def test_settings_are_described_in_full(shared_q: RunningQ) -> None:
    """By REST as they were given; a queue of which nothing was said has all of them too."""
    dead = made(shared_q, "MEMORY").rpartition("/")[2]
    path = made(shared_q, "MEMORY", **SETTINGS, dead_letter_queue_id=dead)
    plain = asked(shared_q, "GET", f"/v1/queues/{dead}")["queue"]["settings"]

    settings = asked(shared_q, "GET", path)["queue"]["settings"]
    change = {"settings": {"rate": {"burst": 0}, "overflow": "REJECT", "ttl": "0s"}}
    changed = asked(shared_q, "PATCH", path, change)["queue"]["settings"]

    assert settings.items() >= SETTINGS.items()
    assert plain.keys() == settings.keys()
    assert changed == {
        **settings,
        "rate": {"messages_per_second": 0.5, "burst": 0},
        "overflow": "REJECT",
        "ttl": "0s",
    }


@pytest.mark.parametrize(
    ("options", "field", "rule"),
    [
        ({"priority": 256}, "priority", "must be 0 to 255; got 256"),
        (
            {"delay": "1s", "available_at": "2030-01-01T00:00:00Z"},
            "delay",
            "cannot be given together with available_at",
        ),
        (
            {"ttl": "1s", "expires_at": "2030-01-01T00:00:00Z"},
            "ttl",
            "cannot be given together with expires_at",
        ),
        (
            {"expires_at": "2020-01-01T00:00:00.5Z"},
            "expires_at",
            "must be later than now; 2020-01-01T00:00:00.500Z has passed",
        ),
        (
            {"available_at": "9999-12-31T23:59:59Z"},
            "available_at",
            "must be within 10 years from now; got 9999-12-31T23:59:59.000Z",
        ),
        ({"ttl": "0s"}, "ttl", "must be 1 millisecond to 10 years; got 0 seconds"),
        ({"delay": "-1s"}, "delay", "must be 0 to 10 years; got -1 seconds"),
        ({"dedup_id": "x" * 129}, "dedup_id", "takes 129 bytes, more than 128"),
        (
            {"dedup_id": "a\nb"},
            "dedup_id",
            "must have no control characters, such as line breaks; U+000A is at 1",
        ),
    ],
)
def test_bad_options_are_refused_verbatim(
    shared_q: RunningQ, options: dict[str, object], field: str, rule: str
) -> None:
    """By name; of a batch by the message's place too, and then nothing of it is there."""
    path = made(shared_q, "MEMORY")

    reply = rest(shared_q.address, "POST", path, {"options": options})
    of_batch = rest(
        *(shared_q.address, "POST", f"{path}/messages:batch"),
        {"messages": [{}, {}, {}, {"options": options}]},
    )

    assert reply.refusal == (400, 3, f"message.options.{field}: {rule}")
    assert of_batch.refusal == (400, 3, f"messages[3].options.{field}: {rule}")
    assert popped(shared_q, path) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"options": {"delay": "soon"}}, "options.delay"),
        ({"options": {"available_at": "tomorrow"}}, "options.available_at"),
        ({"options": {"priority": "high"}}, "options.priority"),
        ({"options": {"when": "now"}}, 'unknown field "when" in proto.MessageOptions'),
        ({"delay": "1s"}, 'unknown field "delay" in proto.NewMessage'),
    ],
    ids=["delay", "moment", "priority", "unknown", "outside"],
)
def test_what_is_no_option_is_named(shared_q: RunningQ, body: object, words: str) -> None:
    """So that a typo does not go unnoticed."""
    reply = rest(shared_q.address, "POST", made(shared_q, "MEMORY"), body)

    assert reply.status == 400
    assert words in reply.json["message"]


@pytest.mark.parametrize(
    ("settings", "field", "rule"),
    [
        (
            {"ttl": "0.0001s"},
            "ttl",
            "must be 1 millisecond to 10 years, or 0 for ever; got 0.0001 seconds",
        ),
        ({"dedup_window": "0s"}, "dedup_window", "must be 1 second to 7 days; got 0 seconds"),
        (
            {"rate": {"messages_per_second": 2_000_000}},
            "rate.messages_per_second",
            "must be 0.00001 to 1,000,000, or 0 for no limit; got 2e+06",
        ),
        (
            {"overflow": 9},
            "overflow",
            "must be one of REJECT (1), DROP_OLDEST (2), DEAD_LETTER_OLDEST (3); got 9",
        ),
        (
            {"overflow": "DEAD_LETTER_OLDEST"},
            "overflow",
            f"{NEEDS} where the oldest messages would go; DROP_OLDEST drops them",
        ),
        (
            {"dead_letter_expired": True},
            "dead_letter_expired",
            f"{NEEDS} where messages would go whose ttl has passed; else they are dropped",
        ),
    ],
)
def test_bad_settings_are_refused_verbatim(
    shared_q: RunningQ, settings: dict[str, object], field: str, rule: str
) -> None:
    """For a new queue and for one that is there."""
    path = made(shared_q, "MEMORY")
    replies: list[RestReply] = [
        rest(shared_q.address, "POST", "/v1/queues", {"store": "MEMORY", "settings": settings}),
        rest(shared_q.address, "PATCH", path, {"settings": settings}),
    ]

    refusal = 400, 3, f"settings.{field}: {rule}"
    assert [reply.refusal for reply in replies] == [refusal] * 2


@STORES
def test_full_queue_says_what_is_full_and_when_to_come_back(
    client: StockClient, store: str
) -> None:
    """By messages and by bytes; the limit, what it is, and what there is."""
    number = pb.Queue.Store.Value(store)
    by_count = client.made(store=number, limit=1)
    by_bytes = client.made(store=number, settings=pb.QueueSettings(bytes_limit=200))
    for queue_id in (by_count, by_bytes):
        client.put(queue_id, bytes(100))
    (stats,) = client.stats(queue_id=by_bytes).queues

    refusals = [
        refused(client.add, queue_id=queue_id, message=pb.NewMessage(payload=bytes(100)))
        for queue_id in (by_count, by_bytes)
    ]

    assert [each.code for each in refusals] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
    assert [each.message for each in refusals] == [
        f"queue {by_count} has reached limit of 1 messages",
        f"queue {by_bytes} has reached bytes_limit of 200; its messages take {stats.bytes}",
    ]
    assert [dict(each.info.metadata) for each in refusals] == [
        {"limit": "limit", "value": "1", "current": "1"},
        {"limit": "bytes_limit", "value": "200", "current": str(stats.bytes)},
    ]
    for refusal in refusals:
        retry = error_details_pb2.RetryInfo()
        assert refusal.status.details[1].Unpack(retry)
        assert retry.retry_delay == Duration(seconds=1)


@STORES
def test_oldest_messages_make_room(shared_q: RunningQ, store: str) -> None:
    """They are dropped or go to the dead-letter queue; what came last is there."""
    dead = made(shared_q, store)
    dead_id = dead.rpartition("/")[2]
    for overflow, settings in (
        ("DROP_OLDEST", {}),
        ("DEAD_LETTER_OLDEST", {"dead_letter_queue_id": dead_id}),
    ):
        path = made(shared_q, store, overflow=overflow, **settings)
        asked(shared_q, "PATCH", path, {"limit": 2})
        for payload in (b"1", b"2", b"3"):
            asked(shared_q, "POST", path, {"payload": in_base64(payload)})
        batch = {"messages": [{"payload": in_base64(b"4")}]}
        asked(shared_q, "POST", f"{path}/messages:batch", batch)

        assert popped(shared_q, path) == [in_base64(b"3"), in_base64(b"4")]
    letters = asked(shared_q, "GET", f"{dead}/messages")["messages"]
    assert [each["message"]["payload"] for each in letters] == [in_base64(b"1"), in_base64(b"2")]
    assert {each["message"]["dead_letter"]["reason"] for each in letters} == {"OVERFLOW"}


def test_no_more_is_on_lease_than_may_be(shared_q: RunningQ, client: StockClient) -> None:
    """An ack lets the next one out, for who waits too; Pop gets nothing meanwhile."""
    queue_id = client.made(settings=pb.QueueSettings(leased_max=2))
    client.put(queue_id, b"1", b"2", b"3")

    leased = client.lease(queue_id=queue_id, messages_max=9).messages
    nothing = [
        *client.lease(queue_id=queue_id, messages_max=9).messages,
        *client.pop_batch(queue_id=queue_id, messages_max=9).messages,
    ]
    refusal = refused(client.pop, queue_id=queue_id)
    by_rest = rest(shared_q.address, "GET", f"/v1/queues/{queue_id}/pop")
    client.ack(queue_id=queue_id, lease_ids=[leased[0].lease_id])
    (third,) = client.lease(queue_id=queue_id, messages_max=9).messages

    assert [each.message.payload for each in leased] == [b"1", b"2"]
    assert nothing == []
    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert refusal.message.endswith("has 2 on lease, as many as its leased_max of 2 allows")
    assert (by_rest.status, by_rest.json["message"]) == (404, refusal.message)
    info, retry = by_rest.json["details"]
    assert (info["reason"], retry["retry_delay"]) == ("QUEUE_EMPTY", "1s")
    assert third.message.payload == b"3"


def test_messages_are_handed_out_no_faster_than_the_rate(client: StockClient) -> None:
    """A burst at first, and then one after the other."""
    rate = pb.Rate(messages_per_second=20, burst=3)
    queue_id = client.made(settings=pb.QueueSettings(rate=rate))
    client.put(queue_id, *[b"x"] * 8)
    begin = time.monotonic()

    first = client.pop_batch(queue_id=queue_id, messages_max=9).messages
    left = 8 - len(first)
    while left:
        wait = Duration(seconds=10)
        left -= len(client.pop_batch(queue_id=queue_id, messages_max=9, wait=wait).messages)

    assert len(first) == 3
    # Five more at 20 a second.
    assert 0.25 - 0.05 <= time.monotonic() - begin < 10


def test_connections_share_one_memory_of_repeats(shared_q: RunningQ) -> None:
    """Two clients that add the same at once have added it once."""
    path = made(shared_q, "DISK")
    queue_id = path.rpartition("/")[2]
    message = pb.NewMessage(payload=b"x", options=pb.MessageOptions(dedup_id="once"))
    with connected(shared_q.address) as one, connected(shared_q.address) as other:
        calls = [
            each.channel.unary_unary(
                "/proto.Q/Add",
                request_serializer=pb.AddRequest.SerializeToString,
                response_deserializer=pb.AddResponse.FromString,
            ).future(pb.AddRequest(queue_id=queue_id, message=message))
            for each in (one, other) * 10
        ]
        replies = [call.result(timeout=_PATIENCE_S) for call in calls]

    assert sum(not reply.deduplicated for reply in replies) == 1
    assert len({reply.message.meta.id for reply in replies}) == 1
    assert popped(shared_q, path) == [in_base64(b"x")]
