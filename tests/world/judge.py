"""All the rules that histories are judged by."""

from collections.abc import Iterable
from typing import Final

from tests.world import gates, looks, rooms, rules, ticks
from tests.world.evidence import Evidence

RULES: Final[tuple[rules.Rule, ...]] = (
    rules.no_phantoms,
    rules.nothing_comes_back,
    rules.removed_once,
    rules.one_lease_at_a_time,
    rules.fences_grow,
    rules.not_before_its_delay,
    rules.not_after_its_ttl,
    rules.dedup_ids_are_known,
    rules.order_holds,
    rules.nothing_is_lost,
    rules.counts_add_up,
    rules.the_steady_clock_goes_on,
    rooms.limits_hold,
    rooms.refused_only_when_full,
    rooms.room_is_made_if_need_be,
    rooms.counts_are_near,
    gates.nothing_while_paused,
    gates.refused_only_when_paused,
    gates.no_more_on_lease,
    gates.rates_hold,
    gates.keys_take_turns,
    gates.selectors_match,
    gates.credit_holds,
    looks.all_is_shown,
    looks.only_what_is_asked_for_is_shown,
    looks.shown_as_they_came,
    looks.states_are_right,
    ticks.ticks_come_once,
    ticks.ticks_are_told,
    ticks.gone_with_their_schedule,
)


#: Those of histories of clusters, whose clock that nobody sets goes by that of a database.
RULES_OF_CLUSTERS: Final = (
    *(each for each in RULES if each is not rules.the_steady_clock_goes_on),
    rules.the_steady_clock_is_near,
)


def problems_of(evidence: Evidence, judged_by: Iterable[rules.Rule] = RULES) -> list[str]:
    """Return what is wrong with a history."""
    return [f"{rule.__name__}: {each}" for rule in judged_by for each in rule(evidence)]
