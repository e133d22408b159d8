"""A program written for an earlier client: old_program.py CLIENT SERVER.

CLIENT is the zip of that client. Uses each kind of call, and says "as ever" when all did as it
expects.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

client_zip, server = sys.argv[1:]
sys.path.insert(0, client_zip)

import qmq  # noqa: E402  # that of the zip


@contextmanager
def refused(error: type[Exception]) -> Iterator[None]:
    """Expect a refusal."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def put_in_and_take_out(client: qmq.Client, store: qmq.Store) -> None:
    """One by one and in batches, by Pop, by lease, and as streams."""
    queue = client.new_queue(store=store, limit=20, name=f"old-{store.name}")
    added = queue.add("one", tags=[("lang", "en")], priority=3, ttl=3600)
    assert queue.peek().id == added.id
    assert queue.pop().text == "one"
    with refused(qmq.QueueEmpty):
        queue.pop()
    queue.add_batch([f"{number}" for number in range(20)])
    with refused(qmq.QueueFull):
        queue.add("too much")
    first, *others = queue.lease(messages_max=3)
    first.ack()
    for each in others:
        each.release()
    assert [each.text for each in queue.pop_batch(10)] == [f"{number}" for number in range(1, 11)]
    with queue.consume() as messages:
        for message, number in zip(messages, range(11, 20), strict=False):
            assert message.text == f"{number}"
            if number == 19:
                break
    assert queue.info().settings.lease_duration
    assert queue.stats().ready == 0
    queue.delete()


def look_and_rule(client: qmq.Client) -> None:
    """Queues with tags and settings, dead letters, groups, schedules, selections."""
    dead = client.new_queue(name="old-dead")
    queue = client.new_queue(
        name="old-jobs",
        tags=[("team", "old")],
        settings=qmq.QueueSettings(delivery_count_max=1, dead_letter_queue_id=dead.info().id),
    )
    queue.add("a", group_id="g", dedup_id="d")
    assert queue.add("a", group_id="g", dedup_id="d").deduplicated
    assert [each.text for each in queue.browse()] == ["a"]
    assert [each.name for each in client.list_queues(selector="team=old")] == ["old-jobs"]
    (leased,) = client.selection("team=old").lease()
    leased.reject("of no use")
    assert dead.stats().ready == 1
    dead.redrive()
    queue.pause()
    with refused(qmq.QueuePaused):
        queue.pop()
    queue.resume()
    queue.purge()
    queue.delete()
    dead.delete()
    with refused(qmq.QueueNotFound):
        queue.info()


assert str(qmq.__file__).startswith(client_zip)
with qmq.Client(server) as old_client:
    put_in_and_take_out(old_client, qmq.Store.MEMORY)
    put_in_and_take_out(old_client, qmq.Store.DISK)
    look_and_rule(old_client)
sys.stdout.write("as ever\n")
