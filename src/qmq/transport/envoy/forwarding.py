"""How a q of a cluster that does not lead hands on calls: Envoy does it by itself.

Envoy watches two files: one says which routes hold, the other where the leader is. A call of the
service Q is sent on as it came, so that deadlines, cancellations, streams, statuses and trailers
pass through; REST and gRPC-Web have become gRPC before. A header marks a call that was sent on.
Such a call goes to the application of the q that gets it, whatever its routes: so it is sent on
only once. An answer with the header `AGAIN` says that nothing was done: the call is sent anew, to
the leader of that moment.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qmq.errors import NotLeading
from qmq.transport.envoy.endpoint import Endpoint, socket_address
from qmq.transport.envoy.replies import JsonObject
from qmq.transport.envoy.tls import ClientTls
from qmq.transport.envoy.upstream import http2, unlimited
from qmq.transport.envoy.watched import source
from qmq.transport.forwarded import AGAIN, FORWARDED, PROTOCOL
from qmq.transport.status import status_of

#: The upstream cluster, and the name of its statistics.
LEADER: Final = "leader"

#: Seconds that connecting to a leader may take; the machine may be gone.
_CONNECT_TIMEOUT_S: Final = 1.0

#: Seconds from one sign of life to the next that a leader is asked for, and for which it is waited.
_KEEPALIVE_S: Final = 1.0

#: How often a call is sent anew of which it is sure that nothing was done, and the pauses before
#: that, in seconds: each is drawn between 0 and twice the one before, up to the longest. Together
#: they are about three seconds, in which a leader that has shut down is succeeded.
_REPEATS_MAX: Final = 12
_PAUSE_S: Final = 0.05
_PAUSE_S_MAX: Final = 0.5

#: Calls that wait to be sent anew at a time.
_REPEATING_MAX: Final = 10_000


#: Bytes that the leader may send on one call, and on one connection, before they are taken. A
#: client that does not read holds up its own call only.
_STREAM_WINDOW_BYTES: Final = 1024 * 1024
_CONNECTION_WINDOW_BYTES: Final = 256 * 1024 * 1024

#: The answer to callers if Envoy could not hand on their call, or lost it.
NOT_REACHED: Final = "the cluster's leader does not answer; the call may or may not have had effect"


@dataclass(frozen=True, slots=True)
class Files:
    """Where Envoy reads what changes while it runs."""

    routes: Path
    leader: Path

    @classmethod
    def in_directory(cls, directory: Path) -> "Files":
        """Return the files of a runtime directory."""
        return cls(directory / "routes.json", directory / "leader.json")


def endpoints(leaders: Sequence[Endpoint], name: str = "") -> JsonObject:
    """Build the resource that says where the leader is; numeric hosts, of which any will do.

    With TLS, its certificate has to be that of `name`.
    """
    found = [{"endpoint": {"address": socket_address(each), "hostname": name}} for each in leaders]
    return {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": LEADER,
        "endpoints": [{"lb_endpoints": found}],
    }


def cluster(files: Files, tls: ClientTls | None = None) -> JsonObject:
    """Build the upstream cluster: the leader, wherever it is, and whether it is asked by TLS."""
    protocol: JsonObject = {
        "connection_keepalive": {
            "interval": f"{_KEEPALIVE_S}s",
            "timeout": f"{_KEEPALIVE_S}s",
            # Its jitter would add to the time in which a dead leader is noticed.
            "interval_jitter": {"value": 0},
        },
        "initial_stream_window_size": _STREAM_WINDOW_BYTES,
        "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
    }
    return {
        "name": LEADER,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": source(files.leader)},
        "connect_timeout": f"{_CONNECT_TIMEOUT_S}s",
        **unlimited(max_retries=_REPEATING_MAX),
        **http2(protocol),
        **({"transport_socket": tls.transport_socket(alpn=["h2"])} if tls else {}),
    }


def to_leader(*, idle_timeout: JsonObject) -> JsonObject:
    """Build what a route says of calls that are sent on, besides its idle timeout."""
    return {
        "route": {
            "cluster": LEADER,
            "timeout": "0s",
            **idle_timeout,
            "retry_policy": {
                # Cases in which the leader has not begun with the call, and nothing else.
                "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
                "retriable_headers": [{"name": AGAIN, "present_match": True}],
                "num_retries": _REPEATS_MAX,
                "retry_back_off": {
                    "base_interval": f"{_PAUSE_S}s",
                    "max_interval": f"{_PAUSE_S_MAX}s",
                },
            },
        },
        "request_headers_to_add": [
            {
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for name, value in (
                (FORWARDED, "%DOWNSTREAM_REMOTE_ADDRESS%"),
                (PROTOCOL, "%PROTOCOL%"),
            )
        ],
        "response_headers_to_remove": [AGAIN],
    }


def is_forwarded() -> JsonObject:
    """Build the part of a route's match that tells of calls that were sent on once."""
    return {"name": FORWARDED, "present_match": True}


def not_reached_details() -> str:
    """Return the grpc-status-details-bin of calls that Envoy could not hand on, or lost."""
    return b64encode(status_of(NotLeading(NOT_REACHED)).SerializeToString()).rstrip(b"=").decode()
