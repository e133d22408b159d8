"""Making one call. Whoever imports this loads gRPC."""

import sys

from qmq.cli.call import Call
from qmq.cli.connect import connected
from qmq.cli.failures import FAILED, Failure, failure_of
from qmq.cli.reply import write_reply
from qmq.cli.settings import Settings
from qmq.client.errors import QmqError
from qmq.client.options import TIMEOUT_S
from qmq.wire import q_pb2

#: Seconds that a person who pressed Tab is kept waiting at most.
_COMPLETION_TIMEOUT_S = 1.0

#: Queues that one press of Tab asks for.
_COMPLETION_PAGE_SIZE = 1_000


def execute(call: Call, settings: Settings) -> None:
    """Make `call` and print its reply.

    Raises Failure, and BrokenPipeError if nobody reads the reply.
    """
    # Python's sign of a standard output that was closed before it started: a message
    # that is popped then would be lost.
    if call.prints_reply and sys.stdout is None:
        raise Failure(f"{call.failure}: standard output is closed")
    request = getattr(q_pb2, f"{call.method}Request")(**call.fields)
    reply_type = getattr(q_pb2, f"{call.method}Response")
    try:
        with connected(settings, call.failure) as channel:
            data = channel.call(call.method, request.SerializeToString(), TIMEOUT_S)
    except QmqError as error:
        failure = failure_of(call.failure, error)
        status = FAILED if call.is_original else failure.exit_code
        raise Failure(failure.message, status) from error
    if call.prints_reply:
        write_reply(reply_type.FromString(data), call.output)


def queue_names(settings: Settings) -> list[str]:
    """The name, or else the id, of each queue; none if the server does not answer."""
    request = q_pb2.ListQueuesRequest(page_size=_COMPLETION_PAGE_SIZE)
    try:
        with connected(settings, "cannot list queues") as channel:
            data = channel.call("ListQueues", request.SerializeToString(), _COMPLETION_TIMEOUT_S)
    except (Failure, QmqError):
        return []
    reply = q_pb2.ListQueuesResponse.FromString(data)
    return [queue.name or queue.meta.id for queue in reply.queues]
