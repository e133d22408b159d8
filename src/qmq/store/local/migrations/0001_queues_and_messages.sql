-- Rows are live: what is done with is deleted. There is no secondary index, because
-- start-up reads every row's numbers anyway and each index would slow every commit.

create table queue (
    -- Never used again for another queue, so that left-over messages have no heir.
    number        integer primary key,
    id            text    not null,
    name          text    not null,
    -- -1 is unbounded.
    message_limit integer not null,
    created_ns    integer not null,
    -- JSON: [["key", "value"], ...] in order of arrival.
    tags          text    not null
) strict;

create table message (
    -- Order of arrival over all queues, and the moment of it: nanoseconds since the Unix
    -- epoch, or the next free number. New rows go to the right edge of the tree.
    seq      integer primary key,
    queue    integer not null,
    -- The encoded proto.Message. It stands last, so that a scan of the numbers does
    -- not read the pages that a large one overflows into.
    envelope blob    not null
) strict;
