"""How the values of options are written and read: one `Kind` for each sort of value."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from qmq.observe.audit import TO_LOG, TO_NOTHING
from qmq.server.address import Address
from qmq.store.postgres.dsn import Databases

#: Which callers may end q over HTTP.
QuitFrom = Literal["loopback", "any"]

#: Where a line for each request goes.
RequestLog = Literal["none", "stdout"]

#: What options take for "nothing of the kind".
NONE = "none"
#: What `--traces-to` takes for "as OTEL_EXPORTER_OTLP_ENDPOINT says".
TRACES_BY_ENVIRONMENT = "env"
#: What options take for "as others have it".
AUTO = "auto"
#: Whether clients without a certificate are refused, where there is a CA for such.
ClientCert = Literal["required", "optional"]

# The most that may be asked for: above it a value is a slip of the finger.
_CACHE_BYTES_MAX = 1 << 40

_DIGITS = re.compile("[0-9]{1,20}")
#: A user and a password in it would be shown in lists of processes.
_COLLECTOR = re.compile(r"https?://[^/?#@\s]+/?")
#: A name in the DNS; an asterisk stands for all below it, or for every name.
_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_BARE = re.compile(r"true|false|[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the values of an option are written and read."""

    #: What stands for a value in the help text.
    placeholder: str
    #: Makes a value of its text; raises ValueError, saying what is wrong with it.
    parse: Callable[[str], Any]
    #: Makes of a value a text that `parse` reads.
    format: Callable[[Any], str] = str
    #: Whether a TOML file has its values in quotes, as they are, or some in one way, some in
    #: the other.
    toml: Literal["quoted", "bare", "either"] = "quoted"
    #: Makes of a value a text for people, with no secrets in it; None: as `format` does.
    mask: Callable[[Any], str] | None = None
    #: Whether the option may be given several times, and be a list in a file: `parse` reads all of
    #: them then, with spaces between them.
    is_repeated: bool = False

    def show(self, value: Any) -> str:  # noqa: ANN401  # a value of the kind
        """Write a value for people: as it is told, without secrets."""
        return (self.mask or self.format)(value)

    def text_of(self, value: object) -> str:
        """Return the text that `parse` reads of a value as a TOML file has it.

        Raises:
            ValueError: the file has another type there than values of this kind have.
        """
        if self.is_repeated and isinstance(value, list):
            return " ".join(map(self.text_of, value))
        if isinstance(value, str):
            if self.toml == "bare":
                raise ValueError(f"write {self.placeholder} without quotes")
            return value
        if self.toml == "quoted":
            raise ValueError(f"write {self.placeholder} in quotes")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def toml_of(self, text: str) -> str:
        """Write a text that `parse` reads as a TOML file has it."""
        is_bare = self.toml != "quoted" and _BARE.fullmatch(text)
        return text if is_bare else json.dumps(text, ensure_ascii=False)


def _parse_boolean(text: str) -> bool:
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise ValueError(f"{text!r} is neither true (or 1) nor false (or 0)")


def _parse_audit_log(text: str) -> str:
    if not text:
        raise ValueError(f"'' names no file; {TO_NOTHING} stands for no audit log")
    return text


def _parse_hosts(text: str) -> tuple[str, ...]:
    if text == NONE:
        return ()
    for name in text.split():
        if not _HOST.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a host, such as q.example.com, *.example.com or *; write"
                " it without a port"
            )
    return tuple(dict.fromkeys(name.lower() for name in text.split()))


def _parse_advertise(text: str) -> Address:
    address = Address.parse(text)
    if address.is_every_host or not address.port:
        raise ValueError(f"{text!r} is nowhere that others can connect to; write host:port")
    return address


def _parse_traces_to(text: str) -> str:
    if text != TRACES_BY_ENVIRONMENT and not _COLLECTOR.fullmatch(text):
        raise ValueError(
            f"{text!r} is no address of a collector; write it like http://localhost:4317"
        )
    return text


