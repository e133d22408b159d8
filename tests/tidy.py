"""The style rules that no off-the-shelf linter knows: each takes text and names the faults.

A fault is a line `path:line: what is wrong`, as an editor can jump to it.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

FUNCTION_LINES_MAX: Final = 70
FILE_LINES_MAX: Final = 600
#: A program reads its arguments, builds and runs; anything longer belongs in a room.
PROGRAM_LINES_MAX: Final = 100

#: The rooms of src/qmq and the leaves beside them. A new one is a decision: it changes
#: docs/architecture.md and the import contracts too.
ROOMS: Final = frozenset(
    {
        *("access", "bin", "cli", "client", "engine", "errors", "model", "observe", "server"),
        *("store", "transport", "wire"),
    }
)
LEAVES: Final = frozenset(
    {
        "clock",
        "condition",
        "descriptions",
        "durations",
        "envelope",
        "ids",
        "limits",
        "testing",
        "values",
    }
)

#: Words that say nothing about what a thing does.
EMPTY_NAMES: Final = frozenset(
    {"common", "factory", "helper", "helpers", "manager", "util", "utils"}
)
#: Names with such a word that others chose, and we have to use.
NAMES_OF_OTHERS: Final = frozenset({"connection_manager", "tmp_path_factory"})
#: Words for which the glossary has another: lease_duration, lease_id, Nack.
FOREIGN_WORDS: Final = re.compile(
    r"visibility[ _-]?timeout|(?<![a-z])(ttr|receipt|nak)(?![a-z])", re.IGNORECASE
)
#: Pages that translate from the words of others have to name them.
TRANSLATIONS: Final = re.compile(r"docs/from-[a-z-]+\.md")
#: Whether to try again is the client's call; what the server does is redelivery.
RETRY_FREE_ROOMS: Final = frozenset({"engine", "model", "store"})

UNFINISHED: Final = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


@lru_cache(maxsize=1)
def _parsed(text: str) -> ast.Module:
    """Return what a module is made of, for one rule after the other."""
    return ast.parse(text)


@lru_cache(maxsize=1)
def _nodes(text: str) -> Sequence[ast.AST]:
    """Return all the parts of that."""
    return list(ast.walk(_parsed(text)))


def long_functions(path: str, text: str) -> Iterator[str]:
    """A function fits on one screen."""
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield (
                    f"{path}:{node.lineno}: {node.name} has {lines} lines, "
                    f"more than {FUNCTION_LINES_MAX}"
                )


def long_file(path: str, text: str, lines_max: int = FILE_LINES_MAX) -> Iterator[str]:
    """A file has one subject."""
    lines = text.count("\n")
    if lines > lines_max:
        yield f"{path}:1: {lines} lines, more than {lines_max}"


def missing_docstring(path: str, text: str) -> Iterator[str]:
    """A module says what it is."""
    if not ast.get_docstring(_parsed(text)):
        yield f"{path}:1: no docstring says what the module is"


def unfinished(path: str, text: str) -> Iterator[str]:
    """What is to be done is in the tracker, not in the code."""
    for number, line in enumerate(text.splitlines(), 1):
        if mark := UNFINISHED.search(line):
            yield f"{path}:{number}: {mark[0]}"


def foreign_words(path: str, text: str) -> Iterator[str]:
    """One thing has one word, in code and prose alike."""
    if TRANSLATIONS.fullmatch(path):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if word := FOREIGN_WORDS.search(line):
            yield f"{path}:{number}: {word[0]!r} has another word in the glossary"


def empty_names(path: str, text: str) -> Iterator[str]:
    """A name says what the thing is for. What others named, we may still call."""
    for line, name in _names_given(path, text):
        word = _parts(name) & EMPTY_NAMES
        if word and name not in NAMES_OF_OTHERS:
            yield f"{path}:{line}: {name} is called {min(word)}, which says nothing"


def server_retries(path: str, text: str) -> Iterator[str]:
    """The server's rooms know redelivery; the client decides whether to try again."""
    if not RETRY_FREE_ROOMS & set(path.split("/")):
        return
    for line, name in _names_given(path, text):
        if _parts(name) & {"retry", "retries"}:
            yield f"{path}:{line}: {name}: say redelivery, or leave it to the client"


def unknown_rooms(paths: Collection[str]) -> Iterator[str]:
    """src/qmq holds the rooms of the architecture and the leaves, nothing else."""
    for path in paths:
        name, *inside = path.removeprefix("src/qmq/").split("/")
        known = name in ROOMS if inside else name.removesuffix(".py") in LEAVES | {"__init__"}
        if not known:
            yield f"{path}:1: {name} is no room of the architecture"


def dead_modules(modules: Mapping[str, str], entry_points: Collection[str]) -> Iterator[str]:
    """Each module, by dotted name, is imported by another, named in a text or started."""
    used = {name for name, text in modules.items() for name in _modules_named(name, text)}
    for name in modules:
        has_submodules = any(other.startswith(f"{name}.") for other in modules)
        if not has_submodules and name not in used and name not in entry_points:
            yield f"{name}: nothing imports it"


def _parts(name: str) -> set[str]:
    """Split snake_case and CamelCase into lower-case words."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def _names_given(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Each name that the module defines, its own included, and the line where it does."""
    yield 1, path.rpartition("/")[2].removesuffix(".py")
    for node in _nodes(text):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield node.lineno, name
            case ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case _:
                pass


def _modules_named(importer: str, text: str) -> Iterator[str]:
    """Each name that a module imports, or mentions in a text of its own as `a.b` or `a.b:c`."""
    for node in _nodes(text):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Constant(value=str(value)):
                module = value.partition(":")[0]
                if module != importer:
                    yield module
            case _:
                pass
