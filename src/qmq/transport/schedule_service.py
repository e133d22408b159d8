"""The methods of the service Q about schedules."""

from typing import Final

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.descriptions import MessageOptions
from qmq.engine.broker import Broker
from qmq.engine.scheduling import ScheduleState
from qmq.limits import INTERVAL_S_MIN
from qmq.model.schedule import Missed, SchedulePlan
from qmq.transport.decode import decode
from qmq.transport.methods import Methods
from qmq.values import NS_PER_S
from qmq.wire import q_pb2 as pb
from qmq.wire.choices import choice
from qmq.wire.convert import encoded_tags
from qmq.wire.messages import message_options
from qmq.wire.times import AHEAD, Span, duration_message, duration_ns, moment_message

_INTERVAL: Final = Span(INTERVAL_S_MIN * NS_PER_S, AHEAD.max_ns, "1 second to 10 years")


class ScheduleService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._scheduling = broker.scheduling

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            {
                "/proto.Q/PutSchedule": self.put_schedule,
                "/proto.Q/GetSchedule": self.get_schedule,
                "/proto.Q/ListSchedules": self.list_schedules,
                "/proto.Q/DeleteSchedule": self.delete_schedule,
            }
        )

    async def put_schedule(self, data: bytes) -> bytes:
        """Make or change a schedule."""
        request = decode(pb.PutScheduleRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        # It adds messages, each time that it is due.
        self._rights.check(Right.PRODUCE, request.queue_id)
        state = await self._scheduling.put(
            request.queue_id, request.name, _plan_value(request.schedule)
        )
        return pb.PutScheduleResponse(schedule=_schedule_message(state)).SerializeToString()

    async def get_schedule(self, data: bytes) -> bytes:
        """Tell how far a schedule is."""
        request = decode(pb.GetScheduleRequest, data)
        self._rights.check(Right.BROWSE, request.queue_id)
        state = await self._scheduling.get(request.queue_id, request.name)
        return pb.GetScheduleResponse(schedule=_schedule_message(state)).SerializeToString()

    async def list_schedules(self, data: bytes) -> bytes:
        """Tell how far schedules are."""
        request = decode(pb.ListSchedulesRequest, data)
        if request.queue_id:
            self._rights.check(Right.BROWSE, request.queue_id)
        page, token = await self._scheduling.list_page(
            request.queue_id,
            request.page_size,
            request.page_token,
            self._rights.covered(Right.BROWSE),
        )
        reply = pb.ListSchedulesResponse(
            schedules=map(_schedule_message, page), next_page_token=token
        )
        return reply.SerializeToString()

    async def delete_schedule(self, data: bytes) -> bytes:
        """Delete a schedule."""
        request = decode(pb.DeleteScheduleRequest, data)
        self._rights.check(Right.MANAGE, request.queue_id)
        await self._scheduling.delete(request.queue_id, request.name)
        return pb.DeleteScheduleResponse().SerializeToString()


def _plan_value(schedule: pb.Schedule) -> SchedulePlan:
    message = schedule.message
    has_interval = schedule.HasField("interval")
    return SchedulePlan(
        cron=schedule.cron,
        interval_ns=(
            duration_ns(schedule.interval, "schedule.interval", _INTERVAL) if has_interval else 0
        ),
        time_zone=schedule.time_zone or "UTC",
        tags=encoded_tags(message.tags, "schedule.message.tags"),
        payload=message.payload,
        options=message_options(message.options, "schedule.message.options"),
        missed=choice(Missed, schedule.missed or Missed.ONE, "schedule.missed"),
        paused=schedule.paused,
    )


def _schedule_message(state: ScheduleState) -> pb.Schedule:
    """Describe a schedule on the wire."""
    schedule, next_ns = state
    plan = schedule.plan
    return pb.Schedule(
        queue_id=schedule.queue_id,
        name=schedule.name,
        cron=plan.cron,
        interval=duration_message(plan.interval_ns) if plan.interval_ns else None,
        time_zone="" if plan.interval_ns else plan.time_zone,
        message=pb.NewMessage(
            # They are encoded as those of metadata.
            tags=pb.Metadata.FromString(plan.tags).tags,
            payload=plan.payload,
            options=_options_message(plan.options),
        ),
        missed=pb.Schedule.Missed.Name(plan.missed),
        paused=plan.paused,
        created=moment_message(schedule.created_ns),
        next=None if next_ns is None else moment_message(next_ns),
        last=moment_message(schedule.last_ns) if schedule.last_ns else None,
        added=schedule.added,
        missed_ticks=schedule.missed,
        refused=schedule.refused,
        deduplicated=schedule.deduplicated,
        obstacle=schedule.obstacle,
    )


def _options_message(options: MessageOptions) -> pb.MessageOptions | None:
    """Describe the options of a schedule's message, which has no moments among them."""
    if options == MessageOptions():
        return None
    return pb.MessageOptions(
        delay=None if options.delay_ns is None else duration_message(options.delay_ns),
        ttl=None if options.ttl_ns is None else duration_message(options.ttl_ns),
        priority=options.priority,
        dedup_id=options.dedup_id,
        group_id=options.group_id,
        fair_key=options.fair_key,
    )