def _number(text: str, maximum: float, rule: str) -> float:
    """Read a number from 0 to `maximum`; `rule` says what a text is not."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    # Not a number is in no range either.
    if not 0 <= number <= maximum:
        raise ValueError(f"{text!r} is not {rule}")
    return number


def _parse_ratio(text: str) -> float:
    return _number(text, 1, "a number from 0 to 1")


def whole_number(minimum: int, maximum: int) -> Kind:
    """Make the kind of whole numbers from `minimum` to `maximum`."""

    def parse(text: str) -> int:
        # int() takes spaces, underscores and other scripts' digits as well.
        if not (_DIGITS.fullmatch(text) and minimum <= int(text) <= maximum):
            raise ValueError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return Kind(placeholder="N", parse=parse, toml="bare")


def seconds(maximum: float) -> Kind:
    """Make the kind of numbers of seconds from 0 to `maximum`, fractions included."""

    def parse(text: str) -> float:
        return _number(text, maximum, f"a number of seconds from 0 to {maximum:g}")

    # repr() keeps every digit, "g" would not.
    return Kind(
        placeholder="SECONDS",
        parse=parse,
        format=lambda value: repr(float(value)),
        toml="bare",
    )


def _choice(one: str, other: str) -> Kind:
    """Make the kind of two words."""

    def parse(text: str) -> str:
        if text not in {one, other}:
            raise ValueError(f"{text!r} is neither {one} nor {other}")
        return text

    return Kind(placeholder=f"{one}|{other}", parse=parse)


def _optional(kind: Kind, word: str = NONE) -> Kind:
    """Make the kind of the same values and of None, for which a word stands."""
    return replace(
        kind,
        placeholder=f"{kind.placeholder}|{word}",
        parse=lambda text: None if text == word else kind.parse(text),
        format=lambda value: word if value is None else kind.format(value),
        mask=lambda value: word if value is None else kind.show(value),
    )


def _path(placeholder: str, noun: str, missing: str) -> Kind:
    """Make the kind of paths of a `noun`, and of None where there is no `missing`."""

    def parse(text: str) -> Path:
        if not text:
            raise ValueError(f"'' names no {noun}; {NONE} stands for no {missing}")
        return Path(text)

    def write(path: Path) -> str:
        # One of that very name needs to be told from the word.
        return f"./{path}" if str(path) == NONE else str(path)

    return _optional(Kind(placeholder=placeholder, parse=parse, format=write))


ACCESS = _path("FILE", "file", "access file")
AUDIT_LOG = Kind(placeholder=f"FILE|{TO_LOG}|{TO_NOTHING}", parse=_parse_audit_log)
ADVERTISE = _optional(Kind(placeholder="HOST:PORT", parse=_parse_advertise), AUTO)
ADDRESS = Kind(placeholder="[HOST]:PORT", parse=Address.parse)
BOOLEAN = Kind(
    placeholder="true|false",
    parse=_parse_boolean,
    format=lambda value: "true" if value else "false",
    toml="bare",
)
CACHE_BYTES = replace(_optional(whole_number(0, _CACHE_BYTES_MAX), AUTO), toml="either")
CLIENT_CERT = _choice("required", "optional")
DATA = _path("DIR", "directory", "data directory")
FILE = _path("FILE", "file", "file")
HOSTS = Kind(
    placeholder=f"NAME|{NONE}",
    parse=_parse_hosts,
    format=lambda names: " ".join(names) or NONE,
    is_repeated=True,
)
POSTGRES = _optional(
    Kind(
        placeholder="[NAME=]DSN",
        parse=Databases.parse,
        # The server process has to know the passwords.
        format=lambda databases: databases.secret_text,
        mask=str,
        is_repeated=True,
    )
)
QUIT_FROM = _choice("loopback", "any")
RATIO = Kind(
    placeholder="RATIO",
    parse=_parse_ratio,
    format=lambda ratio: repr(float(ratio)),
    toml="bare",
)
REQUEST_LOG = _choice("none", "stdout")
TRACES_TO = _optional(Kind(placeholder=f"URL|{TRACES_BY_ENVIRONMENT}", parse=_parse_traces_to))
