"""What an application serves: gRPC methods by their paths."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from qmq.engine.waiting import IsGone
from qmq.transport.streams import StreamMethod

#: Takes the bytes of a request message and returns those of the reply.
UnaryMethod = Callable[[bytes], Awaitable[bytes]]
#: The same for a method that may wait: it is also told how to find out whether the caller
#: has left, and the seconds until the caller's deadline, if there is one. It must have
#: decided by then; what it has taken for the caller it still hands over.
WaitingMethod = Callable[[bytes, IsGone, float | None], Awaitable[bytes]]

#: Methods of one request and one reply by path, and whether they may wait.
UnaryMethods = Mapping[str, tuple[Callable[..., Awaitable[bytes]], bool]]


class Methods(NamedTuple):
    """Methods of each kind, by path."""

    #: Of one request and one reply.
    unary: Mapping[str, UnaryMethod] = MappingProxyType({})
    #: The same, but they may wait for something to happen.
    waiting: Mapping[str, WaitingMethod] = MappingProxyType({})
    #: All others.
    streams: Mapping[str, StreamMethod] = MappingProxyType({})

    @property
    def of_one_reply(self) -> UnaryMethods:
        """Both kinds of methods with one reply."""
        return {
            **{path: (method, False) for path, method in self.unary.items()},
            **{path: (method, True) for path, method in self.waiting.items()},
        }


def joined(parts: Iterable[Methods]) -> Methods:
    """Put methods together; of those with the same path, the last one counts."""
    unary: dict[str, UnaryMethod] = {}
    waiting: dict[str, WaitingMethod] = {}
    streams: dict[str, StreamMethod] = {}
    for part in parts:
        unary |= part.unary
        waiting |= part.waiting
        streams |= part.streams
    return Methods(unary, waiting, streams)
