-- What a cluster keeps: the same rows as a DISK store, and who may write them.
create table q.queue (
    number bigint primary key,
    id text not null,
    name text not null,
    message_limit bigint not null,
    created_ns bigint not null,
    tags text not null,
    settings text not null
);

-- Rows come at one end and go at the other, mostly: most vacuums find whole pages to free.
create table q.message (
    seq bigint primary key,
    queue bigint not null,
    envelope bytea not null
) with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.0,
    autovacuum_vacuum_insert_threshold = 200000,
    autovacuum_vacuum_cost_delay = 0
);

-- Large envelopes are kept beside the table as they are: to compress them would take longer than
-- to write them, and many payloads are compressed already.
alter table q.message alter column envelope set storage external;

-- What is known of messages, apart from them: a lease rewrites no payload.
create table q.delivery (
    seq bigint primary key,
    fence bigint not null,
    count bigint not null,
    state smallint not null,
    until_ns bigint not null,
    leased_ns bigint not null,
    consumer text not null,
    attempts text not null,
    redrive_id text not null,
    priority integer not null,
    expires_ns bigint not null,
    group_id text not null,
    fair_key text not null
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

-- Messages that were leased together for the first time.
create table q.lease (
    first_seq bigint primary key,
    until_ns bigint not null,
    leased_ns bigint not null,
    consumer text not null,
    seqs bytea not null
) with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

create table q.redrive (
    number bigint generated always as identity primary key,
    id text not null unique,
    job text not null
);

create table q.schedule (
    number bigint generated always as identity primary key,
    id text not null unique,
    schedule text not null
);

create table q.held_group (
    queue bigint not null,
    group_id text not null,
    paused_ns bigint not null,
    parked_ns bigint not null,
    primary key (queue, group_id)
);

create table q.dedup (
    seq bigint primary key,
    queue bigint not null,
    dedup_id text not null,
    meta bytea not null,
    expires_ns bigint not null
) with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

-- One row, which each commit changes: so none can be of a leader who was succeeded, and after
-- a connection was lost it tells whether the last one was made.
create table q.journal (
    id integer primary key default 1 check (id = 1),
    -- Whose commits are taken: those of the leader of this epoch.
    epoch bigint not null default 0,
    -- How many commits there were.
    batch bigint not null default 0,
    -- The highest number that a message ever had.
    last_number bigint not null default 0
) with (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

insert into q.journal default values;

-- One row: who leads, and until when if nothing is heard of it.
create table q.leader (
    id integer primary key default 1 check (id = 1),
    epoch bigint not null default 0,
    -- Where the others forward calls to: HOST:PORT; empty if nobody leads.
    address text not null default '',
    expires_at timestamptz not null default '-infinity',
    -- The moment, by the clock by which moments of messages are told, at the last sign of life.
    clock_ns bigint not null default 0
) with (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

insert into q.leader default values;
