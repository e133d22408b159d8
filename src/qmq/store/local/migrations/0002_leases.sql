-- What was learned of messages since they were handed out on lease. It stands apart from
-- the messages, so that a lease rewrites no payload.

-- JSON: how the queue hands out messages, and whether it is paused. What is left out has
-- its default.
alter table queue add column settings text not null default '{}';

-- Messages that one call has leased, none of which was on lease before: one row. It is of no
-- use any more for a message that has left, or that has a row of its own in delivery.
create table lease (
    -- The lowest number of the messages.
    first_seq integer primary key,
    until_ns  integer not null,
    leased_ns integer not null,
    consumer  text    not null,
    -- The numbers of all of them, eight bytes each, little-endian.
    seqs      blob    not null
) strict;

create table delivery (
    -- That of the message; gone when that is.
    seq        integer primary key,
    -- See qmq.model.delivery.Delivery for these.
    fence      integer not null,
    count      integer not null,
    state      integer not null,
    until_ns   integer not null,
    leased_ns  integer not null,
    consumer   text    not null,
    -- JSON: [[fence, consumer, leased_ns, ended_ns, outcome, reason], ...], or empty.
    attempts   text    not null,
    redrive_id text    not null
) strict;

create table redrive (
    -- In order of their starts.
    number integer primary key,
    id     text not null unique,
    -- JSON.
    job    text not null
) strict;

-- One row: the highest number that a message ever had, unless a message that is there has a
-- higher one. No number is used twice, or a lease of a message that is gone would be one of
-- the message that got its number.
create table sequence (
    last integer not null
) strict;

insert into sequence values (0);
