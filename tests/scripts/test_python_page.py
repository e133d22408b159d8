"""The reference of the Python client leaves out no name, argument or error that users meet."""

import inspect

import qmq
from scripts.python_page import docstring, page
from tests.documents import anchors, section

PAGE = page()

NAMES = [name for name in qmq.__all__ if not name.startswith("Async")]


def test_every_name_is_on_the_page() -> None:
    """A class has a section, an error or enumeration a row."""
    headings = anchors(PAGE)

    assert len(NAMES) > 60
    for name in NAMES:
        assert name.lower() in headings or f"\n| `{name}` |" in PAGE, name


def test_methods_are_told_with_their_arguments() -> None:
    """Whatever a queue, a client or a leased message can do, and by which names."""
    for cls in (qmq.Client, qmq.Queue, qmq.LeasedMessage, qmq.Producer, qmq.Worker):
        for name, method in inspect.getmembers(cls, inspect.isfunction):
            if name.startswith("_") or name in {"new_messages", "over"}:
                continue
            part = section(PAGE, f"{cls.__name__}.{name}")
            arguments = [each for each in inspect.signature(method).parameters if each != "self"]
            assert all(argument in part for argument in arguments), (cls, name)


def test_docstrings_become_prose_and_lists() -> None:
    """Arguments and errors are lists, what comes back is a sentence."""
    text = """Do it.

    At once.

    Args:
        a: one thing, which takes
            two lines.
        b: another.

    Returns:
        What it was.

    Raises:
        ValueError: it cannot be done.
    """

    assert docstring(text) == (
        "Do it.\n\nAt once.\n\n- `a`: one thing, which takes two lines.\n- `b`: another.\n"
        "\nReturns: What it was.\n\nRaises:\n\n- `ValueError`: it cannot be done.\n"
    )
