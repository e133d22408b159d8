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

#: Seconds that a lease lasts, at least and at most. A consumer that dies holds up its
#: messages for so long; one that lives can extend its leases without end.
LEASE_S_MIN: Final = 0.001
LEASE_S_MAX: Final = 12 * 3600

#: Seconds that a message that was given back is kept back at most.
DELAY_S_MAX: Final = 7 * 24 * 3600

#: Seconds that a message is kept back, or is of use, at most: ten years, with three leap days.
#: Further ahead than any plan, and near enough for nanoseconds in 64 bits.
AHEAD_S_MAX: Final = 3_653 * 24 * 3600

#: Seconds that a message is of use at least: less would pass on its way to a consumer.
TTL_S_MIN: Final = 0.001

#: The highest priority of a message; there are as many as fit a byte.
PRIORITY_MAX: Final = 255

#: Seconds by which a step of priority puts a message forward at most; 255 steps are the better
#: part of a year then.
PRIORITY_AGEING_S_MAX: Final = 24 * 3600

#: Bytes of a message's dedup_id, UTF-8: room for a UUID or a hash, and a word before it. Each is
#: in memory for as long as its queue knows it.
DEDUP_ID_BYTES_MAX: Final = 128

#: Bytes of a message's group_id and fair_key, UTF-8: as for dedup_ids.
GROUP_ID_BYTES_MAX: Final = 128
FAIR_KEY_BYTES_MAX: Final = 128

#: The highest weight of a fair_key, or of a queue among those that a selector matches.
WEIGHT_MAX: Final = 1_000

#: Fair_keys of a queue that have a weight of their own: they travel with its settings.
WEIGHTS_MAX: Final = 1_000

#: Failures of one message after which its group is parked, at most.
PARK_AFTER_MAX: Final = 1_000

#: Groups of one queue that are paused or parked: each is in memory, also if it is empty.
GROUPS_HELD_MAX: Final = 100_000

#: Bytes of a selector, UTF-8, and its terms: it is looked at for each queue.
SELECTOR_BYTES_MAX: Final = 1_024
SELECTOR_TERMS_MAX: Final = 20

#: Selectors that are in use at one time: each is looked at when a queue comes or changes.
SELECTIONS_MAX: Final = 1_000

#: Seconds for which a selector is remembered that nobody uses.
SELECTION_IDLE_S: Final = 60

#: Seconds for which a queue knows a dedup_id. Those that come again later than in a week do
#: not come from a program that tries again.
DEDUP_WINDOW_S_MIN: Final = 1
DEDUP_WINDOW_S_MAX: Final = 7 * 24 * 3600

#: Messages that a queue hands out a second, where it has a limit: one in about a day at least,
#: and at most more than q can do.
RATE_MIN: Final = 0.00001
RATE_MAX: Final = 1_000_000

#: Messages that such a queue hands out at once after a pause, at most: what it may hand out in
#: one second.
BURST_MAX: Final = 1_000_000

#: Deliveries of one message before it becomes a dead letter, at most.
DELIVERY_COUNT_MAX: Final = 1_000

#: Attempts that a message's history holds; older ones are forgotten.
ATTEMPTS_MAX: Final = 16

#: Bytes of a consumer's name and of its reason for giving a message back, UTF-8: they are
#: kept with each attempt.
CONSUMER_BYTES_MAX: Final = 200
REASON_BYTES_MAX: Final = 1_024

#: Messages that one Consume stream may have room for.
CREDIT_MAX: Final = 10_000

#: Acks that are remembered, so that one repeated after a lost reply succeeds.
ACKS_REMEMBERED: Final = 65_536

#: Messages that one Browse or one step of a redrive looks at, so that neither holds up
#: others for more than some milliseconds.
BROWSED_MESSAGES_MAX: Final = 1_000

#: Leases and delays of one queue that end in one step, so that a million that end at the
#: same moment hold up others for milliseconds rather than seconds.
MOMENTS_AT_ONCE_MAX: Final = 2_000

#: Redrives that run at one time, and that are remembered after their end.
REDRIVES_RUNNING_MAX: Final = 100
REDRIVES_ENDED_MAX: Final = 100

#: Schedules of one queue, and of all queues of a server: each is looked at when q starts, and
#: has its message in memory.
SCHEDULES_MAX: Final = 1_000
SCHEDULES_TOTAL_MAX: Final = 10_000

