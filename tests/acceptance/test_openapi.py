"""The real q answers as its OpenAPI description says."""

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from openapi_schema_validator import OAS31Validator

from tests.acceptance.running import RunningQ

DESCRIPTION = json.loads(
    (Path(__file__).parents[2] / "src" / "qmq" / "wire" / "openapi.json").read_text()
)


def closed(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema, such that an object has no other members than are described."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items()}
    # The details of a Status hold whatever their @type says.
    is_any = "@type" in schema.get("properties", {})
    return (
        inner if "properties" not in schema or is_any else inner | {"additionalProperties": False}
    )


def answer_of(
    q: RunningQ, operation_id: str, body: object = None, query: str = "", **path_values: str
) -> tuple[int, Any]:
    """Do what the description says of an operation; the answer is as described, or it fails."""
    ((path, verb, operation),) = [
        (path, verb, operation)
        for path, verbs in DESCRIPTION["paths"].items()
        for verb, operation in verbs.items()
        if operation["operationId"] == operation_id
    ]
    assert ("requestBody" in operation) == (body is not None)
    request = urllib.request.Request(
        f"http://{q.address}{path.format(**path_values)}{query}",
        method=verb.upper(),
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            status, answer = response.status, json.load(response)
    except HTTPError as error:
        with error:
            status, answer = error.code, json.load(error)
    responses = operation["responses"]
    described = responses.get(str(status)) or DESCRIPTION["components"]["responses"]["Error"]
    schema = described["content"]["application/json"]["schema"]
    OAS31Validator(closed({**schema, "components": DESCRIPTION["components"]})).validate(answer)
    return status, answer


def test_every_operation_answers_as_described(shared_q: RunningQ) -> None:
    """Each is called as the description says, and succeeds."""
    new_queue = {"store": "DISK", "limit": "10", "tags": [{"key": "k", "value": "v"}], "name": "o"}
    new_message = {"tags": [{"key": "k"}], "payload": "aGVsbG8="}
    tag = {"key": "k", "value": "v"}

    calls = [
        ("NewQueue", new_queue, "", {}),
        ("ListQueues", None, "?page_size=1", {}),
        ("GetQueue", None, "", {"queue_id": "o"}),
        ("AddQueueTag", tag, "", {"queue_id": "o"}),
        ("DeleteQueueTag", tag, "", {"queue_id": "o"}),
        ("Add", new_message, "", {"queue_id": "o"}),
        ("Peek", None, "", {"queue_id": "o"}),
        ("Stats", None, "?page_size=1", {}),
        ("Stats2", None, "", {"queue_id": "o"}),
        ("Pop", None, "?wait=1s", {"queue_id": "o"}),
        ("AddBatch", {"messages": [new_message, {}], "partial": True}, "", {"queue_id": "o"}),
        ("PopBatch", {"messages_max": 9, "wait": "1s"}, "", {"queue_id": "o"}),
        ("DeleteQueue", None, "", {"queue_id": "o"}),
    ]
    answers = {
        name: answer_of(shared_q, name, body, query, **path_values)
        for name, body, query, path_values in calls
    }

    assert {status for status, _ in answers.values()} == {200}
    described = {
        operation["operationId"]
        for verbs in DESCRIPTION["paths"].values()
        for operation in verbs.values()
    }
    assert {*answers} == described
    assert answers["Pop"][1]["message"]["payload"] == new_message["payload"]
    assert len(answers["PopBatch"][1]["messages"]) == 2
    assert answers["Stats2"][1]["queues"][0]["ready"] == "1"


@pytest.mark.parametrize(
    ("operation_id", "body", "queue_id", "status"),
    [
        ("Pop", None, "nobody", 400),
        ("Pop", None, "00000000-0000-0000-0000-000000000000", 404),
        ("NewQueue", {"store": "MEMORY", "limit": "-2"}, "", 400),
        ("NewQueue", {"bogus": 1}, "", 400),
        ("AddBatch", {"messages": [{"bogus": 1}]}, "nobody", 400),
        ("PopBatch", {"messages_max": 0}, "nobody", 400),
    ],
)
def test_every_error_is_the_described_one(
    shared_q: RunningQ, operation_id: str, body: object, queue_id: str, status: int
) -> None:
    """An error is a google.rpc.Status, whoever finds it."""
    found, answer = answer_of(shared_q, operation_id, body, queue_id=queue_id)

    assert found == status
    assert answer["message"]
