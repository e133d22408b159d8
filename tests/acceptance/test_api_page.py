"""The examples of docs/api.md work as pasted, and a real q fails as its tables say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import pytest
from google.protobuf import json_format

from qmq.limits import REDRIVES_RUNNING_MAX
from qmq.server import token_file
from qmq.transport.status import Code
from qmq.wire import q_pb2 as pb
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ, environment
from tests.acceptance.stock import StockClient, connected, refused
from tests.documents import blocks, page, section

PAGE = page("docs/api.md")

#: The order in which the examples make sense; those of some methods do so more than once.
STORY = (
    *("NewQueue", "ListQueues", "GetQueue", "AddQueueTag", "DeleteQueueTag"),
    *("Add", "Stats", "Peek", "Pop", "AddBatch", "PopBatch", "UpdateQueue"),
    *("AddBatch", "Browse", "Lease", "Explain", "Extend", "Nack", "Ack"),
    *("StartRedrive", "GetRedrive", "ListRedrives", "StopRedrive", "Pause", "Resume", "Purge"),
    *("PauseGroup", "ListGroups", "ResumeGroup", "SkipGroup"),
    *("AddBatch", "MoveMessages", "DeleteMessages"),
    *("PutSchedule", "GetSchedule", "ListSchedules", "DeleteSchedule"),
    *("AddBatch", "Lease", "Complete", "AddBatch", "Consume", "GetServer", "DeleteQueue"),
)

#: The same where q asks who calls, told by root.
STORY_OF_ACCESS = ("GetIdentity", "MakeToken", "ListIdentities", "RevokeToken")

#: Methods whose example is for curl alone, or for neither since they are streams.
WITHOUT_QCLI = {
    *("AddBatch", "PopBatch", "Stats", "UpdateQueue", "Browse", "Lease", "Explain", "Extend"),
    *("Nack", "Ack", "StartRedrive", "GetRedrive", "ListRedrives", "StopRedrive", "Pause"),
    *("PutSchedule", "GetSchedule", "ListSchedules", "DeleteSchedule"),
    *("Resume", "Purge", "Complete", "Consume"),
    *("ListGroups", "PauseGroup", "ResumeGroup", "SkipGroup", "GetServer"),
    *("DeleteMessages", "MoveMessages"),
}

#: Methods whose reply is made of figures of the moment: the page shows all that it may have.
OF_THE_MOMENT = {"GetServer"}

STREAMS = {"Consume"}

#: Methods whose example says that the reply looks like another's.
LIKE = {
    "GetQueue": "NewQueue",
    "Pop": "Add",
    "Nack": "Ack",
    "Resume": "UpdateQueue",
    "StopRedrive": "GetRedrive",
    "GetSchedule": "PutSchedule",
}

#: Methods that tell of what goes on by itself, until they tell that it has ended.
UNTIL_ENDED = {"GetRedrive", "ListRedrives"}

UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"
UNKNOWN_LEASE = "0000000000000001-00000001"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LEASE_ID = r"[0-9a-f]{16}-[0-9a-f]{8}"
OF_A_TOKEN = r"(?:q_)?[2-9a-km-z]{10}"  # noqa: S105 - It is a pattern.
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
ID = re.compile(f'{UUID}|{LEASE_ID}|(?<=")[2-9a-km-z]{{10}}(?=")|(?<=tokens/)[2-9a-km-z]{{10}}')


def example(method: str, program: str) -> list[str]:
    """Return the lines with which a method's example calls a program."""
    (commands,) = (b.text for b in blocks(section(PAGE, method)) if b.language == "sh")
    return [line for line in commands.splitlines() if re.search(rf"\b{program} ", line)]


def documented_json(method: str) -> list[Any]:
    """Return what the page shows in JSON for a method."""
    text = section(PAGE, LIKE.get(method, method))
    return [json.loads(block.text) for block in blocks(text) if block.language == "json"]


