import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Tag(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Metadata(_message.Message):
    __slots__ = ("id", "created", "tags")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ...) -> None: ...

class NewMessage(_message.Message):
    __slots__ = ("tags", "payload", "options")
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    payload: bytes
    options: MessageOptions
    def __init__(self, tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., payload: _Optional[bytes] = ..., options: _Optional[_Union[MessageOptions, _Mapping]] = ...) -> None: ...

class MessageOptions(_message.Message):
    __slots__ = ("delay", "available_at", "ttl", "expires_at", "priority", "dedup_id", "group_id", "fair_key")
    DELAY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DEDUP_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    FAIR_KEY_FIELD_NUMBER: _ClassVar[int]
    delay: _duration_pb2.Duration
    available_at: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    expires_at: _timestamp_pb2.Timestamp
    priority: int
    dedup_id: str
    group_id: str
    fair_key: str
    def __init__(self, delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., available_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[int] = ..., dedup_id: _Optional[str] = ..., group_id: _Optional[str] = ..., fair_key: _Optional[str] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("meta", "payload", "dead_letter", "attempts", "options")
    META_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    meta: Metadata
    payload: bytes
    dead_letter: DeadLetter
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    options: MessageOptions
    def __init__(self, meta: _Optional[_Union[Metadata, _Mapping]] = ..., payload: _Optional[bytes] = ..., dead_letter: _Optional[_Union[DeadLetter, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., options: _Optional[_Union[MessageOptions, _Mapping]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("consumer", "leased", "ended", "outcome", "reason")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Attempt.Outcome]
        RELEASED: _ClassVar[Attempt.Outcome]
        FAILED: _ClassVar[Attempt.Outcome]
        REJECTED: _ClassVar[Attempt.Outcome]
        EXPIRED: _ClassVar[Attempt.Outcome]
    UNKNOWN: Attempt.Outcome
    RELEASED: Attempt.Outcome
    FAILED: Attempt.Outcome
    REJECTED: Attempt.Outcome
    EXPIRED: Attempt.Outcome
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    leased: _timestamp_pb2.Timestamp
    ended: _timestamp_pb2.Timestamp
    outcome: Attempt.Outcome
    reason: str
    def __init__(self, consumer: _Optional[str] = ..., leased: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[Attempt.Outcome, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("reason", "text", "source_queue_id", "moved", "delivery_count")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[DeadLetter.Reason]
        REJECTED: _ClassVar[DeadLetter.Reason]
        DELIVERY_COUNT_MAX: _ClassVar[DeadLetter.Reason]
        EXPIRED: _ClassVar[DeadLetter.Reason]
        OVERFLOW: _ClassVar[DeadLetter.Reason]
        SKIPPED: _ClassVar[DeadLetter.Reason]
    UNKNOWN: DeadLetter.Reason
    REJECTED: DeadLetter.Reason
    DELIVERY_COUNT_MAX: DeadLetter.Reason
    EXPIRED: DeadLetter.Reason
    OVERFLOW: DeadLetter.Reason
    SKIPPED: DeadLetter.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: DeadLetter.Reason
    text: str
    source_queue_id: str
    moved: _timestamp_pb2.Timestamp
    delivery_count: int
    def __init__(self, reason: _Optional[_Union[DeadLetter.Reason, str]] = ..., text: _Optional[str] = ..., source_queue_id: _Optional[str] = ..., moved: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delivery_count: _Optional[int] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("meta", "store", "name", "settings", "limit", "paused")
    class Store(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Queue.Store]
        MEMORY: _ClassVar[Queue.Store]
        DISK: _ClassVar[Queue.Store]
        BOLTDB: _ClassVar[Queue.Store]
        CLUSTER: _ClassVar[Queue.Store]
    UNKNOWN: Queue.Store
    MEMORY: Queue.Store
    DISK: Queue.Store
    BOLTDB: Queue.Store
    CLUSTER: Queue.Store
    META_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    meta: Metadata
    store: Queue.Store
    name: str
    settings: QueueSettings
    limit: int
    paused: PausedQueue
    def __init__(self, meta: _Optional[_Union[Metadata, _Mapping]] = ..., store: _Optional[_Union[Queue.Store, str]] = ..., name: _Optional[str] = ..., settings: _Optional[_Union[QueueSettings, _Mapping]] = ..., limit: _Optional[int] = ..., paused: _Optional[_Union[PausedQueue, _Mapping]] = ...) -> None: ...

class QueueSettings(_message.Message):
    __slots__ = ("lease_duration", "delivery_count_max", "dead_letter_queue_id", "back_off", "durability_min", "delay", "ttl", "dead_letter_expired", "dedup_window", "priority_ageing", "bytes_limit", "overflow", "leased_max", "rate", "park_after", "fairness", "weight")
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    BACK_OFF_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_MIN_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    DEDUP_WINDOW_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_AGEING_FIELD_NUMBER: _ClassVar[int]
    BYTES_LIMIT_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    LEASED_MAX_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    PARK_AFTER_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    lease_duration: _duration_pb2.Duration
    delivery_count_max: int
    dead_letter_queue_id: str
    back_off: BackOff
    durability_min: Durability.Level
    delay: _duration_pb2.Duration
    ttl: _duration_pb2.Duration
    dead_letter_expired: bool
    dedup_window: _duration_pb2.Duration
    priority_ageing: _duration_pb2.Duration
    bytes_limit: int
    overflow: Overflow.Policy
    leased_max: int
    rate: Rate
    park_after: int
    fairness: Fairness
    weight: int
    def __init__(self, lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., delivery_count_max: _Optional[int] = ..., dead_letter_queue_id: _Optional[str] = ..., back_off: _Optional[_Union[BackOff, _Mapping]] = ..., durability_min: _Optional[_Union[Durability.Level, str]] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dead_letter_expired: _Optional[bool] = ..., dedup_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., priority_ageing: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., bytes_limit: _Optional[int] = ..., overflow: _Optional[_Union[Overflow.Policy, str]] = ..., leased_max: _Optional[int] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., park_after: _Optional[int] = ..., fairness: _Optional[_Union[Fairness, _Mapping]] = ..., weight: _Optional[int] = ...) -> None: ...

class Fairness(_message.Message):
    __slots__ = ("leased_max", "rate", "weights")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LEASED_MAX_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    leased_max: int
    rate: Rate
    weights: _containers.ScalarMap[str, int]
    def __init__(self, leased_max: _Optional[int] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., weights: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Overflow(_message.Message):
    __slots__ = ()
    class Policy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Overflow.Policy]
        REJECT: _ClassVar[Overflow.Policy]
        DROP_OLDEST: _ClassVar[Overflow.Policy]
        DEAD_LETTER_OLDEST: _ClassVar[Overflow.Policy]
    UNKNOWN: Overflow.Policy
    REJECT: Overflow.Policy
    DROP_OLDEST: Overflow.Policy
    DEAD_LETTER_OLDEST: Overflow.Policy
    def __init__(self) -> None: ...

class Rate(_message.Message):
    __slots__ = ("messages_per_second", "burst")
    MESSAGES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    messages_per_second: float
    burst: int
    def __init__(self, messages_per_second: _Optional[float] = ..., burst: _Optional[int] = ...) -> None: ...

class BackOff(_message.Message):
    __slots__ = ("base", "factor", "max", "jitter")
    BASE_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    base: _duration_pb2.Duration
    factor: float
    max: _duration_pb2.Duration
    jitter: float
    def __init__(self, base: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., factor: _Optional[float] = ..., max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., jitter: _Optional[float] = ...) -> None: ...

class PausedQueue(_message.Message):
    __slots__ = ("since", "adds")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    ADDS_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    adds: bool
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., adds: _Optional[bool] = ...) -> None: ...

class Durability(_message.Message):
    __slots__ = ()
    class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Durability.Level]
        MEMORY: _ClassVar[Durability.Level]
        OS: _ClassVar[Durability.Level]
        FSYNC: _ClassVar[Durability.Level]
        REPLICATED: _ClassVar[Durability.Level]
    UNKNOWN: Durability.Level
    MEMORY: Durability.Level
    OS: Durability.Level
    FSYNC: Durability.Level
    REPLICATED: Durability.Level
    def __init__(self) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "selector")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    selector: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., selector: _Optional[str] = ...) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues", "next_page_token")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    next_page_token: str
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class NewQueueRequest(_message.Message):
    __slots__ = ("store", "limit", "tags", "name", "settings")
    STORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    store: Queue.Store
    limit: int
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    name: str
    settings: QueueSettings
    def __init__(self, store: _Optional[_Union[Queue.Store, str]] = ..., limit: _Optional[int] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., name: _Optional[str] = ..., settings: _Optional[_Union[QueueSettings, _Mapping]] = ...) -> None: ...

class NewQueueResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class GetQueueRequest(_message.Message):
    __slots__ = ("queue_id",)
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    def __init__(self, queue_id: _Optional[str] = ...) -> None: ...

class GetQueueResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class UpdateQueueRequest(_message.Message):
    __slots__ = ("queue_id", "settings", "limit")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    settings: QueueSettings
    limit: int
    def __init__(self, queue_id: _Optional[str] = ..., settings: _Optional[_Union[QueueSettings, _Mapping]] = ..., limit: _Optional[int] = ...) -> None: ...

class UpdateQueueResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class DeleteQueueRequest(_message.Message):
    __slots__ = ("queue_id",)
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    def __init__(self, queue_id: _Optional[str] = ...) -> None: ...

class DeleteQueueResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AddQueueTagRequest(_message.Message):
    __slots__ = ("queue_id", "tag")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    tag: Tag
    def __init__(self, queue_id: _Optional[str] = ..., tag: _Optional[_Union[Tag, _Mapping]] = ...) -> None: ...

class AddQueueTagResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteQueueTagRequest(_message.Message):
    __slots__ = ("queue_id", "tag")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    tag: Tag
    def __init__(self, queue_id: _Optional[str] = ..., tag: _Optional[_Union[Tag, _Mapping]] = ...) -> None: ...

class DeleteQueueTagResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AddRequest(_message.Message):
    __slots__ = ("queue_id", "message", "durability")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    message: NewMessage
    durability: Durability.Level
    def __init__(self, queue_id: _Optional[str] = ..., message: _Optional[_Union[NewMessage, _Mapping]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class AddResponse(_message.Message):
    __slots__ = ("message", "durability", "deduplicated")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATED_FIELD_NUMBER: _ClassVar[int]
    message: Message
    durability: Durability.Level
    deduplicated: bool
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ..., deduplicated: _Optional[bool] = ...) -> None: ...

class AddBatchRequest(_message.Message):
    __slots__ = ("queue_id", "messages", "partial", "durability")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    messages: _containers.RepeatedCompositeFieldContainer[NewMessage]
    partial: bool
    durability: Durability.Level
    def __init__(self, queue_id: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[NewMessage, _Mapping]]] = ..., partial: _Optional[bool] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class AddBatchResponse(_message.Message):
    __slots__ = ("messages", "refused", "durability", "deduplicated")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATED_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Metadata]
    refused: int
    durability: Durability.Level
    deduplicated: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, messages: _Optional[_Iterable[_Union[Metadata, _Mapping]]] = ..., refused: _Optional[int] = ..., durability: _Optional[_Union[Durability.Level, str]] = ..., deduplicated: _Optional[_Iterable[int]] = ...) -> None: ...

class PopRequest(_message.Message):
    __slots__ = ("queue_id", "wait", "durability")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    wait: _duration_pb2.Duration
    durability: Durability.Level
    def __init__(self, queue_id: _Optional[str] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class PopResponse(_message.Message):
    __slots__ = ("message", "durability")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    message: Message
    durability: Durability.Level
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class PopBatchRequest(_message.Message):
    __slots__ = ("queue_id", "messages_max", "wait", "durability", "selector")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_MAX_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    messages_max: int
    wait: _duration_pb2.Duration
    durability: Durability.Level
    selector: str
    def __init__(self, queue_id: _Optional[str] = ..., messages_max: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ..., selector: _Optional[str] = ...) -> None: ...

class PopBatchResponse(_message.Message):
    __slots__ = ("messages", "durability", "queue_ids")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_IDS_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    durability: Durability.Level
    queue_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ..., queue_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PeekRequest(_message.Message):
    __slots__ = ("queue_id",)
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    def __init__(self, queue_id: _Optional[str] = ...) -> None: ...

class PeekResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: Message
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ...) -> None: ...

class LeaseRequest(_message.Message):
    __slots__ = ("queue_id", "messages_max", "wait", "lease_duration", "consumer", "durability", "selector")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_MAX_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    messages_max: int
    wait: _duration_pb2.Duration
    lease_duration: _duration_pb2.Duration
    consumer: str
    durability: Durability.Level
    selector: str
    def __init__(self, queue_id: _Optional[str] = ..., messages_max: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., consumer: _Optional[str] = ..., durability: _Optional[_Union[Durability.Level, str]] = ..., selector: _Optional[str] = ...) -> None: ...

class LeaseResponse(_message.Message):
    __slots__ = ("messages", "durability")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[LeasedMessage]
    durability: Durability.Level
    def __init__(self, messages: _Optional[_Iterable[_Union[LeasedMessage, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class LeasedMessage(_message.Message):
    __slots__ = ("message", "lease_id", "lease_expires_at", "delivery_count", "queue_id")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    message: Message
    lease_id: str
    lease_expires_at: _timestamp_pb2.Timestamp
    delivery_count: int
    queue_id: str
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., lease_id: _Optional[str] = ..., lease_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delivery_count: _Optional[int] = ..., queue_id: _Optional[str] = ...) -> None: ...

class LeaseResult(_message.Message):
    __slots__ = ("code", "message", "lease_expires_at", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    lease_expires_at: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., lease_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class AckRequest(_message.Message):
    __slots__ = ("queue_id", "lease_ids", "durability")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    lease_ids: _containers.RepeatedScalarFieldContainer[str]
    durability: Durability.Level
    def __init__(self, queue_id: _Optional[str] = ..., lease_ids: _Optional[_Iterable[str]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class AckResponse(_message.Message):
    __slots__ = ("results", "durability")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LeaseResult]
    durability: Durability.Level
    def __init__(self, results: _Optional[_Iterable[_Union[LeaseResult, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class NackRequest(_message.Message):
    __slots__ = ("queue_id", "lease_ids", "kind", "delay", "reason", "durability")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[NackRequest.Kind]
        RELEASE: _ClassVar[NackRequest.Kind]
        FAIL: _ClassVar[NackRequest.Kind]
        REJECT: _ClassVar[NackRequest.Kind]
    UNKNOWN: NackRequest.Kind
    RELEASE: NackRequest.Kind
    FAIL: NackRequest.Kind
    REJECT: NackRequest.Kind
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    lease_ids: _containers.RepeatedScalarFieldContainer[str]
    kind: NackRequest.Kind
    delay: _duration_pb2.Duration
    reason: str
    durability: Durability.Level
    def __init__(self, queue_id: _Optional[str] = ..., lease_ids: _Optional[_Iterable[str]] = ..., kind: _Optional[_Union[NackRequest.Kind, str]] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class NackResponse(_message.Message):
    __slots__ = ("results", "durability")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LeaseResult]
    durability: Durability.Level
    def __init__(self, results: _Optional[_Iterable[_Union[LeaseResult, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class ExtendRequest(_message.Message):
    __slots__ = ("queue_id", "lease_ids", "lease_duration", "durability")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    lease_ids: _containers.RepeatedScalarFieldContainer[str]
    lease_duration: _duration_pb2.Duration
    durability: Durability.Level
    def __init__(self, queue_id: _Optional[str] = ..., lease_ids: _Optional[_Iterable[str]] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class ExtendResponse(_message.Message):
    __slots__ = ("results", "durability")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LeaseResult]
    durability: Durability.Level
    def __init__(self, results: _Optional[_Iterable[_Union[LeaseResult, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class CompleteRequest(_message.Message):
    __slots__ = ("acks", "adds", "durability")
    class Ack(_message.Message):
        __slots__ = ("queue_id", "lease_ids")
        QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
        LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
        queue_id: str
        lease_ids: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, queue_id: _Optional[str] = ..., lease_ids: _Optional[_Iterable[str]] = ...) -> None: ...
    class Add(_message.Message):
        __slots__ = ("queue_id", "messages")
        QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
        MESSAGES_FIELD_NUMBER: _ClassVar[int]
        queue_id: str
        messages: _containers.RepeatedCompositeFieldContainer[NewMessage]
        def __init__(self, queue_id: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[NewMessage, _Mapping]]] = ...) -> None: ...
    ACKS_FIELD_NUMBER: _ClassVar[int]
    ADDS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    acks: _containers.RepeatedCompositeFieldContainer[CompleteRequest.Ack]
    adds: _containers.RepeatedCompositeFieldContainer[CompleteRequest.Add]
    durability: Durability.Level
    def __init__(self, acks: _Optional[_Iterable[_Union[CompleteRequest.Ack, _Mapping]]] = ..., adds: _Optional[_Iterable[_Union[CompleteRequest.Add, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class CompleteResponse(_message.Message):
    __slots__ = ("messages", "durability")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Metadata]
    durability: Durability.Level
    def __init__(self, messages: _Optional[_Iterable[_Union[Metadata, _Mapping]]] = ..., durability: _Optional[_Union[Durability.Level, str]] = ...) -> None: ...

class ConsumeRequest(_message.Message):
    __slots__ = ("open", "credit", "ack", "nack", "extend")
    class Open(_message.Message):
        __slots__ = ("queue_id", "lease_duration", "consumer", "credit", "selector")
        QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
        LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
        CONSUMER_FIELD_NUMBER: _ClassVar[int]
        CREDIT_FIELD_NUMBER: _ClassVar[int]
        SELECTOR_FIELD_NUMBER: _ClassVar[int]
        queue_id: str
        lease_duration: _duration_pb2.Duration
        consumer: str
        credit: int
        selector: str
        def __init__(self, queue_id: _Optional[str] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., consumer: _Optional[str] = ..., credit: _Optional[int] = ..., selector: _Optional[str] = ...) -> None: ...
    class Credit(_message.Message):
        __slots__ = ("credit",)
        CREDIT_FIELD_NUMBER: _ClassVar[int]
        credit: int
        def __init__(self, credit: _Optional[int] = ...) -> None: ...
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    open: ConsumeRequest.Open
    credit: ConsumeRequest.Credit
    ack: AckRequest
    nack: NackRequest
    extend: ExtendRequest
    def __init__(self, open: _Optional[_Union[ConsumeRequest.Open, _Mapping]] = ..., credit: _Optional[_Union[ConsumeRequest.Credit, _Mapping]] = ..., ack: _Optional[_Union[AckRequest, _Mapping]] = ..., nack: _Optional[_Union[NackRequest, _Mapping]] = ..., extend: _Optional[_Union[ExtendRequest, _Mapping]] = ...) -> None: ...

class ConsumeResponse(_message.Message):
    __slots__ = ("messages", "ack", "nack", "extend")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    messages: LeaseResponse
    ack: AckResponse
    nack: NackResponse
    extend: ExtendResponse
    def __init__(self, messages: _Optional[_Union[LeaseResponse, _Mapping]] = ..., ack: _Optional[_Union[AckResponse, _Mapping]] = ..., nack: _Optional[_Union[NackResponse, _Mapping]] = ..., extend: _Optional[_Union[ExtendResponse, _Mapping]] = ...) -> None: ...

class BrowseRequest(_message.Message):
    __slots__ = ("queue_id", "page_size", "page_token", "states", "tags", "age_min", "age_max", "selector", "group_id", "fair_key")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[BrowseRequest.State]
        READY: _ClassVar[BrowseRequest.State]
        LEASED: _ClassVar[BrowseRequest.State]
        DELAYED: _ClassVar[BrowseRequest.State]
    UNKNOWN: BrowseRequest.State
    READY: BrowseRequest.State
    LEASED: BrowseRequest.State
    DELAYED: BrowseRequest.State
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    AGE_MIN_FIELD_NUMBER: _ClassVar[int]
    AGE_MAX_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    FAIR_KEY_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[BrowseRequest.State]
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    age_min: _duration_pb2.Duration
    age_max: _duration_pb2.Duration
    selector: str
    group_id: str
    fair_key: str
    def __init__(self, queue_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[BrowseRequest.State, str]]] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., age_min: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., age_max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., selector: _Optional[str] = ..., group_id: _Optional[str] = ..., fair_key: _Optional[str] = ...) -> None: ...

class BrowseResponse(_message.Message):
    __slots__ = ("messages", "next_page_token")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[BrowsedMessage]
    next_page_token: str
    def __init__(self, messages: _Optional[_Iterable[_Union[BrowsedMessage, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class BrowsedMessage(_message.Message):
    __slots__ = ("message", "state", "delivery_count", "consumer", "until", "age")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    message: Message
    state: BrowseRequest.State
    delivery_count: int
    consumer: str
    until: _timestamp_pb2.Timestamp
    age: _duration_pb2.Duration
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., state: _Optional[_Union[BrowseRequest.State, str]] = ..., delivery_count: _Optional[int] = ..., consumer: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("queue_id", "message_id", "created")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    message_id: str
    created: _timestamp_pb2.Timestamp
    def __init__(self, queue_id: _Optional[str] = ..., message_id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("message", "ahead", "reasons")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    message: BrowsedMessage
    ahead: int
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, message: _Optional[_Union[BrowsedMessage, _Mapping]] = ..., ahead: _Optional[int] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("queue_id",)
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    def __init__(self, queue_id: _Optional[str] = ...) -> None: ...

class PurgeResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: int
    def __init__(self, removed: _Optional[int] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("queue_id", "adds")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDS_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    adds: bool
    def __init__(self, queue_id: _Optional[str] = ..., adds: _Optional[bool] = ...) -> None: ...

class PauseResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("queue_id",)
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    def __init__(self, queue_id: _Optional[str] = ...) -> None: ...

class ResumeResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class StartRedriveRequest(_message.Message):
    __slots__ = ("queue_id", "target_queue_id", "tags", "reasons", "text", "age_min", "age_max", "dry_run", "messages_per_second", "messages_max", "failed_again_max")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AGE_MIN_FIELD_NUMBER: _ClassVar[int]
    AGE_MAX_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_MAX_FIELD_NUMBER: _ClassVar[int]
    FAILED_AGAIN_MAX_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    target_queue_id: str
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    reasons: _containers.RepeatedScalarFieldContainer[DeadLetter.Reason]
    text: str
    age_min: _duration_pb2.Duration
    age_max: _duration_pb2.Duration
    dry_run: bool
    messages_per_second: float
    messages_max: int
    failed_again_max: float
    def __init__(self, queue_id: _Optional[str] = ..., target_queue_id: _Optional[str] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., reasons: _Optional[_Iterable[_Union[DeadLetter.Reason, str]]] = ..., text: _Optional[str] = ..., age_min: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., age_max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dry_run: _Optional[bool] = ..., messages_per_second: _Optional[float] = ..., messages_max: _Optional[int] = ..., failed_again_max: _Optional[float] = ...) -> None: ...

class StartRedriveResponse(_message.Message):
    __slots__ = ("redrive",)
    REDRIVE_FIELD_NUMBER: _ClassVar[int]
    redrive: Redrive
    def __init__(self, redrive: _Optional[_Union[Redrive, _Mapping]] = ...) -> None: ...

class Redrive(_message.Message):
    __slots__ = ("id", "request", "state", "started", "ended", "total", "seen", "matched", "moved", "failed_again", "message")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Redrive.State]
        RUNNING: _ClassVar[Redrive.State]
        DONE: _ClassVar[Redrive.State]
        STOPPED: _ClassVar[Redrive.State]
        GAVE_UP: _ClassVar[Redrive.State]
    UNKNOWN: Redrive.State
    RUNNING: Redrive.State
    DONE: Redrive.State
    STOPPED: Redrive.State
    GAVE_UP: Redrive.State
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    FAILED_AGAIN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: StartRedriveRequest
    state: Redrive.State
    started: _timestamp_pb2.Timestamp
    ended: _timestamp_pb2.Timestamp
    total: int
    seen: int
    matched: int
    moved: int
    failed_again: int
    message: str
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[StartRedriveRequest, _Mapping]] = ..., state: _Optional[_Union[Redrive.State, str]] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., total: _Optional[int] = ..., seen: _Optional[int] = ..., matched: _Optional[int] = ..., moved: _Optional[int] = ..., failed_again: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class GetRedriveRequest(_message.Message):
    __slots__ = ("redrive_id",)
    REDRIVE_ID_FIELD_NUMBER: _ClassVar[int]
    redrive_id: str
    def __init__(self, redrive_id: _Optional[str] = ...) -> None: ...

class GetRedriveResponse(_message.Message):
    __slots__ = ("redrive",)
    REDRIVE_FIELD_NUMBER: _ClassVar[int]
    redrive: Redrive
    def __init__(self, redrive: _Optional[_Union[Redrive, _Mapping]] = ...) -> None: ...

class ListRedrivesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRedrivesResponse(_message.Message):
    __slots__ = ("redrives",)
    REDRIVES_FIELD_NUMBER: _ClassVar[int]
    redrives: _containers.RepeatedCompositeFieldContainer[Redrive]
    def __init__(self, redrives: _Optional[_Iterable[_Union[Redrive, _Mapping]]] = ...) -> None: ...

class StopRedriveRequest(_message.Message):
    __slots__ = ("redrive_id",)
    REDRIVE_ID_FIELD_NUMBER: _ClassVar[int]
    redrive_id: str
    def __init__(self, redrive_id: _Optional[str] = ...) -> None: ...

class StopRedriveResponse(_message.Message):
    __slots__ = ("redrive",)
    REDRIVE_FIELD_NUMBER: _ClassVar[int]
    redrive: Redrive
    def __init__(self, redrive: _Optional[_Union[Redrive, _Mapping]] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ("queue_id", "page_size", "page_token", "brief")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BRIEF_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    page_size: int
    page_token: str
    brief: bool
    def __init__(self, queue_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., brief: _Optional[bool] = ...) -> None: ...

class StatsResponse(_message.Message):
    __slots__ = ("queues", "next_page_token")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[QueueStats]
    next_page_token: str
    def __init__(self, queues: _Optional[_Iterable[_Union[QueueStats, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class QueueStats(_message.Message):
    __slots__ = ("queue", "ready", "ready_bytes", "oldest_age", "waiting", "enqueued_total", "consumed_total", "limit", "leased", "delayed", "acked_total", "redelivered_total", "dead_lettered_total", "added_per_second", "done_per_second", "consumers", "bytes", "expired_total", "overflowed_total", "deduplicated_total", "dedup_ids", "blocked", "groups", "groups_paused", "groups_parked", "fair_keys", "top_fair_keys", "deleted_total", "moved_in_total", "moved_out_total")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    READY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_AGE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    ENQUEUED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CONSUMED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    DELAYED_FIELD_NUMBER: _ClassVar[int]
    ACKED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REDELIVERED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ADDED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    DONE_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    OVERFLOWED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DEDUP_IDS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_PAUSED_FIELD_NUMBER: _ClassVar[int]
    GROUPS_PARKED_FIELD_NUMBER: _ClassVar[int]
    FAIR_KEYS_FIELD_NUMBER: _ClassVar[int]
    TOP_FAIR_KEYS_FIELD_NUMBER: _ClassVar[int]
    DELETED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MOVED_IN_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MOVED_OUT_TOTAL_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    ready: int
    ready_bytes: int
    oldest_age: _duration_pb2.Duration
    waiting: int
    enqueued_total: int
    consumed_total: int
    limit: int
    leased: int
    delayed: int
    acked_total: int
    redelivered_total: int
    dead_lettered_total: int
    added_per_second: float
    done_per_second: float
    consumers: _containers.RepeatedCompositeFieldContainer[ConsumerStats]
    bytes: int
    expired_total: int
    overflowed_total: int
    deduplicated_total: int
    dedup_ids: int
    blocked: int
    groups: int
    groups_paused: int
    groups_parked: int
    fair_keys: int
    top_fair_keys: _containers.RepeatedCompositeFieldContainer[FairKeyStats]
    deleted_total: int
    moved_in_total: int
    moved_out_total: int
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ..., ready: _Optional[int] = ..., ready_bytes: _Optional[int] = ..., oldest_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., waiting: _Optional[int] = ..., enqueued_total: _Optional[int] = ..., consumed_total: _Optional[int] = ..., limit: _Optional[int] = ..., leased: _Optional[int] = ..., delayed: _Optional[int] = ..., acked_total: _Optional[int] = ..., redelivered_total: _Optional[int] = ..., dead_lettered_total: _Optional[int] = ..., added_per_second: _Optional[float] = ..., done_per_second: _Optional[float] = ..., consumers: _Optional[_Iterable[_Union[ConsumerStats, _Mapping]]] = ..., bytes: _Optional[int] = ..., expired_total: _Optional[int] = ..., overflowed_total: _Optional[int] = ..., deduplicated_total: _Optional[int] = ..., dedup_ids: _Optional[int] = ..., blocked: _Optional[int] = ..., groups: _Optional[int] = ..., groups_paused: _Optional[int] = ..., groups_parked: _Optional[int] = ..., fair_keys: _Optional[int] = ..., top_fair_keys: _Optional[_Iterable[_Union[FairKeyStats, _Mapping]]] = ..., deleted_total: _Optional[int] = ..., moved_in_total: _Optional[int] = ..., moved_out_total: _Optional[int] = ...) -> None: ...

class FairKeyStats(_message.Message):
    __slots__ = ("fair_key", "weight", "waiting", "leased")
    FAIR_KEY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    fair_key: str
    weight: int
    waiting: int
    leased: int
    def __init__(self, fair_key: _Optional[str] = ..., weight: _Optional[int] = ..., waiting: _Optional[int] = ..., leased: _Optional[int] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("group_id", "state", "waiting", "leased", "since")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Group.State]
        READY: _ClassVar[Group.State]
        LEASED: _ClassVar[Group.State]
        DELAYED: _ClassVar[Group.State]
        PAUSED: _ClassVar[Group.State]
        PARKED: _ClassVar[Group.State]
    UNKNOWN: Group.State
    READY: Group.State
    LEASED: Group.State
    DELAYED: Group.State
    PAUSED: Group.State
    PARKED: Group.State
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    state: Group.State
    waiting: int
    leased: int
    since: _timestamp_pb2.Timestamp
    def __init__(self, group_id: _Optional[str] = ..., state: _Optional[_Union[Group.State, str]] = ..., waiting: _Optional[int] = ..., leased: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListGroupsRequest(_message.Message):
    __slots__ = ("queue_id", "page_size", "page_token", "states")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[Group.State]
    def __init__(self, queue_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[Group.State, str]]] = ...) -> None: ...

class ListGroupsResponse(_message.Message):
    __slots__ = ("groups", "next_page_token")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    next_page_token: str
    def __init__(self, groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PauseGroupRequest(_message.Message):
    __slots__ = ("queue_id", "group_id")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    group_id: str
    def __init__(self, queue_id: _Optional[str] = ..., group_id: _Optional[str] = ...) -> None: ...

class PauseGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class ResumeGroupRequest(_message.Message):
    __slots__ = ("queue_id", "group_id")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    group_id: str
    def __init__(self, queue_id: _Optional[str] = ..., group_id: _Optional[str] = ...) -> None: ...

class ResumeGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class SkipGroupRequest(_message.Message):
    __slots__ = ("queue_id", "group_id", "messages_max")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_MAX_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    group_id: str
    messages_max: int
    def __init__(self, queue_id: _Optional[str] = ..., group_id: _Optional[str] = ..., messages_max: _Optional[int] = ...) -> None: ...

class SkipGroupResponse(_message.Message):
    __slots__ = ("skipped", "group")
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    skipped: int
    group: Group
    def __init__(self, skipped: _Optional[int] = ..., group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class ConsumerStats(_message.Message):
    __slots__ = ("consumer", "leased")
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    leased: int
    def __init__(self, consumer: _Optional[str] = ..., leased: _Optional[int] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("queue_id", "name", "cron", "interval", "time_zone", "message", "missed", "paused", "created", "next", "last", "added", "missed_ticks", "refused", "deduplicated", "obstacle")
    class Missed(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Schedule.Missed]
        SKIP: _ClassVar[Schedule.Missed]
        ONE: _ClassVar[Schedule.Missed]
        ALL: _ClassVar[Schedule.Missed]
    UNKNOWN: Schedule.Missed
    SKIP: Schedule.Missed
    ONE: Schedule.Missed
    ALL: Schedule.Missed
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    MISSED_TICKS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATED_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    name: str
    cron: str
    interval: _duration_pb2.Duration
    time_zone: str
    message: NewMessage
    missed: Schedule.Missed
    paused: bool
    created: _timestamp_pb2.Timestamp
    next: _timestamp_pb2.Timestamp
    last: _timestamp_pb2.Timestamp
    added: int
    missed_ticks: int
    refused: int
    deduplicated: int
    obstacle: str
    def __init__(self, queue_id: _Optional[str] = ..., name: _Optional[str] = ..., cron: _Optional[str] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., time_zone: _Optional[str] = ..., message: _Optional[_Union[NewMessage, _Mapping]] = ..., missed: _Optional[_Union[Schedule.Missed, str]] = ..., paused: _Optional[bool] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., added: _Optional[int] = ..., missed_ticks: _Optional[int] = ..., refused: _Optional[int] = ..., deduplicated: _Optional[int] = ..., obstacle: _Optional[str] = ...) -> None: ...

class PutScheduleRequest(_message.Message):
    __slots__ = ("queue_id", "name", "schedule")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    name: str
    schedule: Schedule
    def __init__(self, queue_id: _Optional[str] = ..., name: _Optional[str] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class PutScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class GetScheduleRequest(_message.Message):
    __slots__ = ("queue_id", "name")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    name: str
    def __init__(self, queue_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class GetScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("queue_id", "page_size", "page_token")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    page_size: int
    page_token: str
    def __init__(self, queue_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules", "next_page_token")
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    next_page_token: str
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteScheduleRequest(_message.Message):
    __slots__ = ("queue_id", "name")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    name: str
    def __init__(self, queue_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class DeleteScheduleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetIdentityRequest(_message.Message):
    __slots__ = ("queue_id",)
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    def __init__(self, queue_id: _Optional[str] = ...) -> None: ...

class GetIdentityResponse(_message.Message):
    __slots__ = ("asked", "identity", "proof", "expires_at", "rights")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    asked: bool
    identity: Identity
    proof: str
    expires_at: _timestamp_pb2.Timestamp
    rights: _containers.RepeatedScalarFieldContainer[Right.Kind]
    def __init__(self, asked: _Optional[bool] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., proof: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rights: _Optional[_Iterable[_Union[Right.Kind, str]]] = ...) -> None: ...

class Right(_message.Message):
    __slots__ = ()
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Right.Kind]
        PRODUCE: _ClassVar[Right.Kind]
        CONSUME: _ClassVar[Right.Kind]
        BROWSE: _ClassVar[Right.Kind]
        MANAGE: _ClassVar[Right.Kind]
        ADMIN: _ClassVar[Right.Kind]
    UNKNOWN: Right.Kind
    PRODUCE: Right.Kind
    CONSUME: Right.Kind
    BROWSE: Right.Kind
    MANAGE: Right.Kind
    ADMIN: Right.Kind
    def __init__(self) -> None: ...

class Identity(_message.Message):
    __slots__ = ("name", "rights", "limits", "tokens", "certificates", "jwts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    JWTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    rights: _containers.RepeatedCompositeFieldContainer[Grant]
    limits: IdentityLimits
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    certificates: _containers.RepeatedScalarFieldContainer[str]
    jwts: _containers.RepeatedCompositeFieldContainer[JwtRule]
    def __init__(self, name: _Optional[str] = ..., rights: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ..., limits: _Optional[_Union[IdentityLimits, _Mapping]] = ..., tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ..., certificates: _Optional[_Iterable[str]] = ..., jwts: _Optional[_Iterable[_Union[JwtRule, _Mapping]]] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("queues", "selector", "may")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    MAY_FIELD_NUMBER: _ClassVar[int]
    queues: str
    selector: str
    may: _containers.RepeatedScalarFieldContainer[Right.Kind]
    def __init__(self, queues: _Optional[str] = ..., selector: _Optional[str] = ..., may: _Optional[_Iterable[_Union[Right.Kind, str]]] = ...) -> None: ...

class IdentityLimits(_message.Message):
    __slots__ = ("calls_per_second", "calls_max", "connections_max")
    CALLS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    CALLS_MAX_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    calls_per_second: int
    calls_max: int
    connections_max: int
    def __init__(self, calls_per_second: _Optional[int] = ..., calls_max: _Optional[int] = ..., connections_max: _Optional[int] = ...) -> None: ...

class JwtRule(_message.Message):
    __slots__ = ("issuer", "subject", "claims")
    class ClaimsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    claims: _containers.ScalarMap[str, str]
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., claims: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("id", "created", "expires_at", "note", "used")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    note: str
    used: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ..., used: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListIdentitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIdentitiesResponse(_message.Message):
    __slots__ = ("identities",)
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    identities: _containers.RepeatedCompositeFieldContainer[Identity]
    def __init__(self, identities: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ...) -> None: ...

class MakeTokenRequest(_message.Message):
    __slots__ = ("identity", "ttl", "expires_at", "note")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    identity: str
    ttl: _duration_pb2.Duration
    expires_at: _timestamp_pb2.Timestamp
    note: str
    def __init__(self, identity: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ...) -> None: ...

class MakeTokenResponse(_message.Message):
    __slots__ = ("text", "token")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    text: str
    token: Token
    def __init__(self, text: _Optional[str] = ..., token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("identity", "token_id")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    identity: str
    token_id: str
    def __init__(self, identity: _Optional[str] = ..., token_id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerResponse(_message.Message):
    __slots__ = ("server",)
    SERVER_FIELD_NUMBER: _ClassVar[int]
    server: Server
    def __init__(self, server: _Optional[_Union[Server, _Mapping]] = ...) -> None: ...

class Server(_message.Message):
    __slots__ = ("version", "started", "role", "address", "warnings", "contents", "in_memory", "queues_max", "memory_bytes", "memory_bytes_max", "disk", "cluster")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Server.Role]
        ALONE: _ClassVar[Server.Role]
        LEADER: _ClassVar[Server.Role]
        FOLLOWER: _ClassVar[Server.Role]
    UNKNOWN: Server.Role
    ALONE: Server.Role
    LEADER: Server.Role
    FOLLOWER: Server.Role
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    IN_MEMORY_FIELD_NUMBER: _ClassVar[int]
    QUEUES_MAX_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    version: str
    started: _timestamp_pb2.Timestamp
    role: Server.Role
    address: str
    warnings: _containers.RepeatedCompositeFieldContainer[ServerWarning]
    contents: StoreContents
    in_memory: StoreContents
    queues_max: int
    memory_bytes: int
    memory_bytes_max: int
    disk: ServerDisk
    cluster: ServerCluster
    def __init__(self, version: _Optional[str] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., role: _Optional[_Union[Server.Role, str]] = ..., address: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[ServerWarning, _Mapping]]] = ..., contents: _Optional[_Union[StoreContents, _Mapping]] = ..., in_memory: _Optional[_Union[StoreContents, _Mapping]] = ..., queues_max: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., memory_bytes_max: _Optional[int] = ..., disk: _Optional[_Union[ServerDisk, _Mapping]] = ..., cluster: _Optional[_Union[ServerCluster, _Mapping]] = ...) -> None: ...

class ServerWarning(_message.Message):
    __slots__ = ("level", "reason", "subject", "message", "remedy", "since")
    class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[ServerWarning.Level]
        NOTE: _ClassVar[ServerWarning.Level]
        WARNING: _ClassVar[ServerWarning.Level]
        CRITICAL: _ClassVar[ServerWarning.Level]
    UNKNOWN: ServerWarning.Level
    NOTE: ServerWarning.Level
    WARNING: ServerWarning.Level
    CRITICAL: ServerWarning.Level
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    level: ServerWarning.Level
    reason: str
    subject: str
    message: str
    remedy: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, level: _Optional[_Union[ServerWarning.Level, str]] = ..., reason: _Optional[str] = ..., subject: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StoreContents(_message.Message):
    __slots__ = ("queues", "messages", "bytes")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    queues: int
    messages: int
    bytes: int
    def __init__(self, queues: _Optional[int] = ..., messages: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class CommitTimes(_message.Message):
    __slots__ = ("window", "count", "p50", "p99", "max", "steps")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    window: _duration_pb2.Duration
    count: int
    p50: _duration_pb2.Duration
    p99: _duration_pb2.Duration
    max: _duration_pb2.Duration
    steps: _containers.RepeatedCompositeFieldContainer[CommitStep]
    def __init__(self, window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., count: _Optional[int] = ..., p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[CommitStep, _Mapping]]] = ...) -> None: ...

class CommitStep(_message.Message):
    __slots__ = ("ended", "window", "count", "p50", "p99", "max")
    ENDED_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    ended: _timestamp_pb2.Timestamp
    window: _duration_pb2.Duration
    count: int
    p50: _duration_pb2.Duration
    p99: _duration_pb2.Duration
    max: _duration_pb2.Duration
    def __init__(self, ended: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., count: _Optional[int] = ..., p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ServerDisk(_message.Message):
    __slots__ = ("contents", "directory", "database_bytes", "log_bytes", "free_bytes", "total_bytes", "refusal", "commits", "pending_bytes", "last_checkpoint", "last_backup", "damaged")
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    DATABASE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    PENDING_BYTES_FIELD_NUMBER: _ClassVar[int]
    LAST_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    LAST_BACKUP_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    contents: StoreContents
    directory: str
    database_bytes: int
    log_bytes: int
    free_bytes: int
    total_bytes: int
    refusal: str
    commits: CommitTimes
    pending_bytes: int
    last_checkpoint: _timestamp_pb2.Timestamp
    last_backup: _timestamp_pb2.Timestamp
    damaged: int
    def __init__(self, contents: _Optional[_Union[StoreContents, _Mapping]] = ..., directory: _Optional[str] = ..., database_bytes: _Optional[int] = ..., log_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., total_bytes: _Optional[int] = ..., refusal: _Optional[str] = ..., commits: _Optional[_Union[CommitTimes, _Mapping]] = ..., pending_bytes: _Optional[int] = ..., last_checkpoint: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_backup: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., damaged: _Optional[int] = ...) -> None: ...

class ServerCluster(_message.Message):
    __slots__ = ("epoch", "replicas_required", "nodes", "databases")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    DATABASES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    replicas_required: int
    nodes: _containers.RepeatedCompositeFieldContainer[ServerNode]
    databases: _containers.RepeatedCompositeFieldContainer[ServerDatabase]
    def __init__(self, epoch: _Optional[int] = ..., replicas_required: _Optional[int] = ..., nodes: _Optional[_Iterable[_Union[ServerNode, _Mapping]]] = ..., databases: _Optional[_Iterable[_Union[ServerDatabase, _Mapping]]] = ...) -> None: ...

class ServerNode(_message.Message):
    __slots__ = ("address", "version", "role", "since", "heard")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    address: str
    version: str
    role: Server.Role
    since: _timestamp_pb2.Timestamp
    heard: _timestamp_pb2.Timestamp
    def __init__(self, address: _Optional[str] = ..., version: _Optional[str] = ..., role: _Optional[_Union[Server.Role, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., heard: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ServerDatabase(_message.Message):
    __slots__ = ("name", "contents", "hosts", "primary", "refusal", "away_since", "is_replicated", "standbys", "commits", "pending_bytes", "vacuum_held", "looked")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    AWAY_SINCE_FIELD_NUMBER: _ClassVar[int]
    IS_REPLICATED_FIELD_NUMBER: _ClassVar[int]
    STANDBYS_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    PENDING_BYTES_FIELD_NUMBER: _ClassVar[int]
    VACUUM_HELD_FIELD_NUMBER: _ClassVar[int]
    LOOKED_FIELD_NUMBER: _ClassVar[int]
    name: str
    contents: StoreContents
    hosts: _containers.RepeatedScalarFieldContainer[str]
    primary: str
    refusal: str
    away_since: _timestamp_pb2.Timestamp
    is_replicated: bool
    standbys: _containers.RepeatedCompositeFieldContainer[ServerStandby]
    commits: CommitTimes
    pending_bytes: int
    vacuum_held: _duration_pb2.Duration
    looked: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., contents: _Optional[_Union[StoreContents, _Mapping]] = ..., hosts: _Optional[_Iterable[str]] = ..., primary: _Optional[str] = ..., refusal: _Optional[str] = ..., away_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., is_replicated: _Optional[bool] = ..., standbys: _Optional[_Iterable[_Union[ServerStandby, _Mapping]]] = ..., commits: _Optional[_Union[CommitTimes, _Mapping]] = ..., pending_bytes: _Optional[int] = ..., vacuum_held: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., looked: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ServerStandby(_message.Message):
    __slots__ = ("name", "address", "state", "is_synchronous", "lag_bytes", "lag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_SYNCHRONOUS_FIELD_NUMBER: _ClassVar[int]
    LAG_BYTES_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    state: str
    is_synchronous: bool
    lag_bytes: int
    lag: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[str] = ..., is_synchronous: _Optional[bool] = ..., lag_bytes: _Optional[int] = ..., lag: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DeleteMessagesRequest(_message.Message):
    __slots__ = ("queue_id", "message_ids", "leased", "created_from")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    message_ids: _containers.RepeatedScalarFieldContainer[str]
    leased: bool
    created_from: _timestamp_pb2.Timestamp
    def __init__(self, queue_id: _Optional[str] = ..., message_ids: _Optional[_Iterable[str]] = ..., leased: _Optional[bool] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeleteMessagesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[MessageResult]
    def __init__(self, results: _Optional[_Iterable[_Union[MessageResult, _Mapping]]] = ...) -> None: ...

class MoveMessagesRequest(_message.Message):
    __slots__ = ("queue_id", "message_ids", "target_queue_id", "leased", "created_from")
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    TARGET_QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    queue_id: str
    message_ids: _containers.RepeatedScalarFieldContainer[str]
    target_queue_id: str
    leased: bool
    created_from: _timestamp_pb2.Timestamp
    def __init__(self, queue_id: _Optional[str] = ..., message_ids: _Optional[_Iterable[str]] = ..., target_queue_id: _Optional[str] = ..., leased: _Optional[bool] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MoveMessagesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[MessageResult]
    def __init__(self, results: _Optional[_Iterable[_Union[MessageResult, _Mapping]]] = ...) -> None: ...

class MessageResult(_message.Message):
    __slots__ = ("code", "message", "reason", "queue_id", "was_there")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    WAS_THERE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: str
    queue_id: str
    was_there: bool
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., queue_id: _Optional[str] = ..., was_there: _Optional[bool] = ...) -> None: ...
