"""The reference of the API leaves nothing out that the proto or the errors have."""

from google.protobuf.descriptor import Descriptor

from qmq import errors
from qmq.transport.status import Code, code_of
from qmq.wire import q_pb2
from scripts.api_page import ERRORS_BY_METHOD, ERRORS_OF_ANY_CALL, page
from tests.documents import anchors, links

#: Answered by the standard health service, of which the page only tells that it is there.
OF_OTHER_SERVICES = {errors.ServiceNotFound}

#: Told of single leases and messages only, in their results.
IN_RESULTS = {errors.NoDeadLetterQueue, errors.MessageLeased, errors.NoDeadLetter}

PAGE = page()


def answers() -> set[type[errors.QError]]:
    """Return the errors that a caller can meet: those without subclasses, and not INTERNAL."""
    found, to_visit = set(), [errors.QError]
    while to_visit:
        error = to_visit.pop()
        to_visit += error.__subclasses__()
        if error is not errors.QError and code_of(error.__new__(error)) is not Code.INTERNAL:
            found.add(error)
    # An Unavailable of no further kind is the health service's.
    return found - OF_OTHER_SERVICES - IN_RESULTS - {errors.Unavailable}


def test_every_error_is_on_the_page() -> None:
    """Whoever adds an error says which methods answer it."""
    documented = {*ERRORS_OF_ANY_CALL}.union(*ERRORS_BY_METHOD.values())

    assert documented == answers()
    assert all(f"| `{error.reason}` |" in PAGE for error in documented)


def test_every_method_is_on_the_page() -> None:
    """With its section, its paths and its errors."""
    methods = q_pb2.DESCRIPTOR.services_by_name["Q"].methods

    assert [*ERRORS_BY_METHOD] == [method.name for method in methods]
    for method in methods:
        assert f"\n### {method.name}\n" in PAGE
        assert f"`/proto.Q/{method.name}`" in PAGE


def test_every_field_is_on_the_page() -> None:
    """With its number, in the table of its request, reply or type."""
    messages: list[Descriptor] = [*q_pb2.DESCRIPTOR.message_types_by_name.values()]

    for message in messages:
        for field in message.fields:
            assert f"| `{field.name}` | {field.number} | " in PAGE, field.full_name


def test_links_within_the_page_lead_somewhere() -> None:
    """Also those that are made of types and methods."""
    within = {link.removeprefix("#") for link in links(PAGE) if link.startswith("#")}

    assert within >= {"queuestore", "newmessage", "add"}
    assert within <= anchors(PAGE)


def test_where_rest_carries_a_field() -> None:
    """Path, query, a member of the body, or the whole of it."""
    for row in (
        "| `page_size` | 1 | int32 | in the query |",
        "| `queue_id` | 1 | string | in the path |",
        "| `limit` | 2 | int64 | in the body |",
        "| `message` | 2 | [NewMessage](#newmessage) | the body |",
        "| `states` | 4 | list of [BrowseRequest.State](#browserequeststate) | in the query |",
        "| `tags` | 5 | list of [Tag](#tag) | in the query, one of them: `tags.key`, `tags.value`",
        "| `factor` | 2 | double |",
    ):
        assert row in PAGE


def test_stream_is_told_from_what_rest_can_call() -> None:
    """It has no path, and its requests are nowhere in one."""
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| [Consume](#consume) |"))

    assert row.startswith("| [Consume](#consume) | none | ")
    assert "\n- REST: none, since it is a stream both ways\n" in PAGE
    assert "| `open` | 1 | [ConsumeRequest.Open](#consumerequestopen) | The first request" in PAGE
