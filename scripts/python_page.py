"""Writes the reference of the Python client from its docstrings: python_page.py FILE.

What a name is made of is read from the source, so that types stand as they are written there.
"""

import ast
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import qmq

_INTRODUCTION: Final = """\
# Reference of the Python client

<!-- Generated from the docstrings of src/qmq/client by `make docs`. -->

Every name of `qmq`, with what it takes, returns and raises. How to work with it is in
[the Python client](client.md). `AsyncClient` has the same methods as `Client`, each with `await`,
and so have `AsyncQueue`, `AsyncConsumer` and their kin, which are left out here.

`Duration` is a number of seconds or a `timedelta`, `Tags` a dict or pairs of texts, and
`DurabilityName` a `qmq.Durability` or its name.
"""

#: What one works with, in the order in which one meets it; values and errors follow.
_PARTS: Final = (
    *("Client", "Retry", "TLS", "Queue", "Selection", "LeasedMessage", "Consumer", "Worker"),
    *("Reject", "Release", "Producer", "PendingAdd", "Popping", "NewMessage", "QueueSettings"),
    *("BackOff", "Rate", "Fairness", "Codec", "BytesCodec", "TextCodec", "JsonCodec"),
    *("PydanticCodec", "MsgspecCodec"),
)

#: What others of the client's own modules call.
_INTERNAL: Final = frozenset(
    {"over", "new_messages", "end_under_way", "release_under_way", "credentials", "pauses_s"}
)

