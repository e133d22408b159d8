"""Listing schedules, and letting one stand still or go on. Whoever imports this loads gRPC."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from qmq.cli.call import ListSchedules, Output, PauseSchedule
from qmq.cli.connect import connected
from qmq.cli.execute import queue_names
from qmq.cli.failures import Failure, failure_of
from qmq.cli.reply import write_reply
from qmq.cli.reply_tables import Names
from qmq.cli.settings import Settings
from qmq.client._sync.connection import Connection
from qmq.client.errors import QmqError
from qmq.client.on_threads.channel import GrpcChannel
from qmq.client.options import TIMEOUT_S, Retry
from qmq.wire import q_pb2 as pb


def list_schedules(action: ListSchedules, settings: Settings) -> None:
    """Show the schedules of a queue, or of all, also where one reply does not carry them.

    Raises Failure.
    """
    everything = pb.ListSchedulesResponse()
    request = pb.ListSchedulesRequest(queue_id=action.queue_id)
    with _calling("cannot list schedules", settings) as (channel, connection):
        while True:
            page = connection.ask(
                "ListSchedules", request, pb.ListSchedulesResponse, repeatable=True
            )
            everything.schedules.extend(page.schedules)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        names = _names(channel, action.output)
    write_reply(everything, action.output, names)


def pause_schedule(action: PauseSchedule, settings: Settings) -> None:
    """Put a schedule again as it is, but paused or not, and show it.

    Raises Failure.
    """
    failure = f"cannot {'pause' if action.is_paused else 'resume'} schedule"
    with _calling(failure, settings) as (channel, connection):
        get = pb.GetScheduleRequest(queue_id=action.queue_id, name=action.name)
        schedule = connection.ask(
            "GetSchedule", get, pb.GetScheduleResponse, repeatable=True
        ).schedule
        schedule.paused = action.is_paused
        put = pb.PutScheduleRequest(queue_id=action.queue_id, name=action.name, schedule=schedule)
        reply = connection.ask("PutSchedule", put, pb.PutScheduleResponse, repeatable=True)
        names = _names(channel, action.output)
    write_reply(reply, action.output, names)


@contextmanager
def _calling(failure: str, settings: Settings) -> Iterator[tuple[GrpcChannel, Connection]]:
    """Make calls; what they end with is a Failure."""
    if sys.stdout is None:
        raise Failure(f"{failure}: standard output is closed")
    with connected(settings, failure) as channel:
        try:
            yield channel, Connection(channel, timeout_s=TIMEOUT_S, retry=Retry())
        except QmqError as error:
            raise failure_of(failure, error) from error


def _names(channel: GrpcChannel, output: Output) -> Names:
    return queue_names(channel) if output == "table" else {}
