"""REST, as far as Envoy's transcoder leaves it to us: the routes, and what matches none.

The transcoder answers every request that matches a google.api.http rule. All else
that is no gRPC call reaches `answer_unmatched`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from qmq.transport.asgi import Headers, Scope, Send
from qmq.transport.status import Code
from qmq.wire import q_pb2

#: Where a request goes whose body is larger than it may be; the limit in bytes follows.
TOO_LARGE_PATH: Final = "/body-larger-than/"

#: Where a call goes that a page of another site has made; see strict.lua.
FOREIGN_PATH: Final = "/from-another-site"

#: The paths that end with a slash: the console, and the reference of the API.
DIRECTORIES: Final = ("/console/", "/docs/")

_METHODS: Final = ("get", "put", "post", "delete", "patch")
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_GRPC_PATH: Final = re.compile(r"/\w+(\.\w+)+/\w+")


@dataclass(frozen=True, slots=True)
class Route:
    """One way to call an rpc by REST."""

    #: In capitals, as in HTTP.
    method: str
    #: Of the path; None where any value of a variable may stand.
    segments: tuple[str | None, ...]
    #: Names of the variables, each as in the proto and as in JSON.
    variables: tuple[str, ...]
    #: What the body's JSON is; None without a body.
    body_type: Descriptor | None
    #: Names of what the query may give more than once, each as in the proto and as in JSON.
    repeatable: tuple[str, ...]

    def matches(self, path: str) -> bool:
        """Tell whether a path, without its query, is of this route."""
        found = path.split("/")
        return len(found) == len(self.segments) + 1 and all(
            bool(value) if segment is None else value == segment
            for segment, value in zip(("", *self.segments), found, strict=True)
        )


def routes_of(service: ServiceDescriptor) -> tuple[Route, ...]:
    """List the REST routes of a service, from its google.api.http rules."""
    return tuple(route for method in service.methods for route in _routes(method))


def _routes(method: MethodDescriptor) -> Iterator[Route]:
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb in _METHODS:
            template = getattr(binding, verb).removeprefix("/").split("/")
            variables = [match[1] for match in map(_VARIABLE.fullmatch, template) if match]
            fields = [method.input_type.fields_by_name[name] for name in variables]
            # Of messages in a query, the transcoder can make no more than one.
            lists = [
                field
                for field in method.input_type.fields
                if field.is_repeated and field.message_type is None and not binding.body
            ]
            yield Route(
                method=cast("str", verb).upper(),
                segments=tuple(None if _VARIABLE.fullmatch(each) else each for each in template),
                variables=_names(fields),
                body_type=_body_type(method, binding.body),
                repeatable=_names(lists),
            )


def _names(fields: Iterable[FieldDescriptor]) -> tuple[str, ...]:
    """Return the names of fields, in the proto and in JSON."""
    return tuple(name for field in fields for name in (field.name, field.json_name))


def _body_type(method: MethodDescriptor, body: str) -> Descriptor | None:
    match body:
        case "":
            return None
        case "*":
            return method.input_type
        case field:
            return method.input_type.fields_by_name[field].message_type


#: The routes of q.
ROUTES: Final = routes_of(q_pb2.DESCRIPTOR.services_by_name["Q"])


def too_large(body_bytes_max: int) -> str:
    """Return the sentence that refuses a body, here and in Envoy."""
    return f"the request's body is larger than {body_bytes_max} bytes, more than a message needs"


def methods_at(path: str) -> tuple[str, ...]:
    """List the HTTP methods that a path allows; none where there is no such path."""
    return tuple(sorted({route.method for route in ROUTES if route.matches(path)}))


async def answer_unmatched(scope: Scope, send: Send) -> None:
    """Answer an HTTP request that is no gRPC call and that the transcoder did not take.

    The caller has read the request's body to its end: a reply before that is lost on
    clients that are still sending.
    """
    path, method = scope["path"], scope["method"]
    if allowed := methods_at(path):
        await answer_wrong_method(scope, send, allowed)
        return
    if (limit := path.removeprefix(TOO_LARGE_PATH)) != path and limit.isdecimal():
        status, code = 413, Code.RESOURCE_EXHAUSTED
        message = too_large(int(limit))
    elif path == FOREIGN_PATH:
        status, code = 403, Code.PERMISSION_DENIED
        message = "a page of another site may not call q; qrest serves such pages"
    elif method == "POST" and _GRPC_PATH.fullmatch(path):
        status, code = 415, Code.INVALID_ARGUMENT
        message = "a gRPC call has the content-type application/grpc; REST is under /v1/queues"
    else:
        status, code = 404, Code.NOT_FOUND
        message = f"no such path: {path}; the API is under /v1/queues"
    await _refuse(scope, send, status=status, code=code, message=message)


async def answer_refused(scope: Scope, send: Send, message: str) -> None:
    """Answer an HTTP request whose caller may not make it; this says why.

    As with `answer_unmatched`, the request's body has been read.
    """
    await _refuse(scope, send, status=403, code=Code.PERMISSION_DENIED, message=message)


async def answer_wrong_method(scope: Scope, send: Send, allowed: Sequence[str]) -> None:
    """Answer a request whose path there is, but not for its method."""
    message = f"{scope['method']} is not supported at {scope['path']}; use {' or '.join(allowed)}"
    headers = [(b"allow", ", ".join(allowed).encode())]
    await _refuse(
        scope, send, status=405, code=Code.UNIMPLEMENTED, message=message, headers=headers
    )


async def _refuse(  # noqa: PLR0913 - What a refusal is made of.
    scope: Scope,
    send: Send,
    *,
    status: int,
    code: Code,
    message: str,
    headers: Headers | None = None,
) -> None:
    body = json.dumps({"code": code, "message": message}, separators=(",", ":")).encode()
    headers = [
        *(headers or []),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
