"""What the client hands out, and takes."""

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import qmq
from qmq.client.options import seconds
from qmq.client.values import durability_level, member, tag_pairs

MESSAGE = qmq.Message(
    "some-id",
    1_700_000_000_123_456_789,
    (qmq.Tag("kind", "greeting"), qmq.Tag("kind", "test")),
    b'{"n":1}',
    qmq.JsonCodec(),
)


def test_a_message_reads_its_payload() -> None:
    """As bytes, as text, as JSON, and as its queue's codec does."""
    assert MESSAGE.payload == b'{"n":1}'
    assert MESSAGE.text == '{"n":1}'
    assert MESSAGE.json() == MESSAGE.value == {"n": 1}


def test_a_message_tells_when_it_was_made() -> None:
    """Datetime has no nanoseconds; they are left out and not rounded."""
    assert MESSAGE.created == datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)


def test_a_tag_is_found_by_its_key() -> None:
    """The first one of those that have it."""
    assert MESSAGE.tag("kind") == "greeting"
    assert MESSAGE.tag("other") == ""
    assert MESSAGE.tag("other", "default") == "default"


def test_values_are_compared_and_shown_and_frozen() -> None:
    """By what they say; what reads the payload is no part of that."""
    same = qmq.Message(
        MESSAGE.id, MESSAGE.created_ns, MESSAGE.tags, MESSAGE.payload, qmq.BytesCodec()
    )

    assert same == MESSAGE
    assert hash(same) == hash(MESSAGE)
    assert repr(MESSAGE) == (
        "Message(id='some-id', created_ns=1700000000123456789, tags=(Tag(key='kind',"
        " value='greeting'), Tag(key='kind', value='test')), payload=b'{\"n\":1}')"
    )
    with pytest.raises(AttributeError):
        MESSAGE.id = "other"  # type: ignore[misc]


def test_values_go_to_other_processes() -> None:
    """As a pool of workers asks for."""
    assert pickle.loads(pickle.dumps(MESSAGE)).value == {"n": 1}  # noqa: S301 - Ours.


@pytest.mark.parametrize(
    "tags",
    [{"a": "1", "b": "2"}, [("a", "1"), ("b", "2")], (qmq.Tag("a", "1"), ("b", "2"))],
    ids=["mapping", "pairs", "tags"],
)
def test_tags_are_written_in_several_ways(tags: object) -> None:
    """A mapping where keys do not repeat, pairs, or the tags of another message."""
    assert tag_pairs(tags) == (("a", "1"), ("b", "2"))  # type: ignore[arg-type]
    assert tag_pairs(()) == ()
    assert tag_pairs(pair for pair in [("a", "1")]) == (("a", "1"),)


@pytest.mark.parametrize("tags", [["kind"], {"number": 1}, "kind=greeting", [("a", "b", "c")]])
def test_what_is_no_tags_is_refused(tags: object) -> None:
    """With what was found in their place."""
    with pytest.raises(TypeError, match="tags are str to str, such as "):
        tag_pairs(tags)  # type: ignore[arg-type]


def test_names_that_stand_for_nothing_are_refused() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="store must be one of MEMORY, DISK, CLUSTER; got 'disk'"):
        member(qmq.Store, "disk", "store")
    with pytest.raises(ValueError, match="durability must be one of MEMORY, OS, FSYNC"):
        durability_level("SYNC")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="overflow must be one of "):
        qmq.QueueSettings(overflow="DROP")  # type: ignore[arg-type]


def test_durations_are_seconds_or_timedeltas() -> None:
    """Negative ones, and what is no number, are refused by name."""
    assert seconds(1.5, "wait") == seconds(timedelta(milliseconds=1500), "wait") == 1.5
    assert seconds(0, "wait") == 0
    # As long as gRPC, threads and event loops can count, which is for ever.
    century_s = 100 * 365 * 24 * 3600
    assert seconds(float("inf"), "wait") == seconds(timedelta.max, "wait") == century_s
    for duration in (-1, float("nan"), timedelta(days=-1)):
        with pytest.raises(ValueError, match="wait must be 0 seconds or more"):
            seconds(duration, "wait")
    for other in ("5", None, [5]):
        with pytest.raises(TypeError, match="wait must be a number of seconds, or a timedelta"):
            seconds(other, "wait")  # type: ignore[arg-type]


