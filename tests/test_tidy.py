"""The repository keeps its style rules, and each rule catches what it is there for."""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import tidy

ROOT = Path(__file__).parent.parent

Rule = Callable[[str, str], Iterator[str]]


def texts(*patterns: str) -> dict[str, str]:
    """Return the repository's texts by path, without those that a program wrote."""
    paths = chain.from_iterable(ROOT.glob(pattern) for pattern in patterns)
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted(paths)
        if path.is_file() and not path.stem.endswith("_pb2")
    }


def source() -> dict[str, str]:
    """Return the modules of the package by path."""
    modules = texts("src/qmq/**/*.py")
    assert "src/qmq/limits.py" in modules
    return modules


def python() -> dict[str, str]:
    """Return all Python files by path."""
    return source() | texts("tests/**/*.py", "scripts/*.py", "bench/**/*.py", "soak/*.py")


def prose() -> dict[str, str]:
    """Return everything people read, but for this test and its rules, which quote the faults."""
    others = texts(
        "*.md", "docs/**/*.md", "proto/*.proto", "Makefile", "scripts/*", "pyproject.toml"
    )
    return {path: text for path, text in (python() | others).items() if "tidy" not in path}


def no_faults(faults: Iterable[str]) -> None:
    """Fail with the list of faults, one a line."""
    found = list(faults)
    assert not found, "\n".join(["style rules are broken:", *found])


def test_python_files_keep_the_rules() -> None:
    """Every Python file does, those of tests, scripts and benchmarks included."""
    rules: list[Rule] = [
        *(tidy.long_functions, tidy.long_file, tidy.missing_docstring, tidy.empty_names),
    ]
    no_faults(
        fault for path, text in python().items() for rule in rules for fault in rule(path, text)
    )


@pytest.mark.parametrize("rule", [tidy.unfinished, tidy.foreign_words])
def test_code_and_prose_keep(rule: Rule) -> None:
    """Code, comments and documents keep the rule."""
    no_faults(fault for path, text in prose().items() for fault in rule(path, text))


def test_server_leaves_retries_to_the_client() -> None:
    """The rooms that hold messages speak of redelivery."""
    no_faults(fault for path, text in source().items() for fault in tidy.server_retries(path, text))


def test_programs_are_short() -> None:
    """The programs in bin hold no logic."""
    no_faults(
        fault
        for path, text in texts("src/qmq/bin/*.py").items()
        for fault in tidy.long_file(path, text, tidy.PROGRAM_LINES_MAX)
    )


def test_source_has_the_rooms_of_the_architecture() -> None:
    """Each directory of src/qmq is a room, each file a leaf."""
    no_faults(tidy.unknown_rooms(source()))


