"""What qrest can be told when it starts: a table as that of q, see `config`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from qmq import limits
from qmq.server.address import Address
from qmq.server.option_kinds import ADDRESS, BOOLEAN, Kind, whole_number
from qmq.server.option_table import Table, option

_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")


def parse_duration(text: str) -> float:
    """Read a duration such as 1m, 2m30s or 1.5s, and return it in seconds.

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(f"(?:{_TERM.pattern})+", text):
        raise ValueError(f"{text!r} is no duration; write it like 90s, 2m30s or 1h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _TERM.findall(text))


def parse_server(text: str) -> Address:
    """Read the address of a q; one without a host is on this machine.

    Raises:
        ValueError: the text is none.
    """
    address = Address.parse(text)
    if address.port == 0:
        raise ValueError(f"{text!r}: 0 is no port to connect to")
    return Address(address.host or "127.0.0.1", address.port)


_DURATION: Final = Kind(
    placeholder="DURATION",
    parse=parse_duration,
    # No exponent, which the reader would not take.
    format=lambda value: f"{Decimal(repr(float(value))):f}s",
)
_SERVER: Final = Kind(placeholder="[HOST]:PORT", parse=parse_server)

_option = partial(option, prefix="QREST")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig(Table):
    """Everything qrest is told when it starts."""

    server: Address = _option(
        "server",
        kind=_SERVER,
        default_text="",
        example=":10002",
        help="Where q is, which is reached by gRPC. Without a host: on this machine.",
    )
    listen: Address = _option(
        "--listen",
        kind=ADDRESS,
        default_text=":80",
        help="Where to serve REST. Without a host: on all interfaces.",
    )
    debug: bool = _option(
        "-d",
        "--debug",
        kind=BOOLEAN,
        default_text="false",
        help="Write logs for people instead of JSON.",
    )
    #: Seconds.
    close_after: float = _option(
        "--close-after",
        kind=_DURATION,
        default_text="1m",
        is_reloadable=True,
        help="How long a shutdown waits for requests before it closes connections.",
    )
    #: Seconds.
    kill_after: float = _option(
        "--kill-after",
        kind=_DURATION,
        default_text="2m",
        is_reloadable=True,
        help="How long a shutdown may take at all.",
    )
    message_bytes_max: int = _option(
        "--message-bytes-max",
        kind=whole_number(1, limits.JOURNAL_PENDING_BYTES_MAX),
        default_text=str(limits.MESSAGE_BYTES_MAX),
        unit="bytes",
        help="The largest message to pass on; that of the server, if that was changed.",
    )
