"""Generates the synchronous client from the asynchronous one: unasync.py [--check].

Every module of src/qmq/client/_async becomes one of the same name in src/qmq/client/_sync,
by the substitutions below, line by line; a substitution that nothing needs is an error.
With --check nothing is written, and a module that differs is an error.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

CLIENT: Final = Path(__file__).parent.parent / "src" / "qmq" / "client"

SUBSTITUTIONS: Final = (
    # What is different below: channels, tasks or threads.
    (r"qmq\.client\._async\b", "qmq.client._sync"),
    (r"qmq\.client\.on_asyncio\b", "qmq.client.on_threads"),
    # Names.
    (r"\bAsync(?=[A-Z])", ""),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\b__anext__\b", "__next__"),
    (r"\b[Aa]synchronous client\b", "synchronous client"),
    # What linters say of asynchronous code alone.
    (r"  # noqa: ASYNC.*", ""),
    # Syntax.
    (r"\basync (?=def|with|for)", ""),
    (r"\bawait (?=[a-z_])", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
)

#: So that the order of imports does not depend on which modules are there already.
_OURS: Final = '--config=lint.isort.known-first-party=["qmq"]'

_RUFF: Final = (sys.executable, "-m", "ruff")


def translated(text: str, unused: set[str]) -> str:
    """Return a module as the synchronous client has it; take what was used out of `unused`."""
    for pattern, replacement in SUBSTITUTIONS:
        text, count = re.subn(pattern, replacement, text)
        if count:
            unused.discard(pattern)
    return f"# Generated from _async by scripts/unasync.py; change it there.\n{text}"


def formatted(text: str, path: Path) -> str:
    """Return a module as `make fmt` leaves it: lines are shorter, and imports left over."""
    for command in (
        ("check", "--fix", "--select=F401,I001", _OURS),
        ("format",),
    ):
        run = subprocess.run(  # noqa: S603 - The project's own linter.
            (*_RUFF, *command, "--quiet", f"--stdin-filename={path}", "-"),
            input=text,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        text = run.stdout
    return text


def generated() -> dict[Path, str]:
    """Return the modules of the synchronous client by path. Ends the program if it cannot."""
    unused = {pattern for pattern, _ in SUBSTITUTIONS}
    modules = {}
    for source in sorted((CLIENT / "_async").glob("*.py")):
        path = CLIENT / "_sync" / source.name
        text = translated(source.read_text(encoding="utf-8"), unused)
        modules[path] = formatted(text, path)
    if unused:
        sys.exit(f"scripts/unasync.py: nothing needs {', '.join(sorted(unused))}")
    return modules


def faults(modules: dict[Path, str]) -> list[str]:
    """Name what is not as it should be."""
    there = set((CLIENT / "_sync").glob("*.py"))
    return [
        *(f"{path}: has no source in _async" for path in sorted(there - modules.keys())),
        *(
            f"{path}: is out of date"
            for path, text in modules.items()
            if path not in there or path.read_text(encoding="utf-8") != text
        ),
    ]


def main(*arguments: str) -> None:
    """Write the synchronous client, or check it."""
    modules = generated()
    if arguments == ("--check",):
        if found := faults(modules):
            sys.exit("\n".join([*found, "run make sync"]))
        return
    (CLIENT / "_sync").mkdir(exist_ok=True)
    for path, text in modules.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
