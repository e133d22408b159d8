"""What one caller may do to the queues that there are."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qmq.access.rights as rights_module
from qmq.access.granted import EVERYTHING, Granted
from qmq.access.policy import Identity, Quota
from qmq.access.quotas import MESSAGE_OVERHEAD_BYTES, Quotas
from qmq.access.rights import NO_RIGHT, Right, name_matches, rights_on
from qmq.descriptions import QueueInfo
from qmq.errors import AccessDenied, QuotaReached
from qmq.model.catalog import Catalog
from qmq.model.index import entry
from qmq.model.queue import Queue
from qmq.model.tags import with_tag, without_tag
from qmq.values import UNBOUNDED, Store, Tag
from tests.access.policies import grant, identity

BILLING = Tag("team", "billing")
UNKNOWN_ID = "00000000-0000-4000-8000-00000000ffff"


class World:
    """Queues, identities, and seconds in the test's hand."""

    def __init__(self, *quotas: Quota, catalog: Catalog | None = None) -> None:
        self.catalog = catalog or Catalog()
        self.now_s = 0.0
        self.quotas = Quotas(quotas, self.catalog, lambda: self.now_s)
        self.everybody: list[Identity] = []

    def queue(self, name: str, *tags: Tag) -> Queue:
        """Make a queue."""
        number = len(self.catalog) + 1
        info = QueueInfo(
            id=f"00000000-0000-4000-8000-{number:012}",
            created_ns=number,
            store=Store.MEMORY,
            limit=UNBOUNDED,
            name=name,
            tags=tags,
        )
        queue = Queue(number, info)
        self.catalog.add(queue)
        return queue

    def rights(self, name: str, *grants: tuple[str, str]) -> Granted:
        """Return what one may who has these grants."""
        one = identity(name, *grants)
        self.everybody.append(one)
        return Granted(one, self.catalog, self.quotas, lambda: self.everybody)


def denied(rights: Granted, right: Right, reference: str) -> str:
    """Return what is told of a right that is missing."""
    with pytest.raises(AccessDenied) as error:
        rights.check(right, reference)
    return error.value.message


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "", True),
        ("*", "a.b", True),
        ("**", "", False),
        ("a.*", "a.b", True),
        ("a.*", "a.", True),
        ("a.*", "axb", False),
        ("a.*", "xa.b", False),
        ("a.*", "A.b", False),
        ("a.?", "a.bc", False),
        ("a.[bc]", "a.c", True),
        ("a", "a", True),
        ("a", "", False),
        ("a", "a\n", False),
    ],
)
def test_patterns_are_globs(pattern: str, name: str, matches: bool) -> None:  # noqa: FBT001
    """Of the whole name, case by case; only a lone star stands for queues without a name."""
    assert name_matches(pattern, name) is matches


def test_a_right_is_had_by_name_or_by_tags() -> None:
    """And is asked for by id as well as by name."""
    world = World()
    ours, tagged, other = world.queue("billing.a"), world.queue("x", BILLING), world.queue("y")
    rights = world.rights("a", ("billing.*", "produce"), ("team=billing", "produce"))

    for queue in (ours, tagged):
        rights.check(Right.PRODUCE, queue.info.id)
        rights.check(Right.PRODUCE, queue.info.id.upper())
        rights.check(Right.PRODUCE, f"urn:uuid:{queue.info.id}")
        rights.check(Right.PRODUCE, queue.info.name)
    for reference in (other.info.id, other.info.name):
        denied(rights, Right.PRODUCE, reference)


def test_what_is_not_there_looks_like_what_is_others() -> None:
    """Whoever could do something to a queue of the name is told that it is not there."""
    world = World()
    world.queue("theirs")
    rights = world.rights("a", ("billing.*", "produce"), ("team=billing", "browse"))

    theirs, missing = denied(rights, Right.PRODUCE, "theirs"), denied(rights, Right.PRODUCE, "none")
    known_id, unknown_id = (
        denied(rights, Right.PRODUCE, each)
        for each in ("00000000-0000-4000-8000-000000000001", UNKNOWN_ID)
    )
    rights.check(Right.PRODUCE, "billing.none")
    world.rights("root", ("*", "admin")).check(Right.MANAGE, UNKNOWN_ID)

    assert theirs.replace("theirs", "none") == missing
    assert known_id.replace("000000000001", "00000000ffff") == unknown_id
    assert denied(rights, Right.MANAGE, "billing.none").startswith("a may produce, but not manage")


