"""The examples of docs/api.md work as pasted, and a real q fails as its tables say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from qmq.transport.status import Code
from tests.acceptance.rest import rest
from tests.acceptance.running import RunningQ, environment
from tests.documents import blocks, page, section

PAGE = page("docs/api.md")

#: The order in which the examples make sense.
STORY = (
    *("NewQueue", "ListQueues", "GetQueue", "AddQueueTag", "DeleteQueueTag"),
    *("Add", "Stats", "Peek", "Pop", "AddBatch", "PopBatch", "DeleteQueue"),
)

#: Methods whose example is for curl alone.
WITHOUT_QCLI = {"AddBatch", "PopBatch", "Stats"}

#: Methods whose example says that the reply looks like another's.
LIKE = {"GetQueue": "NewQueue", "Peek": "Add", "Pop": "Add"}

UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z"


def example(method: str, program: str) -> str:
    """Return the line with which a method's example calls a program."""
    (commands,) = (b.text for b in blocks(section(PAGE, method)) if b.language == "sh")
    (line,) = (line for line in commands.splitlines() if re.search(rf"\b{program} ", line))
    return line


def documented_reply(method: str) -> object:
    """Return the reply that the page shows for a method; one without content is not shown."""
    text = section(PAGE, LIKE.get(method, method))
    shown = [block.text for block in blocks(text) if block.language == "json"]
    return json.loads(shown[0]) if shown else {}


def without_chance(value: object) -> object:
    """Replace in JSON what differs from run to run: ids, times and what comes of them."""
    text = re.sub(UUID, "ID", json.dumps(value))
    # How many bytes a message takes depends on the time that it holds.
    text = re.sub(r'("oldest_age"|"ready_bytes"): "[0-9.]+s?"', r'\1: "SOME"', text)
    return json.loads(re.sub(TIME, "TIME", text))


@pytest.mark.parametrize("program", ["curl", "qcli"])
def test_examples_answer_as_shown(q_server: RunningQ, program: str) -> None:
    """Each method's example, by curl and by qcli, has the reply that stands below it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    for method in STORY:
        if program == "qcli" and method in WITHOUT_QCLI:
            continue
        command = example(method, program).replace("localhost:10002", q_server.address)
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment(QCLI_SERVER=q_server.address, PATH=path),
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        reply = json.loads(done.stdout or "{}")
        assert without_chance(reply) == without_chance(documented_reply(method)), method


def test_every_method_has_an_example() -> None:
    """The story above tells of each."""
    assert {*STORY} == {*re.findall(r"^\| \[(\w+)\]", section(PAGE, "API"), re.MULTILINE)}


class Failing(NamedTuple):
    """A call that fails, by REST, and the reason that the page gives for it."""

    method: str
    reason: str
    verb: str
    path: str
    body: object = None


#: Of a q that has the queues `empty` and `full`.
FAILING = (
    Failing("ListQueues", "INVALID_ARGUMENT", "GET", "/v1/queues?page_size=-1"),
    Failing("NewQueue", "INVALID_ARGUMENT", "POST", "/v1/queues", {"limit": -2}),
    Failing("NewQueue", "UNKNOWN_STORE", "POST", "/v1/queues", {"store": 7}),
    Failing("NewQueue", "NAME_TAKEN", "POST", "/v1/queues", {"name": "full"}),
    Failing("DeleteQueue", "INVALID_ARGUMENT", "DELETE", "/v1/queues/nobody"),
    Failing("Add", "QUEUE_FULL", "POST", "/v1/queues/full", {}),
    Failing("Add", "TOO_LARGE", "POST", "/v1/queues/empty", {"payload": 1_400_000 * "AAAA"}),
    Failing(
        *("AddBatch", "QUEUE_FULL", "POST", "/v1/queues/full/messages:batch"), {"messages": [{}]}
    ),
    Failing(
        *("AddBatch", "TOO_LARGE", "POST", "/v1/queues/empty/messages:batch"),
        {"messages": [{"payload": 1_400_000 * "AAAA"}]},
    ),
    Failing("Pop", "QUEUE_EMPTY", "GET", "/v1/queues/empty/pop"),
    Failing("Peek", "QUEUE_EMPTY", "GET", "/v1/queues/empty/peek"),
    *(
        Failing(method, reason, verb, f"/v1/queues/{queue}{path}", body)
        for queue, reason in ((UNKNOWN_ID, "QUEUE_NOT_FOUND"), ("nobody", "INVALID_ARGUMENT"))
        for method, verb, path, body in (
            ("GetQueue", "GET", "", None),
            ("AddQueueTag", "POST", "/tag", {"key": "k"}),
            ("DeleteQueueTag", "DELETE", "/tag", {"key": "k"}),
            ("Add", "POST", "", {}),
            ("AddBatch", "POST", "/messages:batch", {"messages": [{}]}),
            ("Pop", "GET", "/pop", None),
            ("PopBatch", "POST", "/messages:pop", {"messages_max": 1}),
            ("Peek", "GET", "/peek", None),
            ("Stats", "GET", "/stats", None),
        )
    ),
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


def assert_fails(q: RunningQ, call: Failing) -> None:
    """Make the call; it fails as the page says."""
    reply = rest(q.address, call.verb, call.path, call.body)

    assert reply.json["details"][0]["reason"] == call.reason, call
    assert (reply.status, reply.json["code"]) == documented_statuses()[call.reason], call


def test_methods_fail_as_documented(q_server: RunningQ) -> None:
    """The reasons are those of the methods, and the statuses those of the reasons."""
    for queue in ({"name": "empty"}, {"name": "full", "limit": 1}):
        assert rest(q_server.address, "POST", "/v1/queues", queue).status == 200
    assert rest(q_server.address, "POST", "/v1/queues/full", {}).status == 200

    for call in FAILING:
        assert_fails(q_server, call)


def test_methods_of_a_small_q_fail_as_documented(q_server: RunningQ) -> None:
    """What needs a data directory, or room for one more queue, is refused without it."""
    q_server.stop()
    q_server.start("--data=none", "--queues-max=1")
    assert rest(q_server.address, "POST", "/v1/queues", {"store": "MEMORY"}).status == 200

    for call in FAILING_WHERE_Q_IS_SMALL:
        assert_fails(q_server, call)


def test_every_documented_failure_is_tried() -> None:
    """The calls above are all that the page tells of."""
    documented = {
        (method, reason)
        for method in STORY
        for line in re.findall(r"^- Errors: (.*)$", section(PAGE, method), re.MULTILINE)
        for reason in re.findall(r"`(\w+)`", line)
    }

    tried = {(call.method, call.reason) for call in (*FAILING, *FAILING_WHERE_Q_IS_SMALL)}
    assert tried == documented


def test_deadline_of_a_rest_call(shared_q: RunningQ) -> None:
    """The header with which gRPC clients send it counts by REST too."""
    reply = rest(shared_q.address, "GET", "/v1/queues", headers={"grpc-timeout": "1n"})

    reason = reply.json["details"][0]["reason"]
    assert reason == "DEADLINE_EXCEEDED"
    assert (reply.status, reply.json["code"]) == documented_statuses()[reason]
