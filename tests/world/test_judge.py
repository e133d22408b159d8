"""The judge of histories, on what queues hold, hold back and show, and on schedules."""

import pytest

from qmq.values import NS_PER_S
from tests.world.evidence import Evidence
from tests.world.history import Asked, Outcome, Taken, Ticks
from tests.world.judge import RULES_OF_CLUSTERS, problems_of
from tests.world.queues import LEASED, QUEUES, SCHEDULES
from tests.world.written import Cases, Write, Written, broken_rules, name_of

_CASES = Cases()
bad, good = _CASES.bad, _CASES.good


@bad("limits_hold")
def _it_held_one_too_many(it: Written) -> None:
    it.add("capped", *"abcd")
    it.add("capped", "e")
    it.drain("capped", *"abcde")


@bad("refused_only_when_full")
def _it_had_room(it: Written) -> None:
    it.add("capped", "a")
    it.end(it.begin("add", "capped", messages=(Asked("b"),)), Outcome.FAIL, "QueueFull")
    it.drain("capped", "a")


@bad("nothing_is_lost")
def _one_made_room_that_need_not(it: Written) -> None:
    it.add("latest", "a")
    it.add("latest", "b")
    it.drain("latest", "b")


@bad("room_is_made_if_need_be")
def _one_made_room_too_early(it: Written) -> None:
    it.add("latest", "a", "b")
    it.browse("latest", "b")
    it.add("latest", *"cdefg")
    it.drain("latest", *"cdefg")


@bad("counts_are_near")
def _one_was_not_counted(it: Written) -> None:
    it.add("plain", "a")
    it.end(it.begin("stats", "plain"), count=0)
    it.drain("plain", "a")


@good
def _what_is_full_refuses_or_drops(it: Written) -> None:
    it.add("capped", *"abcd")
    it.end(it.begin("add", "capped", messages=(Asked("e"),)), Outcome.FAIL, "QueueFull")
    it.end(it.begin("stats", "capped"), count=4)
    it.drain("capped", *"abcd")
    it.add("latest", *"ghijk")
    it.add("latest", "l")
    it.browse("latest", *"hijkl")
    it.drain("latest", *"hijkl")


@bad("nothing_while_paused")
def _it_was_popped_while_it_was_paused(it: Written) -> None:
    it.add("plain", "m")
    it.do("pause", "plain")
    it.pop("plain", "m")


@bad("nothing_while_paused")
def _a_crash_has_forgotten_a_pause(it: Written) -> None:
    it.add("plain", "m")
    it.do("pause", "plain")
    it.restart("power")
    it.pop("plain", "m")


@bad("nothing_while_paused")
def _its_group_was_paused(it: Written) -> None:
    it.add("groups", "m", group_id="a")
    it.do("pause_group", "groups", name="a")
    it.about("ack", it.lease("groups", "m"))


@bad("nothing_while_paused")
def _it_was_added_while_that_was_paused(it: Written) -> None:
    it.do("pause", "plain", flag=True)
    it.add("plain", "m")
    it.do("resume", "plain")
    it.drain("plain", "m")


@bad("refused_only_when_paused")
def _nobody_has_paused_it(it: Written) -> None:
    it.do("pause", "plain")
    it.end(it.begin("add", "plain", messages=(Asked("m"),)), Outcome.FAIL, "AddsPaused")


@good
def _pauses_end(it: Written) -> None:
    it.do("pause", "plain", flag=True)
    it.end(it.begin("add", "plain", messages=(Asked("l"),)), Outcome.FAIL, "AddsPaused")
    it.do("pause", "plain")
    it.add("plain", "m")
    it.end(it.begin("resume", "plain"), Outcome.UNKNOWN)
    it.pop("plain", "m")
    it.add("groups", "n", group_id="b")
    it.do("pause_group", "groups", name="a")
    it.about("ack", it.lease("groups", "n"))


@bad("no_more_on_lease")
def _too_many_were_on_lease(it: Written) -> None:
    it.add("shared", *"abcdef")
    for payload in "abcdef":
        it.lease("shared", payload)
    it.wait(200)
    it.drain("shared", *"abcdef")


