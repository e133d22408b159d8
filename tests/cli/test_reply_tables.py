"""Replies as people see them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from qmq.cli.reply_tables import (
    browse_table,
    explanation_text,
    group_table,
    preview,
    queue_table,
    redrive_table,
    stats_table,
)
from qmq.client.codecs import AS_IS
from qmq.client.queue_values import (
    Fairness,
    GroupInfo,
    Pause,
    QueueInfo,
    QueueSettings,
    QueueStats,
    Rate,
    Redrive,
    RedriveState,
)
from qmq.client.values import Attempt, BrowsedMessage, DeadLetter, Explanation
from qmq.values import DeadLetterReason, FairKeyStats, GroupState, MessageState, Outcome, Store, Tag

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


def test_messages_with_options_have_columns_for_them() -> None:
    """For those that one of them has; what could move the cursor is spelled out."""
    urgent = replace(MESSAGE, priority=255, tags=())
    once = replace(MESSAGE, dedup_id="a\x1b", tags=())
    short = replace(MESSAGE, expires_ns=CREATED_NS, tags=())

    assert browse_table([urgent, short, once], None) == [
        "ID     STATE   AGE  DELIVERED  PRIORITY  EXPIRES               DEDUP-ID  PAYLOAD",
        "an id  ready  5.0s          0       255  -                     -         hello",
        f"an id  ready  5.0s          0         -  {CREATED}  -         hello",
        "an id  ready  5.0s          0         -  -                     a\\x1b     hello",
    ]
    assert browse_table([urgent, MESSAGE], None)[0].split()[4:] == ["PRIORITY", "TAGS", "PAYLOAD"]
    one = replace(MESSAGE, group_id="b\n", tags=())
    of_somebody = replace(MESSAGE, fair_key="c", tags=())
    assert browse_table([one, of_somebody], None) == [
        "ID     STATE   AGE  DELIVERED  GROUP  FAIR-KEY  PAYLOAD",
        "an id  ready  5.0s          0  b\\n    -         hello",
        "an id  ready  5.0s          0  -      c         hello",
    ]


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


def test_options_are_explained() -> None:
    """Those that a message has."""
    message = replace(
        MESSAGE,
        priority=9,
        expires_ns=CREATED_NS,
        dedup_id="invoice 17",
        group_id="account 4",
        fair_key="acme\r",
    )

    assert explanation_text(Explanation(message, 0, ()), {})[6:] == [
        "priority     9",
        f"expires      {CREATED}",
        "dedup id     invoice 17",
        "group        account 4",
        "fair key     acme\\r",
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


def test_settings_that_somebody_chose_have_columns() -> None:
    """For each that is not as by default in one of the queues."""
    plain = QueueInfo("an-id", "plain", Store.DISK, CREATED_NS)
    default = QueueSettings(
        delay=0,
        ttl=0,
        dead_letter_expired=False,
        dedup_window=300,
        priority_ageing=0,
        bytes_limit=0,
        overflow="REJECT",
        leased_max=0,
        rate=Rate(messages_per_second=0, burst=0),
        park_after=0,
        fairness=Fairness(leased_max=0, rate=Rate(messages_per_second=0, burst=0), weights={}),
        weight=1,
    )
    chosen = QueueSettings(
        delay=1.5,
        ttl=3600,
        dead_letter_expired=True,
        dedup_window=60,
        priority_ageing=5,
        bytes_limit=2**20,
        overflow="DEAD_LETTER_OLDEST",
        leased_max=7,
        rate=Rate(messages_per_second=0.5, burst=3),
        park_after=8,
        fairness=Fairness(
            leased_max=9, rate=Rate(messages_per_second=10), weights={"a": 2, "b": 3}
        ),
        weight=11,
    )

    title, *rows = queue_table([plain, replace(plain, settings=chosen)], {})

    assert title.split()[7:-3] == [
        *("DELAY", "TTL", "EXPIRED", "DEDUP-WINDOW", "AGEING", "BYTES-LIMIT", "OVERFLOW"),
        *("LEASED-MAX", "RATE", "PARK-AFTER", "FAIR-LEASED-MAX", "FAIR-RATE", "FAIR-WEIGHTS"),
        "WEIGHT",
    ]
    assert rows[0].split()[7:21] == ["-"] * 14
    assert rows[1].split()[7:22] == [
        *("1.5s", "1h00m", "dead-letter", "1m00s", "5.0s", "1.0", "MiB", "dead-letter-oldest"),
        *("7", "0.5/s", "8", "9", "10/s", "2", "11"),
    ]
    assert queue_table([replace(plain, settings=default)], {})[0] == queue_table([plain], {})[0]


def test_counts_that_are_not_nothing_have_columns() -> None:
    """For what expired, had to go, or was there already."""
    stats = QueueStats(
        info=QueueInfo("an id", "jobs", Store.DISK, CREATED_NS),
        ready=0,
        ready_bytes=0,
        oldest_age=None,
        waiting=0,
        enqueued_total=0,
        consumed_total=0,
        limit=-1,
    )
    some = replace(stats, expired_total=1, deduplicated_total=3, dedup_ids=4)

    title, none, row = stats_table([stats, some])

    assert title.split()[-4:] == ["DEAD", "EXPIRED", "DEDUPLICATED", "DEDUP-IDS"]
    assert none.split()[-4:] == ["0", "-", "-", "-"]
    assert row.split()[-4:] == ["0", "1", "3", "4"]
    assert stats_table([replace(stats, overflowed_total=2)])[0].split()[-1] == "OVERFLOWED"
    assert stats_table([stats])[0].split()[-1] == "DEAD"


def test_groups_and_fair_keys_are_counted() -> None:
    """Below the counts of one queue stand the fair keys that most messages have."""
    stats = QueueStats(
        info=QueueInfo("an id", "jobs", Store.DISK, CREATED_NS),
        ready=0,
        ready_bytes=0,
        oldest_age=None,
        waiting=0,
        enqueued_total=0,
        consumed_total=0,
        limit=-1,
        blocked=1,
        groups=2,
        groups_paused=3,
        groups_parked=4,
        fair_keys=5,
        top_fair_keys=(FairKeyStats("a\x1b", 6, 70, 8), FairKeyStats("", 1, 0, 0)),
    )

    title, row, *below = stats_table([stats])

    assert title.split()[-5:] == ["GROUPS", "PAUSED", "PARKED", "BLOCKED", "FAIR-KEYS"]
    assert row.split()[-5:] == ["2", "3", "4", "1", "5"]
    assert below == [
        "",
        "FAIR-KEY  WEIGHT  WAITING  LEASED",
        "a\\x1b          6       70       8",
        "(none)         1        0       0",
    ]


def test_groups_are_a_table() -> None:
    """With the moments since which they are paused or parked, if one is."""
    parked = GroupInfo(id="a\n", state=GroupState.PARKED, waiting=10, leased=0, since_ns=CREATED_NS)
    unknown = GroupInfo(id="b", state=None, waiting=1, leased=2)

    assert group_table([parked, unknown], None) == [
        "GROUP  STATE    WAITING  LEASED  SINCE",
        f"a\\n    parked        10       0  {CREATED}",
        "b      unknown        1       2  -",
    ]
    assert group_table([unknown], 3) == [
        "GROUP  STATE    WAITING  LEASED  SKIPPED",
        "b      unknown        1       2        3",
    ]
    assert group_table([], None) == ["GROUP  STATE  WAITING  LEASED"]


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
