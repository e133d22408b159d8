"""What each command accepts, and the call that it stands for."""

from dataclasses import replace
from typing import Any

import click
import pytest

from qmq.cli.actions import Action, AddMany, Call, MessageOutput, Take, Top
from qmq.cli.commands import qcli
from qmq.values import Durability
from qmq.wire import q_pb2 as pb

NEW = "cannot create new queue"
TAGS = (("k", "v"), ("k", "w"))
LINES = AddMany(
    queue_id="ID", is_jsonl=False, end=b"\n", keeps_ends=False, skip=0, tags=(), options={}
)
#: 2026-12-01T08:00Z, in seconds since the Unix epoch.
MOMENT_S = 1_796_112_000
TAKE = Take(queue_id="ID", output="json", end=b"\n", count=1, wait_s=0.0)


def action_of(*arguments: str) -> Action:
    """What a command line stands for."""
    name, *rest = arguments
    action: Action = qcli.commands[name].main(rest, prog_name=f"qcli {name}", standalone_mode=False)
    return action


def call_of(*arguments: str) -> Call:
    """The call that a command line stands for."""
    call = action_of(*arguments)
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
            ["list", "--selector", "team=mail,!old"],
            Call(
                failure="cannot list queues",
                method="ListQueues",
                fields={"selector": "team=mail,!old"},
            ),
        ),
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
            ["pop", "ID", "--durability", "os"],
            Call(
                failure="cannot pop message from queue",
                method="Pop",
                fields={"queue_id": "ID", "durability": Durability.OS},
                output="json",
            ),
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
        (
            ["new", "BOGUS", "1"],
            "unknown store 'BOGUS': the stores are MEMORY, DISK, CLUSTER, BOLTDB",
        ),
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


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["list"], "plain"),
        (["list", "-o", "json"], "json"),
        (["list", "-o", "table"], "table"),
        (["get", "ID", "--output", "jsonl"], "jsonl"),
        (["new", "MEMORY", "-1", "-o", "table"], "table"),
        (["stats"], "jsonl"),
        (["stats", "ID", "-o", "json"], "json"),
        (["pause", "ID"], "jsonl"),
        (["resume", "ID", "-o", "table"], "table"),
        (["update", "ID", "--limit", "1"], "jsonl"),
        (["explain", "ID", "MESSAGE"], "jsonl"),
        (["redrive", "list"], "jsonl"),
    ],
)
def test_an_output_is_chosen(arguments: list[str], output: str) -> None:
    """The original's commands print its JSON unless told otherwise, the others JSON lines."""
    assert call_of(*arguments).output == output


