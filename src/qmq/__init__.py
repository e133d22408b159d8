"""q: many named FIFO queues behind gRPC and REST, durable before it answers.

What is listed here is the Python client; see docs/client.md. Each name is loaded when it
is first used, so that importing `qmq` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from qmq.client._async.batch import AsyncPendingAdd
    from qmq.client._async.client import AsyncClient
    from qmq.client._async.popping import AsyncPopping
    from qmq.client._async.producer import AsyncProducer
    from qmq.client._async.queue import AsyncQueue
    from qmq.client._sync.batch import PendingAdd
    from qmq.client._sync.client import Client
    from qmq.client._sync.popping import Popping
    from qmq.client._sync.producer import Producer
    from qmq.client._sync.queue import Queue
    from qmq.client.codecs import (
        BytesCodec,
        Codec,
        JsonCodec,
        MsgspecCodec,
        PydanticCodec,
        TextCodec,
    )
    from qmq.client.errors import (
        AddressError,
        AddsFailed,
        ClientUnusable,
        ConnectionLost,
        DeadlineExceeded,
        FailedAdd,
        InvalidArgument,
        LimitReached,
        MessageTooLarge,
        NameTaken,
        NotSent,
        QmqError,
        QueueEmpty,
        QueueFull,
        QueueNotFound,
        ServerBusy,
        ServerNotReached,
        ServerShuttingDown,
        StoreFailed,
        StoreNotConfigured,
        Unavailable,
        Unimplemented,
        UnknownStore,
    )
    from qmq.client.options import TLS, Retry
    from qmq.client.values import Message, Metadata, QueueInfo, QueueStats
    from qmq.values import Store, Tag

__all__ = [
    "TLS",
    "AddressError",
    "AddsFailed",
    "AsyncClient",
    "AsyncPendingAdd",
    "AsyncPopping",
    "AsyncProducer",
    "AsyncQueue",
    "BytesCodec",
    "Client",
    "ClientUnusable",
    "Codec",
    "ConnectionLost",
    "DeadlineExceeded",
    "FailedAdd",
    "InvalidArgument",
    "JsonCodec",
    "LimitReached",
    "Message",
    "MessageTooLarge",
    "Metadata",
    "MsgspecCodec",
    "NameTaken",
    "NotSent",
    "PendingAdd",
    "Popping",
    "Producer",
    "PydanticCodec",
    "QmqError",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "QueueInfo",
    "QueueNotFound",
    "QueueStats",
    "Retry",
    "ServerBusy",
    "ServerNotReached",
    "ServerShuttingDown",
    "Store",
    "StoreFailed",
    "StoreNotConfigured",
    "Tag",
    "TextCodec",
    "Unavailable",
    "Unimplemented",
    "UnknownStore",
]

#: Where the names are, by module.
_NAMES: Final = {
    "qmq.client._async.batch": {"AsyncPendingAdd"},
    "qmq.client._async.client": {"AsyncClient"},
    "qmq.client._async.popping": {"AsyncPopping"},
    "qmq.client._async.producer": {"AsyncProducer"},
    "qmq.client._async.queue": {"AsyncQueue"},
    "qmq.client._sync.batch": {"PendingAdd"},
    "qmq.client._sync.client": {"Client"},
    "qmq.client._sync.popping": {"Popping"},
    "qmq.client._sync.producer": {"Producer"},
    "qmq.client._sync.queue": {"Queue"},
    "qmq.client.codecs": {
        "BytesCodec",
        "Codec",
        "JsonCodec",
        "MsgspecCodec",
        "PydanticCodec",
        "TextCodec",
    },
    "qmq.client.errors": {
        "AddressError",
        "AddsFailed",
        "ClientUnusable",
        "ConnectionLost",
        "DeadlineExceeded",
        "FailedAdd",
        "InvalidArgument",
        "LimitReached",
        "MessageTooLarge",
        "NameTaken",
        "NotSent",
        "QmqError",
        "QueueEmpty",
        "QueueFull",
        "QueueNotFound",
        "ServerBusy",
        "ServerNotReached",
        "ServerShuttingDown",
        "StoreFailed",
        "StoreNotConfigured",
        "Unavailable",
        "Unimplemented",
        "UnknownStore",
    },
    "qmq.client.options": {"TLS", "Retry"},
    "qmq.client.values": {"Message", "Metadata", "QueueInfo", "QueueStats"},
    "qmq.values": {"Store", "Tag"},
}


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # A type checker would take every name for one of ours.

    def __getattr__(name: str) -> object:
        for module, names in _NAMES.items():
            if name in names:
                value = getattr(import_module(module), name)
                globals()[name] = value
                return value
        message = f"module 'qmq' has no attribute {name!r}"
        raise AttributeError(message)
