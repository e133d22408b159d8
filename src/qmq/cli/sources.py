"""A queue, or all that a selector matches. Whoever imports this loads gRPC."""

from typing import Any

from qmq.cli.call import Lease, Take, Work
from qmq.client._sync.client import Client
from qmq.client._sync.queue import Queue
from qmq.client._sync.selection import Selection


def check_there(client: Client, action: Lease | Take | Work) -> None:
    """Look whether the server is there, and the queue, or whether the selector is one.

    Raises QmqError.
    """
    if action.selector:
        next(iter(client.list_queues(selector=action.selector)), None)
    else:
        client.queue(action.queue_id).info()


def source_of(client: Client, action: Work) -> Queue[Any] | Selection[Any]:
    """Return what the messages are to be taken of."""
    if action.selector:
        return client.selection(action.selector)
    return client.queue(action.queue_id)
