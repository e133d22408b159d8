"""The ids that a command names or reads from standard input, in batches that fit a call."""

from collections.abc import Iterator
from typing import Final

import click

from qmq.cli.standard_input import chunks, has_more, lines_of
from qmq.limits import BATCH_MESSAGES_MAX

#: Stands on a command line for what is on standard input.
_STANDARD_INPUT: Final = "-"


def named_ids(ids: tuple[str, ...], what: str) -> tuple[str, ...] | None:
    """Return the ids that stand on a command line; None if - says that they are to be read.

    Raises:
        click.UsageError: - stands beside others; it says so of all of `what`: "lease ids".
    """
    if _STANDARD_INPUT not in ids:
        return ids
    if len(ids) > 1:
        raise click.UsageError(f"- reads all {what} from standard input; give it alone")
    return None


def batches(named: tuple[str, ...] | None, what: str) -> Iterator[list[str]]:
    """Go through ids, as many at a time as fit a call.

    Args:
        named: what stands on the command line; None reads it, one a line.
        what: what they are, for errors: "the ids of leases".

    Raises:
        Failure: standard input cannot be read.
    """
    if named is not None:
        for start in range(0, len(named), BATCH_MESSAGES_MAX):
            yield [*named[start : start + BATCH_MESSAGES_MAX]]
        return
    batch: list[str] = []
    for lines in lines_of(chunks(what), b"\n", keeps_ends=False):
        for line in lines:
            # What is no UTF-8 is no id, and the server says so.
            if each := line.decode(errors="replace").strip():
                batch.append(each)
            if len(batch) == BATCH_MESSAGES_MAX:
                yield batch
                batch = []
        # Whoever writes one now and then has it done at once.
        if batch and not has_more():
            yield batch
            batch = []
    if batch:
        yield batch
