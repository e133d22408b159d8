"""The original's wire contract, written down: all of it stays, and more may come.

A client that was generated from the original's proto file has to find every method,
message, field and number where it was, whatever q adds.
"""

from collections.abc import Iterable, Iterator

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from qmq.wire import q_pb2 as pb
from tests.wire.added import ADDED_MESSAGES, ADDED_METHODS, ADDED_STREAMS, Method
from tests.wire.added_enums import ADDED_ENUMS

METHODS = [
    Method("ListQueues", "get", "/v1/queues"),
    Method("NewQueue", "post", "/v1/queues", "*"),
    Method("GetQueue", "get", "/v1/queues/{queue_id}"),
    Method("DeleteQueue", "delete", "/v1/queues/{queue_id}"),
    Method("AddQueueTag", "post", "/v1/queues/{queue_id}/tag", "tag"),
    Method("DeleteQueueTag", "delete", "/v1/queues/{queue_id}/tag", "tag"),
    Method("Add", "post", "/v1/queues/{queue_id}", "message"),
    Method("Pop", "get", "/v1/queues/{queue_id}/pop"),
    Method("Peek", "get", "/v1/queues/{queue_id}/peek"),
]

#: Each message's fields: number, name, type.
MESSAGES = {
    "proto.Tag": ["1 key string", "2 value string"],
    "proto.Metadata": [
        "1 id string",
        "2 created google.protobuf.Timestamp",
        "3 tags repeated proto.Tag",
    ],
    "proto.NewMessage": ["1 tags repeated proto.Tag", "2 payload bytes"],
    "proto.Message": ["1 meta proto.Metadata", "2 payload bytes"],
    "proto.Queue": ["1 meta proto.Metadata", "2 store proto.Queue.Store"],
    "proto.ListQueuesRequest": [],
    "proto.ListQueuesResponse": ["1 queues repeated proto.Queue"],
    "proto.NewQueueRequest": [
        "1 store proto.Queue.Store",
        "2 limit int64",
        "3 tags repeated proto.Tag",
    ],
    "proto.NewQueueResponse": ["1 queue proto.Queue"],
    "proto.GetQueueRequest": ["1 queue_id string"],
    "proto.GetQueueResponse": ["1 queue proto.Queue"],
    "proto.DeleteQueueRequest": ["1 queue_id string"],
    "proto.DeleteQueueResponse": [],
    "proto.AddQueueTagRequest": ["1 queue_id string", "2 tag proto.Tag"],
    "proto.AddQueueTagResponse": [],
    "proto.DeleteQueueTagRequest": ["1 queue_id string", "2 tag proto.Tag"],
    "proto.DeleteQueueTagResponse": [],
    "proto.AddRequest": ["1 queue_id string", "2 message proto.NewMessage"],
    "proto.AddResponse": ["1 message proto.Message"],
    "proto.PopRequest": ["1 queue_id string"],
    "proto.PopResponse": ["1 message proto.Message"],
    "proto.PeekRequest": ["1 queue_id string"],
    "proto.PeekResponse": ["1 message proto.Message"],
}

STORES = {"UNKNOWN": 0, "MEMORY": 1, "BOLTDB": 2}

_SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
}


def described(field: FieldDescriptor) -> str:
    """Write a field as the table above does."""
    kind = field.message_type or field.enum_type
    words = (
        str(field.number),
        field.name,
        "repeated" if field.is_repeated else "",
        _choice(field),
        kind.full_name if kind else _SCALARS[field.type],
    )
    return " ".join(filter(None, words))


def _choice(field: FieldDescriptor) -> str:
    """Say of which oneof a field is; protobuf makes one of its own for each optional field."""
    oneof = field.containing_oneof
    if oneof is None:
        return ""
    return "optional" if oneof.name == f"_{field.name}" else f"oneof({oneof.name})"


def message_type(full_name: str) -> Descriptor:
    """Find a message of ours, which may be inside another."""
    outer, *inner = full_name.removeprefix("proto.").split(".")
    found: Descriptor = pb.DESCRIPTOR.message_types_by_name[outer]
    for name in inner:
        found = found.nested_types_by_name[name]
    return found


def test_package_service_and_syntax_are_the_originals() -> None:
    """The gRPC path of each method is /proto.Q/<Method>."""
    file = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(file)

    assert (file.package, file.syntax) == ("proto", "proto3")
    assert pb.DESCRIPTOR.services_by_name["Q"].full_name == "proto.Q"


def assert_is_there(method: Method) -> None:
    """A method has the messages that belong to it, is unary, and has its REST mapping."""
    ours = pb.DESCRIPTOR.services_by_name["Q"].methods_by_name[method.name]

    assert ours.input_type.full_name == method.request
    assert ours.output_type.full_name == method.response
    assert not ours.client_streaming
    assert not ours.server_streaming
    rule = ours.GetOptions().Extensions[annotations_pb2.http]
    assert rule.WhichOneof("pattern") == method.verb
    assert getattr(rule, method.verb) == method.path
    assert rule.body == method.body
    assert not rule.response_body


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
def test_method_is_the_originals(method: Method) -> None:
    """Its messages, that it is unary, and its REST mapping stay."""
    assert_is_there(method)


