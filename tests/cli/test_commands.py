"""What each command accepts, and the call that it stands for."""

import click
import pytest

from qmq.cli.call import Call
from qmq.cli.commands import qcli

NEW = "cannot create new queue"


def call_of(*arguments: str) -> Call:
    """The call that a command line stands for."""
    name, *rest = arguments
    call = qcli.commands[name].main(rest, prog_name=f"qcli {name}", standalone_mode=False)
    assert isinstance(call, Call)
    return call


def new_queue(*arguments: str) -> dict[str, object]:
    """The fields of the queue that `new` asks for, in addition to those of the default."""
    call = call_of("new", *arguments)
    assert (call.failure, call.method, call.prints_reply) == (NEW, "NewQueue", True)
    return dict(call.fields)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["list"], Call(failure="cannot list queues", method="ListQueues", fields={})),
        (
            ["get", "ID"],
            Call(failure="cannot get queue", method="GetQueue", fields={"queue_id": "ID"}),
        ),
        (
            ["delete", "ID"],
            Call(
                failure="cannot delete queue",
                method="DeleteQueue",
                fields={"queue_id": "ID"},
                prints_reply=False,
            ),
        ),
        (
            ["tag", "ID", "k", "v"],
            Call(
                failure="cannot tag queue",
                method="AddQueueTag",
                fields={"queue_id": "ID", "tag": {"key": "k", "value": "v"}},
                prints_reply=False,
            ),
        ),
        (
            ["untag", "ID", "k", ""],
            Call(
                failure="cannot untag queue",
                method="DeleteQueueTag",
                fields={"queue_id": "ID", "tag": {"key": "k", "value": ""}},
                prints_reply=False,
            ),
        ),
        (
            ["pop", "ID"],
            Call(failure="cannot pop message from queue", method="Pop", fields={"queue_id": "ID"}),
        ),
        (
            ["peek", "ID"],
            Call(
                failure="cannot peek at message in queue", method="Peek", fields={"queue_id": "ID"}
            ),
        ),
    ],
)
def test_a_command_stands_for_one_call(arguments: list[str], call: Call) -> None:
    """Method, fields and the words of a failure are the contract's."""
    assert call_of(*arguments) == call


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("MEMORY", 1),
        ("DISK", 2),
        ("BOLTDB", 2),
        ("memory", 1),
        ("Disk", 2),
    ],
)
def test_a_store_is_named_in_any_case(text: str, number: int) -> None:
    """BOLTDB is the original's name for DISK."""
    assert new_queue(text, "1")["store"] == number


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0", 0),
        ("5", 5),
        ("-1", -1),
        ("-5", -5),
        ("0x10", 16),
        ("-0x10", -16),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_a_limit_is_any_64_bit_number(text: str, limit: int) -> None:
    """What it means, and which are refused, is for the server to say."""
    assert new_queue("MEMORY", text)["limit"] == limit


@pytest.mark.parametrize(
    "arguments",
    [
        ["MEMORY", "-1"],
        ["--", "MEMORY", "-1"],
        ["MEMORY", "--", "-1"],
        ["-t", "a=-1", "MEMORY", "-1"],
        ["MEMORY", "-t", "a=-1", "-1"],
        ["MEMORY", "-1", "-t", "a=-1"],
    ],
)
def test_a_negative_limit_is_no_option(arguments: list[str]) -> None:
    """-1 means no limit, wherever it stands."""
    fields = new_queue(*arguments)

    assert (fields["store"], fields["limit"]) == (1, -1)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("k=v", "k", "v"),
        ("k:v", "k", "v"),
        ("k=v=w", "k", "v=w"),
        ("k:v:w", "k", "v:w"),
        ("url=http://q", "url", "http://q"),
        ("a:b=c", "a:b", "c"),
        ("k=", "k", ""),
        ("=v", "", "v"),
        ("function=cubesat launcher", "function", "cubesat launcher"),
        ("-1=-t", "-1", "-t"),
    ],
)
def test_a_tag_is_split_at_its_first_separator(text: str, key: str, value: str) -> None:
    """An equals sign splits before a colon does."""
    assert new_queue("MEMORY", "1", "-t", text)["tags"] == [{"key": key, "value": value}]


def test_every_tag_that_is_given_is_kept() -> None:
    """One key may have several values, and the order is kept."""
    fields = new_queue("MEMORY", "1", "-t", "k=v", "--tag", "k=w", "--tag=a=b")

    assert fields["tags"] == [
        {"key": "k", "value": "v"},
        {"key": "k", "value": "w"},
        {"key": "a", "value": "b"},
    ]


def test_a_queue_may_be_named() -> None:
    """No name is asked for unless it is given."""
    assert new_queue("MEMORY", "1")["name"] == ""
    assert new_queue("MEMORY", "1", "--name", "jobs")["name"] == "jobs"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new"], "Missing argument 'STORE'"),
        (["new", "MEMORY"], "Missing argument 'LIMIT'"),
        (["new", "BOGUS", "1"], "unknown store 'BOGUS': the stores are MEMORY, DISK, BOLTDB"),
        (["new", "UNKNOWN", "1"], "unknown store 'UNKNOWN'"),
        (["new", "MEMORY", "abc"], "'abc' is no whole number; -1 means no limit"),
        (["new", "MEMORY", "1.5"], "'1.5' is no whole number"),
        (["new", "MEMORY", ""], "'' is no whole number"),
        (["new", "MEMORY", "9223372036854775808"], "does not fit in 64 bits"),
        (["new", "MEMORY", "-9223372036854775809"], "does not fit in 64 bits"),
        (["new", "MEMORY", "1", "2"], "unexpected extra argument (2)"),
        (["new", "MEMORY", "1", "-t", "nokey"], "expected KEY=VALUE, got 'nokey'"),
        (["new", "MEMORY", "1", "-t"], "'-t' requires an argument"),
        (["new", "--bogus", "MEMORY", "1"], "No such option '--bogus'"),
        (["new", "MEMORY", "-x"], "No such option '-x'"),
        (["add", "ID", "-t", "nokey"], "expected KEY=VALUE, got 'nokey'"),
        (["list", "ID"], "unexpected extra argument (ID)"),
        (["get"], "Missing argument 'ID'"),
        (["delete"], "Missing argument 'ID'"),
        (["add"], "Missing argument 'ID'"),
        (["pop"], "Missing argument 'ID'"),
        (["peek"], "Missing argument 'ID'"),
        (["tag", "ID"], "Missing argument 'KEY'"),
        (["tag", "ID", "k"], "Missing argument 'VALUE'"),
        (["untag", "ID", "k"], "Missing argument 'VALUE'"),
        (["pop", "ID", "--bogus"], "No such option '--bogus'"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(arguments: list[str], message: str) -> None:
    """The message says what is wrong with which argument."""
    with pytest.raises(click.UsageError) as refusal:
        call_of(*arguments)

    assert message in refusal.value.format_message()
