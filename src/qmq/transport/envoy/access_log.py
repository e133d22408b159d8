"""The log of requests: one line each on standard output, of q if it is told to and of qrest."""

from typing import Final

from qmq.transport.envoy.replies import JsonObject, is_grpc_call

_HOST: Final = "%REQ(:AUTHORITY)%"
_METHOD: Final = "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%"
_URL: Final = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
_AGENT: Final = "%REQ(USER-AGENT)%"
_REMOTE: Final = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"
#: Given by the caller, or made.
_REQUEST_ID: Final = "%REQ(X-REQUEST-ID)%"
_GRPC_STATUS: Final = "%GRPC_STATUS_NUMBER%"

#: Seconds since the epoch as a number; START_TIME would be a text.
_TS: Final = (
    "%TYPED_CEL(double(int(request.time)) + double(request.time.getMilliseconds()) / 1000.0)%"
)

#: Who looks at the health of q does so every few seconds.
_IS_NO_PROBE: Final[JsonObject] = {
    "header_filter": {
        "header": {
            "name": ":path",
            "string_match": {"prefix": "/grpc.health.v1.Health/"},
            "invert_match": True,
        }
    }
}

#: What `is_grpc_call` does not match: of a call by REST the gRPC status is Envoy's guess.
_IS_OTHER: Final[JsonObject] = {
    "or_filter": {
        "filters": [
            {
                "header_filter": {
                    "header": {
                        "name": "content-type",
                        "string_match": {"prefix": "application/grpc"},
                        "treat_missing_header_as_empty": True,
                        "invert_match": True,
                    }
                }
            },
            {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": True}}},
        ]
    }
}


def request_logs(*, debug: bool) -> list[JsonObject]:
    """Build the access logs: JSON lines, or lines for people to read; gRPC's have its status."""
    return [
        _log(is_grpc_call(), _text(grpc=True) if debug else _json(grpc=True)),
        _log(_IS_OTHER, _text(grpc=False) if debug else _json(grpc=False)),
    ]


def _text(*, grpc: bool) -> JsonObject:
    line = (
        f"%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)% [info     ] request host={_HOST} "
        f"method={_METHOD} url={_URL} agent={_AGENT} remote={_REMOTE} status=%RESPONSE_CODE% "
        f"{f'grpc_status={_GRPC_STATUS} ' if grpc else ''}milliseconds=%DURATION% "
        f"bytes_in=%BYTES_RECEIVED% bytes_out=%BYTES_SENT% request_id={_REQUEST_ID}\n"
    )
    return {"text_format_source": {"inline_string": line}}


def _json(*, grpc: bool) -> JsonObject:
    return {
        "json_format": {
            "level": "info",
            "ts": _TS,
            "msg": "request",
            "host": _HOST,
            "method": _METHOD,
            "url": _URL,
            "agent": _AGENT,
            "remote": _REMOTE,
            "status": "%RESPONSE_CODE%",
            **({"grpc_status": _GRPC_STATUS} if grpc else {}),
            "took_ms": "%DURATION%",
            "bytes_in": "%BYTES_RECEIVED%",
            "bytes_out": "%BYTES_SENT%",
            "request_id": _REQUEST_ID,
        }
    }


def _log(requests: JsonObject, log_format: JsonObject) -> JsonObject:
    """Build a log of those requests that a filter matches, but for probes."""
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {"and_filter": {"filters": [_IS_NO_PROBE, requests]}},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3"
            ".StdoutAccessLog",
            "log_format": log_format,
        },
    }
