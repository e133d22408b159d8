"""The gateway's log: one line a request on standard output."""

from typing import Final

from qmq.transport.envoy.replies import JsonObject

_HOST: Final = "%REQ(:AUTHORITY)%"
_METHOD: Final = "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%"
_URL: Final = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
_AGENT: Final = "%REQ(USER-AGENT)%"
_REMOTE: Final = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"

#: Seconds since the epoch as a number; START_TIME would be a text.
_TS: Final = (
    "%TYPED_CEL(double(int(request.time)) + double(request.time.getMilliseconds()) / 1000.0)%"
)


def request_log(*, debug: bool) -> JsonObject:
    """Build an access log: JSON lines, or lines for people to read."""
    log_format: JsonObject
    if debug:
        line = (
            f"%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)% [info     ] request host={_HOST} "
            f"method={_METHOD} url={_URL} agent={_AGENT} remote={_REMOTE} "
            "status=%RESPONSE_CODE% milliseconds=%DURATION%\n"
        )
        log_format = {"text_format_source": {"inline_string": line}}
    else:
        log_format = {
            "json_format": {
                "level": "info",
                "ts": _TS,
                "msg": "request",
                "host": _HOST,
                "method": _METHOD,
                "url": _URL,
                "agent": _AGENT,
                "remote": _REMOTE,
            }
        }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3"
            ".StdoutAccessLog",
            "log_format": log_format,
        },
    }
