"""From messages on the wire that are to be added to what the engine takes."""

import re
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.descriptions import MessageOptions
from qmq.envelope import encode_tags
from qmq.errors import InvalidArgument
from qmq.limits import (
    DEDUP_ID_BYTES_MAX,
    FAIR_KEY_BYTES_MAX,
    GROUP_ID_BYTES_MAX,
    PRIORITY_MAX,
    TAG_VALUE_BYTES_MAX,
)
from qmq.values import NS_PER_S, Tag
from qmq.wire import q_pb2 as pb
from qmq.wire.messages import encoded_messages, message_options
from qmq.wire.times import AHEAD, TTL, duration_message, moment_message

#: A moment that none of q's tests comes to.
LATER_NS = 1_900_000_000_123_456_789

#: How moments and texts are refused that are none of these.
MOMENT = "must be a moment from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z; got"
NO_CONTROL = "must have no control characters, such as line breaks"

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def options_refused(**fields: Any) -> str:  # noqa: ANN401 - As the message has them.
    """Return how options are refused."""
    with pytest.raises(InvalidArgument) as refusal:
        message_options(pb.MessageOptions(**fields), "message.options")
    assert refusal.value.message == f"{refusal.value.field}: {refusal.value.rule}"
    return refusal.value.message


def test_messages_to_add_are_encoded_one_by_one() -> None:
    """Tags and payload of each; what is wrong with one is named by its place."""
    tags = [pb.Tag(key="a", value="1")]
    messages = [pb.NewMessage(payload=b"1", tags=tags), pb.NewMessage()]

    encoded = encode_tags([Tag("a", "1")])
    assert encoded_messages(messages, "messages") == ([(encoded, b"1"), (b"", b"")], {})
    messages[1].tags.add(value="v" * (TAG_VALUE_BYTES_MAX + 1))
    with pytest.raises(InvalidArgument, match=r"^messages\[1\]\.tags\[0\]\.value: "):
        encoded_messages(messages, "messages")


def test_options_are_found_by_the_place_of_their_message() -> None:
    """Those that have none are not among them; what is wrong is named by its place."""
    messages = [pb.NewMessage(payload=b"%d" % number) for number in range(4)]
    messages[1].options.priority = 7
    messages[3].options.dedup_id = "x"

    encoded, options = encoded_messages(messages, "messages")

    assert encoded == [(b"", b"0"), (b"", b"1"), (b"", b"2"), (b"", b"3")]
    assert options == {1: MessageOptions(priority=7), 3: MessageOptions(dedup_id="x")}
    messages[2].options.priority = -1
    with pytest.raises(InvalidArgument, match=r"^messages\[2\]\.options\.priority: "):
        encoded_messages(messages, "messages")


def test_options_that_say_nothing_are_none() -> None:
    """They leave everything to the queue."""
    assert message_options(pb.MessageOptions(), "o") == MessageOptions()


def test_durations_and_moments_are_kept_apart() -> None:
    """To the nanosecond; which of both was given makes a difference to the engine."""
    durations = pb.MessageOptions(
        delay=Duration(seconds=1, nanos=2), ttl=Duration(seconds=3, nanos=4)
    )
    moments = pb.MessageOptions(
        available_at=moment_message(LATER_NS), expires_at=moment_message(LATER_NS + 1)
    )

    assert message_options(durations, "o") == MessageOptions(
        delay_ns=NS_PER_S + 2, ttl_ns=3 * NS_PER_S + 4
    )
    assert message_options(moments, "o") == MessageOptions(
        available_ns=LATER_NS, expires_ns=LATER_NS + 1
    )


def test_delay_of_nothing_is_one() -> None:
    """It stands against that of the queue."""
    assert message_options(pb.MessageOptions(delay=Duration()), "o").delay_ns == 0


