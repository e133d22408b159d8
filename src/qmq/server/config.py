"""What q can be told when it starts: one table, read by everything that needs it.

Each field of `Config` says how it is written, what it means and what happens without
it. The command line (`options`), the environment, the JSON that reaches the server
process and docs/configuration.md all come from here.
"""

import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from qmq import limits
from qmq.server.address import Address
from qmq.server.available import available_bytes
from qmq.store.postgres.dsn import Dsn

#: Which callers may end q over HTTP.
QuitFrom = Literal["loopback", "any"]

#: Where a line for each request goes.
RequestLog = Literal["none", "stdout"]

#: What `--data` takes for "no data directory".
NO_DATA = "none"

#: What `--postgres` takes for "no cluster".
NO_CLUSTER = "none"

#: What `--traces-to` takes for "nowhere", and for "as OTEL_EXPORTER_OTLP_ENDPOINT says".
NO_TRACES = "none"
TRACES_BY_ENVIRONMENT = "env"

#: What `--cache-bytes-max` takes for "as the memory that messages may take has it".
BY_MEMORY = "auto"

#: What `--advertise` takes for "as `--listen` has it".
BY_LISTEN = "auto"

#: Stands for a data directory that was not told, until it is known whether there is one by default.
_UNTOLD = Path("$XDG_STATE_HOME/q")

# The most that may be asked for: above these a value is a slip of the finger.
_DRAIN_TIMEOUT_MAX_S = 3_600.0
_QUEUES_MAX = 10_000_000
_CACHE_BYTES_MAX = 1 << 40
_MEMORY_MAX = 1 << 50
_TRANSFER_TIMEOUT_MAX_S = 86_400
_CALLS_MAX = 1_000_000
_CONNECTIONS_MAX = 1_000_000
_REPLICAS_MAX = 100

#: Of the memory that there is, what messages may take: the rest is for the server itself, for what
#: is on its way, and for what Python needs besides what it uses.
_MEMORY_SHARE_PERCENT = 60

#: Of what messages may take, one part in so many is for those of DISK queues that are cached.
_CACHE_SHARE = 16

#: Of the memory that there is, what Envoy's share, and with it all large objects of Python's, may
#: become before calls are cut off.
_HEAP_SHARE_PERCENT = 90

