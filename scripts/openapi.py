"""Writes the OpenAPI description of the REST API: python -m scripts.openapi FILE.

Paths and schemas come from the generated descriptors and their google.api.http rules,
descriptions from the comments of proto/q.proto, which the descriptors do not hold.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from qmq.wire import q_pb2
from scripts.proto import compile_protos

Json = dict[str, object]

_SERVICE: Final = q_pb2.DESCRIPTOR.services_by_name["Q"]
_PACKAGE: Final = f"{q_pb2.DESCRIPTOR.package}."

_INT32: Final[Json] = {"type": "integer", "format": "int32"}
#: JSON's numbers hold no 64-bit integers, so protobuf writes them as strings.
_INT64: Final[Json] = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}

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
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
}

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


class Comments:
    """The comments of q.proto, by the full name of what they stand above."""

    def __init__(self) -> None:
        with TemporaryDirectory() as directory:
            file = Path(directory, "q.binpb")
            compile_protos(f"--descriptor_set_out={file}", "--include_source_info", "q.proto")
            (proto,) = FileDescriptorSet.FromString(file.read_bytes()).file
        comments = {
            tuple(location.path): location.leading_comments
            for location in proto.source_code_info.location
        }
        self._by_name = {name: comments.get(path, "") for path, name in _names_by_path(proto)}

    def of(self, name: str) -> str:
        """The comment without its line breaks; paragraphs stay apart."""
        paragraphs = re.split(r"\n\s*\n", self._by_name[name])
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

    def describe(self, name: str) -> Json:
        """The member `description`, or nothing where there is no comment."""
        comment = self.of(name)
        return {"description": comment} if comment else {}


def _names_by_path(proto: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Each path of source_code_info.location that names something, with its full name."""
    file = FileDescriptorProto
    package = proto.package
    for i, service in enumerate(proto.service):
        path = (file.SERVICE_FIELD_NUMBER, i)
        yield path, f"{package}.{service.name}"
        for j, method in enumerate(service.method):
            name = f"{package}.{service.name}.{method.name}"
            yield (*path, ServiceDescriptorProto.METHOD_FIELD_NUMBER, j), name
    for i, message in enumerate(proto.message_type):
        yield from _names_in_message((file.MESSAGE_TYPE_FIELD_NUMBER, i), package, message)
    for i, enum in enumerate(proto.enum_type):
        yield from _names_in_enum((file.ENUM_TYPE_FIELD_NUMBER, i), package, enum)


def _names_in_message(
    path: tuple[int, ...], scope: str, message: DescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    for i, field in enumerate(message.field):
        yield (*path, DescriptorProto.FIELD_FIELD_NUMBER, i), f"{name}.{field.name}"
    for i, nested in enumerate(message.nested_type):
        inner = (*path, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, i)
        yield from _names_in_message(inner, name, nested)
    for i, enum in enumerate(message.enum_type):
        yield from _names_in_enum((*path, DescriptorProto.ENUM_TYPE_FIELD_NUMBER, i), name, enum)


def _names_in_enum(
    path: tuple[int, ...], scope: str, enum: EnumDescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{enum.name}"
    yield path, name
    for i, value in enumerate(enum.value):
        # Unlike protobuf's own name of a value, this one says which enum it is of.
        yield (*path, EnumDescriptorProto.VALUE_FIELD_NUMBER, i), f"{name}.{value.name}"


class Schemas:
    """The schemas of messages and enums, made as they are first referred to."""

    def __init__(self, comments: Comments) -> None:
        self._comments = comments
        self.by_name: dict[str, Json] = {"google.rpc.Status": _STATUS}

    def of_field(self, field: FieldDescriptor) -> Json:
        """The schema of one field of a message."""
        schema = self._of_value(field)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
        return {**schema, **self._comments.describe(field.full_name)}

    def reference(self, type_: Descriptor | EnumDescriptor) -> Json:
        """A reference to the schema of a message or enum."""
        name = type_.full_name.removeprefix(_PACKAGE)
        if name not in self.by_name:
            self.by_name[name] = {}  # A message may contain itself.
            if isinstance(type_, Descriptor):
                self.by_name[name] = self._of_message(type_)
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

    def _of_message(self, message: Descriptor) -> Json:
        return {
            "type": "object",
            **self._comments.describe(message.full_name),
            "properties": {field.name: self.of_field(field) for field in message.fields},
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

    def of_method(self, method: MethodDescriptor) -> Iterator[tuple[str, str, Json]]:
        """Each way to call `method`: path, HTTP method in lower case, operation."""
        rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
        for number, binding in enumerate((rule, *rule.additional_bindings)):
            verb = binding.WhichOneof("pattern")
            assert verb in {"get", "put", "post", "delete", "patch"}, method.full_name
            path: str = getattr(binding, verb)
            summary, _, description = self._comments.of(method.full_name).partition(". ")
            operation: Json = {
                "operationId": method.name if number == 0 else f"{method.name}{number + 1}",
                "summary": summary.removesuffix("."),
                **({"description": description} if description else {}),
            }
            if parameters := list(self._parameters(method.input_type, path, binding.body)):
                operation["parameters"] = parameters
            if binding.body:
                body = self._body(method.input_type, binding.body)
                operation["requestBody"] = {"required": True, "content": _json_content(body)}
            operation["responses"] = {
                "200": {
                    "description": "Success. Empty fields are left out.",
                    "content": _json_content(self._schemas.reference(method.output_type)),
                },
                "default": {"$ref": "#/components/responses/Error"},
            }
            yield path, verb, operation

    def _parameters(self, request: Descriptor, path: str, body: str) -> Iterator[Json]:
        """What of the request is in the path or, where the body holds not all, the query."""
        in_path = re.findall(r"\{(\w+)\}", path)
        for field in request.fields:
            is_in_path = field.name in in_path
            if not is_in_path and body in {"*", field.name}:
                continue
            schema = self._schemas.of_field(field)
            description = schema.pop("description", None)
            yield {
                "name": field.name,
                "in": "path" if is_in_path else "query",
                **({"required": True} if is_in_path else {}),
                **({"description": description} if description else {}),
                "schema": schema,
            }

    def _body(self, request: Descriptor, body: str) -> Json:
        if body == "*":
            return self._schemas.reference(request)
        return self._schemas.of_field(request.fields_by_name[body])


def _json_content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def document() -> Json:
    """The whole description."""
    comments = Comments()
    schemas = Schemas(comments)
    operations = Operations(comments, schemas)
    paths: dict[str, Json] = {}
    for method in _SERVICE.methods:
        for path, verb, operation in operations.of_method(method):
            paths.setdefault(path, {})[verb] = operation
    error = {
        "description": "The request failed.",
        "content": _json_content({"$ref": "#/components/schemas/google.rpc.Status"}),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "q", "version": "v1", **comments.describe(_SERVICE.full_name)},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.by_name.items())),
            "responses": {"Error": error},
        },
    }


def main(file: str) -> None:
    """Write the description into the file."""
    text = json.dumps(document(), indent=2, ensure_ascii=False)
    Path(file).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
