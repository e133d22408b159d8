"""Messages on lease, and the queues that hand them out, by REST."""

from base64 import b64encode
from typing import Any, Protocol

import pytest

from tests.acceptance.rest import RestReply, rest
from tests.acceptance.running import RunningQ
from tests.acceptance.stock import UNKNOWN_ID, StockClient

DEFAULTS: dict[str, Any] = {
    "lease_duration": "30s",
    "delivery_count_max": 0,
    "dead_letter_queue_id": "",
    "back_off": {"base": "1s", "factor": 2, "max": "300s", "jitter": 0.2},
    "durability_min": "MEMORY",
    "delay": "0s",
    "ttl": "0s",
    "dead_letter_expired": False,
    "dedup_window": "300s",
    "priority_ageing": "0s",
    "bytes_limit": "0",
    "overflow": "REJECT",
    "leased_max": 0,
    "rate": {"messages_per_second": 0, "burst": 0},
    "park_after": 0,
    "fairness": {"leased_max": 0, "rate": {"messages_per_second": 0, "burst": 0}},
    "weight": 1,
}


class Call(Protocol):
    """Sends a request to q."""

    def __call__(self, method: str, path: str, body: object = None) -> RestReply:
        """Send it and wait for the reply."""
        ...


@pytest.fixture
def call(shared_q: RunningQ) -> Call:
    """Sends requests to the q that tests share."""

    def send(method: str, path: str, body: object = None) -> RestReply:
        return rest(shared_q.address, method, path, body)

    return send


