"""What the clusters of servers that calls are sent on to have in common."""

from typing import Final

from qmq.transport.envoy.replies import JsonObject

_PROTOCOL: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

#: No limit of ours on what is under way; Envoy's would be 1024.
_UNLIMITED: Final = 1_000_000


def http2(options: JsonObject) -> JsonObject:
    """Say that a server is spoken to by HTTP/2."""
    return {
        "typed_extension_protocol_options": {
            _PROTOCOL: {
                "@type": f"type.googleapis.com/{_PROTOCOL}",
                "explicit_http_config": {"http2_protocol_options": options},
            }
        }
    }


def unlimited(**limits: int) -> JsonObject:
    """Say that any number of requests may be under way; `limits` are more of Envoy's."""
    names = ("max_connections", "max_pending_requests", "max_requests")
    return {"circuit_breakers": {"thresholds": [dict.fromkeys(names, _UNLIMITED) | limits]}}
