"""The documentation names only what there is: files, options, variables, targets of make."""

import re
from collections.abc import Iterator

import click
import pytest

from qmq.bin.q_program import program as q
from qmq.bin.qrest_program import program as qrest
from qmq.cli.command_process import VARIABLES
from qmq.cli.commands import qcli
from qmq.server.config import Config
from tests import documents
from tests.documents import ROOT, anchors, code, links, page, pages

PROGRAMS: dict[str, click.Command] = {"q": q, "qcli": qcli, "qrest": qrest}

#: Whose option an option is that stands alone: the program that a page is about.
SUBJECTS = {"docs/qcli.md": "qcli", "docs/gateway.md": "qrest", "docs/configuration.md": "q"}

#: Others' programs that name ours among their arguments, and have options after that.
FOREIGN = frozenset({"docker", "helm", "kubectl"})

_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
_VARIABLE = re.compile(r"\b(?:Q|QCLI|QREST)_[A-Z_]*[A-Z]")


def faults_of_links(path: str, text: str) -> Iterator[str]:
    """Name each link of a page that leads nowhere in the repository."""
    for link in links(text):
        if re.match("[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / path).parent / file
        if not target.exists():
            yield f"{path}: there is no {link}"
        elif anchor and anchor not in anchors(target.read_text("utf-8") if file else text):
            yield f"{path}: {link}: there is no such heading"


def options_of(program: click.Command) -> set[str]:
    """Return the options of a program, those of its commands included."""
    commands = program.commands.values() if isinstance(program, click.Group) else ()
    names = {name for each in program.params for name in (*each.opts, *each.secondary_opts)}
    return {"-h", "--help"}.union(names, *map(options_of, commands))


def options_in(fragment: str) -> Iterator[tuple[str, str]]:
    """Find the options of our programs in code: the program, "" if none is named, and option.

    Options of others' programs, such as curl, are left out.
    """
    for command in re.split(r"[|;&\n]|\$\(", fragment):
        words = re.sub(r"""["'\[\]]""", " ", command).split()
        names = [word.rpartition("/")[2] for word in words]
        if words[:2] == ["make", "run"]:
            program = "q"
        elif words and words[0].startswith("-"):
            program = ""
        elif words and words[0] in FOREIGN:
            program, words = "other", []
        else:
            program = next((name for name in names if name in PROGRAMS), None) or "other"
            # What stands before our program's name is not ours: an assignment, a prompt.
            words = words[names.index(program) :] if program in names else []
            # Behind -- another program begins.
            words = words[: words.index("--")] if "--" in words else words
        for option in _OPTION.findall(" ".join(words)):
            yield program, option


def faults_of_options(path: str, text: str) -> Iterator[str]:
    """Name each option in a page's code that the program in question does not have."""
    known = {name: options_of(program) for name, program in PROGRAMS.items()}
    known[""] = known[SUBJECTS[path]] if path in SUBJECTS else set().union(*known.values())
    for fragment in code(text):
        for program, option in options_in(fragment):
            if option not in known[program]:
                yield f"{path}: {program} has no option {option}: {fragment.strip()[:60]}"


def test_links_lead_somewhere() -> None:
    """Every link within the repository leads to a file, and to a heading where it names one."""
    faults = [fault for path, text in pages().items() for fault in faults_of_links(path, text)]

    assert not faults, "\n".join(faults)


def test_options_exist() -> None:
    """Every option is one of the program that it is said to be of."""
    faults = [fault for path, text in pages().items() for fault in faults_of_options(path, text)]

    assert not faults, "\n".join(faults)


def test_environment_variables_exist() -> None:
    """Every variable is read by one of the programs."""
    known = {
        name
        for each in PROGRAMS.values()
        for option in each.params
        for name in ([option.envvar] if isinstance(option.envvar, str) else option.envvar or ())
    }
    # What `qcli work` tells a command: Q_TAG_ and a key are such a name, too.
    known |= VARIABLES

    named = {(path, name) for path, text in pages().items() for name in _VARIABLE.findall(text)}

    unknown = [(path, name) for path, name in named if name not in known]
    assert not [(path, name) for path, name in unknown if not name.startswith("Q_TAG")]


def test_targets_of_make_exist() -> None:
    """Every `make TARGET` can be made."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE))
    named = {
        (path, target)
        for path, text in pages().items()
        for fragment in code(text)
        for target in re.findall(r"(?<!tokens )(?<!token )\bmake ([a-z][a-z-]*)", fragment)
    }

    assert {target for _, target in named} >= {"run", "test"}
    assert not [(path, target) for path, target in named if target not in targets]


def test_alerts_are_those_of_the_page() -> None:
    """Who is woken up finds what to do, for every alert there is."""
    rules = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    found = set(re.findall(r"^ *- alert: (\w+)$", rules, re.MULTILINE))
    table = documents.section(page("docs/observability.md"), "Alerts")

    assert found
    assert found == set(re.findall(r"`(Q[A-Z][A-Za-z]+)`", table))


@pytest.mark.parametrize("path", ["README.md", "docs/quickstart.md", "docs/api.md"])
def test_ports_are_the_default_ones(path: str) -> None:
    """What is to be pasted asks where q listens, and where qcli asks, unless told otherwise."""
    config = Config.from_texts({"data": "none"})
    (server,) = (each for each in qcli.params if each.name == "server")
    named = set(re.findall(r"localhost:(\d+)", page(path)))

    assert str(config.listen.port) in named
    assert named <= {str(config.listen.port), str(config.metrics.port)}
    assert isinstance(server, click.Option)
    assert f"otherwise it is :{config.listen.port}." in str(server.help)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[a](README.md) [b](docs/qcli.md#the-server) [c](#d)\n# D\n", 0),
        ("[a](https://example.org/none) `[a](none.md)`", 0),
        ("[a](none.md)", 1),
        ("[a](docs/qcli.md#none) [b](#none)", 2),
    ],
)
def test_broken_links_are_faults(text: str, faults: int) -> None:
    """A missing file and a missing heading are found, what is elsewhere or code is not."""
    assert len([*faults_of_links("README.md", text)]) == faults


@pytest.mark.parametrize(
    ("path", "text", "faults"),
    [
        ("README.md", "`q --listen :1 -d` `curl --nope` `--kill-after`", 0),
        ("README.md", "```sh\ncat x | .venv/bin/qcli add q -t a=b | jq --nope\n```", 0),
        ("README.md", "`qcli work q -c 2 -- curl --nope`", 0),
        ("README.md", "`q --nope`", 1),
        ("README.md", "`q --tag`", 1),
        ("README.md", '`make run ARGS="--nope"`', 1),
        ("README.md", "```sh\n$ echo a | qcli --nope\n```", 1),
        ("docs/gateway.md", "`--close-after` `--data`", 1),
    ],
)
def test_unknown_options_are_faults(path: str, text: str, faults: int) -> None:
    """An option is held against its own program; those of others are not ours to know."""
    assert len([*faults_of_options(path, text)]) == faults


def test_anchors_are_those_of_github() -> None:
    """Marks fall away, spaces become dashes, a repeated heading is numbered."""
    text = "# A, b: `c`-d\n```sh\n# none\n```\n## A\n## A\n### Queue.Store\n"

    assert documents.anchors(text) == {"a-b-c-d", "a", "a-1", "queuestore"}


def test_section_ends_at_the_next_heading_of_its_level() -> None:
    """Headings below it belong to it."""
    assert documents.section("# A\n## B\nb\n### C\nc\n## D\n", "B") == "\nb\n### C\nc\n"
    assert documents.blocks(documents.section(page("README.md"), "A minute's tour"))
