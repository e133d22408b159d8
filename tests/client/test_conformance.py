"""The client does the same over the broker of `qmq.testing` as over a q that runs."""

from collections.abc import AsyncIterator, Iterator

import pytest

import qmq
from qmq.testing import ManualClock, running_broker, running_broker_in_thread
from tests.client.conformance import MessagesConformance, PassTime, QueuesConformance
from tests.client.conformance_consuming import (
    ConsumerConformance,
    ConsumingThreadsConformance,
    WorkerConformance,
)
from tests.client.conformance_groups import GroupsConformance
from tests.client.conformance_leases import CompleteConformance, LeasesConformance
from tests.client.conformance_many import ProducerConformance, ThreadsConformance
from tests.client.conformance_options import OptionsConformance, QueueOptionsConformance
from tests.client.conformance_oversight import OversightConformance, RedriveConformance
from tests.client.conformance_schedules import SchedulesConformance
from tests.client.conformance_selections import SelectionsConformance


@pytest.fixture
async def broker() -> AsyncIterator[tuple[qmq.AsyncClient, ManualClock]]:
    """A broker in this process."""
    async with running_broker() as broker:
        yield broker


@pytest.fixture
def client(broker: tuple[qmq.AsyncClient, ManualClock]) -> qmq.AsyncClient:
    """A client of it."""
    return broker[0]


@pytest.fixture
def pass_time(broker: tuple[qmq.AsyncClient, ManualClock]) -> PassTime:
    """Advances the clock, once somebody waits."""

    async def pass_time(seconds: float) -> None:
        await broker[1].until_waiting()
        broker[1].advance(seconds)

    return pass_time


@pytest.fixture
def sync_client() -> Iterator[qmq.Client]:
    """A client of a broker in a thread."""
    with running_broker_in_thread() as (client, _):
        yield client


class TestQueues(QueuesConformance):
    """Over the broker of `qmq.testing`."""


class TestMessages(MessagesConformance):
    """Over the broker of `qmq.testing`."""


class TestProducer(ProducerConformance):
    """Over the broker of `qmq.testing`."""


class TestThreads(ThreadsConformance):
    """Over the broker of `qmq.testing`."""


class TestLeases(LeasesConformance):
    """Over the broker of `qmq.testing`."""


class TestComplete(CompleteConformance):
    """Over the broker of `qmq.testing`."""


class TestGroups(GroupsConformance):
    """Over the broker of `qmq.testing`."""


class TestSelections(SelectionsConformance):
    """Over the broker of `qmq.testing`."""


class TestOptions(OptionsConformance):
    """Over the broker of `qmq.testing`."""


class TestQueueOptions(QueueOptionsConformance):
    """Over the broker of `qmq.testing`."""


class TestOversight(OversightConformance):
    """Over the broker of `qmq.testing`."""


class TestRedrive(RedriveConformance):
    """Over the broker of `qmq.testing`."""


class TestSchedules(SchedulesConformance):
    """Over the broker of `qmq.testing`."""


class TestConsumer(ConsumerConformance):
    """Over the broker of `qmq.testing`."""


class TestWorker(WorkerConformance):
    """Over the broker of `qmq.testing`."""


class TestConsumingThreads(ConsumingThreadsConformance):
    """Over the broker of `qmq.testing`."""
