"""The health service, without a network: what a watcher is told, and in which order."""

from collections.abc import AsyncIterator

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from qmq.errors import Unavailable
from qmq.transport.health import HealthService

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING


async def request() -> AsyncIterator[bytes]:
    """Ask for the server as a whole."""
    yield HealthCheckRequest().SerializeToString()


def status(replies: list[bytes]) -> int:
    """Return the status that the one reply tells."""
    (reply,) = replies
    return HealthCheckResponse.FromString(reply).status


async def test_end_while_a_reply_is_being_sent_is_told_first() -> None:
    """Whoever is still being told that q serves hears that it does not before the stream ends."""
    health = HealthService(["proto.Q"])
    watcher = health.watch(request())

    assert status(await anext(watcher)) == SERVING
    health.stop_serving()
    assert status(await anext(watcher)) == NOT_SERVING
    with pytest.raises(Unavailable, match="stopped serving"):
        await anext(watcher)


async def test_what_went_and_came_back_while_a_reply_was_being_sent_is_not_told_twice() -> None:
    """A watcher hears of changes, not of each call that sets what was so before."""
    health = HealthService([])
    watcher = health.watch(request())

    assert status(await anext(watcher)) == SERVING
    health.set_serving(is_serving=False)
    health.set_serving(is_serving=True)
    health.stop_serving()
    assert status(await anext(watcher)) == NOT_SERVING


async def test_one_service_can_be_well_while_another_is_not() -> None:
    """A q of a cluster serves, and does not lead."""
    health = HealthService(["qmq.leader"])
    health.set_serving(is_serving=False, service="qmq.leader")

    leader = HealthCheckRequest(service="qmq.leader").SerializeToString()
    assert status([await health.check(leader)]) == NOT_SERVING
    assert status([await health.check(b"")]) == SERVING
