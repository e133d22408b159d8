"""The real q answers as its OpenAPI description says."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from qmq.server import token_file
from tests.acceptance.running import RunningQ
from tests.transport.test_envoy_identity import Signer

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
    q: RunningQ,
    operation_id: str,
    body: object = None,
    query: str = "",
    token: str = "",
    /,
    **path_values: str,
) -> tuple[int, Any]:
    """Do what the description says of an operation; the answer is as described, or it fails."""
    from openapi_schema_validator import OAS31Validator  # noqa: PLC0415 - Every process that tests would load it.

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
        headers={
            "content-type": "application/json",
            **({"authorization": f"Bearer {token}"} if token else {}),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
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
    answers: dict[str, Any] = {}

    def call(operation: str, body: object = None, query: str = "", /, **path: str) -> Any:  # noqa: ANN401
        status, answers[operation] = answer_of(shared_q, operation, body, query, **path)
        assert status == 200
        return answers[operation]

    call_about_queues(call)
    call_about_leases(call)
    call_about_dead_letters(call)
    call_about_schedules(call)
    call_about_groups(call)
    call_about_messages_by_id(call)
    call("DeleteQueue", queue_id="o")

    assert {*answers, *OF_ACCESS} == {
        operation["operationId"]
        for verbs in DESCRIPTION["paths"].values()
        for operation in verbs.values()
    }


#: What only a q has that asks who calls.
OF_ACCESS = ("GetIdentity", "ListIdentities", "MakeToken", "RevokeToken")

ACCESS = """
[[identity]]
name = "root"
rights = [{ queues = "*", may = ["admin"] }, { selector = "a=b", may = ["browse"] }]
certificates = ["CN=root"]
jwt = [{ issuer = "https://idp.example", subject = "root", claims = { group = "q" } }]
calls_max = 1000