#: Bytes of a schedule's message, tags included: what is large belongs elsewhere, with its
#: address in the message.
SCHEDULE_MESSAGE_BYTES_MAX: Final = 64 * 1024

#: Seconds from one tick of a schedule to the next, at least.
INTERVAL_S_MIN: Final = 1

#: Messages that a schedule makes up for at most, of those that it has missed.
MISSED_MESSAGES_MAX: Final = 1_000

#: Characters of a cron expression: room for all minutes one by one.
CRON_CHARS_MAX: Final = 250

#: Seconds for which one call waits for a message; a client asks again after that.
WAIT_S_MAX: Final = 60

#: Seconds for which a token holds that is made by a call, at least, unless it holds until it is
#: revoked: less would pass on the way to whom it is for.
TOKEN_S_MIN: Final = 60

#: Bytes of the note to a token, UTF-8: a line for people.
NOTE_BYTES_MAX: Final = 200

#: Queues in one page of ListQueues when the caller pages.
PAGE_SIZE_MAX: Final = 1_000

#: Bytes of changes that wait for the disk before q answers BUSY.
JOURNAL_PENDING_BYTES_MAX: Final = 256 * 1024 * 1024

#: Calls under way at one time, those that wait for messages and streams included: each takes some
#: 15 KiB of memory.
CALLS_MAX: Final = 10_000

#: Bytes of requests above 256 KiB that come in or are worked on at one time, and as many of replies
#: that were not read: each is there up to three times for a moment, as it came, decoded, and kept.
TRANSFER_BYTES_MAX: Final = 256 * 1024 * 1024

#: Seconds that a request may take to come in, and a reply to be read. The largest one needs
#: 0.6 Mbit/s for that.
TRANSFER_TIMEOUT_S: Final = 60

#: Bytes of replies above 256 KiB that a connection may not have read while it is given another: a
#: client that reads has them within a moment.
UNREAD_BYTES_MAX: Final = 16 * 1024 * 1024

#: Bytes of one request message of a stream: 1,000 lease ids, or a reason, take a fraction.
STREAM_REQUEST_BYTES_MAX: Final = 256 * 1024

#: Connections of clients at one time: each takes some 20 KiB of memory.
CONNECTIONS_MAX: Final = 10_000

#: Calls under way on one connection. gRPC clients hold back those beyond that.
CONNECTION_CALLS_MAX: Final = 1_000

#: Objects that are made and not freed again until Python's garbage collector looks for cycles
#: among them: more than hundreds of calls under way hold, whose objects are no garbage, and few
#: enough to take some MiB if all of them were.
GARBAGE_OBJECTS: Final = 20_000

#: Pages of 4 KiB in the database's log from which on they are written back into the database:
#: few enough to be done in some milliseconds, and so many that most pages were changed more than
#: once by then.
CHECKPOINT_PAGES: Final = 1_000

#: Pages that the log has at most, but for those of one commit: a disk that is too slow for what
#: is asked of it delays commits from there on.
LOG_PAGES_MAX: Final = 16_000

#: Bytes of a disk that have to be free for a backup to go on: the log grows as long as the
#: database is copied, and a q that finds no room for a commit acknowledges nothing more.
BACKUP_FREE_BYTES_MIN: Final = 256 * 1024 * 1024

#: Bytes of the database's file from which on it is made smaller when it holds hardly anything,
#: and bytes of what it holds then at most: to write these anew takes less than 0.1 s.
SHRINK_FILE_BYTES_MIN: Final = 64 * 1024 * 1024
SHRINK_LIVE_BYTES_MAX: Final = 16 * 1024 * 1024

#: Bytes of memory for messages of DISK queues, so that the head of a queue needs no
#: read; the rest stays on disk alone. Unless told, it is a share of what messages may take,
#: within these: a million small messages with priorities are handed out from anywhere in the
#: file, and fit into the most of it; the least is what a small machine can spare.
CACHE_BYTES_MIN: Final = 64 * 1024 * 1024
CACHE_BYTES_MAX: Final = 512 * 1024 * 1024

#: Dedup_ids that one queue remembers: each takes some 300 bytes of memory.
DEDUP_IDS_MAX: Final = 1_000_000
