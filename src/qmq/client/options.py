"""What a user of the client can choose, and what it costs."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import grpc

T = TypeVar("T")

#: A duration: a number of seconds, or a timedelta.
Duration: TypeAlias = float | timedelta

#: Seconds that a call may take, connecting and repeating included.
TIMEOUT_S: Final = 30.0

#: Seconds that stand for all longer durations, float("inf") too: a century. What waits counts in
#: nanoseconds, and would take a longer one for one that has passed.
_FOREVER_S: Final = 100 * 365 * 24 * 3600.0


def must_be(kind: type, **values: object) -> None:
    """Raise TypeError if a value is of another type, and name it."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {kind.__name__}; got {value!r}")


def several(values: Iterable[T], what: str, single: type | tuple[type, ...]) -> Iterable[T]:
    """Return values, unless a single one was given where a list of them belongs.

    Args:
        values: they.
        what: what takes them, and what takes a single one, for people to read.
        single: of which type that is. Of texts and dicts each part would be taken for one.

    Raises:
        TypeError: there is a single one.
    """
    if isinstance(values, single):
        raise TypeError(f"{what}; got a {type(values).__name__}")
    return values


def seconds(duration: Duration, name: str) -> float:
    """Return a duration in seconds, a century at most.

    Raises:
        ValueError: it is negative; `name` says which one.
        TypeError: it is neither a number nor a timedelta.
    """
    if isinstance(duration, timedelta):
        value = duration.total_seconds()
    elif hasattr(duration, "__float__"):  # A text has none, and float() would take some of them.
        value = float(duration)
    else:
        message = f"{name} must be a number of seconds, or a timedelta; got {duration!r}"
        raise TypeError(message)
    if not value >= 0:  # So that nan is refused too.
        message = f"{name} must be 0 seconds or more; got {value:g}"
        raise ValueError(message)
    return min(value, _FOREVER_S)


def aware(moment: datetime, name: str) -> datetime:
    """Return a moment that has a time zone.

    Raises:
        ValueError: it has none, so that it may be any of several; `name` says which one.
    """
    if moment.utcoffset() is None:
        message = (
            f"{name} must have a time zone, for example"
            f" datetime.now(UTC) + timedelta(hours=1); got {moment!r}"
        )
        raise ValueError(message)
    return moment


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """How to speak TLS. All files are PEM.

    They are read when the client is made, and again, if they have changed, when TLS with the
    server fails: so certificates can be replaced while a program runs.
    """

    #: Certificates that may have signed that of the server; None for the public ones
    #: that gRPC brings along.
    ca_file: str | PathLike[str] | None = None
    #: The client's own certificate and its key, both or neither, for servers that ask.
    cert_file: str | PathLike[str] | None = None
    key_file: str | PathLike[str] | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files.

        Raises:
            OSError: a file cannot be read.
            ValueError: a certificate comes without its key, or a key without its certificate; or
                there is none in a file.
        """
        if (self.cert_file is None) != (self.key_file is None):
            message = "cert_file and key_file go together: give both, or neither"
            raise ValueError(message)
        # A certificate and a key are of no use with another one: what was replaced while they were
        # read is read once more.
        found = self._read()
        while found != (again := self._read()):
            found = again
        for file, content, kind in zip(
            self._files(), found, ("CERTIFICATE", "KEY", "CERTIFICATE"), strict=True
        ):
            # gRPC would say so to its own log, and of the server that nobody is there.
            if content is not None and f"{kind}-----".encode() not in content:
                raise ValueError(f"there is no {kind.lower()} in {file}, as PEM has it")
        return grpc.ssl_channel_credentials(*found)

    def _read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        ca, key, cert = (
            None if file is None else Path(file).read_bytes() for file in self._files()
        )
        return ca, key, cert

    def _files(self) -> tuple[str | PathLike[str] | None, ...]:
        return self.ca_file, self.key_file, self.cert_file


def tls_with(
    tls: TLS | bool | None,  # noqa: FBT001 - As the client takes it.
    ca: str | PathLike[str] | None,
    cert: str | PathLike[str] | None,
    key: str | PathLike[str] | None,
) -> TLS | bool | None:
    """Return how to speak TLS, of what was said in full or in short.

    Raises:
        ValueError: it was said in both ways.
    """
    if ca is None and cert is None and key is None:
        return tls
    if tls is False or isinstance(tls, TLS):
        raise ValueError(f"ca, cert and key are short for tls=TLS(...), and tls is {tls!r}")
    return TLS(ca_file=ca, cert_file=cert, key_file=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Which calls are repeated when the server is unavailable or overloaded, and for how long.

    A call that never reached a server, or that a server refused because it is busy,
    overloaded or shutting down, has done nothing and is repeated, not before the server
    says that it is worth it. What else is repeated after a lost connection is only what may
    happen twice without harm: reading, acking and extending leases, changing, pausing and
    deleting a queue, adding and removing its tags, and `ensure_queue`. Neither pop nor lease
    nor, by default, add.
    """

    #: Seconds after which a call is not repeated any more; 0 never repeats.
    duration: Duration = 3.0
    #: Seconds before the first repeat. Each further pause is twice as long, and every
    #: one is shortened by chance, by up to half, so that clients do not come in step.
    pause: Duration = 0.1
    #: Seconds of the longest pause.
    pause_max: Duration = 1.0
    #: Whether to repeat any add whose answer was lost. So that no message is stored twice, each
    #: that has no dedup_id gets one: the queue keeps that for its dedup_window, takes no more
    #: than 1,000,000 in that time, and takes longer for each message.
    adds: bool = False

    def pauses_s(self) -> Iterator[float]:
        """Go through the pauses between one attempt and the next, in seconds, for ever."""
        longest_s = seconds(self.pause_max, "pause_max")
        pause_s = seconds(self.pause, "pause")
        while True:
            pause_s = min(pause_s, longest_s)
            yield pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - Nothing secret about it.
            pause_s *= 2


def wait_s_of(wait: Duration | None) -> float | None:
    """Return how many seconds to wait; None for ever.

    Raises:
        ValueError: it is negative, or no number.
    """
    return None if wait is None else seconds(wait, "wait")


def duration_s_of(duration: Duration | None, name: str) -> float | None:
    """Return how many seconds something lasts; None if that is left to others.

    Raises:
        ValueError: it is negative, or no number; `name` names it.
    """
    return None if duration is None else seconds(duration, name)
