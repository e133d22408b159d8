"""The REST routes, and the answers to what matches none of them."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from qmq.transport.rest import ROUTES, TOO_LARGE_PATH, answer_unmatched, methods_at
from qmq.wire import q_pb2


class Answer:
    """What an application has sent, as a client sees it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def send(self, event: MutableMapping[str, Any]) -> None:
        """Take one ASGI event."""
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            self.body += event["body"]


async def answer(method: str, path: str) -> Answer:
    """Return the answer to a request that matches no route."""
    found = Answer()
    await answer_unmatched({"type": "http", "method": method, "path": path}, found.send)
    return found


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/queues", ("GET", "POST")),
        ("/v1/queues/some-id", ("DELETE", "GET", "PATCH", "POST")),
        ("/v1/queues/some-id/tag", ("DELETE", "POST")),
        ("/v1/queues/some-id/pop", ("GET",)),
        ("/v1/queues/some-id/peek", ("GET",)),
        ("/v1/queues/some-id/messages:batch", ("POST",)),
        ("/v1/queues/some-id/messages:pop", ("POST",)),
        ("/v1/queues/some-id/messages:lease", ("POST",)),
        ("/v1/queues/some-id/messages:purge", ("POST",)),
        ("/v1/queues/some-id/groups", ("GET",)),
        ("/v1/queues/some-id/groups:pause", ("POST",)),
        ("/v1/queues/some-id/groups:resume", ("POST",)),
        ("/v1/queues/some-id/groups:skip", ("POST",)),
        ("/v1/queues/some-id/messages", ("GET",)),
        ("/v1/queues/some-id/messages/another-id", ("GET",)),
        ("/v1/queues/some-id/messages/", ()),
        ("/v1/queues/some-id/messages:nope", ()),
        ("/v1/queues/some-id:pop", ("DELETE", "GET", "PATCH", "POST")),
        ("/v1/queues/some-id/leases:ack", ("POST",)),
        ("/v1/queues/some-id/leases:nack", ("POST",)),
        ("/v1/queues/some-id/leases:extend", ("POST",)),
        ("/v1/queues/some-id/leases", ()),
        ("/v1/queues/some-id/pause", ("POST",)),
        ("/v1/queues/some-id/resume", ("POST",)),
        ("/v1/queues/some-id/redrives", ("POST",)),
        ("/v1/redrives", ("GET",)),
        ("/v1/redrives/some-id", ("GET",)),
        ("/v1/redrives/some-id/stop", ("POST",)),
        ("/v1/queues/some-id/schedules", ("GET",)),
        ("/v1/queues/some-id/schedules/some-name", ("DELETE", "GET", "PUT")),
        ("/v1/schedules", ("GET",)),
        ("/v1/complete", ("POST",)),
        ("/v1/messages:lease", ("POST",)),
        ("/v1/messages:pop", ("POST",)),
        ("/v1/queues/some-id/stats", ("GET",)),
        ("/v1/stats", ("GET",)),
        ("/v1/queues/some-id/nope", ()),
        ("/v1/queues/", ()),
        ("/v1/queues//pop", ()),
        ("/v1", ()),
        ("/", ()),
        ("", ()),
    ],
)
def test_paths_allow_the_methods_of_the_proto(path: str, methods: tuple[str, ...]) -> None:
    """The routes are those of the google.api.http rules; a variable is never empty."""
    assert methods_at(path) == methods


def test_routes_know_their_variables_by_both_names() -> None:
    """A path's variable goes by its proto name and by its JSON name."""
    variables = {route.variables for route in ROUTES}

    queue = ("queue_id", "queueId")
    assert variables == {
        (),
        queue,
        (*queue, "message_id", "messageId"),
        ("redrive_id", "redriveId"),
        (*queue, "name", "name"),
        ("identity", "identity"),
        ("identity", "identity", "token_id", "tokenId"),
    }


def test_routes_know_what_their_query_may_repeat() -> None:
    """Lists of what is no message, where the query is what says it."""
    repeatable = {
        (route.method, "/".join(segment or "*" for segment in route.segments)): route.repeatable
        for route in ROUTES
        if route.repeatable
    }

    assert repeatable == {
        ("GET", "v1/queues/*/messages"): ("states", "states"),
        ("GET", "v1/queues/*/groups"): ("states", "states"),
    }


def test_a_stream_has_no_route() -> None:
    """Consume is for gRPC alone."""
    paths = ["/".join(segment or "*" for segment in route.segments) for route in ROUTES]

    # Four methods have two routes each: PopBatch, Lease, Stats and ListSchedules.
    assert len(ROUTES) == len(q_pb2.DESCRIPTOR.services_by_name["Q"].methods) - 1 + 4
    assert not [path for path in paths if "consume" in path.lower()]


