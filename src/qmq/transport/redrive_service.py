"""The methods of the service Q about redrives."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from qmq.engine.broker import Broker
from qmq.errors import InvalidArgument
from qmq.model.redrive import Redrive, RedriveRequest
from qmq.transport.decode import decode
from qmq.transport.grpc import UnaryMethod, WaitingMethod
from qmq.transport.streams import StreamMethod
from qmq.values import NS_PER_S, DeadLetterReason
from qmq.wire import q_pb2 as pb
from qmq.wire.convert import tag_values
from qmq.wire.times import Span, optional_duration_ns

_AGE: Final = Span(0, 36_500 * 24 * 3600 * NS_PER_S, "0 to 36,500 days")


class RedriveService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker) -> None:
        self._redriving = broker.redriving

    def methods(self) -> dict[str, UnaryMethod]:
        """Return the methods by their gRPC path."""
        return {
            "/proto.Q/StartRedrive": self.start_redrive,
            "/proto.Q/GetRedrive": self.get_redrive,
            "/proto.Q/ListRedrives": self.list_redrives,
            "/proto.Q/StopRedrive": self.stop_redrive,
        }

    def waiting_methods(self) -> dict[str, WaitingMethod]:
        """Return no methods."""
        return {}

    def stream_methods(self) -> dict[str, StreamMethod]:
        """Return no methods."""
        return {}

    async def start_redrive(self, data: bytes) -> bytes:
        """Start to move dead letters."""
        request = _request_value(decode(pb.StartRedriveRequest, data))
        redrive = await self._redriving.start(request)
        return pb.StartRedriveResponse(redrive=_redrive_message(redrive)).SerializeToString()

    async def get_redrive(self, data: bytes) -> bytes:
        """Tell how far a redrive is."""
        request = decode(pb.GetRedriveRequest, data)
        redrive = await self._redriving.get(request.redrive_id)
        return pb.GetRedriveResponse(redrive=_redrive_message(redrive)).SerializeToString()

    async def list_redrives(self, data: bytes) -> bytes:
        """Tell how far all redrives are."""
        decode(pb.ListRedrivesRequest, data)
        redrives = await self._redriving.list_all()
        return pb.ListRedrivesResponse(redrives=map(_redrive_message, redrives)).SerializeToString()

    async def stop_redrive(self, data: bytes) -> bytes:
        """Stop a redrive."""
        request = decode(pb.StopRedriveRequest, data)
        redrive = await self._redriving.stop(request.redrive_id)
        return pb.StopRedriveResponse(redrive=_redrive_message(redrive)).SerializeToString()


def _request_value(request: pb.StartRedriveRequest) -> RedriveRequest:
    value = RedriveRequest(
        queue_id=request.queue_id,
        target_queue_id=request.target_queue_id,
        tags=tag_values(request.tags, len(request.tags), "tags"),
        reasons=_reason_values(request.reasons),
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


def _reason_values(reasons: Iterable[int]) -> tuple[DeadLetterReason, ...]:
    values = []
    for at, reason in enumerate(reasons):
        try:
            values.append(DeadLetterReason(reason))
        except ValueError:
            known = ", ".join(f"{each.name} ({each.value})" for each in DeadLetterReason)
            raise InvalidArgument(
                f"reasons[{at}]", f"must be one of {known}; got {reason}"
            ) from None
    return tuple(dict.fromkeys(values))


def _redrive_message(redrive: Redrive) -> pb.Redrive:
    """Describe a redrive on the wire."""
    return pb.Redrive(
        id=redrive.id,
        request=_request_message(redrive.request),
        state=pb.Redrive.State.Name(redrive.state),
        started=_moment(redrive.started_ns),
        ended=None if redrive.is_running else _moment(redrive.ended_ns),
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
        age_min=_duration(request.age_min_ns) if request.age_min_ns else None,
        age_max=None if request.age_max_ns is None else _duration(request.age_max_ns),
        dry_run=request.dry_run,
        messages_per_second=request.messages_per_second,
        messages_max=request.messages_max,
        failed_again_max=request.failed_again_max,
    )


def _moment(ns: int) -> Timestamp:
    moment = Timestamp()
    moment.FromNanoseconds(ns)
    return moment


def _duration(ns: int) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(ns)
    return duration
