"""What is measured can be chosen, and goes to those who have an equivalent of it."""

import pytest

from suite.runner import steps
from suite.scenarios import SYSTEMS, chosen, points, sessions, unsupported


def test_points_are_told_apart_by_their_keys() -> None:
    """No point is measured twice under one name."""
    keys = [point.key for point in points(deep=True)]

    assert len(keys) == len(set(keys))


def test_quick_points_are_fewer_and_of_all_families() -> None:
    """A quick run shows that all of it works."""
    quick, full = points(quick=True), points()

    assert len(quick) < len(full) / 2
    assert {point.family for point in quick} == {point.family for point in full}


def test_ten_million_messages_are_asked_for() -> None:
    """They take longer than all the rest."""
    assert max(point.depth for point in points()) == 1_000_000
    assert max(point.depth for point in points(deep=True)) == 10_000_000


def test_chosen_kind_comes_with_the_adds_before_it() -> None:
    """They tell how many messages a lease finds."""
    kinds = {(point.family, point.kind) for point in chosen(points(), ["unary/lease", "mixed"])}

    assert kinds == {("unary", "add"), ("unary", "lease"), ("mixed", "cycle")}


def test_unknown_name_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(ValueError, match=r"there is no unarry; there are .*unary/lease"):
        chosen(points(), ["unarry"])


def test_who_has_no_equivalent_is_left_out() -> None:
    """JetStream and beanstalkd have no pop; some have no room for many queues."""
    (pop, *_) = chosen([point for point in points() if point.kind == "pop"], [])
    many = next(point for point in points() if point.queues == 10_000)

    lacking = {system.server for system in SYSTEMS if unsupported(pop, system.server)}
    assert lacking == {"nats", "beanstalkd"}
    assert {s.server for s in SYSTEMS if unsupported(many, s.server)} == {"nats", "rabbitmq"}


def test_each_depth_has_a_server_of_its_own() -> None:
    """Its memory is that of the messages that wait."""
    depths = [session for session in sessions(points()) if session[0].family == "depth"]

    assert [len(session) for session in depths] == [1, 1]


def test_systems_take_turns_and_begin_with_another_each_time() -> None:
    """All are measured once before one is measured again."""
    systems = SYSTEMS[:2]
    todo = steps(sessions(chosen(points(), ["unary", "queues"])), systems, 2)

    order = [(step.repetition, step.points[0].family, step.system.server) for step in todo]
    assert order == [
        (0, "unary", "q"),
        (0, "unary", "redis"),
        (0, "queues", "q"),
        (0, "queues", "redis"),
        (1, "unary", "redis"),
        (1, "unary", "q"),
        (1, "queues", "redis"),
        (1, "queues", "q"),
    ]
