"""Bootstrap configurations: what Envoy is started with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qmq.transport.envoy import filters
from qmq.transport.envoy.access_log import request_log
from qmq.transport.envoy.listener import Endpoint, listener, socket_address
from qmq.transport.envoy.replies import LOCAL_REPLY_BODY, JsonObject
from qmq.wire import q_pb2

#: Names of the listeners, and of their statistics.
API: Final = "q"
OPS: Final = "ops"
GATEWAY: Final = "qrest"

#: Statistics that /metrics shows or that the shutdown waits for; Envoy keeps no others.
_STATS: Final = (
    rf"http\.({API}|{OPS}|{GATEWAY})\.downstream_(cx_(total|active|tx_bytes_buffered)"
    r"|rq_(total|active|[1-5]xx))"
)

#: Bytes of a reply after its conversion to JSON. A list of queues may be long.
_JSON_REPLY_BYTES_MAX: Final = 64 * 1024 * 1024

#: Bytes that the JSON of a request may have beside its payload, tags above all.
_JSON_OVERHEAD_BYTES_MAX: Final = 1024 * 1024

#: Requests under way to one server: no limit of ours, Envoy's default is 1024.
_UPSTREAM_REQUESTS_MAX: Final = 1_000_000

_BUSIEST_METHODS: Final = ("Add", "Pop", "Lease", "Ack")

#: The route of all requests where an application ends the chain of filters.
_TO_APPLICATION: Final = {"match": {"prefix": "/"}, "non_forwarding_action": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What holds for an Envoy process whatever it serves."""

    #: Path of the pyvoy library.
    pyvoy_module: str
    #: Path of the administration interface's Unix socket.
    admin_socket: str
    #: Open client connections; more are closed at once.
    connections_max: int
    #: Bytes of the largest message that the API carries.
    message_bytes_max: int


def server_bootstrap(
    process: Process, *, listen: Endpoint, metrics: Endpoint, app: str, ops_app: str
) -> JsonObject:
    """Build the bootstrap of q: the API port ("q") and the metrics port ("ops").

    `app` and `ops_app` name ASGI applications as "module:attribute".
    """
    *before, application = [*_api_filters(process), *_application(app, process)]
    api = listener(
        API,
        listen,
        [*before, application],
        {"routes": [*_grpc_routes(before), _TO_APPLICATION]},
        body_bytes_max=json_request_bytes_max(process.message_bytes_max),
    )
    # Shutting down closes the listeners of inbound traffic first, so that the metrics
    # port answers until the end.
    api["traffic_direction"] = "INBOUND"
    ops = listener(
        OPS,
        metrics,
        _application(ops_app, process),
        {"routes": [_TO_APPLICATION]},
        body_bytes_max=0,
    )
    return {**_process(process), "static_resources": {"listeners": [api, ops]}}


def gateway_bootstrap(
    process: Process, *, listen: Endpoint, server: Endpoint, app: str, debug: bool
) -> JsonObject:
    """Build the bootstrap of qrest: REST on one port ("qrest"), gRPC to a server.

    `app` is the ASGI application, as "module:attribute", that answers what is no API
    call. With `debug` the request log is for people to read.
    """
    virtual_host: JsonObject = {
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "server", "timeout": "0s"}}],
        "typed_per_filter_config": {"envoy.filters.http.cors": filters.every_origin()},
    }
    gateway = listener(
        GATEWAY,
        listen,
        [
            filters.vary_by_origin(),
            filters.cors(),
            *_api_filters(process),
            *map(filters.unless_grpc, _application(app, process)),
            filters.router(),
        ],
        virtual_host,
        body_bytes_max=json_request_bytes_max(process.message_bytes_max),
        sentences={503: f"cannot reach the server {server}: {LOCAL_REPLY_BODY}"},
        access_logs=[request_log(debug=debug)],
    )
    gateway["traffic_direction"] = "INBOUND"
    resources = {"listeners": [gateway], "clusters": [_cluster(server)]}
    return {**_process(process), "static_resources": resources}


def json_request_bytes_max(message_bytes_max: int) -> int:
    """Return the bytes of the largest JSON request: base64 makes four bytes of three."""
    return message_bytes_max * 4 // 3 + _JSON_OVERHEAD_BYTES_MAX


def _grpc_routes(unneeded: Sequence[JsonObject]) -> list[JsonObject]:
    """Build a route for each method of q, on which gRPC calls pass by filters made for others.

    Those filters would let a gRPC call through as it is, for 15 % of its processor time.
    """
    disabled = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    content_type = {"name": "content-type", "string_match": {"exact": "application/grpc"}}
    service = q_pb2.DESCRIPTOR.services_by_name["Q"]
    # Envoy tries one route after the other.
    names = dict.fromkeys((*_BUSIEST_METHODS, *(method.name for method in service.methods)))
    return [
        {
            **_TO_APPLICATION,
            "match": {"path": f"/{service.full_name}/{name}", "headers": [content_type]},
            "typed_per_filter_config": {str(each["name"]): disabled for each in unneeded},
        }
        for name in names
    ]


def _application(app: str, process: Process) -> list[JsonObject]:
    """Build the filters that hand requests to an ASGI application."""
    return [filters.text_paths(), filters.python(app, process.pyvoy_module)]


def _api_filters(process: Process) -> list[JsonObject]:
    """Build the filters that make gRPC of gRPC-Web and REST."""
    body_bytes_max = json_request_bytes_max(process.message_bytes_max)
    return [
        filters.grpc_web(),
        filters.strict_rest(body_bytes_max),
        filters.transcoder(
            request_body_bytes_max=body_bytes_max, response_body_bytes_max=_JSON_REPLY_BYTES_MAX
        ),
    ]


def _cluster(server: Endpoint) -> JsonObject:
    """Build the one upstream cluster: gRPC without TLS."""
    protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
    limits = {
        "max_connections": _UPSTREAM_REQUESTS_MAX,
        "max_pending_requests": _UPSTREAM_REQUESTS_MAX,
        "max_requests": _UPSTREAM_REQUESTS_MAX,
    }
    dns = {
        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
        # Of "localhost" and its like, the address that answers.
        "dns_lookup_family": "ALL",
        "dns_refresh_rate": "5s",
        "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "5s"},
    }
    endpoint = {"endpoint": {"address": socket_address(server)}}
    return {
        "name": "server",
        "cluster_type": {"name": "envoy.clusters.dns", "typed_config": dns},
        "connect_timeout": "5s",
        # A server that does not exist yet must not keep the gateway from starting.
        "wait_for_warm_on_init": False,
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            protocol: {
                "@type": f"type.googleapis.com/{protocol}",
                "explicit_http_config": {"http2_protocol_options": http2},
            }
        },
        "load_assignment": {
            "cluster_name": "server",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def _process(process: Process) -> JsonObject:
    connections = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.resource_monitors"
            ".downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": process.connections_max,
        },
    }
    return {
        "admin": {"address": {"pipe": {"path": process.admin_socket, "mode": 0o600}}},
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"safe_regex": {"regex": _STATS}}]}}
        },
        "overload_manager": {"resource_monitors": [connections]},
    }
