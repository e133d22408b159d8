"""Every bound in q, with its unit in its name and the reason beside it."""

from typing import Final

#: Largest reply that carries one message, in bytes. gRPC clients refuse more than
#: 4 MiB unless told otherwise, so a larger message could be stored but never read.
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024

#: What a request may add to the message it carries: queue id, framing, spare.
REQUEST_OVERHEAD_BYTES_MAX: Final = 64 * 1024

#: Tags on one queue or one message. They are read and written as a whole.
TAGS_MAX: Final = 1_000

#: Bytes of one tag's key, UTF-8.
TAG_KEY_BYTES_MAX: Final = 1_024

#: Bytes of one tag's value, UTF-8.
TAG_VALUE_BYTES_MAX: Final = 16 * 1024

#: Bytes of all tags of one queue or message, encoded: they travel with each reply.
TAGS_BYTES_MAX: Final = 64 * 1024

#: Characters of a queue's name: it is one segment of a URL path.
QUEUE_NAME_CHARS_MAX: Final = 80

#: Queues on one server. Each costs about a kilobyte of memory and a few lines of
#: each metrics scrape.
QUEUES_MAX: Final = 100_000

#: Messages in one AddBatch or PopBatch: enough to make the cost of the call small, and
#: few enough to take the event loop for some milliseconds only.
BATCH_MESSAGES_MAX: Final = 1_000

#: Seconds for which one call waits for a message; a client asks again after that.
WAIT_S_MAX: Final = 60

#: Queues in one page of ListQueues when the caller pages.
PAGE_SIZE_MAX: Final = 1_000

#: Bytes of changes that wait for the disk before q answers BUSY.
JOURNAL_PENDING_BYTES_MAX: Final = 256 * 1024 * 1024

#: Bytes of DISK message bodies kept in memory, so that the head of a queue needs
#: no read; the rest stays on disk alone.
CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
