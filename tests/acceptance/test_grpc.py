"""What q does, as grpcio's stock client sees it: the contract's semantics."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from qmq.envelope import HANDED_OUT_OVERHEAD_BYTES
from qmq.limits import MESSAGE_BYTES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient, connected, refused

Code = grpc.StatusCode

STORES = pytest.mark.parametrize("store", [pb.Queue.MEMORY, pb.Queue.DISK], ids=["memory", "disk"])

A1, A2, B1 = (pb.Tag(key=key, value=value) for key, value in ("a1", "a2", "b1"))

#: Each rpc that takes a queue, with its other fields.
BY_QUEUE: list[tuple[str, dict[str, Any]]] = [
    ("get_queue", {}),
    ("delete_queue", {}),
    ("add_queue_tag", {"tag": A1}),
    ("delete_queue_tag", {"tag": A1}),
    ("add", {"message": pb.NewMessage(payload=b"x")}),
    ("pop", {}),
    ("peek", {}),
    ("update_queue", {"limit": 5}),
    ("lease", {}),
    ("ack", {"lease_ids": ["x"]}),
    ("nack", {"lease_ids": ["x"]}),
    ("extend", {"lease_ids": ["x"]}),
    ("browse", {}),
    ("purge", {}),
    ("pause", {}),
    ("resume", {}),
]
FOR_EACH_CALL = pytest.mark.parametrize(
    ("rpc", "fields"), BY_QUEUE, ids=[name for name, _ in BY_QUEUE]
)


def message(payload: bytes = b"", *tags: pb.Tag) -> pb.NewMessage:
    """A message to add."""
    return pb.NewMessage(payload=payload, tags=tags)


@STORES
def test_new_queue_is_described(client: StockClient, store: int) -> None:
    """A new queue has a random UUID, the moment it was made in nanoseconds, store and tags."""
    before_ns = time.time_ns()

    queue = client.new_queue(store=store, limit=5, tags=[B1, A2, A1]).queue

    assert str(uuid.UUID(queue.meta.id, version=4)) == queue.meta.id
    assert before_ns <= queue.meta.created.ToNanoseconds() <= time.time_ns()
    assert list(queue.meta.tags) == [B1, A2, A1]
    assert queue.store == store
    assert client.get_queue(queue_id=queue.meta.id).queue == queue
    assert queue in client.list_queues().queues


@STORES
def test_added_message_is_answered_whole(client: StockClient, store: int) -> None:
    """The reply of Add is the message as it is stored: Peek and Pop return the same."""
    queue_id = client.made(store)
    before_ns = time.time_ns()

    added = client.add(queue_id=queue_id, message=message(b"\x00\xff", B1, A2, A1)).message

    assert str(uuid.UUID(added.meta.id, version=4)) == added.meta.id
    assert before_ns <= added.meta.created.ToNanoseconds() <= time.time_ns()
    assert (list(added.meta.tags), added.payload) == ([B1, A2, A1], b"\x00\xff")
    assert client.peek(queue_id=queue_id).message == added
    assert client.pop(queue_id=queue_id).message == added


@STORES
def test_messages_come_out_in_the_order_they_went_in(client: StockClient, store: int) -> None:
    """First in, first out; Peek leaves the head where it is."""
    queue_id = client.made(store)
    client.put(queue_id, b"1", b"2", b"3")

    peeked = [client.peek(queue_id=queue_id).message.payload for _ in range(2)]
    popped = [client.pop(queue_id=queue_id).message.payload for _ in range(3)]

    assert (peeked, popped) == ([b"1", b"1"], [b"1", b"2", b"3"])


@STORES
def test_empty_message_is_a_message(client: StockClient, store: int) -> None:
    """A message without payload and tags, or not given at all, is kept like any other."""
    queue_id = client.made(store)
    client.add(queue_id=queue_id)
    client.add(queue_id=queue_id, message=message())

    assert [popped.payload for popped in client.drain(queue_id)] == [b"", b""]


@STORES
def test_tags_are_a_set_of_pairs(client: StockClient, store: int) -> None:
    """A key may have several values, a pair counts once, and the order is that of arrival."""
    queue_id = client.made(store, tags=[B1, A1, B1])
    for tag in (A2, A1, A2):
        client.add_queue_tag(queue_id=queue_id, tag=tag)
    added = client.add(queue_id=queue_id, message=message(b"", A2, A1, A2)).message

    assert list(client.get_queue(queue_id=queue_id).queue.meta.tags) == [B1, A1, A2]
    assert list(added.meta.tags) == [A2, A1]


@STORES
def test_tag_can_be_removed(client: StockClient, store: int) -> None:
    """Only the pair that is named goes; one that is not there is gone already."""
    queue_id = client.made(store, tags=[A1, A2, B1])
    for tag in (A1, A1, pb.Tag(key="a"), pb.Tag(key="b", value="2")):
        client.delete_queue_tag(queue_id=queue_id, tag=tag)

    assert list(client.get_queue(queue_id=queue_id).queue.meta.tags) == [A2, B1]


def test_tags_of_a_message_are_not_those_of_its_queue(client: StockClient) -> None:
    """Tagging a queue changes no message in it."""
    queue_id = client.made(tags=[A1])
    client.add(queue_id=queue_id, message=message(b"", A2))
    client.add_queue_tag(queue_id=queue_id, tag=B1)

    assert list(client.pop(queue_id=queue_id).message.meta.tags) == [A2]


def test_tag_without_key_is_a_tag(client: StockClient) -> None:
    """As in the original, key and value may be empty."""
    tags = [pb.Tag(value="v"), pb.Tag(key="k"), pb.Tag()]
    queue_id = client.made(tags=tags)
    added = client.add(queue_id=queue_id, message=message(b"", *tags)).message

    assert list(client.get_queue(queue_id=queue_id).queue.meta.tags) == tags
    assert list(added.meta.tags) == tags


@pytest.mark.parametrize("rpc", ["add_queue_tag", "delete_queue_tag"])
def test_tag_call_without_tag_is_refused(client: StockClient, rpc: str) -> None:
    """A tag that was forgotten is not an empty one."""
    refusal = refused(getattr(client, rpc), queue_id=client.made())

    assert refusal.code == Code.INVALID_ARGUMENT
    assert refusal.violations == {"tag": "must be given"}


@STORES
def test_full_queue_refuses(client: StockClient, store: int) -> None:
    """A queue takes as many messages as its limit says; the refusal names queue and limit."""
    queue_id = client.made(store, limit=2)
    client.put(queue_id, b"1", b"2")

    refusal = refused(client.add, queue_id=queue_id, message=message(b"3"))

    assert refusal.code == Code.RESOURCE_EXHAUSTED
    assert refusal.message == f"queue {queue_id} has reached limit of 2 messages"
    assert refusal.info.reason == "QUEUE_FULL"
    assert client.pop(queue_id=queue_id).message.payload == b"1"
    client.put(queue_id, b"4")
    assert [popped.payload for popped in client.drain(queue_id)] == [b"2", b"4"]


@pytest.mark.parametrize("limit", [-1, 0])
def test_queue_without_limit_takes_all(client: StockClient, limit: int) -> None:
    """-1 is no limit, and neither is 0, which a caller sends who gives none."""
    queue_id = client.made(limit=limit)
    client.put(queue_id, *[b"x"] * 100)

    assert len(client.drain(queue_id)) == 100


@pytest.mark.parametrize("limit", [-2, -(2**63)])
def test_limit_below_minus_one_is_refused(client: StockClient, limit: int) -> None:
    """The original made a queue that was always full."""
    refusal = refused(client.new_queue, store=pb.Queue.MEMORY, limit=limit)

    assert refusal.code == Code.INVALID_ARGUMENT
    assert refusal.violations == {"limit": f"must be -1 or 0 (no limit) or more; got {limit}"}


@STORES
@pytest.mark.parametrize("rpc", ["pop", "peek"])
def test_empty_queue_has_nothing_to_hand_out(client: StockClient, store: int, rpc: str) -> None:
    """Pop and Peek on an empty queue are NOT_FOUND and name it."""
    queue_id = client.made(store)

    refusal = refused(getattr(client, rpc), queue_id=queue_id)

    assert (refusal.code, refusal.message) == (Code.NOT_FOUND, f"queue {queue_id} is empty")
    assert (refusal.info.reason, refusal.info.domain) == ("QUEUE_EMPTY", "q")
    assert dict(refusal.info.metadata) == {"queue_id": queue_id}


@FOR_EACH_CALL
def test_unknown_queue_is_not_found(client: StockClient, rpc: str, fields: dict[str, Any]) -> None:
    """Each call on a queue that is not there says so; deleting it succeeds."""
    call: Callable[..., object] = getattr(client, rpc)
    if rpc == "delete_queue":
        call(queue_id=UNKNOWN_ID)
        return

    refusal = refused(call, queue_id=UNKNOWN_ID, **fields)

    assert refusal.code == Code.NOT_FOUND
    assert refusal.message == f"cannot find queue with id {UNKNOWN_ID}"
    assert refusal.info.reason == "QUEUE_NOT_FOUND"


@FOR_EACH_CALL
@pytest.mark.parametrize(
    "queue_id",
    ["", "z", "0" * 36, f"{{{UNKNOWN_ID}}}", f"urx:uuid:{UNKNOWN_ID}", UNKNOWN_ID.replace("-", "")],
)
def test_what_is_no_id_is_refused(
    client: StockClient, rpc: str, fields: dict[str, Any], queue_id: str
) -> None:
    """A queue_id that is neither a UUID nor a queue's name is INVALID_ARGUMENT everywhere."""
    refusal = refused(getattr(client, rpc), queue_id=queue_id, **fields)

    assert refusal.code == Code.INVALID_ARGUMENT
    rule = f"{queue_id!r} is neither a UUID nor the name of a queue"
    if not queue_id and rpc in ("lease", "pop_batch"):
        rule = "must be the id or name of a queue, unless there is a selector"
    assert refusal.violations == {"queue_id": rule}