def test_moment_that_has_passed_is_taken_as_it_is() -> None:
    """Whether it has is the engine's to say, which knows the time."""
    past = Timestamp(seconds=1)

    options = message_options(pb.MessageOptions(available_at=past, expires_at=past), "o")

    assert (options.available_ns, options.expires_ns) == (NS_PER_S, NS_PER_S)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"delay": Duration(), "available_at": Timestamp()},
            "message.options.delay: cannot be given together with available_at",
        ),
        (
            {"ttl": Duration(seconds=1), "expires_at": Timestamp(seconds=1)},
            "message.options.ttl: cannot be given together with expires_at",
        ),
        (
            {"delay": Duration(nanos=-1)},
            "message.options.delay: must be 0 to 10 years; got -1e-09 seconds",
        ),
        (
            {"delay": duration_message(AHEAD.max_ns + NS_PER_S)},
            "message.options.delay: must be 0 to 10 years; got 3.15619e+08 seconds",
        ),
        (
            {"ttl": Duration()},
            "message.options.ttl: must be 1 millisecond to 10 years; got 0 seconds",
        ),
        (
            {"ttl": Duration(nanos=999_999)},
            "message.options.ttl: must be 1 millisecond to 10 years; got 0.000999999 seconds",
        ),
        (
            {"available_at": Timestamp(nanos=-1)},
            f"message.options.available_at: {MOMENT} 0 seconds and -1 nanoseconds since 1970",
        ),
        (
            {"expires_at": Timestamp(seconds=10**12)},
            f"message.options.expires_at: {MOMENT} {10**12} seconds and 0 nanoseconds since 1970",
        ),
        ({"priority": 256}, "message.options.priority: must be 0 to 255; got 256"),
        ({"priority": -1}, "message.options.priority: must be 0 to 255; got -1"),
        (
            {"dedup_id": "é" * 65},
            "message.options.dedup_id: takes 130 bytes, more than 128",
        ),
        (
            {"dedup_id": "order 7\n"},
            f"message.options.dedup_id: {NO_CONTROL}; U+000A is at 7",
        ),
        ({"group_id": "\x7f"}, f"message.options.group_id: {NO_CONTROL}; U+007F is at 0"),
        ({"fair_key": "a\0"}, f"message.options.fair_key: {NO_CONTROL}; U+0000 is at 1"),
    ],
)
def test_options_are_refused_by_name_and_rule(fields: dict[str, Any], message: str) -> None:
    """With what was given, where that helps."""
    assert options_refused(**fields) == message


@given(delay_ns=st.integers(-1, 2 * AHEAD.max_ns), ttl_ns=st.integers(-1, 2 * AHEAD.max_ns))
@example(0, 10**6)
@example(AHEAD.max_ns, AHEAD.max_ns)
def test_durations_have_their_ranges(delay_ns: int, ttl_ns: int) -> None:
    """Each its own, and the first that is out of it is named."""
    message = pb.MessageOptions()
    message.delay.FromNanoseconds(delay_ns)
    message.ttl.FromNanoseconds(ttl_ns)

    wrong = [
        name
        for name, ns, span in (("delay", delay_ns, AHEAD), ("ttl", ttl_ns, TTL))
        if not span.min_ns <= ns <= span.max_ns
    ]
    if wrong:
        assert options_refused(delay=message.delay, ttl=message.ttl).startswith(
            f"message.options.{wrong[0]}: must be "
        )
    else:
        expected = MessageOptions(delay_ns=delay_ns, ttl_ns=ttl_ns)
        assert message_options(message, "o") == expected


@given(priority=st.integers(-(2**31), 2**31 - 1) | st.integers(-2, PRIORITY_MAX + 2))
def test_priority_is_a_byte(priority: int) -> None:
    """Nothing else is taken, or taken for another."""
    if 0 <= priority <= PRIORITY_MAX:
        assert message_options(pb.MessageOptions(priority=priority), "o").priority == priority
    else:
        assert options_refused(priority=priority).endswith(f"; got {priority}")


@pytest.mark.parametrize(
    ("name", "bytes_max"),
    [
        ("dedup_id", DEDUP_ID_BYTES_MAX),
        ("group_id", GROUP_ID_BYTES_MAX),
        ("fair_key", FAIR_KEY_BYTES_MAX),
    ],
)
@given(text=_TEXT | st.text("ab\u00e9\U0001f600", min_size=30, max_size=140))
@example("")
@example("x" * 128)
@example("x" * 129)
@example("\x7f")
@example("\x85")
@example("\u2028 \u00a0")
def test_id_is_any_short_text_without_control_characters(
    name: str, bytes_max: int, text: str
) -> None:
    """Up to 128 bytes of UTF-8; it is taken to the letter."""
    size = len(text.encode())
    if size > bytes_max:
        refusal = options_refused(**{name: text})
        assert refusal == f"message.options.{name}: takes {size} bytes, more than 128"
    elif control := re.search(r"[\0-\x1f\x7f-\x9f]", text):
        assert options_refused(**{name: text}).endswith(
            f"U+{ord(control[0]):04X} is at {control.start()}"
        )
    else:
        options = message_options(pb.MessageOptions(**{name: text}), "o")  # type: ignore[arg-type]
        assert options == MessageOptions(**{name: text})  # type: ignore[arg-type]