[[issuer]]
issuer = "https://idp.example"
audiences = ["q"]
jwks_file = "keys.json"
"""


def test_what_is_about_access_answers_as_described(q_server: RunningQ, tmp_path: Path) -> None:
    """To root, with all that an identity may have."""
    path = tmp_path / "access.toml"
    path.write_text(ACCESS)
    (tmp_path / "keys.json").write_text(Signer().jwks)
    token = token_file.make(path, "root", expires=None, note="", grants=[]).text
    q_server.stop()
    q_server.start(f"--access={path}")

    def call(operation: str, body: object = None, /, **path: str) -> Any:  # noqa: ANN401
        status, answer = answer_of(q_server, operation, body, "", token, **path)
        assert status == 200
        return answer

    assert call("GetIdentity")["identity"]["name"] == "root"
    made = call("MakeToken", {"ttl": "60s", "note": "n"}, identity="root")
    (root,) = call("ListIdentities")["identities"]
    assert root["jwts"][0]["claims"] == {"group": "q"}
    assert root["tokens"][1] == made["token"]
    assert call("RevokeToken", identity="root", token_id=made["token"]["id"]) == {}


#: Calls an operation with a body, a query, and the values of the path.
Call = Callable[..., Any]


def call_about_queues(call: Call) -> None:
    """Make the queue "o", use what was there before leases, and leave it empty."""
    tag = {"key": "k", "value": "v"}
    new_message = {"tags": [{"key": "k"}], "payload": "aGVsbG8="}
    call("NewQueue", {"store": "DISK", "limit": "10", "tags": [tag], "name": "o"})
    call("ListQueues", None, "?page_size=1")
    call("GetQueue", queue_id="o")
    call("AddQueueTag", tag, queue_id="o")
    call("DeleteQueueTag", tag, queue_id="o")
    call("Pause", {"adds": False}, queue_id="o")
    call("Resume", {}, queue_id="o")
    call("Add", new_message, queue_id="o")
    call("Peek", queue_id="o")
    call("Stats", None, "?page_size=1")
    assert call("Stats2", queue_id="o")["queues"][0]["ready"] == "1"
    assert int(call("GetServer")["server"]["disk"]["contents"]["messages"]) >= 1
    popped = call("Pop", None, "?wait=1s", queue_id="o")
    assert popped["message"]["payload"] == new_message["payload"]
    call("AddBatch", {"messages": [new_message, {}], "partial": True}, queue_id="o")
    assert len(call("PopBatch", {"messages_max": 9, "wait": "1s"}, queue_id="o")["messages"]) == 2
    call("Add", new_message, queue_id="o")
    assert call("Purge", {}, queue_id="o") == {"removed": "1"}


def call_about_leases(call: Call) -> None:
    """Do with the queue "o" all that can be done with leases; a message stays delayed."""
    call("NewQueue", {"store": "DISK", "name": "o.dead"})
    settings = {
        "lease_duration": "60s",
        "delivery_count_max": 9,
        "dead_letter_queue_id": "o.dead",
        "back_off": {"base": "1.5s", "factor": 1.5, "max": "60s", "jitter": 0.1},
        "durability_min": "OS",
    }
    call("UpdateQueue", {"settings": settings, "limit": "20"}, queue_id="o")
    call("AddBatch", {"messages": [{}] * 3}, queue_id="o")
    lease = {"messages_max": 9, "wait": "1s", "lease_duration": "60s", "consumer": "me"}
    first, second, third = (
        each["lease_id"] for each in call("Lease", lease, queue_id="o")["messages"]
    )
    extended = call("Extend", {"lease_ids": [first], "lease_duration": "9s"}, queue_id="o")
    assert "lease_expires_at" in extended["results"][0]
    lost = call("Ack", {"lease_ids": [first, first[:-1] + "9"]}, queue_id="o")["results"]
    assert [result.get("code") for result in lost] == [None, 9]
    nack = {"lease_ids": [second], "kind": "FAIL", "delay": "60s", "reason": "why"}
    call("Nack", nack, queue_id="o")
    step = {
        "acks": [{"queue_id": "o", "lease_ids": [third]}],
        "adds": [{"queue_id": "o", "messages": [{"payload": ""}]}],
    }
    assert len(call("Complete", step)["messages"]) == 1
    call("Lease", lease, queue_id="o")
    by_selector = {"messages_max": 9, "selector": "o,!p"}
    call("AddQueueTag", {"key": "o"}, queue_id="o")
    call("AddBatch", {"messages": [{}] * 3}, queue_id="o")
    (leased,) = call("Lease2", {**by_selector, "messages_max": 1})["messages"]
    call("Ack", {"lease_ids": [leased["lease_id"]]}, queue_id=leased["queue_id"])
    assert len(call("PopBatch2", by_selector)["queue_ids"]) == 2


def call_about_dead_letters(call: Call) -> None:
    """Look at what the queue "o" holds, make a dead letter of it and bring that back."""
    query = "?states=LEASED&states=DELAYED&age_min=0s&age_max=60s&page_size=9"
    delayed, leased = call("Browse", None, query, queue_id="o")["messages"]
    assert (delayed["state"], leased["state"]) == ("DELAYED", "LEASED")
    meta = leased["message"]["meta"]
    told = call("Explain", None, f"?created={meta['created']}", queue_id="o", message_id=meta["id"])
    assert told["reasons"]
    call("Add", {}, queue_id="o")
    (again,) = call("Lease", {}, queue_id="o")["messages"]
    call("Nack", {"lease_ids": [again["lease_id"]], "kind": "REJECT"}, queue_id="o")
    (letter,) = call("Browse", queue_id="o.dead")["messages"]
    assert letter["message"]["dead_letter"]["reason"] == "REJECTED"
    redrive = {
        "target_queue_id": "o",
        "tags": [{"key": "k"}],
        "reasons": ["REJECTED", "DELIVERY_COUNT_MAX"],
        "text": "why",
        "age_min": "0s",
        "age_max": "60s",
        "dry_run": True,
        "messages_per_second": 0.5,
        "messages_max": "7",
        "failed_again_max": 0.25,
    }
    redrive_id = call("StartRedrive", redrive, queue_id="o.dead")["redrive"]["id"]
    call("GetRedrive", redrive_id=redrive_id)
    call("StopRedrive", {}, redrive_id=redrive_id)
    assert redrive_id in {each["id"] for each in call("ListRedrives")["redrives"]}


def call_about_schedules(call: Call) -> None:
    """Make schedules of the queue "o", put what was told of one once more, and delete one."""
    schedule = {
        "cron": "30 3 * * *",
        "time_zone": "Europe/Berlin",
        "message": {
            "tags": [{"key": "k"}],
            "payload": "aGVsbG8=",
            "options": {"delay": "1.5s", "ttl": "60s", "priority": 9, "dedup_id": "x"},
        },
        "missed": "ALL",
        "paused": True,
    }
    made = call("PutSchedule", schedule, queue_id="o", name="nightly")["schedule"]
    assert call("PutSchedule", made, queue_id="o", name="nightly")["schedule"] == made
    call("PutSchedule", {"interval": "3600s"}, queue_id="o", name="hourly")
    assert call("GetSchedule", queue_id="o", name="nightly")["schedule"] == made
    listed = call("ListSchedules2", None, "?page_size=1", queue_id="o")
    token = listed["next_page_token"]
    assert call("ListSchedules", None, f"?page_token={token}")["schedules"] == [made]
    call("DeleteSchedule", queue_id="o", name="nightly")


def call_about_groups(call: Call) -> None:
    """Let messages of the queue "o" be one after the other, and in turns."""
    call("Purge", {}, queue_id="o")
    settings = {
        "park_after": 3,
        "fairness": {
            "leased_max": 5,
            "rate": {"messages_per_second": 1000.0},
            "weights": {"k": 2, "l": 3},
        },
        "weight": 7,
    }
    told = call("UpdateQueue", {"settings": settings}, queue_id="o")["queue"]["settings"]
    assert told["fairness"]["weights"] == {"k": 2, "l": 3}
    options = {"group_id": "g", "fair_key": "k"}
    call("AddBatch", {"messages": [{"options": options}] * 3}, queue_id="o")
    (counts,) = call("Stats2", queue_id="o")["queues"]
    assert (counts["blocked"], counts["groups"], counts["fair_keys"]) == ("2", "1", "1")
    assert counts["top_fair_keys"] == [{"fair_key": "k", "weight": 2, "waiting": "3"}]
    paused = call("PauseGroup", {"group_id": "g"}, queue_id="o")["group"]
    query = "?states=PAUSED&states=PARKED&page_size=1"
    assert call("ListGroups", None, query, queue_id="o") == {"groups": [paused]}
    assert call("SkipGroup", {"group_id": "g", "messages_max": 2}, queue_id="o")["skipped"] == 2
    resumed = call("ResumeGroup", {"group_id": "g"}, queue_id="o")["group"]
    assert resumed == {"group_id": "g", "state": "READY", "waiting": "1"}


def call_about_messages_by_id(call: Call) -> None:
    """Move the two messages of the queue "o" that there are then, and delete one of them."""
    call("Add", {"payload": "aGVsbG8="}, queue_id="o")
    shown = [each["message"]["meta"] for each in call("Browse", queue_id="o")["messages"]]
    ids, since = [each["id"] for each in shown], shown[0]["created"]
    body = {"message_ids": ids, "target_queue_id": "o.dead", "created_from": since, "leased": True}
    moved = call("MoveMessages", body, queue_id="o")["results"]
    assert {*moved[0]} == {"queue_id"}
    again = call("MoveMessages", body, queue_id="o")["results"]
    assert again == [{**each, "was_there": True} for each in moved]
    gone = call("DeleteMessages", {"message_ids": [ids[0], "x"]}, queue_id="o.dead")["results"]
    assert [each.get("reason") for each in gone] == [None, "INVALID_ARGUMENT"]


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
