"""The judge of histories: it catches each kind of wrong, and nothing that may be."""

import pytest

from qmq.testing import START_NS
from qmq.values import NS_PER_S, Durability
from tests.world.history import Asked, Outcome, Taken, Told
from tests.world.written import Cases, Write, Written, broken_rules, name_of

_CASES = Cases()
bad, good = _CASES.bad, _CASES.good


@bad("no_phantoms")
def _nobody_added_it(it: Written) -> None:
    it.pop("plain", "m")


@bad("no_phantoms")
def _its_add_was_refused(it: Written) -> None:
    op = it.begin("add", "plain", messages=(Asked("m"),))
    it.end(op, Outcome.FAIL)
    it.pop("plain", "m")


@bad("no_phantoms")
def _it_was_added_later(it: Written) -> None:
    it.pop("plain", "m")
    it.add("plain", "m")


@bad("no_phantoms")
def _one_add_made_two(it: Written) -> None:
    it.add("plain", "m")
    op = it.begin("pop_batch", "plain", most=2)
    it.end(op, taken=(Taken("m", "m"), Taken("other", "m")))


@bad("no_phantoms")
def _its_payload_is_that_of_another(it: Written) -> None:
    it.lose_add("plain", "n")
    it.add("plain", "m")
    op = it.begin("pop", "plain", most=1)
    it.end(op, taken=(Taken("m", "n"),))


@good
def _an_add_without_an_answer_may_have_happened(it: Written) -> None:
    it.lose_add("plain", "m")
    it.add("plain", "m")
    op = it.begin("pop_batch", "plain", most=2)
    it.end(op, taken=(Taken("other", "m"), Taken("m", "m")))
    it.lose_add("plain", "n")
    it.drain("plain")


@bad("nothing_comes_back")
def _it_was_leased_after_its_ack(it: Written) -> None:
    it.add("jobs", "m")
    it.about("ack", it.lease("jobs", "m"))
    it.lease("jobs", "m", fence=2)


@bad("nothing_comes_back")
def _it_came_back_by_a_crash(it: Written) -> None:
    it.add("jobs", "m")
    it.about("ack", it.lease("jobs", "m"))
    it.restart("power")
    it.lease("jobs", "m", fence=2)


@bad("nothing_comes_back")
def _an_ack_that_others_cover_came_back(it: Written) -> None:
    it.add("jobs", "m")
    it.about("ack", it.lease("jobs", "m"), level=Durability.MEMORY)
    it.add("plain", "n")
    it.restart("power")
    it.lease("jobs", "m", fence=2)
    it.drain("plain", "n")


@bad("nothing_comes_back")
def _it_was_leased_after_a_purge(it: Written) -> None:
    it.add("doomed", "m")
    it.end(it.begin("purge", "doomed"), count=1)
    it.lease("doomed", "m")


@bad("nothing_comes_back")
def _it_was_leased_after_it_was_deleted(it: Written) -> None:
    (told,) = it.add("jobs", "m").told
    it.end(it.begin("delete", "jobs", ids=(told.id,)), refused=("",))
    it.lease("jobs", "m")


@good
def _it_was_left_alone(it: Written) -> None:
    ids = tuple(each.id for name in "mn" for each in it.add("jobs", name).told)
    it.end(it.begin("delete", "jobs", ids=ids), refused=("MessageLeased", ""))
    it.drain("jobs", "m")


@bad("nothing_comes_back")
def _half_a_complete_has_happened(it: Written) -> None:
    it.add("jobs", "m")
    lease = it.lease("jobs", "m")
    lease_ids = tuple(each.lease_id for each in lease.taken)
    op = it.begin("complete", "jobs", lease_ids=lease_ids, target="done", messages=(Asked("out"),))
    it.end(op, Outcome.UNKNOWN)
    it.about("ack", it.lease("done", "out"))
    it.wait(200)
    it.lease("jobs", "m", fence=2)


