"""How the text of an argument becomes a value, and what can be completed.

These are click callbacks: each is called with the context, the parameter and the text.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

import click

from qmq.cli.settings import settings_of
from qmq.values import Durability, Store

_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

#: Seconds between two looks of `top` at least: people see no more, and the server works.
INTERVAL_S_MIN: Final = 0.1

#: How a duration is written: seconds, unless a unit says otherwise.
_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ms|s|m|h|d)?", re.ASCII)
#: What a google.protobuf.Duration holds: some ten thousand years.
_DURATION_S_MAX: Final = 315_576_000_000
_SECONDS: Final = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

#: How a moment is written, as RFC 3339 has it: the second, its fraction, the zone.
_MOMENT: Final = re.compile(r"([^.]+?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)

#: The fields of a google.protobuf.Timestamp.
Moment: TypeAlias = Mapping[str, int]

#: What STORE may be; BOLTDB is the original's name for DISK.
STORES: Final = {
    **{store.name: store for store in Store if store is not Store.UNKNOWN},
    "BOLTDB": Store.DISK,
}


def read_store(ctx: click.Context, param: click.Parameter, text: str) -> Store:
    """Return the store called `text`, in any case."""
    store = STORES.get(text.upper())
    if store is None:
        _refuse_option(ctx, text)
        message = f"unknown store {text!r}: the stores are {', '.join(STORES)}"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return store


def read_limit(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """Return the 64-bit number that `text` spells: decimal, or with 0x, 0o or 0b."""
    if text is None:
        return None
    try:
        limit = int(text, base=0)
    except ValueError:
        _refuse_option(ctx, text)
        message = f"{text!r} is no whole number; -1 means no limit"
        raise click.BadParameter(message, ctx=ctx, param=param) from None
    if not _INT64_MIN <= limit <= _INT64_MAX:
        message = f"{text} does not fit in 64 bits; -1 means no limit"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return limit


def read_tags(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> list[dict[str, str]]:
    """Return a proto.Tag, as its fields, for each `KEY=VALUE` or `KEY:VALUE`.

    The first `=` splits; where there is none, the first `:` does.
    """
    tags = []
    for text in texts:
        separator = "=" if "=" in text else ":"
        key, found, value = text.partition(separator)
        if not found:
            message = f"expected KEY=VALUE, got {text!r}"
            raise click.BadParameter(message, ctx=ctx, param=param)
        tags.append({"key": key, "value": value})
    return tags


def read_weights(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> dict[str, int]:
    """Return the number that each `KEY=N` gives a key; the last `=` splits."""
    weights = {}
    for text in texts:
        key, _, number = text.rpartition("=")
        try:
            weights[key] = int(number)
        except ValueError:
            found = False
        else:
            found = "=" in text and _INT32_MIN <= weights[key] <= _INT32_MAX
        if not found:
            message = f"expected KEY=N, N a number, got {text!r}"
            raise click.BadParameter(message, ctx=ctx, param=param)
    return weights


def read_duration(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Return how many seconds `text` says: `90`, `90s`, `1.5m`, `100ms`, `2h`, `7d`."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else math.inf
    if seconds > _DURATION_S_MAX:
        message = f"{text!r} is no duration; write 90 or 90s, 100ms, 5m, 2h, 7d"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return seconds


def read_moment(ctx: click.Context, param: click.Parameter, text: str | None) -> Moment | None:
    """Return the moment that `text` says, as `qcli` prints it: to the nanosecond."""
    if text is None:
        return None
    try:
        found = _MOMENT.fullmatch(text)
        second = datetime.fromisoformat(found[1] + found[3]) if found else None
    except ValueError:
        second = found = None
    if found is None or second is None:
        message = f"{text!r} is no moment; write it as 2026-11-24T13:56:47.264656630Z"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return {"seconds": int(second.timestamp()), "nanos": int(f"{found[2] or '':0<9}")}


def read_wait(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Return how many seconds to wait; `inf` is for ever."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return read_duration(ctx, param, text)
    if not seconds >= 0:  # So that nan is refused too.
        message = f"{seconds:g} is no number of seconds, 0 or more; inf waits for ever"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return seconds


def read_level(ctx: click.Context, param: click.Parameter, text: str | None) -> Durability:
    """Return the level of durability called `text`; UNKNOWN if none was given."""
    del ctx, param
    return Durability.UNKNOWN if text is None else Durability[text.upper()]


def read_interval(ctx: click.Context, param: click.Parameter, seconds: float) -> float:
    """Return how many seconds pass between two looks: no fewer than a tenth."""
    if not INTERVAL_S_MIN <= seconds < math.inf:
        message = f"{seconds:g} is no number of seconds, {INTERVAL_S_MIN} or more"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return seconds


def _refuse_option(ctx: click.Context, text: str) -> None:
    """Call `-x` an unknown option where a store or limit was expected."""
    if text.startswith("-"):
        raise click.NoSuchOption(text, ctx=ctx)


def complete_store(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The stores that begin with `incomplete`, in any case."""
    del ctx, param
    return [name for name in STORES if name.startswith(incomplete.upper())]


def complete_queue(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names, or else ids, of the server's queues that begin with `incomplete`."""
    from qmq.cli.execute import completions  # noqa: PLC0415 - only a call needs gRPC

    del param
    try:
        settings = settings_of(ctx)
    except click.UsageError:
        return []
    return [name for name in completions(settings) if name.startswith(incomplete)]


def complete_command(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The commands that begin with `incomplete`."""
    del param
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    return [name for name in root.command.list_commands(root) if name.startswith(incomplete)]