@pytest.mark.parametrize(
    "form", [str.upper, "urn:uuid:{}".format, lambda queue_id: f"URN:UUID:{queue_id.upper()}"]
)
@FOR_EACH_CALL
def test_id_is_accepted_in_each_form(
    client: StockClient, rpc: str, fields: dict[str, Any], form: Callable[[str], str]
) -> None:
    """As in the original, any case and `urn:uuid:` in front are fine."""
    queue_id = client.made()
    client.put(queue_id, b"x")

    getattr(client, rpc)(queue_id=form(queue_id), **fields)

    assert rpc != "pop" or not client.drain(queue_id)
    assert rpc != "add" or len(client.drain(queue_id)) == 2


@FOR_EACH_CALL
def test_name_stands_for_the_id(client: StockClient, rpc: str, fields: dict[str, Any]) -> None:
    """A queue's name is accepted wherever its id is."""
    name = f"by-name.{rpc}"
    queue_id = client.made(name=name)
    client.put(name, b"x")

    reply = getattr(client, rpc)(queue_id=name, **fields)

    assert rpc != "get_queue" or (reply.queue.meta.id, reply.queue.name) == (queue_id, name)
    if rpc == "delete_queue":
        assert refused(client.get_queue, queue_id=queue_id).code == Code.NOT_FOUND


