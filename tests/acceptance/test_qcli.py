"""qcli against the real q: the contract's transcripts, and what the original got wrong."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from qmq.limits import MESSAGE_BYTES_MAX, REQUEST_OVERHEAD_BYTES_MAX
from qmq.wire import q_pb2 as pb
from tests.acceptance.command_line import Qcli, made
from tests.acceptance.running import RunningQ, environment, program
from tests.acceptance.warm import Done

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"

#: What is said after a refusal for want of the queue.
ADVICE = '"qcli list" shows what queues there are, "qcli new" makes one'


@pytest.fixture
def qcli_alone(bare_q: RunningQ) -> Qcli:
    """Runs qcli against a q without queues."""
    return Qcli(bare_q.address)


def shown(done: Done) -> str:
    """What a command that succeeded has printed, without what differs between runs."""
    assert (done.returncode, done.stderr) == (0, b"")
    text = re.sub(f'"id": "{UUID}"', '"id": "<id>"', done.stdout.decode())
    moment = r'"created": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z"'
    return re.sub(moment, '"created": "<time>"', text)


def refused(done: Done, queue_id: str = "") -> str:
    """The one line in which a command said why it failed."""
    assert (done.returncode, done.stdout) == (1, b"")
    line, end, rest = done.stderr.decode().partition("\n")
    assert (end, rest) == ("\n", "")
    return line.replace(queue_id, "<id>") if queue_id else line


def payload_of(done: Done) -> str:
    """The payload in a reply, in base64."""
    assert done.returncode == 0, done.stderr
    payload: str = json.loads(done.stdout)["message"].get("payload", "")
    return payload


def test_no_queues_are_an_empty_object(qcli_alone: Qcli) -> None:
    """An empty list has no fields to show."""
    assert shown(qcli_alone("list")) == "{}\n"


def test_a_new_queue_is_shown_with_its_tags(qcli: Qcli) -> None:
    """As in the contract, character for character."""
    done = qcli("new", "MEMORY", "5", "-t", "function=cubesat launcher")

    assert (
        shown(done)
        == """\
{
  "queue": {
    "meta": {
      "id": "<id>",
      "created": "<time>",
      "tags": [
        {
          "key": "function",
          "value": "cubesat launcher"
        }
      ]
    },
    "store": "MEMORY"
  }
}
"""
    )


@pytest.mark.parametrize(
    ("arguments", "store"),
    [
        (["MEMORY", "-1"], "MEMORY"),
        (["--", "MEMORY", "-1"], "MEMORY"),
        (["MEMORY", "--", "-1"], "MEMORY"),
        (["MEMORY", "0"], "MEMORY"),
        (["MEMORY", "0x10"], "MEMORY"),
        (["memory", "9223372036854775807"], "MEMORY"),
        (["DISK", "-1"], "DISK"),
        (["BOLTDB", "-1"], "DISK"),
    ],
)
def test_a_new_queue_without_tags_has_no_tags_key(
    qcli: Qcli, arguments: list[str], store: str
) -> None:
    """Each way to write a limit, and each store."""
    assert (
        shown(qcli("new", *arguments))
        == f"""\
{{
  "queue": {{
    "meta": {{
      "id": "<id>",
      "created": "<time>"
    }},
    "store": "{store}"
  }}
}}
"""
    )


@pytest.mark.parametrize(
    ("options", "tags"),
    [
        (["-t", "a=b", "-t", "c=d"], [("a", "b"), ("c", "d")]),
        (["-t", "k=v", "-t", "k=w"], [("k", "v"), ("k", "w")]),
        (["-t", "k=v=w"], [("k", "v=w")]),
        (["--tag", "k:v"], [("k", "v")]),
        (["-t", "k="], [("k", "")]),
        (["-t", "=v"], [("", "v")]),
    ],
)
def test_tags_of_a_new_queue(qcli: Qcli, options: list[str], tags: list[tuple[str, str]]) -> None:
    """Each pair is kept, in order, and shown whole even where a part is empty."""
    done = qcli("new", "MEMORY", "3", *options)

    assert json.loads(done.stdout)["queue"]["meta"]["tags"] == [
        {"key": key, "value": value} for key, value in tags
    ]


def test_queues_are_listed_in_order_of_creation(qcli_alone: Qcli) -> None:
    """The list holds what `new` and `get` show."""
    queues = [
        json.loads(qcli_alone("new", *arguments).stdout)["queue"]
        for arguments in (["MEMORY", "1", "-t", "a=b"], ["DISK", "-1", "--name", "jobs"])
    ]

    listed = json.loads(qcli_alone("list").stdout)
    got = [json.loads(qcli_alone("get", queue["meta"]["id"]).stdout) for queue in queues]

    assert listed == {"queues": queues}
    assert got == [{"queue": queue} for queue in queues]


def test_a_queue_is_found_by_each_form_of_its_id(qcli: Qcli) -> None:
    """Upper case and the URN form are accepted."""
    queue_id = made(qcli, limit=1)

    answers = {
        qcli("get", form).stdout for form in (queue_id, queue_id.upper(), f"urn:uuid:{queue_id}")
    }

    assert len(answers) == 1
    assert queue_id.encode() in answers.pop()


def test_a_name_stands_for_an_id(qcli: Qcli) -> None:
    """Every command takes the name of a queue."""
    queue_id = made(qcli, name="by.name")

    assert json.loads(qcli("get", "by.name").stdout)["queue"]["name"] == "by.name"
    assert shown(qcli("tag", "by.name", "k", "v")) == ""
    assert shown(qcli("untag", "by.name", "k", "v")) == ""
    assert payload_of(qcli("add", "by.name", payload=b"hello")) == "aGVsbG8="
    assert payload_of(qcli("peek", "by.name")) == "aGVsbG8="
    assert payload_of(qcli("pop", "by.name")) == "aGVsbG8="
    assert shown(qcli("delete", "by.name")) == ""
    assert "NOT_FOUND" in refused(qcli("get", queue_id))


def test_a_message_goes_in_and_comes_out(qcli: Qcli) -> None:
    """The transcript of add, peek and pop, up to the limit and down to nothing."""
    queue_id = made(qcli, limit=2)
    full = "queue <id> has reached limit of 2 messages"

    first = qcli("add", queue_id, payload=b"hello")
    second = qcli("add", queue_id, "-t", "x=y")
    third = qcli("add", queue_id, payload=b"third")

    assert (
        shown(first)
        == """\
{
  "message": {
    "meta": {
      "id": "<id>",
      "created": "<time>"
    },
    "payload": "aGVsbG8="
  }
}
"""
    )
    assert (
        shown(second)
        == """\
{
  "message": {
    "meta": {
      "id": "<id>",
      "created": "<time>",
      "tags": [
        {
          "key": "x",
          "value": "y"
        }
      ]
    }
  }
}
"""
    )
    assert refused(third, queue_id) == (
        f"qcli: error: cannot add message to queue: RESOURCE_EXHAUSTED: {full}"
        " (limit 2, current 2, retry after 1 s)"
    )
    assert qcli("peek", queue_id).stdout == first.stdout
    assert qcli("pop", queue_id).stdout == first.stdout
    assert qcli("pop", queue_id).stdout == second.stdout
    assert refused(qcli("pop", queue_id), queue_id) == (
        "qcli: error: cannot pop message from queue: NOT_FOUND: queue <id> is empty"
    )
    assert refused(qcli("peek", queue_id), queue_id) == (
        "qcli: error: cannot peek at message in queue: NOT_FOUND: queue <id> is empty"
    )


@pytest.mark.parametrize("store", ["MEMORY", "DISK"])
def test_a_payload_is_taken_as_it_is(qcli: Qcli, store: str) -> None:
    """Every byte, the largest message included, comes back from both stores."""
    queue_id = made(qcli, store)
    payloads = [bytes(range(256)), b"\r\n\x00\n", os.urandom(MESSAGE_BYTES_MAX - 1_024)]

    for payload in payloads:
        assert qcli("add", queue_id, payload=payload).returncode == 0

    for payload in payloads:
        done = qcli("pop", queue_id)
        reply = subprocess.run(
            ["base64", "--decode"],
            input=payload_of(done).encode(),
            check=True,
            capture_output=True,
        )
        assert reply.stdout == payload


@pytest.mark.parametrize(
    ("size", "limit"),
    [
        (MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX),
        (64 * 1024 * 1024, MESSAGE_BYTES_MAX + REQUEST_OVERHEAD_BYTES_MAX),
    ],
)
def test_a_payload_that_is_too_large_is_refused_and_not_stored(
    qcli: Qcli, size: int, limit: int
) -> None:
    """The server names its limit, however much larger the payload is."""
    queue_id = made(qcli)

    refusal = refused(qcli("add", queue_id, payload=bytes(size)))

    assert refusal.startswith("qcli: error: cannot add message to queue: RESOURCE_EXHAUSTED: ")
    assert str(limit) in refusal
    assert "NOT_FOUND" in refused(qcli("peek", queue_id))


def test_tags_are_added_and_removed(qcli: Qcli) -> None:
    """The transcript of tag and untag: a set of pairs, which print nothing."""
    queue_id = made(qcli, limit=2, tags=[pb.Tag(key="a", value="b"), pb.Tag(key="c", value="d")])

    for arguments in (
        ["tag", queue_id, "k", "v"],
        ["tag", queue_id, "k", "v"],
        ["tag", queue_id, "k", "v2"],
        ["untag", queue_id, "k", "v"],
        ["untag", queue_id, "k", "nope"],
        ["tag", queue_id, "", ""],
    ):
        assert shown(qcli(*arguments)) == ""

    tags = json.loads(qcli("get", queue_id).stdout)["queue"]["meta"]["tags"]
    assert [(tag["key"], tag["value"]) for tag in tags] == [
        ("a", "b"),
        ("c", "d"),
        ("k", "v2"),
        ("", ""),
    ]


def test_a_deleted_queue_is_gone(qcli: Qcli) -> None:
    """Deleting prints nothing and succeeds again, also for a queue that never was."""
    queue_id = made(qcli, limit=2)

    assert shown(qcli("delete", queue_id)) == ""
    assert shown(qcli("delete", queue_id)) == ""
    assert shown(qcli("delete", UNKNOWN_ID)) == ""
    assert refused(qcli("get", queue_id), queue_id) == (
        f"qcli: error: cannot get queue: NOT_FOUND: cannot find queue with id <id>; {ADVICE}"
    )


@pytest.mark.parametrize(
    ("arguments", "failure"),
    [
        (["get", UNKNOWN_ID], "cannot get queue"),
        (["tag", UNKNOWN_ID, "k", "v"], "cannot tag queue"),
        (["untag", UNKNOWN_ID, "k", "v"], "cannot untag queue"),
        (["add", UNKNOWN_ID], "cannot add message to queue"),
        (["pop", UNKNOWN_ID], "cannot pop message from queue"),
        (["peek", UNKNOWN_ID], "cannot peek at message in queue"),
    ],
)
def test_an_unknown_queue_is_not_found(qcli: Qcli, arguments: list[str], failure: str) -> None:
    """Each command says what it could not do, and which queue is missing."""
    assert refused(qcli(*arguments)) == (
        f"qcli: error: {failure}: NOT_FOUND: cannot find queue with id {UNKNOWN_ID}; {ADVICE}"
    )


@pytest.mark.parametrize(
    ("arguments", "failure"),
    [
        (["get", "bogus"], "cannot get queue"),
        (["get", ""], "cannot get queue"),
        (["get", "{63ee5c6a-585c-4aef-a2ec-66d8f5b68e28}"], "cannot get queue"),
        (["get", "63ee5c6a585c4aefa2ec66d8f5b68e28"], "cannot get queue"),
        (["delete", "bogus"], "cannot delete queue"),
        (["tag", "bogus", "k", "v"], "cannot tag queue"),
        (["untag", "bogus", "k", "v"], "cannot untag queue"),
        (["add", "bogus"], "cannot add message to queue"),
        (["pop", "bogus"], "cannot pop message from queue"),
        (["peek", "bogus"], "cannot peek at message in queue"),
        (["new", "MEMORY", "-5"], "cannot create new queue"),
        (["new", "MEMORY", "1", "--name", "no spaces"], "cannot create new queue"),
    ],
)
def test_an_argument_that_the_server_refuses(
    qcli: Qcli, arguments: list[str], failure: str
) -> None:
    """The server's reason follows its status."""
    assert refused(qcli(*arguments)).startswith(f"qcli: error: {failure}: INVALID_ARGUMENT: ")