def without_chance(value: object) -> Any:  # noqa: ANN401 - JSON
    """Replace in JSON what differs from run to run: ids, times and what comes of them."""
    text = re.sub(UUID, "ID", json.dumps(value, sort_keys=True))
    text = re.sub(rf"{OF_A_TOKEN}_[A-Za-z0-9_-]{{43}}", "TEXT", text)
    text = re.sub(rf'"(token )?{OF_A_TOKEN}"', r'"\1TOKEN"', text)
    text = re.sub(LEASE_ID, "LEASE", text)
    # How many bytes a message takes depends on the time that it holds.
    text = re.sub(r'("(?:oldest_)?age"|"(?:ready_)?bytes"): "[0-9.]+s?"', r'\1: "SOME"', text)
    text = re.sub(r'("added_per_second"): [0-9.e-]+', r'\1: "SOME"', text)
    return json.loads(re.sub(TIME, "TIME", text))


def fields_of(value: object, path: str = "") -> set[str]:
    """Return the paths of all fields in JSON, whatever they hold."""
    if isinstance(value, list):
        return set().union(*(fields_of(each, path) for each in value))
    if not isinstance(value, dict):
        return {path.removeprefix(".")}
    return set().union(*(fields_of(each, f"{path}.{name}") for name, each in value.items()))


