"""q as grpcio's stock client calls it: nothing of q's own but the messages of its .proto."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from qmq.wire import q_pb2 as pb

_Reply = TypeVar("_Reply", bound=Message)

#: Well-formed, and no queue's.
UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"

#: Seconds after which a call has failed.
_TIMEOUT_S = 60.0

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True)
class Options:
    """What a call says beside its request."""

    timeout: float = _TIMEOUT_S
    compression: grpc.Compression | None = None
    metadata: tuple[tuple[str, str], ...] = ()


class StockClient:
    """Each rpc is a function from the request's fields, and `options`, to the reply."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.list_queues = self._rpc("ListQueues", pb.ListQueuesRequest, pb.ListQueuesResponse)
        self.new_queue = self._rpc("NewQueue", pb.NewQueueRequest, pb.NewQueueResponse)
        self.get_queue = self._rpc("GetQueue", pb.GetQueueRequest, pb.GetQueueResponse)
        self.delete_queue = self._rpc("DeleteQueue", pb.DeleteQueueRequest, pb.DeleteQueueResponse)
        self.add_queue_tag = self._rpc("AddQueueTag", pb.AddQueueTagRequest, pb.AddQueueTagResponse)
        self.delete_queue_tag = self._rpc(
            "DeleteQueueTag", pb.DeleteQueueTagRequest, pb.DeleteQueueTagResponse
        )
        self.add = self._rpc("Add", pb.AddRequest, pb.AddResponse)
        self.pop = self._rpc("Pop", pb.PopRequest, pb.PopResponse)
        self.peek = self._rpc("Peek", pb.PeekRequest, pb.PeekResponse)
        self.add_batch = self._rpc("AddBatch", pb.AddBatchRequest, pb.AddBatchResponse)
        self.pop_batch = self._rpc("PopBatch", pb.PopBatchRequest, pb.PopBatchResponse)
        self.stats = self._rpc("Stats", pb.StatsRequest, pb.StatsResponse)
        self.update_queue = self._rpc("UpdateQueue", pb.UpdateQueueRequest, pb.UpdateQueueResponse)
        self.pause = self._rpc("Pause", pb.PauseRequest, pb.PauseResponse)
        self.resume = self._rpc("Resume", pb.ResumeRequest, pb.ResumeResponse)
        self.purge = self._rpc("Purge", pb.PurgeRequest, pb.PurgeResponse)
        self.lease = self._rpc("Lease", pb.LeaseRequest, pb.LeaseResponse)
        self.ack = self._rpc("Ack", pb.AckRequest, pb.AckResponse)
        self.nack = self._rpc("Nack", pb.NackRequest, pb.NackResponse)
        self.extend = self._rpc("Extend", pb.ExtendRequest, pb.ExtendResponse)
        self.complete = self._rpc("Complete", pb.CompleteRequest, pb.CompleteResponse)
        self.browse = self._rpc("Browse", pb.BrowseRequest, pb.BrowseResponse)
        self.explain = self._rpc("Explain", pb.ExplainRequest, pb.ExplainResponse)
        self.start_redrive = self._rpc(
            "StartRedrive", pb.StartRedriveRequest, pb.StartRedriveResponse
        )
        self.get_redrive = self._rpc("GetRedrive", pb.GetRedriveRequest, pb.GetRedriveResponse)
        self.list_redrives = self._rpc(
            "ListRedrives", pb.ListRedrivesRequest, pb.ListRedrivesResponse
        )
        self.stop_redrive = self._rpc("StopRedrive", pb.StopRedriveRequest, pb.StopRedriveResponse)

    def _rpc(
        self, name: str, request: Callable[..., Message], reply: type[_Reply]
    ) -> Callable[..., _Reply]:
        call: Callable[..., _Reply] = self.channel.unary_unary(
            f"/proto.Q/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )

        def rpc(options: Options = Options(), **fields: Any) -> _Reply:  # noqa: ANN401
            return call(
                request(**fields),
                timeout=options.timeout,
                compression=options.compression,
                metadata=options.metadata,
            )

        return rpc

    def made(self, store: int = pb.Queue.MEMORY, **fields: Any) -> str:  # noqa: ANN401
        """The id of a new queue."""
        return str(self.new_queue(store=store, **fields).queue.meta.id)

    def put(self, queue_id: str, *payloads: bytes) -> None:
        """Add messages to a queue."""
        for payload in payloads:
            self.add(queue_id=queue_id, message=pb.NewMessage(payload=payload))

    def drain(self, queue_id: str) -> list[pb.Message]:
        """Pop all messages of a queue."""
        found: list[pb.Message] = []
        while True:
            try:
                found.append(self.pop(queue_id=queue_id).message)
            except grpc.RpcError as error:
                assert (error.details() or "").endswith("is empty")  # noqa: PT017
                return found


@contextmanager
def connected(address: str) -> Iterator[StockClient]:
    """A client of the q at `address`, with grpcio's default options."""
    with grpc.insecure_channel(address) as channel:
        yield StockClient(channel)


class Refusal(NamedTuple):
    """How a call failed, as far as a client is told."""

    code: grpc.StatusCode
    message: str
    #: google.rpc.Status, from the trailers.
    status: status_pb2.Status

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        """The ErrorInfo among the details."""
        return self._detail(error_details_pb2.ErrorInfo())

    @property
    def violations(self) -> dict[str, str]:
        """The broken rules by field, from the BadRequest among the details."""
        found = self._detail(error_details_pb2.BadRequest()).field_violations
        return {violation.field: violation.description for violation in found}

    def _detail(self, message: _Reply) -> _Reply:
        for detail in self.status.details:
            if detail.Unpack(message):
                return message
        pytest.fail(f"no {message.DESCRIPTOR.full_name} in {self.status}")


def refused(rpc: Callable[..., object], **fields: Any) -> Refusal:  # noqa: ANN401
    """Call an rpc that fails, and tell how."""
    with pytest.raises(grpc.RpcError) as caught:
        rpc(**fields)
    error = caught.value
    status = status_pb2.Status()
    for metadatum in error.trailing_metadata() or ():
        if metadatum.key == _DETAILS:
            status.ParseFromString(metadatum.value)
            assert (status.code, status.message) == (error.code().value[0], error.details())
    return Refusal(error.code(), error.details() or "", status)
