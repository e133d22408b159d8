-- What messages were added with that decides when they are handed out. It is in the envelope
-- as well, but that is not read when q starts.
alter table delivery add column priority integer not null default 0;

-- Nanoseconds since the Unix epoch; 0 is for ever.
alter table delivery add column expires_ns integer not null default 0;

alter table delivery add column group_id text not null default '';
alter table delivery add column fair_key text not null default '';

-- Groups that hand out nothing until somebody lets them go on.
create table held_group (
    queue     integer not null,
    group_id  text    not null,
    -- Nanoseconds since the Unix epoch; 0 if it is not paused, or has not parked.
    paused_ns integer not null,
    parked_ns integer not null,
    primary key (queue, group_id)
) strict, without rowid;

-- Messages that were added with a dedup_id not long ago; they may have left.
create table dedup (
    -- That of the message.
    seq        integer primary key,
    queue      integer not null,
    dedup_id   text    not null,
    -- The metadata of its envelope, encoded.
    meta       blob    not null,
    expires_ns integer not null
) strict;

-- How far the clock that nobody sets, by which all moments here are told, is ahead of the machine's
-- own, in nanoseconds. No row before somebody has set that.
create table clock (
    id        integer primary key check (id = 1),
    offset_ns integer not null
) strict;

-- Messages that have left and whose rows are still there, in message, delivery and lease: what
-- one commit has removed is one row, whatever pages the messages are on. Their rows are removed
-- by and by, and this one after them.
create table gone (
    -- Grows, while there are any.
    number integer primary key,
    -- The numbers of all of them, eight bytes each, little-endian.
    seqs   blob not null
) strict;
