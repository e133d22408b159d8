"""The methods of the service Q that show messages and change nothing."""

from google.protobuf.duration_pb2 import Duration

from qmq.access.granted import EVERYTHING, Rights
from qmq.access.rights import Right
from qmq.engine.broker import Broker
from qmq.envelope import batch_reply_with, reply_with
from qmq.errors import InvalidArgument
from qmq.transport.decode import decode
from qmq.transport.methods import Methods
from qmq.values import NS_PER_S, MessageState
from qmq.wire import q_pb2 as pb
from qmq.wire.choices import choices
from qmq.wire.convert import tag_values
from qmq.wire.times import moment_ns


class BrowseService:
    """Part of the service Q, on top of a broker."""

    def __init__(self, broker: Broker, rights: Rights = EVERYTHING) -> None:
        self._rights = rights
        self._browsing = broker.browsing

    def methods(self) -> Methods:
        """Return the methods by their gRPC path."""
        return Methods({"/proto.Q/Browse": self.browse, "/proto.Q/Explain": self.explain})

    async def browse(self, data: bytes) -> bytes:
        """Show a page of messages."""
        request = decode(pb.BrowseRequest, data)
        self._rights.check(Right.BROWSE, request.queue_id)
        age_min_ns = _age_ns(request.age_min, "age_min")
        age_max_ns = _age_ns(request.age_max, "age_max") if request.HasField("age_max") else None
        if age_max_ns is not None and age_min_ns > age_max_ns:
            raise InvalidArgument("age_min", "must not be more than age_max")
        messages, token = await self._browsing.browse(
            request.queue_id,
            page_size=request.page_size,
            page_token=request.page_token,
            states=frozenset(choices(MessageState, request.states, "states")),
            tags=tag_values(request.tags),
            selector=request.selector,
            group_id=request.group_id,
            fair_key=request.fair_key,
            age_min_ns=age_min_ns,
            age_max_ns=age_max_ns,
        )
        rest = pb.BrowseResponse(next_page_token=token).SerializeToString()
        return batch_reply_with(messages) + rest

    async def explain(self, data: bytes) -> bytes:
        """Tell where a message is and why."""
        request = decode(pb.ExplainRequest, data)
        self._rights.check(Right.BROWSE, request.queue_id)
        created_ns = moment_ns(request.created, "created") if request.HasField("created") else None
        explanation = await self._browsing.explain(request.queue_id, request.message_id, created_ns)
        rest = pb.ExplainResponse(ahead=explanation.ahead, reasons=explanation.reasons)
        return reply_with(explanation.message) + rest.SerializeToString()


def _age_ns(age: Duration, field: str) -> int:
    ns = age.ToNanoseconds()
    if ns < 0:
        raise InvalidArgument(field, f"must not be less than 0; got {ns / NS_PER_S:g} seconds")
    return ns