@good
def _what_is_acked_for_less_may_come_back(it: Written) -> None:
    it.add("jobs", "m")
    it.about("ack", it.lease("jobs", "m"), level=Durability.OS)
    it.restart("power")
    it.lease("jobs", "m", fence=2)
    it.wait(200)
    it.drain("jobs", "m")


@good
def _an_ack_without_an_answer_may_not_have_happened(it: Written) -> None:
    it.add("jobs", "m", "n")
    lease = it.lease("jobs", "m", "n")
    lease_ids = tuple(each.lease_id for each in lease.taken)
    it.end(it.begin("ack", "jobs", lease_ids=lease_ids), Outcome.UNKNOWN)
    it.wait(200)
    it.drain("jobs", "m")


@bad("removed_once")
def _two_have_popped_it_at_a_time(it: Written) -> None:
    it.add("plain", "m")
    first, second = it.begin("pop", "plain", most=1), it.begin("pop", "plain", most=1)
    it.end(first, taken=(Taken("m", "m"),))
    it.end(second, taken=(Taken("m", "m"),))


@bad("removed_once")
def _two_leases_were_acked(it: Written) -> None:
    it.add("jobs", "m")
    first = it.lease("jobs", "m", lasts_s=5)
    it.wait(10)
    second = it.lease("jobs", "m", fence=2)
    it.about("ack", first)
    it.about("ack", second)


@bad("one_lease_at_a_time")
def _it_was_leased_twice(it: Written) -> None:
    it.add("jobs", "m")
    it.lease("jobs", "m")
    it.lease("jobs", "m", fence=2)
    it.wait(200)
    it.drain("jobs", "m")


@bad("one_lease_at_a_time")
def _a_crash_has_forgotten_a_lease(it: Written) -> None:
    it.add("jobs", "m")
    it.lease("jobs", "m")
    it.restart("power")
    it.lease("jobs", "m", fence=2)
    it.wait(200)
    it.drain("jobs", "m")


@bad("one_lease_at_a_time")
def _it_was_popped_while_it_was_leased(it: Written) -> None:
    it.add("memory", "m")
    it.lease("memory", "m")
    it.pop("memory", "m")


@bad("one_lease_at_a_time")
def _an_extended_lease_did_not_last(it: Written) -> None:
    it.add("jobs", "m")
    lease = it.lease("jobs", "m", lasts_s=5)
    op = it.about("extend", lease, seconds=300.0)
    op.until_ns = (it.now_ns + 299 * NS_PER_S,)
    it.wait(10)
    it.lease("jobs", "m", fence=2)
    it.wait(500)
    it.drain("jobs", "m")


@good
def _one_of_a_batch_without_an_answer_was_deleted(it: Written) -> None:
    it.lose_add("jobs", "m", "n")
    it.browse("jobs", "m", "n")
    it.end(it.begin("delete", "jobs", ids=("n",)), refused=("",))
    it.about("ack", it.lease("jobs", "m"))


@good
def _an_extension_was_lost(it: Written) -> None:
    it.add("jobs", "m")
    lease = it.lease("jobs", "m", lasts_s=5)
    op = it.about("extend", lease, seconds=300.0, level=Durability.MEMORY)
    op.until_ns = (it.now_ns + 299 * NS_PER_S,)
    it.restart("kill")
    it.wait(10)
    it.about("ack", it.lease("jobs", "m", fence=2))


@good
def _leases_end(it: Written) -> None:
    it.add("jobs", "m")
    it.about("nack", it.lease("jobs", "m"))
    it.lease("jobs", "m", fence=2, lasts_s=5)
    it.wait(5)
    it.lease("jobs", "m", fence=3)
    # The machine's clock was set while q was down, and took it for right.
    it.fault("kill")
    it.fault("set", 300 * NS_PER_S)
    it.fault("boot", START_NS + 300 * NS_PER_S)
    it.about("ack", it.lease("jobs", "m", fence=4))