def test_name_is_unique(client: StockClient) -> None:
    """A name that is taken is refused, and is free again once its queue is deleted."""
    queue_id = client.made(name="unique")

    refusal = refused(client.new_queue, store=pb.Queue.DISK, name="unique")
    client.delete_queue(queue_id=queue_id)
    client.delete_queue(queue_id=client.made(name="unique"))

    assert refusal.code == Code.ALREADY_EXISTS
    assert refusal.info.reason == "NAME_TAKEN"
    assert queue_id in refusal.message


@pytest.mark.parametrize("name", [UNKNOWN_ID, "a/b", ".a", "é", "a" * 81])
def test_name_that_no_path_could_hold_is_refused(client: StockClient, name: str) -> None:
    """A name is one segment of a URL, and cannot be taken for an id."""
    refusal = refused(client.new_queue, name=name)

    assert refusal.code == Code.INVALID_ARGUMENT
    assert list(refusal.violations) == ["name"]


@STORES
def test_deleted_queue_is_gone_with_its_messages(client: StockClient, store: int) -> None:
    """Deleting succeeds, also when there is nothing left to delete."""
    queue_id = client.made(store)
    client.put(queue_id, b"x")

    for _ in range(2):
        client.delete_queue(queue_id=queue_id)

    assert refused(client.pop, queue_id=queue_id).code == Code.NOT_FOUND
    assert queue_id not in [queue.meta.id for queue in client.list_queues().queues]


@pytest.mark.parametrize("store", [4, 99, -1])
def test_unknown_store_is_not_found(client: StockClient, store: int) -> None:
    """As in the original; the refusal names the stores there are."""
    refusal = refused(client.new_queue, store=store)

    assert refusal.code == Code.NOT_FOUND
    assert (
        refusal.message
        == f"unknown store type {store}; the stores are MEMORY (1), DISK (2) and CLUSTER (3)"
    )
    assert refusal.info.reason == "UNKNOWN_STORE"


def test_boltdb_is_disk(client: StockClient) -> None:
    """The original's name for store 2 is accepted; DISK is what q calls it."""
    queue = client.new_queue(store=pb.Queue.BOLTDB).queue

    assert pb.Queue.Store.Name(queue.store) == "DISK"


def test_store_left_out_is_the_durable_one(client: StockClient) -> None:
    """With a data directory, a queue is on disk unless it is asked to be in memory."""
    assert client.new_queue().queue.store == pb.Queue.DISK