_DIGITS = re.compile("[0-9]{1,20}")
#: A user and a password in it would be shown in lists of processes.
_COLLECTOR = re.compile(r"https?://[^/?#@\s]+/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the values of an option are written and read."""

    #: What stands for a value in the help text.
    placeholder: str
    #: Makes a value of its text; raises ValueError, saying what is wrong with it.
    parse: Callable[[str], Any]
    #: Makes of a value a text that `parse` reads.
    format: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of the table: everything about a field of Config but its value."""

    #: As on the command line, the long one last: `-d`, `--debug`.
    flags: tuple[str, ...]
    kind: Kind
    #: What holds where no value is given, as a person would write it.
    default_text: str
    #: Makes the default, where its text only describes it.
    make_default: Callable[[], Any] | None
    #: Of a number; empty for everything else.
    unit: str
    #: What the option is for, in sentences.
    help: str

    @property
    def name(self) -> str:
        """The field of Config."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable, which counts where the flag is not given."""
        return f"Q_{self.name.upper()}"

    def default(self) -> Any:  # noqa: ANN401  # a value of the kind
        """Return the value that holds where none is given."""
        return self.make_default() if self.make_default else self.kind.parse(self.default_text)


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


def _format_data(data: Path | None) -> str:
    # A directory of that very name needs to be told from the word.
    return NO_DATA if data is None else f"./{data}" if str(data) == NO_DATA else str(data)


def _parse_postgres(text: str) -> Dsn | None:
    return None if text == NO_CLUSTER else Dsn.parse(text)


def _format_postgres(dsn: Dsn | None) -> str:
    # The server process has to know the password.
    return NO_CLUSTER if dsn is None else dsn.secret_text


def _parse_advertise(text: str) -> Address | None:
    if text == BY_LISTEN:
        return None
    address = Address.parse(text)
    if address.is_every_host or not address.port:
        raise ValueError(f"{text!r} is nowhere that others can connect to; write host:port")
    return address


def _format_advertise(address: Address | None) -> str:
    return BY_LISTEN if address is None else str(address)


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


def _parse_cache_bytes(text: str) -> int | None:
    return None if text == BY_MEMORY else _CACHE_BYTES.parse(text)


def _format_cache_bytes(count: int | None) -> str:
    return BY_MEMORY if count is None else str(count)


def _state_directory() -> Path:
    # Imported late: it takes longer than everything else here, and only the launcher needs it.
    import platformdirs  # noqa: PLC0415

    return platformdirs.user_state_path("q", appauthor=False)


def _memory_share() -> int:
    return available_bytes() * _MEMORY_SHARE_PERCENT // 100


def _heap_share() -> int:
    return available_bytes() * _HEAP_SHARE_PERCENT // 100


def _parse_quit_from(text: str) -> QuitFrom:
    if text == "loopback":
        return "loopback"
    if text == "any":
        return "any"
    raise ValueError(f"{text!r} is neither loopback nor any")


def _whole_number(minimum: int, maximum: int) -> Kind:
    def parse(text: str) -> int:
        # int() takes spaces, underscores and other scripts' digits as well.
        if not (_DIGITS.fullmatch(text) and minimum <= int(text) <= maximum):
            raise ValueError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return Kind(placeholder="N", parse=parse)


def _seconds(maximum: float) -> Kind:
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
    return Kind(placeholder="SECONDS", parse=parse, format=lambda seconds: repr(float(seconds)))


_CACHE_BYTES = _whole_number(0, _CACHE_BYTES_MAX)

ADVERTISE = Kind(
    placeholder=f"HOST:PORT|{BY_LISTEN}", parse=_parse_advertise, format=_format_advertise
)
ADDRESS = Kind(placeholder="[HOST]:PORT", parse=Address.parse)
BOOLEAN = Kind(
    placeholder="true|false",
    parse=_parse_boolean,
    format=lambda value: "true" if value else "false",
)
CACHE_BYTES = Kind(
    placeholder=f"N|{BY_MEMORY}", parse=_parse_cache_bytes, format=_format_cache_bytes
)
DATA = Kind(placeholder=f"DIR|{NO_DATA}", parse=_parse_data, format=_format_data)
POSTGRES = Kind(placeholder=f"DSN|{NO_CLUSTER}", parse=_parse_postgres, format=_format_postgres)
QUIT_FROM = Kind(placeholder="loopback|any", parse=_parse_quit_from)
RATIO = Kind(placeholder="RATIO", parse=_parse_ratio, format=lambda ratio: repr(float(ratio)))
REQUEST_LOG = Kind(placeholder="none|stdout", parse=_parse_request_log)
TRACES_TO = Kind(
    placeholder=f"URL|{TRACES_BY_ENVIRONMENT}|{NO_TRACES}",
    parse=_parse_traces_to,
    format=_format_traces_to,
)


def _option(
    *flags: str,
    kind: Kind,
    default_text: str,
    help: str,  # noqa: A002  # what click calls it, too
    unit: str = "",
    make_default: Callable[[], Any] | None = None,
) -> Any:  # noqa: ANN401  # like dataclasses.field: its result suits every type
    """Make a field of Config."""
    row = Option(
        flags=flags,
        kind=kind,
        default_text=default_text,
        make_default=make_default,
        unit=unit,
        help=help,
    )
    return field(default_factory=row.default, metadata={"option": row})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything q is told when it starts.

    Raises:
        ValueError: two options contradict each other; the message names them.
    """

    listen: Address = _option(
        "--listen",
        kind=ADDRESS,
        default_text=":10002",
        help="Where gRPC, gRPC-Web and REST are served. Without a host: on all interfaces.",
    )
    metrics: Address = _option(
        "--metrics",
        kind=ADDRESS,
        default_text=":10003",
        help="Where /metrics and /quitquitquit are served.",
    )
    debug: bool = _option(
        "-d",
        "--debug",
        kind=BOOLEAN,
        default_text="false",
        help="Log every call, and write the log for people rather than as JSON.",
    )
    request_log: RequestLog = _option(
        "--request-log",
        kind=REQUEST_LOG,
        default_text="none",
        help="Where a line for each request of the API port goes, with its method, path, status,"
        " duration, bytes, caller and request id; never with payloads or tokens.",
    )
    #: None: nowhere.
    traces_to: str | None = _option(
        "--traces-to",
        kind=TRACES_TO,
        default_text=NO_TRACES,
        help="The OpenTelemetry collector that spans of calls are sent to, by OTLP over gRPC, such"
        " as http://localhost:4317. Needs qmq[telemetry]. The word"
        f" {TRACES_BY_ENVIRONMENT}: as the variable OTEL_EXPORTER_OTLP_ENDPOINT says; the other"
        " OTEL_ variables count in any case.",
    )
    traces_sample: float = _option(
        "--traces-sample",
        kind=RATIO,
        default_text="0.1",
        help="Which part of the calls is traced whose callers do not say whether to, from 0 to 1.",
    )
    #: None: there is no data directory.
    data: Path | None = _option(
        "--data",
        kind=DATA,
        default_text="$XDG_STATE_HOME/q",
        make_default=lambda: _UNTOLD,
        help=f"Where DISK queues live; made if it is missing. The word {NO_DATA}: nowhere, there"
        " are no DISK queues. $XDG_STATE_HOME is ~/.local/state unless set. With --postgres there"
        " is no data directory.",
    )
    #: None: there is no cluster.
    postgres: Dsn | None = _option(
        "--postgres",
        kind=POSTGRES,
        default_text=NO_CLUSTER,
        help="The PostgreSQL database in which CLUSTER queues live, which all q of the cluster are"
        " given: postgresql://USER@HOST,HOST/DATABASE, with all servers of which"
        " one is the primary. Better by the variable, since others may see a command line. See"
        f" docs/cluster.md. The word {NO_CLUSTER}: there are no CLUSTER queues.",
    )
    #: None: as `advertised` says.
    advertise: Address | None = _option(
        "--advertise",
        kind=ADVERTISE,
        default_text=BY_LISTEN,
        help="Where the other q of the cluster reach this one. The word"
        f" {BY_LISTEN}: where it listens, by this machine's name if that is on all interfaces.",
    )
    require_replicas: int = _option(
        "--require-replicas",
        kind=_whole_number(0, _REPLICAS_MAX),
        default_text="0",
        unit="standbys",
        help="How many synchronous standbys the database must have for q to change CLUSTER queues;"
        " with fewer, changes are refused.",
    )
    postgres_unsynced: bool = _option(
        "--postgres-unsynced",
        kind=BOOLEAN,
        default_text="false",
        help="Take a PostgreSQL also if its fsync or full_page_writes is off, so that a power"
        " failure can lose what was acknowledged, and all else. For tests only.",
    )
    quit_from: QuitFrom = _option(
        "--quit-from",
        kind=QUIT_FROM,
        default_text="loopback",
        help="Who may end q with POST /quitquitquit: callers on this machine, or any caller.",
    )
    #: Seconds.
    drain_timeout: float = _option(
        "--drain-timeout",
        kind=_seconds(_DRAIN_TIMEOUT_MAX_S),
        default_text="10",
        unit="seconds",
        help="How long a shutdown waits for the requests in flight.",
    )
    message_bytes_max: int = _option(
        "--message-bytes-max",
        kind=_whole_number(1, limits.JOURNAL_PENDING_BYTES_MAX),
        default_text=str(limits.MESSAGE_BYTES_MAX),
        unit="bytes",
        help="The largest reply that carries a message, and so the largest message, payload and"
        " tags together. gRPC clients refuse replies above 4 MiB unless told otherwise.",
    )
    queues_max: int = _option(
        "--queues-max",
        kind=_whole_number(1, _QUEUES_MAX),
        default_text=str(limits.QUEUES_MAX),
        unit="queues",
        help="How many queues there may be at a time.",
    )
    #: None: as much as `cache_bytes` says.
    cache_bytes_max: int | None = _option(
        "--cache-bytes-max",
        kind=CACHE_BYTES,
        default_text=BY_MEMORY,
        help="How many bytes of the messages in DISK queues are also kept in memory. The word"
        f" {BY_MEMORY}: a sixteenth of --memory-max, but at least"
        f" {limits.CACHE_BYTES_MIN >> 20} MiB and at most {limits.CACHE_BYTES_MAX >> 20} MiB.",
    )
    memory_max: int = _option(
        "--memory-max",
        kind=_whole_number(0, _MEMORY_MAX),
        default_text="60 % of what the control group or the machine has",
        make_default=_memory_share,
        unit="bytes",
        help="How much memory the messages of all queues may take; what would be more is refused."
        " 0: as much as there is. What counts as how much is told in docs/operations.md.",
    )

    connections_max: int = _option(
        "--connections-max",
        kind=_whole_number(1, _CONNECTIONS_MAX),
        default_text=str(limits.CONNECTIONS_MAX),
        unit="connections",
        help="How many connections clients may have open; more are closed at once. The limit of"
        " open files bounds it as well.",
    )
    calls_max: int = _option(
        "--calls-max",
        kind=_whole_number(1, _CALLS_MAX),
        default_text=str(limits.CALLS_MAX),
        unit="calls",
        help="How many calls may be under way, those that wait for messages and streams included;"
        " more are refused.",
    )
    transfer_bytes_max: int = _option(
        "--transfer-bytes-max",
        kind=_whole_number(1, _MEMORY_MAX),
        default_text=str(limits.TRANSFER_BYTES_MAX),
        unit="bytes",
        help="How much requests larger than 256 KiB may take together, while they come in and are"
        " worked on, and as much again replies that are not read yet; more are refused, or wait.",
    )
    transfer_timeout: int = _option(
        "--transfer-timeout",
        kind=_whole_number(1, _TRANSFER_TIMEOUT_MAX_S),
        default_text=str(limits.TRANSFER_TIMEOUT_S),
        unit="seconds",
        help="How long a request may take to come in, and a reply to be read, before the call is"
        " ended. Waiting for messages does not count.",
    )
    heap_max: int = _option(
        "--heap-max",
        kind=_whole_number(0, _MEMORY_MAX),
        default_text="90 % of what the control group or the machine has",
        make_default=_heap_share,
        unit="bytes",
        help="How large the heap may become before calls are cut off, those first for which most is"
        " buffered. 0: none are. docs/operations.md tells what is in it.",
    )

    def __post_init__(self) -> None:
        if self.data is _UNTOLD:
            # What a frozen object does not know before, it may still be made with.
            object.__setattr__(self, "data", None if self.postgres else _state_directory())
        self._check_cluster()
        if self.listen.overlaps(self.metrics):
            raise ValueError(
                f"--metrics {self.metrics} overlaps --listen {self.listen}; give them two ports"
            )

    def _check_cluster(self) -> None:
        if self.postgres and self.data:
            raise ValueError(
                f"--data {self.data} and --postgres exclude each other: DISK queues belong to one"
                " machine, and every q of a cluster answers for all queues; leave one out"
            )
        if not self.postgres and (self.advertise or self.require_replicas):
            name = "--advertise" if self.advertise else "--require-replicas"
            raise ValueError(f"{name} is for a cluster, and there is none without --postgres")

    @property
    def advertised(self) -> Address:
        """Where the other q of the cluster reach this one, when `listen` has its final port."""
        if self.advertise:
            return self.advertise
        host = socket.gethostname() if self.listen.is_every_host else self.listen.host
        return Address(host, self.listen.port)

    @property
    def cache_bytes(self) -> int:
        """How many bytes of memory the messages of DISK queues may take that are cached."""
        if self.cache_bytes_max is not None:
            return self.cache_bytes_max
        share = (self.memory_max or _memory_share()) // _CACHE_SHARE
        return min(max(share, limits.CACHE_BYTES_MIN), limits.CACHE_BYTES_MAX)

    def to_json(self) -> str:
        """Write the configuration as a JSON object of texts, one for each option."""
        texts = {option.name: option.kind.format(getattr(self, option.name)) for option in OPTIONS}
        return json.dumps(texts)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls.from_texts(json.loads(text))

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Make a configuration of options by name, as text; those left out have their defaults.

        Raises:
            ValueError: a text breaks its option's rule, or two contradict each other.
        """
        kinds = {option.name: option.kind for option in OPTIONS}
        return cls(**{name: kinds[name].parse(text) for name, text in texts.items()})


#: The table, in the order in which help and reference list it.
OPTIONS: tuple[Option, ...] = tuple(each.metadata["option"] for each in fields(Config))