def test_an_id_is_no_name() -> None:
    """A pattern that ids are like does not tell which ids there are."""
    world = World()
    world.queue("theirs")
    rights = world.rights("a", ("0*", "produce"))

    denied(rights, Right.PRODUCE, UNKNOWN_ID)
    denied(rights, Right.PRODUCE, "00000000-0000-4000-8000-000000000001")


def test_the_missing_right_is_named_to_who_has_another() -> None:
    """So that one knows what to ask for."""
    world = World()
    world.queue("billing.a")
    rights = world.rights("a", ("billing.*", "produce,browse"))

    assert denied(rights, Right.CONSUME, "billing.a") == (
        "a may produce and browse, but not consume, on queue 'billing.a'"
    )


def test_admin_comes_with_all() -> None:
    """To the queues that it is about."""
    world = World()
    world.queue("billing.a")
    world.queue("x")
    rights = world.rights("a", ("billing.*", "admin"))

    for right in Right:
        rights.check(right, "billing.a")
        denied(rights, right, "x")


def test_changed_tags_count_at_once() -> None:
    """Whoever changes them."""
    world = World()
    queue = world.queue("x", BILLING)
    rights = world.rights("a", ("team=billing", "consume"))
    rights.check(Right.CONSUME, "x")

    queue.info = without_tag(queue.info, BILLING)
    denied(rights, Right.CONSUME, "x")
    queue.info = with_tag(queue.info, BILLING)
    rights.check(Right.CONSUME, "x")


def test_changed_grants_count_at_once() -> None:
    """Nothing is remembered of the former ones."""
    world = World()
    world.queue("x")
    rights = world.rights("a", ("x", "consume"))
    rights.check(Right.CONSUME, "x")

    rights.replace(identity("a", ("y", "consume")))

    denied(rights, Right.CONSUME, "x")
    assert rights.covered(Right.CONSUME) is not None


def test_a_queue_is_made_where_it_would_be_managed() -> None:
    """By its name or by its tags."""
    world = World()
    rights = world.rights("a", ("billing.*", "manage"), ("team=billing", "manage"), ("x", "browse"))

    rights.check_new("billing.a", ())
    rights.check_new("", (BILLING,))
    for name, tags in (("x", ()), ("", ()), ("other", (Tag("team", "mail"),)), ("Billing.a", ())):
        with pytest.raises(AccessDenied):
            rights.check_new(name, tags)


def test_nobody_gains_by_tags_what_who_sets_them_has_not() -> None:
    """Neither that one itself nor anybody else; who administers the queue gives what it likes."""
    world = World()
    world.queue("x", Tag("env", "test"))
    keeper = world.rights("keeper", ("*", "manage"), ("team=billing", "consume"))
    giver = world.rights("giver", ("*", "manage,consume"))
    root = world.rights("root", ("*", "admin"))
    world.rights("reader", ("team=mail", "consume"), ("!env", "browse"))

    for tag, who in ((BILLING, "it"), (Tag("team", "mail"), "somebody")):
        with pytest.raises(AccessDenied, match=f"{who} would have the right to consume"):
            keeper.check_tags("x", partial(with_tag, tag=tag))
    with pytest.raises(AccessDenied, match="somebody would have the right to browse"):
        giver.check_tags("x", lambda info: without_tag(info, Tag("env", "test")))
    keeper.check_tags("x", lambda info: with_tag(info, Tag("colour", "red")))
    giver.check_tags("x", lambda info: with_tag(info, Tag("team", "mail")))
    root.check_tags("x", lambda info: without_tag(info, Tag("env", "test")))


