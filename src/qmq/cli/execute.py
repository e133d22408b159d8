"""Making a call. Whoever imports this loads gRPC."""

import sys

import click

from qmq.cli.call import Call
from qmq.cli.reply import write_reply
from qmq.client.channel import Channel
from qmq.client.errors import AddressError, RpcError, ServerNotReached
from qmq.wire import q_pb2

#: Seconds that a person who pressed Tab is kept waiting at most.
_COMPLETION_TIMEOUT_S = 1.0

#: Queues that one press of Tab asks for.
_COMPLETION_PAGE_SIZE = 1_000

_START_A_SERVER = 'start one with "q", or name another with --server or QCLI_SERVER'


def execute(call: Call, address: str) -> None:
    """Make `call` at the server at `address` and print its reply.

    Raises click.ClickException, and BrokenPipeError if nobody reads the reply.
    """
    # Python's sign of a standard output that was closed before it started: a message
    # that is popped then would be lost.
    if call.prints_reply and sys.stdout is None:
        message = f"{call.failure}: standard output is closed"
        raise click.ClickException(message)
    request = getattr(q_pb2, f"{call.method}Request")(**call.fields)
    reply_type = getattr(q_pb2, f"{call.method}Response")
    try:
        with Channel(address) as channel:
            reply = channel.call(call.method, request, reply_type)
    except ServerNotReached as error:
        message = f"{call.failure}: {error}; {_START_A_SERVER}"
        raise click.ClickException(message) from error
    except (AddressError, RpcError) as error:
        message = f"{call.failure}: {error}"
        raise click.ClickException(message) from error
    if call.prints_reply:
        write_reply(reply)


def queue_names(address: str) -> list[str]:
    """The name, or else the id, of each queue; none if the server does not answer."""
    request = q_pb2.ListQueuesRequest(page_size=_COMPLETION_PAGE_SIZE)
    try:
        with Channel(address) as channel:
            reply = channel.call(
                "ListQueues",
                request,
                q_pb2.ListQueuesResponse,
                timeout_s=_COMPLETION_TIMEOUT_S,
            )
    except (AddressError, RpcError):
        return []
    return [queue.name or queue.meta.id for queue in reply.queues]