async def test_durations_are_checked_where_they_are_given() -> None:
    """Before anything is asked of the server."""
    with pytest.raises(ValueError, match="timeout must be"):
        qmq.AsyncClient(timeout=-1)
    with pytest.raises(ValueError, match=r"retry\.duration must be"):
        qmq.Client(retry=qmq.Retry(duration=-1))
    queue = qmq.AsyncClient().queue("mail")
    with pytest.raises(ValueError, match="wait must be"):
        await queue.pop(wait=-1)
    with pytest.raises(ValueError, match="linger must be"):
        queue.producer(linger=-1)
    with pytest.raises(ValueError, match="prefetch must be 1 to 1000 messages; got 0"):
        queue.popping(prefetch=0)
    with pytest.raises(ValueError, match="prefetch must be 1 to 1000 messages; got 1001"):
        queue.popping(prefetch=1_001)


def test_clients_and_queues_show_what_they_are_of() -> None:
    """Without asking the server."""
    client = qmq.Client(":1")

    assert repr(client) == "<Client of localhost:1>"
    assert repr(client.queue("mail")) == "<Queue 'mail' at localhost:1>"
    assert repr(client.queue("mail").popping()) == (
        "<Popping of 'mail': 0 messages handed out, 0 fetched ahead>"
    )
    assert repr(qmq.AsyncClient(":1").queue("m")) == "<AsyncQueue 'm' at localhost:1>"


def test_popping_works_in_its_block_only() -> None:
    """Otherwise nobody would tell what is left over."""
    with pytest.raises(qmq.ClientUnusable, match="in `with` only"):
        next(qmq.Client().queue("mail").popping())


def test_settings_are_written_in_seconds_or_timedeltas() -> None:
    """And read as timedeltas; what is left out is None."""
    settings = qmq.QueueSettings(
        lease_duration=1.5,
        delivery_count_max=3,
        dead_letter_queue_id="dead",
        back_off=qmq.BackOff(base=timedelta(seconds=2), factor=3, max=60, jitter=0),
        durability_min="FSYNC",
    )

    assert settings.lease_duration == timedelta(seconds=1.5)
    assert settings.durability_min is qmq.Durability.FSYNC
    assert settings.back_off == qmq.BackOff(base=2, factor=3, max=timedelta(minutes=1), jitter=0)
    assert (qmq.QueueSettings().lease_duration, qmq.BackOff().base) == (None, None)
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - Ours.
    assert repr(qmq.BackOff(factor=2)) == "BackOff(base=None, factor=2, max=None, jitter=None)"
    with pytest.raises(AttributeError):
        settings.lease_duration = None  # type: ignore[misc]


def test_weights_are_a_copy_of_those_that_were_given() -> None:
    """Settings do not change with them; they are compared, and go to other processes."""
    weights = {"a": 2}
    settings = qmq.QueueSettings(fairness=qmq.Fairness(leased_max=1, weights=weights))
    weights["a"] = 3

    assert settings.fairness == qmq.Fairness(leased_max=1, weights={"a": 2})
    assert settings.fairness != qmq.Fairness(leased_max=1, weights=weights)
    assert (qmq.Fairness().weights, qmq.Fairness().rate) == (None, None)
    assert hash(settings) == hash(pickle.loads(pickle.dumps(settings)))  # noqa: S301 - Ours.


