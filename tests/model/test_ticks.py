"""When schedules are due, in zones whose clocks are put forward and back, too."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from qmq.errors import InvalidArgument
from qmq.limits import CRON_CHARS_MAX
from qmq.model.ticks import CronTicks, IntervalTicks, Passed, Ticks, cron_ticks
from qmq.values import NS_PER_S

#: In 2026, its clock goes from 2:00 to 3:00 on 29 March, and from 3:00 to 2:00 on 25 October.
BERLIN = "Europe/Berlin"

#: Zones whose clocks are put forward and back by an hour or a day, at all times of the day.
ZONES = [
    BERLIN,
    "UTC",
    "America/New_York",
    # Until 2011 at one minute past midnight, which comes after the day's end then.
    "America/St_Johns",
    # At midnight, so that there is a day without one.
    "America/Havana",
    "America/Santiago",
    # For the month of Ramadan.
    "Africa/Casablanca",
    "Antarctica/Troll",
    # It went without a day, 30 December 2011.
    "Pacific/Apia",
    "Asia/Kathmandu",
]

#: Moments from 2005 to 2029, in seconds.
moments = st.integers(1_104_537_600, 1_893_456_000)


def ns(moment: datetime) -> int:
    """Return a moment in nanoseconds."""
    return round(moment.timestamp()) * NS_PER_S


def ticks_after(ticks: Ticks, after_ns: int, until_ns: int) -> Iterator[int]:
    """Go from tick to tick, as a schedule does."""
    tick = ticks.next_ns(after_ns)
    while tick is not None and tick <= until_ns:
        yield tick
        tick = ticks.next_ns(tick)


def shown(cron: str, day: str, zone: str = BERLIN) -> list[str]:
    """Return the ticks of a day, as a clock of the zone shows them, with what it is ahead."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = begin + timedelta(days=1)
    found = ticks_after(CronTicks(cron, zone), ns(begin) - 1, ns(end) - 1)
    local = (datetime.fromtimestamp(tick / NS_PER_S, ZoneInfo(zone)) for tick in found)
    return [f"{each:%H:%M}{each:%z}"[:8] for each in local]


SPRING, AUTUMN = "2026-03-29", "2026-10-25"


@pytest.mark.parametrize(
    ("cron", "day", "wanted"),
    [
        # A time of the day is a tick once a day: at once after a gap, and the first time of two.
        ("30 2 * * *", SPRING, ["03:00+02"]),
        ("30 2 * * *", AUTUMN, ["02:30+02"]),
        ("0 1-4 * * *", SPRING, ["01:00+01", "03:00+02", "04:00+02"]),
        ("0 1-4 * * *", AUTUMN, ["01:00+02", "02:00+02", "03:00+01", "04:00+01"]),
        # Several that fall into the gap are one.
        ("15,45 2 * * *", SPRING, ["03:00+02"]),
        ("15,45 2 * * *", AUTUMN, ["02:15+02", "02:45+02"]),
        # However the minutes and hours are written.
        ("*/30 2 * * *", SPRING, ["03:00+02"]),
        ("*/30 2 * * *", AUTUMN, ["02:00+02", "02:30+02"]),
        ("0 */12 * * *", SPRING, ["00:00+01", "12:00+02"]),
        ("30 */2 * * *", AUTUMN, [f"{h:02}:30+0{2 if h < 3 else 1}" for h in range(0, 24, 2)]),
        # Every hour is every hour that passes, of which there are 23 or 25.
        ("30 * * * *", SPRING, [f"{h:02}:30+0{1 if h < 2 else 2}" for h in range(24) if h != 2]),
        (
            "30 * * * *",
            AUTUMN,
            ["00:30+02", "01:30+02", "02:30+02", *(f"{h:02}:30+01" for h in range(2, 24))],
        ),
    ],
)
def test_clock_is_put_forward_and_back(cron: str, day: str, wanted: list[str]) -> None:
    """No time of the day is left out or comes twice, and hours go on as they pass."""
    assert shown(cron, day) == wanted


