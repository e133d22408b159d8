"""What of gRPC survives `os.fork`, and what does not.

A connection is of no use to the child of the process that made it; the child can make
another. It cannot if gRPC was busy in another thread at that moment, as it always is while
there is a channel for an event loop, or if gRPC was told not to prepare for forks: its
threads are gone then, and calls would hang for ever.
"""

import os
from typing import Final

import grpc

from qmq.client.errors import ClientUnusable

#: Something for each use of gRPC under way in this process.
_under_way: Final[set[object]] = set()

#: A number that is another one in each child of a process.
generation = 0

#: Whether gRPC was used by an ancestor in a way that makes it unusable here.
_is_broken = False

#: Something of gRPC's that lives as long as the process once gRPC was used in it or in an ancestor.
#: When the last such thing goes, gRPC shuts itself down in a thread that nobody can wait for; a
#: fork at that moment would leave a child whose first channel waits for that thread for ever.
_kept: grpc.ServerCredentials | None = None


def begin() -> object:
    """Note that a use of gRPC begins: a call, or a channel that event loops share.

    `end` takes the result.

    Raises:
        ClientUnusable: gRPC would hang in this process.
    """
    global _kept  # noqa: PLW0603 - It is a fact of the process.
    if _is_broken:
        raise ClientUnusable(
            "this process was forked while its parent made calls or had an AsyncClient open, or"
            " with GRPC_ENABLE_FORK_SUPPORT=0, and gRPC does not work in it: fork before the"
            ' first call, or start processes with multiprocessing\'s "spawn"'
        )
    # Credentials that are never used are the smallest thing that keeps gRPC up.
    _kept = _kept or grpc.local_server_credentials()
    use = object()
    _under_way.add(use)
    return use


def end(use: object) -> None:
    """Note that what `begin` returned has ended."""
    _under_way.discard(use)


def _after_fork_in_child() -> None:
    global generation, _is_broken  # noqa: PLW0603 - As above.
    is_unprepared = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "1").lower() in {"0", "false"}
    generation += 1
    _is_broken = _is_broken or bool(_under_way) or (_kept is not None and is_unprepared)
    _under_way.clear()


if hasattr(os, "register_at_fork"):  # Not on Windows, which does not fork.
    os.register_at_fork(after_in_child=_after_fork_in_child)
