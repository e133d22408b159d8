"""Looking into a queue of a running q: Browse and Explain, by gRPC and by REST."""

from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient, connected, refused

READY, LEASED, DELAYED = pb.BrowseRequest.READY, pb.BrowseRequest.LEASED, pb.BrowseRequest.DELAYED


@pytest.fixture(params=[pb.Queue.MEMORY, pb.Queue.DISK], ids=["MEMORY", "DISK"])
def queue_id(client: StockClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """A queue with four messages: one on lease, one kept back, two as they came."""
    queue_id = client.made(request.param)
    for n in range(4):
        tags = [pb.Tag(key="n", value=str(n)), pb.Tag(key="kind", value="odd" if n % 2 else "even")]
        client.add(queue_id=queue_id, message=pb.NewMessage(payload=b"%d" % n, tags=tags))
    leased = client.lease(queue_id=queue_id, messages_max=2, consumer="worker").messages
    client.nack(
        queue_id=queue_id,
        lease_ids=[leased[1].lease_id],
        kind=pb.NackRequest.FAIL,
        delay=Duration(seconds=600),
        reason="no such table",
    )
    yield queue_id
    client.delete_queue(queue_id=queue_id)


def test_queue_is_shown_in_order(client: StockClient, queue_id: str) -> None:
    """Whatever the state of its messages, and without changing that."""
    for _ in range(2):
        found = client.browse(queue_id=queue_id).messages

        assert [each.message.payload for each in found] == [b"0", b"1", b"2", b"3"]
        assert [each.state for each in found] == [LEASED, DELAYED, READY, READY]
        assert [each.delivery_count for each in found] == [1, 1, 0, 0]
        assert found[0].consumer == "worker"
        assert found[1].message.attempts[0].reason == "no such table"


def test_pages_and_filters(client: StockClient, queue_id: str) -> None:
    """Each request of a page says again what to show."""
    even = [pb.Tag(key="kind", value="even")]
    first = client.browse(queue_id=queue_id, page_size=1, tags=even)
    second = client.browse(
        queue_id=queue_id, page_size=1, tags=even, page_token=first.next_page_token
    )
    ready = client.browse(queue_id=queue_id, states=[READY])
    young = client.browse(queue_id=queue_id, age_max=Duration(seconds=3_600))
    old = client.browse(queue_id=queue_id, age_min=Duration(seconds=3_600))

    assert [each.message.payload for each in first.messages] == [b"0"]
    assert [each.message.payload for each in second.messages] == [b"2"]
    assert second.next_page_token == ""
    assert [each.message.payload for each in ready.messages] == [b"2", b"3"]
    assert (len(young.messages), len(old.messages)) == (4, 0)


def test_message_is_explained(client: StockClient, queue_id: str) -> None:
    """Where it is and why, found by its id alone or with the moment of its creation."""
    leased, delayed, first, second = client.browse(queue_id=queue_id).messages

    def reasons(shown: pb.BrowsedMessage) -> list[str]:
        meta = shown.message.meta
        found = client.explain(queue_id=queue_id, message_id=meta.id, created=meta.created)
        by_id = client.explain(queue_id=queue_id, message_id=meta.id)
        assert found.message.message == by_id.message.message == shown.message
        assert found.message.state == shown.state
        assert (found.ahead, list(found.reasons)) == (by_id.ahead, list(by_id.reasons))
        return list(found.reasons)

    assert reasons(leased)[0].startswith("it is leased to 'worker' until ")
    assert reasons(delayed)[0].endswith(", since its delivery 1 has failed: no such table")
    assert reasons(first)[-1] == "it is ready: the next Lease or Pop gets it"
    assert reasons(second)[0] == "1 message is handed out before it"
    client.pause(queue_id=queue_id)
    assert reasons(first)[0].startswith("the queue is paused since ")


def test_what_cannot_be_shown_is_refused(client: StockClient, queue_id: str) -> None:
    """With the field and its rule, or what was not found."""
    bad_token = refused(client.browse, queue_id=queue_id, page_token="?")  # noqa: S106 - It is none.
    bad_id = refused(client.explain, queue_id=queue_id, message_id="?")
    no_message = refused(client.explain, queue_id=queue_id, message_id=UNKNOWN_ID)
    no_queue = refused(client.browse, queue_id=UNKNOWN_ID)

    assert bad_token.code is bad_id.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(bad_token.violations) == ["page_token"]
    assert list(bad_id.violations) == ["message_id"]
    assert no_message.code is no_queue.code is grpc.StatusCode.NOT_FOUND
    assert no_message.info.reason == "MESSAGE_NOT_FOUND"
    assert dict(no_message.info.metadata) == {"queue_id": queue_id, "message_id": UNKNOWN_ID}


def test_large_messages_come_on_several_pages(client: StockClient) -> None:
    """A stock client can read each of them."""
    queue_id = client.made(pb.Queue.DISK)
    for n in range(7):
        client.put(queue_id, bytes([n]) * 1_500_000)

    found, token, pages = [], "", 0
    while token or not pages:
        reply = client.browse(queue_id=queue_id, page_token=token)
        found += [each.message.payload[0] for each in reply.messages]
        token, pages = reply.next_page_token, pages + 1

    assert found == list(range(7))
    assert pages == 4


def test_browsing_goes_on_after_a_restart(q_server: RunningQ) -> None:
    """A page token is good for as long as the queue is; so are leases."""
    with connected(q_server.address) as client:
        queue_id = client.made(pb.Queue.DISK)
        client.put(queue_id, b"0", b"1", b"2")
        client.lease(queue_id=queue_id, messages_max=2, consumer="worker")
        first = client.browse(queue_id=queue_id, page_size=1)
    q_server.stop()
    q_server.start()

    with connected(q_server.address) as client:
        rest_of_it = client.browse(queue_id=queue_id, page_token=first.next_page_token).messages

    assert [each.message.payload for each in rest_of_it] == [b"1", b"2"]
    assert [each.state for each in rest_of_it] == [LEASED, READY]
    assert rest_of_it[0].consumer == "worker"


def test_rest_shows_and_explains(shared_q: RunningQ, queue_id: str) -> None:
    """The same by GET: filters are in the query."""
    path = f"/v1/queues/{queue_id}/messages"
    query = urlencode(
        [
            ("states", "LEASED"),
            ("states", "DELAYED"),
            ("tags.key", "kind"),
            ("tags.value", "odd"),
            ("age_max", "3600s"),
            ("page_size", 10),
        ]
    )

    shown = rest(shared_q.address, "GET", f"{path}?{query}").json
    (message,) = shown["messages"]
    meta = message["message"]["meta"]
    explained = rest(
        shared_q.address, "GET", f"{path}/{meta['id']}?created={quote(meta['created'])}"
    ).json

    assert "next_page_token" not in shown
    assert message["state"] == "DELAYED"
    assert explained["message"]["message"] == message["message"]
    assert explained["reasons"][0].endswith(": no such table")
    missing = rest(shared_q.address, "GET", f"{path}/{UNKNOWN_ID}")
    assert missing.refusal[:2] == (404, 5)


def test_messages_are_shown_by_selector_group_and_fair_key(
    shared_q: RunningQ, client: StockClient, queue_id: str
) -> None:
    """By gRPC and by REST, from memory and from disk."""
    for group_id, fair_key in (("g", ""), ("g", "k"), ("h", "k")):
        options = pb.MessageOptions(group_id=group_id, fair_key=fair_key)
        payload = f"{group_id}{fair_key}".encode()
        client.add(queue_id=queue_id, message=pb.NewMessage(payload=payload, options=options))

    def shown(**wanted: str) -> list[bytes]:
        messages = client.browse(queue_id=queue_id, **wanted).messages
        query = urlencode(wanted)
        path = f"/v1/queues/{queue_id}/messages?{query}"
        by_rest = rest(shared_q.address, "GET", path).json.get("messages", [])
        payloads = [each.message.payload for each in messages]
        assert [b64decode(each["message"]["payload"]) for each in by_rest] == payloads
        return payloads

    assert shown(selector="kind in (odd,other),n!=1") == [b"3"]
    assert shown(selector="!kind") == [b"g", b"gk", b"hk"]
    assert shown(group_id="g") == [b"g", b"gk"]
    assert shown(fair_key="k") == [b"gk", b"hk"]
    assert shown(group_id="h", fair_key="k", selector="!n") == [b"hk"]
    assert shown(group_id="h", selector="n") == []
    refusal = refused(client.browse, queue_id=queue_id, selector="n=")
    assert list(refusal.violations) == ["selector"]


def test_rest_pages(shared_q: RunningQ, queue_id: str) -> None:
    """The token goes into the query as it came."""
    path = f"/v1/queues/{queue_id}/messages?page_size=3"

    first = rest(shared_q.address, "GET", path).json
    second = rest(shared_q.address, "GET", f"{path}&page_token={first['next_page_token']}").json

    assert (len(first["messages"]), len(second["messages"])) == (3, 1)