def test_routes_know_the_types_of_their_bodies() -> None:
    """A body is the whole request, or one field of it."""
    bodies = {
        (route.method, "/".join(segment or "*" for segment in route.segments)): (
            route.body_type.full_name
        )
        for route in ROUTES
        if route.body_type
    }

    assert bodies == {
        ("POST", "v1/queues"): "proto.NewQueueRequest",
        ("PATCH", "v1/queues/*"): "proto.UpdateQueueRequest",
        ("POST", "v1/queues/*"): "proto.NewMessage",
        ("POST", "v1/identities/*/tokens"): "proto.MakeTokenRequest",
        ("POST", "v1/queues/*/tag"): "proto.Tag",
        ("DELETE", "v1/queues/*/tag"): "proto.Tag",
        ("POST", "v1/queues/*/messages:batch"): "proto.AddBatchRequest",
        ("POST", "v1/queues/*/messages:pop"): "proto.PopBatchRequest",
        ("POST", "v1/queues/*/messages:lease"): "proto.LeaseRequest",
        ("POST", "v1/messages:pop"): "proto.PopBatchRequest",
        ("POST", "v1/messages:lease"): "proto.LeaseRequest",
        ("POST", "v1/queues/*/groups:pause"): "proto.PauseGroupRequest",
        ("POST", "v1/queues/*/groups:resume"): "proto.ResumeGroupRequest",
        ("POST", "v1/queues/*/groups:skip"): "proto.SkipGroupRequest",
        ("POST", "v1/queues/*/messages:purge"): "proto.PurgeRequest",
        ("POST", "v1/queues/*/messages:delete"): "proto.DeleteMessagesRequest",
        ("POST", "v1/queues/*/messages:move"): "proto.MoveMessagesRequest",
        ("POST", "v1/queues/*/leases:ack"): "proto.AckRequest",
        ("POST", "v1/queues/*/leases:nack"): "proto.NackRequest",
        ("POST", "v1/queues/*/leases:extend"): "proto.ExtendRequest",
        ("POST", "v1/queues/*/pause"): "proto.PauseRequest",
        ("POST", "v1/queues/*/resume"): "proto.ResumeRequest",
        ("POST", "v1/queues/*/redrives"): "proto.StartRedriveRequest",
        ("POST", "v1/redrives/*/stop"): "proto.StopRedriveRequest",
        ("PUT", "v1/queues/*/schedules/*"): "proto.Schedule",
        ("POST", "v1/complete"): "proto.CompleteRequest",
    }


async def test_an_unknown_path_is_not_found() -> None:
    """The body is google.rpc.Status, with the code that belongs to the HTTP status."""
    found = await answer("GET", "/nope")

    assert found.status == 404
    assert found.headers["content-type"] == "application/json"
    assert found.headers["content-length"] == str(len(found.body))
    assert json.loads(found.body) == {
        "code": 5,
        "message": "no such path: /nope; the API is under /v1/queues",
    }


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    """HTTP wants them in a header, people in the sentence."""
    found = await answer("PUT", "/v1/queues/some-id/tag")

    assert found.status == 405
    assert found.headers["allow"] == "DELETE, POST"
    assert json.loads(found.body) == {
        "code": 12,
        "message": "PUT is not supported at /v1/queues/some-id/tag; use DELETE or POST",
    }


async def test_head_has_no_body() -> None:
    """HEAD is no method of the API, and no answer to it has a body."""
    found = await answer("HEAD", "/v1/queues")

    assert (found.status, found.body) == (405, b"")
    assert int(found.headers["content-length"]) > 0


async def test_json_at_a_grpc_path_is_told_the_content_type() -> None:
    """A path of gRPC is no path of REST."""
    found = await answer("POST", "/proto.Q/Add")

    assert found.status == 415
    assert json.loads(found.body) == {
        "code": 3,
        "message": "a gRPC call has the content-type application/grpc; REST is under /v1/queues",
    }


async def test_a_body_that_is_too_large_is_told_the_limit() -> None:
    """Such requests are sent here with the limit in the path."""
    found = await answer("POST", f"{TOO_LARGE_PATH}1000")

    assert found.status == 413
    assert json.loads(found.body) == {
        "code": 8,
        "message": "the request's body is larger than 1000 bytes, more than a message needs",
    }


async def test_a_path_that_only_looks_like_it_is_not_found() -> None:
    """What stands where the limit should is not repeated as one."""
    found = await answer("POST", f"{TOO_LARGE_PATH}soup")

    assert found.status == 404
