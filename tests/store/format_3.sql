-- A database as a q of format 3 left it, frozen: each later q has to open it.
-- One queue, with a message and a schedule.

create table queue (
    number        integer primary key,
    id            text    not null,
    name          text    not null,
    message_limit integer not null,
    created_ns    integer not null,
    tags          text    not null,
    settings      text    not null default '{}'
) strict;

create table message (
    seq      integer primary key,
    queue    integer not null,
    envelope blob    not null
) strict;

create table lease (
    first_seq integer primary key,
    until_ns  integer not null,
    leased_ns integer not null,
    consumer  text    not null,
    seqs      blob    not null
) strict;

create table delivery (
    seq        integer primary key,
    fence      integer not null,
    count      integer not null,
    state      integer not null,
    until_ns   integer not null,
    leased_ns  integer not null,
    consumer   text    not null,
    attempts   text    not null,
    redrive_id text    not null
) strict;

create table redrive (
    number integer primary key,
    id     text not null unique,
    job    text not null
) strict;

create table sequence (
    last integer not null
) strict;

create table schedule (
    number   integer primary key,
    id       text not null unique,
    schedule text not null
) strict;

insert into queue values
    (1, 'b9f431f0-0ba4-41e6-b641-891fae687bbf', 'jobs', -1, 1700000000000000000, '[]', '{"lease_duration_ns": 30000000000, "delivery_count_max": 0, "dead_letter_queue_id": "", "back_off": {"base_ns": 1000000000, "factor": 2.0, "max_ns": 300000000000, "jitter": 0.2}, "durability_min": 1}');

insert into message values
    (1700000000000000000, 1, x'0a2e0a2430336439643630312d663634372d343334622d626335302d37663565303365303830623012060880e2cfaa061205706c61696e');

insert into schedule values
    (1, 'b9f431f0-0ba4-41e6-b641-891fae687bbf/tick', '{"queue_id": "b9f431f0-0ba4-41e6-b641-891fae687bbf", "name": "tick", "plan": {"cron": "* * * * *", "interval_ns": 0, "time_zone": "UTC", "tags": "", "payload": "bWludXRl", "options": {"delay_ns": null, "available_ns": null, "ttl_ns": null, "expires_ns": null, "priority": 0, "dedup_id": "", "group_id": "", "fair_key": ""}, "missed": 2, "paused": false}, "created_ns": 1700000008000000000, "anchor_ns": 1700000008000000000, "after_ns": 1700000008000000000, "last_ns": 0, "owed": 0, "added": 0, "missed": 0, "refused": 0, "deduplicated": 0, "obstacle": ""}');

insert into sequence values (0);

-- "qmq1".
pragma application_id = 0x716d7131;
pragma user_version = 3;
