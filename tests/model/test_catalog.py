"""The rules of the set of queues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.errors import InvalidArgument, LimitReached, NameTaken, QueueNotFound
from qmq.limits import PAGE_SIZE_MAX, QUEUE_NAME_CHARS_MAX
from qmq.model.catalog import Catalog, check_name, parse_uuid
from qmq.model.queue import Queue
from tests.model.queues import queue, queue_id

UUID = "63ee5c6a-585c-4aef-a2ec-66d8f5b68e28"


def catalog_of(*queues: Queue, queues_max: int = 100) -> Catalog:
    """Make a catalog that holds the queues."""
    catalog = Catalog(queues_max)
    for q in queues:
        catalog.add(q)
    return catalog


@pytest.mark.parametrize(
    "text", [UUID, UUID.upper(), f"urn:uuid:{UUID}", f"URN:UUID:{UUID.upper()}"]
)
def test_uuid_is_read_in_any_case_and_as_urn(text: str) -> None:
    """All forms that the original accepted mean the same queue."""
    assert parse_uuid(text) == UUID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z",
        "bogus",
        UUID.replace("-", ""),
        f"{{{UUID}}}",
        f"urx:uuid:{UUID}",
        f" {UUID}",
        f"{UUID}\n",
        "g0000000-0000-0000-0000-000000000000",
        "0000000-00000-0000-0000-000000000000",
        UUID.replace("6", "\u0666"),
    ],
)
def test_other_text_is_no_uuid(text: str) -> None:
    """What the original refused is refused, and digits are those of ASCII."""
    assert parse_uuid(text) is None


@pytest.mark.parametrize("name", ["a", "7", "Jobs", "a.b_c-d", "0" * QUEUE_NAME_CHARS_MAX])
def test_name_can_stand_in_a_url_path(name: str) -> None:
    """Letters, digits, dot, underscore and hyphen make a name."""
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".hidden",
        "-1",
        "_a",
        "a b",
        "a/b",
        "a\n",
        "\u00e4",
        "a\u0661",
        "0" * (QUEUE_NAME_CHARS_MAX + 1),
        UUID,
        UUID.upper(),
    ],
)
def test_other_name_is_refused(name: str) -> None:
    """A name that would not fit into a path, or be taken for an id, is quoted and refused."""
    with pytest.raises(InvalidArgument) as refusal:
        check_name(name)

    assert refusal.value.field == "name"
    assert refusal.value.rule.endswith(f"got {name!r}")


def test_refused_name_is_quoted_in_part() -> None:
    """An error is no longer for a long name."""
    with pytest.raises(InvalidArgument) as refusal:
        check_name("x" * 1_000_000)

    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("form", ["{id}", "{ID}", "urn:uuid:{id}", "jobs"])
def test_queue_is_found_by_id_and_by_name(form: str) -> None:
    """Wherever an id is accepted, each of its forms and the name are."""
    jobs = queue(0xABC, name="jobs")
    catalog = catalog_of(queue(1), jobs, queue(2))

    reference = form.format(id=queue_id(0xABC), ID=queue_id(0xABC).upper())

    assert catalog.find(reference) is jobs


def test_unknown_id_is_not_found() -> None:
    """The error names the id in its canonical form."""
    catalog = catalog_of(queue(1))

    with pytest.raises(QueueNotFound) as refusal:
        catalog.find(f"urn:uuid:{UUID.upper()}")

    assert refusal.value.message == f"cannot find queue with id {UUID}"


@pytest.mark.parametrize("reference", ["", "other", "JOBS", "{}", "\u00e9%\n"])
def test_reference_that_is_neither_id_nor_name_is_refused(reference: str) -> None:
    """It is quoted; names differ by case."""
    catalog = catalog_of(queue(1, name="jobs"))

    with pytest.raises(InvalidArgument) as refusal:
        catalog.find(reference)

    assert refusal.value.message == (
        f"queue_id: {reference!r} is neither a UUID nor the name of a queue"
    )


def test_name_is_unique() -> None:
    """The error says which queue has the name."""
    catalog = catalog_of(queue(1, name="jobs"))

    catalog.check_room("jobs2")
    with pytest.raises(NameTaken) as refusal:
        catalog.check_room("jobs")

    assert refusal.value.message == f"name: queue {queue_id(1)} is already named 'jobs'"
    assert refusal.value.metadata == {"name": "jobs", "queue_id": queue_id(1)}


def test_queues_without_name_do_not_collide() -> None:
    """Any number of queues may have none."""
    catalog = catalog_of(queue(1), queue(2))

    catalog.check_room("")

    assert len(catalog) == 2


def test_name_is_free_again_after_its_queue_is_gone() -> None:
    """Removing a queue frees its id and its name."""
    first = queue(1, name="jobs")
    catalog = catalog_of(first)

    catalog.remove(first)
    catalog.check_room("jobs")

    with pytest.raises(InvalidArgument):
        catalog.find("jobs")
    with pytest.raises(QueueNotFound):
        catalog.find(queue_id(1))


def test_queue_that_is_removed_twice_takes_no_name_from_its_heir() -> None:
    """The second removal does nothing."""
    first, heir = queue(1, name="jobs"), queue(2, name="jobs")
    catalog = catalog_of(first)
    catalog.remove(first)
    catalog.add(heir)

    catalog.remove(first)

    assert catalog.find("jobs") is heir
    assert list(catalog) == [heir]


def test_number_of_queues_is_bounded() -> None:
    """The error names the limit and what to do; a removal makes room."""
    first = queue(1)
    catalog = catalog_of(first, queue(2), queues_max=2)

    with pytest.raises(LimitReached) as refusal:
        catalog.check_room("")
    catalog.remove(first)
    catalog.check_room("")

    assert refusal.value.message == (
        "the server has reached queues_max of 2 queues; delete some,"
        " or start q with a higher --queues-max"
    )
    assert refusal.value.metadata == {"limit": "queues_max", "value": "2", "current": "2"}


def test_queues_are_listed_in_order_of_creation() -> None:
    """Neither ids nor names have a say in it, and a removal moves nobody."""
    queues = [queue(n, name=name) for n, name in ((1, "z"), (2, ""), (3, "a"), (4, "m"))]
    catalog = catalog_of(*queues)

    catalog.remove(queues[1])

    assert list(catalog) == [queues[0], queues[2], queues[3]]


@given(
    numbers=st.lists(st.integers(1, 10**6), unique=True, max_size=30).map(sorted),
    size=st.integers(1, 12),
    data=st.data(),
)
def test_pages_together_are_the_whole_list(
    numbers: list[int], size: int, data: st.DataObject
) -> None:
    """Paging shows every queue once, in order, whatever is deleted or made between pages."""
    queues = [queue(n) for n in numbers]
    catalog = catalog_of(*queues)
    seen: list[Queue] = []
    gone: set[int] = set()
    after: int | None = 0

    while after is not None:
        page, after = catalog.page(size, after)
        assert len(page) == size or after is None
        seen += page
        for victim in data.draw(
            st.lists(st.sampled_from(queues), max_size=3) if queues else st.just([])
        ):
            catalog.remove(victim)
            gone.add(victim.number)

    assert [q.number for q in seen] == sorted({q.number for q in seen})
    assert {q.number for q in queues} - gone <= {q.number for q in seen}


@given(st.integers(0, 8), st.integers(0, 9))
def test_page_of_size_0_is_all_that_is_left(count: int, after: int) -> None:
    """Who does not page gets everything, and no token."""
    queues = [queue(n) for n in range(1, count + 1)]

    assert catalog_of(*queues).page(0, after) == (queues[after:], None)


@pytest.mark.parametrize(
    ("size", "more_after"), [(1, 1), (2, 2), (3, None), (4, None), (PAGE_SIZE_MAX, None)]
)
def test_last_page_says_that_it_is_the_last(size: int, more_after: int | None) -> None:
    """A full page with nothing behind it has no successor."""
    queues = [queue(1), queue(2), queue(3)]

    assert catalog_of(*queues).page(size, 0) == (queues[:size], more_after)


@pytest.mark.parametrize("size", [-1, PAGE_SIZE_MAX + 1])
def test_page_size_is_bounded(size: int) -> None:
    """The error names the field and the bounds."""
    with pytest.raises(InvalidArgument) as refusal:
        catalog_of().page(size, 0)

    assert refusal.value.message == (f"page_size: must be 0 (all) to {PAGE_SIZE_MAX}; got {size}")