@bad("no_more_on_lease")
def _too_many_of_a_key_were_on_lease(it: Written) -> None:
    it.add("keyed", *"abc", fair_key="k")
    it.about("ack", it.lease("keyed", *"abc"))


@bad("rates_hold")
def _it_came_too_fast(it: Written) -> None:
    it.add("slow", *"abcdef")
    it.pop("slow", *"abcdef")


@bad("keys_take_turns")
def _it_had_to_wait_for_all_others(it: Written) -> None:
    others = [f"m{number}" for number in range(9)]
    it.add("shared", *others, fair_key="a")
    it.add("shared", "n", fair_key="b")
    for payload in (*others, "n"):
        it.about("ack", it.lease("shared", payload))


@bad("selectors_match")
def _it_was_of_another_queue(it: Written) -> None:
    it.add("jobs", "m")
    op = it.begin("lease", LEASED, selector=LEASED, most=1)
    (taken,) = it.leased("m")
    it.end(op, taken=(taken._replace(queue="jobs"),))
    it.wait(200)
    it.drain("jobs", "m")


@bad("credit_holds")
def _there_was_no_room_for_it(it: Written) -> None:
    it.add("jobs", "m", "n")
    stream = it.begin("consume", "jobs", most=1)
    for payload in "mn":
        handed = it.begin("handed", "jobs", stream=stream)
        it.about("ack", it.end(handed, taken=it.leased(payload))) if payload == "n" else it.end(
            handed, taken=it.leased(payload)
        )
    it.wait(200)
    it.drain("jobs", "m")


@bad("one_lease_at_a_time")
def _it_was_leased_while_a_stream_had_it(it: Written) -> None:
    it.add("jobs", "m")
    stream = it.begin("consume", "jobs", most=1)
    it.end(it.begin("handed", "jobs", stream=stream), taken=it.leased("m"))
    it.about("ack", it.lease("jobs", "m", fence=2))


@good
def _what_goes_out_goes_out_as_it_may(it: Written) -> None:
    it.add("jobs", "m")
    stream = it.begin("consume", "jobs", most=1)
    it.end(it.begin("handed", "jobs", stream=stream), taken=it.leased("m"))
    stream.let_go = it.history.length
    it.about("ack", it.lease("jobs", "m", fence=2))
    it.add("slow", *"abcdef")
    it.pop("slow", *"abc")
    it.wait(3)
    it.pop("slow", *"def")
    it.add("shared", *"ghijk", fair_key="a")
    it.add("shared", "l", fair_key="b")
    for payload in "ghlijk":
        it.about("ack", it.lease("shared", payload))


@bad("all_is_shown")
def _it_was_not_shown(it: Written) -> None:
    it.add("plain", "a", "b")
    it.browse("plain", "a")
    it.drain("plain", "a", "b")


@bad("only_what_is_asked_for_is_shown")
def _it_was_of_another_group(it: Written) -> None:
    it.add("groups", "m", group_id="a")
    it.browse("groups", "m", group_id="b")
    it.drain("groups", "m")


@bad("only_what_is_asked_for_is_shown")
def _it_was_shown_twice(it: Written) -> None:
    it.add("plain", "a")
    it.browse("plain", "a", "a")
    it.drain("plain", "a")


@bad("shown_as_they_came")
def _the_second_was_shown_first(it: Written) -> None:
    it.add("urgent", "a")
    it.add("urgent", "b", priority=7)
    it.browse("urgent", "b", "a")
    it.drain("urgent", "b", "a")


@bad("states_are_right")
def _what_was_leased_was_shown_as_ready(it: Written) -> None:
    it.add("jobs", "m")
    lease = it.lease("jobs", "m")
    it.browse("jobs", "m")
    it.about("ack", lease)


@bad("nothing_comes_back")
def _it_was_shown_after_its_pop(it: Written) -> None:
    it.add("plain", "m")
    it.pop("plain", "m")
    it.browse("plain", "m")


@bad("no_phantoms")
def _nobody_had_added_what_was_shown(it: Written) -> None:
    it.end(it.begin("add", "plain", messages=(Asked("m"),)), Outcome.FAIL)
    it.browse("plain", "m")
    it.drain("plain", "m")


