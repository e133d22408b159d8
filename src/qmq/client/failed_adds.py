"""What a producer tells of messages that were not stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from qmq.client.errors import QmqError
from qmq.client.values import NewMessage, TagPairs


@dataclass(frozen=True, slots=True)
class FailedAdd:
    """A message that a producer was given and that the server did not acknowledge."""

    #: The message, encoded by the queue's codec: what may be added again. If it has a dedup_id,
    #: it is not stored twice then.
    message: NewMessage[bytes]
    #: Why. If it is Unavailable with `may_have_happened`, or DeadlineExceeded, the
    #: message may be stored all the same.
    error: QmqError

    @property
    def payload(self) -> bytes:
        """That of the message."""
        return self.message.payload

    @property
    def tags(self) -> TagPairs:
        """Those of the message: pairs of key and value."""
        return self.message.tags


class AddsFailed(QmqError):
    """Messages that a producer was given were not acknowledged, and nobody has asked yet.

    `failed` lists them in order; `code` and `reason` are those of the first.
    """

    def __init__(self, message: str, failed: Sequence[FailedAdd] = ()) -> None:
        super().__init__(message)
        self.failed = tuple(failed)
        if failed:
            self.code = failed[0].error.code
            self.reason = failed[0].error.reason