def test_stats_may_be_about_one_queue() -> None:
    """Without an ID it is about all of them."""
    assert call_of("stats").fields == {"queue_id": ""}
    assert call_of("stats", "jobs").fields == {"queue_id": "jobs"}


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["--lines"], LINES),
        (["--jsonl"], replace(LINES, is_jsonl=True)),
        (["--lines", "--null"], replace(LINES, end=b"\0")),
        (["--lines", "-0", "--keep-ends"], replace(LINES, end=b"\0", keeps_ends=True)),
        (["--lines", "--skip", "12"], replace(LINES, skip=12)),
        (["--jsonl", "-t", "k=v", "-t", "k=w"], replace(LINES, is_jsonl=True, tags=TAGS)),
        (["--lines", "--durability", "OS"], replace(LINES, durability=Durability.OS)),
        (
            ["--jsonl", "--priority", "9"],
            replace(LINES, is_jsonl=True, options={"priority": 9}),
        ),
    ],
)
def test_add_reads_many_messages(arguments: list[str], action: AddMany) -> None:
    """Nothing is read until the server is there."""
    assert action_of("add", "ID", *arguments) == action


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--delay", "5m"], {"delay": {"seconds": 300, "nanos": 0}}),
        (["--delay", "0"], {"delay": {"seconds": 0, "nanos": 0}}),
        (["--at", "2026-12-01T08:00Z"], {"available_at": {"seconds": MOMENT_S, "nanos": 0}}),
        (
            ["--ttl", "1.5", "--priority", "9"],
            {"ttl": {"seconds": 1, "nanos": 500_000_000}, "priority": 9},
        ),
        (
            ["--expires-at", "2026-12-01T09:00:00.5+01:00"],
            {"expires_at": {"seconds": MOMENT_S, "nanos": 500_000_000}},
        ),
        (["--group", "a b", "--fair-key", "c"], {"group_id": "a b", "fair_key": "c"}),
        (["--group", "", "--fair-key", ""], {}),
    ],
)
def test_add_has_options(arguments: list[str], options: dict[str, object]) -> None:
    """None that is not given; they are those of the wire."""
    action = action_of("add", "ID", "--lines", *arguments)

    assert isinstance(action, AddMany)
    assert action.options == options
    assert {field.name for field, _ in pb.MessageOptions(**action.options).ListFields()} == {
        *options
    }


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--delay", "5m"], {"delay": {"seconds": 300, "nanos": 0}}),
        (["--ttl", "0"], {"ttl": {"seconds": 0, "nanos": 0}}),
        (["--dead-letter-expired"], {"dead_letter_expired": True}),
        (["--no-dead-letter-expired"], {"dead_letter_expired": False}),
        (["--dedup-window", "1h"], {"dedup_window": {"seconds": 3600, "nanos": 0}}),
        (["--priority-ageing", "10ms"], {"priority_ageing": {"seconds": 0, "nanos": 10_000_000}}),
        (["--bytes-limit", "0"], {"bytes_limit": 0}),
        (["--overflow", "dead-letter-oldest"], {"overflow": "DEAD_LETTER_OLDEST"}),
        (["--leased-max", "20"], {"leased_max": 20}),
        (["--rate", "0.5"], {"rate": {"messages_per_second": 0.5}}),
        (
            ["--rate", "100", "--burst", "0"],
            {"rate": {"messages_per_second": 100.0, "burst": 0}},
        ),
        (["--park-after", "3"], {"park_after": 3}),
        (["--weight", "5"], {"weight": 5}),
        (["--fair-leased-max", "0"], {"fairness": {"leased_max": 0}}),
        (
            ["--fair-rate", "0.5", "--fair-burst", "2"],
            {"fairness": {"rate": {"messages_per_second": 0.5, "burst": 2}}},
        ),
        (
            ["--fair-weight", "a=b=3", "--fair-weight", "=0", "--fair-weight", "\u00e9=1000"],
            {"fairness": {"weights": {"a=b": 3, "": 0, "\u00e9": 1_000}}},
        ),
    ],
)
def test_a_queue_has_settings(arguments: list[str], settings: dict[str, Any]) -> None:
    """A new one as one that is there; what is not given is left as it is."""
    made = new_queue("MEMORY", "-1", *arguments)
    call = call_of("update", "ID", *arguments)

    assert made["settings"] == call.fields["settings"] == settings
    assert pb.UpdateQueueRequest(**call.fields).settings == pb.QueueSettings(**settings)


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["--raw"], replace(TAKE, output="raw")),
        (["-o", "raw"], replace(TAKE, output="raw")),
        (["--jsonl"], replace(TAKE, output="jsonl")),
        (["-o", "json"], TAKE),
        (["--count", "10"], replace(TAKE, count=10)),
        (["-n", "10", "--jsonl"], replace(TAKE, count=10, output="jsonl")),
        (["--all"], replace(TAKE, count=None)),
        (["--wait", "1.5"], replace(TAKE, wait_s=1.5)),
        (["--wait", "0"], TAKE),
        (["--raw", "--null"], replace(TAKE, output="raw", end=b"\0")),
        (["--raw", "-0"], replace(TAKE, output="raw", end=b"\0")),
        (["-o", "raw", "--no-newline"], replace(TAKE, output="raw", end=b"")),
        (["-o", "json", "--durability", "os"], replace(TAKE, durability=Durability.OS)),
    ],
)
def test_pop_takes_messages(arguments: list[str], action: Take) -> None:
    """One message unless told otherwise, and without waiting."""
    assert action_of("pop", "ID", *arguments) == action


def test_peek_prints_as_pop_does() -> None:
    """It takes nothing."""
    assert action_of("peek", "ID", "--raw") == replace(TAKE, output="raw", is_peek=True)


@pytest.mark.parametrize(
    ("arguments", "output"), [([], "jsonl"), (["--raw"], "raw"), (["-o", "json"], "json")]
)
def test_tail_takes_messages_for_ever(arguments: list[str], output: MessageOutput) -> None:
    """It has to be told that it takes them."""
    tail = replace(TAKE, output=output, count=None, wait_s=None)

    assert action_of("tail", "ID", "--pop", *arguments) == tail
    assert action_of("tail", "ID", "--pop", "--durability", "memory", *arguments) == replace(
        tail, durability=Durability.MEMORY
    )