def fine(reply: RestReply) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a request that succeeded."""
    assert reply.status == 200, reply
    return reply.json


def in_base64(payload: bytes) -> str:
    """Return a payload as JSON has it."""
    return b64encode(payload).decode()


@pytest.fixture
def queue(call: Call, client: StockClient) -> str:
    """The path of a MEMORY queue with the messages 1, 2 and 3, and a dead-letter queue."""
    dead_id = client.made()
    body = {"store": "MEMORY", "settings": {"dead_letter_queue_id": dead_id}}
    queue_id = fine(call("POST", "/v1/queues", body))["queue"]["meta"]["id"]
    path = f"/v1/queues/{queue_id}"
    messages = [{"payload": in_base64(payload)} for payload in (b"1", b"2", b"3")]
    fine(call("POST", f"{path}/messages:batch", {"messages": messages}))
    return path


def test_life_of_a_message(call: Call, queue: str) -> None:
    """Leased, extended, released, rejected, and done as a dead letter."""
    body = {"consumer": "a", "lease_duration": "60s", "wait": "1s"}
    (leased,) = fine(call("POST", f"{queue}/messages:lease", body))["messages"]
    ids = {"lease_ids": [leased["lease_id"]]}
    (extended,) = fine(call("POST", f"{queue}/leases:extend", {**ids, "lease_duration": "120s"}))[
        "results"
    ]
    released = call("POST", f"{queue}/leases:nack", {**ids, "kind": "RELEASE", "reason": "bye"})
    (again,) = fine(call("POST", f"{queue}/messages:lease", {"consumer": "b"}))["messages"]
    rejection = {"lease_ids": [again["lease_id"]], "kind": "REJECT", "reason": "no JSON"}
    rejected = call("POST", f"{queue}/leases:nack", rejection)
    settings = fine(call("GET", queue))["queue"]["settings"]
    dead_queue = f"/v1/queues/{settings['dead_letter_queue_id']}"
    (dead,) = fine(call("POST", f"{dead_queue}/messages:lease", {}))["messages"]
    done = call("POST", f"{dead_queue}/leases:ack", {"lease_ids": [dead["lease_id"]]})

    assert leased.keys() == {"message", "lease_id", "lease_expires_at", "delivery_count"}
    assert (leased["message"]["payload"], leased["delivery_count"]) == (in_base64(b"1"), 1)
    assert leased["lease_expires_at"] < extended["lease_expires_at"]
    assert fine(released)["results"] == fine(rejected)["results"] == [{}]
    assert (
        again["message"]["attempts"][0].items()
        >= {
            "consumer": "a",
            "outcome": "RELEASED",
            "reason": "bye",
        }.items()
    )
    assert (
        dead["message"]["dead_letter"].items()
        >= {
            "reason": "REJECTED",
            "text": "no JSON",
            "source_queue_id": queue.rpartition("/")[2],
            "delivery_count": 1,
        }.items()
    )
    assert [each["outcome"] for each in dead["message"]["attempts"]] == ["RELEASED", "REJECTED"]
    assert fine(done)["results"] == [{}]
    assert call("GET", f"{dead_queue}/pop").status == 404


def test_each_lease_has_its_answer(call: Call, queue: str) -> None:
    """A lease that is lost is no error of the call; nor is what never was one."""
    leased = fine(call("POST", f"{queue}/messages:lease", {"messages_max": 2}))["messages"]
    first, second = (each["lease_id"] for each in leased)
    fine(call("POST", f"{queue}/leases:nack", {"lease_ids": [second], "kind": "RELEASE"}))

    results = fine(call("POST", f"{queue}/leases:ack", {"lease_ids": [first, second, "soup"]}))

    assert [result.get("code", 0) for result in results["results"]] == [0, 9, 3]
    assert results["results"][2] == {
        "code": 3,
        "message": "lease_ids: 'soup' is no lease_id as Lease hands them out",
        "reason": "INVALID_ARGUMENT",
    }
    assert results["results"][1]["reason"] == "LEASE_LOST"


def test_step_of_a_pipeline_is_all_or_nothing(call: Call, queue: str) -> None:
    """The messages that it adds are answered as those of a batch are."""
    (leased,) = fine(call("POST", f"{queue}/messages:lease", {}))["messages"]
    queue_id = queue.rpartition("/")[2]
    acks = [{"queue_id": queue_id, "lease_ids": [leased["lease_id"]]}]
    adds = [{"queue_id": queue_id, "messages": [{"tags": [{"key": "k"}]}, {}]}]

    lost = call(
        "POST", "/v1/complete", {"acks": [{**acks[0], "lease_ids": ["soup"]}], "adds": adds}
    )
    done = fine(call("POST", "/v1/complete", {"acks": acks, "adds": adds}))["messages"]
    again = call("POST", "/v1/complete", {"acks": acks, "adds": adds})

    assert lost.refusal[:2] == (400, 3)
    assert [meta.get("tags") for meta in done] == [[{"key": "k"}], None]
    assert again.refusal[:2] == (400, 9)
    assert again.json["details"][0]["reason"] == "LEASE_LOST"
    assert fine(call("GET", f"{queue}/stats"))["queues"][0]["ready"] == "4"


def test_settings_are_changed_one_by_one(call: Call, client: StockClient) -> None:
    """What a PATCH leaves out, or null, stays as it is; what it says is in the answer."""
    path = f"/v1/queues/{client.made()}"
    before = fine(call("GET", path))["queue"]

    for body, settings, limit in (
        ({}, {}, "-1"),
        ({"settings": None, "limit": None}, {}, "-1"),
        ({"settings": {"lease_duration": "0.5s"}}, {"lease_duration": "0.500s"}, "-1"),
        (
            {"settings": {"back_off": {"factor": 3}}, "limit": "7"},
            {"back_off": {**DEFAULTS["back_off"], "factor": 3}},
            "7",
        ),
        ({"settings": {"lease_duration": "30s"}, "limit": 0}, {"lease_duration": "30s"}, "-1"),
    ):
        changed = fine(call("PATCH", path, body))["queue"]
        before = {
            **before,
            "settings": {**before["settings"], **settings},
            "limit": limit,
        }
        assert changed == before
        assert fine(call("GET", path))["queue"] == before


def test_queue_is_made_with_settings(call: Call) -> None:
    """The others are as by default."""
    body = {"store": "MEMORY", "settings": {"back_off": {"jitter": 0}, "lease_duration": "12.5s"}}

    settings = fine(call("POST", "/v1/queues", body))["queue"]["settings"]

    assert settings == {
        **DEFAULTS,
        "lease_duration": "12.500s",
        "back_off": {**DEFAULTS["back_off"], "jitter": 0},
    }


def test_queue_is_paused_resumed_and_purged(call: Call, queue: str) -> None:
    """The pause is in its description until it ends."""
    paused = fine(call("POST", f"{queue}/pause", {"adds": True}))["queue"]["paused"]
    refusals = [call("GET", f"{queue}/pop"), call("POST", queue, {})]
    shown = fine(call("GET", queue))["queue"]["paused"]
    resumed = fine(call("POST", f"{queue}/resume", {}))["queue"]
    purged = [fine(call("POST", f"{queue}/messages:purge", {})) for _ in range(2)]

    assert paused.keys() == {"since", "adds"}
    assert shown == paused
    assert [(each.status, each.json["details"][0]["reason"]) for each in refusals] == [
        (404, "QUEUE_PAUSED"),
        (400, "ADDS_PAUSED"),
    ]
    assert "paused" not in resumed
    assert purged == [{"removed": "3"}, {}]


def test_counts_are_those_of_each_state(call: Call, queue: str) -> None:
    """With who has the leases."""
    leased = fine(call("POST", f"{queue}/messages:lease", {"messages_max": 2, "consumer": "a"}))
    ids = [leased["messages"][0]["lease_id"]]
    fine(call("POST", f"{queue}/leases:nack", {"lease_ids": ids, "delay": "60s"}))

    (counts,) = fine(call("GET", f"{queue}/stats"))["queues"]

    assert (counts["ready"], counts["leased"], counts["delayed"]) == ("1", "1", "1")
    assert counts["consumers"] == [{"consumer": "a", "leased": "1"}]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/messages:lease", {"messages_max": 1_001}, "messages_max: must be 1 to 1000, or 0 for"),
        ("/messages:lease", {"messages_max": "x"}, 'messages_max: invalid value "x" for type TYPE'),
        ("/messages:lease", {"lease_duration": "0s"}, "lease_duration: must be 1 millisecond to"),
        ("/messages:lease", {"lease_duration": 5}, "lease_duration: invalid value"),
        ("/messages:lease", {"wait": "61s"}, "wait: must be 0 to 60 seconds; got 61"),
        ("/messages:lease", {"consumer": "é" * 101}, "consumer: takes 202 bytes, more than 200"),
        ("/messages:lease", {"max": 1}, 'unknown field "max" in proto.LeaseRequest'),
        ("/messages:lease", b"", "the body is empty; send a JSON object, a proto.LeaseRequest"),
        ("/messages:purge", b"", "the body is empty; send a JSON object, a proto.PurgeRequest"),
        ("/leases:ack", {}, "lease_ids: must be 1 to 1000 lease ids; got 0"),
        ("/leases:ack", {"lease_ids": [1]}, "lease_ids[0]: invalid value 1 for type TYPE_STRING"),
        ("/leases:ack", {"lease_ids": ["x"], "queue_id": "other"}, "The binding value "),
        ("/leases:nack", {"lease_ids": ["x"], "kind": "fail"}, "kind: invalid value"),
        ("/leases:nack", {"lease_ids": ["x"], "kind": 9}, "kind: must be RELEASE (1), FAIL (2) or"),
        ("/leases:nack", {"lease_ids": ["x"], "delay": "-1s"}, "delay: must be 0 to 7 days; got"),
        ("/leases:extend", {"lease_ids": []}, "lease_ids: must be 1 to 1000 lease ids; got 0"),
        ("/pause", {"adds": "soon"}, "adds: invalid value"),
    ],
)
def test_what_breaks_a_rule_is_refused(
    call: Call, queue: str, path: str, body: object, words: str
) -> None:
    """By the name of the field; and nothing is handed out or lost."""
    status, code, message = call("POST", f"{queue}{path}", body).refusal

    assert (status, code) == (400, 3)
    assert message.startswith(words)
    assert fine(call("GET", f"{queue}/stats"))["queues"][0]["ready"] == "3"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lease_duration": "13h"}, "settings.lease_duration: invalid value"),
        (
            {"lease_duration": "43201s"},
            "settings.lease_duration: must be 1 millisecond to 12 hours",
        ),
        ({"delivery_count_max": -1}, "settings.delivery_count_max: must be 1 to 1000, or 0 for no"),
        ({"delivery_count_max": 5}, "settings.delivery_count_max: needs a dead_letter_queue_id"),
        ({"dead_letter_queue_id": "nobody"}, "settings.dead_letter_queue_id: 'nobody' is neither"),
        ({"back_off": {"base": "-1s"}}, "settings.back_off.base: must be 0 to 12 hours; got -1"),
        ({"back_off": {"factor": "NaN"}}, "settings.back_off.factor: must be 1 to 100; got nan"),
        ({"back_off": {"jitter": 1.5}}, "settings.back_off.jitter: must be 0 to 1; got 1.5"),
        ({"durability_min": "DISK"}, "settings.durability_min: invalid value"),
        ({"durability_min": "REPLICATED"}, "settings.durability_min: must be at most"),
        ({"back_of": {}}, 'unknown field "back_of" in proto.QueueSettings'),
        ({"back_off": {"bass": "1s"}}, 'unknown field "bass" in proto.BackOff'),
    ],
)
def test_settings_that_break_a_rule_are_refused(
    call: Call, client: StockClient, settings: dict[str, object], words: str
) -> None:
    """For a new queue and for one that is there, which stays as it is."""
    path = f"/v1/queues/{client.made()}"
    before = call("GET", path).body

    for reply in (
        call("POST", "/v1/queues", {"store": "MEMORY", "settings": settings}),
        call("PATCH", path, {"settings": settings}),
    ):
        assert reply.refusal[:2] == (400, 3)
        assert reply.refusal[2].startswith(words)
    assert call("GET", path).body == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"limit": 1}),
        ("POST", "/messages:lease", {}),
        ("POST", "/leases:ack", {"lease_ids": ["x"]}),
        ("POST", "/leases:nack", {"lease_ids": ["x"]}),
        ("POST", "/leases:extend", {"lease_ids": ["x"]}),
        ("POST", "/messages:purge", {}),
        ("POST", "/pause", {}),
        ("POST", "/resume", {}),
    ],
)
def test_queue_that_is_not_there_is_not_found(
    call: Call, method: str, path: str, body: object
) -> None:
    """By its id."""
    assert call(method, f"/v1/queues/{UNKNOWN_ID}{path}", body).refusal == (
        404,
        5,
        f"cannot find queue with id {UNKNOWN_ID}",
    )


def test_dead_letter_queue_is_not_deleted(call: Call, queue: str) -> None:
    """It is said whose it is."""
    dead_id = fine(call("GET", queue))["queue"]["settings"]["dead_letter_queue_id"]

    refusal = call("DELETE", f"/v1/queues/{dead_id}")

    assert refusal.refusal[:2] == (400, 9)
    assert refusal.json["details"][0]["reason"] == "QUEUE_IN_USE"
    assert fine(call("DELETE", queue)) == {}
    assert fine(call("DELETE", f"/v1/queues/{dead_id}")) == {}
