"""q: many named FIFO queues behind gRPC and REST, durable before it answers.

What is listed here is the Python client; see docs/client.md. Each name is loaded when it
is first used, so that importing `qmq` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from qmq.client._async.batch import AsyncPendingAdd
    from qmq.client._async.client import AsyncClient
    from qmq.client._async.consumer import AsyncConsumer
    from qmq.client._async.lease import AsyncLeasedMessage
    from qmq.client._async.popping import AsyncPopping
    from qmq.client._async.producer import AsyncProducer
    from qmq.client._async.queue import AsyncQueue
    from qmq.client._async.selection import AsyncSelection
    from qmq.client._async.worker import AsyncWorker
    from qmq.client._sync.batch import PendingAdd
    from qmq.client._sync.client import Client
    from qmq.client._sync.consumer import Consumer
    from qmq.client._sync.lease import LeasedMessage
    from qmq.client._sync.popping import Popping
    from qmq.client._sync.producer import Producer
    from qmq.client._sync.queue import Queue
    from qmq.client._sync.selection import Selection
    from qmq.client._sync.worker import Worker
    from qmq.client.codecs import (
        BytesCodec,
        Codec,
        JsonCodec,
        MsgspecCodec,
        PydanticCodec,
        TextCodec,
    )
    from qmq.client.endings import Reject, Release
    from qmq.client.errors import (
        AddressError,
        AddsPaused,
        ClientUnusable,
        ConnectionLost,
        DatabaseAway,
        DataLoss,
        DeadlineExceeded,
        DedupFull,
        DiskFull,
        DurabilityNotReached,
        GroupsFull,
        HandshakeFailed,
        InvalidArgument,
        LeaseLost,
        LimitReached,
        MemoryFull,
        MessageNotFound,
        MessageTooLarge,
        NameTaken,
        NoDeadLetterQueue,
        NotLeading,
        NotSent,
        Overloaded,
        QmqError,
        QueueEmpty,
        QueueFull,
        QueueInUse,
        QueueNotFound,
        QueuePaused,
        RedriveNotFound,
        RequestTimeout,
        ScheduleNotFound,
        SelectionsFull,
        ServerBusy,
        ServerNotReached,
        ServerShuttingDown,
        StoreFailed,
        StoreNotConfigured,
        StoresDiffer,
        Unavailable,
        Unimplemented,
        UnknownStore,
    )
    from qmq.client.failed_adds import AddsFailed, FailedAdd
    from qmq.client.options import TLS, Retry
    from qmq.client.queue_values import (
        BackOff,
        ConsumerStats,
        Fairness,
        GroupInfo,
        Pause,
        QueueInfo,
        QueueSettings,
        QueueStats,
        Rate,
        Redrive,
        RedriveState,
    )
    from qmq.client.schedule_values import Missed, Schedule
    from qmq.client.values import (
        Attempt,
        BrowsedMessage,
        DeadLetter,
        Explanation,
        Message,
        Metadata,
        NewMessage,
    )
    from qmq.values import (
        DeadLetterReason,
        Durability,
        FairKeyStats,
        GroupState,
        MessageState,
        NackKind,
        Outcome,
        Overflow,
        Store,
        Tag,
    )

__all__ = [
    "TLS",
    "AddressError",
    "AddsFailed",
    "AddsPaused",
    "AsyncClient",
    "AsyncConsumer",
    "AsyncLeasedMessage",
    "AsyncPendingAdd",
    "AsyncPopping",
    "AsyncProducer",
    "AsyncQueue",
    "AsyncSelection",
    "AsyncWorker",
    "Attempt",
    "BackOff",
    "BrowsedMessage",
    "BytesCodec",
    "Client",
    "ClientUnusable",
    "Codec",
    "ConnectionLost",
    "Consumer",
    "ConsumerStats",
    "DataLoss",
    "DatabaseAway",
    "DeadLetter",
    "DeadLetterReason",
    "DeadlineExceeded",
    "DedupFull",
    "DiskFull",
    "Durability",
    "DurabilityNotReached",
    "Explanation",
    "FailedAdd",
    "FairKeyStats",
    "Fairness",
    "GroupInfo",
    "GroupState",
    "GroupsFull",
    "HandshakeFailed",
    "InvalidArgument",
    "JsonCodec",
    "LeaseLost",
    "LeasedMessage",
    "LimitReached",
    "MemoryFull",
    "Message",
    "MessageNotFound",
    "MessageState",
    "MessageTooLarge",
    "Metadata",
    "Missed",
    "MsgspecCodec",
    "NackKind",
    "NameTaken",
    "NewMessage",
    "NoDeadLetterQueue",
    "NotLeading",
    "NotSent",
    "Outcome",
    "Overflow",
    "Overloaded",
    "Pause",
    "PendingAdd",
    "Popping",
    "Producer",
    "PydanticCodec",
    "QmqError",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "QueueInUse",
    "QueueInfo",
    "QueueNotFound",
    "QueuePaused",
    "QueueSettings",
    "QueueStats",
    "Rate",
    "Redrive",
    "RedriveNotFound",
    "RedriveState",
    "Reject",
    "Release",
    "RequestTimeout",
    "Retry",
    "Schedule",
    "ScheduleNotFound",
    "Selection",
    "SelectionsFull",
    "ServerBusy",
    "ServerNotReached",
    "ServerShuttingDown",
    "Store",
    "StoreFailed",
    "StoreNotConfigured",
    "StoresDiffer",
    "Tag",
    "TextCodec",
    "Unavailable",
    "Unimplemented",
    "UnknownStore",
    "Worker",
]

#: Where the names are, by module.
_NAMES: Final = {
    "qmq.client._async.batch": {"AsyncPendingAdd"},
    "qmq.client._async.client": {"AsyncClient"},
    "qmq.client._async.consumer": {"AsyncConsumer"},
    "qmq.client._async.lease": {"AsyncLeasedMessage"},
    "qmq.client._async.popping": {"AsyncPopping"},
    "qmq.client._async.producer": {"AsyncProducer"},
    "qmq.client._async.queue": {"AsyncQueue"},
    "qmq.client._async.selection": {"AsyncSelection"},
    "qmq.client._async.worker": {"AsyncWorker"},
    "qmq.client._sync.batch": {"PendingAdd"},
    "qmq.client._sync.client": {"Client"},
    "qmq.client._sync.consumer": {"Consumer"},
    "qmq.client._sync.lease": {"LeasedMessage"},
    "qmq.client._sync.popping": {"Popping"},
    "qmq.client._sync.producer": {"Producer"},
    "qmq.client._sync.queue": {"Queue"},
    "qmq.client._sync.selection": {"Selection"},
    "qmq.client._sync.worker": {"Worker"},
    "qmq.client.codecs": {
        "BytesCodec",
        "Codec",
        "JsonCodec",
        "MsgspecCodec",
        "PydanticCodec",
        "TextCodec",
    },
    "qmq.client.endings": {"Reject", "Release"},
    "qmq.client.errors": {
        "AddressError",
        "AddsPaused",
        "ClientUnusable",
        "ConnectionLost",
        "DataLoss",
        "DatabaseAway",
        "DeadlineExceeded",
        "DedupFull",
        "DiskFull",
        "DurabilityNotReached",
        "GroupsFull",
        "HandshakeFailed",
        "InvalidArgument",
        "LeaseLost",
        "LimitReached",
        "MemoryFull",
        "MessageNotFound",
        "MessageTooLarge",
        "NameTaken",
        "NoDeadLetterQueue",
        "NotLeading",
        "NotSent",
        "Overloaded",
        "QmqError",
        "QueueEmpty",
        "QueueFull",
        "QueueInUse",
        "QueueNotFound",
        "QueuePaused",
        "RedriveNotFound",
        "RequestTimeout",
        "ScheduleNotFound",
        "SelectionsFull",
        "ServerBusy",
        "ServerNotReached",
        "ServerShuttingDown",
        "StoreFailed",
        "StoreNotConfigured",
        "StoresDiffer",
        "Unavailable",
        "Unimplemented",
        "UnknownStore",
    },
    "qmq.client.failed_adds": {"AddsFailed", "FailedAdd"},
    "qmq.client.options": {"TLS", "Retry"},
    "qmq.client.queue_values": {
        "BackOff",
        "ConsumerStats",
        "Fairness",
        "GroupInfo",
        "Pause",
        "QueueInfo",
        "QueueSettings",
        "QueueStats",
        "Rate",
        "Redrive",
        "RedriveState",
    },
    "qmq.client.schedule_values": {"Missed", "Schedule"},
    "qmq.client.values": {
        "Attempt",
        "BrowsedMessage",
        "DeadLetter",
        "Explanation",
        "Message",
        "Metadata",
        "NewMessage",
    },
    "qmq.values": {
        "DeadLetterReason",
        "Durability",
        "FairKeyStats",
        "GroupState",
        "MessageState",
        "NackKind",
        "Outcome",
        "Overflow",
        "Store",
        "Tag",
    },
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
