"""Schedules of a queue, which add messages to it by themselves."""

from contextlib import suppress
from typing import Generic, TypeVar

from qmq.client._async.connection import AsyncConnection
from qmq.client.codecs import Codec
from qmq.client.errors import ScheduleNotFound
from qmq.client.options import Duration
from qmq.client.schedule_values import MissedName, Schedule
from qmq.client.schedules import schedule_message, schedule_of
from qmq.client.values import NewMessage
from qmq.wire import q_pb2 as pb

T = TypeVar("T")


class AsyncScheduling(Generic[T]):
    """What an AsyncQueue has for those who make schedules."""

    def __init__(self, connection: AsyncConnection, queue_id: str, codec: Codec[T]) -> None:
        #: The id or name that it was asked for by.
        self.queue_id = queue_id
        self._connection = connection
        self._codec = codec

    async def put_schedule(  # noqa: PLR0913 - All that a schedule may have, each by name.
        self,
        name: str,
        message: T | NewMessage[T],
        *,
        cron: str = "",
        interval: Duration | None = None,
        time_zone: str = "",
        missed: MissedName = "ONE",
        paused: bool = False,
    ) -> Schedule[T]:
        """Make a schedule, which adds a message again and again, or change the one of that name.

        One whose cron, interval and time_zone stay as they are goes on where it is, so that a
        program can put its schedules each time it starts.

        Args:
            name: unique among the schedules of the queue: 1 to 80 of A-Z a-z 0-9 . _ - starting
                with a letter or digit.
            message: what is added, as in `add`, or a NewMessage, which has tags and options;
                up to 64 KiB.
            cron: when: minute, hour, day of the month, month, day of the week; for example
                "30 6 * * MON-FRI". Either this or an interval is needed.
            interval: how many seconds it is from one message to the next, 1 second to 10 years;
                the first one comes after that time.
            time_zone: the zone in which `cron` is meant, for example "Europe/Berlin"; UTC if
                left out.
            missed: what becomes of ticks at which the server was down: SKIP, ONE message for
                all, or ALL, one message each, up to 1,000.
            paused: whether it stands still.

        Raises:
            InvalidArgument: one of these breaks a rule.
            LimitReached: the queue or the server has as many schedules as it may.
            MessageTooLarge: the message is larger than a schedule keeps.
            ValueError: the interval is negative or no number.
            ValueError: there is no such policy for missed ticks.
        """
        request = pb.PutScheduleRequest(
            queue_id=self.queue_id,
            name=name,
            schedule=schedule_message(
                message,
                self._codec,
                cron=cron,
                interval=interval,
                time_zone=time_zone,
                missed=missed,
                paused=paused,
            ),
        )
        reply = await self._connection.ask(
            "PutSchedule", request, pb.PutScheduleResponse, repeatable=True
        )
        return schedule_of(reply.schedule, self._codec)

    async def schedule(self, name: str) -> Schedule[T]:
        """Return a schedule, and how far it is.

        Raises:
            ScheduleNotFound: the queue has none of that name.
        """
        request = pb.GetScheduleRequest(queue_id=self.queue_id, name=name)
        reply = await self._connection.ask(
            "GetSchedule", request, pb.GetScheduleResponse, repeatable=True
        )
        return schedule_of(reply.schedule, self._codec)

    async def schedules(self) -> list[Schedule[T]]:
        """Return the schedules of the queue, in order of their names."""
        return await schedules_of(self._connection, self.queue_id, self._codec)

    async def delete_schedule(self, name: str) -> None:
        """Delete a schedule. That there is none is no error; what it has added stays."""
        request = pb.DeleteScheduleRequest(queue_id=self.queue_id, name=name)
        with suppress(ScheduleNotFound):
            await self._connection.ask(
                "DeleteSchedule", request, pb.DeleteScheduleResponse, repeatable=True
            )


async def schedules_of(
    connection: AsyncConnection, queue_id: str, codec: Codec[T]
) -> list[Schedule[T]]:
    """Return the schedules of a queue or, with an empty id, of all."""
    request = pb.ListSchedulesRequest(queue_id=queue_id)
    schedules: list[Schedule[T]] = []
    while True:
        reply = await connection.ask(
            "ListSchedules", request, pb.ListSchedulesResponse, repeatable=True
        )
        schedules += (schedule_of(each, codec) for each in reply.schedules)
        if not reply.next_page_token:
            return schedules
        request.page_token = reply.next_page_token