def stream_of(client: StockClient, method: str) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Return a function from the requests of a stream to its replies."""
    call: Callable[..., Iterator[bytes]] = client.channel.stream_stream(f"/proto.Q/{method}")
    return lambda requests: call(requests, timeout=60)


class Story:
    """The examples, one after the other, with the ids that a q has made for those of the page."""

    def __init__(self, q: RunningQ, token: str = "") -> None:
        self._q = q
        self._token = token
        self._path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        #: By those of the page.
        self._ids: dict[str, str] = {}

    def tell(self, method: str, program: str) -> None:
        """Run a method's example; the reply is that of the page."""
        documented = documented_json(method)[0] if documented_json(method) else {}
        if program == "qcli" and "-o json" not in example(method, program)[-1]:
            documented.pop("durability", None)
        reply = self._reply(method, program)
        while method in UNTIL_ENDED and '"RUNNING"' in json.dumps(reply):
            reply = self._reply(method, program)
        if method in OF_THE_MOMENT:
            assert "server.disk.contents.queues" in fields_of(reply) <= fields_of(documented)
        else:
            self._compare(reply, documented)

    def _reply(self, method: str, program: str) -> object:
        outputs = [self._run(command) for command in example(method, program)]
        return json.loads(outputs[-1] or "{}")

    def _run(self, command: str) -> str:
        return subprocess.run(
            ["bash", "-c", self._with_ids(command).replace("localhost:10002", self._q.address)],
            env=environment(QCLI_SERVER=self._q.address, PATH=self._path, TOKEN=self._token),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def tell_stream(self, method: str) -> None:
        """Do the same for a stream, whose requests and answers are shown in turn."""
        shown = documented_json(method)
        requests, answers = shown[::2], shown[1::2]
        inbox: SimpleQueue[bytes | None] = SimpleQueue()
        with connected(self._q.address) as client:
            stream = stream_of(client, method)(iter(inbox.get, None))
            for request, answer in zip(requests, answers, strict=True):
                text = self._with_ids(json.dumps(request))
                inbox.put(json_format.Parse(text, pb.ConsumeRequest()).SerializeToString())
                reply = pb.ConsumeResponse.FromString(next(stream))
                got = json_format.MessageToDict(reply, preserving_proto_field_name=True)
                self._compare(got, answer)
            inbox.put(None)
            assert list(stream) == []

    def _with_ids(self, text: str) -> str:
        return ID.sub(lambda match: self._ids.get(match[0], match[0]), text)

    def _compare(self, reply: object, documented: object) -> None:
        assert without_chance(reply) == without_chance(documented)
        shown, made = (ID.findall(json.dumps(each, sort_keys=True)) for each in (documented, reply))
        self._ids.update(zip(shown, made, strict=True))


@pytest.mark.parametrize("program", ["curl", "qcli"])
def test_examples_answer_as_shown(q_server: RunningQ, program: str) -> None:
    """Each method's example, by curl and by qcli, has the reply that stands below it."""
    story = Story(q_server)

    for method in STORY:
        if program == "curl" and method in STREAMS:
            story.tell_stream(method)
        elif program == "curl" or method not in WITHOUT_QCLI:
            story.tell(method, program)


ACCESS = """
[[identity]]
name = "root"
rights = [{ queues = "*", may = ["admin"] }]

[[identity]]
name = "worker"
rights = [{ queues = "billing.*", may = ["produce", "consume"] }]
calls_per_second = 1000
"""


def test_examples_of_access_answer_as_shown(q_server: RunningQ, tmp_path: Path) -> None:
    """To who may administer q; the ways in which these calls fail as well."""
    path = tmp_path / "access.toml"
    path.write_text(ACCESS)
    token = token_file.make(path, "root", expires=None, note="", grants=[]).text
    for call in FAILING_WHERE_NOBODY_IS_ASKED:
        assert_fails(q_server, call)
    q_server.stop()
    q_server.start(f"--access={path}")

    story = Story(q_server, token)
    for method in STORY_OF_ACCESS:
        story.tell(method, "curl")
    for call in FAILING_WHERE_SOMEBODY_IS_ASKED:
        named = call._replace(path=call.path.replace("ROOT", token.split("_")[1]))
        assert_fails(q_server, named, token)


def test_every_method_has_an_example() -> None:
    """The stories above tell of each."""
    assert {*STORY, *STORY_OF_ACCESS} == {
        *re.findall(r"^\| \[(\w+)\]", section(PAGE, "API"), re.MULTILINE)
    }


class Failing(NamedTuple):
    """A call that fails, by REST, and the reason that the page gives for it."""

    method: str
    reason: str
    verb: str
    path: str
    body: object = None


#: Of a q that has the queues `empty`, whose dead letters go to `dead`, `full`, `paused`, which
#: takes no messages either, and `memory`, the one that is not on disk.
FAILING = (
    Failing("ListQueues", "INVALID_ARGUMENT", "GET", "/v1/queues?page_size=-1"),
    Failing("NewQueue", "INVALID_ARGUMENT", "POST", "/v1/queues", {"limit": -2}),
    Failing("NewQueue", "UNKNOWN_STORE", "POST", "/v1/queues", {"store": 7}),
    Failing("NewQueue", "NAME_TAKEN", "POST", "/v1/queues", {"name": "full"}),
    Failing(
        *("NewQueue", "QUEUE_NOT_FOUND", "POST", "/v1/queues"),
        {"settings": {"dead_letter_queue_id": UNKNOWN_ID}},
    ),
    Failing("DeleteQueue", "INVALID_ARGUMENT", "DELETE", "/v1/queues/nobody"),
    Failing("DeleteQueue", "QUEUE_IN_USE", "DELETE", "/v1/queues/dead"),
    Failing("Add", "QUEUE_FULL", "POST", "/v1/queues/full", {}),
    *(
        Failing(method, "DURABILITY_NOT_REACHED", verb, f"/v1/queues/memory{path}", body)
        for method, verb, path, body in (
            ("Add", "POST", "?durability=OS", {}),
            ("AddBatch", "POST", "/messages:batch", {"durability": "OS"}),
            ("Pop", "GET", "/pop?durability=FSYNC", None),
            ("PopBatch", "POST", "/messages:pop", {"messages_max": 1, "durability": "OS"}),
            ("Lease", "POST", "/messages:lease", {"durability": "REPLICATED"}),
            *(
                (method, "POST", path, {"lease_ids": [UNKNOWN_LEASE], "durability": "FSYNC"})
                for method, path in (
                    ("Ack", "/leases:ack"),
                    ("Nack", "/leases:nack"),
                    ("Extend", "/leases:extend"),
                )
            ),
        )
    ),
    Failing("Add", "ADDS_PAUSED", "POST", "/v1/queues/paused", {}),
    Failing("Add", "TOO_LARGE", "POST", "/v1/queues/empty", {"payload": 1_400_000 * "AAAA"}),
    Failing(
        *("AddBatch", "QUEUE_FULL", "POST", "/v1/queues/full/messages:batch"), {"messages": [{}]}
    ),
    Failing(
        *("AddBatch", "TOO_LARGE", "POST", "/v1/queues/empty/messages:batch"),
        {"messages": [{"payload": 1_400_000 * "AAAA"}]},
    ),
    Failing(
        *("AddBatch", "ADDS_PAUSED", "POST", "/v1/queues/paused/messages:batch"), {"messages": [{}]}
    ),
    Failing("Pop", "QUEUE_EMPTY", "GET", "/v1/queues/empty/pop"),
    Failing("Pop", "QUEUE_PAUSED", "GET", "/v1/queues/paused/pop"),
    Failing("Peek", "QUEUE_EMPTY", "GET", "/v1/queues/empty/peek"),
    *(
        Failing("Complete", reason, "POST", "/v1/complete", body)
        for reason, body in (
            ("INVALID_ARGUMENT", {}),
            ("QUEUE_NOT_FOUND", {"adds": [{"queue_id": UNKNOWN_ID}]}),
            ("LEASE_LOST", {"acks": [{"queue_id": "full", "lease_ids": [UNKNOWN_LEASE]}]}),
            ("DURABILITY_NOT_REACHED", {"adds": [{"queue_id": "memory"}], "durability": "OS"}),
            ("STORES_DIFFER", {"adds": [{"queue_id": "empty"}, {"queue_id": "memory"}]}),
            ("QUEUE_FULL", {"adds": [{"queue_id": "full", "messages": [{}]}]}),
            ("ADDS_PAUSED", {"adds": [{"queue_id": "paused", "messages": [{}]}]}),
            (
                "TOO_LARGE",
                {"adds": [{"queue_id": "empty", "messages": [{"payload": 1_400_000 * "AAAA"}]}]},
            ),
        )
    ),
    Failing(*("Explain", "MESSAGE_NOT_FOUND", "GET", f"/v1/queues/empty/messages/{UNKNOWN_ID}")),
    Failing(
        *("StartRedrive", "STORES_DIFFER", "POST", "/v1/queues/empty/redrives"),
        {"target_queue_id": "memory"},
    ),
    Failing(
        *("MoveMessages", "STORES_DIFFER", "POST", "/v1/queues/empty/messages:move"),
        {"message_ids": [UNKNOWN_ID], "target_queue_id": "memory"},
    ),
    Failing(
        *("PutSchedule", "TOO_LARGE", "PUT", "/v1/queues/empty/schedules/large"),
        {"interval": "60s", "message": {"payload": 22_000 * "AAAA"}},
    ),
    Failing("GetSchedule", "SCHEDULE_NOT_FOUND", "GET", "/v1/queues/empty/schedules/none"),
    Failing("DeleteSchedule", "SCHEDULE_NOT_FOUND", "DELETE", "/v1/queues/empty/schedules/none"),
    *(
        Failing(method, reason, verb, f"/v1/redrives/{redrive_id}{path}", body)
        for redrive_id, reason in ((UNKNOWN_ID, "REDRIVE_NOT_FOUND"), ("x", "INVALID_ARGUMENT"))
        for method, verb, path, body in (
            ("GetRedrive", "GET", "", None),
            ("StopRedrive", "POST", "/stop", {}),
        )
    ),
    *(
        Failing(method, reason, verb, f"/v1/queues/{queue}{path}", body)
        for queue, reason in ((UNKNOWN_ID, "QUEUE_NOT_FOUND"), ("nobody", "INVALID_ARGUMENT"))
        for method, verb, path, body in (
            ("GetQueue", "GET", "", None),
            ("UpdateQueue", "PATCH", "", {}),
            ("Lease", "POST", "/messages:lease", {}),
            ("Ack", "POST", "/leases:ack", {"lease_ids": [UNKNOWN_LEASE]}),
            ("Nack", "POST", "/leases:nack", {"lease_ids": [UNKNOWN_LEASE]}),
            ("Extend", "POST", "/leases:extend", {"lease_ids": [UNKNOWN_LEASE]}),
            ("Browse", "GET", "/messages", None),
            ("Explain", "GET", f"/messages/{UNKNOWN_ID}", None),
            ("Purge", "POST", "/messages:purge", {}),
            ("Pause", "POST", "/pause", {}),
            ("Resume", "POST", "/resume", {}),
            ("ListGroups", "GET", "/groups", None),
            ("PauseGroup", "POST", "/groups:pause", {"group_id": "a"}),
            ("ResumeGroup", "POST", "/groups:resume", {"group_id": "a"}),
            ("SkipGroup", "POST", "/groups:skip", {"group_id": "a"}),
            ("StartRedrive", "POST", "/redrives", {}),
            ("PutSchedule", "PUT", "/schedules/a", {"interval": "60s"}),
            ("GetSchedule", "GET", "/schedules/a", None),
            ("ListSchedules", "GET", "/schedules", None),
            ("DeleteSchedule", "DELETE", "/schedules/a", None),
            ("AddQueueTag", "POST", "/tag", {"key": "k"}),
            ("DeleteQueueTag", "DELETE", "/tag", {"key": "k"}),
            ("Add", "POST", "", {}),
            ("AddBatch", "POST", "/messages:batch", {"messages": [{}]}),
            ("Pop", "GET", "/pop", None),
            ("PopBatch", "POST", "/messages:pop", {"messages_max": 1}),
            ("Peek", "GET", "/peek", None),
            ("Stats", "GET", "/stats", None),
            ("DeleteMessages", "POST", "/messages:delete", {"message_ids": [UNKNOWN_ID]}),
            ("MoveMessages", "POST", "/messages:move", {"message_ids": [UNKNOWN_ID]}),
        )
    ),
)

#: Of a q without an access file.
FAILING_WHERE_NOBODY_IS_ASKED = (
    Failing("ListIdentities", "ACCESS_FIXED", "GET", "/v1/identities"),
    Failing("MakeToken", "ACCESS_FIXED", "POST", "/v1/identities/worker/tokens", {}),
    Failing("RevokeToken", "ACCESS_FIXED", "DELETE", "/v1/identities/worker/tokens/a"),
)

#: Of one with `ACCESS`, in which ROOT stands for the id of root's only token.
FAILING_WHERE_SOMEBODY_IS_ASKED = (
    Failing("MakeToken", "IDENTITY_NOT_FOUND", "POST", "/v1/identities/nobody/tokens", {}),
    Failing("MakeToken", "INVALID_ARGUMENT", "POST", "/v1/identities/root/tokens", {"ttl": "1s"}),
    Failing("RevokeToken", "INVALID_ARGUMENT", "DELETE", "/v1/identities/worker/tokens/ROOT"),
    Failing("RevokeToken", "LAST_ADMIN", "DELETE", "/v1/identities/root/tokens/ROOT"),
)

#: Of a q without a data directory that has as many queues as it may.
FAILING_WHERE_Q_IS_SMALL = (
    Failing("NewQueue", "STORE_NOT_CONFIGURED", "POST", "/v1/queues", {"store": "DISK"}),
    Failing("NewQueue", "LIMIT_REACHED", "POST", "/v1/queues", {"store": "MEMORY"}),
)


def documented_statuses() -> dict[str, tuple[int, int]]:
    """Return the HTTP status and the gRPC code of each reason, as the page's table says."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\d+) \|", section(PAGE, "Errors"), re.MULTILINE)
    return {reason: (int(http_status), Code[code]) for reason, code, http_status in rows}


def assert_fails(q: RunningQ, call: Failing, token: str = "") -> None:
    """Make the call, with a token if there is one; it fails as the page says."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    reply = rest(q.address, call.verb, call.path, call.body, headers)

    assert reply.json["details"][0]["reason"] == call.reason, call
    assert (reply.status, reply.json["code"]) == documented_statuses()[call.reason], call


def test_methods_fail_as_documented(bare_q: RunningQ) -> None:
    """The reasons are those of the methods, and the statuses those of the reasons."""
    for path, body in (
        ("", {"name": "dead"}),
        ("", {"name": "empty", "settings": {"dead_letter_queue_id": "dead"}}),
        ("", {"name": "full", "limit": 1}),
        ("/full", {}),
        ("", {"name": "paused"}),
        ("/paused/pause", {"adds": True}),
        ("", {"name": "memory", "store": "MEMORY"}),
    ):
        assert rest(bare_q.address, "POST", f"/v1/queues{path}", body).status == 200

    for call in FAILING:
        assert_fails(bare_q, call)


def test_methods_of_a_small_q_fail_as_documented(q_server: RunningQ) -> None:
    """What needs a data directory, or room for one more queue, is refused without it."""
    q_server.stop()
    q_server.start("--data=none", "--queues-max=1")
    assert rest(q_server.address, "POST", "/v1/queues", {"store": "MEMORY"}).status == 200

    for call in FAILING_WHERE_Q_IS_SMALL:
        assert_fails(q_server, call)


#: Of a q with as many redrives under way as there may be.
FAILING_WHERE_Q_IS_BUSY = (
    Failing(
        *("StartRedrive", "LIMIT_REACHED", "POST", "/v1/queues/dead/redrives"),
        {"target_queue_id": "target", "messages_per_second": 0.01},
    ),
)


def test_methods_of_a_busy_q_fail_as_documented(q_server: RunningQ) -> None:
    """A redrive that takes its time is one that counts."""
    for path, body in (
        ("", {"name": "dead"}),
        ("", {"name": "target"}),
        ("/dead/messages:batch", {"messages": [{}] * 2 * REDRIVES_RUNNING_MAX}),
    ):
        assert rest(q_server.address, "POST", f"/v1/queues{path}", body).status == 200
    (call,) = FAILING_WHERE_Q_IS_BUSY
    for _ in range(REDRIVES_RUNNING_MAX):
        assert rest(q_server.address, call.verb, call.path, call.body).status == 200

    assert_fails(q_server, call)


#: Requests with which a stream fails, by method and reason, given the id of a MEMORY queue.
FAILING_STREAMS: dict[tuple[str, str], Callable[[str], list[pb.ConsumeRequest]]] = {
    ("Consume", "INVALID_ARGUMENT"): lambda _: [pb.ConsumeRequest(credit={"credit": 1})],
    ("Consume", "QUEUE_NOT_FOUND"): lambda _: [
        pb.ConsumeRequest(open={"queue_id": UNKNOWN_ID, "credit": 1})
    ],
    ("Consume", "DURABILITY_NOT_REACHED"): lambda queue_id: [
        pb.ConsumeRequest(open={"queue_id": queue_id, "credit": 1}),
        pb.ConsumeRequest(ack={"lease_ids": [UNKNOWN_LEASE], "durability": "FSYNC"}),
    ],
}


@pytest.mark.parametrize(
    ("failure", "requests"), FAILING_STREAMS.items(), ids=[each[1] for each in FAILING_STREAMS]
)
def test_streams_fail_as_documented(
    client: StockClient,
    failure: tuple[str, str],
    requests: Callable[[str], list[pb.ConsumeRequest]],
) -> None:
    """Their reasons are in the trailers."""
    method, reason = failure
    stream = stream_of(client, method)
    encoded = [request.SerializeToString() for request in requests(client.made())]

    refusal = refused(lambda: list(stream(iter(encoded))))

    assert refusal.info.reason == reason
    assert documented_statuses()[reason][1] == refusal.code.value[0]


#: What takes a million messages, a hundred thousand groups, or a thousand schedules or selectors;
#: tests/transport and tests/engine have it. Memory is full in a test of its own. Quotas,
#: which only a q has that asks who calls, are reached in tests of access.
TOO_MUCH_TO_TRY = {
    *((method, "DEDUP_FULL") for method in ("Add", "AddBatch", "Complete")),
    *((method, "MEMORY_FULL") for method in ("Add", "AddBatch", "Complete")),
    *((method, "QUOTA_REACHED") for method in ("NewQueue", "Add", "AddBatch", "Complete")),
    ("PauseGroup", "GROUPS_FULL"),
    ("PutSchedule", "LIMIT_REACHED"),
    *((method, "SELECTIONS_FULL") for method in ("Lease", "PopBatch", "Consume")),
}


def test_every_documented_failure_is_tried() -> None:
    """The calls above are all that the page tells of."""
    documented = {
        (method, reason)
        for method in (*STORY, *STORY_OF_ACCESS)
        for line in re.findall(r"^- Errors: (.*)$", section(PAGE, method), re.MULTILINE)
        for reason in re.findall(r"`(\w+)`", line)
    }

    calls = (
        *FAILING,
        *FAILING_WHERE_Q_IS_SMALL,
        *FAILING_WHERE_Q_IS_BUSY,
        *FAILING_WHERE_NOBODY_IS_ASKED,
        *FAILING_WHERE_SOMEBODY_IS_ASKED,
    )
    tried = {(call.method, call.reason) for call in calls}
    assert tried | {*FAILING_STREAMS} == documented - TOO_MUCH_TO_TRY


def test_deadline_of_a_rest_call(shared_q: RunningQ) -> None:
    """The header with which gRPC clients send it counts by REST too."""
    reply = rest(shared_q.address, "GET", "/v1/queues", headers={"grpc-timeout": "1n"})

    reason = reply.json["details"][0]["reason"]
    assert reason == "DEADLINE_EXCEEDED"
    assert (reply.status, reply.json["code"]) == documented_statuses()[reason]