@bad("nothing_is_lost")
def _a_power_loss_took_what_was_shown(it: Written) -> None:
    it.lose_add("plain", "m")
    it.browse("plain", "m")
    it.restart("power")
    it.drain("plain")


@good
def _what_is_shown_is_there(it: Written) -> None:
    it.add("jobs", "m")
    lease = it.lease("jobs", "m")
    it.browse("jobs", "m", state="LEASED")
    it.browse("jobs", state="DELAYED")
    it.about("ack", lease)
    it.browse("jobs")
    it.lose_add("plain", "n")
    it.browse("plain")


def _put(it: Written, ticks: Ticks, name: str = "beat", *, is_last: bool = False) -> None:
    op = it.begin(
        "put_schedule", "ticking", name=name, messages=(Asked(f"{name}.c"),), flag=is_last
    )
    it.end(op, ticks=ticks)


@bad("ticks_come_once")
def _a_tick_came_twice(it: Written) -> None:
    _put(it, Ticks(0, 0, 0, 0))
    it.wait(3 * SCHEDULES["beat"])
    it.end(it.begin("get_schedule", "ticking", name="beat"), ticks=Ticks(8, 0, 0, 0))


@bad("ticks_come_once")
def _ticks_were_forgotten(it: Written) -> None:
    _put(it, Ticks(0, 0, 0, 0))
    it.wait(10 * SCHEDULES["beat"])
    it.end(it.begin("get_schedule", "ticking", name="beat"), ticks=Ticks(3, 1, 0, 0))


@bad("ticks_come_once")
def _a_minute_came_again(it: Written) -> None:
    _put(it, Ticks(0, 0, 0, 0), "minute")
    it.wait(60)
    it.fault("set", -60 * NS_PER_S)
    it.wait(60)
    it.end(it.begin("get_schedule", "ticking", name="minute"), ticks=Ticks(4, 0, 0, 0))


@bad("ticks_are_told")
def _what_was_added_is_not_there(it: Written) -> None:
    _put(it, Ticks(0, 0, 0, 0))
    it.wait(2 * SCHEDULES["beat"])
    _put(it, Ticks(2, 0, 0, 0), is_last=True)
    it.drain("ticking")


@bad("gone_with_their_schedule")
def _a_schedule_went_on(it: Written) -> None:
    _put(it, Ticks(0, 0, 0, 0), "fleeting")
    it.do("delete_schedule", "ticking", name="fleeting")
    it.wait(5)
    arrival = f"{it.now_ns:x}-00000001"
    op = it.begin("lease", "ticking", most=1)
    it.end(op, taken=(Taken("m", "fleeting.c", arrival, it.now_ns + NS_PER_S),))
    it.wait(200)
    it.pop("ticking")


@good
def _ticks_come_as_the_clock_says(it: Written) -> None:
    _put(it, Ticks(0, 0, 0, 0))
    it.wait(10 * SCHEDULES["beat"])
    it.fault("set", -600 * NS_PER_S)
    it.wait(10 * SCHEDULES["beat"])
    it.browse("ticking", "beat.c")
    _put(it, Ticks(1, 20, 0, 0), is_last=True)
    it.drain("ticking", "beat.c")


@pytest.mark.parametrize(("rule", "write"), _CASES.wrong, ids=name_of)
def test_what_may_not_be_is_caught(rule: str, write: Write) -> None:
    """By the rule that it breaks, and no other."""
    assert broken_rules(write) == [rule]


@pytest.mark.parametrize("write", _CASES.right, ids=name_of)
def test_what_may_be_is_not(write: Write) -> None:
    """Also where nobody knows what has happened."""
    assert broken_rules(write) == []


@pytest.mark.parametrize(("ahead_s", "is_right"), [(0.0, True), (-4.0, True), (0.1, False)])
def test_clock_of_a_cluster_is_that_of_its_database(ahead_s: float, is_right: bool) -> None:  # noqa: FBT001
    """Or as far behind as its answer was late, and never ahead."""
    it = Written()
    it.restart("kill", ahead_s)
    problems = problems_of(Evidence(it.history, QUEUES), RULES_OF_CLUSTERS)

    assert (problems == []) is is_right
