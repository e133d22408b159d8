"""How the values of options are written and read: one `Kind` for each sort of value."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qmq.observe.audit import TO_LOG, TO_NOTHING
from qmq.server.address import Address
from qmq.store.postgres.dsn import Databases

#: Which callers may end q over HTTP.
QuitFrom = Literal["loopback", "any"]

#: Where a line for each request goes.
RequestLog = Literal["none", "stdout"]

#: What `--data` takes for "no data directory".
NO_DATA = "none"

#: What `--postgres` takes for "no cluster".
NO_CLUSTER = "none"

#: What `--access` takes for "nobody is asked who calls".
NO_ACCESS = "none"
#: What `--traces-to` takes for "nowhere", and for "as OTEL_EXPORTER_OTLP_ENDPOINT says".
NO_TRACES = "none"
TRACES_BY_ENVIRONMENT = "env"

#: What `--cache-bytes-max` takes for "as the memory that messages may take has it".
BY_MEMORY = "auto"

#: What options that name a file take for "no file".
NO_FILE = "none"

#: What `--allow-host` takes for "no further names".
NO_HOSTS = "none"

#: Whether clients without a certificate are refused, where there is a CA for such.
ClientCert = Literal["required", "optional"]

#: What `--advertise` takes for "as `--listen` has it".
BY_LISTEN = "auto"

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


def _parse_data(text: str) -> Path | None:
    if not text:
        raise ValueError(f"'' names no directory; {NO_DATA} stands for no data directory")
    return None if text == NO_DATA else Path(text)


def _parse_access(text: str) -> Path | None:
    if not text:
        raise ValueError(f"'' names no file; {NO_ACCESS} stands for no access file")
    return None if text == NO_ACCESS else Path(text)


def _format_access(path: Path | None) -> str:
    # A file of that very name needs to be told from the word.
    return NO_ACCESS if path is None else f"./{path}" if str(path) == NO_ACCESS else str(path)


def _parse_audit_log(text: str) -> str:
    if not text:
        raise ValueError(f"'' names no file; {TO_NOTHING} stands for no audit log")
    return text


def _format_data(data: Path | None) -> str:
    # A directory of that very name needs to be told from the word.
    return NO_DATA if data is None else f"./{data}" if str(data) == NO_DATA else str(data)


def _parse_postgres(text: str) -> Databases | None:
    return None if text == NO_CLUSTER else Databases.parse(text)


def _format_postgres(databases: Databases | None) -> str:
    # The server process has to know the passwords.
    return NO_CLUSTER if databases is None else databases.secret_text


def _parse_hosts(text: str) -> tuple[str, ...]:
    if text == NO_HOSTS:
        return ()
    for name in text.split():
        if not _HOST.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a host, such as q.example.com, *.example.com or *; write"
                " it without a port"
            )
    return tuple(dict.fromkeys(name.lower() for name in text.split()))


def _format_hosts(names: tuple[str, ...]) -> str:
    return " ".join(names) or NO_HOSTS


def _parse_advertise(text: str) -> Address | None:
    if text == BY_LISTEN:
        return None
    address = Address.parse(text)
    if address.is_every_host or not address.port:
        raise ValueError(f"{text!r} is nowhere that others can connect to; write host:port")
    return address


def _format_advertise(address: Address | None) -> str:
    return BY_LISTEN if address is None else str(address)


def _parse_cache_bytes(text: str) -> int | None:
    return None if text == BY_MEMORY else _CACHE_BYTES.parse(text)


def _format_cache_bytes(count: int | None) -> str:
    return BY_MEMORY if count is None else str(count)


def _parse_file(text: str) -> Path | None:
    if not text:
        raise ValueError(f"'' names no file; {NO_FILE} stands for no file")
    return None if text == NO_FILE else Path(text)


def _format_file(file: Path | None) -> str:
    # A file of that very name needs to be told from the word.
    return NO_FILE if file is None else f"./{file}" if str(file) == NO_FILE else str(file)


def _parse_client_cert(text: str) -> ClientCert:
    if text == "required":
        return "required"
    if text == "optional":
        return "optional"
    raise ValueError(f"{text!r} is neither required nor optional")


def _parse_quit_from(text: str) -> QuitFrom:
    if text == "loopback":
        return "loopback"
    if text == "any":
        return "any"
    raise ValueError(f"{text!r} is neither loopback nor any")


def _parse_traces_to(text: str) -> str | None:
    if text == NO_TRACES:
        return None
    if text != TRACES_BY_ENVIRONMENT and not _COLLECTOR.fullmatch(text):
        raise ValueError(
            f"{text!r} is no address of a collector; write it like http://localhost:4317"
        )
    return text


def _format_traces_to(url: str | None) -> str:
    return NO_TRACES if url is None else url


def _parse_ratio(text: str) -> float:
    rule = f"{text!r} is not a number from 0 to 1"
    try:
        ratio = float(text)
    except ValueError:
        raise ValueError(rule) from None
    if not 0 <= ratio <= 1:
        raise ValueError(rule)
    return ratio


def _parse_request_log(text: str) -> RequestLog:
    if text == "none":
        return "none"
    if text == "stdout":
        return "stdout"
    raise ValueError(f"{text!r} is neither none nor stdout")


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
        rule = f"{text!r} is not a number of seconds from 0 to {maximum:g}"
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError(rule) from None
        if not 0 <= seconds <= maximum:
            raise ValueError(rule)
        return seconds

    # repr() keeps every digit, "g" would not.
    return Kind(
        placeholder="SECONDS",
        parse=parse,
        format=lambda value: repr(float(value)),
        toml="bare",
    )


_CACHE_BYTES = whole_number(0, _CACHE_BYTES_MAX)

ACCESS = Kind(placeholder=f"FILE|{NO_ACCESS}", parse=_parse_access, format=_format_access)
AUDIT_LOG = Kind(placeholder=f"FILE|{TO_LOG}|{TO_NOTHING}", parse=_parse_audit_log)
ADVERTISE = Kind(
    placeholder=f"HOST:PORT|{BY_LISTEN}", parse=_parse_advertise, format=_format_advertise
)
ADDRESS = Kind(placeholder="[HOST]:PORT", parse=Address.parse)
BOOLEAN = Kind(
    placeholder="true|false",
    parse=_parse_boolean,
    format=lambda value: "true" if value else "false",
    toml="bare",
)
CACHE_BYTES = Kind(
    placeholder=f"N|{BY_MEMORY}",
    parse=_parse_cache_bytes,
    format=_format_cache_bytes,
    toml="either",
)
CLIENT_CERT = Kind(placeholder="required|optional", parse=_parse_client_cert)
DATA = Kind(placeholder=f"DIR|{NO_DATA}", parse=_parse_data, format=_format_data)
FILE = Kind(placeholder=f"FILE|{NO_FILE}", parse=_parse_file, format=_format_file)
HOSTS = Kind(
    placeholder=f"NAME|{NO_HOSTS}", parse=_parse_hosts, format=_format_hosts, is_repeated=True
)
POSTGRES = Kind(
    placeholder=f"[NAME=]DSN|{NO_CLUSTER}",
    parse=_parse_postgres,
    format=_format_postgres,
    mask=lambda databases: NO_CLUSTER if databases is None else str(databases),
    is_repeated=True,
)
QUIT_FROM = Kind(placeholder="loopback|any", parse=_parse_quit_from)
RATIO = Kind(
    placeholder="RATIO",
    parse=_parse_ratio,
    format=lambda ratio: repr(float(ratio)),
    toml="bare",
)
REQUEST_LOG = Kind(placeholder="none|stdout", parse=_parse_request_log)
TRACES_TO = Kind(
    placeholder=f"URL|{TRACES_BY_ENVIRONMENT}|{NO_TRACES}",
    parse=_parse_traces_to,
    format=_format_traces_to,
)
