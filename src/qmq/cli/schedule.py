"""Listing schedules, and letting one stand still or go on. Whoever imports this loads gRPC."""

from qmq.cli.actions import ListSchedules, PauseSchedule
from qmq.cli.connect import connected
from qmq.cli.execute import queue_names
from qmq.cli.reply import write_reply
from qmq.cli.settings import Settings
from qmq.wire import q_pb2 as pb


def list_schedules(action: ListSchedules, settings: Settings) -> None:
    """Show the schedules of a queue, or of all, also where one reply does not carry them.

    Raises Failure.
    """
    everything = pb.ListSchedulesResponse()
    request = pb.ListSchedulesRequest(queue_id=action.queue_id)
    with connected(settings, "cannot list schedules") as connection:
        while True:
            page = connection.ask(
                "ListSchedules", request, pb.ListSchedulesResponse, repeatable=True
            )
            everything.schedules.extend(page.schedules)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        names = queue_names(connection.channel) if action.output == "table" else {}
    write_reply(everything, action.output, names)


def pause_schedule(action: PauseSchedule, settings: Settings) -> None:
    """Put a schedule again as it is, but paused or not, and show it.

    Raises Failure.
    """
    failure = f"cannot {'pause' if action.is_paused else 'resume'} schedule"
    with connected(settings, failure) as connection:
        get = pb.GetScheduleRequest(queue_id=action.queue_id, name=action.name)
        schedule = connection.ask(
            "GetSchedule", get, pb.GetScheduleResponse, repeatable=True
        ).schedule
        schedule.paused = action.is_paused
        put = pb.PutScheduleRequest(queue_id=action.queue_id, name=action.name, schedule=schedule)
        reply = connection.ask("PutSchedule", put, pb.PutScheduleResponse, repeatable=True)
        names = queue_names(connection.channel) if action.output == "table" else {}
    write_reply(reply, action.output, names)
