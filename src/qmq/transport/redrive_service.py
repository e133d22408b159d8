"""The methods of the service Q about redrives."""

from dataclasses import replace
from typing import Final

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right, right_names
from qmq.engine.broker import Broker
from qmq.errors import AccessDenied, RedriveNotFound
from qmq.model.redrive import Redrive, RedriveRequest
from qmq.transport.decode import decode
from qmq.transport.methods import Methods
from qmq.values import NS_PER_S, DeadLetterReason
from qmq.wire import q_pb2 as pb
from qmq.wire.choices import choices
from qmq.wire.convert import tag_values
from qmq.wire.times import Span, duration_message, moment_message, optional_duration_ns

_AGE: Final = Span(0, 36_500 * 24 * 3600 * NS_PER_S, "0 to 36,500 days")


class RedriveService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._sources_of = broker.catalog.sources_of
        self._redriving = broker.redriving

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods(
            {
                "/proto.Q/StartRedrive": self.start_redrive,
                "/proto.Q/GetRedrive": self.get_redrive,
                "/proto.Q/ListRedrives": self.list_redrives,
                "/proto.Q/StopRedrive": self.stop_redrive,
            }
        )

    async def start_redrive(self, data: bytes) -> bytes:
        """Start to move dead letters."""
        request = _request_value(decode(pb.StartRedriveRequest, data))
        self._rights.check(Right.MANAGE, request.queue_id)
        scope = None
        if request.target_queue_id:
            self._rights.check(Right.PRODUCE, request.target_queue_id)
        else:
            # They go back to where they came from.
            sources = tuple(self._sources_of(request.queue_id))
            for source in sources:
                self._rights.check(Right.PRODUCE, source)
            if scope := self._rights.covered(Right.PRODUCE):
                # Queues that have sent dead letters here before may be others by now.
                request = replace(request, sources=sources)
        redrive = await self._redriving.start(request, scope)
        return pb.StartRedriveResponse(redrive=_redrive_message(redrive)).SerializeToString()

    async def get_redrive(self, data: bytes) -> bytes:
        """Tell how far a redrive is."""
        request = decode(pb.GetRedriveRequest, data)
        redrive = await self._checked(request.redrive_id, Right.BROWSE)
        return pb.GetRedriveResponse(redrive=_redrive_message(redrive)).SerializeToString()

    async def list_redrives(self, data: bytes) -> bytes:
        """Tell how far all redrives are."""
        decode(pb.ListRedrivesRequest, data)
        found = await self._redriving.list_all()
        redrives = [each for each in found if self._rights.may(Right.BROWSE, each.request.queue_id)]
        return pb.ListRedrivesResponse(redrives=map(_redrive_message, redrives)).SerializeToString()

    async def stop_redrive(self, data: bytes) -> bytes:
        """Stop a redrive."""
        request = decode(pb.StopRedriveRequest, data)
        await self._checked(request.redrive_id, Right.MANAGE)
        redrive = await self._redriving.stop(request.redrive_id)
        return pb.StopRedriveResponse(redrive=_redrive_message(redrive)).SerializeToString()

    async def _checked(self, redrive_id: str, right: Right) -> Redrive:
        """Return a redrive from a queue to which the caller has a right.

        Raises:
            AccessDenied: it has not; who sees some queues only is told the same of a redrive that
                there is not.
        """
        try:
            redrive = await self._redriving.get(redrive_id)
        except RedriveNotFound:
            redrive = None
            if self._rights.covered(right) is None:
                raise
        if redrive is None or not self._rights.may(right, redrive.request.queue_id):
            raise AccessDenied(
                f"there is no redrive {redrive_id[:120]!r}, or you have no right to"
                f" {right_names(right)} the queue that it is about"
            )
        return redrive


def _request_value(request: pb.StartRedriveRequest) -> RedriveRequest:
    value = RedriveRequest(
        queue_id=request.queue_id,
        target_queue_id=request.target_queue_id,
        tags=tag_values(request.tags),
        reasons=tuple(dict.fromkeys(choices(DeadLetterReason, request.reasons, "reasons"))),
        text=request.text,
        age_min_ns=optional_duration_ns(request, "age_min", _AGE) or 0,
        age_max_ns=optional_duration_ns(request, "age_max", _AGE),
        dry_run=request.dry_run,
        messages_per_second=request.messages_per_second,
        messages_max=request.messages_max,
    )
    if request.HasField("failed_again_max"):
        return replace(value, failed_again_max=request.failed_again_max)
    return value


def _redrive_message(redrive: Redrive) -> pb.Redrive:
    """Describe a redrive on the wire."""
    return pb.Redrive(
        id=redrive.id,
        request=_request_message(redrive.request),
        state=pb.Redrive.State.Name(redrive.state),
        started=moment_message(redrive.started_ns),
        ended=None if redrive.is_running else moment_message(redrive.ended_ns),
        total=redrive.total,
        seen=redrive.seen,
        matched=redrive.matched,
        moved=redrive.moved,
        failed_again=redrive.failed_again,
        message=redrive.message,
    )


def _request_message(request: RedriveRequest) -> pb.StartRedriveRequest:
    return pb.StartRedriveRequest(
        queue_id=request.queue_id,
        target_queue_id=request.target_queue_id,
        tags=[pb.Tag(key=tag.key, value=tag.value) for tag in request.tags],
        reasons=[pb.DeadLetter.Reason.Name(reason) for reason in request.reasons],
        text=request.text,
        age_min=duration_message(request.age_min_ns) if request.age_min_ns else None,
        age_max=None if request.age_max_ns is None else duration_message(request.age_max_ns),
        dry_run=request.dry_run,
        messages_per_second=request.messages_per_second,
        messages_max=request.messages_max,
        failed_again_max=request.failed_again_max,
    )