@pytest.mark.parametrize(
    ("cron", "zone", "day", "wanted"),
    [
        # Midnight does not exist.
        ("0 0 * * *", "America/Havana", "2026-03-08", ["01:00-04"]),
        # The hour before midnight comes twice.
        ("30 23 * * *", "America/Santiago", "2026-04-04", ["23:30-03"]),
        # The day does not exist.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-31", ["00:00+14"]),
        ("0 9 * * MON-FRI", BERLIN, "2026-11-28", []),
        ("0 0 L * *", BERLIN, "2028-02-29", ["00:00+01"]),
        ("0 9 * * MON#1", BERLIN, "2026-12-07", ["09:00+01"]),
        ("0 9 13 * FRI", BERLIN, "2026-12-13", ["09:00+01"]),
    ],
)
def test_days(cron: str, zone: str, day: str, wanted: list[str]) -> None:
    """Days of the month and the week, last days, and days that are unlike others."""
    assert shown(cron, day, zone) == wanted


def test_tick_of_the_second_time_is_none() -> None:
    """Who asks in the hour that comes for the second time is told of the next day."""
    second_time = ns(datetime(2026, 10, 25, 2, 15, tzinfo=ZoneInfo(BERLIN), fold=1))

    assert CronTicks("30 2 * * *", BERLIN).next_ns(second_time) == ns(
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "0 * * * * *",
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a * * * *",
        "@daily",
        "0 0 30 2 *",
        "1," * CRON_CHARS_MAX + "1 * * * *",
        "9" * (CRON_CHARS_MAX - 8) + " * * * *",
    ],
)
def test_what_is_no_expression_is_refused(cron: str) -> None:
    """Also what is longer than any, and dates that no month has."""
    with pytest.raises(InvalidArgument) as refusal:
        CronTicks(cron, "UTC")

    assert refusal.value.field == "schedule.cron"


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "Europe", "europe/nowhere", "/etc/passwd", "../UTC", "a\0b", "x" * 5_000]
)
def test_what_is_no_zone_is_refused(zone: str) -> None:
    """Names of files and folders, too."""
    with pytest.raises(InvalidArgument) as refusal:
        CronTicks("0 0 * * *", zone)

    assert refusal.value.field == "schedule.time_zone"


def test_days_that_never_come_end() -> None:
    """An expression can be fine, and yet have no tick."""
    assert cron_ticks("0 0 */31 2 MON#5", "UTC").next_ns(0) is None


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> str:
    """A field of a cron expression."""
    number = st.integers(least, most)
    match draw(st.integers(0, 3)):
        case 0:
            return "*"
        case 1:
            return f"*/{draw(st.integers(1, most))}"
        case 2:
            low, high = sorted((draw(number), draw(number)))
            return f"{low}-{high}/{draw(st.integers(1, 7))}"
        case _:
            return ",".join(map(str, draw(st.lists(number, min_size=1, max_size=3))))


crons = st.builds(
    lambda *parts: " ".join(parts),
    fields(0, 59),
    fields(0, 23),
    st.sampled_from(["*", "*", "*", "1,15", "29-31", "L", "*/2"]),
    st.sampled_from(["*", "*", "3,10,11", "*/3", "12"]),
    st.sampled_from(["*", "*", "*", "1-5", "SUN", "SUN#2", "5L"]),
)


@st.composite
def near_a_change(draw: st.DrawFn, zone: str) -> int:
    """A moment, in seconds, mostly one within two days of a change of the clock."""
    moment, local = draw(moments), ZoneInfo(zone)
    if draw(st.integers(0, 4)):
        offset = datetime.fromtimestamp(moment, local).utcoffset()
        days = (moment + n * 86_400 for n in range(250))
        same = takewhile(lambda at: datetime.fromtimestamp(at, local).utcoffset() == offset, days)
        moment = max(same) + draw(st.integers(-86_400, 2 * 86_400))
    return moment


