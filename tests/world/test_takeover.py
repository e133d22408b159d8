"""A q that takes over is held up by nothing for long, wherever an answer fails to come."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from qmq.testing import seeded_ids
from tests.world.database import Database
from tests.world.freezing import FreezingLoop
from tests.world.member import Member
from tests.world.owning import OWNER, owned_task
from tests.world.relay import Relay, Trouble, What
from tests.world.server import WallClock

#: Seconds of the world: no answer comes within them, and q has to lead after so many.
_NEVER_S = 1e6
_LEADS_AFTER_S = 15.0


@pytest.fixture(scope="module")
def databases(addresses: Sequence[tuple[int, str]]) -> Iterator[Mapping[str, Database]]:
    """Return two, in which nobody leads for long."""
    names = ("first", "second")
    made = {name: Database(name, *at) for name, at in zip(names, addresses, strict=True)}
    yield made
    for database in made.values():
        database.close()


def _process() -> Any:  # noqa: ANN401 - A member.
    return OWNER.get()


def _leads_after_s(databases: Mapping[str, Database], trouble: Trouble) -> float:
    """Have a q take over, and return when it leads and has read all databases."""
    loop = FreezingLoop(Random(1))
    loop.set_task_factory(owned_task)
    relay = Relay(loop, Random(2), list(databases.values()), _process)
    relay.troubles.append(trouble)
    loop.connect = relay.connect

    async def lead() -> float:
        member = Member(
            "q1",
            {name: database.dsn for name, database in databases.items()},
            loop,
            WallClock(loop),
            chance=Random(3),
            new_id=seeded_ids(1),
            on_lead=lambda _: None,
            on_end=lambda _: None,
        )
        member.start()
        while not member.lead or member.lead.shards.shards.missing:  # noqa: ASYNC110 - No event says so.
            await asyncio.sleep(0.1)
        leads_after_s = loop.time()
        await asyncio.wait((member.run(member.stop()),))
        relay.leave(member)
        return leads_after_s

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        leads_after_s = runner.run(asyncio.wait_for(lead(), 600))
    relay.close()
    assert not relay.troubles
    return leads_after_s


@pytest.mark.parametrize("name", ["first", "second"])
@pytest.mark.parametrize(
    "text", ["q.migration", "set plan_cache_mode", "select last_number", "from q.message"]
)
def test_answer_that_never_comes_does_not_hold_up_a_takeover(
    databases: Mapping[str, Database], name: str, text: str
) -> None:
    """Whatever was asked: the server may have stopped, and another may be the primary by now."""
    trouble = Trouble(What.LATE_ANSWER, name, text=text, seconds=_NEVER_S)

    assert _leads_after_s(databases, trouble) < _LEADS_AFTER_S