_WIDTH: Final = 100
_PART: Final = re.compile(r"^(Args|Returns|Yields|Raises):$", re.MULTILINE)
_ITEM: Final = re.compile(r"^    (\S[^:]*): ", re.MULTILINE)
_TITLES: Final = {"Returns": "Returns", "Yields": "Yields", "Raises": "Raises:", "Args": ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _body(cls: type) -> list[ast.stmt]:
    """Return what stands in a class."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    return node.body


def _own(cls: type) -> list[type]:
    """List a class and those of ours that it is made of."""
    return [each for each in cls.__mro__ if each.__module__.startswith("qmq.")]


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()), _WIDTH, subsequent_indent=indent, break_on_hyphens=False
    )


def _filled(text: str) -> str:
    """Fill each paragraph of a docstring."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(_wrapped(each) for each in paragraphs)


def _items(text: str) -> Iterator[str]:
    """Make a list of `name: what it is` entries, whose further lines are indented."""
    for name, told in zip(*[iter(_ITEM.split("\n" + text.rstrip())[1:])] * 2, strict=True):
        yield _wrapped(f"- `{name}`: {told}", "  ") + "\n"


def docstring(text: str) -> str:
    """Return a docstring as Markdown: its prose, then lists of arguments and errors."""
    prose, *parts = _PART.split(inspect.cleandoc(text))
    lines = [_filled(prose) + "\n"]
    for part, told in zip(parts[::2], parts[1::2], strict=True):
        if part in {"Args", "Raises"}:
            title = f"\n{_TITLES[part]}\n\n" if _TITLES[part] else "\n"
            lines += [title, *_items(told.strip("\n"))]
        else:
            lines.append("\n" + _filled(f"{_TITLES[part]}: {textwrap.dedent(told).strip()}") + "\n")
    return "".join(lines)


def _signature(node: Function, name: str) -> str:
    """Return how it is called: on one line, or on one for each argument."""
    arguments = [*_arguments(node.args)]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and name[0].islower() else ""
    if node.name == "__init__":
        returns = ""
    text = f"{name}({', '.join(arguments)}){returns}"
    if len(text) <= _WIDTH:
        return text
    return f"{name}(\n" + "".join(f"    {each},\n" for each in arguments) + f"){returns}"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """List arguments as they are written, the marks between them included."""
    positional = [*arguments.posonlyargs, *arguments.args]
    plain = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for each, default in zip(positional, plain, strict=True):
        if each.arg not in {"self", "cls"}:
            yield _argument(each, default)
            if each in arguments.posonlyargs[-1:]:
                yield "/"
    if arguments.vararg or arguments.kwonlyargs:
        yield f"*{ast.unparse(arguments.vararg)}" if arguments.vararg else "*"
    for each, kw_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(each, kw_default)


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(argument)
    return f"{ast.unparse(argument)} = {ast.unparse(default)}".replace("'", '"')


def _methods(cls: type) -> dict[str, Function]:
    """Return what can be called or read of a class; of overloads the last, which is for all."""
    found: dict[str, Function] = {}
    for each in _own(cls):
        own = {node.name: node for node in _body(each) if isinstance(node, Function)}
        found = found | {name: node for name, node in own.items() if name not in found}
    return {
        name: node
        for name, node in found.items()
        if name == "__init__" or not (name.startswith("_") or name in _INTERNAL)
    }


def _fields(cls: type) -> Iterator[tuple[str, str, str]]:
    """Tell of each field its name, its type, and what the comment above it says."""
    for each in reversed(_own(cls)):
        lines = textwrap.dedent(inspect.getsource(each)).splitlines()
        for node in _body(each):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                comment: list[str] = []
                for line in reversed(lines[: node.lineno - 1]):
                    if not (mark := re.match(r"    #: ?(.*)", line)):
                        break
                    comment.insert(0, mark[1])
                if not node.target.id.startswith("_") and node.target.id != "codec":
                    yield node.target.id, ast.unparse(node.annotation), " ".join(comment)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _class(name: str) -> Iterator[str]:
    """Tell of a class: how it is made, its fields, its methods."""
    cls = getattr(qmq, name)
    yield f"\n### {name}\n\n{docstring(cls.__doc__ or '')}"
    methods = _methods(cls)
    made = methods.pop("__init__", None)
    if made is not None and (told := ast.get_docstring(made)):
        yield f"\n```python\n{_signature(made, f'qmq.{name}')}\n```\n\n{docstring(told)}"
    is_property = {
        key: any(ast.unparse(mark).endswith("property") for mark in node.decorator_list)
        for key, node in methods.items()
    }
    rows = [*_fields(cls)]
    for key, node in methods.items():
        if is_property[key]:
            told = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            rows.append((key, ast.unparse(node.returns) if node.returns else "", told))
    if rows:
        yield "\n| field | type | |\n|---|---|---|\n"
        yield from (f"| `{key}` | `{_cell(kind)}` | {_cell(told)} |\n" for key, kind, told in rows)
    for key, node in methods.items():
        if not is_property[key]:
            yield f"\n#### {name}.{key}\n\n```python\n{_signature(node, key)}\n```\n\n"
            yield docstring(ast.get_docstring(node) or "")


def _enumeration(name: str) -> str:
    cls = getattr(qmq, name)
    names = ", ".join(f"`{member.name}`" for member in cls)
    return f"| `{name}` | {names} | {_cell(' '.join(cls.__doc__.split()))} |\n"


def _error(name: str) -> str:
    cls = getattr(qmq, name)
    first = " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())
    base = cls.__bases__[0].__name__
    reason = f"`{cls.reason}`" if getattr(cls, "reason", "") else ""
    return f"| `{name}` | `{base}` | {reason} | {_cell(first)} |\n"


def page() -> str:
    """Return the page."""
    names = [each for each in qmq.__all__ if not each.startswith("Async")]
    enums = [each for each in names if isinstance(getattr(qmq, each), enum.EnumType)]
    errors = [
        each
        for each in names
        if each not in _PARTS
        and each not in enums
        and inspect.isclass(getattr(qmq, each))
        and issubclass(getattr(qmq, each), Exception)
    ]
    values = [each for each in names if each not in {*_PARTS, *enums, *errors}]
    lines = [_INTRODUCTION, "\n## What one works with\n"]
    for name in _PARTS:
        lines += _class(name)
    lines.append("\n## What q tells\n")
    for name in values:
        lines += _class(name)
    lines.append("\n## Names of kinds\n\nEach can be given by its name, as a text, as well.\n")
    lines.append("\n| | names | |\n|---|---|---|\n")
    lines += map(_enumeration, enums)
    lines.append(
        "\n## Errors\n\nWhat a call ends with in place of an answer is of kind `qmq.QmqError`.\n"
    )
    lines += _class("QmqError")
    lines.append("\n| error | is a kind of | reason | when |\n|---|---|---|---|\n")
    lines += [_error(name) for name in errors if name != "QmqError"]
    return "".join(lines)


def main(file: str) -> None:
    """Write the page."""
    Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
