"""Bootstrap configurations: what Envoy is started with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from qmq.limits import TRANSFER_TIMEOUT_S, WAIT_S_MAX
from qmq.transport.envoy import filters, forwarding
from qmq.transport.envoy.access_log import request_logs
from qmq.transport.envoy.endpoint import Endpoint, socket_address
from qmq.transport.envoy.jwt import Issuer, clusters, jwt
from qmq.transport.envoy.listener import Listener, routes
from qmq.transport.envoy.replies import LOCAL_REPLY_BODY, JsonObject
from qmq.transport.envoy.tls import ClientTls, ServerTls
from qmq.transport.envoy.upstream import http2, unlimited
from qmq.transport.envoy.watched import source
from qmq.wire import q_pb2

#: Names of the listeners, and of their statistics.
API: Final = "q"
OPS: Final = "ops"
GATEWAY: Final = "qrest"

#: The upstream cluster of a gateway.
SERVER: Final = "server"

#: Statistics that /metrics shows or that the shutdown waits for; Envoy keeps no others.
_STATS: Final = (
    rf"http\.({API}|{OPS}|{GATEWAY})\.downstream_(cx_(total|active|tx_bytes_buffered)"
    r"|rq_(total|active|[1-5]xx))"
    rf"|cluster\.{forwarding.LEADER}\.upstream_"
    r"(cx_(active|connect_fail)|rq_(total|active|retry|retry_limit_exceeded|[1-5]xx))"
    rf"|cluster\.{SERVER}\.membership_healthy"
)

#: Bytes of a reply after its conversion to JSON. A list of queues may be long.
_JSON_REPLY_BYTES_MAX: Final = 64 * 1024 * 1024

#: Bytes that the JSON of a request may have beside its payload, tags above all.
_JSON_OVERHEAD_BYTES_MAX: Final = 1024 * 1024

#: Seconds from one look of a gateway at its server's health to the next.
_HEALTH_CHECK_S: Final = 2

#: Bytes of freed memory that go back to the system each second.
_RELEASED_BYTES: Final = 256 * 1024 * 1024

#: Streams for which at least so many bytes are buffered, as a power of two, may be reset.
_TRACKED_BITS: Final = 18

#: How many of the calls that a connection sends at once begin at once. The others begin in the next
#: turns of Envoy's loop, so that those which it has cancelled by then never do. Who has one or two
#: calls under way waits for no turn.
_RUNTIME: Final = {"http.max_requests_per_io_cycle": 2}

_BUSIEST_METHODS: Final = ("Add", "Pop", "Lease", "Ack")

#: The route of all requests where an application ends the chain of filters.
_TO_APPLICATION: Final = {"match": {"prefix": "/"}, "non_forwarding_action": {}}

#: What a route says of a filter that calls on it pass by.
_DISABLED: Final = {
    "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
    "disabled": True,
}

#: The part of a route's match that tells of gRPC that is no gRPC-Web.
_PLAIN_GRPC: Final = {"name": "content-type", "string_match": {"exact": "application/grpc"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Settings of an Envoy process, whatever it serves."""

    #: Path of the pyvoy library.
    pyvoy_module: str
    #: Path of the administration interface's Unix socket.
    admin_socket: str
    #: Open client connections; more are closed at once.
    connections_max: int
    #: Bytes of the largest message that the API carries.
    message_bytes_max: int
    #: Bytes of Envoy's heap, in which Python's large objects are as well, beyond which streams are
    #: reset; 0 if they never are.
    heap_bytes_max: int = 0
    #: Seconds that a request may take to come in, and a reply to be read.
    transfer_timeout_s: int = TRANSFER_TIMEOUT_S
    #: Whether q writes a line for each request; with `debug` one for people to read.
    logs_requests: bool = False
    debug: bool = False
    #: Whether a request without an id from its caller gets one, which the answer tells.
    makes_request_ids: bool = False


