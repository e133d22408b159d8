"""Making one call. Whoever imports this loads gRPC."""

from typing import Final

from qmq.cli.actions import Call
from qmq.cli.connect import connected
from qmq.cli.failures import FAILED, Failure, failure_of
from qmq.cli.reply import write_reply
from qmq.cli.reply_tables import Names
from qmq.cli.settings import Settings
from qmq.client.errors import QmqError
from qmq.client.on_threads.channel import Channel
from qmq.client.options import TIMEOUT_S
from qmq.wire import q_pb2

#: Seconds that a person who pressed Tab is kept waiting at most.
_TIMEOUT_S: Final = 1.0

#: Queues whose names are asked for: those that a person has an overview of.
_PAGE_SIZE: Final = 1_000


#: Methods whose tables call other queues by their names.
_NAMING: Final = frozenset(
    {
        "GetQueue",
        "NewQueue",
        "UpdateQueue",
        "ListQueues",
        "Pause",
        "Resume",
        "Explain",
        "StartRedrive",
        "GetRedrive",
        "ListRedrives",
        "StopRedrive",
        "PutSchedule",
        "GetSchedule",
    }
)


def execute(call: Call, settings: Settings) -> None:
    """Make `call` and print its reply.

    Raises Failure, and BrokenPipeError if nobody reads the reply.
    """
    request = getattr(q_pb2, f"{call.method}Request")(**call.fields)
    reply_type = getattr(q_pb2, f"{call.method}Response")
    names: Names = {}
    with connected(settings, call.failure, prints=call.prints_reply) as connection:
        channel = connection.channel
        try:
            # Once, whatever it is: whoever calls sees what became of it.
            data = channel.call(call.method, request.SerializeToString(), TIMEOUT_S)
        except QmqError as error:
            failure = failure_of(call.failure, error)
            status = FAILED if call.is_original else failure.exit_code
            raise Failure(failure.message, status) from error
        if call.output == "table" and call.method in _NAMING:
            names = queue_names(channel)
    if call.prints_reply:
        write_reply(reply_type.FromString(data), call.output, names)


def queue_names(channel: Channel) -> dict[str, str]:
    """The name of each queue by its id, "" if it has none; no queues if none are told."""
    request = q_pb2.ListQueuesRequest(page_size=_PAGE_SIZE)
    try:
        data = channel.call("ListQueues", request.SerializeToString(), _TIMEOUT_S)
    except QmqError:
        return {}
    reply = q_pb2.ListQueuesResponse.FromString(data)
    return {queue.meta.id: queue.name for queue in reply.queues}


def completions(settings: Settings) -> list[str]:
    """The name, or else the id, of each queue; none if the server does not answer."""
    try:
        with connected(settings, "cannot list queues", prints=False) as connection:
            names = queue_names(connection.channel)
    except Failure:
        return []
    return [name or queue_id for queue_id, name in names.items()]
