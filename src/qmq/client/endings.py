"""How the lease of a message ends: what its consumer says of the work."""

from dataclasses import dataclass
from typing import Final

from qmq.client.options import Duration, must_be, seconds
from qmq.limits import REASON_BYTES_MAX
from qmq.values import Durability, NackKind


class Reject(Exception):
    """Raised by who works on a message: nobody can do the work.

    The message goes to the dead-letter queue, with the text as the reason.
    """


class Release(Exception):
    """Raised by who works on a message: it is unharmed, and is for somebody else.

    Its delivery does not count.
    """

    def __init__(self, delay: Duration = 0) -> None:
        """Give the message back.

        Args:
            delay: for how many seconds it is kept back, up to 7 days.
        """
        super().__init__(delay)
        self.delay_s = seconds(delay, "delay")


class WrongHandler(TypeError):
    """What a worker was made of cannot work on messages: that is the fault of no message."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a lease ends."""

    #: None for an ack.
    kind: NackKind | None = None
    #: How long the message is kept back; None leaves that to the queue.
    delay_s: float | None = None
    #: Why, for those who look.
    reason: str = ""
    #: How durable that is, at least; UNKNOWN leaves it to who makes the call.
    durability: Durability = Durability.UNKNOWN

    def __post_init__(self) -> None:
        """Refuse a reason that cannot be sent.

        Leases are ended together, and whoever does that must not fail on one of them.

        Raises:
            TypeError: the reason is no str.
            UnicodeEncodeError: it has no UTF-8.
        """
        must_be(str, reason=self.reason)
        self.reason.encode()

    def __str__(self) -> str:
        """Say what is done to the message."""
        return _DONE[self.kind]


ACK: Final = Ending()
RELEASE: Final = Ending(NackKind.RELEASE)

_DONE: Final = {
    None: "acked",
    NackKind.RELEASE: "released",
    NackKind.FAIL: "failed",
    NackKind.REJECT: "rejected",
}


def ending_of(error: BaseException | None) -> Ending:
    """Return how the lease of a message ends whose work ended with an error, or without."""
    # A group of tasks says more than the one error that is worth reading.
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        (error,) = error.exceptions
    if error is None:
        return ACK
    if isinstance(error, Reject):
        return Ending(NackKind.REJECT, reason=_kept(_text_of(error)))
    if isinstance(error, Release):
        return Ending(NackKind.RELEASE, error.delay_s)
    if isinstance(error, Exception) and not isinstance(error, WrongHandler):
        text = _text_of(error)
        name = type(error).__name__
        return Ending(NackKind.FAIL, reason=_kept(f"{name}: {text}" if text else name))
    # Somebody wants the program to end, which is not the message's fault.
    return RELEASE


def _text_of(error: Exception) -> str:
    """Return what an error says; nothing if it cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - The program's own, about which its log says enough.
        return ""


def _kept(reason: str) -> str:
    """Return as much of a reason as the server may keep, and only what has UTF-8."""
    # Names of files, for example, may be none: Python has them in texts all the same.
    return reason[:REASON_BYTES_MAX].encode(errors="backslashreplace").decode()
