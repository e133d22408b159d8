"""Envoy's own error replies, brought into the shape that every error of q has.

A REST caller gets google.rpc.Status as JSON; a gRPC caller gets the status and the sentence
alone, since Envoy puts the reply's body into grpc-message.
"""

from collections.abc import Mapping
from typing import Final

from qmq.transport.rest import too_large

JsonObject = dict[str, object]

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503

#: gRPC status code by HTTP status, for replies that Envoy makes itself. The
#: reverse of google.rpc.Code's own table, for the statuses that Envoy uses.
GRPC_CODE_BY_HTTP_STATUS: Final = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    411: 3,
    413: 8,
    414: 8,
    426: 12,
    429: 8,
    431: 8,
    500: 13,
    501: 12,
    502: 14,
    503: 14,
    504: 4,
}

#: HTTP statuses for which Envoy's gRPC status says nothing; or, for 504, asks to try again what may
#: have been done.
_MISTOLD_BY_GRPC: Final = (408, 413, 504)

_UNKNOWN: Final = 2

_INVALID_ARGUMENT: Final = 3

#: Matches a path, with its query, that has an escaped byte beyond ASCII before the query.
NOT_ASCII_PATH: Final = "[^?]*%[89A-Fa-f].*"

#: Stands for what Envoy says itself.
LOCAL_REPLY_BODY: Final = "%LOCAL_REPLY_BODY%"


def local_replies(
    body_bytes_max: int, sentences: Mapping[int, str], lost_details: str = ""
) -> JsonObject:
    """Build a LocalReplyConfig: the first mapper that fits counts.

    `body_bytes_max` is the limit that callers are told whose body is too large; `sentences` are
    further sentences for callers, by HTTP status; `lost_details` is the grpc-status-details-bin, if
    any, of gRPC calls that did not reach another server.
    """
    sentences = {
        **sentences,
        403: "the protocol of a connection cannot be changed",
        408: "the request did not come in whole, or its reply was not read, in time",
        413: too_large(body_bytes_max),
        431: "the request's headers are too large or too many",
    }
    no_such_path = "no such path: it has bytes that are not ASCII"
    malformed = "malformed HTTP: %RESPONSE_CODE_DETAILS%"
    return {
        "mappers": [
            _not_found(_both(is_grpc_call(), _has_escapes()), _text(no_such_path)),
            _not_found(
                _has_escapes(),
                _status_json(GRPC_CODE_BY_HTTP_STATUS[_NOT_FOUND], no_such_path),
            ),
            *_lost(sentences.get(_UNAVAILABLE, ""), lost_details),
            *(
                _grpc_status(status, code, sentences.get(status, LOCAL_REPLY_BODY))
                for status, code in GRPC_CODE_BY_HTTP_STATUS.items()
                if status in _MISTOLD_BY_GRPC
            ),
            {"filter": is_grpc_call(), "body_format_override": _text(LOCAL_REPLY_BODY)},
            *(
                _mapper(
                    {"status_code_filter": _equals(status)},
                    code,
                    sentences.get(status, LOCAL_REPLY_BODY),
                )
                for status, code in GRPC_CODE_BY_HTTP_STATUS.items()
                if status != _BAD_REQUEST
            ),
            _mapper({"response_flag_filter": {"flags": ["DPE"]}}, _INVALID_ARGUMENT, malformed),
            _mapper(_lacks(":authority"), _INVALID_ARGUMENT, malformed),
            _mapper(
                {"status_code_filter": _equals(_BAD_REQUEST)}, _INVALID_ARGUMENT, LOCAL_REPLY_BODY
            ),
        ],
        "body_format": _status_json(_UNKNOWN, LOCAL_REPLY_BODY),
    }


def _lost(message: str, details: str) -> list[JsonObject]:
    """Tell gRPC callers that their call could not be sent on, or was lost."""
    if not details:
        return []
    header = {"header": {"key": "grpc-status-details-bin", "value": details}}
    return [
        {
            "filter": _both(is_grpc_call(), {"status_code_filter": _equals(_UNAVAILABLE)}),
            "body_format_override": _text(message),
            "headers_to_add": [header],
        }
    ]


def _mapper(filter_: JsonObject, code: int, message: str) -> JsonObject:
    return {"filter": filter_, "body_format_override": _status_json(code, message)}


def _grpc_status(status: int, code: int, message: str) -> JsonObject:
    """Give a gRPC call that Envoy ends q's own status and words."""
    return {
        "filter": _both(is_grpc_call(), {"status_code_filter": _equals(status)}),
        "body_format_override": _text(message),
        "headers_to_add": [
            {
                "header": {"key": "grpc-status", "value": str(code)},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


def _not_found(filter_: JsonObject, body_format: JsonObject) -> JsonObject:
    """Make any refusal that the filter matches a 404."""
    return {"filter": filter_, "status_code": _NOT_FOUND, "body_format_override": body_format}


def _text(message: str) -> JsonObject:
    return {"text_format_source": {"inline_string": message}}


def _status_json(code: int, message: str) -> JsonObject:
    return {
        "json_format": {"code": code, "message": message},
        "content_type": "application/json",
    }


def _equals(status: int) -> JsonObject:
    return {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": "none"}}}


def _lacks(header: str) -> JsonObject:
    return {
        "header_filter": {"header": {"name": header, "present_match": True, "invert_match": True}}
    }


def is_grpc_call() -> JsonObject:
    """Match what came in as gRPC: the transcoder gives REST calls that type too."""
    grpc = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    return _both({"header_filter": {"header": grpc}}, _lacks("x-envoy-original-path"))


def _has_escapes() -> JsonObject:
    path = {"name": ":path", "string_match": {"safe_regex": {"regex": NOT_ASCII_PATH}}}
    return {"header_filter": {"header": path}}


def _both(one: JsonObject, other: JsonObject) -> JsonObject:
    return {"and_filter": {"filters": [one, other]}}
