"""The OpenAPI description is valid, complete and in step with the proto."""

import json
from pathlib import Path
from typing import Any

from qmq.wire import q_pb2
from scripts.openapi import document, main

DESCRIPTION = Path(__file__).parents[2] / "src" / "qmq" / "wire" / "openapi.json"


def committed() -> Any:  # noqa: ANN401 - JSON
    """The description as it is shipped."""
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))


def test_the_description_is_valid_openapi() -> None:
    """Tools for OpenAPI 3.1 can read it."""
    from openapi_spec_validator import validate  # noqa: PLC0415 - Every process that tests would load it.

    assert committed()["openapi"] == "3.1.0"
    validate(committed())


def test_the_description_is_what_the_proto_makes_of_it(tmp_path: Path) -> None:
    """Whoever changes the proto generates it anew."""
    main(str(tmp_path / "openapi.json"))

    assert DESCRIPTION.read_bytes() == (tmp_path / "openapi.json").read_bytes()


def test_every_method_and_message_is_described() -> None:
    """NewMessage, without which nobody knows how to add a message, is among them."""
    described = document()
    components: Any = described["components"]
    paths: Any = described["paths"]

    operations = {each["operationId"] for path in paths.values() for each in path.values()}
    assert operations == {
        method.name
        for service in q_pb2.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not method.client_streaming
    } | {"Stats2", "ListSchedules2", "PopBatch2", "Lease2"}
    # Requests whose fields all stand in the path, the query or a body of their own have no
    # schema, nor has what only a stream carries, or only an enum is in; each other message
    # has one.
    messages = {name for name in q_pb2.DESCRIPTOR.message_types_by_name if "Request" not in name}
    others = {"ConsumeResponse", "Durability", "Overflow", "Right"}
    assert messages - others <= {*components["schemas"]}
    assert "Durability.Level" in components["schemas"]
    assert {"NewMessage", "NewQueueRequest", "Queue.Store"} <= {*components["schemas"]}


def test_adding_a_message_can_be_found_out_from_the_description() -> None:
    """The path, the body and its fields, with the comments of the proto."""
    described = committed()
    operation = described["paths"]["/v1/queues/{queue_id}"]["post"]

    assert operation["summary"] == "Adds a message to the end of a queue"
    assert [(each["name"], each["in"]) for each in operation["parameters"]] == [
        ("queue_id", "path"),
        ("durability", "query"),
    ]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/NewMessage",
    }
    assert described["components"]["schemas"]["NewMessage"]["properties"]["payload"] == {
        "type": "string",
        "contentEncoding": "base64",
        "description": "Any bytes, base64 in JSON.",
    }


def test_batch_is_described_without_what_stands_in_its_path() -> None:
    """A body that repeats the queue is refused."""
    operation = committed()["paths"]["/v1/queues/{queue_id}/messages:batch"]["post"]

    assert [(each["name"], each["in"]) for each in operation["parameters"]] == [
        ("queue_id", "path")
    ]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert [*schema["properties"]] == ["messages", "partial", "durability"]
    assert schema["properties"]["messages"]["items"] == {"$ref": "#/components/schemas/NewMessage"}


def test_message_in_a_query_is_described_by_its_fields() -> None:
    """As the transcoder reads it, which makes one message of them."""
    operation = committed()["paths"]["/v1/queues/{queue_id}/messages"]["get"]
    parameters = {each["name"]: each for each in operation["parameters"]}

    assert [*parameters] == [
        *("queue_id", "page_size", "page_token", "states"),
        *("tags.key", "tags.value", "age_min", "age_max"),
        *("selector", "group_id", "fair_key"),
    ]
    assert parameters["tags.key"] == {
        "name": "tags.key",
        "in": "query",
        "description": "Only messages that have all these tags. A query gives one.",
        "schema": {"type": "string"},
    }
    assert parameters["states"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/BrowseRequest.State"},
    }


def test_message_within_a_message_is_described() -> None:
    """By its full name."""
    schemas = committed()["components"]["schemas"]

    assert schemas["CompleteRequest"]["properties"]["adds"]["items"] == {
        "$ref": "#/components/schemas/CompleteRequest.Add"
    }
    assert [*schemas["CompleteRequest.Add"]["properties"]] == ["queue_id", "messages"]
    assert schemas["BackOff"]["properties"]["factor"]["type"] == "number"


def test_method_with_two_paths_is_described_with_both() -> None:
    """Stats of all queues, and of one."""
    paths = committed()["paths"]
    described = [paths[path]["get"] for path in ("/v1/stats", "/v1/queues/{queue_id}/stats")]

    assert [each["operationId"] for each in described] == ["Stats", "Stats2"]
    assert [
        [(parameter["name"], parameter["in"]) for parameter in each["parameters"]]
        for each in described
    ] == [
        [(name, "query") for name in ("queue_id", "page_size", "page_token", "brief")],
        [("queue_id", "path"), *((name, "query") for name in ("page_size", "page_token", "brief"))],
    ]


def test_values_have_the_types_that_json_gives_them() -> None:
    """64-bit numbers are strings, times are strings, enums are their names."""
    schemas = committed()["components"]["schemas"]

    assert schemas["NewQueueRequest"]["properties"]["limit"]["type"] == "string"
    assert schemas["Metadata"]["properties"]["created"]["format"] == "date-time"
    assert schemas["Queue.Store"]["enum"] == ["UNKNOWN", "MEMORY", "DISK", "BOLTDB", "CLUSTER"]
    assert "- `DISK`: In the data directory" in schemas["Queue.Store"]["description"]


def test_a_map_is_an_object_in_json() -> None:
    """Not a list of entries, as it is in bytes."""
    schemas = committed()["components"]["schemas"]

    assert schemas["Fairness"]["properties"]["weights"] == {
        "type": "object",
        "additionalProperties": {"type": "integer", "format": "int32"},
        "description": schemas["Fairness"]["properties"]["weights"]["description"],
    }
    assert "Fairness.WeightsEntry" not in schemas