def server_bootstrap(  # noqa: PLR0913 - What q is made of, each by name.
    process: Process,
    *,
    listen: Endpoint,
    metrics: Endpoint,
    app: str,
    ops_app: str,
    cluster: forwarding.Files | None = None,
    tls: ServerTls | None = None,
    leader_tls: ClientTls | None = None,
    issuers: Sequence[Issuer] = (),
) -> JsonObject:
    """Build the bootstrap of q: the API port ("q") and the metrics port ("ops").

    `app` and `ops_app` name ASGI applications as "module:attribute". With `cluster`, q is one of
    a cluster; what `cluster_routes` and `forwarding.endpoints` build is in those files. With `tls`,
    both ports speak TLS alone, and with `leader_tls` calls are sent on to the leader by TLS. The
    applications are told what tokens of `issuers` say.
    """
    who = [jwt(issuers)] if issuers else []
    application = filters.python(app, process.pyvoy_module)
    ending = [filters.unless_sent_on(application), filters.router()] if cluster else [application]
    api = Listener(
        name=API,
        endpoint=listen,
        http_filters=[*who, *_before_application(process), *ending],
        virtual_host=_own_routes(process),
        body_bytes_max=json_request_bytes_max(process.message_bytes_max),
        reply_timeout_s=process.transfer_timeout_s,
        sentences={503: forwarding.NOT_REACHED} if cluster else {},
        lost_details=forwarding.not_reached_details() if cluster else "",
        routes_from=source(cluster.routes) if cluster else None,
        access_logs=request_logs(debug=process.debug) if process.logs_requests else [],
        makes_request_ids=process.makes_request_ids,
        tls=tls,
        takes_forwarded=cluster is not None,
    ).build()
    # Shutting down closes the listeners of inbound traffic first, so that the metrics
    # port answers until the end.
    api["traffic_direction"] = "INBOUND"
    ops = Listener(
        name=OPS,
        endpoint=metrics,
        http_filters=[*who, *_application(ops_app, process)],
        virtual_host={"routes": [_TO_APPLICATION]},
        body_bytes_max=0,
        reply_timeout_s=process.transfer_timeout_s,
        tls=tls,
    ).build()
    leader = [forwarding.cluster(cluster, leader_tls)] if cluster else []
    resources = {"listeners": [api, ops], "clusters": [*leader, *clusters(issuers)]}
    return {**_process(process), "static_resources": resources}


def cluster_routes(process: Process, *, leads: bool) -> JsonObject:
    """Build the resource that says what becomes of calls: q serves them, or sends them on.

    Those that were sent on once are served in any case.
    """
    own = _own_routes(process)
    if not leads:
        was_sent_on = {"prefix": "/", "headers": [forwarding.is_forwarded()]}
        own["routes"] = [
            {**_TO_APPLICATION, "match": was_sent_on},
            *_sending_on(process),
            *cast("list[JsonObject]", own["routes"]),
        ]
    body_bytes_max = json_request_bytes_max(process.message_bytes_max)
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        **routes(API, own, body_bytes_max),
    }


def _sending_on(process: Process) -> list[JsonObject]:
    """Build the routes of calls that are sent on to the leader."""
    service = q_pb2.DESCRIPTOR.services_by_name["Q"]
    call = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    to_leader = forwarding.to_leader(idle_timeout=_idle(process))
    prefix = f"/{service.full_name}/"
    return [
        *(
            {
                **forwarding.to_leader(idle_timeout={"idle_timeout": "0s"}),
                "match": {"path": prefix + method.name, "headers": [call]},
                "typed_per_filter_config": filters.pass_by(),
            }
            for method in service.methods
            if method.server_streaming
        ),
        {
            **to_leader,
            "match": {"prefix": prefix, "headers": [_PLAIN_GRPC]},
            "typed_per_filter_config": {
                **{str(each["name"]): _DISABLED for each in _before_application(process)},
                **filters.pass_by(),
            },
        },
        # What came as gRPC-Web or REST is converted first.
        {
            **to_leader,
            "match": {"prefix": prefix, "headers": [call]},
            "typed_per_filter_config": filters.pass_by(),
        },
    ]


