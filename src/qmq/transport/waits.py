"""How long a call waits for a message: as long as it asks for, but not beyond its deadline."""

from typing import Final, Literal, NamedTuple, Protocol

from google.protobuf.duration_pb2 import Duration

from qmq.errors import DeadlineExceeded, InvalidArgument
from qmq.limits import WAIT_S_MAX
from qmq.values import NS_PER_S

#: Seconds before a caller's deadline in which it is given no message that it would have to
#: wait for: the reply might come too late, and the message would be lost.
_REPLY_S: Final = 0.02


class _Waiting(Protocol):
    """A request that may wait."""

    @property
    def wait(self) -> Duration:
        """How long to wait."""
        ...

    def HasField(self, field_name: Literal["wait"], /) -> bool:  # noqa: N802 - As protobuf has it.
        """Whether it says that."""
        ...


class Wait(NamedTuple):
    """For how long one call waits."""

    #: Seconds that it can wait.
    seconds: float
    #: Whether it would wait for longer if its deadline were not so near.
    is_cut: bool

    @staticmethod
    def of(request: _Waiting, limit_s: float | None) -> "Wait":
        """Return how long a call waits, given the seconds until its deadline if it has one.

        Raises:
            InvalidArgument: the request asks for more or less than it may.
        """
        if not request.HasField("wait"):
            return _NO_WAIT
        wanted_s = request.wait.ToNanoseconds() / NS_PER_S
        if not 0 <= wanted_s <= WAIT_S_MAX:
            raise InvalidArgument("wait", f"must be 0 to {WAIT_S_MAX} seconds; got {wanted_s:g}")
        if limit_s is None or wanted_s <= (left_s := max(0.0, limit_s - _REPLY_S)):
            return Wait(wanted_s, is_cut=False)
        return Wait(left_s, is_cut=True)

    def check_in_time(self) -> None:
        """Tell a caller that got no message if that is because of its deadline.

        Raises:
            DeadlineExceeded: it is.
        """
        if self.is_cut:
            raise DeadlineExceeded("no message came before the call's deadline; none was taken")


_NO_WAIT: Final = Wait(0.0, is_cut=False)
