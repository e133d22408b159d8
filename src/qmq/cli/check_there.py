"""Whether there is what a command works on, before it begins. Whoever imports this loads gRPC."""

from qmq.client._sync.client import Client
from qmq.client.on_threads.channel import Channel
from qmq.client.options import Retry


def check_there(channel: Channel, queue_id: str, selector: str = "") -> None:
    """Make sure that the server and the queue are there, or that the selector is one.

    Raises QmqError at once: repeating is for a server that was there.
    """
    client = Client.over(channel, retry=Retry(duration=0))
    if selector:
        next(iter(client.list_queues(selector=selector)), None)
    else:
        client.queue(queue_id).info()
