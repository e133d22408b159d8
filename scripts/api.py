"""The API as proto/q.proto describes it: its comments, and how its methods map to REST."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
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

SERVICE: Final[ServiceDescriptor] = q_pb2.DESCRIPTOR.services_by_name["Q"]

_VERBS: Final = frozenset({"get", "put", "post", "delete", "patch"})

#: Where a REST request carries a field.
Place = Literal["path", "query", "body"]


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to call a method by REST."""

    #: In capitals, as in HTTP.
    verb: str
    #: With the names of fields in braces: `/v1/queues/{queue_id}`.
    path: str
    #: The field that is the whole body; "*" for all that the path has not, "" for no body.
    body: str

    def place_of(self, field: FieldDescriptor) -> Place:
        """Tell where a field of the request goes."""
        if f"{{{field.name}}}" in self.path:
            return "path"
        return "body" if self.body in {"*", field.name} else "query"


def map_of(field: FieldDescriptor) -> Descriptor | None:
    """The message whose fields are key and value, if a field is a map; None otherwise."""
    type_: Descriptor | None = field.message_type
    return type_ if type_ is not None and type_.GetOptions().map_entry else None


def parameters_of(field: FieldDescriptor) -> tuple[tuple[str, FieldDescriptor], ...]:
    """List the parameters by which a query gives a field, and what each is.

    Of a message of ours there is one for each of its fields, so that a query gives one message
    where a body could give several.
    """
    inner = field.message_type
    if inner is None or inner.file.package != SERVICE.file.package:
        return ((field.name, field),)
    return tuple((f"{field.name}.{each.name}", each) for each in inner.fields)


def bindings_of(method: MethodDescriptor) -> Iterator[Binding]:
    """List the ways to call a method by REST, from its google.api.http rule; a stream has none."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    is_stream = method.client_streaming or method.server_streaming
    for each in () if is_stream else (rule, *rule.additional_bindings):
        verb = each.WhichOneof("pattern")
        assert verb in _VERBS, method.full_name
        yield Binding(verb.upper(), getattr(each, verb), each.body)


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
