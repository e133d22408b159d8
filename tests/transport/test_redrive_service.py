"""The methods about redrives, as they are on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.errors import RedriveNotFound
from qmq.wire import q_pb2 as pb
from tests.engine.callers import turns
from tests.transport.service import Service, refusal_of

#: How a request names the reasons that there are.
REASONS = "REJECTED (1), DELIVERY_COUNT_MAX (2), EXPIRED (3), OVERFLOW (4), SKIPPED (5)"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Return a server with the queues "jobs" and "dead", and three dead letters."""
    service = Service()
    await service.call("NewQueue", name="dead", store=pb.Queue.MEMORY)
    await service.call(
        "NewQueue",
        name="jobs",
        store=pb.Queue.MEMORY,
        settings=pb.QueueSettings(dead_letter_queue_id="dead"),
    )
    await service.add(b"1", b"2", b"3")
    leased = (await service.call("Lease", queue_id="jobs", messages_max=3)).messages
    await service.call(
        "Nack",
        queue_id="jobs",
        lease_ids=[each.lease_id for each in leased],
        kind=pb.NackRequest.REJECT,
        reason="no route",
    )
    yield service
    await service.broker.close()


async def queue_id(service: Service, name: str) -> str:
    """Return the UUID of a queue."""
    return str((await service.call("GetQueue", queue_id=name)).queue.meta.id)


async def test_redrive_is_told_as_it_goes_on(service: Service) -> None:
    """When it starts, while it runs and when it has ended."""
    started = (await service.call("StartRedrive", queue_id="dead")).redrive
    await turns()
    ended = (await service.call("GetRedrive", redrive_id=started.id)).redrive

    assert (started.state, started.total, started.moved) == (pb.Redrive.RUNNING, 3, 0)
    assert started.started.ToNanoseconds() == service.clock.now_ns()
    assert not started.HasField("ended")
    assert started.request == pb.StartRedriveRequest(
        queue_id=await queue_id(service, "dead"), failed_again_max=0.5
    )
    assert ended.HasField("ended")
    assert (ended.state, ended.message) == (pb.Redrive.DONE, "")
    assert (ended.total, ended.seen, ended.matched, ended.moved) == (3, 3, 3, 3)
    assert await service.payloads() == [b"1", b"2", b"3"]


async def test_request_is_told_back(service: Service) -> None:
    """All that was asked for, with the ids of the queues."""
    request = pb.StartRedriveRequest(
        queue_id="dead",
        target_queue_id="jobs",
        tags=[pb.Tag(key="k", value="v")],
        reasons=[pb.DeadLetter.REJECTED, pb.DeadLetter.DELIVERY_COUNT_MAX],
        text="route",
        age_min=Duration(seconds=5),
        age_max=Duration(seconds=7, nanos=1),
        dry_run=True,
        messages_per_second=0.5,
        messages_max=9,
        failed_again_max=0.0,
    )
    fields = {field.name: value for field, value in request.ListFields()}

    started = (await service.call("StartRedrive", **fields)).redrive

    request.queue_id = await queue_id(service, "dead")
    request.target_queue_id = await queue_id(service, "jobs")
    assert started.request == request


async def test_age_of_nothing_at_most_is_not_the_same_as_any_age(service: Service) -> None:
    """What is left out has no bound."""
    service.clock.advance(1)

    none = await service.call("StartRedrive", queue_id="dead", dry_run=True, age_max=Duration())
    all_ = await service.call("StartRedrive", queue_id="dead", dry_run=True, age_min=Duration())

    assert none.redrive.request.HasField("age_max")
    assert not all_.redrive.request.HasField("age_max")
    assert (none.redrive.total, all_.redrive.total) == (0, 3)


async def test_redrives_are_listed_and_stopped(service: Service) -> None:
    """The latest first; one that was stopped says so."""
    slow = (await service.call("StartRedrive", queue_id="dead", messages_per_second=1)).redrive
    await turns()
    counted = (await service.call("StartRedrive", queue_id="dead", dry_run=True)).redrive
    await turns()

    stopped = (await service.call("StopRedrive", redrive_id=slow.id)).redrive
    listed = (await service.call("ListRedrives")).redrives

    assert (stopped.state, stopped.moved) == (pb.Redrive.STOPPED, 1)
    assert [each.id for each in listed] == [counted.id, slow.id]
    assert listed[1] == stopped
    assert (listed[0].state, listed[0].matched, listed[0].moved) == (pb.Redrive.DONE, 2, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"queue_id": "none"}, "queue_id: 'none' is neither a UUID nor the name of a queue"),
        (
            {"target_queue_id": "none"},
            "target_queue_id: 'none' is neither a UUID nor the name of a queue",
        ),
        ({"reasons": [0]}, f"reasons[0]: must be one of {REASONS}; got 0"),
        ({"reasons": [1, 9]}, f"reasons[1]: must be one of {REASONS}; got 9"),
        (
            {"age_min": Duration(seconds=-1)},
            "age_min: must be 0 to 36,500 days; got -1 seconds",
        ),
        (
            {"age_max": Duration(seconds=2**62)},
            "age_max: must be 0 to 36,500 days; got 4.61169e+18 seconds",
        ),
        (
            {"age_min": Duration(seconds=2), "age_max": Duration(seconds=1)},
            "age_min: must not be more than age_max",
        ),
        ({"messages_max": -1}, "messages_max: must be 0 (all) or more; got -1"),
        ({"failed_again_max": 1.1}, "failed_again_max: must be 0 to 1; got 1.1"),
        (
            {"messages_per_second": -1},
            "messages_per_second: must be 0 (as many as possible), or 0.001 or more; got -1.0",
        ),
        (
            {"tags": [pb.Tag(key="k" * 1_025)]},
            "tags[0].key: takes 1025 bytes, more than 1024",
        ),
    ],
)
async def test_bad_request_is_refused(
    service: Service,
    fields: dict[str, Any],
    message: str,
) -> None:
    """The error names field, rule and value, and nothing is started."""
    refusal = await refusal_of(service.call("StartRedrive", **({"queue_id": "dead"} | fields)))

    assert refusal.message == message
    assert not (await service.call("ListRedrives")).redrives


@pytest.mark.parametrize("name", ["GetRedrive", "StopRedrive"])
async def test_unknown_redrive_is_not_found(service: Service, name: str) -> None:
    """Which is another thing than an id that is none."""
    nobody = "00000000-0000-0000-0000-000000000000"

    with pytest.raises(RedriveNotFound, match=f"^cannot find redrive with id {nobody}$"):
        await service.call(name, redrive_id=nobody)
    refusal = await refusal_of(service.call(name, redrive_id="jobs"))

    assert refusal.message == "redrive_id: 'jobs' is no UUID"