@pytest.mark.parametrize(("full_name", "fields"), MESSAGES.items(), ids=list(MESSAGES))
def test_message_has_the_originals_fields(full_name: str, fields: list[str]) -> None:
    """Number, name, label and type of each field stay, and none is in a oneof."""
    ours = message_type(full_name)

    assert set(fields) <= {described(field) for field in ours.fields}
    assert not any(field.containing_oneof for field in ours.fields)


def test_new_fields_have_numbers_of_their_own() -> None:
    """What is known today as an addition stays too; a further one is written down here."""
    added = {
        f"{full_name} {described(field)}"
        for full_name in MESSAGES
        for field in message_type(full_name).fields
        if described(field) not in MESSAGES[full_name]
    }

    assert added == {
        "proto.Message 3 dead_letter proto.DeadLetter",
        "proto.Message 4 attempts repeated proto.Attempt",
        "proto.Message 5 options proto.MessageOptions",
        "proto.NewMessage 3 options proto.MessageOptions",
        "proto.Queue 3 name string",
        "proto.Queue 4 settings proto.QueueSettings",
        "proto.Queue 5 limit int64",
        "proto.Queue 6 paused proto.PausedQueue",
        "proto.ListQueuesRequest 1 page_size int32",
        "proto.ListQueuesRequest 2 page_token string",
        "proto.ListQueuesRequest 3 selector string",
        "proto.ListQueuesResponse 2 next_page_token string",
        "proto.NewQueueRequest 4 name string",
        "proto.NewQueueRequest 5 settings proto.QueueSettings",
        "proto.AddRequest 3 durability proto.Durability.Level",
        "proto.AddResponse 2 durability proto.Durability.Level",
        "proto.AddResponse 3 deduplicated bool",
        "proto.PopRequest 2 wait google.protobuf.Duration",
        "proto.PopRequest 3 durability proto.Durability.Level",
        "proto.PopResponse 2 durability proto.Durability.Level",
    }


def messages_in(scope: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """Go through messages and those inside them."""
    for message in scope:
        yield message
        yield from messages_in(message.nested_types)


def test_what_is_new_is_written_down_here() -> None:
    """A further method, message or enum is, too, and its messages are of its name."""
    service = pb.DESCRIPTOR.services_by_name["Q"]
    messages = [*messages_in(pb.DESCRIPTOR.message_types_by_name.values())]
    enums = {enum.full_name for message in messages for enum in message.enum_types}

    assert {method.name for method in service.methods} == {
        *(method.name for method in (*METHODS, *ADDED_METHODS)),
        *ADDED_STREAMS,
    }
    assert {message.full_name for message in messages} == {*MESSAGES, *ADDED_MESSAGES}
    assert enums == {"proto.Queue.Store", *ADDED_ENUMS}


@pytest.mark.parametrize("name", ADDED_STREAMS)
def test_added_stream_stays(name: str) -> None:
    """Both sides send as long as they like."""
    ours = pb.DESCRIPTOR.services_by_name["Q"].methods_by_name[name]

    assert ours.input_type.full_name == f"proto.{name}Request"
    assert ours.output_type.full_name == f"proto.{name}Response"
    assert (ours.client_streaming, ours.server_streaming) == (True, True)
    assert not ours.GetOptions().HasExtension(annotations_pb2.http)


@pytest.mark.parametrize("full_name", ADDED_ENUMS)
def test_added_enum_keeps_its_numbers(full_name: str) -> None:
    """As that of the original does; a further value is written down here."""
    message, _, name = full_name.rpartition(".")
    ours = message_type(message).enum_types_by_name[name]

    assert {value.name: value.number for value in ours.values} == ADDED_ENUMS[full_name]


@pytest.mark.parametrize("method", ADDED_METHODS, ids=[method.name for method in ADDED_METHODS])
def test_added_method_stays(method: Method) -> None:
    """As those of the original do."""
    assert_is_there(method)


@pytest.mark.parametrize(("full_name", "fields"), ADDED_MESSAGES.items(), ids=list(ADDED_MESSAGES))
def test_added_message_has_the_fields_that_it_had(full_name: str, fields: list[str]) -> None:
    """As those of the original do; a further field is written down here."""
    assert [described(field) for field in message_type(full_name).fields] == fields


def test_queue_has_its_counts_below_its_path() -> None:
    """Those of all queues have a path of their own."""
    rule = pb.DESCRIPTOR.services_by_name["Q"].methods_by_name["Stats"].GetOptions()
    (binding,) = rule.Extensions[annotations_pb2.http].additional_bindings

    assert binding.get == "/v1/queues/{queue_id}/stats"


def test_stores_keep_their_numbers() -> None:
    """BOLTDB is another name for 2 by now; what is printed for 2 is DISK."""
    numbers = dict(pb.Queue.Store.items())

    assert STORES.items() <= numbers.items()
    assert pb.Queue.Store.Name(2) == "DISK"
    assert pb.Queue.Store.DESCRIPTOR.full_name == "proto.Queue.Store"


def test_json_names_are_those_of_the_proto_in_lower_camel_case() -> None:
    """A transcoder may accept them; none was given by hand."""
    for full_name in (*MESSAGES, *ADDED_MESSAGES):
        for field in message_type(full_name).fields:
            head, *tail = field.name.split("_")
            assert field.json_name == head + "".join(map(str.capitalize, tail))
