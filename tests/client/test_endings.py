"""What an exception says of a message."""

import asyncio
from datetime import timedelta

import pytest

import qmq
from qmq.client.endings import ACK, RELEASE, Ending, ending_of


class Silent(Exception):
    """Says nothing."""


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (None, ACK),
        (ValueError("no number"), Ending(qmq.NackKind.FAIL, reason="ValueError: no number")),
        (Silent(), Ending(qmq.NackKind.FAIL, reason="Silent")),
        (qmq.QueueFull("full"), Ending(qmq.NackKind.FAIL, reason="QueueFull: full")),
        (qmq.Reject("too even"), Ending(qmq.NackKind.REJECT, reason="too even")),
        (qmq.Reject(), Ending(qmq.NackKind.REJECT)),
        (qmq.Release(), Ending(qmq.NackKind.RELEASE, 0)),
        (qmq.Release(timedelta(minutes=1)), Ending(qmq.NackKind.RELEASE, 60)),
        (asyncio.CancelledError(), RELEASE),
        (KeyboardInterrupt(), RELEASE),
        (SystemExit(1), RELEASE),
        (
            ExceptionGroup("!", [ExceptionGroup("!", [qmq.Reject("deep")])]),
            Ending(qmq.NackKind.REJECT, reason="deep"),
        ),
        (
            ExceptionGroup("two", [ValueError(), TypeError()]),
            Ending(qmq.NackKind.FAIL, reason="ExceptionGroup: two (2 sub-exceptions)"),
        ),
    ],
    ids=repr,
)
def test_each_exception_has_its_ending(error: BaseException | None, ending: Ending) -> None:
    """None is success; what ends the program is nobody's fault."""
    assert ending_of(error) == ending


def test_no_more_is_sent_than_is_kept() -> None:
    """However much an exception has to say."""
    assert ending_of(ValueError("x" * 5_000)).reason == "ValueError: " + "x" * 1_012
    assert ending_of(qmq.Reject("x" * 5_000)).reason == "x" * 1_024


def test_a_delay_is_checked_where_it_is_given() -> None:
    """By name."""
    with pytest.raises(ValueError, match="delay must be 0 seconds or more; got -1"):
        qmq.Release(-1)


class Voiceless(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


def test_whatever_an_error_says_can_be_sent() -> None:
    """The lease of the message would go on, and those that end with it, otherwise."""
    assert ending_of(OSError("no \udcff here")).reason == "OSError: no \\udcff here"
    assert ending_of(qmq.Reject("\udcff")).reason == "\\udcff"
    assert ending_of(Voiceless()).reason == "Voiceless"


@pytest.mark.parametrize("reason", [ValueError("late"), None, "\udcff"])
def test_a_reason_that_cannot_be_sent_is_refused_at_once(reason: object) -> None:
    """Where it is given, and not where leases are ended together."""
    with pytest.raises((TypeError, UnicodeEncodeError), match=r"reason must be str|surrogates"):
        Ending(qmq.NackKind.FAIL, reason=reason)  # type: ignore[arg-type]