def test_no_module_is_dead() -> None:
    """Each module is imported, or is a program, or is for users alone."""
    modules = {
        path.removeprefix("src/")
        .removesuffix(".py")
        .removesuffix("/__init__")
        .replace("/", "."): text
        for path, text in source().items()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    programs = {program.partition(":")[0] for program in project["scripts"].values()}

    no_faults(tidy.dead_modules(modules, programs | {"qmq.testing"}))


def test_locks_name_no_registry() -> None:
    """A lock holds names, versions and hashes; where they come from is the machine's to say."""
    locks = texts("requirements/*.lock")

    assert locks
    no_faults(
        f"{path}:{number}: names a location"
        for path, text in locks.items()
        for number, line in enumerate(text.splitlines(), 1)
        if "://" in line or line.startswith("-")
    )


@pytest.mark.parametrize(
    ("lock", "groups"),
    [("dev", ["build", "docs", "lint", "test"]), ("run", [])],
    ids=["dev", "run"],
)
def test_lock_holds_what_the_project_asks_for(lock: str, groups: list[str]) -> None:
    """A dependency that was added or raised is locked again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = chain(
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *(project["dependency-groups"][group] for group in groups),
    )
    lines = (ROOT / f"requirements/{lock}.lock").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split()[0].split("==") for line in lines if "==" in line)

    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[requirement.name]), f"make lock: {requirement}"


def test_long_function_is_a_fault() -> None:
    """70 lines are allowed, 71 are not."""
    body = "    pass\n"

    assert not [*tidy.long_functions("a.py", "def f():\n" + 69 * body)]
    assert [*tidy.long_functions("a.py", "async def f():\n" + 70 * body)] == [
        "a.py:1: f has 71 lines, more than 70"
    ]


def test_long_file_is_a_fault() -> None:
    """600 lines are allowed, 601 are not."""
    assert not [*tidy.long_file("a.py", 600 * "\n")]
    assert [*tidy.long_file("a.py", 601 * "\n")] == ["a.py:1: 601 lines, more than 600"]


def test_missing_docstring_is_a_fault() -> None:
    """A comment is no docstring."""
    assert not [*tidy.missing_docstring("a.py", '"""What it is."""\n')]
    assert [*tidy.missing_docstring("a.py", "# What it is.\nimport os\n")]


@pytest.mark.parametrize("mark", ["TODO", "FIXME", "XXX", "HACK"])
def test_unfinished_is_a_fault(mark: str) -> None:
    """A mark of unfinished work is found where it stands."""
    assert [*tidy.unfinished("a.py", f"x = 1\n# {mark}: later\n")] == [f"a.py:2: {mark}"]
    assert not [*tidy.unfinished("a.py", f"{mark}S = 1  # {mark.lower()}\n")]


@pytest.mark.parametrize(
    "line", ["visibility_timeout = 1", "the Visibility Timeout", "ttr_ns", "a receipt", "def nak()"]
)
def test_foreign_word_is_a_fault(line: str) -> None:
    """A word of another queue is found in names and prose."""
    assert len([*tidy.foreign_words("a.md", line)]) == 1


def test_translations_may_use_foreign_words() -> None:
    """Who comes from another queue looks for its words."""
    assert not [*tidy.foreign_words("docs/from-sqs.md", "receipt")]
    assert [*tidy.foreign_words("docs/api.md", "receipt")]


@pytest.mark.parametrize("line", ["Nack", "attribute", "snake", "receipts"])
def test_word_within_a_word_is_none(line: str) -> None:
    """Only whole words count."""
    assert not [*tidy.foreign_words("a.md", line)]


@pytest.mark.parametrize(
    "code",
    [
        "class QueueManager: pass",
        "def make_util(): pass",
        "async def helper(): pass",
        "def f(factory): pass",
        "common = 1",
        "self.manager = 1",
        "for helpers in (): pass",
    ],
)
def test_empty_name_is_a_fault(code: str) -> None:
    """A name that says nothing is found wherever one is given."""
    assert len([*tidy.empty_names("a.py", code)]) == 1


def test_empty_file_name_is_a_fault() -> None:
    """A module's name counts as well."""
    assert len([*tidy.empty_names("src/qmq/utils.py", "")]) == 1


@pytest.mark.parametrize(
    "code",
    ["from dataclasses import field; x = field(default_factory=list)", "utility = commonly = 1"],
)
def test_names_of_others_may_be_called(code: str) -> None:
    """Using another's name is no fault, nor is a word within a word."""
    assert not [*tidy.empty_names("a.py", code)]


def test_retry_is_a_fault_where_messages_are_held() -> None:
    """A server's room may not name a retry; the client may."""
    code = "def retry_later(): pass"

    assert len([*tidy.server_retries("src/qmq/model/queue.py", code)]) == 1
    assert not [*tidy.server_retries("src/qmq/client/channel.py", code)]


def test_unknown_room_is_a_fault() -> None:
    """A new directory or leaf is found, a file in a known room is not."""
    paths = ["src/qmq/misc/a.py", "src/qmq/stuff.py", "src/qmq/model/stuff.py", "src/qmq/limits.py"]

    assert [*tidy.unknown_rooms(paths)] == [
        "src/qmq/misc/a.py:1: misc is no room of the architecture",
        "src/qmq/stuff.py:1: stuff.py is no room of the architecture",
    ]


def test_dead_module_is_a_fault() -> None:
    """A module that only names itself is dead; each kind of use keeps one alive."""
    modules = {
        "p": "",
        "p.program": "import p.a\nfrom p import b\nfrom p.c import thing\nAPP = 'p.d:app'\n",
        "p.a": "",
        "p.b": "",
        "p.c": "",
        "p.d": "",
        "p.dead": "NAME = 'p.dead'\n",
    }

    assert [*tidy.dead_modules(modules, {"p.program"})] == ["p.dead: nothing imports it"]
