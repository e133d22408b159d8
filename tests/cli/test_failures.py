"""How errors end a command."""

from qmq.cli.failures import failure_of
from qmq.client.errors import (
    DedupFull,
    LimitReached,
    QmqError,
    QueueEmpty,
    QueueFull,
    QueueNotFound,
    ServerNotReached,
    Unauthenticated,
)


def line(error: QmqError, more: str = "") -> str:
    """What a person reads of an error."""
    return failure_of("cannot add", error, more).message


def test_a_limit_is_told() -> None:
    """By name, with what there is and when it is worth another try, as far as that is said."""
    full = {"limit": "limit", "value": "2", "current": "3"}
    known = {"limit": "dedup_ids_max", "value": "4", "current": "4"}

    assert line(QueueFull("it is full", metadata=full)) == (
        "cannot add: RESOURCE_EXHAUSTED: it is full (limit 2, current 3)"
    )
    assert line(DedupFull("too many", metadata=known, retry_after_s=2.5), "nothing is stored") == (
        "cannot add: RESOURCE_EXHAUSTED: too many (dedup_ids_max 4, current 4, retry after 2.5 s);"
        " nothing is stored"
    )
    assert line(LimitReached("full")) == "cannot add: RESOURCE_EXHAUSTED: full"


def test_what_holds_messages_back_is_told_with_the_time_to_ask_again() -> None:
    """As the server says it; of an empty queue there is nothing to add."""
    held = failure_of("cannot pop", QueueEmpty("it is held back", retry_after_s=0.25))
    empty = failure_of("cannot pop", QueueEmpty("it is empty"))

    assert held.message == "cannot pop: NOT_FOUND: it is held back (retry after 0.25 s)"
    assert empty.message == "cannot pop: NOT_FOUND: it is empty"
    assert held.exit_code == empty.exit_code == 3


def test_who_finds_no_queue_is_told_how_to_find_or_make_one() -> None:
    """A typo is seen in the list."""
    assert line(QueueNotFound("there is none")) == (
        'cannot add: NOT_FOUND: there is none; "qcli list" shows what queues there are,'
        ' "qcli new" makes one'
    )


def test_who_is_not_known_is_told_how_to_show_who_it_is() -> None:
    """In the words of qcli, whose options they are."""
    assert line(Unauthenticated("who is it?")) == (
        "cannot add: UNAUTHENTICATED: who is it?; give a token by --token-file or QCLI_TOKEN, a"
        " certificate by --cert and --key"
    )


def test_who_finds_no_server_is_told_how_to_start_one() -> None:
    """The status tells that from what a server refuses."""
    nobody = failure_of("cannot add", ServerNotReached("no server at :1"))
    refusal = failure_of("cannot add", QmqError("oh dear", code="INTERNAL"))

    assert nobody.message.startswith("cannot add: UNAVAILABLE: no server at :1; start one with ")
    assert refusal.message == "cannot add: INTERNAL: oh dear"
    assert (nobody.exit_code, refusal.exit_code) == (4, 1)
