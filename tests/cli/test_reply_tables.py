"""Replies as people see them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from qmq.cli.reply_tables import (
    browse_table,
    explanation_text,
    preview,
    queue_table,
    redrive_table,
)
from qmq.client.codecs import AS_IS
from qmq.client.values import (
    Attempt,
    BrowsedMessage,
    DeadLetter,
    Explanation,
    Pause,
    QueueInfo,
    QueueSettings,
    Redrive,
    RedriveState,
)
from qmq.values import DeadLetterReason, MessageState, Outcome, Store, Tag

CREATED_NS = 1_795_528_582_008_101_953
CREATED = "2026-11-24 13:56:22Z"
MESSAGE: BrowsedMessage[bytes | str] = BrowsedMessage(
    "an id",
    CREATED_NS,
    (Tag("k", "v"),),
    b"hello",
    AS_IS,
    state=MessageState.READY,
    delivery_count=0,
    age=timedelta(seconds=5),
)
LEASED = replace(MESSAGE, state=MessageState.LEASED, consumer="me", until_ns=CREATED_NS)


@pytest.mark.parametrize(
    ("payload", "width", "text"),
    [
        (b"", 5, ""),
        (b"hello", 5, "hello"),
        (b"hello!", 5, "hell~"),
        (b"a\n\x00", 20, "a\\n\\x00"),
        (b"\xff\x1b[31m", 20, "\\xff\\x1b[31m"),
        ("é".encode() * 5, 5, "ééééé"),
        ("é".encode() * 6, 5, "éééé~"),
        ("\N{SNOWMAN}".encode() * 1_000, 3, "\N{SNOWMAN}\N{SNOWMAN}~"),
        (b"x" * 10**6, 3, "xx~"),
    ],
)
def test_a_preview_is_safe_and_short(payload: bytes, width: int, text: str) -> None:
    """Nothing in it moves the cursor, and ~ stands for what is left out."""
    assert preview(payload, width) == text


def test_messages_are_a_table() -> None:
    """Without tags there is no column for them."""
    untagged = replace(LEASED, tags=(), delivery_count=2)

    assert browse_table([MESSAGE, untagged], None) == [
        "ID     STATE    AGE  DELIVERED  TAGS  PAYLOAD",
        "an id  ready   5.0s          0  k=v   hello",
        "an id  leased  5.0s          2        hello",
    ]
    assert browse_table([untagged], None)[0].split() == [
        *("ID", "STATE", "AGE", "DELIVERED", "PAYLOAD"),
    ]
    assert browse_table([], None) == ["ID  STATE  AGE  DELIVERED  PAYLOAD"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_table_of_messages_fits_its_terminal(width: int) -> None:
    """Payloads are cut."""
    lines = browse_table([replace(MESSAGE, payload=b"x" * 1_000), MESSAGE], width)

    assert len(lines[1]) == width
    assert lines[1].endswith("x~")


def test_a_ready_message_is_explained() -> None:
    """With what stands before it."""
    assert explanation_text(Explanation(MESSAGE, 1_234, ("why.",)), {}) == [
        "id           an id",
        "state        ready, 1,234 before it",
        "age          5.0s",
        "delivered    0 times",
        "tags         k=v",
        "payload      hello",
        "",
        "why.",
    ]


def test_a_dead_letter_is_explained() -> None:
    """With how it was handed out before; a text cannot move the cursor."""
    message = replace(
        LEASED,
        delivery_count=1,
        dead_letter=DeadLetter(
            DeadLetterReason.DELIVERY_COUNT_MAX, "disk\x1b full", "source", CREATED_NS, 2
        ),
        attempts=(
            Attempt("me", CREATED_NS - 3 * 10**9, CREATED_NS, Outcome.FAILED, "disk full"),
            Attempt("", CREATED_NS, CREATED_NS, None),
        ),
    )

    lines = explanation_text(Explanation(message, 0, ()), {"source": "jobs"})

    assert lines[1] == f"state        leased by me until {CREATED}"
    assert lines[3] == "delivered    once"
    assert lines[6:] == [
        f"dead letter  delivery count max, of jobs, since {CREATED}: disk\\x1b full",
        "",
        "OUTCOME  CONSUMER  LEASED                 FOR  REASON",
        "failed   me        2026-11-24 13:56:19Z  3.0s  disk full",
        "unknown  -         2026-11-24 13:56:22Z  0.0s  -",
    ]


def test_queues_call_each_other_by_name() -> None:
    """Or else by id."""
    settings = QueueSettings(lease_duration=300, delivery_count_max=3, dead_letter_queue_id="dead")
    queue = QueueInfo("an id", "jobs", Store.DISK, CREATED_NS, (), settings, 5)
    paused = replace(queue, paused=Pause(CREATED_NS, adds=False))
    closed = replace(queue, paused=Pause(CREATED_NS, adds=True))

    title, *rows = queue_table([queue, paused, closed], {"dead": "dead-jobs"})

    assert title.split() == [
        *("NAME", "ID", "STORE", "LIMIT", "LEASE", "DELIVERIES", "DEAD-LETTER-QUEUE", "PAUSED"),
        *("CREATED", "TAGS"),
    ]
    assert [row.split()[4:9] for row in rows] == [
        ["5", "5m00s", "3", "dead-jobs", paused] for paused in ("-", "yes", "adds-too")
    ]
    assert "dead  " in queue_table([queue], {})[1]


def test_redrives_are_a_table() -> None:
    """What stands in the way of one is said below."""
    redrive = Redrive(
        id="an id",
        queue_id="a",
        target_queue_id="",
        dry_run=True,
        state=RedriveState.GAVE_UP,
        started_ns=CREATED_NS,
        ended_ns=None,
        total=4,
        seen=3,
        matched=2,
        moved=1,
        failed_again=0,
        message="they fail\nagain",
    )
    other = replace(redrive, target_queue_id="b", dry_run=False, message="")

    title, *rows, message = redrive_table([redrive, other], {"a": "dead"})

    assert title.split()[:4] == ["ID", "STATE", "FROM", "TO"]
    assert [row.split()[2:10] for row in rows] == [
        ["gave-up,dry-run", "dead", "(source)", "4", "3", "2", "1", "0"],
        ["gave-up", "dead", "b", "4", "3", "2", "1", "0"],
    ]
    assert message == "an id: they fail\\nagain"