def test_who_has_rights_by_name_alone_is_not_looked_at_when_tags_change() -> None:
    """There may be thousands, each with a pattern to be read."""
    world = World()
    world.queue("x")
    keeper = world.rights("keeper", ("x", "manage"))
    for at in range(5):
        world.rights(f"i{at}", (f"nobody-else-has-{at}.*", "consume"))
    read_before = rights_module._expression.cache_info().misses  # noqa: SLF001 - What it costs.

    keeper.check_tags("x", partial(with_tag, tag=BILLING))

    assert rights_module._expression.cache_info().misses == read_before  # noqa: SLF001


TAGS = st.lists(
    st.builds(Tag, st.sampled_from("ab"), st.sampled_from("12")), max_size=3, unique=True
).map(tuple)
WHICH = st.sampled_from(["*", "x", "x*", "y", "a=1", "a!=1", "!b"])
GRANTS = st.lists(
    st.tuples(WHICH, st.sampled_from(["produce", "consume", "browse", "manage", "admin"])),
    max_size=4,
)


@given(st.lists(GRANTS, min_size=1, max_size=3), TAGS, TAGS)
def test_a_change_of_tags_never_widens_rights(
    grants: list[list[tuple[str, str]]], before: tuple[Tag, ...], after: tuple[Tag, ...]
) -> None:
    """Whatever the grants, and whatever the tags: what is let pass gives nobody anything new."""
    world = World()
    queue = world.queue("x", *before)
    caller, *_ = [world.rights(f"i{at}", *each) for at, each in enumerate(grants)]
    own = caller.on(queue)

    try:
        caller.check_tags("x", lambda info: replace(info, tags=after))
    except AccessDenied:
        assert not own & Right.ADMIN
        return

    for each in world.everybody:
        had = rights_on(each.grants, "x", before)
        assert not rights_on(each.grants, "x", after) & ~(had | own)


@given(GRANTS, TAGS, st.sampled_from(list(Right)))
def test_what_is_listed_is_what_may_be_done(
    grants: list[tuple[str, str]], tags: tuple[Tag, ...], right: Right
) -> None:
    """The queues that are covered are those of which the right is had."""
    world = World()
    queue = world.queue("x", *tags)
    rights = world.rights("a", *grants)

    covered = rights.covered(right)

    is_covered = covered is None or covered.covers(queue.info)
    assert is_covered is bool(rights.on(queue) & right) is rights.may(right, "x")


def test_scopes_of_equal_grants_are_one() -> None:
    """So that those who wait by a selector stand in one line."""
    world = World()
    one, other, more = (
        world.rights(name, ("x*", "consume"), *rest)
        for name, rest in (("a", ()), ("b", (("y", "produce"),)), ("c", (("y", "consume"),)))
    )

    assert one.covered(Right.CONSUME) == other.covered(Right.CONSUME)
    assert hash(one.covered(Right.CONSUME)) == hash(other.covered(Right.CONSUME))
    assert one.covered(Right.CONSUME) != more.covered(Right.CONSUME)


async def test_who_waits_is_asked_for_the_right_again() -> None:
    """Tags may have changed meanwhile."""
    world = World()
    queue = world.queue("x", BILLING)
    rights = world.rights("a", ("team=billing", "consume"))
    gone = False

    async def is_gone() -> bool:
        return gone

    ask = rights.while_held(Right.CONSUME, "x", is_gone)
    assert not await ask()
    gone = True
    assert await ask()
    gone = False
    queue.info = without_tag(queue.info, BILLING)
    with pytest.raises(AccessDenied):
        await ask()
    assert EVERYTHING.while_held(Right.CONSUME, "x", is_gone) is is_gone