@bad("fences_grow")
def _a_later_lease_has_a_lower_fence(it: Written) -> None:
    it.add("jobs", "m")
    it.about("nack", it.lease("jobs", "m", fence=2))
    it.about("ack", it.lease("jobs", "m", fence=1))


@bad("fences_grow")
def _two_leases_have_one_name(it: Written) -> None:
    it.add("jobs", "m")
    it.lease("jobs", "m", lasts_s=5)
    it.wait(5)
    it.restart("kill")
    it.lease("jobs", "m")
    it.wait(200)
    it.drain("jobs", "m")


@bad("not_before_its_delay")
def _it_came_too_early(it: Written) -> None:
    it.add("urgent", "m", delay_s=10)
    it.wait(5)
    it.pop("urgent", "m")


@bad("not_before_its_delay")
def _a_restart_has_forgotten_its_delay(it: Written) -> None:
    it.add("urgent", "m", delay_s=10)
    it.restart("stop")
    it.pop("urgent", "m")


@bad("not_after_its_ttl")
def _it_came_too_late(it: Written) -> None:
    it.add("urgent", "m", ttl_s=10)
    it.wait(10)
    it.pop("urgent", "m")


@good
def _delays_and_ttls_are_kept(it: Written) -> None:
    it.add("urgent", "m", delay_s=10, ttl_s=30)
    it.add("urgent", "n", ttl_s=5)
    it.wait(10)
    it.pop("urgent", "m")
    it.drain("urgent")


@bad("dedup_ids_are_known")
def _it_was_added_again_after_an_add_without_an_answer(it: Written) -> None:
    asked = (Asked("m", dedup_id="d"),)
    it.end(it.begin("add", "jobs", messages=asked), Outcome.UNKNOWN)
    it.end(it.begin("add", "jobs", messages=asked), told=(Told("b"),))
    op = it.begin("pop_batch", "jobs", most=2)
    it.end(op, taken=(Taken("a", "m"), Taken("b", "m")))


@good
def _it_was_added_without_an_answer_when_its_dedup_id_was_forgotten(it: Written) -> None:
    asked = (Asked("m", dedup_id="d"),)
    it.end(it.begin("add", "jobs", messages=asked), told=(Told("a"),))
    it.wait(20)
    it.end(it.begin("add", "jobs", messages=asked), Outcome.UNKNOWN)
    op = it.begin("pop_batch", "jobs", most=2)
    it.end(op, taken=(Taken("a", "m"), Taken("b", "m")))


@bad("dedup_ids_are_known")
def _it_was_added_twice(it: Written) -> None:
    asked = (Asked("m", dedup_id="d"),)
    for id_ in "ab":
        it.end(it.begin("add", "jobs", messages=asked), told=(Told(id_),))
    op = it.begin("pop_batch", "jobs", most=2)
    it.end(op, taken=(Taken("a", "m"), Taken("b", "m")))


@good
def _a_window_ends(it: Written) -> None:
    asked = (Asked("m", dedup_id="d"),)
    it.end(it.begin("add", "jobs", messages=asked), told=(Told("a"),))
    it.end(it.begin("add", "jobs", messages=asked), told=(Told("a", was_known=True),))
    it.wait(20)
    it.end(it.begin("add", "jobs", messages=asked), told=(Told("b"),))
    op = it.begin("pop_batch", "jobs", most=2)
    it.end(op, taken=(Taken("a", "m"), Taken("b", "m")))


@bad("order_holds")
def _the_second_went_first(it: Written) -> None:
    it.add("plain", "m")
    it.add("plain", "n")
    it.pop("plain", "n")
    it.pop("plain", "m")


@bad("order_holds")
def _a_batch_was_shuffled(it: Written) -> None:
    it.add("plain", "m", "n")
    it.pop("plain", "n", "m")