def test_without_data_directory_queues_are_in_memory(q_server: RunningQ) -> None:
    """Without a data directory MEMORY is the default, and DISK is refused with the way out."""
    q_server.stop()
    q_server.start("--data=none")

    with connected(q_server.address) as client:
        default = client.new_queue().queue.store
        refusal = refused(client.new_queue, store=pb.Queue.DISK)

    assert default == pb.Queue.MEMORY
    assert (refusal.code, refusal.info.reason) == (Code.FAILED_PRECONDITION, "STORE_NOT_CONFIGURED")
    assert "--data DIR" in refusal.message


def test_queues_are_listed_in_the_order_of_creation(client: StockClient) -> None:
    """All at once as the original did, or page by page."""
    made = [client.made(store) for store in (pb.Queue.MEMORY, pb.Queue.DISK) * 3]

    listed = [queue.meta.id for queue in client.list_queues().queues]
    paged, token = [], ""
    while True:
        page = client.list_queues(page_size=4, page_token=token)
        paged += [queue.meta.id for queue in page.queues]
        token = page.next_page_token
        if not token:
            break

    assert [queue_id for queue_id in listed if queue_id in made] == made
    assert paged == listed


@pytest.mark.parametrize(
    ("field", "value"), [("page_size", -1), ("page_size", 1001), ("page_token", "bogus")]
)
def test_page_that_cannot_be_is_refused(client: StockClient, field: str, value: object) -> None:
    """A page's size has bounds and its token comes from the page before."""
    refusal = refused(client.list_queues, **{field: value})

    assert refusal.code == Code.INVALID_ARGUMENT
    assert list(refusal.violations) == [field]


def await_five_byte_nanoseconds() -> None:
    """Wait, less than a second, for a moment whose nanoseconds take five bytes to encode."""
    while not 0.3 < time.time() % 1 < 0.8:
        time.sleep(0.01)


@STORES
def test_largest_message_is_carried_there_and_back(client: StockClient, store: int) -> None:
    """A message is stored only if each reply can carry it: the original lost those at the cap.

    The client is one that takes no more than 4 MiB, as all do unless told otherwise.
    """
    dead_id = client.made(store)
    queue_id = client.made(store, settings=pb.QueueSettings(dead_letter_queue_id=dead_id))
    await_five_byte_nanoseconds()
    small = client.add(queue_id=queue_id, message=message(b"x" * 2**21)).message
    largest = MESSAGE_BYTES_MAX - HANDED_OUT_OVERHEAD_BYTES
    payload = b"x" * (2**21 + largest - small.ByteSize())

    added = client.add(queue_id=queue_id, message=message(payload)).message
    await_five_byte_nanoseconds()
    refusal = refused(client.add, queue_id=queue_id, message=message(payload + b"x"))
    client.pop(queue_id=queue_id)

    assert added.ByteSize() == largest
    assert refusal.code == Code.RESOURCE_EXHAUSTED
    assert f"more than message_bytes_max of {MESSAGE_BYTES_MAX}" in refusal.message
    assert refusal.info.metadata["limit"] == "message_bytes_max"
    assert client.peek(queue_id=queue_id).message == added
    for reason in ("r" * 1_024, ""):
        (leased,) = client.lease(queue_id=queue_id, consumer="c" * 200).messages
        assert (leased.message.meta, leased.message.payload) == (added.meta, payload)
        client.nack(
            queue_id=queue_id,
            lease_ids=[leased.lease_id],
            kind=pb.NackRequest.RELEASE if reason else pb.NackRequest.REJECT,
            reason=reason,
        )
    (leased,) = client.lease(queue_id=dead_id).messages
    assert leased.message.dead_letter.reason == pb.DeadLetter.REJECTED
    client.nack(queue_id=dead_id, lease_ids=[leased.lease_id], kind=pb.NackRequest.RELEASE)
    assert client.pop(queue_id=dead_id).message.payload == payload
    assert refused(client.pop, queue_id=queue_id).message == f"queue {queue_id} is empty"


def test_tags_count_towards_the_size_of_a_message(client: StockClient) -> None:
    """What does not fit with its tags is refused as well, and nothing of it is stored."""
    queue_id = client.made()
    big = pb.Tag(key="k", value="v" * 10_000)

    refusal = refused(
        client.add, queue_id=queue_id, message=message(b"x" * (MESSAGE_BYTES_MAX - 9_000), big)
    )

    assert refusal.code == Code.RESOURCE_EXHAUSTED
    assert "message_bytes_max" in refusal.message
    assert client.drain(queue_id) == []