def gateway_bootstrap(  # noqa: PLR0913 - As above.
    process: Process,
    *,
    listen: Endpoint,
    server: Endpoint,
    app: str,
    tls: ServerTls | None = None,
    server_tls: ClientTls | None = None,
) -> JsonObject:
    """Build the bootstrap of qrest: REST on one port ("qrest"), gRPC to a server.

    `app` is the ASGI application, as "module:attribute", that answers what is no API
    call. With `tls` the port speaks TLS alone, and with `server_tls` the server is asked by TLS.
    """
    virtual_host: JsonObject = {
        "routes": [
            {
                "match": {"prefix": "/"},
                "route": {**_idle(process), "cluster": SERVER, "timeout": "0s"},
            }
        ],
        "typed_per_filter_config": {"envoy.filters.http.cors": filters.every_origin()},
    }
    gateway = Listener(
        name=GATEWAY,
        endpoint=listen,
        http_filters=[
            filters.vary_by_origin(),
            filters.cors(),
            *_api_filters(process, for_every_site=True),
            *map(filters.unless_grpc, _application(app, process)),
            filters.router(),
        ],
        virtual_host=virtual_host,
        body_bytes_max=json_request_bytes_max(process.message_bytes_max),
        reply_timeout_s=process.transfer_timeout_s,
        sentences={503: f"cannot reach the server {server}: {LOCAL_REPLY_BODY}"},
        access_logs=request_logs(debug=process.debug),
        makes_request_ids=True,
        tls=tls,
    ).build()
    gateway["traffic_direction"] = "INBOUND"
    resources = {"listeners": [gateway], "clusters": [_cluster(server, server_tls)]}
    return {**_process(process), "static_resources": resources}


def json_request_bytes_max(message_bytes_max: int) -> int:
    """Return the bytes of the largest JSON request: base64 makes four bytes of three."""
    return message_bytes_max * 4 // 3 + _JSON_OVERHEAD_BYTES_MAX


def _own_routes(process: Process) -> JsonObject:
    """Build the routes of a q that serves all calls itself."""
    return {"routes": [*_grpc_routes(process), _other_grpc_route(), _rest_route(process)]}


def _grpc_routes(process: Process) -> list[JsonObject]:
    """Build a route for each method of q, on which gRPC calls skip the filters made for others.

    Those filters would let a gRPC call through as it is, for 15 % of its processor time.
    """
    unneeded = [str(each["name"]) for each in _before_application(process)]
    service = q_pb2.DESCRIPTOR.services_by_name["Q"]
    streams = {each.name for each in service.methods if each.server_streaming}
    # Envoy tries one route after the other.
    names = dict.fromkeys((*_BUSIEST_METHODS, *(method.name for method in service.methods)))
    return [
        {
            **(_TO_APPLICATION if name in streams else _until_idle(process)),
            "match": {"path": f"/{service.full_name}/{name}", "headers": [_PLAIN_GRPC]},
            "typed_per_filter_config": dict.fromkeys(unneeded, _DISABLED),
        }
        for name in names
    ]


def _other_grpc_route() -> JsonObject:
    """Build the route of the gRPC calls that have none of their own.

    The application itself ends calls whose requests do not arrive: streams may be silent for days.
    """
    content_type = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    return {**_TO_APPLICATION, "match": {"prefix": "/", "headers": [content_type]}}


def _rest_route(process: Process) -> JsonObject:
    """Build the route of everything but gRPC; filters gather its requests before they pass on."""
    return {"match": {"prefix": "/"}, **_until_idle(process)}


def _until_idle(process: Process) -> JsonObject:
    """Say that a call ends when nothing happens on it; one that waits for a message is silent.

    The cluster named here means nothing, since no filter asks for it: Envoy takes timeouts only
    from routes that have one.
    """
    return {"route": {**_idle(process), "cluster": "none"}}


def _idle(process: Process) -> JsonObject:
    # The application is sooner, by a sweep, with calls that reach it: it can say more.
    return {"idle_timeout": f"{WAIT_S_MAX + 2 * process.transfer_timeout_s}s"}


