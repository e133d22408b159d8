"""Where messages come from: from one queue, or from all that a selector matches."""

from typing import Protocol

from qmq.errors import InvalidArgument


class _Source(Protocol):
    """A request for messages."""

    @property
    def queue_id(self) -> str:
        """The queue's id or name."""
        ...

    @property
    def selector(self) -> str:
        """In place of it, which queues."""
        ...


def is_by_selector(request: _Source) -> bool:
    """Tell whether a request is about the queues that a selector matches.

    Raises:
        InvalidArgument: it names a queue and has a selector, or neither.
    """
    if not request.selector:
        if not request.queue_id:
            raise InvalidArgument(
                "queue_id", "must be the id or name of a queue, unless there is a selector"
            )
        return False
    if request.queue_id:
        raise InvalidArgument("selector", "must be left out where there is a queue_id")
    return True
