"""When a schedule is due: cron expressions and intervals.

A tick is a moment, in nanoseconds since the Unix epoch, by the clock on the wall.

The expressions are read, and their ticks are found, by cronsim. What is decided here is what
they mean where a zone's clock is put forward or back. If the hour field is `*`, an expression
means what the clock shows, hour by hour: what is shown twice is twice a tick, and what is never
shown is none. Otherwise it names times of the day, and each of these is a tick once a day: the
first time that it is shown or, if it never is, as soon as the clock has been put forward; there
several such are one tick. cronsim does so itself, but by another distinction, which cron has from
its history: whether the field of the minute or of the hour begins with `*`. So that it makes
ours, the stars of those fields are written as ranges.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import dropwhile, takewhile
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from qmq.errors import InvalidArgument
from qmq.limits import CRON_CHARS_MAX
from qmq.values import NS_PER_S

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_NS_PER_MINUTE: Final = 60 * NS_PER_S
_FIELDS: Final = 5


class Passed(NamedTuple):
    """Ticks that have passed."""

    number: int
    #: The last of them; 0 if there are none.
    last_ns: int


class Ticks(Protocol):
    """All ticks of a schedule."""

    def next_ns(self, after_ns: int) -> int | None:
        """Return the first tick after a moment; None if there is none."""
        ...

    def passed(self, after_ns: int, until_ns: int) -> Passed:
        """Count the ticks after a moment, up to another one."""
        ...


class IntervalTicks:
    """Ticks that are equally far from each other."""

    def __init__(self, interval_ns: int, anchor_ns: int) -> None:
        """Make ticks.

        Args:
            interval_ns: how far they are from each other.
            anchor_ns: one of them.
        """
        self._interval_ns = interval_ns
        self._anchor_ns = anchor_ns

    def next_ns(self, after_ns: int) -> int:
        """Return the first tick after a moment."""
        return self._anchor_ns + (self._number(after_ns) + 1) * self._interval_ns

    def passed(self, after_ns: int, until_ns: int) -> Passed:
        """Count the ticks after a moment, up to another one."""
        last = self._number(until_ns)
        count = last - self._number(after_ns)
        if count <= 0:
            return Passed(0, 0)
        return Passed(count, self._anchor_ns + last * self._interval_ns)

    def _number(self, moment_ns: int) -> int:
        """Number the last tick up to a moment."""
        return (moment_ns - self._anchor_ns) // self._interval_ns


class CronTicks:
    """The ticks of a cron expression in a time zone."""

    def __init__(self, cron: str, time_zone: str) -> None:
        """Read an expression.

        Args:
            cron: minute, hour, day of the month, month, day of the week.
            time_zone: the name of a zone, as IANA has it.

        Raises:
            InvalidArgument: it is no such expression, or there is no such zone.
        """
        self._zone = _zone(time_zone)
        self._cron = _with_our_meaning(cron)
        try:
            read = CronSim(self._cron, _EPOCH)
        except CronSimError as error:
            # What it says is short: "Bad minute".
            raise InvalidArgument("schedule.cron", f"{cron!r}: {str(error).lower()}") from None
        self._months = read.months
        self._matches_day = read.match_day
        #: The minutes of a day on which the clock is not put forward or back.
        self._minutes = sorted(60 * hour + minute for hour in read.hours for minute in read.minutes)

    def next_ns(self, after_ns: int) -> int | None:
        """Return the first tick after a moment; None if there is none within 50 years."""
        return next(self._after(after_ns), None)

    def passed(self, after_ns: int, until_ns: int) -> Passed:
        """Count the ticks after a moment, up to another one.

        It takes some microseconds for each day, however many ticks that has.
        """
        if until_ns <= after_ns:
            return Passed(0, 0)
        ticks = self._after(after_ns)
        next_ns = next(ticks, None)
        if next_ns is None or next_ns > until_ns:
            return Passed(0, 0)
        second_ns = next(ticks, None)
        if second_ns is None or second_ns > until_ns:
            # As nearly always, since somebody looks at each tick.
            return Passed(1, next_ns)
        count = last_ns = 0
        # One more at each end, since a zone may go back into the day before.
        day, last_day = self._day(next_ns) - _DAY, self._day(until_ns) + _DAY
        while day <= last_day:
            of_day = self._passed_on(day, after_ns, until_ns)
            count += of_day.number
            last_ns = of_day.last_ns or last_ns
            day += _DAY
        # What was told to be the next tick has passed in any case.
        return Passed(max(count, 1), max(last_ns, next_ns))

    def _passed_on(self, day: date, after_ns: int, until_ns: int) -> Passed:
        """Count the ticks of a day that are between two moments."""
        start_ns = self._start_ns(day)
        if not self._is_even(day):
            end_ns = self._start_ns(day + _DAY)
            of_day = takewhile(lambda tick: tick < end_ns, self._from(start_ns - 1))
            ticks = [tick for tick in of_day if start_ns <= tick and after_ns < tick <= until_ns]
            return Passed(len(ticks), ticks[-1]) if ticks else Passed(0, 0)
        is_due = day.month in self._months and self._matches_day(day)
        minutes = self._minutes if is_due else ()
        begin = bisect_right(minutes, (after_ns - start_ns) // _NS_PER_MINUTE)
        end = bisect_right(minutes, (until_ns - start_ns) // _NS_PER_MINUTE)
        if begin >= end:
            return Passed(0, 0)
        return Passed(end - begin, start_ns + minutes[end - 1] * _NS_PER_MINUTE)

    def _after(self, moment_ns: int) -> Iterator[int]:
        """Go through the ticks after a moment."""
        # In an hour that comes for the second time, the first ones are those of the first time.
        return dropwhile(lambda tick: tick <= moment_ns, self._from(moment_ns))

    def _from(self, after_ns: int) -> Iterator[int]:
        """Go through the ticks, beginning with some that may be up to a day before a moment."""
        return map(_ns, CronSim(self._cron, self._moment(after_ns)))

    def _is_even(self, day: date) -> bool:
        """Whether the clock of the zone is not put forward or back on a day, or the one before."""
        if self._zone is UTC:
            return True
        start = _EPOCH + timedelta(microseconds=self._start_ns(day) // 1_000)
        offsets = {(start + days * _DAY).astimezone(self._zone).utcoffset() for days in (-1, 0, 1)}
        return len(offsets) == 1

    def _start_ns(self, day: date) -> int:
        """Return when a day begins."""
        return _ns(datetime.combine(day, time(), self._zone))

    def _day(self, moment_ns: int) -> date:
        return self._moment(moment_ns).date()

    def _moment(self, moment_ns: int) -> datetime:
        return (_EPOCH + timedelta(seconds=moment_ns // NS_PER_S)).astimezone(self._zone)


@lru_cache(maxsize=1_000)
def cron_ticks(cron: str, time_zone: str) -> CronTicks:
    """Return the ticks of a cron expression; see there."""
    return CronTicks(cron, time_zone)


def _with_our_meaning(cron: str) -> str:
    """Return an expression that means to cronsim what this one means to q.

    Raises:
        InvalidArgument: it does not have five fields.
    """
    fields = cron.split()
    if len(cron) > CRON_CHARS_MAX or len(fields) != _FIELDS:
        raise InvalidArgument(
            "schedule.cron",
            "must have five fields (minute, hour, day of the month, month, day of the week) and up"
            f" to {CRON_CHARS_MAX} characters, for example '30 6 * * MON-FRI'; got {cron[:120]!r}",
        )
    if fields[1] != "*":
        fields[0] = fields[0].replace("*", "0-59")
        fields[1] = fields[1].replace("*", "0-23")
    return " ".join(fields)


def _zone(name: str) -> tzinfo:
    """Return a time zone."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    # Names of files that are none, or that there cannot be, among other things.
    except (KeyError, ValueError, OSError):
        raise InvalidArgument(
            "schedule.time_zone",
            f"must be the name of a zone as IANA has it, for example Europe/Berlin; got {name!r}",
        ) from None


def _ns(moment: datetime) -> int:
    """Return a moment, of whole seconds, in nanoseconds since the Unix epoch."""
    return (moment - _EPOCH) // timedelta(seconds=1) * NS_PER_S