def test_settings_are_checked_where_they_are_given() -> None:
    """By name, as far as the client knows the rules."""
    for make, name in (
        (lambda: qmq.QueueSettings(lease_duration=-1), "lease_duration"),
        (lambda: qmq.BackOff(base=float("nan")), "base"),
        (lambda: qmq.BackOff(max=timedelta(days=-1)), "max"),
        (lambda: qmq.QueueSettings(delay=-1), "delay"),
        (lambda: qmq.QueueSettings(ttl=-1), "ttl"),
        (lambda: qmq.QueueSettings(dedup_window=-1), "dedup_window"),
        (lambda: qmq.QueueSettings(priority_ageing=-1), "priority_ageing"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be 0 seconds or more"):
            make()
    with pytest.raises(ValueError, match="must be one of"):
        qmq.QueueSettings(durability_min="PAPER")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be one of"):
        qmq.QueueSettings(overflow="BURN")  # type: ignore[arg-type]


def test_a_level_of_durability_is_checked_where_it_is_given() -> None:
    """Before anything is asked of the server, of which there is none here."""
    queue = qmq.Client(":1").queue("mail")

    for call in (queue.add, queue.ack):
        with pytest.raises(ValueError, match="PAPER"):
            call("x", durability="PAPER")  # type: ignore[arg-type]
    for make in (queue.producer, queue.popping, queue.consume, queue.worker):
        with pytest.raises(ValueError, match="PAPER"):
            make(durability="PAPER")  # type: ignore[arg-type,call-overload]


def test_a_message_that_is_to_be_added_says_all_in_one_way() -> None:
    """However it was written; it is compared by that, and goes to other processes."""
    moment = datetime(2026, 12, 1, 8, tzinfo=UTC)

    message = qmq.NewMessage(
        "x",
        tags={"a": "1"},
        delay=1.5,
        ttl=timedelta(days=1),
        priority=9,
        dedup_id="17",
        group_id="18",
        fair_key="19",
    )
    other = qmq.NewMessage("x", available_at=moment, expires_at=moment)

    assert (message.tags, message.delay) == ((("a", "1"),), timedelta(seconds=1.5))
    assert message == qmq.NewMessage(
        "x",
        tags=[qmq.Tag("a", "1")],
        delay=1.5,
        ttl=86_400,
        priority=9,
        dedup_id="17",
        group_id="18",
        fair_key="19",
    )
    assert (message.group_id, message.fair_key) == ("18", "19")
    assert (other.available_at, other.delay, other.priority) == (moment, None, 0)
    assert pickle.loads(pickle.dumps(message)) == message  # noqa: S301 - Ours.
    with pytest.raises(AttributeError):
        message.priority = 10  # type: ignore[misc]


async def test_options_are_checked_where_they_are_given() -> None:
    """Before anything is asked of the server, of which there is none here."""
    local = datetime(2026, 12, 1, 8)  # noqa: DTZ001 - What is to be refused.
    queue = qmq.AsyncClient(":1").queue("mail")

    cases: list[tuple[dict[str, Any], str]] = [
        ({"delay": -1}, "delay must be 0 seconds or more"),
        ({"ttl": timedelta(days=-1)}, "ttl must be 0 seconds or more"),
        ({"available_at": local}, "available_at must have a time zone, for example"),
        ({"expires_at": local}, "expires_at must have a time zone, for example"),
    ]
    for told, reason in cases:
        with pytest.raises(ValueError, match=reason):
            qmq.NewMessage("x", **told)
        with pytest.raises(ValueError, match=reason):
            await queue.add("x", **told)
        with pytest.raises(ValueError, match=reason):
            await queue.producer().submit("x", **told)


def test_moments_are_those_of_the_nanoseconds() -> None:
    """Of everything that has one; where there may be none, there is none."""
    moment = datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)
    ns = MESSAGE.created_ns
    attempt = qmq.Attempt("ann", ns, ns + 1_000, qmq.Outcome.FAILED)
    dead = qmq.DeadLetter(qmq.DeadLetterReason.REJECTED, "", "some-id", ns, 1)

    assert (attempt.leased, attempt.ended) == (moment, moment + timedelta(microseconds=1))
    assert dead.moved == qmq.Pause(ns, adds=False).since == moment
    browsed = qmq.BrowsedMessage(
        *("id", ns, (), b"x", qmq.TextCodec()), state=None, delivery_count=0, until_ns=ns
    )
    assert (browsed.until, browsed.value) == (moment, "x")
    redrive = qmq.Redrive(
        id="id",
        queue_id="dead",
        target_queue_id="",
        dry_run=False,
        state=qmq.RedriveState.RUNNING,
        started_ns=ns,
        ended_ns=None,
        total=0,
        seen=0,
        matched=0,
        moved=0,
        failed_again=0,
        message="",
    )
    assert (redrive.started, redrive.ended, redrive.is_running) == (moment, None, True)
