"""Writes the OpenAPI description of the REST API: python -m scripts.openapi FILE.

Paths and schemas come from the generated descriptors and their google.api.http rules,
descriptions from the comments of proto/q.proto, which the descriptors do not hold.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
)

from qmq.transport.status import CODES
from scripts.api import SERVICE, Binding, Comments, bindings_of, map_of, parameters_of
from scripts.api_page import ERRORS_BY_METHOD, HTTP_STATUSES
from scripts.examples import Examples

Json = dict[str, object]

_PACKAGE: Final = f"{SERVICE.file.package}."

_INT32: Final[Json] = {"type": "integer", "format": "int32"}
#: JSON's numbers hold no 64-bit integers, so protobuf writes them as strings.
_INT64: Final[Json] = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}

#: What the methods are about, in the order in which tools list them.
_TAGS: Final = {
    "Queues": (
        "How queues are made, found, changed and deleted.",
        "ListQueues NewQueue GetQueue UpdateQueue DeleteQueue AddQueueTag DeleteQueueTag",
    ),
    "Messages": (
        "How messages come and go.",
        "Add AddBatch Pop PopBatch Pause Resume Purge DeleteMessages MoveMessages",
    ),
    "Leases": (
        "How messages are handed out for a limited time, until their work is done.",
        "Lease Ack Nack Extend Complete",
    ),
    "Looking": ("How messages are looked at, which changes nothing.", "Peek Browse Explain Stats"),
    "Groups": (
        "Messages that are handed out one after the other.",
        "ListGroups PauseGroup ResumeGroup SkipGroup",
    ),
    "Dead letters": (
        "How dead letters are brought back.",
        "StartRedrive GetRedrive ListRedrives StopRedrive",
    ),
    "Schedules": (
        "Messages that come by themselves.",
        "PutSchedule GetSchedule ListSchedules DeleteSchedule",
    ),
    "Access": (
        "Who calls, who may, and the tokens by which they show that.",
        "GetIdentity ListIdentities MakeToken RevokeToken",
    ),
    "Server": ("How the server does.", "GetServer"),
}
_TAG_OF: Final = {name: tag for tag, (_, names) in _TAGS.items() for name in names.split()}

#: JSON's form of values, by the type of their field or the full name of their message.
_SCALARS: Final[dict[int, Json]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_UINT32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_UINT64: _INT64,
}
_WELL_KNOWN: Final[dict[str, Json]] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "examples": ["2026-11-24T13:56:47.264656630Z"],
    },
    # Seconds, whatever the unit is in which people think of it.
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
        "examples": ["30s", "0.25s"],
    },
}

#: What fields mean that have no comment where they stand, since it is told once of the service.
_UNTOLD: Final = {
    "queue_id": "The queue's UUID or its name.",
    "redrive_id": "The redrive's UUID.",
    "name": "The schedule's name.",
    "durability": "How durable to be before the answer; by default as durable as the queue can.",
}

_ERROR: Final[Json] = {"$ref": "#/components/schemas/google.rpc.Status"}

#: google.rpc.Status in JSON, the body of every error.
_STATUS: Final[Json] = {
    "type": "object",
    "description": "Why a request failed.",
    "properties": {
        "code": {
            "type": "integer",
            "format": "int32",
            "description": "The gRPC status code, for example 5 for NOT_FOUND.",
        },
        "message": {"type": "string", "description": "What is wrong, for people to read."},
        "details": {
            "type": "array",
            "description": "The same for programs: google.rpc.ErrorInfo and its kin.",
            "items": {
                "type": "object",
                "properties": {"@type": {"type": "string"}},
                "required": ["@type"],
            },
        },
    },
    "required": ["code", "message"],
}


class Schemas:
    """The schemas of messages and enums, made as they are first referred to."""

    def __init__(self, comments: Comments) -> None:
        self._comments = comments
        self.by_name: dict[str, Json] = {"google.rpc.Status": _STATUS}

    def of_field(self, field: FieldDescriptor) -> Json:
        """The schema of one field of a message."""
        if entry := map_of(field):
            value = self._of_value(entry.fields_by_name["value"])
            schema: Json = {"type": "object", "additionalProperties": value}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._of_value(field)}
        else:
            schema = self._of_value(field)
        return {**schema, **self._about(field)}

    def _about(self, field: FieldDescriptor) -> Json:
        """What the comment of a field says; where it has none, that of its type."""
        type_ = field.message_type or field.enum_type
        if self._comments.of(field.full_name) or type_ is None or map_of(field):
            return _description(self._comments, field.full_name)
        own = type_.file.package == SERVICE.file.package
        return _description(self._comments, type_.full_name) if own else {}

    def reference(self, type_: Descriptor | EnumDescriptor) -> Json:
        """A reference to the schema of a message or enum."""
        name = type_.full_name.removeprefix(_PACKAGE)
        if name not in self.by_name:
            self.by_name[name] = {}  # A message may contain itself.
            if isinstance(type_, Descriptor):
                self.by_name[name] = self.of_fields(type_, type_.fields)
            else:
                self.by_name[name] = self._of_enum(type_)
        return {"$ref": f"#/components/schemas/{name}"}

    def _of_value(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            well_known = _WELL_KNOWN.get(field.message_type.full_name)
            return well_known or self.reference(field.message_type)
        if field.enum_type is not None:
            return self.reference(field.enum_type)
        return _SCALARS[field.type]

    def of_fields(self, message: Descriptor, fields: Iterable[FieldDescriptor]) -> Json:
        """The schema of some of the fields of a message."""
        return {
            "type": "object",
            **_description(self._comments, message.full_name),
            "properties": {field.name: self.of_field(field) for field in fields},
        }

    def _of_enum(self, enum: EnumDescriptor) -> Json:
        names = [value.name for value in enum.values]
        lines = [f"- `{name}`: {self._comments.of(f'{enum.full_name}.{name}')}" for name in names]
        about = self._comments.of(enum.full_name)
        return {
            "type": "string",
            "description": "\n".join([*([about, ""] if about else []), *lines]),
            "enum": names,
        }


class Operations:
    """The operations of methods, as their google.api.http rules map them."""

    def __init__(self, comments: Comments, schemas: Schemas) -> None:
        self._comments = comments
        self._schemas = schemas
        self._examples = Examples()

    def of_method(self, method: MethodDescriptor) -> Iterator[tuple[str, str, Json]]:
        """Each way to call `method`: path, HTTP method in lower case, operation."""
        for number, binding in enumerate(bindings_of(method)):
            summary, _, description = self._comments.of(method.full_name).partition(". ")
            operation: Json = {
                "operationId": method.name if number == 0 else f"{method.name}{number + 1}",
                "tags": [_TAG_OF[method.name]],
                "summary": summary.removesuffix("."),
                **({"description": description} if description else {}),
            }
            if parameters := list(self._parameters(method.input_type, binding)):
                operation["parameters"] = parameters
            if binding.body:
                body = self._body(method.input_type, binding)
                content = _json_content(body, self._examples.body(binding))
                operation["requestBody"] = {"required": True, "content": content}
            operation["responses"] = self._responses(method)
            yield binding.path, binding.verb.lower(), operation

    def _responses(self, method: MethodDescriptor) -> Json:
        """Success, each HTTP status with the reasons for it, and what any call may fail with."""
        reply = self._schemas.reference(method.output_type)
        statuses: dict[int, list[str]] = {}
        for error in ERRORS_BY_METHOD[method.name]:
            code = next(CODES[each] for each in error.__mro__ if each in CODES)
            when = " ".join((error.__doc__ or "").split("\n\n")[0].split())
            statuses.setdefault(HTTP_STATUSES[code], []).append(f"- `{error.reason}`: {when}")
        return {
            "200": {
                "description": "Success. Empty fields are left out.",
                "content": _json_content(reply, self._examples.reply(method.name)),
            },
            **{
                str(status): {"description": "\n".join(reasons), "content": _json_content(_ERROR)}
                for status, reasons in sorted(statuses.items())
            },
            "401": {"$ref": "#/components/responses/Unauthenticated"},
            "403": {"$ref": "#/components/responses/PermissionDenied"},
            "default": {"$ref": "#/components/responses/Error"},
        }

    def _parameters(self, request: Descriptor, binding: Binding) -> Iterator[Json]:
        """What of the request is in the path or, where the body holds not all, the query."""
        for field in request.fields:
            place = binding.place_of(field)
            if place == "body":
                continue
            parts = parameters_of(field) if place == "query" else ((field.name, field),)
            hint = "A query gives one." if len(parts) > 1 else ""
            comment = self._comments.of(field.full_name) or _UNTOLD.get(field.name, "")
            about = f"{comment} {hint}".strip()
            for name, part in parts:
                schema = self._schemas.of_field(part)
                schema.pop("description", None)
                # A queue, in all that the examples do.
                example = {"example": "mail"} if (name, place) == ("queue_id", "path") else {}
                yield {
                    "name": name,
                    "in": place,
                    **({"required": True} if place == "path" else {}),
                    **({"description": about} if about else {}),
                    "schema": schema,
                    **example,
                }

    def _body(self, request: Descriptor, binding: Binding) -> Json:
        if binding.body != "*":
            body = request.fields_by_name[binding.body].message_type
            assert body is not None, binding
            return self._schemas.reference(body)
        fields = [field for field in request.fields if binding.place_of(field) == "body"]
        if len(fields) == len(request.fields):
            return self._schemas.reference(request)
        return self._schemas.of_fields(request, fields)


def _description(comments: Comments, name: str) -> Json:
    """The member `description`, or nothing where there is no comment."""
    comment = comments.of(name)
    return {"description": comment} if comment else {}


def _json_content(schema: Json, example: object = None) -> Json:
    shown: Json = {} if example is None else {"example": example}
    return {"application/json": {"schema": schema, **shown}}


def document() -> Json:
    """The whole description."""
    comments = Comments()
    schemas = Schemas(comments)
    operations = Operations(comments, schemas)
    paths: dict[str, Json] = {}
    for method in SERVICE.methods:
        for path, verb, operation in operations.of_method(method):
            paths.setdefault(path, {})[verb] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "q",
            "version": "v1",
            **_description(comments, SERVICE.full_name),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The q that serves this."}],
        # Only a q that was told who may do what wants to know who calls.
        "security": [{}, {"bearer": []}],
        "tags": [{"name": name, "description": about} for name, (about, _) in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.by_name.items())),
            "responses": _responses_of_any_call(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token, where q was started with an access file.",
                }
            },
        },
    }


def _responses_of_any_call() -> Json:
    about = {
        "Error": (
            "The request failed: `message` says why, and the `reason` among the details is for"
            " programs."
        ),
        "Unauthenticated": "q wants to know who calls, and does not from this request.",
        "PermissionDenied": "Whoever calls may not do this: `message` names the right.",
    }
    error = Examples().error()
    return {
        name: {
            "description": text,
            "content": _json_content(_ERROR, error if name == "Error" else None),
        }
        for name, text in about.items()
    }


def main(file: str) -> None:
    """Write the description into the file."""
    text = json.dumps(document(), indent=2, ensure_ascii=False)
    Path(file).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
