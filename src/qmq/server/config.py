"""What q can be told when it starts: one table, read by everything that needs it.

Each field of `Config` says how it is written, what it means and what happens without
it. The command line (`options`), the environment, the JSON that reaches the server
process and docs/configuration.md all come from here.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qmq import limits
from qmq.observe.audit import TO_LOG, TO_NOTHING
from qmq.server import exposure
from qmq.server.address import Address
from qmq.server.available import available_bytes
from qmq.server.option_kinds import (
    ACCESS,
    ADDRESS,
    ADVERTISE,
    AUDIT_LOG,
    AUTO,
    BOOLEAN,
    CACHE_BYTES,
    CLIENT_CERT,
    DATA,
    FILE,
    HOSTS,
    NONE,
    POSTGRES,
    QUIT_FROM,
    RATIO,
    REQUEST_LOG,
    TRACES_BY_ENVIRONMENT,
    TRACES_TO,
    ClientCert,
    QuitFrom,
    RequestLog,
    seconds,
    whole_number,
)
from qmq.server.option_table import Table, option
from qmq.store.postgres.dsn import Databases

#: The options that make q ask callers who they are.
REMEDY = "--access FILE"

#: Stands for a data directory that was not told, until it is known whether there is one by default.
_UNTOLD = Path("$XDG_STATE_HOME/q")

# The most that may be asked for: above these a value is a slip of the finger.
_DRAIN_TIMEOUT_MAX_S = 3_600.0
_QUEUES_MAX = 10_000_000
_MEMORY_MAX = 1 << 50
_TRANSFER_TIMEOUT_MAX_S = 86_400
_CALLS_MAX = 1_000_000
_CONNECTIONS_MAX = 1_000_000
_REPLICAS_MAX = 100

#: The share of memory that messages may take: the rest is for the server itself, for requests and
#: replies on their way, and for memory that Python keeps unused.
_MEMORY_SHARE_PERCENT = 60

#: One part in so many of the memory for messages is for cached messages of DISK queues.
_CACHE_SHARE = 16

#: The share of memory that Envoy's heap, with all large objects of Python's in it, may take before
#: calls are cut off.
_HEAP_SHARE_PERCENT = 90


def _state_directory() -> Path:
    # Imported late: it takes longer than everything else here, and only the launcher needs it.
    import platformdirs  # noqa: PLC0415

    return platformdirs.user_state_path("q", appauthor=False)


def _memory_share() -> int:
    return available_bytes() * _MEMORY_SHARE_PERCENT // 100


def _heap_share() -> int:
    return available_bytes() * _HEAP_SHARE_PERCENT // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Table):
    """Everything q is told when it starts.

    Raises:
        ValueError: two options contradict each other; the message names them.
    """

    listen: Address = option(
        "--listen",
        kind=ADDRESS,
        default_text=":10002",
        help="Where gRPC, gRPC-Web and REST are served. Without a host: on all interfaces if"
        " callers are asked who they are or with --insecure, otherwise on loopback.",
    )
    metrics: Address = option(
        "--metrics",
        kind=ADDRESS,
        default_text=":10003",
        help="Where /metrics and /quitquitquit are served. Without a host: as with --listen.",
    )
    insecure: bool = option(
        "--insecure",
        kind=BOOLEAN,
        default_text="false",
        help="Let everyone who reaches q do everything. Without this, q listens on loopback only,"
        " unless callers are asked who they are.",
    )
    allow_host: tuple[str, ...] = option(
        "--allow-host",
        kind=HOSTS,
        default_text=NONE,
        is_reloadable=True,
        help="A name by which browsers may call q, such as that of a proxy in front of it; can be"
        " given several times. Without it, a q that asks nobody who they are and has no TLS"
        " answers only to localhost, IP addresses and names without a dot, so that pages of"
        " other sites cannot call it. *.NAME: all names below it. *: every name. See"
        " docs/access.md.",
    )
    #: None: the ports speak no TLS. So with the key.
    tls_cert: Path | None = option(
        "--tls-cert",
        kind=FILE,
        default_text=NONE,
        help="The certificate that q shows, followed by those between it and its CA: with it, both"
        " ports speak TLS alone. PEM; read again when it changes. See docs/tls.md.",
    )
    tls_key: Path | None = option(
        "--tls-key",
        kind=FILE,
        default_text=NONE,
        help="The key of that certificate, without a passphrase.",
    )
    #: None: clients are asked for no certificates.
    tls_client_ca: Path | None = option(
        "--tls-client-ca",
        kind=FILE,
        default_text=NONE,
        help="The CAs of the certificates that clients have to show. Read again when it changes.",
    )
    tls_client_cert: ClientCert = option(
        "--tls-client-cert",
        kind=CLIENT_CERT,
        default_text="required",
        help="With --tls-client-ca: required refuses clients without a certificate; optional lets"
        " them in, to show something else, such as a token.",
    )
    #: None: there is no cluster, or it speaks no TLS.
    tls_peer_ca: Path | None = option(
        "--tls-peer-ca",
        kind=FILE,
        default_text=NONE,
        help="The CAs of the certificates of a cluster's q, by which they know each other.",
    )
    debug: bool = option(
        "-d",
        "--debug",
        kind=BOOLEAN,
        default_text="false",
        is_reloadable=True,
        help="Log every call, and write the log for people rather than as JSON.",
    )
    request_log: RequestLog = option(
        "--request-log",
        kind=REQUEST_LOG,
        default_text="none",
        help="Where to write a line for each request of the API port: method, path, status,"
        " duration, bytes, caller and request id; never payloads or tokens.",
    )
    #: None: nowhere.
    traces_to: str | None = option(
        "--traces-to",
        kind=TRACES_TO,
        default_text=NONE,
        help="The OpenTelemetry collector that spans of calls are sent to, by OTLP over gRPC, such"
        " as http://localhost:4317. Needs qmq[telemetry]. The word"
        f" {TRACES_BY_ENVIRONMENT}: as the variable OTEL_EXPORTER_OTLP_ENDPOINT says; the other"
        " OTEL_ variables count in any case.",
    )
    traces_sample: float = option(
        "--traces-sample",
        kind=RATIO,
        default_text="0.1",
        help="Which share of calls to trace, 0 to 1, if the caller does not say whether to.",
    )
    #: None: nobody is asked who calls.
    access: Path | None = option(
        "--access",
        kind=ACCESS,
        default_text=NONE,
        help="A file that says who may call, and who may do what to which queues; see"
        " docs/access.md. It is read again whenever it changes. `q tokens make` makes one. The word"
        f" {NONE}: whoever reaches the ports may do everything.",
    )
    audit_log: str = option(
        "--audit-log",
        kind=AUDIT_LOG,
        default_text=TO_LOG,
        help="With --access, where it is noted who changed what, and who was refused: a file of"
        f" lines of JSON, or the word {TO_LOG}: q's own log, or {TO_NOTHING}: nowhere.",
    )
    #: None: there is no data directory.
    data: Path | None = option(
        "--data",
        kind=DATA,
        default_text="$XDG_STATE_HOME/q",
        make_default=lambda: _UNTOLD,
        example="/var/lib/q",
        help=f"Where DISK queues live; made if it is missing. The word {NONE}: nowhere, there"
        " are no DISK queues. $XDG_STATE_HOME is ~/.local/state unless set. With --postgres there"
        " is no data directory.",
    )
    #: None: there is no cluster.
    postgres: Databases | None = option(
        "--postgres",
        kind=POSTGRES,
        default_text=NONE,
        help="The PostgreSQL database in which CLUSTER queues live, which all q of the cluster are"
        " given: postgresql://USER@HOST,HOST/DATABASE, with all servers of which"
        " one is the primary. Given several times, or several in the variable with spaces between"
        " them, the queues are divided among them; each but the first has a name then,"
        " NAME=postgresql://..., and keeps it. Better by the variable, since others may see a"
        f" command line. See docs/cluster.md. The word {NONE}: there are no CLUSTER queues.",
    )
    #: None: as `advertised` says.
    advertise: Address | None = option(
        "--advertise",
        kind=ADVERTISE,
        default_text=AUTO,
        help="Where the other q of the cluster reach this one. The word"
        f" {AUTO}: where it listens, by this machine's name if that is on all interfaces.",
    )
    require_replicas: int = option(
        "--require-replicas",
        kind=whole_number(0, _REPLICAS_MAX),
        default_text="0",
        unit="standbys",
        help="How many synchronous standbys the database must have; with fewer, changes to CLUSTER"
        " queues are refused.",
    )
    postgres_unsynced: bool = option(
        "--postgres-unsynced",
        kind=BOOLEAN,
        default_text="false",
        help="Accept a PostgreSQL whose fsync or full_page_writes is off: a power failure can then"
        " lose everything, acknowledged or not. For tests only.",
    )
    quit_from: QuitFrom = option(
        "--quit-from",
        kind=QUIT_FROM,
        default_text="loopback",
        is_reloadable=True,
        help="Who may stop q with POST /quitquitquit: callers on this machine, or any caller. With"
        " --access, callers on other machines need the right admin for every queue.",
    )
    #: Seconds.
    drain_timeout: float = option(
        "--drain-timeout",
        kind=seconds(_DRAIN_TIMEOUT_MAX_S),
        default_text="10",
        unit="seconds",
        is_reloadable=True,
        help="How long a shutdown waits for the requests in flight.",
    )
    message_bytes_max: int = option(
        "--message-bytes-max",
        kind=whole_number(1, limits.JOURNAL_PENDING_BYTES_MAX),
        default_text=str(limits.MESSAGE_BYTES_MAX),
        unit="bytes",
        help="The largest reply that carries a message, and so the largest message, payload and"
        " tags together. gRPC clients refuse replies above 4 MiB unless told otherwise.",
    )
    queues_max: int = option(
        "--queues-max",
        kind=whole_number(1, _QUEUES_MAX),
        default_text=str(limits.QUEUES_MAX),
        unit="queues",
        is_reloadable=True,
        help="How many queues there may be at a time.",
    )
    #: None: as much as `cache_bytes` says.
    cache_bytes_max: int | None = option(
        "--cache-bytes-max",
        kind=CACHE_BYTES,
        default_text=AUTO,
        help="How many bytes of the messages in DISK queues are also kept in memory. The word"
        f" {AUTO}: a sixteenth of --memory-max, but at least"
        f" {limits.CACHE_BYTES_MIN >> 20} MiB and at most {limits.CACHE_BYTES_MAX >> 20} MiB.",
    )
    memory_max: int = option(
        "--memory-max",
        kind=whole_number(0, _MEMORY_MAX),
        default_text="60 % of what the control group or the machine has",
        make_default=_memory_share,
        unit="bytes",
        is_reloadable=True,
        example="4294967296",
        help="How much memory the messages of all queues may take; adds beyond it are refused. 0:"
        " no limit. docs/operations.md says what counts.",
    )

    connections_max: int = option(
        "--connections-max",
        kind=whole_number(1, _CONNECTIONS_MAX),
        default_text=str(limits.CONNECTIONS_MAX),
        unit="connections",
        help="How many connections clients may have open; further ones are closed at once. The"
        " limit of open files must allow for them.",
    )
    calls_max: int = option(
        "--calls-max",
        kind=whole_number(1, _CALLS_MAX),
        default_text=str(limits.CALLS_MAX),
        unit="calls",
        is_reloadable=True,
        help="How many calls may be under way, including streams and calls that wait for messages;"
        " further ones are refused.",
    )
    transfer_bytes_max: int = option(
        "--transfer-bytes-max",
        kind=whole_number(1, _MEMORY_MAX),
        default_text=str(limits.TRANSFER_BYTES_MAX),
        unit="bytes",
        is_reloadable=True,
        help="How many bytes requests larger than 256 KiB may take together while they arrive and"
        " are worked on, and as much again for unread replies; more are refused, or wait.",
    )
    transfer_timeout: int = option(
        "--transfer-timeout",
        kind=whole_number(1, _TRANSFER_TIMEOUT_MAX_S),
        default_text=str(limits.TRANSFER_TIMEOUT_S),
        unit="seconds",
        help="How long a request may take to arrive, and a reply to be read, before the call is"
        " ended. Waiting for messages does not count.",
    )
    heap_max: int = option(
        "--heap-max",
        kind=whole_number(0, _MEMORY_MAX),
        default_text="90 % of what the control group or the machine has",
        make_default=_heap_share,
        unit="bytes",
        example="6442450944",
        help="How large the heap may become before calls are cut off, those with the most buffered"
        " bytes first. 0: never. docs/operations.md says what is in it.",
    )

    def __post_init__(self) -> None:
        if self.data is _UNTOLD:
            # What a frozen object does not know before, it may still be made with.
            object.__setattr__(self, "data", None if self.postgres else _state_directory())
        super(Config, self).__post_init__()

    def contradictions(self) -> Iterator[str]:
        """Yield how valid options contradict each other, as sentences that name them."""
        yield from self._contradictions_of_exposure()
        yield from self._contradictions_of_tls()
        yield from self._contradictions_of_a_cluster()
        if not self.access and self.audit_log not in {TO_LOG, TO_NOTHING}:
            yield (
                f"--audit-log {self.audit_log} needs --access: without that nobody is asked who"
                " calls"
            )
        if self.listen.overlaps(self.metrics):
            yield f"--metrics {self.metrics} overlaps --listen {self.listen}; give them two ports"

    def _contradictions_of_exposure(self) -> Iterator[str]:
        for name, address in (("--listen", self.listen), ("--metrics", self.metrics)):
            yield from exposure.faults(name, address, is_open=self.is_open, remedy=REMEDY)
        if self.postgres and not self.listen.host and not self.is_open:
            yield (
                f"--listen {self.listen} is on loopback only, where the other q of the cluster do"
                f" not reach this one: give {REMEDY} to ask callers who they are, --insecure to"
                " let everyone do everything, or --listen"
                f" {Address(exposure.LOOPBACK, self.listen.port)} if all q run on this machine"
            )

    def _contradictions_of_tls(self) -> Iterator[str]:
        if bool(self.tls_cert) != bool(self.tls_key):
            yield "--tls-cert and --tls-key go together: give both, or neither"
        cas = {"--tls-client-ca": self.tls_client_ca, "--tls-peer-ca": self.tls_peer_ca}
        for name, path in cas.items():
            if path and not self.tls_cert:
                yield f"{name} needs TLS: give --tls-cert and --tls-key as well"
        if self.tls_client_cert == "optional" and not self.tls_client_ca:
            yield "--tls-client-cert optional says nothing without --tls-client-ca"
        if self.tls_peer_ca and not self.postgres:
            yield "--tls-peer-ca is for a cluster, and there is none without --postgres"
        if self.postgres and self.tls_client_ca:
            yield (
                "--postgres and --tls-client-ca exclude each other: the leader sees the"
                " certificates of those q that send calls on, not of their clients; have clients"
                " show tokens, see docs/tls.md"
            )
        if self.postgres and self.tls_cert and not self.tls_peer_ca:
            yield (
                "--postgres with --tls-cert needs --tls-peer-ca: the CA by which this q knows"
                " whoever leads the cluster"
            )

    def _contradictions_of_a_cluster(self) -> Iterator[str]:
        if self.postgres and self.data:
            yield (
                f"--data {self.data} and --postgres exclude each other: DISK queues belong to one"
                " machine, and every q of a cluster answers for all queues; leave one out"
            )
        if not self.postgres and (self.advertise or self.require_replicas):
            name = "--advertise" if self.advertise else "--require-replicas"
            yield f"{name} is for a cluster, and there is none without --postgres"

    @property
    def asks_who_calls(self) -> bool:
        """Whether callers have to show who they are."""
        needs_cert = self.tls_client_ca is not None and self.tls_client_cert == "required"
        return needs_cert or self.access is not None

    @property
    def is_open(self) -> bool:
        """Whether other machines are let in: callers are asked who they are, or nobody minds."""
        return self.insecure or self.asks_who_calls

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