def test_quotas_bound_what_queues_hold_together() -> None:
    """By messages and by bytes; what leaves makes room."""
    world = World(Quota(pattern="b.*", messages_max=3, bytes_max=1000))
    first, second = world.queue("b.1"), world.queue("b.2")
    world.queue("other")
    rights = world.rights("a", ("*", "produce"))
    for number, queue in enumerate((first, second), 1):
        rights.check_add(queue.info.name, 1, 10)
        queue.add_plain(entry(number, 80))

    with pytest.raises(QuotaReached) as error:
        rights.check_add("b.1", 2, 20)
    with pytest.raises(QuotaReached, match="bytes_max of 1000"):
        rights.check_add("b.1", 1, 1000)
    rights.check_add("other", 100, 10_000)
    rights.check_add("b.1", 1, 20)
    first.add_plain(entry(9, 80))
    with pytest.raises(QuotaReached):
        rights.check_add("b.1", 1, 20)

    assert error.value.metadata == {"limit": "messages_max", "value": "3", "current": "2"}
    assert MESSAGE_OVERHEAD_BYTES == 70


class Watched(Catalog):
    """One that counts how often somebody goes through all queues."""

    passes = 0

    def __iter__(self) -> Iterator[Queue]:
        """Go through them."""
        self.passes += 1
        return super().__iter__()


def test_who_is_refused_has_nobody_go_through_the_queues_of_others() -> None:
    """Of which there may be a hundred thousand, for each call of who has no room."""
    world = World(Quota(pattern="b.*", messages_max=1), catalog=(catalog := Watched()))
    for at in range(5):
        world.queue(f"other.{at}")
    world.queue("b.1").add_plain(entry(1, 80))
    rights = world.rights("a", ("*", "produce"))

    for _ in range(3):
        with pytest.raises(QuotaReached):
            rights.check_add("b.1", 1, 1)

    assert catalog.passes == 0


def test_queues_that_come_and_go_are_those_of_a_quota() -> None:
    """Also one that was read from disk anew, and one of before that comes late."""
    world = World(Quota(pattern="b.*", messages_max=2))
    early, late = world.queue("b.1"), world.queue("b.2")
    world.catalog.remove(early)
    rights = world.rights("a", ("*", "produce"))
    rights.check_add("b.2", 2, 1)

    # In the order of their numbers, as when some are read anew.
    world.catalog.remove(late)
    again = Queue(late.number, late.info)
    for queue in (early, again):
        world.catalog.add(queue)
        queue.add_plain(entry(1, 80))
    with pytest.raises(QuotaReached):
        rights.check_add("b.2", 1, 1)
    world.catalog.remove(early)
    rights.check_add("b.2", 1, 1)
    new = Queue(9, replace(late.info, id=UNKNOWN_ID, name="b.3"))
    new.add_plain(entry(1, 80))
    world.catalog.add(new)
    with pytest.raises(QuotaReached):
        rights.check_add("b.3", 1, 1)


def test_what_was_counted_but_not_added_is_forgotten() -> None:
    """Before anything is refused, what there is is counted."""
    world = World(Quota(pattern="*", messages_max=2))
    world.queue("x")
    rights = world.rights("a", ("*", "produce"))

    for _ in range(10):
        rights.check_add("x", 2, 20)


def test_what_comes_without_a_call_counts_within_a_second() -> None:
    """As from a schedule."""
    world = World(Quota(pattern="*", messages_max=2))
    queue = world.queue("x")
    rights = world.rights("a", ("*", "produce"))
    rights.check_add("x", 1, 1)
    queue.add_plain(entry(1, 80))
    queue.add_plain(entry(2, 80))

    world.now_s += 1.1

    with pytest.raises(QuotaReached):
        rights.check_add("x", 1, 1)


def test_quotas_bound_how_many_queues_there_are() -> None:
    """Of the name that they are about."""
    world = World(Quota(pattern="b.*", queues_max=1))
    rights = world.rights("a", ("*", "manage"))
    rights.check_new("b.1", ())
    world.queue("b.1")

    with pytest.raises(QuotaReached, match="queues_max of 1"):
        rights.check_new("b.2", ())
    rights.check_new("c", ())
    world.catalog.remove(world.catalog.find("b.1"))
    rights.check_new("b.2", ())


def test_no_grant_is_no_right() -> None:
    """Who only shows who it is may do nothing."""
    assert rights_on((), "x", ()) is NO_RIGHT
    assert rights_on((grant("y", "admin"),), "x", ()) == NO_RIGHT
