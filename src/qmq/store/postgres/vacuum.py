"""What keeps vacuum from its work, and for how long.

Each commit of a busy cluster leaves old versions of rows, which vacuum removes within a minute.
One transaction that somebody has forgotten keeps it from that: q becomes slower from one
minute to the next, and nothing of q's says why. So the leader looks, and says who it is.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from qmq.values import NS_PER_S

#: Seconds after which something that holds back vacuum is worth a warning: q's own transactions
#: take some seconds at most, and a minute of old versions is no harm yet.
HELD_S_MAX: Final = 60.0

#: Seconds from one warning about the same to the next.
_REMIND_S: Final = 600.0


class Holder(NamedTuple):
    """Something that keeps old versions of rows from being removed."""

    #: A session, a prepared transaction or a replication slot.
    kind: str
    #: What it can be ended by: a process id, or a name.
    name: str
    owner: str
    application: str
    state: str
    #: The oldest transaction that it keeps; while that is the same, it has not let go.
    xmin: str
    #: Seconds for which it does so at least, as far as the server knows.
    age_s: float

    def __str__(self) -> str:
        owner = f" of user {self.owner}" if self.owner else ""
        application = f", application {self.application}" if self.application else ""
        return f"{self.kind} {self.name}{owner}{application} ({self.state})"


class HeldVacuum:
    """Knows since when each holder is there."""

    def __init__(self, passed_ns: Callable[[], int]) -> None:
        """Begin without any.

        Args:
            passed_ns: a clock that nobody sets, in nanoseconds.
        """
        self._passed_ns = passed_ns
        #: By kind, name and xmin: since when it is known, and when it was last warned of.
        self._since_ns: dict[tuple[str, str, str], int] = {}
        self._warned_ns: dict[tuple[str, str, str], int] = {}
        #: Seconds for which vacuum has been held back by the oldest one.
        self.held_s = 0.0
        #: What that is; empty if there is none.
        self.oldest = ""

    def note(self, holders: Iterable[Holder]) -> list[str]:
        """Take notice of all that are there now, and return warnings of those that are too old."""
        now_ns = self._passed_ns()
        since_ns, self._since_ns = self._since_ns, {}
        warned_ns, self._warned_ns = self._warned_ns, {}
        self.held_s, self.oldest = 0.0, ""
        warnings = []
        for holder in holders:
            key = (holder.kind, holder.name, holder.xmin)
            self._since_ns[key] = since_ns.get(key, now_ns)
            age_s = max(holder.age_s, (now_ns - self._since_ns[key]) / NS_PER_S)
            if age_s >= self.held_s:
                self.held_s, self.oldest = age_s, str(holder)
            if age_s < HELD_S_MAX:
                continue
            self._warned_ns[key] = warned_ns.get(key, now_ns)
            if key not in warned_ns or now_ns - warned_ns[key] >= _REMIND_S * NS_PER_S:
                self._warned_ns[key] = now_ns
                warnings.append(
                    f"vacuum of the cluster's database has been held back for {age_s:.0f} s by the"
                    f" {holder}; q becomes slower until that ends"
                )
        return warnings