@bad("order_holds")
def _the_urgent_had_to_wait(it: Written) -> None:
    it.add("urgent", "m")
    it.add("urgent", "n", priority=7)
    it.pop("urgent", "m")
    it.pop("urgent", "n")


@bad("order_holds")
def _a_crash_has_changed_the_order(it: Written) -> None:
    it.add("plain", "m")
    it.add("plain", "n")
    it.restart("power")
    it.drain("plain", "n", "m")


@bad("order_holds")
def _two_of_a_group_were_out_at_a_time(it: Written) -> None:
    it.add("groups", "m", "n", group_id="a")
    first = it.lease("groups", "m")
    it.about("ack", it.lease("groups", "n"))
    it.about("nack", first)
    it.about("ack", it.lease("groups", "m", fence=2))


@good
def _order_is_that_of_answers(it: Written) -> None:
    first = it.begin("add", "plain", messages=(Asked("m"),))
    it.add("plain", "n")
    it.end(first, told=(Told("m"),))
    it.pop("plain", "n", "m")
    it.add("urgent", "u", delay_s=10)
    it.add("urgent", "v")
    it.pop("urgent", "v")
    it.wait(10)
    it.pop("urgent", "u")
    it.add("groups", "g", "h", group_id="a")
    it.add("groups", "i", group_id="b")
    it.about("ack", it.lease("groups", "i"))
    it.about("ack", it.lease("groups", "g", "h"))


@bad("nothing_is_lost")
def _it_is_not_there_in_the_end(it: Written) -> None:
    it.add("plain", "m")
    it.drain("plain")


@bad("nothing_is_lost")
def _a_power_loss_took_what_was_synced(it: Written) -> None:
    it.add("plain", "m")
    it.restart("power")
    it.drain("plain")


@bad("nothing_is_lost")
def _a_kill_took_what_the_system_had(it: Written) -> None:
    it.add("plain", "m", level=Durability.OS)
    it.restart("kill")
    it.drain("plain")


@bad("nothing_is_lost")
def _one_pop_took_two(it: Written) -> None:
    it.add("plain", "m", "n")
    it.lose_pop("plain", 1)
    it.drain("plain")


@bad("nothing_is_lost")
def _a_batch_was_cut(it: Written) -> None:
    it.lose_add("plain", "m", "n")
    it.drain("plain", "m")


@good
def _what_was_asked_for_less_may_be_lost(it: Written) -> None:
    it.add("plain", "m", level=Durability.OS)
    it.restart("power")
    it.add("memory", "n")
    it.restart("stop")
    it.add("plain", "o")
    it.lose_pop("plain", 1)
    it.add("doomed", "p")
    it.end(it.begin("purge", "doomed"), Outcome.UNKNOWN)
    for queue in ("plain", "memory", "doomed"):
        it.drain(queue)


@bad("counts_add_up")
def _it_counted_what_was_not_there(it: Written) -> None:
    it.add("plain", "m")
    it.drain("plain", "m", count=2)


@bad("the_steady_clock_goes_on")
def _a_restart_went_by_the_clock_on_the_wall(it: Written) -> None:
    it.fault("set", 600 * NS_PER_S)
    it.wait(60)
    it.restart("kill", set_s=600)


@good
def _a_clock_that_was_set_a_moment_ago_is_not_known(it: Written) -> None:
    it.fault("set", 600 * NS_PER_S)
    it.restart("kill", set_s=600)
    it.fault("set", 5 * NS_PER_S)
    it.wait(60)
    it.restart("power", set_s=600)


@pytest.mark.parametrize(("rule", "write"), _CASES.wrong, ids=name_of)
def test_what_may_not_be_is_caught(rule: str, write: Write) -> None:
    """By the rule that it breaks, and no other."""
    assert broken_rules(write) == [rule]


@pytest.mark.parametrize("write", _CASES.right, ids=name_of)
def test_what_may_be_is_not(write: Write) -> None:
    """Also where nobody knows what has happened."""
    assert broken_rules(write) == []