def test_a_name_that_is_taken_is_refused(qcli: Qcli) -> None:
    """The error says which queue has it."""
    queue_id = made(qcli, name="taken")

    refusal = refused(qcli("new", "MEMORY", "1", "--name", "taken"), queue_id)

    assert refusal.startswith("qcli: error: cannot create new queue: ALREADY_EXISTS: ")
    assert "<id>" in refusal


def test_a_reader_that_goes_away_is_no_traceback(qcli: Qcli, shared_q: RunningQ) -> None:
    """`qcli list | head -1` shows one line and nothing on standard error."""
    tags = [pb.Tag(key=key, value="x" * 15_000) for key in "abcd"]
    for _ in range(3):  # More than the pipe between the two holds.
        made(qcli, tags=tags)

    done = subprocess.run(
        ["sh", "-c", '"$0" list | head -1', program("qcli")],
        capture_output=True,
        env=environment(QCLI_SERVER=shared_q.address),
        check=False,
    )

    assert (done.stdout, done.stderr) == (b"{\n", b"")


def test_a_full_disk_is_an_error(shared_q: RunningQ) -> None:
    """A reply that cannot be written does not count as a success."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program("qcli"), "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(QCLI_SERVER=shared_q.address),
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == b"qcli: error: cannot write the reply: No space left on device\n"


def test_a_port_without_grpc_is_an_error(shared_q: RunningQ) -> None:
    """Asking the metrics port, an easy mistake, is one line that names the address."""
    done = Qcli(shared_q.metrics_address)("list")

    assert refused(done) == (
        f"qcli: error: cannot list queues: UNIMPLEMENTED: {shared_q.metrics_address} "
        "answered HTTP status 404 and no gRPC: is it the port on which q listens?"
    )


def test_tab_completes_queues(qcli_alone: Qcli, bare_q: RunningQ) -> None:
    """A queue is offered by its name, or else by its id."""
    made(qcli_alone, name="jobs")
    made(qcli_alone, name="jokes")
    queue_id = made(qcli_alone)

    def offered(typed: str) -> list[str]:
        words = f"qcli --server={bare_q.address} pop {typed}"
        done = subprocess.run(
            [program("qcli")],
            check=True,
            stdout=subprocess.PIPE,
            env=environment(_QCLI_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="3"),
        )
        return [line.partition(",")[2] for line in done.stdout.decode().splitlines()]

    assert offered("") == ["jobs", "jokes", queue_id]
    assert offered("job") == ["jobs"]


def test_queues_on_disk_outlive_a_kill(q_server: RunningQ) -> None:
    """After kill -9 and a restart, qcli finds the DISK queue and its message, in order."""
    qcli = Qcli(q_server.address)
    durable = made(qcli, "DISK", name="durable")
    made(qcli, name="fleeting")
    for payload in (b"1", b"2"):
        assert qcli("add", "durable", payload=payload).returncode == 0

    q_server.kill()
    q_server.start()

    (queue,) = json.loads(qcli("list").stdout)["queues"]
    assert (queue["meta"]["id"], queue["name"]) == (durable, "durable")
    assert [payload_of(qcli("pop", "durable")) for _ in range(2)] == ["MQ==", "Mg=="]


def test_a_command_loads_only_what_it_needs(shared_q: RunningQ) -> None:
    """A person notices what else takes its time: the server, or what another command shows."""
    done = subprocess.run(
        [program("qcli"), "list"],
        capture_output=True,
        env=environment(QCLI_SERVER=shared_q.address, PYTHONPROFILEIMPORTTIME="1"),
        check=True,
        text=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    rooms = {name.split(".")[1] for name in loaded if name.startswith("qmq.")}

    assert "qmq.cli.queue_commands" in loaded
    assert not rooms & {"engine", "model", "observe", "server", "store", "transport"}
    assert not loaded & {"apsw", "envoy", "msgspec", "prometheus_client", "pydantic", "pyvoy"}
    assert not loaded & {"qmq.cli.top", "qmq.client._async", "qmq.client._sync.client"}