def _application(app: str, process: Process) -> list[JsonObject]:
    """Build the filters that hand requests to an ASGI application."""
    return [filters.text_paths(), filters.python(app, process.pyvoy_module)]


def _before_application(process: Process) -> list[JsonObject]:
    """Build the filters that a request to q passes before the application gets it."""
    return [*_api_filters(process, for_every_site=False), filters.text_paths()]


def _api_filters(process: Process, *, for_every_site: bool) -> list[JsonObject]:
    """Build the filters that make gRPC of gRPC-Web and REST."""
    body_bytes_max = json_request_bytes_max(process.message_bytes_max)
    return [
        filters.grpc_web(),
        filters.strict_rest(body_bytes_max, for_every_site=for_every_site),
        filters.transcoder(
            request_body_bytes_max=body_bytes_max, response_body_bytes_max=_JSON_REPLY_BYTES_MAX
        ),
    ]


def _cluster(server: Endpoint, tls: ClientTls | None) -> JsonObject:
    """Build the one upstream cluster: gRPC to a server whose certificate has its name."""
    dns = {
        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
        # Of "localhost" and its like, the address that answers.
        "dns_lookup_family": "ALL",
        "dns_refresh_rate": "5s",
        "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "5s"},
    }
    endpoint = {"endpoint": {"address": socket_address(server)}}
    secure = tls and {"transport_socket": tls.transport_socket(host=server.host, alpn=["h2"])}
    return {
        **(secure or {}),
        "name": SERVER,
        "cluster_type": {"name": "envoy.clusters.dns", "typed_config": dns},
        "connect_timeout": "5s",
        # A server that does not exist yet must not keep the gateway from starting.
        "wait_for_warm_on_init": False,
        **unlimited(),
        # Tells /readyz whether the server serves. Requests go there in any case, if it has no
        # address that does: the original knows nothing of health.
        "health_checks": [
            {
                "timeout": f"{_HEALTH_CHECK_S}s",
                "interval": f"{_HEALTH_CHECK_S}s",
                "no_traffic_interval": f"{_HEALTH_CHECK_S}s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        **http2({"connection_keepalive": {"interval": "30s", "timeout": "10s"}}),
        "load_assignment": {
            "cluster_name": SERVER,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def _process(process: Process) -> JsonObject:
    overload: JsonObject = {
        "resource_monitors": [
            _monitor(
                "global_downstream_max_connections",
                "downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=process.connections_max,
            )
        ]
    }
    if process.heap_bytes_max:
        overload = _bounded_heap(overload, process.heap_bytes_max)
    return {
        "admin": {"address": {"pipe": {"path": process.admin_socket, "mode": 0o600}}},
        # Envoy asks for this where it is told something while it runs.
        "node": {"id": "q", "cluster": "q"},
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"safe_regex": {"regex": _STATS}}]}}
        },
        "overload_manager": overload,
        "layered_runtime": {"layers": [{"name": "q", "static_layer": _RUNTIME}]},
        # Else the heap would stay as large as it ever was.
        "memory_allocator_manager": {
            "bytes_to_release": _RELEASED_BYTES,
            "memory_release_interval": "1s",
        },
    }


def _bounded_heap(overload: JsonObject, bytes_max: int) -> JsonObject:
    """Let an overload manager reset streams, beginning with those that buffer the most."""
    heap = _monitor("fixed_heap", "fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=bytes_max)
    reset = {
        "name": "envoy.overload_actions.reset_high_memory_stream",
        "triggers": [
            {
                "name": heap["name"],
                "scaled": {"scaling_threshold": 0.85, "saturation_threshold": 1.0},
            }
        ],
    }
    return {
        "resource_monitors": [*cast("list[JsonObject]", overload["resource_monitors"]), heap],
        "actions": [reset],
        # What is buffered is counted by stream, in classes that begin with this many bytes.
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _TRACKED_BITS},
    }


def _monitor(name: str, type_name: str, **fields: object) -> JsonObject:
    package = "type.googleapis.com/envoy.extensions.resource_monitors."
    return {
        "name": f"envoy.resource_monitors.{name}",
        "typed_config": {"@type": package + type_name, **fields},
    }