def by_the_book(cron: str, zone: str, after_s: int, until_s: int) -> list[int]:
    """Return the ticks of an expression, in seconds, found by a look at every minute."""
    read, local = CronSim(cron, datetime(2000, 1, 1)), ZoneInfo(zone)  # noqa: DTZ001 - A clock.

    def is_day(day: date) -> bool:
        return day.month in read.months and read.match_day(day)

    found = set()
    if cron.split()[1] == "*":
        for second in range(after_s // 60 * 60, until_s + 60, 60):
            clock = datetime.fromtimestamp(second, local)
            if clock.minute in read.minutes and clock.hour in read.hours and is_day(clock.date()):
                found.add(second)
    else:
        first = datetime.fromtimestamp(after_s, local).date() - timedelta(days=2)
        count = (until_s - after_s) // 86_400 + 6
        for day in (first + timedelta(days=n) for n in range(count)):
            for at in (time(h, m) for h in read.hours for m in read.minutes if is_day(day)):
                clock = datetime.combine(day, at, local)
                # What the clock never shows.
                while clock.astimezone(UTC).astimezone(local).time() != clock.time():
                    clock += timedelta(minutes=1)
                found.add(round(clock.timestamp()))
    return sorted(each for each in found if after_s < each <= until_s)


@given(st.data(), crons, st.sampled_from(ZONES), st.integers(0, 3 * 86_400))
def test_ticks_are_those_by_the_book(
    data: st.DataObject, cron: str, zone: str, span_s: int
) -> None:
    """One after the other, and counted: none is left out, and none comes twice."""
    try:
        ticks = CronTicks(cron, zone)
    except InvalidArgument:
        # It names days that no month has.
        return
    after_s = data.draw(near_a_change(zone))
    until_s = after_s + span_s
    wanted = by_the_book(cron, zone, after_s, until_s)

    found = list(ticks_after(ticks, after_s * NS_PER_S, until_s * NS_PER_S))

    assert [each // NS_PER_S for each in found] == wanted
    assert ticks.passed(after_s * NS_PER_S, until_s * NS_PER_S) == Passed(
        len(wanted), wanted[-1] * NS_PER_S if wanted else 0
    )


@given(crons, st.sampled_from(ZONES), moments, st.integers(-10, 10))
def test_moment_may_be_between_seconds(cron: str, zone: str, moment: int, beside_ns: int) -> None:
    """The next tick is later than the moment, if only by a nanosecond."""
    try:
        ticks = CronTicks(cron, zone)
    except InvalidArgument:
        return
    if (tick := ticks.next_ns(moment * NS_PER_S)) is None:
        return

    assert (ticks.next_ns(tick + beside_ns) == tick) == (beside_ns < 0)
    assert ticks.passed(tick + beside_ns, tick).number == (beside_ns < 0)
    assert ticks.passed(tick - 1, tick + beside_ns).number == (beside_ns >= 0)


def test_years_are_counted_in_no_time() -> None:
    """By the day, rather than tick by tick."""
    begin, end = (ns(datetime(year, 1, 1, tzinfo=UTC)) for year in (2021, 2026))

    passed = CronTicks("* * * * *", BERLIN).passed(begin, end)

    assert passed == Passed((end - begin) // (60 * NS_PER_S), end)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4))
@example(10, 5, 5, 10)
def test_intervals(interval: int, anchor: int, after: int, span: int) -> None:
    """Ticks are whole intervals from a moment, on both sides of it."""
    ticks = IntervalTicks(interval, anchor)
    found = list(ticks_after(ticks, after, after + span))

    assert found == [
        each for each in range(after + 1, after + span + 1) if (each - anchor) % interval == 0
    ]
    assert ticks.passed(after, after + span) == Passed(len(found), found[-1] if found else 0)


def test_nothing_has_passed_before_now() -> None:
    """A moment that is earlier than the last one is no way back."""
    for ticks in (CronTicks("* * * * *", "UTC"), IntervalTicks(NS_PER_S, 0)):
        assert ticks.passed(10**18, 10**18 - 60 * NS_PER_S) == Passed(0, 0)