def test_top_looks_every_second() -> None:
    """What is sorted by, and how often, may be chosen."""
    assert action_of("top") == Top(sort="ready", interval_s=1.0, is_once=False)
    assert action_of("top", "--sort", "rate", "--interval", "0.5", "--once") == Top(
        sort="rate", interval_s=0.5, is_once=True
    )
    assert action_of("top", "-l", "team=mail") == Top(
        sort="ready", interval_s=1.0, is_once=False, selector="team=mail"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "ID", "--lines", "--jsonl"], "--lines and --jsonl exclude each other"),
        (["add", "ID", "--skip", "1"], "--skip needs --lines or --jsonl"),
        (["add", "ID", "--jsonl", "--keep-ends"], "--keep-ends needs --lines"),
        (["add", "ID", "--null"], "--null needs --lines"),
        (["add", "ID", "--lines", "--skip", "-1"], "-1 is not in the range x>=0"),
        (["add", "ID", "--delay", "0", "--at", "2026-12-01T08:00Z"], "--delay and --at exclude"),
        (
            ["add", "ID", "--ttl", "1", "--expires-at", "2026-12-01T08:00Z"],
            "--ttl and --expires-at exclude each other",
        ),
        (["add", "ID", "--priority", "256"], "256 is not in the range 0<=x<=255"),
        (["add", "ID", "--at", "tomorrow"], "'tomorrow' is no moment; write it as 2026-11-24T"),
        (["add", "ID", "--at", "2026-12-01T08:00"], "'2026-12-01T08:00' is no moment"),
        (["add", "ID", "--delay", "-1"], "'-1' is no duration"),
        (["add", "ID", "--lines", "--dedup-id", "x"], "--dedup-id is of one message"),
        (["add", "ID", "--jsonl", "--dedup-id", "x"], '"options": {"dedup_id": "text"}'),
        (["update", "ID", "--overflow", "burn"], "'burn' is not one of 'reject', 'drop-oldest'"),
        (["update", "ID", "--rate", "fast"], "'fast' is not a valid float"),
        (["update", "ID", "--fair-weight", "a"], "expected KEY=N, N a number, got 'a'"),
        (["update", "ID", "--fair-weight", "7"], "expected KEY=N, N a number, got '7'"),
        (["update", "ID", "--fair-weight", "a=b"], "expected KEY=N, N a number, got 'a=b'"),
        (["update", "ID", "--fair-weight", f"a={2**31}"], "expected KEY=N, N a number, got"),
        (["pop", "ID", "--count", "0"], "0 is not in the range x>=1"),
        (["pop", "ID", "--count", "1", "--all"], "--count and --all exclude each other"),
        (["pop", "ID", "--raw", "--jsonl"], "--raw and --jsonl exclude each other"),
        (["pop", "ID", "--raw", "-o", "json"], "--output and --raw exclude each other"),
        (["pop", "ID", "--null"], "--null needs --raw"),
        (["pop", "ID", "--jsonl", "--no-newline"], "--no-newline needs --raw"),
        (["pop", "ID", "--raw", "-0", "--no-newline"], "--null and --no-newline exclude"),
        (["pop", "ID", "--wait", "-1"], "-1 is no number of seconds, 0 or more"),
        (["pop", "ID", "--wait", "nan"], "nan is no number of seconds, 0 or more"),
        (["pop", "ID", "-o", "table"], "'table' is not one of 'json', 'jsonl', 'raw'"),
        (["list", "-o", "raw"], "'raw' is not one of 'json', 'jsonl', 'table'"),
        (["tail", "ID"], "say --pop if you mean it"),
        (
            ["pop", "ID", "--durability", "paper"],
            "not one of 'memory', 'os', 'fsync', 'replicated'",
        ),
        (["peek", "ID", "--durability", "os"], "No such option '--durability'"),
        (["top", "--sort", "size"], "'size' is not one of"),
        (["pop", "ID", "--wait", "soon"], "'soon' is no duration; write 90 or 90s, 100ms, 5m"),
        (["top", "--interval", "0"], "0 is no number of seconds, 0.1 or more"),
        (["top", "--interval", "inf"], "inf is no number of seconds"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    arguments: list[str], message: str
) -> None:
    """The message says which."""
    with pytest.raises(click.UsageError) as refusal:
        action_of(*arguments)

    assert message in refusal.value.format_message()
