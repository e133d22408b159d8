"""Listeners: ports that speak HTTP/1 and HTTP/2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from qmq.ids import REQUEST_ID_CHARS_MAX
from qmq.limits import CONNECTION_CALLS_MAX
from qmq.transport.envoy.endpoint import Endpoint, socket_address
from qmq.transport.envoy.jwt import JWT
from qmq.transport.envoy.replies import JsonObject, local_replies
from qmq.transport.envoy.tls import ServerTls
from qmq.transport.forwarded import FORWARDED

#: Seconds without a sign of life after which a client's connection is looked after.
_KEEPALIVE_S: Final = 60


#: Bytes that a client may send on one stream, and on one connection, before they are taken.
_STREAM_WINDOW_BYTES: Final = 1024 * 1024
_CONNECTION_WINDOW_BYTES: Final = 16 * 1024 * 1024

#: Bytes that are read from one connection before others have their turn, and that wait to be
#: written to one before its replies wait. With 1 MiB, as it is by default, a few that send all they
#: can hold up the others for milliseconds.
_CONNECTION_BUFFER_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port, and what becomes of the requests that arrive there."""

    #: Also the prefix of its statistics.
    name: str
    endpoint: Endpoint
    http_filters: Sequence[JsonObject]
    #: The routes, and what else holds for them.
    virtual_host: JsonObject
    #: Where Envoy reads what `routes` builds; it counts instead of `virtual_host`.
    routes_from: JsonObject | None = None
    #: How many bytes of a request's body filters may hold back at a time.
    body_bytes_max: int
    #: Seconds that a whole reply may wait for its client to read it.
    reply_timeout_s: int
    #: Sentences for callers instead of Envoy's own, by HTTP status.
    sentences: Mapping[int, str] = field(default_factory=dict)
    #: The grpc-status-details-bin of calls that could not be sent on.
    lost_details: str = ""
    access_logs: Sequence[JsonObject] = ()
    #: Whether each request gets an id, unless its caller gave it one.
    makes_request_ids: bool = False
    #: If there is some, nothing else is spoken.
    tls: ServerTls | None = None
    #: Whether a sender of a request is believed that it was sent on, and for whom.
    takes_forwarded: bool = False

    def build(self) -> JsonObject:
        """Build its configuration."""
        network_filter = {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": self._http_connections(),
        }
        chain: JsonObject = {"filters": [network_filter]}
        if self.tls:
            chain["transport_socket"] = self.tls.transport_socket()
        return {"name": self.name, **_socket(self.endpoint), "filter_chains": [chain]}

    def _http_connections(self) -> JsonObject:
        return {
            "@type": "type.googleapis.com/envoy.extensions.filters.network"
            ".http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": self.name,
            **(
                {"rds": {"route_config_name": self.name, "config_source": self.routes_from}}
                if self.routes_from
                else {"route_config": routes(self.name, self.virtual_host, self.body_bytes_max)}
            ),
            "http_filters": list(self.http_filters),
            "access_log": list(self.access_logs),
            **_request_ids(are_made=self.makes_request_ids),
            # Else a header of the caller's would say who the caller is.
            "use_remote_address": True,
            "skip_xff_append": True,
            "early_header_mutation_extensions": [_mutations(takes_forwarded=self.takes_forwarded)],
            # Only Envoy itself says whose certificate it was.
            "forward_client_cert_details": "SANITIZE_SET",
            "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
            "local_reply_config": local_replies(
                self.body_bytes_max, self.sentences, self.lost_details
            ),
            # A long poll or a stream may stay silent for long; a peer that is gone is
            # found by pings and by TCP keep-alive instead.
            "stream_idle_timeout": "0s",
            "stream_flush_timeout": f"{self.reply_timeout_s}s",
            "request_headers_timeout": "10s",
            "http_protocol_options": {
                "accept_http_10": True,
                "default_host_for_http_10": self.name,
            },
            "http2_protocol_options": _http2(),
        }


def _socket(endpoint: Endpoint) -> JsonObject:
    """Build what a listener says of its sockets."""
    more = [{"address": socket_address(Endpoint(h, endpoint.port))} for h in endpoint.more_hosts]
    return {
        "address": socket_address(endpoint),
        **({"additional_addresses": more} if more else {}),
        # Without this a second process could share the port unnoticed.
        "enable_reuse_port": False,
        "connection_balance_config": {"exact_balance": {}},
        "per_connection_buffer_limit_bytes": _CONNECTION_BUFFER_BYTES,
        "tcp_keepalive": {
            "keepalive_time": _KEEPALIVE_S,
            "keepalive_interval": 15,
            "keepalive_probes": 4,
        },
    }


def _http2() -> JsonObject:
    return {
        "max_concurrent_streams": CONNECTION_CALLS_MAX,
        # Of a reply, too, no more than that is buffered before the application has to wait.
        "initial_stream_window_size": _STREAM_WINDOW_BYTES,
        "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
        "connection_keepalive": {"interval": f"{_KEEPALIVE_S}s", "timeout": "20s"},
        # A bad request ends its own stream, not those beside it.
        "override_stream_error_on_invalid_http_message": True,
    }


def routes(name: str, virtual_host: JsonObject, body_bytes_max: int) -> JsonObject:
    """Build the route configuration of a listener; the arguments are fields of `Listener`."""
    host = {
        "name": name,
        "domains": ["*"],
        "request_body_buffer_limit": body_bytes_max,
        **virtual_host,
    }
    # Which clusters there are is of no interest where no filter sends requests to one.
    return {"name": name, "virtual_hosts": [host], "validate_clusters": False}


def _request_ids(*, are_made: bool) -> JsonObject:
    """Say that an id which the caller gave a request stays as it is, and comes back."""
    extension = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
    return {
        "generate_request_id": are_made,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            "typed_config": {
                "@type": f"type.googleapis.com/{extension}",
                "pack_trace_reason": False,
            }
        },
    }


def _mutations(*, takes_forwarded: bool) -> JsonObject:
    """Change the headers of all requests before anything looks at them.

    Every client takes trailers: pyvoy drops a gRPC status otherwise. gRPC demands of clients that
    they say so, but the original did not insist. And no client says what its token says. What is
    long of the id that a client gave a request is cut off. Outside of a cluster no client speaks
    for another.
    """
    removed = (JWT,) if takes_forwarded else (JWT, FORWARDED)
    trailers = {
        "header": {"key": "te", "value": "trailers"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    request_id = {
        "header": {
            "key": "x-request-id",
            "value": f"%REQ(X-REQUEST-ID):{REQUEST_ID_CHARS_MAX}%",
        },
        "append_action": "OVERWRITE_IF_EXISTS",
    }
    extension = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {
        "name": "headers",
        "typed_config": {
            "@type": f"type.googleapis.com/{extension}",
            "mutations": [
                {"append": trailers},
                {"append": request_id},
                *({"remove": name} for name in removed),
            ],
        },
    }
