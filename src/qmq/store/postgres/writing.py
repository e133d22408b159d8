"""A batch as one statement: the fence and a part for each kind of change that there is.

One statement is one transaction and one round trip. Its parts do not see what the others do,
which a batch has no need of, since it touches each row once.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from qmq.store.postgres.batch import Batch
from qmq.store.sql import load_statements

_SQL = load_statements("qmq.store.postgres", "statements.sql")

#: As few numbers that follow each other are as well off one by one.
_RUN_MIN: Final = 4

_PARAMETER: Final = re.compile(r"\$(\d+)")

#: The values of a part: a list for each column.
Columns = Sequence[Sequence[Any]]


def statement(batch: Batch, epoch: int, number: int) -> tuple[str, list[Any]]:
    """Return what writes a batch, and its parameters.

    Args:
        batch: what to write.
        epoch: that of the leader.
        number: how many commits there will have been by then.

    Returns:
        SQL that returns one row if everything was written, and none if nothing was, since
        somebody else leads or the batch was written before.
    """
    parts: list[str] = []
    parameters: list[Any] = [epoch, number, batch.last_number]
    for name, columns in _columns_of(batch):
        if columns:
            parts.append(name)
            parameters += columns
    return _composed(tuple(parts)), parameters


def _columns_of(batch: Batch) -> Iterator[tuple[str, Columns]]:
    """Yield the parts of a statement, and the columns of each; none if it has nothing to do."""
    for name, columns_of in _PARTS.items():
        yield name, columns_of(batch)
    singles, runs = divided(batch.gone, batch.gone_runs)
    yield "delete_messages", singles
    yield "delete_message_runs", runs
    if batch.moves:
        singles, runs = divided(batch.gone | batch.moves.keys(), batch.gone_runs)
    yield "delete_deliveries", singles
    yield "delete_delivery_runs", runs


def divided(
    seqs: Collection[int], known_runs: Sequence[tuple[int, int]] = ()
) -> tuple[Columns, Columns]:
    """Divide numbers of messages into those that stand alone, and runs of successive ones.

    Messages that one call has added have numbers that follow each other, and mostly leave together.

    Returns:
        the former as a column; the firsts and the lasts of the runs as two. Each is empty if there
        are none.
    """
    singles: list[int] = []
    firsts = [first for first, _ in known_runs]
    lasts = [last for _, last in known_runs]
    ordered = sorted(seqs)
    ends = [at for at, (one, next_) in enumerate(pairwise(ordered), 1) if next_ - one != 1]
    if len(ends) * _RUN_MIN > len(ordered):
        # Hardly any are in a run: to look for those would take longer.
        singles, ordered = ordered, []
        ends = []
    start = 0
    for end in (*ends, len(ordered)):
        if end - start < _RUN_MIN:
            singles += ordered[start:end]
        else:
            firsts.append(ordered[start])
            lasts.append(ordered[end - 1])
        start = end
    return [singles] if singles else (), [firsts, lasts] if firsts else ()


@lru_cache(maxsize=256)
def _composed(parts: tuple[str, ...]) -> str:
    """Put a statement together; PostgreSQL keeps the plan of each that is used often."""
    text = ["with fence as (", _SQL["fence"], ")"]
    count = 3
    for name in parts:
        part, highest = _SQL[name], 0
        for found in _PARAMETER.finditer(part):
            highest = max(highest, int(found[1]))
        shifted = _shift(part, count)
        text.append(f", {name} as ({shifted})")
        count += highest
    text.append("select 1 from fence")
    return "\n".join(text)


def _shift(part: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", part)


def _columns(rows: Collection[Sequence[Any]]) -> Columns:
    """Return rows as columns; nothing if there are none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else ()


def _keys(keys: Iterable[Any]) -> Columns:
    found = list(keys)
    return [found] if found else ()


def _moves(batch: Batch) -> Columns:
    return _columns([(seq, *move) for seq, move in batch.moves.items()])


def _saved_groups(batch: Batch) -> Columns:
    return _columns([(*key, *since) for key, since in batch.groups.items() if any(since)])


def _deleted_groups(batch: Batch) -> Columns:
    return _columns([key for key, since in batch.groups.items() if not any(since)])


def _saved(texts: dict[str, str]) -> Columns:
    return _columns([each for each in texts.items() if each[1]])


def _dropped(texts: dict[str, str]) -> Columns:
    return _keys(id_ for id_, text in texts.items() if not text)


_QUEUE: Final = ("number", "id", "name", "message_limit", "created_ns", "tags", "settings")
_QUEUE_CHANGES: Final = ("number", "message_limit", "tags", "settings")


def _new_queues(batch: Batch) -> Columns:
    rows = [row for row in batch.queues.values() if row and "id" in row]
    return _columns([[row[name] for name in _QUEUE] for row in rows])


def _changed_queues(batch: Batch) -> Columns:
    rows = [row for row in batch.queues.values() if row and "id" not in row]
    return _columns([[row[name] for name in _QUEUE_CHANGES] for row in rows])


#: The parts of a statement, and the columns of each; but for what leaves, see `_columns_of`.
_PARTS: Final[dict[str, Callable[[Batch], Columns]]] = {
    "insert_messages": lambda batch: _columns(batch.inserts.values()),
    "move_messages": _moves,
    "save_deliveries": lambda batch: _columns(batch.deliveries.values()),
    "insert_leases": lambda batch: _columns(batch.leases.values()),
    "delete_leases": lambda batch: _keys(batch.gone_leases),
    "insert_known": lambda batch: _columns(batch.known.values()),
    "delete_known": lambda batch: _keys(batch.forgotten),
    "save_groups": _saved_groups,
    "delete_groups": _deleted_groups,
    "delete_groups_of_queues": lambda batch: _keys(batch.without_groups),
    "save_redrives": lambda batch: _saved(batch.redrives),
    "delete_redrives": lambda batch: _dropped(batch.redrives),
    "save_schedules": lambda batch: _saved(batch.schedules),
    "delete_schedules": lambda batch: _dropped(batch.schedules),
    "insert_queues": _new_queues,
    "update_queues": _changed_queues,
    "delete_queues": lambda batch: _keys(
        number for number, row in batch.queues.items() if row is None
    ),
}
