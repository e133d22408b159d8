"""qcli is given whatever a shell may give it: it says what is wrong, and ends."""

from typing import Final

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from qmq.cli.run import run
from tests.acceptance.running import RunningQ
from tests.fuzz.conftest import EXAMPLES

#: Exit statuses that docs/qcli.md tells of.
STATUSES: Final = range(6)

#: Those that end by themselves, and run nobody's programs.
COMMANDS: Final = [
    *(["add"], ["pop"], ["peek"], ["lease"], ["ack"], ["nack"], ["extend"], ["list"], ["get"]),
    *(["new"], ["update"], ["delete"], ["tag"], ["untag"], ["pause"], ["resume"], ["purge"]),
    *(["stats"], ["browse"], ["explain"], ["help"], ["no-such"], []),
    *(["redrive", "list"], ["redrive", "show"], ["redrive", "start"], ["redrive", "stop"]),
    *(["schedule", "list"], ["schedule", "put"], ["schedule", "show"], ["schedule", "delete"]),
]
WORDS: Final = [
    *("a", "b", "MEMORY", "DISK", "-1", "0", "5", "x=y", "x:y", "=", ":", "", "--", "-t", "--name"),
    *("--json", "--limit", "--format", "-n", "--delay", "--ttl", "--priority", "--durability"),
    *("--tag", "--help", "-h", "--messages", "--count", "1s", "1e309", "nan", "-0", "10d", "é"),
    *("--select", "--all", "--yes", "--group", "--lease", "--reason", "--cron", "* * * * *"),
    *("\ud800", "\x00", "\n", "%s", "{}", "../..", "9" * 30),
]
ARGUMENTS: Final = st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=7)


@settings(settings.get_profile("fuzz"), max_examples=2 * EXAMPLES)
@given(command=st.sampled_from(COMMANDS), arguments=ARGUMENTS)
def test_no_arguments_are_a_fault(
    fuzzed_q: RunningQ, command: list[str], arguments: list[str]
) -> None:
    """The exit status is one that is documented, and there is no traceback."""
    with CliRunner().isolation() as (_, errors, _):
        status = run(["--server", fuzzed_q.address, *command, *arguments])
        said = errors.getvalue()

    assert status in STATUSES
    assert b"Traceback" not in said
